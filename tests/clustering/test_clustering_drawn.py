"""Clusterers fitted on drawn customers: sizes shrink with the table, the others join their
nearest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN as SklearnDBSCAN
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from segkit.clustering import fit_drawn, fit_from, fit_thinned, sampled_as
from segkit.clustering.dbscan_kernel import label_drawn
from segkit.clustering.drawn import thinned
from segkit.errors import Infeasible
from segkit.projection.landmarks import nearest

WARD = {"_target_": "sklearn.cluster.AgglomerativeClustering", "n_clusters": 4}
DBSCAN = {"_target_": "sklearn.cluster.DBSCAN", "eps": 1.0, "min_samples": 40}
HDBSCAN = {"_target_": "hdbscan.HDBSCAN", "min_cluster_size": 200, "min_samples": 5}


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(
        4000, centers=[[0, 0], [10, 0], [0, 10], [10, 10]], cluster_std=0.6, random_state=5
    )


@pytest.fixture(scope="module")
def landmarks(blobs):
    return nearest(blobs[0], np.sort(np.random.default_rng(0).choice(4000, 400, replace=False)))


@pytest.mark.parametrize("config", [WARD, DBSCAN, HDBSCAN], ids=lambda c: c["_target_"])
def test_separate_groups_are_found_from_a_tenth_of_the_customers(blobs, landmarks, config):
    space, truth = blobs
    (partition,) = fit_drawn(space, [config], landmarks)
    clustered = partition.labels >= 0
    assert clustered.mean() > 0.9
    assert adjusted_rand_score(truth[clustered], partition.labels[clustered]) == 1.0
    assert partition.figures["fitted_customers"] == 400
    assert partition.figures["fidelity"] > 0.9


def test_the_drawn_customers_keep_the_labels_of_the_plain_fit(blobs, landmarks):
    space, _ = blobs
    (partition,) = fit_drawn(space, [WARD], landmarks)
    plain = AgglomerativeClustering(4).fit_predict(space[landmarks.rows])
    assert adjusted_rand_score(plain, partition.labels[landmarks.rows]) == 1.0


def test_sizes_that_count_customers_shrink_with_the_table():
    assert thinned(DBSCAN, 0.1) == DBSCAN | {"min_samples": 4}
    assert thinned(HDBSCAN, 0.1) == HDBSCAN | {"min_cluster_size": 20, "min_samples": 1}
    assert (
        thinned({"_target_": "hdbscan.HDBSCAN", "min_cluster_size": 100}, 0.5)["min_cluster_size"]
        == 50
    )
    assert thinned(WARD, 0.1) == WARD


@pytest.mark.parametrize(
    ("config", "share", "message"),
    [
        (DBSCAN, 0.01, "min_samples = 40 would be 0.4"),
        (HDBSCAN, 0.001, "min_cluster_size = 200 would be 0.2"),
        ({"_target_": "sklearn.cluster.DBSCAN"}, 0.1, "min_samples = 5 would be 0.5"),
    ],
)
def test_a_size_that_would_vanish_is_refused_and_not_rounded_up(config, share, message):
    with pytest.raises(Infeasible, match=message):
        thinned(config, share)


def test_the_others_of_a_family_do_not_mind_one_that_cannot_be_thinned(blobs):
    few = {**DBSCAN, "min_samples": 3}
    partitions = fit_thinned(blobs[0][:400], [few, DBSCAN], 0.1)
    assert isinstance(partitions[0], Infeasible)
    assert partitions[1].labels.max() == 3


def test_kmeans_has_a_limit_of_its_own():
    assert sampled_as({"_target_": "sklearn.cluster.KMeans"}) == "kmeans"
    assert sampled_as(WARD) == "clustering"


def test_dbscan_counts_everybody_around_the_drawn_customers():
    """With everybody drawn it is DBSCAN, up to border customers between clusters."""
    rng = np.random.default_rng(0)
    space = np.vstack(
        [rng.normal(size=(300, 3)), rng.normal(size=(300, 3)) + 6, rng.uniform(-10, 15, (60, 3))]
    )
    landmarks = nearest(space, np.arange(len(space)))
    (partition,) = fit_drawn(space, [{**DBSCAN, "min_samples": 10}], landmarks)
    plain = SklearnDBSCAN(eps=1.0, min_samples=10).fit_predict(space)
    assert np.array_equal(partition.labels >= 0, plain >= 0)
    assert adjusted_rand_score(plain, partition.labels) > 0.999


def test_dbscan_finds_the_same_core_customers_as_if_all_were_fitted(blobs, landmarks):
    space, _ = blobs
    wanted = [(0.5, 30), (1.0, 40)]
    for eps, least, labels, core in label_drawn(space, landmarks.rows, wanted):
        estimator = SklearnDBSCAN(eps=eps, min_samples=least).fit(space)
        expected = np.isin(landmarks.rows, estimator.core_sample_indices_)
        assert np.array_equal(core, expected)
        assert (labels[core] >= 0).all()


def test_who_is_beyond_the_radius_of_every_core_landmark_is_noise(blobs, landmarks):
    space = np.vstack([blobs[0], [[100.0, 100.0]]])
    partition = fit_drawn(space, [DBSCAN], nearest(space, landmarks.rows))[0]
    assert partition.labels[-1] == -1


def test_kmeans_starts_on_the_drawn_and_ends_on_everybody(blobs):
    space, truth = blobs
    config = {"_target_": "sklearn.cluster.KMeans", "n_clusters": 4, "n_init": 3, "random_state": 0}
    (partition,) = fit_from(space, [config], np.arange(0, 4000, 10))
    plain = KMeans(4, n_init=3, random_state=0).fit(space)
    assert adjusted_rand_score(truth, partition.labels) == 1.0
    assert partition.figures["inertia"] == pytest.approx(plain.inertia_)


def test_kmeans_on_everybody_is_lloyds_fixed_point():
    space = np.random.default_rng(2).normal(size=(3000, 5))
    config = {
        "_target_": "sklearn.cluster.KMeans",
        "n_clusters": 6,
        "n_init": 2,
        "random_state": 1,
        "tol": 0.0,
    }
    (partition,) = fit_from(space, [config], np.arange(0, 3000, 5))
    centres = np.stack([space[partition.labels == i].mean(axis=0) for i in range(6)])
    distances = ((space[:, None] - centres) ** 2).sum(axis=2)
    assert np.array_equal(distances.argmin(axis=1), partition.labels)
    assert partition.figures["inertia"] == pytest.approx(distances.min(axis=1).sum())


@pytest.mark.parametrize(("eps", "least"), [(0.3, 60), (0.5, 150)])
def test_dbscan_joins_everybody_within_the_radius_of_any_core_landmark(eps, least):
    rng = np.random.default_rng(2)
    space = np.r_[rng.normal(size=(3000, 2)), rng.normal(size=(3000, 2)) * 0.3 + [6, 0]]
    rows = np.sort(rng.choice(6000, 600, replace=False))
    ((*_, labels, core),) = label_drawn(space, rows, [(eps, least)])
    (partition,) = fit_drawn(
        space, [DBSCAN | {"eps": eps, "min_samples": least}], nearest(space, rows)
    )
    distances = cdist(space, space[rows[core & (labels >= 0)]])
    reached = distances.min(axis=1) <= eps
    others = np.setdiff1d(np.arange(6000), rows)
    np.testing.assert_array_equal(partition.labels[others] >= 0, reached[others])
    nearest_core = labels[core & (labels >= 0)][distances.argmin(axis=1)]
    both = np.intersect1d(others, np.flatnonzero(reached))
    assert adjusted_rand_score(nearest_core[both], partition.labels[both]) == 1.0
