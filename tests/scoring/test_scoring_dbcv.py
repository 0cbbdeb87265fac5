from __future__ import annotations

import numpy as np
import pytest
from hdbscan.validity import all_points_core_distance, validity_index
from scipy.spatial.distance import cdist
from sklearn.datasets import make_moons

from segkit.scoring import blocks
from segkit.scoring import dbcv as module
from segkit.scoring.contract import Status
from segkit.scoring.dbcv import dbcv


def random_case(seed):
    """A partition into clusters of at least three, with noise; every other one has groups."""
    rng = np.random.default_rng(seed)
    n, d, k = int(rng.integers(20, 120)), int(rng.integers(1, 8)), int(rng.integers(2, 5))
    labels = rng.integers(-1, k, size=n)
    labels[: 3 * k] = np.repeat(np.arange(k), 3)
    groups = rng.normal(size=(k + 1, d))[labels] * (4 if seed % 2 else 0)
    return rng.normal(size=(n, d)) + groups, labels


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_reference_implementation_on_random_partitions(seed):
    X, labels = random_case(seed)
    score = dbcv(X, labels, ties="index")
    assert score.value == pytest.approx(validity_index(X, labels), rel=1e-9)
    assert (score.status, score.n_scored) == (Status.OK, np.count_nonzero(labels >= 0))


@pytest.mark.parametrize("seed", range(60, 80))
def test_by_density_it_is_the_reference_with_the_customers_in_the_order_of_density(seed):
    X, labels = random_case(seed)
    core = np.zeros(len(X))
    for cluster in range(labels.max() + 1):
        own = X[labels == cluster]
        core[labels == cluster] = all_points_core_distance(cdist(own, own), X.shape[1])
    order = np.argsort(core)
    assert dbcv(X, labels).value == pytest.approx(validity_index(X[order], labels[order]), rel=1e-9)


def test_the_order_of_the_customers_matters_to_the_reference_and_not_here():
    X, labels = make_moons(200, noise=0.1, random_state=0)
    orders = [np.random.default_rng(seed).permutation(200) for seed in range(8)]
    theirs = [validity_index(X[order], labels[order]) for order in orders]
    assert max(theirs) - min(theirs) > 0.2
    ours = [dbcv(X[order], labels[order]).value for order in orders]
    assert ours == pytest.approx([ours[0]] * 8, rel=1e-12)


@pytest.mark.parametrize("ties", ["density", "index"])
def test_two_clusters_of_three_and_noise_by_hand(ties):
    X = np.array([[0.0], [1], [2], [10], [12], [14], [50], [-70]])
    labels = np.array([0, 0, 0, 1, 1, 1, -1, -1])
    # sparseness 4/3 and 8/3, the core distances of the outer members; separation 11, from 1 to 12
    expected = 3 / 8 * ((11 - 4 / 3) / 11 + (11 - 8 / 3) / 11)
    score = dbcv(X, labels, ties)
    assert score.value == pytest.approx(expected, rel=1e-14)
    assert (score.n_scored, score.coverage) == (6, 0.75)


def test_a_cluster_of_two_is_both_its_members_in_any_order():
    X = np.array([[0.0], [1], [2], [10], [12]])
    labels = np.array([0, 0, 0, 1, 1])
    # sparseness 4/3 and 2; separation 9, from 1 to 10
    expected = 3 / 5 * (9 - 4 / 3) / 9 + 2 / 5 * (9 - 2) / 9
    swapped = np.array([0, 1, 2, 4, 3])
    assert dbcv(X, labels).value == pytest.approx(expected, rel=1e-14)
    assert dbcv(X[swapped], labels).value == pytest.approx(expected, rel=1e-14)
    assert validity_index(X[swapped], labels) != pytest.approx(validity_index(X, labels), rel=1e-3)


def test_a_cluster_of_one_counts_as_noise_does_where_the_reference_fails():
    X, labels = random_case(1)
    alone = np.where(np.arange(len(X)) == np.flatnonzero(labels < 0)[0], 9, labels)
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="shape"):
        validity_index(X, np.where(alone == 9, labels.max() + 1, alone))
    score = dbcv(X, alone)
    assert score.value == dbcv(X, labels).value
    assert score.n_scored == np.count_nonzero(labels >= 0) + 1


