"""Centroids of a partition and the spread about them, which the centroid scores share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from segkit.clustering.arrays import Indices, Labels, Mask, Matrix, Vector
from segkit.scoring.contract import Groups, Score, Status, group_each
from segkit.scoring.distances import scaled
from segkit.scoring.spread import Spread

# Customers whose distances to their centroids are computed at once.
_BLOCK = 16_384
# The rounding of a centroid matters above this share of its cluster's radius.
_LOSS = 1e-12


def spread(coordinates: Matrix, groups: Groups) -> Spread:
    """Compute the clustered customers' centroids and squared distances to them, in O(n d).

    Memory: 40 bytes per customer, whatever the number of features; once more the matrix where the
    clusters are far from the origin.

    Parameters
    ----------
    coordinates : array of shape (n, d)
        The space, its clustered customers' coordinates between -1 and 1.
    groups : Groups
        A partition of its customers.
    """
    clustered = np.flatnonzero(groups.codes >= 0)
    codes = groups.codes[clustered]
    centroids = _sums(coordinates, clustered, codes, groups.n_clusters) / groups.sizes[:, None]
    squared = np.empty(len(codes))
    for start in range(0, len(codes), _BLOCK):
        block = slice(start, start + _BLOCK)
        members = coordinates[clustered[block]]
        members -= centroids[codes[block]]
        np.einsum("ij,ij->i", members, members, out=squared[block])
    # The mean of the offsets from a rounded centroid is the digits that it lacks.
    rests = np.zeros_like(centroids)
    lossy = np.flatnonzero(_is_lossy(centroids, squared, codes, groups.sizes)[codes])
    if len(lossy):
        members = coordinates[clustered[lossy]] - centroids[codes[lossy]]
        sums = _sums(members, np.arange(len(lossy)), codes[lossy], groups.n_clusters)
        rests = sums / groups.sizes[:, None]
        members -= rests[codes[lossy]]
        squared[lossy] = np.einsum("ij,ij->i", members, members)
    return Spread(centroids, rests, groups.sizes, codes, squared)


def _is_lossy(centroids: Matrix, squared: Vector, codes: Indices, sizes: Indices) -> Mask:
    """Return for each cluster whether rounding its centroid matters to the distances from it."""
    radii = np.sqrt(np.bincount(codes, weights=squared) / sizes)
    rounding = np.finfo(float).eps * np.sqrt(sizes) * np.abs(centroids).max(axis=1)
    lossy: Mask = rounding > _LOSS * radii
    return lossy


def _sums(coordinates: Matrix, clustered: Indices, codes: Indices, k: int) -> Matrix:
    """Sum the coordinates of each cluster's customers, one after the other."""
    from scipy.sparse import csr_array

    ends = np.r_[0, np.cumsum(np.bincount(codes, minlength=k))]
    order = clustered[np.argsort(codes.astype(np.min_scalar_type(k)), kind="stable")]
    members = csr_array((np.ones(len(codes)), order, ends), shape=(k, len(coordinates)))
    sums: Matrix = members @ coordinates
    return sums


def compute_each(
    X: Matrix,
    partitions: Sequence[Labels],
    scores: Sequence[Callable[[Groups, Spread], Score]],
) -> Iterator[list[Score]]:
    """Yield the scores of each partition that need the centroids only, from one `Spread`.

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
    whole = scaled(X)
    largest = np.abs(whole).max(axis=1)
    for groups in group_each(X, partitions):
        if groups.status is not Status.OK:
            yield [groups.no_score(groups.status) for _ in scores]
        else:
            clusters = _spread(X, whole, largest, groups)
            yield [score(groups, clusters) for score in scores]


def _spread(X: Matrix, whole: Matrix, largest: Vector, groups: Groups) -> Spread:
    """Compute the spread in the unit of the clustered customers, which is mostly that of all."""
    clustered = groups.codes >= 0
    # `scaled` puts the largest coordinate in [0.5, 1): without it the rest has another unit.
    if largest[clustered].max() >= 0.5 or not whole.any():
        return spread(whole, groups)
    return spread(scaled(np.asarray(X)[clustered]), groups.clustered())
