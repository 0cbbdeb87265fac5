"""Embedding quality: how much of a space's order of distances its projection keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from segkit.clustering.arrays import Indices, Mask, Matrix, Vector
from segkit.errors import Infeasible
from segkit.scoring.blocks import row_blocks
from segkit.scoring.randomness import generator

NEIGHBOURS = 15
CUSTOMERS = 10_000  # above so many, a sample is compared
PAIRS = 1_000_000  # above so many, a sample is correlated
TRIPLETS_PER_CUSTOMER = 5


@dataclass(frozen=True)
class EmbeddingQuality:
    """What a projection keeps of its space; in every figure 1 is all of it.

    Attributes
    ----------
    trustworthiness : float
        In [0, 1]; 1 if nobody is among the k nearest in the projection who is not among them in the
        space.
    continuity : float
        In [0, 1]; 1 if nobody is among the k nearest in the space who is not among them in the
        projection.
    r_nx : ndarray of shape (n_used - 2,)
        For K = 1, ..., n_used - 2, the share of the K nearest that both have, rescaled to 0 by
        chance.
    r_nx_area : float
        Mean of `r_nx` weighted by 1 / K, so that each doubling of K counts alike.
    distance_spearman : float or None
        Spearman correlation of the pairwise distances, in [-1, 1]; None where all distances of one
        are equal.
    triplet_accuracy : float
        Share of random triplets (a customer and two others) in which the same one of the two is
        nearer in both, or neither; 0.5 by chance.
    k : int
        Number of neighbours for trustworthiness and continuity.
    n_used : int
        Number of customers that the figures speak for.
    sampled : bool
        Whether those are a random sample.
    n_pairs : int
        Number of pairs behind `distance_spearman`; all of them, or a random sample with
        replacement.
    """

    trustworthiness: float
    continuity: float
    r_nx: Vector
    r_nx_area: float
    distance_spearman: float | None
    triplet_accuracy: float
    k: int
    n_used: int
    sampled: bool
    n_pairs: int

    def summary(self) -> dict[str, float | None]:
        """Return the five figures by name, without the curve."""
        names = (
            "trustworthiness",
            "continuity",
            "r_nx_area",
            "distance_spearman",
            "triplet_accuracy",
        )
        return {name: getattr(self, name) for name in names}


def quality(
    high: Matrix,
    low: Matrix,
    k: int = NEIGHBOURS,
    sample: int = CUSTOMERS,
    *,
    seed: int | str,
) -> EmbeddingQuality:
    """Compare a projection with the space it was made from; see `quality_many`."""
    return quality_many(high, [low], k, sample, seed=seed)[0]


def quality_many(
    high: Matrix,
    lows: Sequence[Matrix],
    k: int = NEIGHBOURS,
    sample: int = CUSTOMERS,
    *,
    seed: int | str,
) -> list[EmbeddingQuality]:
    """Compare several projections of one space with it, ordering the space's distances only once.

    Each customer is left out of its own neighbours by its index, and equal distances are ordered by
    index, so that duplicates do no harm. The result does not depend on what else is compared.

    Parameters
    ----------
    high : array of shape (n, D)
        The space; finite.
    lows : sequence of arrays of shape (n, q)
        Projections of the same customers, each with its own q; finite.
    k : int
        Number of neighbours for trustworthiness and continuity.
    sample : int
        Above this number of customers, a random sample of this size is used.
    seed : int or str
        What the random choices belong to, best the identity of the space: the same value chooses
        the same customers, pairs and triplets for all its projections.

    Returns
    -------
    list of EmbeddingQuality
        In the order of the projections.

    Raises
    ------
    Infeasible
        If there are fewer than k + 2 customers: everybody is everybody's neighbour then.

    Notes
    -----
    Time O(n^2 (D + log n)) for the n customers used, memory O(n) times a small block. The Spearman
    correlation is over all pairs up to 1,000,000 (n = 1,414), and over as many drawn at random
    above, which leaves a standard error of about 0.001. Trustworthiness and continuity use the
    normalisation for k >= n / 2 where it applies.

    References
    ----------
    Venna, J. and Kaski, S. (2001). Neighborhood preservation in nonlinear projection methods: an
    experimental study. ICANN 2001, 485-491. Lee, J. A. and Verleysen, M. (2009). Quality assessment
    of dimensionality reduction: rank-based criteria. Neurocomputing 72, 1431-1443; the area under
    log K in Lee et al. (2015), Neurocomputing 169, 246-261. Wang, Y. et al. (2021). Understanding
    how dimension reduction tools work. Journal of Machine Learning Research 22 (201): the random
    triplets.
    """
    n = len(high)
    if any(len(low) != n for low in lows):
        raise ValueError(
            f"projections have {[len(low) for low in lows]} customers, the space has {n}"
        )
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if min(n, sample) < k + 2:
        raise Infeasible(
            f"embedding quality at k={k} needs at least {k + 2} customers, "
            f"there are {min(n, sample)}"
        )
    # The sample depends on the seed alone, so that all projections of a space share it.
    rows: slice | Indices = slice(None)
    if n > sample:
        rows = np.sort(_random(seed, "sample").choice(n, sample, replace=False))
    space, projections = _columns(high, rows), [_columns(low, rows) for low in lows]
    neighbourhoods = _compare_ranks(space, projections, k)
    correlations, n_pairs = _distance_spearmans(space, projections, seed)
    accuracies = _triplet_accuracies(space, projections, seed)
    return [
        EmbeddingQuality(
            trustworthiness=near.trustworthiness,
            continuity=near.continuity,
            r_nx=near.r_nx,
            r_nx_area=near.r_nx_area,
            distance_spearman=correlation,
            triplet_accuracy=accuracy,
            k=k,
            n_used=space.shape[1],
            sampled=n > sample,
            n_pairs=n_pairs,
        )
        for near, correlation, accuracy in zip(
            neighbourhoods, correlations, accuracies, strict=True
        )
    ]


def control_random_projection(high: Matrix, q: int, seed: int | str) -> Matrix:
    """Project a space at random to q dimensions, as a control that learns nothing.

    Parameters
    ----------
    high : array of shape (n, D)
        The space.
    q : int
        Number of dimensions, that of the projection to be compared.
    seed : int or str
        What the random directions belong to.

    Returns
    -------
    ndarray of shape (n, q)
        The space times a matrix of independent normal numbers with variance 1 / q.
    """
    high = np.asarray(high, dtype=np.float64)
    directions = _random(seed, "projection").normal(scale=q**-0.5, size=(high.shape[1], q))
    return high @ directions


def control_identity(high: Matrix) -> Matrix:
    """Return the space itself, as a control that loses nothing: 1 in every figure."""
    return np.array(high, dtype=np.float64)


def _random(seed: int | str, purpose: str) -> np.random.Generator:
    return generator(seed, "embedding", purpose)


def _columns(X: Matrix, rows: slice | Indices) -> Matrix:
    """Return some customers' coordinates as contiguous columns, (d, rows).

    They are scaled by a power of two, so that their squares are finite.
    """
    X = np.asarray(X, dtype=np.float64)
    if X.ndim != 2 or X.size == 0 or not np.isfinite(X).all():
        raise ValueError(f"a space must be a finite, non-empty matrix; got one of shape {X.shape}")
    return np.ascontiguousarray(np.ldexp(X[rows], -np.frexp(np.abs(X).max())[1]).T)


def _squared_distances(columns: Matrix, i: Indices, j: Indices) -> Matrix:
    """Return squared distances of customers i and j, broadcast, summed column by column.

    A pair has the same bits wherever it is computed, so that equal distances tie.
    """
    total = np.zeros(np.broadcast_shapes(i.shape, j.shape))
    for column in columns:
        difference = column[i] - column[j]
        difference *= difference
        total += difference
    return total


# ranks


class _Neighbourhoods(NamedTuple):
    """What a projection keeps of the order of each customer's neighbours."""

    trustworthiness: float
    continuity: float
    r_nx: Vector
    r_nx_area: float