def test_gaps_in_the_labels_do_not_matter():
    X, labels = random_case(3)
    gaps = np.where(labels >= 0, 10**12 + 7 * labels, -5)
    assert dbcv(X, gaps) == dbcv(X, labels)
    with pytest.raises((MemoryError, ValueError)):
        validity_index(X, gaps)


def test_float32_is_computed_in_float64_where_the_reference_fails():
    X, labels = random_case(5)
    X = X.astype(np.float32)
    with pytest.raises(ValueError, match="float"):
        validity_index(X, labels)
    assert dbcv(X, labels, "index").value == pytest.approx(
        validity_index(X.astype(float), labels), rel=1e-9
    )


def test_duplicates_are_the_limit_of_near_duplicates_where_the_reference_jumps():
    X, labels = random_case(8)
    doubled, twice = np.r_[X, X], np.r_[labels, labels]
    nearly = doubled + 1e-9 * np.random.default_rng(0).normal(size=doubled.shape)
    assert dbcv(doubled, twice).value == pytest.approx(dbcv(nearly, twice).value, abs=1e-8)
    assert abs(validity_index(doubled, twice) - validity_index(nearly, twice)) > 0.1


def test_clusters_of_duplicates_only():
    X = np.repeat([[0.0, 0], [3, 4], [3, 4]], [4, 3, 3], axis=0)
    apart, overlaid = np.repeat([0, 1], [4, 6]), np.repeat([0, 1, 2], [4, 3, 3])
    assert dbcv(X, apart).value == 1.0
    assert dbcv(X, overlaid).value == pytest.approx(0.4)  # the two on one place have validity 0


def test_many_dimensions_do_not_overflow_where_the_reference_loses_all():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    X = (rng.normal(size=(40, 900)) + 5 * labels[:, None]) * 1e-3

    def core_distances(own):
        distance = cdist(own, own).astype(np.longdouble)
        np.fill_diagonal(distance, np.inf)
        return (np.mean(distance ** np.longdouble(-900), axis=1) * 20 / 19) ** (
            -1 / np.longdouble(900)
        )

    for cluster in (0, 1):
        own = X[labels == cluster]
        assert module._core_distances(own) == pytest.approx(
            core_distances(own).astype(float), rel=1e-12
        )
        with np.errstate(over="ignore", divide="ignore"):
            assert (all_points_core_distance(cdist(own, own), 900) == 0).all()
    assert 0.5 < dbcv(X, labels).value < 1


def test_place_unit_and_blocks_do_not_matter(monkeypatch):
    X, labels = random_case(9)
    value = dbcv(X, labels).value
    for moved in (X + 1e3, X * 1e200, X * 1e-200):
        assert dbcv(moved, labels).value == pytest.approx(value, rel=1e-9)
    monkeypatch.setattr(blocks, "CELLS", 3 * len(X))
    assert dbcv(X, labels).value == pytest.approx(value, rel=1e-14)


def test_noise_lowers_the_score_by_its_share():
    X, labels = random_case(11)
    more = np.r_[X, np.full((len(X), X.shape[1]), 100.0)]
    halved = dbcv(more, np.r_[labels, np.full(len(X), -1)])
    assert halved.value == pytest.approx(dbcv(X, labels).value / 2, rel=1e-9)


@pytest.mark.parametrize(
    ("labels", "status"),
    [
        ([-1] * 6, Status.ALL_NOISE),
        ([0] * 6, Status.SINGLE_CLUSTER),
        ([0, 0, 0, -1, -1, -1], Status.SINGLE_CLUSTER),
        ([0, 0, 0, 0, 1, 2], Status.SINGLE_CLUSTER),
        ([0, 1, 2, 3, 4, 5], Status.TOO_MANY_CLUSTERS),
        ([0, 1, 2, -1, -1, -1], Status.TOO_MANY_CLUSTERS),
    ],
)
def test_partitions_without_a_value(labels, status):
    score = dbcv(np.random.default_rng(0).normal(size=(6, 2)), np.array(labels))
    assert (score.value, score.status) == (None, status)
