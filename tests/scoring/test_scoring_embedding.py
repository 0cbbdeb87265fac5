from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.stats import spearmanr
from sklearn.datasets import make_blobs, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from segkit.errors import Infeasible
from segkit.scoring import blocks, embedding
from segkit.scoring.embedding import (
    control_identity,
    control_random_projection,
    quality,
    quality_many,
)


def case(seed, n=150):
    rng = np.random.default_rng(seed)
    high = [
        lambda: rng.normal(size=(n, 7)) * [9, 5, 3, 2, 1, 1, 1],
        lambda: make_blobs(n, 10, centers=4, random_state=seed)[0],
        lambda: make_swiss_roll(n, random_state=seed)[0],
        lambda: rng.standard_cauchy(size=(n, 3)),
    ][seed % 4]()
    return high, (PCA(2).fit_transform(high) if seed % 3 else rng.normal(size=(n, 2)))


def lattice(seed, n=60):
    """Many duplicates and many equal distances, in both spaces."""
    rng = np.random.default_rng(seed)
    high = rng.integers(0, 3, size=(n, 3)).astype(float)
    return high, high[:, :2] + rng.integers(0, 2, size=(n, 2))


def orders(X):
    """All others of each customer, nearest first, ties by index: by the definition."""
    distance = cdist(X, X)
    everybody = range(len(X))
    return [
        sorted((j for j in everybody if j != i), key=lambda j: (distance[i, j], j))
        for i in everybody
    ]


def kept_by_definition(of, among, k):
    """How much the k nearest in one space stay near in the other, against the worst that there
    can be."""
    n = len(of)
    excess = sum(
        max(theirs.index(j) + 1 - k, 0)
        for mine, theirs in zip(of, among, strict=True)
        for j in mine[:k]
    )
    return 1 - excess / (n * sum(max(rank - k, 0) for rank in range(n - k, n)))


def r_nx_by_definition(high, low):
    n = len(high)
    both = [
        np.mean([len(set(a[:K]) & set(b[:K])) / K for a, b in zip(high, low, strict=True)])
        for K in range(1, n - 1)
    ]
    return np.array([((n - 1) * q - K) / (n - 1 - K) for K, q in enumerate(both, start=1)])


@pytest.mark.parametrize("seed", range(12))
def test_trustworthiness_equals_scikit_learn_and_continuity_is_it_the_other_way_round(seed):
    high, low = case(seed)
    for k in (1, 15, 60):
        measured = quality(high, low, k, seed=0)
        assert measured.trustworthiness == pytest.approx(
            trustworthiness(high, low, n_neighbors=k), abs=1e-12
        )
        assert measured.continuity == pytest.approx(
            trustworthiness(low, high, n_neighbors=k), abs=1e-12
        )


@pytest.mark.parametrize("make", [case, lattice])
@pytest.mark.parametrize("seed", [1, 3])
def test_ranks_by_definition_also_with_duplicates_ties_and_many_neighbours(make, seed, monkeypatch):
    high, low = make(seed, 60)
    monkeypatch.setattr(blocks, "CELLS", 2 * 7 * 60)
    by_rank = orders(high), orders(low)
    for k in (1, 15, 29, 30, 45, 58):
        measured = quality(high, low, k, seed=0)
        assert measured.trustworthiness == pytest.approx(
            kept_by_definition(by_rank[1], by_rank[0], k), abs=1e-12
        )
        assert measured.continuity == pytest.approx(kept_by_definition(*by_rank, k), abs=1e-12)
    expected = r_nx_by_definition(*by_rank)
    assert np.abs(measured.r_nx - expected).max() < 1e-12
    assert measured.r_nx_area == pytest.approx(
        np.average(expected, weights=1 / np.arange(1, 59)), abs=1e-12
    )


def test_duplicates_by_hand():
    high, low = np.array([[0.0], [0], [1], [3]]), np.array([[0.0], [1], [10], [11]])
    measured = quality(high, low, 1, seed=0)
    assert (measured.trustworthiness, measured.continuity) == (0.75, 0.75)
    assert measured.r_nx.tolist() == [0.625, 0.25]
    assert measured.r_nx_area == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(6))
def test_spearman_over_all_pairs_equals_scipy(seed):
    high, low = lattice(seed) if seed % 2 else case(seed)
    measured = quality(high, low, seed=0)
    expected = spearmanr(pdist(high, "sqeuclidean"), pdist(low, "sqeuclidean")).statistic
    assert measured.distance_spearman == pytest.approx(expected, abs=1e-12)
    assert measured.n_pairs == len(high) * (len(high) - 1) // 2


def test_spearman_over_sampled_pairs_is_near_that_over_all(monkeypatch):
    high, low = case(4, 700)
    monkeypatch.setattr(embedding, "PAIRS", 100_000)
    measured = quality(high, low, seed="sampled")
    assert measured.n_pairs == 100_000
    assert measured.distance_spearman == pytest.approx(
        spearmanr(pdist(high), pdist(low)).statistic, abs=0.01
    )
    assert measured.distance_spearman != quality(high, low, seed="otherwise").distance_spearman


