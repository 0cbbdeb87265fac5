from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples as sklearn_samples
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from segkit.scoring import distances
from segkit.scoring.contract import Status
from segkit.scoring.silhouette import compute_many, silhouette_samples


def random_case(seed, n=None):
    rng = np.random.default_rng(seed)
    n = n or int(rng.integers(20, 300))
    X = rng.normal(size=(n, rng.integers(1, 20))) * rng.uniform(0.1, 50) + rng.uniform(-5, 5)
    return X, rng.integers(0, rng.integers(2, 12), size=n)


def by_definition(X, labels):
    distance = np.sqrt(((X[:, None].astype(np.longdouble) - X[None]) ** 2).sum(axis=-1))
    out = np.full(len(X), np.nan)
    for i in np.flatnonzero(labels >= 0):
        own = np.flatnonzero(labels == labels[i])
        others = [np.mean(distance[i, labels == c]) for c in np.unique(labels) if c not in (-1, labels[i])]
        a, b = distance[i, own].sum() / max(len(own) - 1, 1), min(others)
        out[i] = 0 if len(own) == 1 or max(a, b) == 0 else (b - a) / max(a, b)
    return out


@pytest.mark.parametrize("seed", range(50))
def test_equals_scikit_learn_on_random_partitions(seed):
    X, labels = random_case(seed)
    assert np.abs(silhouette_samples(X, labels) - sklearn_samples(X, labels)).max() < 1e-11
    (score,) = compute_many(X, [labels])
    assert score.value == pytest.approx(silhouette_score(X, labels), rel=1e-9)
    assert (score.n_scored, score.coverage) == (len(X), 1.0)


@pytest.mark.parametrize("n", [511, 512, 513, 1024, 1025, 2100])
def test_equals_scikit_learn_at_the_edges_of_the_blocks(n):
    X, labels = random_case(n, n)
    assert np.abs(silhouette_samples(X, labels) - sklearn_samples(X, labels)).max() < 1e-11


@pytest.mark.parametrize("k", [64, 65, 300, 1100, 1199])
def test_equals_scikit_learn_with_many_clusters(k):
    rng = np.random.default_rng(k)
    X = rng.normal(size=(1200, 3))
    labels = rng.permutation(np.r_[np.arange(k), rng.integers(0, k, 1200 - k)])
    assert np.abs(silhouette_samples(X, labels) - sklearn_samples(X, labels)).max() < 1e-11


def test_more_clusters_than_fit_in_one_pass():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2500, 2))
    many = np.r_[np.arange(2300), rng.integers(0, 2300, 200)]
    few = [rng.integers(0, 60, 2500) for _ in range(40)]
    together = compute_many(X, [*few[:20], many, *few[20:]])
    assert together[20].value == pytest.approx(silhouette_score(X, many), rel=1e-9)
    assert together[39].value == pytest.approx(silhouette_score(X, few[38]), rel=1e-9)


def test_a_partition_has_the_same_bits_alone_and_in_any_batch():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(1500, 7)) * [1, 1, 1, 1, 1, 5, 300]
    sizes = [2, 3, 5, 7, 11, 13, 40, 64, 65, 130]
    partitions = [rng.integers(-1, k, 1500) for k in sizes]
    alone = [compute_many(X, [labels])[0].value for labels in partitions]
    for order in (range(10), range(9, -1, -1), rng.permutation(10), [0, 0, 3, 0], [8, 2]):
        batch = compute_many(X, [partitions[i] for i in order])
        assert [score.value for score in batch] == [alone[i] for i in order]


def test_the_two_ways_of_summing_agree_to_the_bit(monkeypatch):
    rng = np.random.default_rng(4)
    X, labels = rng.standard_cauchy(size=(1300, 4)), rng.integers(-1, 30, 1300)
    by_product = silhouette_samples(X, labels)
    monkeypatch.setattr("segkit.scoring.silhouette._DENSE_CLUSTERS", 0)
    assert np.array_equal(by_product, silhouette_samples(X, labels), equal_nan=True)


def test_threads_do_not_matter():
    X, labels = random_case(9, 1700)
    with threadpool_limits(1):
        one = silhouette_samples(X, labels)
    with threadpool_limits(2):
        two = silhouette_samples(X, labels)
    assert np.abs(one - two).max() < 1e-13


