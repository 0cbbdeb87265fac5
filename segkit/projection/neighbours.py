"""One neighbour search for every projection of a space: exact, or by descent for a large table.

Each projection takes the first k columns. Neighbours are in exact order, by distance and then by
index, so that the first k of an exact search do not depend on how many were searched for.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segkit.projection.arrays import Distances, Matrix, Positions

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALLEST = 128
# Candidates beyond those asked for, so that rounding in the quick search rarely matters.
_MARGIN = 16
# Rows searched together, and cells of a block of the whole distance matrix: 32 MB.
_CHUNK_ROWS = 2048
_CHUNK_CELLS = 2**22
# With no more columns, a tree finds all exact neighbours before a descent finds nearly all.
KD_TREE_COLUMNS = 5
# With fewer rows, comparing all of them is as fast as a tree.
_KD_TREE_ROWS = 20_000
# Points whose neighbours are searched for exactly, to estimate a descent's recall.
_CHECKED_ROWS = 500
# Sums of its squares are within single precision.
_FAR = 1e15
# With a smaller share of the exact neighbours a descent is of no use.
LEAST_RECALL = 0.9


@dataclass(frozen=True)
class Neighbours:
    """The nearest neighbours of every point, itself left out.

    Attributes
    ----------
    indices : ndarray of shape (n, K), int32
        Positions of the neighbours, nearest first; ties by position.
    distances : ndarray of shape (n, K), float64
        Their Euclidean distances, ascending; exactly 0 for duplicates.
    """

    indices: Positions
    distances: Distances

    def __post_init__(self) -> None:
        if self.indices.shape != self.distances.shape or self.indices.ndim != 2:
            raise ValueError("indices and distances must be two matrices of one shape")

    @property
    def k(self) -> int:
        """Number of known neighbours of each point."""
        return int(self.indices.shape[1])

    def first(self, k: int) -> Neighbours:
        """Return the k nearest neighbours, as arrays of their own.

        Raises
        ------
        ValueError
            If fewer than k are known.
        """
        if k > self.k:
            raise ValueError(f"{k} neighbours are needed and {self.k} are known")
        return Neighbours(self.indices[:, :k].copy(), self.distances[:, :k].copy())


def ladder(k: int) -> int:
    """Return the size of the shared search that includes k neighbours: 128, 256, 512, ..."""
    size = SMALLEST
    while size < k:
        size *= 2
    return size


def search(X: Matrix, K: int) -> Neighbours:
    """Find the exact K nearest neighbours of every row in Euclidean distance.

    Candidates come from a quick search by scikit-learn, and their distances are computed again
    directly. Where rounding in the quick search could have hidden a neighbour, as with many
    duplicates, the row is compared with all others.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points, finite.
    K : int
        How many neighbours; at most n - 1 are returned.

    Returns
    -------
    Neighbours
        Matrices of shape (n, min(K, n - 1)).
    """
    X = np.ascontiguousarray(X, dtype=np.float64)
    n = len(X)
    k = max(min(K, n - 1), 0)
    if k == 0:
        return Neighbours(np.empty((n, 0), dtype=np.int32), np.empty((n, 0)))
    if k >= n - 1 - _MARGIN:
        # Nearly all points would be candidates.
        return Neighbours(*_among_all(X, np.arange(n), k))
    indices = np.empty((n, k), dtype=np.int32)
    distances = np.empty((n, k), dtype=np.float64)
    for rows, candidates, least in _candidates(X, k + 1 + _MARGIN):
        indices[rows], distances[rows] = _nearest(X, rows, candidates, k)
        # The slack is for rounding in these distances themselves.
        doubtful = rows[distances[rows, -1] ** 2 * (1 + 1e-9) >= least]
        indices[doubtful], distances[doubtful] = _among_all(X, doubtful, k)
    return Neighbours(indices, distances)


def descend(X: Matrix, K: int, seed: int = 0) -> tuple[Neighbours, float]:
    """Find nearly all of the K nearest neighbours of every row (Dong, Charikar and Li 2011).

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points, finite.
    K : int
        How many neighbours; at most n - 1 are returned.
    seed : int
        Of the descent: the same seed finds the same neighbours.

    Returns
    -------
    neighbours : Neighbours
        Matrices of shape (n, min(K, n - 1)). The distances are those that `search` returns for the
        same pairs.
    recall : float
        In [0, 1]: the share of the exact neighbours that the descent finds, of up to 500 random
        points. A neighbour as far as the last exact one counts as exact.

    References
    ----------
    Dong, W., Charikar, M. and Li, K. (2011). Efficient k-nearest neighbor graph construction for
    generic similarity measures. Proceedings of the 20th International Conference on World Wide Web,
    577-586.
    """
    from pynndescent import NNDescent

    X = np.ascontiguousarray(X, dtype=np.float64)
    n = len(X)
    k = min(K, n - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        descent = NNDescent(
            _single(X), n_neighbors=k + 1, random_state=seed, n_jobs=1, compressed=False
        )
        candidates, _ = descent.neighbor_graph
    indices = np.empty((n, k), dtype=np.int32)
    distances = np.empty((n, k), dtype=np.float64)
    for rows in _chunks(n):
        indices[rows], distances[rows] = _nearest(X, rows, np.sort(candidates[rows], axis=1), k)
        # Where the descent finds too few candidates, it marks the rest by -1.
        short = rows[(candidates[rows] < 0).any(axis=1)]
        indices[short], distances[short] = _among_all(X, short, k)
    checked = np.random.default_rng(seed).permutation(n)[:_CHECKED_ROWS]
    farthest = _among_all(X, checked, k)[1][:, -1:]
    return Neighbours(indices, distances), float(np.mean(distances[checked] <= farthest))


def _chunks(n: int) -> Iterator[NDArray[np.int64]]:
    """Yield all rows in the chunks that are searched together."""
    for start in range(0, n, _CHUNK_ROWS):
        yield np.arange(start, min(start + _CHUNK_ROWS, n))


def _candidates(
    X: Matrix, size: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Yield rows, their candidates by index, and a lower bound of all other squared distances."""
    from sklearn.neighbors import NearestNeighbors

    centred = X - X.mean(axis=0)
    norms = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    tree_is_faster = len(X) >= _KD_TREE_ROWS and X.shape[1] <= KD_TREE_COLUMNS
    algorithm = "kd_tree" if tree_is_faster else "brute"
    index = NearestNeighbors(n_neighbors=size, algorithm=algorithm).fit(centred)
    for rows in _chunks(len(X)):
        distances, candidates = index.kneighbors(centred[rows])
        # A bound on the rounding of |x|^2 - 2 x y + |y|^2, by which the quick search compares.
        rounding = 4 * (X.shape[1] + 8) * np.finfo(float).eps * (norms[rows] + norms.max()) ** 2
        yield rows, np.sort(candidates, axis=1), distances[:, -1] ** 2 - rounding


