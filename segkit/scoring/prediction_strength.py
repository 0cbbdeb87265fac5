"""Prediction strength: whether clusters found in one half of the customers tell who is together in the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from segkit.errors import Infeasible
from segkit.scoring.agreement import contingency
from segkit.scoring.contract import Status

SPLITS = 5
SUPPORTED = 0.8  # from here, up to 0.9, the paper calls a number of clusters supported
_BLOCK_CELLS = 2**20


@dataclass(frozen=True)
class PredictionStrength:
    """What the splits say about one clusterer.

    Attributes
    ----------
    strengths : ndarray of shape (splits, 2)
        In [0, 1]: the first half predicting the second, and the second the first; NaN without a
        value.
    statuses : tuple of (str, str), length splits
        ``ok``, or why there is no value.
    """

    strengths: np.ndarray
    statuses: tuple[tuple[str, str], ...]

    @property
    def per_split(self) -> np.ndarray:
        """Mean of the directions that have a value, for each split that has one."""
        has_value = ~np.isnan(self.strengths)
        found = has_value.any(axis=1)
        return np.where(has_value, self.strengths, 0.0)[found].sum(axis=1) / has_value[found].sum(
            axis=1
        )

    @property
    def status(self) -> Status:
        """``ok`` if any direction of any split has a value, else the most frequent reason why not."""
        reasons = Counter(status for pair in self.statuses for status in pair)
        return Status.OK if Status.OK in reasons else Status(reasons.most_common(1)[0][0])

    def summary(self) -> dict[str, Any]:
        """Return mean and standard deviation over the splits, None where there is none, and how many count."""
        values = self.per_split
        return {
            "prediction_strength": float(values.mean()) if len(values) else None,
            "prediction_strength_sd": float(values.std(ddof=1)) if len(values) > 1 else None,
            "prediction_strength_status": str(self.status),
            "prediction_strength_splits_valid": len(values),
        }


def split(identity: str, index: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut n customers in two random halves; with an odd number the second has one more.

    Parameters
    ----------
    identity : str
        What the splits belong to (the data): the same identity and index give the same halves in
        every run.
    index : int
        The number of the split.
    n : int
        Number of customers.

    Returns
    -------
    tuple of two ndarrays, int64
        Row positions, ascending.
    """
    seed = int.from_bytes(sha256(f"{identity}\0split\0{index}".encode()).digest()[:16])
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])


def predict_pairs(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> np.ndarray:
    """Return for each test cluster the share of its pairs that the nearest training centroids put together.

    Parameters
    ----------
    train, test : array of shape (m, d), (t, d)
        Two halves of one space.
    train_labels, test_labels : array of shape (m,), (t,), integers
        What was found in each half on its own, numbered 0..k-1; -1 is noise and is left out.

    Returns
    -------
    ndarray of shape (k_test,)
        In [0, 1]; NaN for a cluster of one, which has no pairs. Empty if either half has no
        cluster.
    """
    members, codes = train[train_labels >= 0], train_labels[train_labels >= 0]
    clustered = test_labels >= 0
    if not len(codes) or not clustered.any():
        return np.empty(0)
    sums = [np.bincount(codes, weights=column) for column in members.T]
    centroids = np.column_stack(sums) / np.bincount(codes)[:, None]
    table = contingency(test_labels[clustered], _nearest(test[clustered], centroids))[1:, 1:]
    together, pairs = (table * (table - 1)).sum(axis=1), table.sum(axis=1) * (table.sum(axis=1) - 1)
    return np.divide(together, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def prediction_strength_many(
    X: np.ndarray, configs: Sequence[Mapping[str, Any]], identity: str, splits: int = SPLITS
) -> list[PredictionStrength | Exception]:
    """Measure how well each configuration of a family predicts, from one half of the customers, the other.

    Both halves are clustered. Each clustered customer of the test half goes to the nearest centroid
    of the training half's clusters; the strength is the least, over the test half's clusters, of
    the share of its pairs that go to the same centroid. Each half is the test half once. Range [0,
    1], higher is better; 0.8 to 0.9 is the paper's bar for a number of clusters.

    Parameters
    ----------
    X : array of shape (n, d)
        The space.
    configs : sequence of mappings
        Clusterer configurations of one class, so that they share their work on each half.
    identity : str
        What the splits belong to; see `split`.
    splits : int
        How many times the customers are split.

    Returns
    -------
    list of PredictionStrength or Exception
        In the order of the configurations; one that fails in a half other than by being infeasible
        has that error in its place.

    Notes
    -----
    A direction has no value, and a status, where a half has no cluster (``all_noise``), where the
    training half has one cluster only, which puts everybody together and would always score 1
    (``single_cluster``), where all test clusters have one member (``too_many_clusters``), and where
    a half is too small (``not_feasible``).

    A test cluster of one has no pairs and is left out of the minimum, which is the same as the
    value 1 that the R package fpc gives it. Centroids stand for clusters, so a clusterer whose
    clusters are not convex scores lower than it predicts. With equal centroid distances the lower
    cluster number is taken.

    References
    ----------
    Tibshirani, R. and Walther, G. (2005). Cluster validation by prediction strength. Journal of
    Computational and Graphical Statistics 14, 511-528.
    """
    from segkit.clustering import fit_many

    if splits < 1:
        raise ValueError(f"splits must be at least 1, not {splits}")
    X = np.ascontiguousarray(X, dtype=np.float64)
    outcomes: list[list] = [[] for _ in configs]
    for index in range(splits):
        halves = [np.ascontiguousarray(X[rows]) for rows in split(identity, index, len(X))]
        for outcome, *found in zip(
            outcomes, *(fit_many(half, configs) for half in halves), strict=True
        ):
            outcome.append(_both_ways(halves, found))
    return [_collect(outcome) for outcome in outcomes]


def _both_ways(
    halves: Sequence[np.ndarray], found: Sequence[Any]
) -> list[tuple[float, Status]] | Exception:
    """Return strength and status with the second half as the test half, then with the first."""
    failures = [each for each in found if isinstance(each, Exception)]
    if failures:
        serious = [failure for failure in failures if not isinstance(failure, Infeasible)]
        return serious[0] if serious else [(np.nan, Status.NOT_FEASIBLE)] * 2
    (first, second), (a, b) = halves, (each.labels for each in found)
    return [_strength(first, a, second, b), _strength(second, b, first, a)]


def _strength(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> tuple:
    """Return the strength of one direction and its status."""
    shares = predict_pairs(train, train_labels, test, test_labels)
    if not len(shares):
        return np.nan, Status.ALL_NOISE
    if train_labels.max() == 0:
        return np.nan, Status.SINGLE_CLUSTER
    if np.isnan(shares).all():
        return np.nan, Status.TOO_MANY_CLUSTERS
    return float(np.nanmin(shares)), Status.OK


def _nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the number of the nearest centroid of each point, a block at a time."""
    from scipy.spatial.distance import cdist

    step = max(1, _BLOCK_CELLS // len(centroids))
    blocks = (points[start : start + step] for start in range(0, len(points), step))
    return np.concatenate([cdist(block, centroids).argmin(axis=1) for block in blocks])


def _collect(outcomes: Sequence[list | Exception]) -> PredictionStrength | Exception:
    """Stack one configuration's splits."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            return outcome
    return PredictionStrength(
        strengths=np.array([[value for value, _ in pair] for pair in outcomes]),
        statuses=tuple((str(first), str(second)) for (_, first), (_, second) in outcomes),
    )
