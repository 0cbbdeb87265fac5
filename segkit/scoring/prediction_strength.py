"""Prediction strength: whether clusters of half the customers predict those of the other half."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from segkit.clustering.arrays import Indices, Labels, Matrix, Vector
from segkit.errors import Infeasible
from segkit.scoring.agreement import contingency
from segkit.scoring.blocks import row_blocks
from segkit.scoring.contract import Status
from segkit.scoring.randomness import generator

if TYPE_CHECKING:
    from segkit.clustering import Partition

SPLITS = 5
SUPPORTED = 0.8  # from here, up to 0.9, the paper calls a number of clusters supported

# The strength of one direction and its status, then those of the other.
Direction: TypeAlias = tuple[float, Status]
Directions: TypeAlias = tuple[Direction, Direction]


@dataclass(frozen=True)
class PredictionStrength:
    """The prediction strength of one clusterer in each split.

    Attributes
    ----------
    strengths : ndarray of shape (splits, 2)
        In [0, 1]: the first half predicting the second, and the second the first; NaN without a
        value.
    statuses : tuple of (str, str), length splits
        ``ok``, or why there is no value.
    """

    strengths: Matrix
    statuses: tuple[tuple[str, str], ...]

    @property
    def per_split(self) -> Vector:
        """Mean of the directions that have a value, for each split that has one."""
        has_value = ~np.isnan(self.strengths)
        valid = has_value.any(axis=1)
        sums = np.where(has_value, self.strengths, 0.0)[valid].sum(axis=1)
        means: Vector = sums / has_value[valid].sum(axis=1)
        return means

    @property
    def status(self) -> Status:
        """``ok`` if any direction of any split has a value, else the most frequent reason."""
        reasons = Counter(status for pair in self.statuses for status in pair)
        return Status.OK if Status.OK in reasons else Status(reasons.most_common(1)[0][0])

    def summary(self) -> dict[str, Any]:
        """Return mean and standard deviation over the splits, and the number of valid ones.

        A figure is None where there is none.
        """
        values = self.per_split
        return {
            "prediction_strength": float(values.mean()) if len(values) else None,
            "prediction_strength_sd": float(values.std(ddof=1)) if len(values) > 1 else None,
            "prediction_strength_status": str(self.status),
            "prediction_strength_splits_valid": len(values),
        }


def split(identity: str, index: int, n: int) -> tuple[Indices, Indices]:
    """Split n customers into two random halves; of an odd number the second has one more.

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
    order = generator(identity, "split", index).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])


def predict_pairs(train: Matrix, train_labels: Labels, test: Matrix, test_labels: Labels) -> Vector:
    """Return the share of each test cluster's pairs that have the same nearest training centroid.

    Parameters
    ----------
    train, test : array of shape (m, d), (t, d)
        Two halves of one space.
    train_labels, test_labels : array of shape (m,), (t,), integers
        The labels of each half clustered alone, numbered 0..k-1; -1 is noise and is left out.

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
    sizes = table.sum(axis=1)
    # Ordered pairs on both sides: the factor 2 cancels.
    together, pairs = (table * (table - 1)).sum(axis=1), sizes * (sizes - 1)
    shares: Vector = np.full(len(pairs), np.nan)
    np.divide(together, pairs, out=shares, where=pairs > 0)
    return shares


def prediction_strength_many(
    X: Matrix, configs: Sequence[Mapping[str, Any]], identity: str, splits: int = SPLITS
) -> list[PredictionStrength | Exception]:
    """Measure how well half of the customers predict the other half's clusters.

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
        In the order of the configurations. One that fails in a half has the exception in its place,
        unless it is only infeasible there.

    Notes
    -----
    A direction has no value, and a status, where a half has no cluster (``all_noise``), where the
    training half has only one, which would always score 1 (``single_cluster``), where all test
    clusters have one member (``too_many_clusters``), and where a half is too small
    (``not_feasible``).

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
    # Each half is clustered once, with all configurations, and serves both directions.
    outcomes: list[list[Directions | Exception]] = [[] for _ in configs]
    for index in range(splits):
        first, second = (np.ascontiguousarray(X[rows]) for rows in split(identity, index, len(X)))
        fitted = zip(fit_many(first, configs), fit_many(second, configs), strict=True)
        for outcome, (in_first, in_second) in zip(outcomes, fitted, strict=True):
            outcome.append(_both_ways(first, in_first, second, in_second))
    return [_collect(outcome) for outcome in outcomes]


def _both_ways(
    first: Matrix,
    in_first: Partition | Exception,
    second: Matrix,
    in_second: Partition | Exception,
) -> Directions | Exception:
    """Return strength and status with the second half as the test half, then with the first."""
    for outcome in (in_first, in_second):
        if isinstance(outcome, Exception) and not isinstance(outcome, Infeasible):
            return outcome
    if isinstance(in_first, Exception) or isinstance(in_second, Exception):
        infeasible = (np.nan, Status.NOT_FEASIBLE)
        return infeasible, infeasible
    return (
        _strength(first, in_first.labels, second, in_second.labels),
        _strength(second, in_second.labels, first, in_first.labels),
    )


def _strength(train: Matrix, train_labels: Labels, test: Matrix, test_labels: Labels) -> Direction:
    """Return the strength of one direction and its status."""
    shares = predict_pairs(train, train_labels, test, test_labels)
    if not len(shares):
        return np.nan, Status.ALL_NOISE
    if train_labels.max() == 0:
        return np.nan, Status.SINGLE_CLUSTER
    if np.isnan(shares).all():
        return np.nan, Status.TOO_MANY_CLUSTERS
    return float(np.nanmin(shares)), Status.OK


def _nearest(points: Matrix, centroids: Matrix) -> Indices:
    """Return the number of the nearest centroid of each point, a block at a time."""
    from scipy.spatial.distance import cdist

    blocks = row_blocks(len(points), len(centroids))
    return np.concatenate([cdist(points[rows], centroids).argmin(axis=1) for rows in blocks])


def _collect(outcomes: Sequence[Directions | Exception]) -> PredictionStrength | Exception:
    """Stack one configuration's splits, or return its first failure."""
    strengths, statuses = [], []
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            return outcome
        (forth, forth_status), (back, back_status) = outcome
        strengths.append([forth, back])
        statuses.append((str(forth_status), str(back_status)))
    return PredictionStrength(np.array(strengths), tuple(statuses))
