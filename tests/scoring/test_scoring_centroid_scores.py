from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

from segkit.scoring import calinski_harabasz, centroids, davies_bouldin
from segkit.scoring.centroids import spread
from segkit.scoring.contract import Status, group
from segkit.scoring.distances import scaled

SCORES = [
    (davies_bouldin.compute_many, davies_bouldin_score),
    (calinski_harabasz.compute_many, calinski_harabasz_score),
]
both_scores = pytest.mark.parametrize(
    ("ours", "sklearn"), SCORES, ids=["davies_bouldin", "calinski_harabasz"]
)


def random_case(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 300))
    X = rng.normal(size=(n, rng.integers(1, 20))) * rng.uniform(0.1, 50) + rng.uniform(-5, 5)
    return X, rng.integers(0, rng.integers(2, 12), size=n)


def blobs(seed=0, centres=((0, 0), (9, 0), (0, 9)), size=40):
    rng = np.random.default_rng(seed)
    X = np.repeat(np.array(centres, dtype=float), size, axis=0)
    return X + rng.normal(size=X.shape), np.repeat(np.arange(len(centres)), size)


@both_scores
def test_equal_scikit_learn_on_random_partitions(ours, sklearn):
    for seed in range(60):
        X, labels = random_case(seed)
        (score,) = ours(X, [labels])
        assert score.value == pytest.approx(sklearn(X, labels), rel=1e-9), seed


def davies_bouldin_by_definition(X, labels):
    centroids = np.array([X[labels == c].mean(axis=0) for c in np.unique(labels)])
    radii = np.array(
        [np.linalg.norm(X[labels == c] - centroids[c], axis=1).mean() for c in np.unique(labels)]
    )
    apart = squareform(pdist(centroids))
    np.fill_diagonal(apart, np.inf)
    return ((radii[:, None] + radii) / apart).max(axis=1).mean()


@pytest.mark.parametrize("k", [100, 700, 899])
def test_many_clusters(k):
    X = np.random.default_rng(1).normal(size=(900, 4))
    labels = np.r_[np.arange(k), np.random.default_rng(k).integers(0, k, 900 - k)]
    (score,) = davies_bouldin.compute_many(X, [labels])
    assert score.value == pytest.approx(davies_bouldin_by_definition(X, labels), rel=1e-11)
    (score,) = calinski_harabasz.compute_many(X, [labels])
    assert score.value == pytest.approx(calinski_harabasz_score(X, labels), rel=1e-9)


@both_scores
def test_noise_is_left_out_where_scikit_learn_makes_it_a_cluster(ours, sklearn):
    X, labels = blobs()
    noisy = np.r_[X, np.random.default_rng(1).uniform(-12, 20, size=(80, 2))]
    with_noise = np.r_[labels, np.full(80, -1)]
    (score,) = ours(noisy, [with_noise])
    assert score.value == pytest.approx(sklearn(X, labels), rel=1e-9)
    assert abs(sklearn(noisy, with_noise) / score.value - 1) > 0.5
    assert (score.n_scored, score.coverage) == (120, 0.6)


@both_scores
def test_a_score_does_not_depend_on_the_batch(ours, sklearn):
    X, labels = random_case(3)
    others = [np.random.default_rng(k).integers(-1, k, len(X)) for k in (2, 5, 9)]
    assert ours(X, [*others, labels])[-1] == ours(X, [labels])[0]


@both_scores
@pytest.mark.parametrize("scale", [1e-200, 1e-10, 1e10, 1e200])
def test_the_unit_does_not_matter(ours, sklearn, scale):
    X, labels = blobs()
    assert ours(X * scale, [labels])[0].value == pytest.approx(sklearn(X, labels), rel=1e-9)


@pytest.mark.parametrize("n", [50, 16_384, 40_000])
def test_centroids_and_distances_are_those_of_each_cluster_in_blocks_too(n):
    rng = np.random.default_rng(n)
    X, labels = rng.normal(size=(n, 3)), rng.integers(-1, 300 if n > 50 else 3, n)
    points, groups = scaled(X), group(labels)
    clusters = spread(points, groups)
    for c in range(groups.n_clusters):
        members = points[groups.codes == c]
        assert np.allclose(clusters.centroids[c], members.mean(axis=0), rtol=0, atol=1e-14)
        assert np.allclose(
            clusters.squared[clusters.codes == c],
            np.square(members - members.mean(axis=0)).sum(axis=1),
        )


