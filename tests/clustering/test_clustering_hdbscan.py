from __future__ import annotations

import tracemalloc

import hdbscan
import numpy as np
import pytest
from sklearn.utils._param_validation import make_constraint

import segkit.clustering.hdbscan as family
from segkit.clustering import Partition, canonical, fit_many
from segkit.clustering.condense_kernel import labels_at
from segkit.errors import Infeasible


def config(**given):
    return {"_target_": "hdbscan.HDBSCAN", **given}


def plain(X, **given):
    return canonical(hdbscan.HDBSCAN(**given).fit(X).labels_)


def plain_or_failure(X, **given):
    """Return the plain labels, or the failure of the library where persistence leaves no
    cluster."""
    try:
        return plain(X, **given)
    except IndexError as failure:
        return failure


def assert_like_plain(X, members):
    for given, partition in zip(
        members, fit_many(X, [config(**given) for given in members]), strict=True
    ):
        expected = plain_or_failure(X, **given)
        if isinstance(expected, IndexError):
            assert repr(partition) == repr(expected)
        else:
            assert (partition.labels == expected).all(), given


@pytest.mark.parametrize("min_samples", [1, 5, 10, None])
def test_every_size_is_the_plain_estimators(X, min_samples):
    assert_like_plain(
        X, [{"min_cluster_size": size, "min_samples": min_samples} for size in (2, 5, 10, 25, 60)]
    )


@pytest.mark.parametrize("method", ["eom", "leaf"])
def test_every_size_by_either_method(X, method):
    sizes = (2, 3, 4, 7, 11, 18, 33, 90)
    given = {"min_samples": 3, "cluster_selection_method": method}
    assert_like_plain(X, [{"min_cluster_size": size, **given} for size in sizes])


def test_close_stabilities_are_left_to_the_library():
    """Two pairs merge half way, by density, to where they appear: what they have above, the four
    have below."""
    pair, four, all_six = 4 / 3, 2.0, 4.0
    tree = np.array(
        [[0, 1, pair, 2], [2, 3, pair, 2], [4, 5, pair, 2], [6, 7, four, 4], [8, 9, all_six, 6]]
    )
    labels, close = labels_at(tree, 2, False)
    assert close
    labels, close = labels_at(tree, 2, True)
    assert not close
    assert canonical(labels).tolist() == [0, 0, 1, 1, 2, 2]
    tree[3, 2] = 2.5
    assert not labels_at(tree, 2, False)[1]


def test_customers_that_are_not_finite_are_noise(X):
    X = X.copy()
    X[5, 0] = np.nan
    assert_like_plain(X, [{"min_cluster_size": size, "min_samples": 4} for size in (10, 5, 10)])


def test_memory_is_bounded():
    X = np.random.default_rng(0).normal(size=(1500, 4))
    for given in (
        {"min_samples": 10},
        {},
        {"allow_single_cluster": True},
        {"algorithm": "generic"},
    ):
        fit_many(X[:80], [config(min_cluster_size=30, **given)])  # compiled
        tracemalloc.start()
        fit_many(X, [config(min_cluster_size=30, **given)])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak <= family.memory(config(min_cluster_size=30, **given), *X.shape)


@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_ways_of_selecting_clusters(X):
    ways = [
        {"cluster_selection_method": "leaf"},
        {"cluster_selection_epsilon": 0.5},
        {"cluster_selection_epsilon": 1},
        {"allow_single_cluster": True},
        {"max_cluster_size": 100},
        {"cluster_selection_persistence": 0.1},
        {"match_reference_implementation": True},
        {"approx_min_span_tree": False},
        {"alpha": 1.3},
        {"algorithm": "prims_kdtree"},
        {"algorithm": "generic"},
        {"metric": "manhattan"},
        {"metric": "minkowski", "p": 3.0},
    ]
    assert_like_plain(X, [{"min_cluster_size": 12, "min_samples": 4, **way} for way in (*ways, {})])


def test_real_customers(card_sample):
    assert_like_plain(
        card_sample, [{"min_cluster_size": m, "min_samples": 10} for m in (15, 25, 50, 100)]
    )


def test_a_drawn_subset_is_clustered_like_any_other_space(card_sample):
    rows = np.unique(np.random.default_rng(1).integers(0, 1500, 1500))
    assert_like_plain(
        card_sample[rows], [{"min_cluster_size": m, "min_samples": 5} for m in (10, 20)]
    )


def test_the_number_of_jobs_decides_nothing(X):
    partitions = fit_many(X, [config(min_cluster_size=8, core_dist_n_jobs=jobs) for jobs in (1, 4)])
    assert (partitions[0].labels == partitions[1].labels).all()


def test_one_infeasible_member_does_not_stop_the_others():
    X = np.random.default_rng(0).normal(size=(30, 2))
    sizes = fit_many(
        X, [config(min_cluster_size=5), config(min_cluster_size=31), config(min_samples=30)]
    )
    assert [type(partition) for partition in sizes] == [Partition, Infeasible, Infeasible]


def test_every_parameter_has_its_constraint():
    assert set(family.constraints()) == set(hdbscan.HDBSCAN().get_params())


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("min_cluster_size", [2, 500], [1, 0, 2.5, "five", None]),
        ("min_samples", [1, None], [0, 1.5, "five"]),
        ("cluster_selection_epsilon", [0, 0.0, 2.5], [-0.1, "wide", None]),
        ("cluster_selection_epsilon_max", [1.0, float("inf")], [-1.0, "wide"]),
        ("cluster_selection_method", ["eom", "leaf"], ["mass", 1]),
        ("alpha", [1, 0.5], [0, -1.0, "one"]),
        ("metric", ["euclidean", "manhattan"], ["precomputed", "euclid", 2]),
        ("allow_single_cluster", [True, False], ["yes", 3]),
    ],
)
def test_constraints(name, allowed, refused):
    constraints = [make_constraint(constraint) for constraint in family.constraints()[name]]

    def is_allowed(value):
        return any(constraint.is_satisfied_by(value) for constraint in constraints)

    assert all(map(is_allowed, allowed))
    assert not any(map(is_allowed, refused))


def test_defaults_of_the_library_meet_the_constraints():
    for name, value in hdbscan.HDBSCAN(memory=None).get_params().items():
        assert any(
            make_constraint(item).is_satisfied_by(value) for item in family.constraints()[name]
        ), name


def test_every_metric_allowed_can_be_fitted():
    X = np.abs(np.random.default_rng(0).normal(size=(60, 3)))
    (metrics,) = family.constraints()["metric"]
    for metric in sorted(metrics.options):
        given = (
            {"p": 2}
            if metric == "minkowski"
            else {"algorithm": "generic"}
            if metric == "cosine"
            else {}
        )
        (partition,) = fit_many(X, [config(min_cluster_size=5, metric=metric, **given)])
        assert isinstance(partition, Partition), (metric, partition)


def test_a_metric_without_a_tree_is_skipped_with_its_reason():
    (partition,) = fit_many(np.ones((30, 2)), [config(min_cluster_size=5, metric="cosine")])
    assert isinstance(partition, Infeasible)
    assert "algorithm=generic" in str(partition)


def test_whole_numbers_do_where_the_library_wants_a_float(X):
    expected = plain(X, min_cluster_size=8, alpha=1.0)
    assert (fit_many(X, [config(min_cluster_size=8, alpha=1)])[0].labels == expected).all()
