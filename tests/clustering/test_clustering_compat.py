"""What relies on the inside of hdbscan and scikit-learn; a failure here follows an upgrade."""

from __future__ import annotations

from importlib.metadata import version
from numbers import Integral

import hdbscan
import numpy as np
import pytest
from sklearn.cluster import KMeans

from segkit.clustering import canonical, compat, fit_many
from segkit.clustering.hdbscan import constraints
from segkit.constraints import choices, count_from, interval

UPGRADE = (
    "segkit/clustering/compat.py relies on the inside of hdbscan, which has changed: "
    "take the trees from `tree_of_whole_fit`, or adapt `SharedTrees`"
)
SETTINGS = [
    {},
    {"algorithm": "generic"},
    {"algorithm": "prims_kdtree"},
    {"algorithm": "prims_balltree"},
    {"algorithm": "boruvka_balltree"},
    {"metric": "manhattan"},
    {"metric": "canberra"},
    {"metric": "minkowski", "p": 3.0},
    {"alpha": 1.3},
]


def config(**given):
    return {"_target_": "hdbscan.HDBSCAN", **given}


def estimator(**given):
    return hdbscan.HDBSCAN(min_cluster_size=8, min_samples=4, core_dist_n_jobs=1, **given)


def counted(monkeypatch, name):
    """The arguments of each call of a function of the library, as they come."""
    calls, function = [], getattr(hdbscan.hdbscan_, name)

    def counting(*arguments, **options):
        calls.append(arguments)
        return function(*arguments, **options)

    monkeypatch.setattr(hdbscan.hdbscan_, name, counting)
    return calls


@pytest.fixture
def unknown_release(monkeypatch):
    monkeypatch.setattr(compat, "HDBSCAN_RELEASE", (0, 7))
    compat.knows_hdbscan.cache_clear()
    yield
    monkeypatch.undo()
    compat.knows_hdbscan.cache_clear()


def test_the_installed_release_of_hdbscan_is_known():
    assert compat.knows_hdbscan(), (
        f"hdbscan {version('hdbscan')} is not of the release {compat.HDBSCAN_RELEASE} that "
        "segkit/clustering/compat.py was written for: run this file with HDBSCAN_RELEASE changed"
    )


@pytest.mark.parametrize("given", SETTINGS)
def test_the_tree_of_a_stopped_fit_is_the_public_one(X, given):
    stopped = compat.SharedTrees().grow(X, estimator(**given))
    public = compat.tree_of_whole_fit(X, estimator(**given))
    assert stopped.dtype == public.dtype == np.float64, UPGRADE
    assert np.array_equal(stopped, public), UPGRADE


def test_customers_that_are_not_finite_are_in_no_tree(X):
    X = X.copy()
    X[5, 0] = np.nan
    assert len(compat.SharedTrees().grow(X, estimator())) == len(X) - 2
    assert len(compat.tree_of_whole_fit(X, estimator())) != len(X) - 1


def test_a_stopped_fit_selects_no_clusters(X, monkeypatch):
    calls = counted(monkeypatch, "_tree_to_labels")
    compat.SharedTrees().grow(X, estimator())
    assert not calls, UPGRADE


def test_another_release_gives_the_same_labels_by_the_public_way(X, unknown_release):
    members = [{"min_cluster_size": size, "min_samples": 4} for size in (5, 12)]
    members += [{**members[0], "cluster_selection_method": "leaf"}]
    spaces = [X, X.copy()]
    spaces[1][5, 0] = np.nan
    for space in spaces:
        partitions = fit_many(space, [config(**given) for given in members])
        for given, partition in zip(members, partitions, strict=True):
            expected = canonical(hdbscan.HDBSCAN(**given).fit(space).labels_)
            assert (partition.labels == expected).all(), given


def test_probabilities_do_not_depend_on_whose_tree_it_is(X):
    trees = compat.SharedTrees()
    for size in (5, 10, 25):
        shared = hdbscan.HDBSCAN(
            min_cluster_size=size, min_samples=5, core_dist_n_jobs=1, memory=trees
        ).fit(X)
        alone = hdbscan.HDBSCAN(min_cluster_size=size, min_samples=5).fit(X)
        assert (shared.labels_ == alone.labels_).all()
        assert np.array_equal(shared.probabilities_, alone.probabilities_, equal_nan=True)


def test_the_library_selects_clusters_only_where_it_must(card_sample, monkeypatch):
    members = [{"min_cluster_size": m, "min_samples": 10} for m in (15, 50)]
    members += [
        {**members[0], "cluster_selection_method": "leaf"},
        {**members[0], "allow_single_cluster": True},
    ]
    expected = [canonical(hdbscan.HDBSCAN(**given).fit(card_sample).labels_) for given in members]
    calls = counted(monkeypatch, "_tree_to_labels")
    partitions = fit_many(card_sample, [config(**given) for given in members])
    assert len(calls) == 1
    assert all((a.labels == b).all() for a, b in zip(partitions, expected, strict=True))


def test_one_tree_for_each_min_samples(X, monkeypatch):
    calls = counted(monkeypatch, "_hdbscan_boruvka_kdtree")
    fit_many(
        X, [config(min_cluster_size=size, min_samples=m) for m in (3, 5) for size in (5, 10, 20)]
    )
    assert [min_samples for _, min_samples, *_ in calls] == [3, 5]
    calls.clear()
    fit_many(X, [config(min_cluster_size=size) for size in (5, 10, 5)])
    assert [min_samples for _, min_samples, *_ in calls] == [5, 10]


def test_constraints_are_those_that_scikit_learn_checks():
    """A public class of scikit-learn states its own constraints with the same classes."""
    own = KMeans._parameter_constraints
    assert isinstance(count_from(1), type(own["n_clusters"][0]))
    count = count_from(2)
    assert [count.is_satisfied_by(value) for value in (1, 2, 2.0, "2")] == [0, 1, 0, 0]
    half_open = interval(Integral, None, 3, "neither")
    assert [half_open.is_satisfied_by(value) for value in (-9, 2, 3)] == [1, 1, 0]
    word = choices({"eom", "leaf"})
    assert [word.is_satisfied_by(value) for value in ("eom", "mass", 1)] == [1, 0, 0]
    assert constraints()["cluster_selection_method"][0].options == {"eom", "leaf"}


@pytest.mark.parametrize("leaf_size", [1, 16, 32])
def test_the_arrays_of_a_k_d_tree_mean_what_they_are_taken_for(X, leaf_size):
    tree = compat.kd_tree(X, leaf_size)
    n_nodes, leaves = len(tree.first), len(tree.first) // 2
    assert np.array_equal(np.sort(tree.rows), np.arange(len(X)))
    assert np.array_equal(tree.points, X)
    assert (tree.first[0], tree.last[0]) == (0, len(X))
    for node in range(n_nodes):
        members = X[tree.rows[tree.first[node] : tree.last[node]]]
        assert (tree.low[node] <= members.min(axis=0)).all()
        assert (tree.high[node] >= members.max(axis=0)).all()
        if node < leaves:
            left, right = 2 * node + 1, 2 * node + 2
            assert (tree.first[left], tree.last[right]) == (tree.first[node], tree.last[node])
            assert tree.last[left] == tree.first[right]
    assert sum((tree.last - tree.first)[leaves:]) == len(X)