def _compare_ranks(space: Matrix, projections: Sequence[Matrix], k: int) -> list[_Neighbourhoods]:
    """Compare the order of each customer's neighbours in the space and in each projection."""
    n = space.shape[1]
    intruders, missing = [0] * len(projections), [0] * len(projections)
    shared = np.zeros((len(projections), n - 1), dtype=np.int64)
    # A block's distances and their order are held together.
    for rows in row_blocks(n, n, arrays=2):
        rank = _ranks(_order(space, rows))
        for p, projection in enumerate(projections):
            # The ranks in the space, in the order of the projection.
            ranks = np.take_along_axis(rank, _order(projection, rows), axis=1)
            intruders[p] += int(np.maximum(ranks[:, :k] - (k - 1), 0).sum())
            missing[p] += int(np.maximum(np.nonzero(ranks < k)[1] - (k - 1), 0).sum())
            np.maximum(ranks, np.arange(n - 1), out=ranks)
            shared[p] += np.bincount(ranks.ravel(), minlength=n - 1)
    return [
        _Neighbourhoods(
            _preserved(intruders[p], n, k),
            _preserved(missing[p], n, k),
            *_agreement(np.cumsum(shared[p])),
        )
        for p in range(len(projections))
    ]


def _order(columns: Matrix, rows: Indices) -> Indices:
    """Return all others of each row, nearest first, ties by index: shape (len(rows), n - 1)."""
    squared = _squared_distances(columns, rows[:, None], np.arange(columns.shape[1])[None, :])
    squared[np.arange(len(rows)), rows] = np.inf
    order = np.argsort(squared, axis=1)
    _settle_ties(order, np.take_along_axis(squared, order, axis=1))
    return order[:, :-1]


