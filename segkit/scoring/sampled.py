"""How far a mean silhouette of drawn customers is from that of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segkit.scoring.contract import Groups
from segkit.scoring.distances import Points, distance_tile

# The spread of the influences is estimated from so many of the drawn customers: to about 2%.
_JUDGED = 1024
_BLOCK = 1024


@dataclass(frozen=True)
class Nearness:
    """A partition's mean distances; all arrays have shape (m,), and mean nothing for noise.

    Attributes
    ----------
    a, b : ndarray
        Mean distance to the other members of the own cluster, and to the nearest other cluster.
    nearest : ndarray, integers
        That cluster.
    silhouette : ndarray
        Of each customer; NaN for noise.
    """

    a: np.ndarray
    b: np.ndarray
    nearest: np.ndarray
    silhouette: np.ndarray


def influences(
    points: Points, partitions: Sequence[Groups], found: Sequence[Nearness]
) -> list[np.ndarray]:
    """Compute by how much each of the first 1,024 customers moves the mean silhouette, times their number.

    A customer moves it by its own silhouette, and by its distances in the means of its cluster,
    which are a and b of others. The derivative of the mean by the customer's weight has both.

    Parameters
    ----------
    points : Points
        The drawn customers, in random order.
    partitions : sequence of Groups
        Partitions of them, with 2 <= k <= m - 1.
    found : sequence of Nearness
        What is known of each.

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
    slopes = [_slopes(groups, each) for groups, each in zip(partitions, found, strict=True)]
    sums = [np.zeros((groups.n_clusters, judged.stop)) for groups in partitions]
    for start in range(0, m, _BLOCK):
        block = slice(start, min(start + _BLOCK, m))
        tile = distance_tile(points, block, judged)
        for groups, each, slope, total in zip(partitions, found, slopes, sums, strict=True):
            total += _weights(groups, each, slope, block) @ tile
    return [_collect(*each, judged) for each in zip(partitions, found, slopes, sums, strict=True)]


def _slopes(groups: Groups, found: Nearness) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate each silhouette by the summed distances to its own and to its nearest cluster."""
    sizes = groups.sizes[groups.codes]
    widest = np.maximum(found.a, found.b)
    moves = (groups.codes >= 0) & (sizes > 1) & (widest > 0)
    square = np.where(moves, widest, 1.0) ** 2
    by_a = -np.where(found.a < found.b, widest, found.b) / square
    by_b = np.where(found.a < found.b, found.a, widest) / square
    return (
        np.where(moves, by_a, 0.0) / np.maximum(sizes - 1, 1),
        np.where(moves, by_b, 0.0) / groups.sizes[found.nearest],
    )


def _weights(groups: Groups, found: Nearness, slopes: tuple[np.ndarray, np.ndarray], block: slice):
    """Sparse matrix of shape (k, block): how a customer's distance to a member of each cluster moves its silhouette."""
    from scipy.sparse import csc_array

    clusters = np.column_stack([np.maximum(groups.codes[block], 0), found.nearest[block]])
    values = np.column_stack([slope[block] for slope in slopes])
    ends = np.arange(0, clusters.size + 1, 2)
    return csc_array(
        (values.ravel(), clusters.ravel(), ends), shape=(groups.n_clusters, len(clusters))
    )


def _collect(
    groups: Groups,
    found: Nearness,
    slopes: tuple[np.ndarray, np.ndarray],
    sums: np.ndarray,
    judged: slice,
) -> np.ndarray:
    k, clustered = groups.n_clusters, groups.codes >= 0
    own, other = slopes[0] * found.a, slopes[1] * found.b
    level = np.bincount(groups.codes[clustered], own[clustered], k)
    level += np.bincount(found.nearest[clustered], other[clustered], k)
    rows = np.flatnonzero(clustered[judged])
    codes = groups.codes[rows]
    mean = found.silhouette[clustered].mean()
    return found.silhouette[rows] - mean + sums[codes, rows] - level[codes] + own[rows]