def _nearest(
    X: Matrix, rows: NDArray[np.int64], candidates: NDArray[Any], k: int
) -> tuple[NDArray[Any], Distances]:
    """Return the k nearest of each row's candidates, which are sorted by index, and distances."""
    distances = _distances(X, rows, candidates)
    distances[candidates == rows[:, None]] = np.inf
    # Stable, so that ties keep the order of their indices.
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    nearest = np.take_along_axis(candidates, order, axis=1)
    return nearest, np.take_along_axis(distances, order, axis=1)


def _single(X: Matrix) -> NDArray[np.float32]:
    """Return points in 32 bits, moved and scaled so that their differences survive.

    Neither a common offset nor an extreme value may take the digits.
    """
    centred = X - np.median(X, axis=0)
    sizes = np.abs(centred).max(axis=1)
    scale = np.median(sizes[sizes > 0]) if sizes.any() else 1.0
    points: NDArray[np.float32] = np.clip(centred / scale, -_FAR, _FAR).astype(np.float32)
    return points


def _among_all(X: Matrix, rows: NDArray[np.int64], k: int) -> tuple[Positions, Distances]:
    """Return the k nearest of all points to each of some rows, and their distances."""
    indices = np.empty((len(rows), k), dtype=np.int32)
    distances = np.empty((len(rows), k))
    step = max(1, _CHUNK_CELLS // len(X))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        to_all = _distances(X, block, None)
        to_all[np.arange(len(block)), block] = np.inf
        for place, values in enumerate(to_all, start):
            # All that tie with the k-th, of which the sort then keeps the first.
            near = np.flatnonzero(values <= np.partition(values, k - 1)[k - 1])
            indices[place] = near[np.argsort(values[near], kind="stable")[:k]]
            distances[place] = values[indices[place]]
    return indices, distances


def _distances(X: Matrix, rows: NDArray[np.int64], others: NDArray[Any] | None) -> Distances:
    """Return the distances from rows to other rows, or to all if those are None.

    Squares are summed column by column and by no library routine, so that a distance has the same
    bits in whatever block it is computed.
    """
    total = np.zeros((len(rows), len(X) if others is None else others.shape[1]))
    for column in X.T:
        to = column[None, :] if others is None else column[others]
        difference = column[rows, None] - to
        total += difference * difference
    distances: Distances = np.sqrt(total)
    return distances
