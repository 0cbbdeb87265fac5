from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_samples as sklearn_samples
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from segkit.scoring import cluster_sums, distances, score_many
from segkit.scoring.contract import Status, group
from segkit.scoring.silhouette import compute_many, compute_sampled, silhouette_samples


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
        others = [
            np.mean(distance[i, labels == c]) for c in np.unique(labels) if c not in (-1, labels[i])
        ]
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


def nested_partitions(X, rng):
    """Trees cut at several heights, with and without noise, related and unrelated ones, and
    repeated clusters."""
    tree = np.argsort(np.argsort(X[:, 0])) * 12 // len(X)
    cuts = [np.minimum(tree, k) for k in (1, 2, 3, 5, 8, 11)]
    noisy = [np.where(X[:, 1] < bound, -1, cut) for bound in (-1, 0) for cut in cuts]
    return [
        *cuts,
        *noisy,
        *(rng.integers(0, k, len(X)) for k in (2, 3, 7, 60)),
        rng.permutation(cuts[3]),
    ]


@pytest.mark.parametrize("make", ["gaussian", "duplicates", "integers"])
def test_clusters_that_partitions_share_leave_every_bit_as_it_is(make, monkeypatch):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(1300, 3))
    X = {"gaussian": X, "duplicates": X[rng.integers(0, 200, 1300)], "integers": np.round(X)}[make]
    partitions = nested_partitions(X, rng)
    batch = [score.value for score in compute_many(X, partitions)]
    assert batch == [compute_many(X, [labels])[0].value for labels in partitions]
    apart = cdist(X, X)
    clustered = [(labels[labels >= 0], apart[labels >= 0][:, labels >= 0]) for labels in partitions]
    exact = [silhouette_score(among, labels, metric="precomputed") for labels, among in clustered]
    assert batch == pytest.approx(exact, rel=1e-9)
    monkeypatch.setattr("segkit.scoring.cluster_sums._FOLDING", np.inf)
    monkeypatch.setattr("segkit.scoring.cluster_sums._complements", lambda numbers, free: {})
    assert batch == [score.value for score in compute_many(X, partitions)]
    monkeypatch.setattr("segkit.scoring.cluster_sums._FOLDING", -1)
    assert batch == [score.value for score in compute_many(X, partitions)]


