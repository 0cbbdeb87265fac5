from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from segkit.scoring.agreement import (
    adjusted_rand,
    adjusted_rand_of,
    contingency,
    contingency_many,
    truth_ari,
)
from segkit.scoring.contract import Status


def random_pair(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 400))
    a = rng.integers(0, rng.integers(2, 12), n)
    return a, np.where(rng.random(n) < rng.random(), a, rng.integers(0, rng.integers(2, 12), n))


@pytest.mark.parametrize("seed", range(60))
def test_equals_scikit_learn_on_random_partitions(seed):
    a, b = random_pair(seed)
    score = adjusted_rand(a, b)
    assert score.value == pytest.approx(adjusted_rand_score(a, b), rel=1e-12, abs=1e-15)
    assert np.array_equal(
        contingency(a, b)[1:, 1:][np.unique(a)][:, np.unique(b)], contingency_matrix(a, b)
    )


def test_equals_counting_the_pairs():
    a, b = [0, 0, 1, 1, 2, 2, 2], [0, 0, 0, 1, 1, 2, 2]
    pairs = list(combinations(range(7), 2))
    same_a = [a[i] == a[j] for i, j in pairs]
    same_b = [b[i] == b[j] for i, j in pairs]
    together = sum(p and q for p, q in zip(same_a, same_b, strict=True))
    chance = Fraction(sum(same_a) * sum(same_b), len(pairs))
    expected = (together - chance) / (Fraction(sum(same_a) + sum(same_b), 2) - chance)
    assert adjusted_rand(np.array(a), np.array(b)).value == float(expected)


def test_noise_of_either_is_left_out():
    a, b = random_pair(1)
    a, b = a.copy(), b.copy()
    a[:3], b[2:7] = -1, -1
    score = adjusted_rand(a, b)
    assert score.value == pytest.approx(adjusted_rand_score(a[7:], b[7:]), rel=1e-12)
    assert (score.n_scored, score.coverage) == (len(a) - 7, (len(a) - 7) / len(a))


@pytest.mark.parametrize(
    ("a", "b", "status"),
    [
        ([0] * 5, [0] * 5, Status.SINGLE_CLUSTER),
        ([-1] * 5, [-1] * 5, Status.ALL_NOISE),
        ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], Status.TOO_MANY_CLUSTERS),
    ],
)
def test_where_scikit_learn_says_one_there_is_no_value(a, b, status):
    assert adjusted_rand_score(a, b) == 1.0
    score = adjusted_rand(np.array(a), np.array(b))
    assert (score.value, score.status) == (None, status)


def test_clusters_against_only_noise_have_nobody_to_compare():
    score = adjusted_rand(np.array([0, 0, 1, 1]), np.full(4, -1))
    assert (score.value, score.status, score.n_scored) == (None, Status.ALL_NOISE, 0)


def test_one_cluster_against_several_is_chance():
    assert adjusted_rand(np.zeros(6, int), np.array([0, 0, 1, 1, 2, 2])).value == 0.0


def test_pair_counts_do_not_overflow():
    table = np.zeros((3, 3), dtype=np.int64)
    table[1:, 1:] = [[4_000_000, 1_000_000], [1_000_000, 4_000_000]]

    def pairs(count):
        return Fraction(count * (count - 1), 2)

    together = 2 * pairs(4_000_000) + 2 * pairs(1_000_000)
    margin, total = 2 * pairs(5_000_000), pairs(10_000_000)
    expected = (together - margin**2 / total) / (margin - margin**2 / total)
    assert adjusted_rand_of(table).value == pytest.approx(float(expected), rel=1e-15)


def test_contingency_counts_noise_and_keeps_empty_clusters():
    table = contingency(np.array([0, -1, 0, 2]), np.array([1, -1, -1, 0]), k_a=4)
    assert table.tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="same customers"):
        contingency(np.zeros(3, int), np.zeros(4, int))


def test_truth_is_compared_on_the_clustered():
    truth = np.repeat([0, 1, 2], 10)
    labels = np.repeat([2, 0, 1], 10)
    labels[::10] = -1
    score = truth_ari(labels, truth)
    assert (score.value, score.coverage) == (1.0, 0.9)


def test_tables_made_together_are_those_made_apart():
    rng = np.random.default_rng(0)
    a = [rng.integers(-1, k, 80).astype(np.int16) for k in (1, 4, 9, 2)]
    b = [rng.integers(-1, k, 80) for k in (3, 1, 7, 30)]
    b[1][:] = -1
    k = [1, 6, 9, 2]
    for table, *pair in zip(contingency_many(a, b, k), a, b, k, strict=True):
        assert np.array_equal(table, contingency(*pair))
    assert contingency_many([], [], []) == []
    with pytest.raises(ValueError, match="same customers"):
        contingency_many([np.zeros(3, int)], [np.zeros(4, int)], [1])
