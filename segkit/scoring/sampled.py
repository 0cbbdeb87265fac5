"""The influences of drawn customers on their mean silhouette, for its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segkit.clustering.arrays import Indices, Matrix, Vector
from segkit.scoring.contract import Groups
from segkit.scoring.distances import Points, distance_tile

if TYPE_CHECKING:
    from scipy.sparse import csc_array

# Drawn customers from whom the spread of the influences is estimated, to about 2%.
_JUDGED = 1024
_BLOCK = 1024


@dataclass(frozen=True)
class Nearness:
    """A partition's mean distances; all arrays have shape (m,) and are undefined for noise.

    Attributes
    ----------
    a, b : ndarray
        Mean distance to the other members of the own cluster, and to the nearest other cluster.
    nearest : ndarray, integers
        That cluster.
    silhouette : ndarray
        Of each customer; NaN for noise.
    """

    a: Vector
    b: Vector
    nearest: Indices
    silhouette: Vector


def influences(
    points: Points, partitions: Sequence[Groups], nearness: Sequence[Nearness]
) -> list[Vector]:
    """Compute the influence of each of the first 1,024 customers on the mean silhouette.

    The influence is the derivative of the mean by the customer's weight, times the number of
    customers. A customer moves the mean by its own silhouette, and by its distances to others,
    which are part of their a and b.

    Parameters
    ----------
    points : Points
        The drawn customers, in random order.
    partitions : sequence of Groups
        Partitions of them, with 2 <= k <= m - 1.
    nearness : sequence of Nearness
        The mean distances of each.

    Returns
    -------
    list of ndarray
        For each partition, the influences of those of the first customers that are in a cluster.

    References
    ----------
    Jaeckel, L. A. (1972). The infinitesimal jackknife. Bell Laboratories Memorandum MM 72-1215-11.
    """
    m = len(points)
    judged = slice(0, min(m, _JUDGED))
    slopes = [_slopes(groups, near) for groups, near in zip(partitions, nearness, strict=True)]
    sums = [np.zeros((groups.n_clusters, judged.stop)) for groups in partitions]
    for start in range(0, m, _BLOCK):
        block = slice(start, min(start + _BLOCK, m))
        tile = distance_tile(points, block, judged)
        for groups, near, slope, total in zip(partitions, nearness, slopes, sums, strict=True):
            total += _weights(groups, near, slope, block) @ tile
    return [
        _collect(groups, near, slope, total, judged)
        for groups, near, slope, total in zip(partitions, nearness, slopes, sums, strict=True)
    ]


def _slopes(groups: Groups, near: Nearness) -> tuple[Vector, Vector]:
    """Differentiate each silhouette by the summed distances to its own and nearest cluster."""
    sizes = groups.sizes[groups.codes]
    widest = np.maximum(near.a, near.b)
    moves = (groups.codes >= 0) & (sizes > 1) & (widest > 0)
    square = np.where(moves, widest, 1.0) ** 2
    by_a = -np.where(near.a < near.b, widest, near.b) / square
    by_b = np.where(near.a < near.b, near.a, widest) / square
    own: Vector = np.where(moves, by_a, 0.0) / np.maximum(sizes - 1, 1)
    other: Vector = np.where(moves, by_b, 0.0) / groups.sizes[near.nearest]
    return own, other


def _weights(
    groups: Groups, near: Nearness, slopes: tuple[Vector, Vector], block: slice
) -> csc_array:
    """Return by how much a distance to a member of each cluster moves a silhouette, (k, block)."""
    from scipy.sparse import csc_array

    clusters = np.column_stack([np.maximum(groups.codes[block], 0), near.nearest[block]])
    values = np.column_stack([slope[block] for slope in slopes])
    ends = np.arange(0, clusters.size + 1, 2)
    return csc_array(
        (values.ravel(), clusters.ravel(), ends), shape=(groups.n_clusters, len(clusters))
    )


def _collect(
    groups: Groups,
    near: Nearness,
    slopes: tuple[Vector, Vector],
    sums: Matrix,
    judged: slice,
) -> Vector:
    """Return the influences of the judged customers that are in a cluster."""
    k, clustered = groups.n_clusters, groups.codes >= 0
    own, other = slopes[0] * near.a, slopes[1] * near.b
    level = np.bincount(groups.codes[clustered], own[clustered], k)
    level += np.bincount(near.nearest[clustered], other[clustered], k)
    rows = np.flatnonzero(clustered[judged])
    codes = groups.codes[rows]
    mean = near.silhouette[clustered].mean()
    influence: Vector = near.silhouette[rows] - mean + sums[codes, rows] - level[codes] + own[rows]
    return influence
