"""Centroids of a partition and the spread about them: what Davies-Bouldin and Calinski-Harabasz share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from segkit.scoring.contract import Groups, Score, Status, group_each
from segkit.scoring.distances import Points, centred

# Customers whose distances to their centroids are computed at once.
_BLOCK = 16_384


@dataclass(frozen=True)
class Spread:
    """Clusters as centroids and the customers' distances from them.

    Attributes
    ----------
    centroids : ndarray of shape (k, d)
        Means of the clusters.
    codes : ndarray of shape (m,)
        The cluster of each clustered customer.
    squared : ndarray of shape (m,)
        Squared distance of each clustered customer to its own centroid.
    """

    centroids: np.ndarray
    codes: np.ndarray
    squared: np.ndarray


def spread(points: Points, groups: Groups) -> Spread:
    """Compute the centroids and the squared distances to them, over the clustered customers, in O(n d).

    Memory: 40 bytes per customer, whatever the number of features.
    """
    clustered = np.flatnonzero(groups.codes >= 0)
    codes = groups.codes[clustered]
    centroids = _sums(points.coordinates, clustered, codes, groups.n_clusters) / groups.sizes[:, None]
    squared = np.empty(len(codes))
    for start in range(0, len(codes), _BLOCK):
        block = slice(start, start + _BLOCK)
        members = points.coordinates[clustered[block]]
        members -= centroids[codes[block]]
        np.einsum("ij,ij->i", members, members, out=squared[block])
    return Spread(centroids, codes, squared)


def _sums(coordinates: np.ndarray, clustered: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """Sum the coordinates of each cluster's customers, one after the other."""
    from scipy.sparse import csr_array

    ends = np.r_[0, np.cumsum(np.bincount(codes, minlength=k))]
    order = clustered[np.argsort(codes.astype(np.min_scalar_type(k)), kind="stable")]
    return csr_array((np.ones(len(codes)), order, ends), shape=(k, len(coordinates))) @ coordinates


def compute_each(
    X: np.ndarray, partitions: Sequence[np.ndarray], scores: Sequence[Callable[[Points, Groups, Spread], Score]]
) -> Iterator[list[Score]]:
    """Compute scores that need the centroids only, partition by partition, with one `Spread` for all of them.

    Parameters
    ----------
    X : array of shape (n, d)
        The space.
    partitions : sequence of arrays of shape (n,), integers
        One label per customer; negative is noise.
    scores : sequence of callables
        Each scores one partition that has 2 <= k <= n - 1 clusters.

    Yields
    ------
    list of Score
        One for each of `scores`; their status where the partition has no score.
    """
    points = centred(X)
    for groups in group_each(X, partitions):
        if groups.status is not Status.OK:
            yield [groups.no_score(groups.status) for _ in scores]
        else:
            clusters = spread(points, groups)
            yield [score(points, groups, clusters) for score in scores]
