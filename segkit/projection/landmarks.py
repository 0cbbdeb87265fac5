"""Landmarks: drawn customers that work which grows faster than the table is done on, and who is nearest to whom.

A projection is fitted on the landmarks and every other customer is placed between its nearest ones;
a clusterer is fitted on them and every other customer joins its nearest one. Both rules can be
tried on the landmarks themselves, each left out in turn, which tells how well they do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEAREST = 5
_CHUNK_ROWS = 8192
_TREE_COLUMNS = 8


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of a space and the nearest of them to every customer.

    Attributes
    ----------
    rows : ndarray of shape (m,), int64
        The landmarks' rows, ascending.
    indices : ndarray of shape (n, K), int32
        For each customer the positions in `rows` of its K nearest landmarks, nearest first, itself
        left out.
    distances : ndarray of shape (n, K), float32
        Their Euclidean distances.
    """

    rows: np.ndarray
    indices: np.ndarray
    distances: np.ndarray


def nearest(X: np.ndarray, rows: np.ndarray) -> Landmarks:
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
        far, found = index.kneighbors(X[part])
        kept = _without_self(found, position[part])
        indices[part], distances[part] = (
            np.take_along_axis(found, kept, 1),
            np.take_along_axis(far, kept, 1),
        )
    return Landmarks(np.asarray(rows, dtype=np.int64), indices, distances)


def _without_self(found: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the columns to keep of each row: all but the customer's own, or but the last."""
    drop = found == own[:, None]
    drop[~drop.any(axis=1), -1] = True
    return np.argsort(drop, axis=1, kind="stable")[:, :-1]


def placed(coordinates: np.ndarray, landmarks: Landmarks) -> tuple[np.ndarray, float]:
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
    r2 : float
        The share of the coordinates' variance that the rule explains where each landmark is left
        out in turn; 1 is perfect, 0 no better than the mean.
    """
    space = np.empty((len(landmarks.indices), coordinates.shape[1]))
    for start in range(0, len(space), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        space[part] = _between(coordinates, landmarks.indices[part], landmarks.distances[part])
    error = np.square(space[landmarks.rows] - coordinates).sum()
    spread = np.square(coordinates - coordinates.mean(axis=0)).sum()
    space[landmarks.rows] = coordinates
    return space, float(1 - error / spread) if spread else 0.0


def _between(coordinates: np.ndarray, indices: np.ndarray, distances: np.ndarray) -> np.ndarray:
    # Where a customer coincides with landmarks, only those count.
    tiny = np.finfo(np.float32).tiny
    nearest_first = distances[:, :1]
    weights = np.where(
        nearest_first > 0, nearest_first / np.maximum(distances, tiny), distances == 0
    )
    weights = weights.astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("nk,nkq->nq", weights, coordinates[indices])


def joined(labels: np.ndarray, landmarks: Landmarks) -> tuple[np.ndarray, float]:
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
    agreement : float
        The share of landmarks whose nearest other landmark has their own label.
    """
    everybody = labels[landmarks.indices[:, 0]]
    agreement = float(np.mean(everybody[landmarks.rows] == labels))
    everybody[landmarks.rows] = labels
    return everybody, agreement
