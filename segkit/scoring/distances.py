"""Euclidean geometry of a space: what the scores share, kept accurate for duplicates and far-off origins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Squared distances below this share of the squared norm lose too many digits in the expanded formula.
_CANCELLATION = 1e-6

# Numbers of a strip of a tile: 256 kB.
_CACHED = 32_768


@dataclass(frozen=True)
class Points:
    """A space moved to its mean and scaled by a power of two, for scores that neither changes.

    Attributes
    ----------
    coordinates : ndarray of shape (n, d)
        The space less its mean, in a unit that puts its largest original coordinate in [0.5, 1).
    squares : ndarray of shape (n,)
        Squared norms of the coordinates.
    """

    coordinates: np.ndarray
    squares: np.ndarray

    @property
    def negligible(self) -> float:
        """Length that counts as zero: 1e-10 of the root mean square radius, or the rounding of the input."""
        radius = np.sqrt(self.squares.mean())
        rounding = 4 * np.finfo(float).eps * np.sqrt(self.coordinates.shape[1])
        return float(max(1e-10 * radius, rounding))


def centred(X: np.ndarray) -> Points:
    """Move a space to its mean and scale it by a power of two, which loses no digits.

    Parameters
    ----------
    X : array of shape (n, d)
        The space; finite.

    Raises
    ------
    ValueError
        If X is not a finite, non-empty matrix.
    """
    X = np.asarray(X, dtype=np.float64)
    if X.ndim != 2 or X.size == 0 or not np.isfinite(X).all():
        raise ValueError(f"a space must be a finite, non-empty matrix; got one of shape {X.shape}")
    scaled = np.ldexp(X, -np.frexp(max(X.max(), -X.min()))[1])
    scaled -= scaled.mean(axis=0)
    coordinates = np.ascontiguousarray(scaled)
    return Points(coordinates, np.einsum("ij,ij->i", coordinates, coordinates))


def strips(tile: np.ndarray) -> list[slice]:
    """Cut a tile into runs of rows that stay in the processor's cache from one pass over them to the next."""
    size = max(1, _CACHED // max(tile.shape[1], 1))
    return [slice(start, start + size) for start in range(0, len(tile), size)]


def squared_tile(points: Points, first: slice, second: slice, out: np.ndarray | None = None) -> np.ndarray:
    """Squared Euclidean distances between two ranges of points; those of coinciding points are 0.

    By |x|^2 + |y|^2 - 2xy as one matrix product; the few pairs where that cancels are computed directly.

    Parameters
    ----------
    points : Points
        The space.
    first, second : slice
        The two ranges of points.
    out : contiguous array of shape (len(first), len(second)), optional
        Where to write them.

    Returns
    -------
    ndarray of shape (len(first), len(second))
    """
    x, y = points.coordinates[first], points.coordinates[second]
    squared = np.matmul(x, (-2 * y).T, out=out)
    own, other = points.squares[first, None], points.squares[second]
    for strip in strips(squared):
        part = squared[strip]
        part += other
        part += own[strip]
        _correct(part, x[strip], y, _CANCELLATION * own[strip])
    return squared


def _correct(squared: np.ndarray, x: np.ndarray, y: np.ndarray, bound: np.ndarray) -> None:
    """Compute the pairs below their row's bound directly; most rows have none."""
    rows = np.flatnonzero(squared.min(axis=1) < bound[:, 0])
    if len(rows):
        i, j = np.nonzero(squared[rows] < bound[rows])
        squared[rows[i], j] = _direct(x, y, rows[i], j)


def distance_tile(points: Points, first: slice, second: slice) -> np.ndarray:
    """Euclidean distances between two ranges of points, as `squared_tile` has their squares."""
    squared = squared_tile(points, first, second)
    return np.sqrt(squared, out=squared)


def _direct(x: np.ndarray, y: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Squared distances of the pairs (x[i], y[j]), feature by feature to stay small in memory."""
    total = np.zeros(len(i))
    for feature in range(x.shape[1]):
        total += np.square(x[i, feature] - y[j, feature])
    return total