def test_the_spread_is_computed_once_for_both_scores(monkeypatch):
    X, labels = random_case(2)
    partitions = [labels, labels % 2, np.zeros(len(X), int)]
    calls = []
    monkeypatch.setattr(centroids, "spread", lambda *args: calls.append(1) or spread(*args))
    both = list(
        centroids.compute_each(
            X, partitions, [davies_bouldin.of_spread, calinski_harabasz.of_spread]
        )
    )
    assert len(calls) == 2
    monkeypatch.undo()
    assert [each[0] for each in both] == davies_bouldin.compute_many(X, partitions)
    assert [each[1] for each in both] == calinski_harabasz.compute_many(X, partitions)


def test_scikit_learn_calls_tiny_units_perfect():
    X, labels = blobs()
    assert davies_bouldin_score(X * 1e-10, labels) == 0.0
    assert davies_bouldin_score(X, labels) > 0.2


def test_davies_bouldin_of_coinciding_points_has_no_value():
    X, labels = np.full((20, 3), 0.1), np.arange(20) % 2
    assert davies_bouldin_score(X, labels) == 0.0
    (score,) = davies_bouldin.compute_many(X, [labels])
    assert (score.value, score.status) == (None, Status.COINCIDENT_CENTROIDS)


def test_davies_bouldin_of_overlaid_clusters_has_no_value():
    X, labels = blobs(centres=((0, 0), (9, 0), (0, 20)))
    overlaid, overlaid_labels = np.r_[X, X[80:]], np.r_[labels, np.full(40, 3)]
    assert davies_bouldin_score(overlaid, overlaid_labels) < davies_bouldin_score(X, labels)
    (score,) = davies_bouldin.compute_many(overlaid, [overlaid_labels])
    assert (score.value, score.status) == (None, Status.COINCIDENT_CENTROIDS)


@pytest.mark.parametrize("origin", [0.0, 0.1, 1e6])
def test_centroids_that_differ_by_rounding_coincide(origin):
    rng = np.random.default_rng(0)
    half = rng.normal(size=(50, 6))
    X = np.r_[half, rng.permutation(half), half + 8] + origin
    (score,) = davies_bouldin.compute_many(X, [np.repeat([0, 1, 2], 50)])
    assert score.status is Status.COINCIDENT_CENTROIDS


@pytest.mark.parametrize(
    ("gap", "status"), [(1e-6, Status.OK), (1e-12, Status.COINCIDENT_CENTROIDS)]
)
def test_how_near_is_coincident(gap, status):
    half = np.random.default_rng(0).normal(size=(50, 2))
    (score,) = davies_bouldin.compute_many(np.r_[half, half + gap], [np.repeat([0, 1], 50)])
    assert score.status is status


def test_davies_bouldin_of_distinct_repeated_points_is_its_defined_zero():
    X = np.repeat([[0.0, 0.0], [1.0, 2.0]], 5, axis=0)
    (score,) = davies_bouldin.compute_many(X, [np.repeat([0, 1], 5)])
    assert (score.value, score.status) == (0.0, Status.OK)


@pytest.mark.parametrize("origin", [0.0, 0.1, 1e6 / 3])
def test_calinski_harabasz_without_spread_within_has_no_value(origin):
    X = np.repeat([[0.0, 0.7], [1.1, 2.3], [5.2, 1.9]], 7, axis=0) + origin
    labels = np.repeat([0, 1, 2], 7)
    (score,) = calinski_harabasz.compute_many(X, [labels])
    assert (score.value, score.status) == (None, Status.ZERO_WITHIN)


def test_scikit_learn_gives_one_or_a_huge_number_without_spread_within():
    labels = np.repeat([0, 1], 5)
    assert calinski_harabasz_score(np.repeat([[0.0], [1.0]], 5, axis=0), labels) == 1.0
    assert calinski_harabasz_score(np.full((10, 2), 3.0), labels) == 1.0
    (score,) = calinski_harabasz.compute_many(np.full((10, 2), 3.0), [labels])
    assert (score.value, score.status) == (None, Status.ZERO_WITHIN)


@pytest.mark.parametrize(("spread", "status"), [(1e-6, Status.OK), (1e-13, Status.ZERO_WITHIN)])
def test_how_little_is_no_spread_within(spread, status):
    X, labels = blobs()
    X = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 40, axis=0) + spread * (X - np.round(X))
    assert calinski_harabasz.compute_many(X, [labels])[0].status is status
