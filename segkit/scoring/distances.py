"""Distances that the scores share, accurate for duplicates and far from the origin too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from segkit.clustering.arrays import Indices, Matrix, Vector

# Squared distances below this share of the squared norm lose too many digits in the expanded
# formula.
_CANCELLATION = 1e-6
# Numbers of a strip of a tile: 256 kB.
_CACHED = 32_768
# A class of customers reaches 2 ** this times as far from the centre as the class before.
_CLASS_BITS = 4

Positions: TypeAlias = slice | Indices


@dataclass(frozen=True)
class Points:
    """A space scaled by a power of two and moved to its median; neither changes a score.

    Attributes
    ----------
    original : ndarray of shape (n, d)
        The space, in a unit that puts its largest coordinate in [0.5, 1); differences of these lose
        no digits.
    coordinates : ndarray of shape (n, d)
        The same less the median of each column: a mean would follow a far-off customer away from
        all others.
    squares : ndarray of shape (n,)
        Squared norms of the coordinates.
    """

    original: Matrix
    coordinates: Matrix
    squares: Vector

    @cached_property
    def radius(self) -> float:
        """Median distance from the centre."""
        return float(np.sqrt(np.median(self.squares)))

    def __len__(self) -> int:
        return len(self.squares)

    def classes(self) -> list[Indices]:
        """Return the customers' positions in classes by their distance from the centre.

        Each class reaches 16 times as far as the one before. Distances to the members of one class
        are of similar size, so that they can be rounded alike.
        """
        exponent = np.frexp(np.sqrt(self.squares))[1]
        # A distance of zero has the exponent zero, which is that of the largest.
        number = np.where(self.squares > 0, (exponent.max() - exponent) // _CLASS_BITS, -1)
        return [np.flatnonzero(number == value) for value in np.unique(number)]


def scaled(X: Matrix) -> Matrix:
    """Scale a space by a power of two so that its largest coordinate is in [0.5, 1).

    No digits are lost by that.

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
    return np.ascontiguousarray(np.ldexp(X, -np.frexp(max(X.max(), -X.min()))[1]))


def centred(X: Matrix) -> Points:
    """Scale a space as `scaled` does, and move it to its median."""
    original = scaled(X)
    coordinates = original - np.median(original, axis=0)
    return Points(original, coordinates, np.einsum("ij,ij->i", coordinates, coordinates))


def strips(tile: Matrix) -> list[slice]:
    """Cut a tile into runs of rows that fit into the processor's cache."""
    size = max(1, _CACHED // max(tile.shape[1], 1))
    return [slice(start, start + size) for start in range(0, len(tile), size)]


def squared_tile(
    points: Points, first: Positions, second: Positions, out: Matrix | None = None
) -> Matrix:
    """Return squared Euclidean distances between points; those of coinciding ones are 0.

    They are |x|^2 + |y|^2 - 2xy, from one matrix product. The pairs in which that cancels are
    computed directly.

    Parameters
    ----------
    points : Points
        The space.
    first, second : slice or array of positions
        The points.
    out : contiguous array of shape (len(first), len(second)), optional
        Where to write them.

    Returns
    -------
    ndarray of shape (len(first), len(second))
    """
    x, y = points.coordinates[first], points.coordinates[second]
    squared = np.matmul(x, (-2 * y).T, out=out)
    own, other = points.squares[first][:, None], points.squares[second]
    originals = points.original[first], points.original[second]
    for strip in strips(squared):
        part = squared[strip]
        part += other
        part += own[strip]
        _correct(part, originals[0][strip], originals[1], _CANCELLATION * own[strip])
    return squared


def _correct(squared: Matrix, x: Matrix, y: Matrix, bound: Matrix) -> None:
    """Compute the pairs below their row's bound directly, in place; most rows have none."""
    rows = np.flatnonzero(squared.min(axis=1) < bound[:, 0])
    if len(rows):
        i, j = np.nonzero(squared[rows] < bound[rows])
        squared[rows[i], j] = _direct(x, y, rows[i], j)


def distance_tile(points: Points, first: Positions, second: Positions) -> Matrix:
    """Return Euclidean distances between points, the roots of `squared_tile`."""
    squared = squared_tile(points, first, second)
    np.sqrt(squared, out=squared)
    return squared


def _direct(x: Matrix, y: Matrix, i: Indices, j: Indices) -> Vector:
    """Return squared distances of the pairs (x[i], y[j]), feature by feature to save memory."""
    total = np.zeros(len(i))
    for feature in range(x.shape[1]):
        total += np.square(x[i, feature] - y[j, feature])
    return total
