"""Landmarks: customers drawn from a large table, to fit on, and the nearest of them to everybody.

Where the work grows faster than the table, a projection is fitted on the landmarks, and every other
customer is placed between its nearest ones. A clusterer is fitted on them, and every other customer
joins its nearest one. Both rules are judged by the landmarks themselves, each left out in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segkit.projection.arrays import Matrix, Positions, Rows

NEAREST = 5
# Customers whose nearest landmarks are in memory at once.
_CHUNK_ROWS = 8192
# With more columns a tree searches most of its nodes, and comparing all is faster.
_TREE_COLUMNS = 8


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of a space and the nearest of them to every customer.

    Attributes
    ----------
    rows : ndarray of shape (m,), int64
        The landmarks' rows, ascending.
    indices : ndarray of shape (n, K), int32
        For each customer the positions in `rows` of its K nearest landmarks, nearest first, without
        itself.
    distances : ndarray of shape (n, K), float32
        Their Euclidean distances.
    """

    rows: Rows
    indices: Positions
    distances: NDArray[np.float32]


def nearest(X: Matrix, rows: Rows) -> Landmarks:
    """Find the nearest landmarks of every customer.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        The space.
    rows : ndarray of shape (m,), integers
        The rows that are landmarks, ascending and distinct.

    Returns
    -------
    Landmarks
        With K = min(5, m - 1). Memory: 40 n bytes.
    """
    from sklearn.neighbors import NearestNeighbors

    X = np.ascontiguousarray(X, dtype=np.float64)
    k = min(NEAREST, len(rows) - 1)
    algorithm = "kd_tree" if X.shape[1] <= _TREE_COLUMNS else "brute"
    index = NearestNeighbors(n_neighbors=k + 1, algorithm=algorithm).fit(X[rows])
    position = np.full(len(X), -1)
    position[rows] = np.arange(len(rows))
    indices, distances = np.empty((len(X), k), np.int32), np.empty((len(X), k), np.float32)
    for start in range(0, len(X), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        # One too many, as a landmark is the nearest to itself.
        near_distances, near = index.kneighbors(X[part])
        others = _without_self(near, position[part])
        indices[part] = np.take_along_axis(near, others, 1)
        distances[part] = np.take_along_axis(near_distances, others, 1)
    return Landmarks(np.asarray(rows, dtype=np.int64), indices, distances)


def _without_self(near: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the columns to keep of each row: all but the customer's own, or all but the last."""
    drop = near == own[:, None]
    drop[~drop.any(axis=1), -1] = True
    # A stable sort of the flags keeps the order of the rest.
    return np.argsort(drop, axis=1, kind="stable")[:, :-1]


def placed(coordinates: Matrix, landmarks: Landmarks) -> tuple[Matrix, float]:
    """Place every customer by its nearest landmarks' coordinates, weighted by inverse distance.

    Parameters
    ----------
    coordinates : ndarray of shape (m, q)
        Of the landmarks, which keep them.
    landmarks : Landmarks
        Of the space that was projected.

    Returns
    -------
    space : ndarray of shape (n, q), float64
        Everybody's coordinates.
    r2 : float
        At most 1: the share of the variance of the landmarks' coordinates that the rule explains,
        each landmark placed by the others. 1 is perfect, 0 is no better than the mean.
    """
    space = np.empty((len(landmarks.indices), coordinates.shape[1]))
    for start in range(0, len(space), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        space[part] = _between(coordinates, landmarks.indices[part], landmarks.distances[part])
    error = np.square(space[landmarks.rows] - coordinates).sum()
    spread = np.square(coordinates - coordinates.mean(axis=0)).sum()
    r2 = float(1 - error / spread) if spread else 0.0
    space[landmarks.rows] = coordinates
    return space, r2


def _between(coordinates: Matrix, indices: Positions, distances: NDArray[np.float32]) -> Matrix:
    """Return the means of the landmarks' coordinates, weighted by inverse distance.

    Where a customer coincides with landmarks, only those count.
    """
    tiny = np.finfo(np.float32).tiny
    nearest_first = distances[:, :1]
    weights = np.where(
        nearest_first > 0, nearest_first / np.maximum(distances, tiny), distances == 0
    )
    weights = weights.astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    means: Matrix = np.einsum("nk,nkq->nq", weights, coordinates[indices])
    return means


def joined(
    labels: NDArray[np.integer[Any]], landmarks: Landmarks
) -> tuple[NDArray[np.integer[Any]], float]:
    """Give every customer the label of its nearest landmark.

    Parameters
    ----------
    labels : ndarray of shape (m,), integers
        Of the landmarks, which keep them.
    landmarks : Landmarks
        Of the space that was clustered.

    Returns
    -------
    everybody : ndarray of shape (n,), integers
        Everybody's labels.
    agreement : float
        In [0, 1]: the share of landmarks whose nearest other landmark has their own label.
    """
    everybody = labels[landmarks.indices[:, 0]]
    agreement = float(np.mean(everybody[landmarks.rows] == labels))
    everybody[landmarks.rows] = labels
    return everybody, agreement
