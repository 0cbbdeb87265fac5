from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.cluster import hierarchy
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from segkit.clustering import agglomerative, canonical, fit_many
from segkit.clustering.agglomerative import infeasible
from segkit.errors import NoRoom

TARGET = "sklearn.cluster.AgglomerativeClustering"


def config(**given):
    return {"_target_": TARGET, **given}


def plain(X, **given):
    return canonical(AgglomerativeClustering(**given).fit_predict(X))


def assert_like_plain(X, members):
    for given, partition in zip(
        members, fit_many(X, [config(**given) for given in members]), strict=True
    ):
        assert (partition.labels == plain(X, **given)).all(), given


@pytest.mark.parametrize("linkage", ["ward", "complete", "average", "single"])
def test_every_cut_is_the_plain_estimators(X, linkage):
    assert_like_plain(
        X, [{"n_clusters": k, "linkage": linkage} for k in (1, *range(2, 12), 40, 190, len(X))]
    )


@pytest.mark.parametrize("linkage", ["ward", "complete", "average", "single"])
def test_a_cut_at_a_height_is_the_plain_estimators(X, linkage):
    heights = (0.0, 0.5, 1.0, 3.0, 8.0, 1e9)
    assert_like_plain(
        X, [{"n_clusters": None, "distance_threshold": t, "linkage": linkage} for t in heights]
    )


@pytest.mark.parametrize("metric", ["manhattan", "cosine", "l2", "chebyshev"])
def test_other_metrics_are_the_plain_estimators(X, metric):
    X = X + 100.0  # cosine is not defined at the origin
    given = {"metric": metric, "linkage": "average"}
    assert_like_plain(X, [{"n_clusters": k, **given} for k in (2, 5)])


def test_members_of_several_trees_keep_their_order(X):
    linkages = ("ward", "single", "ward", "complete")
    assert_like_plain(
        X, [{"n_clusters": 4 - i % 2, "linkage": linkage} for i, linkage in enumerate(linkages)]
    )


def test_wards_tree_is_grown_from_the_matrix_where_there_are_no_ties(card_sample, monkeypatch):
    X = np.unique(card_sample, axis=0)
    expected = [plain(X, n_clusters=k) for k in (2, 3, 8)]
    monkeypatch.setattr(agglomerative, "_plain_tree", None)
    partitions = fit_many(X, [config(n_clusters=k) for k in (2, 3, 8)])
    assert all((a.labels == b).all() for a, b in zip(partitions, expected, strict=True))


def geometric_line(n):
    """One long chain of nearest neighbours, from the widest gap to the narrowest."""
    return np.cumsum(1.02 ** -np.arange(n))[:, None]


def test_wards_heights_are_those_of_all_distances(X, card_sample):
    for space in (X, card_sample, geometric_line(300), X[:2], X * 1e-6 + 1e3):
        tree, contested = agglomerative._ward_tree(np.ascontiguousarray(space))
        merges = np.arange(len(space) - 1)
        assert (
            np.sort(tree.children.ravel()) == np.arange(2 * len(merges))
        ).all()  # everything merges once
        assert (tree.children.max(axis=1) < len(space) + merges).all()  # after it was made
        if not contested:
            expected = hierarchy.ward(space)[:, 2]
            assert np.allclose(tree.heights, expected, rtol=1e-7, atol=1e-7 * expected[-1])


def test_a_long_chain_is_the_plain_estimators():
    assert_like_plain(geometric_line(700), [{"n_clusters": k} for k in (2, 5, 60, 500)])


def test_what_cannot_be_measured_fails_as_the_plain_estimator_does():
    X = np.random.default_rng(0).normal(size=(20, 2))
    X[3, 1] = np.nan
    (partition,) = fit_many(X, [config(n_clusters=3)])
    with pytest.raises(ValueError, match="contains") as plainly:
        plain(X, n_clusters=3)
    assert str(partition) == str(plainly.value)


def test_up_to_the_largest_number_it_is_the_plain_estimator():
    X = np.random.default_rng(0).uniform(-1e140, 1e140, size=(20, 2))
    assert_like_plain(X, [{"n_clusters": k} for k in (2, 5)])


