"""The contract of a score: a value or the reason why there is none, and its customers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from segkit.clustering.arrays import Indices, Labels, Matrix

if TYPE_CHECKING:
    from segkit.scoring.spread import Spread


class Status(StrEnum):
    """Why a score has a value (``ok``) or has none (all others)."""

    OK = "ok"
    SINGLE_CLUSTER = "single_cluster"
    ALL_NOISE = "all_noise"
    TOO_MANY_CLUSTERS = "too_many_clusters"
    COINCIDENT_CENTROIDS = "coincident_centroids"
    ZERO_WITHIN = "zero_within"
    NOT_FEASIBLE = "not_feasible"


@dataclass(frozen=True)
class Score:
    """One score of one partition.

    Attributes
    ----------
    value : float or None
        The score, finite; None unless the status is ``ok``, so that nothing can rank it.
    status : Status
        ``ok``, or the reason why there is no value.
    n_scored : int
        Number of customers that the score speaks for: those in a cluster.
    coverage : float
        ``n_scored`` as a share of all customers, in [0, 1].
    interval : tuple of two floats, optional
        Where the value is an estimate from drawn customers: its 95% interval.
    n_used : int, optional
        Where it is: number of drawn customers in a cluster, whom it was computed on.
    n_unrepresented : int, optional
        Where it is: number of clusters of two or more customers of which fewer than two were drawn,
        and of clusters of one that was not drawn.
    """

    value: float | None
    status: Status
    n_scored: int
    coverage: float
    interval: tuple[float, float] | None = None
    n_used: int | None = None
    n_unrepresented: int | None = None

    def __post_init__(self) -> None:
        if (self.value is not None) != (self.status is Status.OK):
            raise ValueError(
                f"a score has a value if and only if it is ok: {self.value}, {self.status}"
            )
        if self.value is not None and not isfinite(self.value):
            raise ValueError(f"a score must be finite, not {self.value}")
        if self.interval is not None:
            low, high = self.interval
            if self.value is None or not low <= self.value <= high:
                raise ValueError(
                    f"an interval must be around a value: {self.interval}, {self.value}"
                )


@dataclass(frozen=True)
class ScoreDefinition:
    """What the rest of the project needs to know about a score, its module's ``SCORE``.

    Attributes
    ----------
    name : str
        The stem of its columns (``silhouette`` in ``silhouette_native``).
    label : str
        Its name in figures and tables.
    higher_is_better : bool
        The direction in which runs are ranked.
    order : int
        Its place among the scores.
    compute_many : callable
        ``compute_many(X, partitions)`` scores all partitions of one space, given as labels, in
        order.
    compute_sampled : callable, optional
        For a score that needs all pairs of customers: ``compute_sampled(X, partitions, rows)``
        estimates it from the customers at these positions.
    of_spread : callable, optional
        For a score that needs the centroids only: ``of_spread(groups, spread)`` scores one
        partition of status ``ok``, whose `Spread` is then computed once for all such scores.
    """

    name: str
    label: str
    higher_is_better: bool
    order: int
    # Partitions come together, so that a score can share its work between them.
    compute_many: Callable[[Matrix, Sequence[Labels]], list[Score]]
    compute_sampled: Callable[[Matrix, Sequence[Labels], Indices], list[Score]] | None = None
    of_spread: Callable[[Groups, Spread], Score] | None = None


def penalised(value: float, coverage: float, higher_is_better: bool) -> float:
    """Return a score that is penalised for the customers it leaves out as noise.

    Parameters
    ----------
    value : float
        The score over the customers in a cluster.
    coverage : float
        Their share of all customers, in (0, 1].
    higher_is_better : bool
        The score's direction.

    Returns
    -------
    float
        ``coverage * value`` where higher is better and the value is not negative (a negative one
        would gain), ``value / coverage`` where lower is better.
    """
    if not higher_is_better:
        return value / coverage
    return coverage * value if value >= 0 else value


@dataclass(frozen=True)
class Groups:
    """A partition made ready for scoring: clusters numbered 0..k-1 without gaps, -1 for noise.

    Attributes
    ----------
    codes : ndarray of shape (n,), int64
        The cluster of each customer, -1 for noise.
    sizes : ndarray of shape (k,), int64
        The number of customers in each cluster, all positive.
    """

    codes: Indices
    sizes: Indices

    @property
    def n_clusters(self) -> int:
        """Number of clusters, noise not counted."""
        return len(self.sizes)

    @property
    def n_scored(self) -> int:
        """Number of customers in a cluster."""
        return int(self.sizes.sum())

    @property
    def status(self) -> Status:
        """``ok`` if 2 <= k <= n - 1 over the n clustered customers, else what is wrong."""
        if self.n_clusters == 0:
            return Status.ALL_NOISE
        if self.n_clusters == 1:
            return Status.SINGLE_CLUSTER
        if self.n_clusters > self.n_scored - 1:
            return Status.TOO_MANY_CLUSTERS
        return Status.OK

    def clustered(self) -> Groups:
        """Return the partition without the customers that it leaves out."""
        return Groups(self.codes[self.codes >= 0], self.sizes)

    def score(self, value: float) -> Score:
        """Return an ok score of this partition."""
        return Score(float(value), Status.OK, self.n_scored, self.n_scored / len(self.codes))

    def no_score(self, status: Status) -> Score:
        """Return the score without a value of this partition, for the reason given."""
        return Score(None, status, self.n_scored, self.n_scored / len(self.codes))


def group(labels: Labels) -> Groups:
    """Renumber the clusters of a partition without gaps, in the order of their labels.

    Parameters
    ----------
    labels : array of shape (n,), integers
        Any non-negative numbers for clusters, gaps allowed; a negative number is noise.

    Raises
    ------
    ValueError
        If the labels are not a non-empty one-dimensional array of integers.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be a non-empty 1-d array of integers, not {labels.dtype}{labels.shape}"
        )
    clustered = labels >= 0
    numbers = labels[clustered].astype(np.int64)
    # Large numbers would need as many counts.
    if numbers.size and numbers.max() >= labels.size:
        numbers = np.unique(numbers, return_inverse=True)[1]
    counts = np.bincount(numbers)
    codes = np.full(labels.size, -1, dtype=np.int64)
    codes[clustered] = (np.cumsum(counts > 0) - 1)[numbers]
    return Groups(codes, counts[counts > 0])


def group_each(X: Matrix, partitions: Sequence[Labels]) -> Iterator[Groups]:
    """Yield the partitions of one space ready for scoring.

    Raises
    ------
    ValueError
        If a partition does not label all customers of the space.
    """
    for position, labels in enumerate(partitions):
        groups = group(labels)
        if len(groups.codes) != len(X):
            raise ValueError(
                f"partition {position} labels {len(groups.codes)} customers, the space has {len(X)}"
            )
        yield groups


def group_all(X: Matrix, partitions: Sequence[Labels]) -> list[Groups]:
    """Return all partitions of one space ready for scoring, as `group_each` yields them."""
    return list(group_each(X, partitions))
