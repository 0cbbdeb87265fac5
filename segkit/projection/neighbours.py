"""One neighbour search for every projection of a space: exact, or of a very large table by descent.

A consumer slices the first k columns. The order, by distance and then by index, is exact, so that a
slice of an exact search does not depend on how many neighbours it was asked for.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALLEST = 128
_MARGIN = (
    16  # candidates beyond those asked for, so that rounding in the quick search rarely matters
)
_CHUNK_ROWS = 2048
_CHUNK_CELLS = 2**22
# Up to so many columns a tree finds the exact ones sooner than a descent nearly all of them.
KD_TREE_COLUMNS = 5
_KD_TREE_ROWS = 20_000
_CHECKED_ROWS = 500
_FAR = 1e15  # squares of it are within 32 bits
# With fewer of the exact neighbours a descent is of no use.
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

    indices: np.ndarray
    distances: np.ndarray

    def __post_init__(self) -> None:
        if self.indices.shape != self.distances.shape or self.indices.ndim != 2:
            raise ValueError("indices and distances must be two matrices of one shape")

    @property
    def k(self) -> int:
        """How many neighbours of each point are known."""
        return self.indices.shape[1]

    def first(self, k: int) -> Neighbours:
        """Return the k nearest neighbours only, as arrays of their own.

        Raises
        ------
        ValueError
            If fewer than k are known.
        """
        if k > self.k:
            raise ValueError(f"{k} neighbours are needed and {self.k} are known")
        return Neighbours(self.indices[:, :k].copy(), self.distances[:, :k].copy())


def ladder(k: int) -> int:
    """Return the size of the shared search that serves k neighbours: 128, 256, 512, ..."""
    size = SMALLEST
    while size < k:
        size *= 2
    return size


def search(X: np.ndarray, K: int) -> Neighbours:
    """Find the exact K nearest neighbours of every row in Euclidean distance.

    Candidates come from scikit-learn; their distances are computed again directly. Where rounding
    in the quick search could have hidden a neighbour (many duplicates, for example), the row is
    compared with all others.

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
    indices = np.empty((n, k), dtype=np.int32)
    distances = np.empty((n, k), dtype=np.float64)
    quick = 0 < k < n - 1 - _MARGIN
    for rows, candidates, least in _candidates(X, k + 1 + _MARGIN) if quick else ():
        indices[rows], distances[rows] = _nearest(X, rows, candidates, k)
        rows = rows[distances[rows, -1] ** 2 * (1 + 1e-9) >= least]
        indices[rows], distances[rows] = _among_all(X, rows, k)
    if k and not quick:
        indices, distances = _among_all(X, np.arange(n), k)
    return Neighbours(indices, distances)


def descend(X: np.ndarray, K: int, seed: int = 0) -> tuple[Neighbours, float]:
    """Find nearly all of the K nearest neighbours of every row by descent (Dong, Charikar and Li 2011).

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Points, finite.
    K : int
        How many neighbours; at most n - 1 are returned.
    seed : int
        Of the descent: the same seed finds the same.

    Returns
    -------
    neighbours : Neighbours
        Matrices of shape (n, min(K, n - 1)); the distances are those that `search` gives for the
        same pairs.
    recall : float
        In [0, 1]: of the exact neighbours of up to 500 random points, the share that was found.
        Where several are as far as the last one, each of them counts.

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
        found, _ = NNDescent(
            _single(X), n_neighbors=k + 1, random_state=seed, n_jobs=1, compressed=False
        ).neighbor_graph
    indices = np.empty((n, k), dtype=np.int32)
    distances = np.empty((n, k), dtype=np.float64)
    for rows in _chunks(n):
        indices[rows], distances[rows] = _nearest(X, rows, np.sort(found[rows], axis=1), k)
        short = rows[(found[rows] < 0).any(axis=1)]
        indices[short], distances[short] = _among_all(X, short, k)
    checked = np.random.default_rng(seed).permutation(n)[:_CHECKED_ROWS]
    farthest = _among_all(X, checked, k)[1][:, -1:]
    return Neighbours(indices, distances), float(np.mean(distances[checked] <= farthest))


def _chunks(n: int) -> Iterator[np.ndarray]:
    """Yield all rows, as many at once as are searched for together."""
    for start in range(0, n, _CHUNK_ROWS):
        yield np.arange(start, min(start + _CHUNK_ROWS, n))


def _candidates(X: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield rows, their candidates by index, and the least squared distance that any other point can have."""
    from sklearn.neighbors import NearestNeighbors

    centred = X - X.mean(axis=0)
    norms = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    quick_tree = len(X) >= _KD_TREE_ROWS and X.shape[1] <= KD_TREE_COLUMNS
    index = NearestNeighbors(n_neighbors=size, algorithm="kd_tree" if quick_tree else "brute").fit(
        centred
    )
    for rows in _chunks(len(X)):
        found, candidates = index.kneighbors(centred[rows])
        rounding = 4 * (X.shape[1] + 8) * np.finfo(float).eps * (norms[rows] + norms.max()) ** 2
        yield rows, np.sort(candidates, axis=1), found[:, -1] ** 2 - rounding


def _nearest(
    X: np.ndarray, rows: np.ndarray, candidates: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest of each row's candidates, which are sorted by index."""
    distances = _distances(X, rows, candidates)
    distances[candidates == rows[:, None]] = np.inf
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(
        distances, order, axis=1
    )


def _single(X: np.ndarray) -> np.ndarray:
    """Return points in 32 bits, moved and scaled so that no offset and no extreme value hides the differences."""
    centred = X - np.median(X, axis=0)
    sizes = np.abs(centred).max(axis=1)
    scale = np.median(sizes[sizes > 0]) if sizes.any() else 1.0
    return np.clip(centred / scale, -_FAR, _FAR).astype(np.float32)


def _among_all(X: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest of some rows and their distances, compared with every point."""
    indices = np.empty((len(rows), k), dtype=np.int32)
    distances = np.empty((len(rows), k))
    step = max(1, _CHUNK_CELLS // len(X))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        full = _distances(X, block, None)
        full[np.arange(len(block)), block] = np.inf
        for place, values in enumerate(full, start):
            near = np.flatnonzero(values <= np.partition(values, k - 1)[k - 1])
            indices[place] = near[np.argsort(values[near], kind="stable")[:k]]
            distances[place] = values[indices[place]]
    return indices, distances


def _distances(X: np.ndarray, rows: np.ndarray, others: np.ndarray | None) -> np.ndarray:
    """Return distances from rows to other rows (None: to all), summed column by column in order.

    No library routine is used: the sum must have the same bits whatever the block it is computed
    in.
    """
    total = np.zeros((len(rows), len(X) if others is None else others.shape[1]))
    for column in X.T:
        difference = column[rows, None] - (column[None, :] if others is None else column[others])
        total += difference * difference
    return np.sqrt(total)