@pytest.mark.parametrize("given", [{}, {"linkage": "single"}, {"linkage": "average"}])
def test_memory_is_bounded(given):
    for X in (np.random.default_rng(0).normal(size=(1500, 6)), np.zeros((700, 3))):
        fit_many(X[:9], [config(n_clusters=2, **given)])  # compiled
        tracemalloc.start()
        fit_many(X, [config(n_clusters=4, **given)])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # Ward's ties, where everybody is at one place, take the distances of all pairs.
        ties = 0 if X.any() or given else 8 * len(X) ** 2
        assert peak <= agglomerative.memory(config(n_clusters=4, **given), *X.shape) + ties


def test_wards_memory_is_not_quadratic_where_there_are_many_customers():
    assert agglomerative.memory(config(n_clusters=4), 10**6, 10) < 1e9
    assert agglomerative.memory(config(n_clusters=4, linkage="complete"), 10**6, 10) > 1e12


def test_ties_are_noticed():
    square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    tied = np.vstack([square, square + 10])
    loose = tied + np.random.default_rng(0).normal(size=tied.shape) * 0.1
    assert agglomerative._ward_tree(tied)[1]
    assert not agglomerative._ward_tree(loose)[1]
    assert not agglomerative._ward_tree(np.repeat(loose, 3, axis=0))[1]


def test_a_later_tie_between_grown_clusters_is_noticed():
    rng = np.random.default_rng(0)
    middle, outer = np.array([[-1.0], [1.0]]) * 0.1, np.array([[-1.0], [1.0]]) * 0.3
    X = np.vstack([middle, outer + 5, -outer - 5]) + 100
    assert agglomerative._ward_tree(X)[1]
    assert not agglomerative._ward_tree(X + rng.normal(size=X.shape) * 0.01)[1]


def test_a_drawn_subset_is_clustered_like_any_other_space(card_sample):
    rows = np.unique(np.random.default_rng(1).integers(0, 1500, 1500))
    assert_like_plain(
        card_sample[rows], [{"n_clusters": k, "linkage": "ward"} for k in range(2, 11)]
    )


def test_an_option_outside_the_family_is_left_to_the_plain_estimator(X):
    given = {"n_clusters": 3, "compute_full_tree": False}
    assert_like_plain(X, [given, {"n_clusters": 4}])


def test_a_contradiction_fails_as_the_plain_estimator_does():
    X = np.random.default_rng(0).normal(size=(20, 2))
    both, fine = fit_many(X, [config(n_clusters=3, distance_threshold=1.0), config(n_clusters=3)])
    assert "Exactly one of n_clusters and distance_threshold" in str(both)
    assert (fine.labels == plain(X, n_clusters=3)).all()


def test_published_agreement_with_k_means(card_customers):
    ward = fit_many(card_customers, [config(n_clusters=3)])[0]
    kmeans = {
        "_target_": "sklearn.cluster.KMeans",
        "n_clusters": 3,
        "n_init": 10,
        "random_state": 42,
    }
    assert (
        round(adjusted_rand_score(ward.labels, fit_many(card_customers, [kmeans])[0].labels), 4)
        == 0.3597
    )


def test_ward_with_another_metric_is_told_before_it_is_tried():
    X = np.random.default_rng(0).normal(size=(20, 2))
    assert (
        infeasible(config(metric="cosine"), 100)
        == "linkage = ward needs metric = euclidean, not cosine"
    )
    assert infeasible(config(metric="cosine", linkage="average"), 100) is None
    with pytest.raises(ValueError, match="Ward can only work with euclidean"):
        plain(X, metric="cosine")


def test_ties_are_broken_as_by_the_plain_estimator_only_where_there_is_room(monkeypatch):
    X = np.argwhere(np.ones((20, 20))).astype(float)
    monkeypatch.setenv("SEGKIT_WORKER_MEMORY", "500500000")
    (partition,) = fit_many(X, [config(n_clusters=5)])
    assert isinstance(partition, NoRoom)
    assert "0.50 GB of memory for 400 customers, a worker has 0.50 GB" in str(partition)
    (untied,) = fit_many(np.random.default_rng(0).normal(size=(400, 3)), [config(n_clusters=5)])
    assert len(untied.labels) == 400
    monkeypatch.setenv("SEGKIT_WORKER_MEMORY", "2000000000")
    (partition,) = fit_many(X, [config(n_clusters=5)])
    assert len(partition.labels) == 400