def test_duplicated_partitions_are_scored_once(monkeypatch):
    X, labels = random_case(1)
    scored = []
    means = compute_many.__globals__["_means"]
    monkeypatch.setattr(
        "segkit.scoring.silhouette._means", lambda X, distinct: scored.extend(distinct) or means(X, distinct)
    )
    first, second, third = compute_many(X, [labels, labels.copy(), np.where(labels == 0, 99, labels)])
    assert first == second
    assert third.value == pytest.approx(first.value, rel=1e-12)
    assert len(scored) == 2


def test_noise_is_left_out_as_rows_and_as_columns():
    rng = np.random.default_rng(0)
    blobs = np.repeat([[0, 0], [9, 0], [0, 9]], 40, axis=0) + rng.normal(size=(120, 2))
    X = np.r_[blobs, rng.uniform(-12, 20, size=(80, 2))]
    labels = np.r_[np.repeat([0, 1, 2], 40), np.full(80, -1)]
    truth = silhouette_score(blobs, labels[:120])
    assert silhouette_score(X, labels) < 0.3 < 0.75 < truth
    (score,) = compute_many(X, [labels])
    assert score.value == pytest.approx(truth, rel=1e-12)
    assert (score.n_scored, score.coverage) == (120, 0.6)
    samples = silhouette_samples(X, labels)
    assert np.isnan(samples[120:]).all()
    assert np.abs(samples[:120] - sklearn_samples(blobs, labels[:120])).max() < 1e-11


def test_a_cluster_of_one_has_silhouette_zero():
    X = np.array([[0.0], [1.0], [10.0]])
    assert silhouette_samples(X, np.array([0, 0, 1])).tolist() == [0.9, 1 - 1 / 9, 0.0]


def test_coinciding_points_of_two_clusters_have_silhouette_zero():
    rng = np.random.default_rng(0)
    for origin in (0.0, 0.1, 1e3, 1e7 / 3):
        X = np.repeat(rng.normal(size=(300, 7)), 4, axis=0) + origin
        assert (silhouette_samples(X, np.arange(1200) // 2) == 0).all()


def test_a_far_origin_does_not_matter_where_it_misleads_scikit_learn():
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]], 40, axis=0) + rng.normal(size=(120, 2))
    labels = np.repeat([0, 1, 2], 40)
    truth = sklearn_samples(X, labels)
    assert np.abs(sklearn_samples(X + 1e8, labels) - truth).max() > 0.1
    assert np.abs(silhouette_samples(X + 1e8, labels) - truth).max() < 1e-6


def test_all_points_coinciding_give_zero():
    (score,) = compute_many(np.full((10, 3), 0.1), [np.arange(10) % 2])
    assert (score.value, score.status) == (0.0, Status.OK)


@pytest.mark.parametrize("seed", range(5))
def test_exact_on_duplicates_outliers_and_far_origins(seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 4, size=(70, 3)) * 0.1 + [1e3, -1e5, 0]
    X[0] += 1e5
    X[1:4] += 1e-6
    labels = rng.integers(-1, 4, 70)
    ours, exact = silhouette_samples(X, labels), by_definition(X, labels)
    assert np.allclose(ours, exact.astype(float), rtol=0, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1e9, 1e200])
def test_the_unit_does_not_matter(scale):
    X, labels = random_case(5)
    same = compute_many(X * scale, [labels])[0].value
    assert same == pytest.approx(compute_many(X, [labels])[0].value, rel=1e-12)


def test_no_samples_where_there_is_no_score():
    X = np.random.default_rng(0).normal(size=(5, 2))
    for labels in ([0] * 5, [-1] * 5, [0, 1, 2, 3, 4]):
        assert np.isnan(silhouette_samples(X, np.array(labels))).all()


def test_distances_are_right_where_the_expanded_formula_cancels():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(20, 5)), 3, axis=0)
    X[2::3] += 1e-9 * rng.normal(size=(20, 5))
    points = distances.centred(X + 10)
    tile = distances.distance_tile(points, slice(0, 60), slice(10, 40))
    exact = np.sqrt(((points.coordinates[:, None] - points.coordinates[None, 10:40]) ** 2).sum(axis=-1))
    assert np.allclose(tile, exact, rtol=1e-8, atol=0)
    assert (tile[exact == 0] == 0).all()
    assert (exact == 0).sum() >= 30
