"""Euclidean geometry of a space: what the scores share, kept accurate for duplicates and far-off origins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Squared distances below this share of the squared norm lose too many digits in the expanded formula.
_CANCELLATION = 1e-6


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
    scaled = np.ldexp(X, -np.frexp(np.abs(X).max())[1])
    coordinates = np.ascontiguousarray(scaled - scaled.mean(axis=0))
    return Points(coordinates, np.einsum("ij,ij->i", coordinates, coordinates))


def distance_tile(points: Points, first: slice, second: slice) -> np.ndarray:
    """Euclidean distances between two ranges of points, (len(first), len(second)); coinciding points have 0.

    By |x|^2 + |y|^2 - 2xy as one matrix product; the few pairs where that cancels are computed directly.
    """
    x, y = points.coordinates[first], points.coordinates[second]
    squared = x @ (-2 * y).T
    squared += points.squares[second]
    squared += points.squares[first, None]
    near = np.nonzero(squared < _CANCELLATION * points.squares[first, None])
    squared[near] = _direct(x, y, *near)
    return np.sqrt(squared, out=squared)


def _direct(x: np.ndarray, y: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Squared distances of the pairs (x[i], y[j]), feature by feature to stay small in memory."""
    total = np.zeros(len(i))
    for feature in range(x.shape[1]):
        total += np.square(x[i, feature] - y[j, feature])
    return total