def test_triplet_accuracy_is_near_that_of_all_triplets(monkeypatch):
    high, low = case(2, 120)
    signs = [np.sign(d[:, :, None] - d[:, None, :]) for d in (cdist(high, high), cdist(low, low))]
    i, j, other = np.ogrid[:120, :120, :120]
    expected = np.mean((signs[0] == signs[1])[(i != j) & (i != other) & (j != other)])
    monkeypatch.setattr(embedding, "TRIPLETS_PER_CUSTOMER", 500)
    assert quality(high, low, seed=5).triplet_accuracy == pytest.approx(expected, abs=0.01)


def test_triplets_are_three_different_customers_and_all_of_them_can_come():
    drawn = [embedding._triplets(4, np.random.default_rng(seed)) for seed in range(100)]
    assert np.bincount(drawn[0][0]).tolist() == [5] * 4
    seen = {tuple(map(int, triplet)) for draw in drawn for triplet in zip(*draw, strict=True)}
    assert seen == {
        (a, b, c) for a in range(4) for b in range(4) for c in range(4) if len({a, b, c}) == 3
    }


@pytest.mark.parametrize("make", [case, lattice])
def test_the_identity_keeps_everything(make):
    high, _ = make(1)
    for same in (control_identity(high), 2.0 * high, -high[:, ::-1]):
        measured = quality(high, same, seed=0)
        assert (measured.trustworthiness, measured.continuity, measured.triplet_accuracy) == (
            1.0,
            1.0,
            1.0,
        )
        assert (measured.r_nx == 1).all()
        assert (measured.r_nx_area, measured.distance_spearman) == pytest.approx(
            (1.0, 1.0), abs=1e-15
        )


def test_a_collapsed_projection_keeps_nothing_and_has_no_correlation():
    high, _ = case(4, 300)
    measured = quality(high, np.zeros((300, 2)), seed=0)
    assert (measured.distance_spearman, measured.triplet_accuracy) == (None, 0.0)
    assert abs(measured.r_nx_area) < 0.05
    assert json.loads(json.dumps(measured.summary(), allow_nan=False))["distance_spearman"] is None


def test_a_projection_unrelated_to_the_space_is_at_chance():
    rng = np.random.default_rng(0)
    measured = quality(rng.normal(size=(500, 5)), rng.normal(size=(500, 2)), seed=0)
    assert measured.trustworthiness == pytest.approx(0.5, abs=0.02)
    assert measured.r_nx_area == pytest.approx(0, abs=0.02)
    assert measured.distance_spearman == pytest.approx(0, abs=0.1)
    assert measured.triplet_accuracy == pytest.approx(0.5, abs=0.05)


def test_the_random_projection_keeps_squared_distances_on_average_and_less_than_pca():
    high, low = case(5, 400)
    controls = [control_random_projection(high, 2, seed) for seed in range(200)]
    assert controls[0].shape == (400, 2)
    ratios = [
        pdist(control, "sqeuclidean").sum() / pdist(high, "sqeuclidean").sum()
        for control in controls
    ]
    assert np.mean(ratios) == pytest.approx(1, abs=0.15)
    assert np.array_equal(controls[3], control_random_projection(high, 2, 3))
    pca, *random = quality_many(high, [low, *controls[:5]], seed=0)
    assert pca.r_nx_area > max(each.r_nx_area for each in random)


def test_the_result_does_not_depend_on_what_else_is_compared():
    high, low = case(7)
    together = quality_many(high, [control_random_projection(high, 3, 1), low, high], seed="space")[
        1
    ]
    alone = quality(high, low, seed="space")
    assert together.summary() == alone.summary()
    assert np.array_equal(together.r_nx, alone.r_nx)


def test_above_the_limit_a_random_sample_is_used_and_said():
    high, low = case(1, 400)
    everybody = quality(high, low, seed="a")
    assert (everybody.n_used, everybody.sampled) == (400, False)
    first, again, other = (quality(high, low, sample=250, seed=seed) for seed in "aab")
    assert (first.n_used, first.sampled, first.n_pairs) == (250, True, 250 * 249 // 2)
    assert first.summary() == again.summary() != other.summary()
    assert first.trustworthiness == pytest.approx(everybody.trustworthiness, abs=0.03)
    assert quality(high, high, sample=250, seed="a").trustworthiness == 1.0


def test_coordinates_of_any_size_are_ordered():
    high, low = case(8)
    usual = quality(high, low, seed=0).summary()
    assert quality(high * 2.0**900, low * 2.0**-900, seed=0).summary() == usual


def test_too_few_customers_for_k_neighbours():
    high, low = case(4, 17)
    assert 0 <= quality(high, low, seed=0).trustworthiness <= 1
    with pytest.raises(Infeasible, match="k=15 needs at least 17 customers, there are 16"):
        quality(high[:16], low[:16], seed=0)
    with pytest.raises(Infeasible, match="there are 10"):
        quality(high, low, sample=10, seed=0)


def test_what_cannot_be_compared_is_refused():
    high, low = case(4, 30)
    with pytest.raises(ValueError, match="30"):
        quality(high, low[:-1], seed=0)
    with pytest.raises(ValueError, match="at least 1"):
        quality(high, low, 0, seed=0)
    with pytest.raises(ValueError, match="finite"):
        quality(high, np.where(low == low[3, 0], np.nan, low), seed=0)