def _settle_ties(order: Indices, values: Matrix) -> None:
    """Put the indices of equal values in ascending order, in place.

    With few ties this takes less time than a stable sort of all values.
    """
    tied: Mask = values[:, 1:] == values[:, :-1]
    if not tied.any():
        return
    later, member = np.zeros(order.shape, dtype=bool), np.zeros(order.shape, dtype=bool)
    later[:, 1:] = tied
    member[:, :-1] = tied
    member |= later
    run = np.cumsum(~later[member])
    indices = order[member]
    order[member] = indices[np.lexsort((indices, run))]


def _ranks(order: Indices) -> Indices:
    """Return the rank, from 0, of every index in each row's order; undefined for the row's own."""
    ranks = np.empty((len(order), order.shape[1] + 1), dtype=np.int64)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None, :], axis=1)
    return ranks


def _preserved(excess_ranks: int, n: int, k: int) -> float:
    """Turn the sum of the ranks in excess of k into a figure from 0, the largest sum, to 1."""
    most = n * k * (2 * n - 3 * k - 1) if 2 * k < n else n * (n - k) * (n - k - 1)
    return 1 - 2 * excess_ranks / most


def _agreement(shared: Indices) -> tuple[Vector, float]:
    """Return R_NX for K = 1..n-2 and its area, from the neighbours shared up to each K."""
    n = len(shared) + 1
    K = np.arange(1, n - 1)
    share = shared[:-1] / (K * n)
    r_nx = ((n - 1) * share - K) / (n - 1 - K)
    return r_nx, float((r_nx / K).sum() / (1 / K).sum())


# distances


def _distance_spearmans(
    space: Matrix, projections: Sequence[Matrix], seed: int | str
) -> tuple[list[float | None], int]:
    """Return each projection's correlation of the distances, and the number of pairs."""
    n = space.shape[1]
    if n * (n - 1) // 2 <= PAIRS:
        i, j = np.triu_indices(n, 1)
    else:
        rng = _random(seed, "pairs")
        i = rng.integers(0, n, PAIRS)
        j = (i + rng.integers(1, n, PAIRS)) % n
    ranks = _centred_ranks(_squared_distances(space, i, j))
    correlations = [
        _correlation(ranks, _centred_ranks(_squared_distances(low, i, j))) for low in projections
    ]
    return correlations, len(i)


def _centred_ranks(values: Vector) -> Vector:
    """Return ranks less their mean; ties share their mean rank."""
    from scipy.stats import rankdata

    ranks: Vector = rankdata(values)
    return ranks - (len(values) + 1) / 2


def _correlation(x: Vector, y: Vector) -> float | None:
    scale = np.sqrt(x @ x) * np.sqrt(y @ y)
    return float(np.clip(x @ y / scale, -1, 1)) if scale else None


def _triplet_accuracies(
    space: Matrix, projections: Sequence[Matrix], seed: int | str
) -> list[float]:
    """Return the share of random triplets that each projection orders as the space does."""
    anchor, first, second = _triplets(space.shape[1], _random(seed, "triplets"))

    def nearer(columns: Matrix) -> Vector:
        to_first = _squared_distances(columns, anchor, first)
        return np.sign(to_first - _squared_distances(columns, anchor, second))

    expected = nearer(space)
    return [float(np.mean(nearer(low) == expected)) for low in projections]


def _triplets(n: int, rng: np.random.Generator) -> tuple[Indices, Indices, Indices]:
    """Draw triplets of three different customers, the same number for each as the first."""
    anchor = np.repeat(np.arange(n), TRIPLETS_PER_CUSTOMER)
    first, second = rng.integers(1, n, len(anchor)), rng.integers(1, n - 1, len(anchor))
    second += second >= first
    return anchor, (anchor + first) % n, (anchor + second) % n