def test_only_distinct_clusters_are_summed():
    cuts = [np.minimum(np.arange(40) // 4, k) for k in range(1, 10)]
    together = cluster_sums.Together([group(labels) for labels in cuts])
    assert together.height == 10 + 8
    assert together._summed < together.height
    tile = np.random.default_rng(0).integers(0, 2**20, (40, 3)) * 1.0
    sums = np.zeros((together.height, 3))
    together.prepare(slice(0, 40)).add(tile, sums)
    for labels, places in zip(cuts, together.places, strict=True):
        assert np.array_equal(
            sums[places], [tile[labels == c].sum(axis=0) for c in range(labels.max() + 1)]
        )


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
        "segkit.scoring.silhouette._means",
        lambda X, distinct: scored.extend(distinct) or means(X, distinct),
    )
    first, second, third = compute_many(
        X, [labels, labels.copy(), np.where(labels == 0, 99, labels)]
    )
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
    exact = np.sqrt(
        ((points.coordinates[:, None] - points.coordinates[None, 10:40]) ** 2).sum(axis=-1)
    )
    assert np.allclose(tile, exact, rtol=1e-8, atol=0)
    assert (tile[exact == 0] == 0).all()
    assert (exact == 0).sum() >= 30


def sampled_case(seed=0, n=6000, k=5):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    return rng.normal(scale=2.5, size=(k, 4))[labels] + rng.normal(size=(n, 4)), labels


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_the_interval_of_drawn_customers_covers_the_exact_silhouette(noise):
    X, labels = sampled_case()
    labels = np.where(np.random.default_rng(1).random(len(X)) < noise, -1, labels)
    exact = compute_many(X, [labels])[0].value
    draws = (np.random.default_rng([2, i]).choice(6000, 800, replace=False) for i in range(200))
    intervals = np.array([compute_sampled(X, [labels], rows)[0].interval for rows in draws])
    assert 0.88 <= np.mean((intervals[:, 0] <= exact) & (exact <= intervals[:, 1])) <= 1.0
    assert np.ptp(intervals, axis=1).mean() < 0.06


def test_the_interval_is_that_of_leaving_out_each_customer():
    X, labels = sampled_case(3, 240, 4)
    labels[:30] = -1
    rows = np.arange(0, 240, 2)
    (score,) = compute_sampled(X, [labels], rows)
    drawn = rows[labels[rows] >= 0]
    without = [np.delete(drawn, i) for i in range(len(drawn))]
    means = np.array([silhouette_score(X[rest], labels[rest]) for rest in without])
    m, clustered = len(drawn), np.count_nonzero(labels >= 0)
    error = np.sqrt((m - 1) * means.var() * (1 - m / clustered))
    assert np.ptp(score.interval) / 2 == pytest.approx(1.96 * error, rel=0.05)


def test_drawn_customers_are_scored_among_themselves():
    X, labels = sampled_case(1, 900, 6)
    labels[::7] = -1
    rows = np.random.default_rng(0).choice(900, 400, replace=False)
    (score,) = compute_sampled(X, [labels], rows)
    drawn = rows[labels[rows] >= 0]
    assert score.value == pytest.approx(silhouette_score(X[drawn], labels[drawn]), rel=1e-9)
    assert (score.n_scored, score.n_used, score.n_unrepresented) == (
        np.count_nonzero(labels >= 0),
        len(drawn),
        0,
    )
    assert score.coverage == np.mean(labels >= 0)
    assert compute_sampled(X, [labels % 2, labels], rows[::-1])[1] == score


def test_drawing_everybody_gives_the_exact_silhouette_with_no_doubt():
    X, labels = sampled_case(2, 700)
    (score,) = compute_sampled(X, [labels], np.arange(700))
    assert score.value == pytest.approx(compute_many(X, [labels])[0].value, rel=1e-12)
    assert score.interval == (score.value, score.value)


def test_clusters_that_too_few_were_drawn_of_are_counted():
    X, labels = sampled_case(4, 300, 3)
    labels[:9] = [3, 3, 3, 4, 4, 4, 5, 6, 6]
    rows = np.r_[0, 6, np.arange(9, 200)]
    (score,) = compute_sampled(X, [labels], rows)
    assert score.n_unrepresented == 3
    assert score.value == pytest.approx(silhouette_score(X[rows], labels[rows]), rel=1e-9)


def test_statuses_of_drawn_customers():
    X = np.random.default_rng(0).normal(size=(12, 2))
    rows = np.arange(4)
    one, noise, unlucky, apart = compute_sampled(
        X, [np.zeros(12, int), np.full(12, -1), np.arange(12) // 6, np.arange(12) % 6], rows
    )
    assert (one.status, noise.status) == (Status.SINGLE_CLUSTER, Status.ALL_NOISE)
    assert unlucky.status is apart.status is Status.NOT_FEASIBLE
    assert unlucky.value is unlucky.interval is None
    assert unlucky.n_unrepresented == 1


@pytest.mark.parametrize("rows", [[], [0.5], [0, 0], [-1], [12], [[0, 1]]])
def test_rows_that_are_no_draw_are_refused(rows):
    with pytest.raises(ValueError, match="drawn customers must be"):
        compute_sampled(np.ones((12, 2)), [np.arange(12) % 2], np.array(rows))


def test_only_the_scores_that_need_all_pairs_are_sampled():
    X, labels = sampled_case(5, 500)
    rows = np.arange(0, 500, 3)
    (exact,), (sampled,) = score_many(X, [labels]), score_many(X, [labels], rows)
    assert sampled["silhouette"] == compute_sampled(X, [labels], rows)[0]
    assert exact["silhouette"].interval is exact["silhouette"].n_used is None
    assert list(sampled) == list(exact)
    for name in ("davies_bouldin", "calinski_harabasz"):
        assert sampled[name] == exact[name]
