"""Silhouette: how much nearer each customer is to its own cluster than to the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from segkit.scoring.contract import Groups, Score, ScoreDefinition, Status, group_all
from segkit.scoring.distances import Points, centred, distance_tile

_ROWS = 512
_COLUMNS = 1024
_CLUSTERS_PER_PASS = 2048
_DENSE_CLUSTERS = 64


def silhouette_samples(X: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Silhouette of each customer; the definition and bounds are those of `compute_many`.

    Parameters
    ----------
    X : array of shape (n, d)
        The space.
    labels : array of shape (n,), integers
        The partition; negative is noise.

    Returns
    -------
    ndarray of shape (n,)
        In [-1, 1]; NaN for noise, and for everybody if the partition has no silhouette (fewer than two
        clusters, or as many clusters as clustered customers).
    """
    (groups,) = group_all(X, [labels])
    if groups.status is not Status.OK:
        return np.full(len(groups.codes), np.nan)
    return _samples(centred(X), [groups])[0]


def compute_many(X: np.ndarray, partitions: Sequence[np.ndarray]) -> list[Score]:
    """Mean silhouettes of all partitions of one space, in one pass over the pairwise distances.

    For a customer, a is the mean distance to the others of its cluster, b the least mean distance to another
    cluster, and s = (b - a) / max(a, b); 0 for a cluster of one, and where a = b = 0. The score is the mean
    over the clustered customers; noise is left out as rows and as columns. Range [-1, 1], higher is better.

    Parameters
    ----------
    X : array of shape (n, d)
        The space.
    partitions : sequence of arrays of shape (n,), integers
        One label per customer; negative is noise.

    Returns
    -------
    list of Score
        In the order given; status ``all_noise``, ``single_cluster`` or ``too_many_clusters`` where it has
        no value.

    Notes
    -----
    Distances are rounded to a grid (an error of at most 6e-14 of the largest one nearby) on which sums of
    1,024 are exact in float64. A sum then is the same in whatever order it is formed, so a partition's
    score has the same bits whatever else is scored with it. Memory: at most about 50 MB, 24 bytes per
    customer and partition, and 9 kB times k for a partition of more than 2,048 clusters; never n x n.

    References
    ----------
    Rousseeuw, P. J. (1987). Silhouettes: a graphical aid to the interpretation and validation of cluster
    analysis. Journal of Computational and Applied Mathematics 20, 53-65.
    """
    groups = group_all(X, partitions)
    distinct = {each.codes.tobytes(): each for each in groups if each.status is Status.OK}
    means = dict(zip(distinct, _means(X, list(distinct.values())), strict=True))
    return [
        each.score(means[each.codes.tobytes()]) if each.status is Status.OK else each.no_score(each.status)
        for each in groups
    ]


def _means(X: np.ndarray, partitions: list[Groups]) -> Iterator[float]:
    if not partitions:
        return
    points = centred(X)
    for batch in _batches(partitions):
        for samples in _samples(points, batch):
            yield float(np.mean(samples[~np.isnan(samples)]))


def _batches(partitions: list[Groups]) -> Iterator[list[Groups]]:
    """Cut the partitions into runs of at most so many clusters, or of one partition."""
    batch: list[Groups] = []
    for each in partitions:
        if batch and sum(other.n_clusters for other in batch) + each.n_clusters > _CLUSTERS_PER_PASS:
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch


def _samples(points: Points, partitions: list[Groups]) -> list[np.ndarray]:
    """Silhouette of each customer in each of the partitions, NaN for noise."""
    n = len(points.coordinates)
    samples = [np.full(n, np.nan) for _ in partitions]
    for rows in _slices(n, _ROWS):
        for out, groups, sums in zip(samples, partitions, _cluster_sums(points, partitions, rows), strict=True):
            out[rows] = _from_sums(sums, groups.codes[rows], groups.sizes)
    return samples


def _slices(n: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _cluster_sums(points: Points, partitions: list[Groups], rows: slice) -> list[np.ndarray]:
    """Sum the distances from each cluster to each row, one (k, rows) array per partition."""
    sums = [np.zeros((groups.n_clusters, rows.stop - rows.start)) for groups in partitions]
    few = [i for i, groups in enumerate(partitions) if groups.n_clusters <= _DENSE_CLUSTERS]
    many = [i for i, groups in enumerate(partitions) if groups.n_clusters > _DENSE_CLUSTERS]
    for columns in _slices(len(points.coordinates), _COLUMNS):
        tile = _to_grid(distance_tile(points, columns, rows))
        if few:
            _add_by_product(tile, [partitions[i] for i in few], columns, [sums[i] for i in few])
        for i in many:
            _add_by_sorting(tile, partitions[i].codes[columns], sums[i])
    return sums


def _to_grid(tile: np.ndarray) -> np.ndarray:
    """Round each column to multiples of a power of two, so coarse that any sum of its entries is exact."""
    exponent = np.frexp(tile.max(axis=0))[1]
    shift = np.ldexp(1.5, exponent + (_COLUMNS.bit_length() - 2))
    tile += shift
    tile -= shift
    return tile


def _add_by_product(tile: np.ndarray, partitions: list[Groups], columns: slice, sums: list[np.ndarray]) -> None:
    """Add the tile's share to the sums of all partitions in one matrix product with their memberships."""
    ends = np.cumsum([groups.n_clusters for groups in partitions])
    member = np.zeros((ends[-1], len(tile)))
    for groups, end in zip(partitions, ends, strict=True):
        codes = groups.codes[columns]
        clustered = np.flatnonzero(codes >= 0)
        member[end - groups.n_clusters + codes[clustered], clustered] = 1
    for total, part in zip(sums, np.split(member @ tile, ends[:-1]), strict=True):
        total += part


def _add_by_sorting(tile: np.ndarray, codes: np.ndarray, sums: np.ndarray) -> None:
    """Add the tile's share to the sums of one partition of many clusters, at a cost that k does not raise."""
    order = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :]
    if len(order):
        present, starts = np.unique(codes[order], return_index=True)
        sums[present] += np.add.reduceat(tile[order], starts, axis=0)


def _from_sums(sums: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Silhouettes of some rows from their summed distances to each cluster; overwrites the sums."""
    out = np.full(len(codes), np.nan)
    rows = np.flatnonzero(codes >= 0)
    own = codes[rows]
    a = sums[own, rows] / np.maximum(sizes[own] - 1, 1)
    sums /= sizes[:, None]
    sums[own, rows] = np.inf
    b = sums.min(axis=0)[rows]
    widest = np.maximum(a, b)
    defined = (widest > 0) & (sizes[own] > 1)
    out[rows] = np.divide(b - a, widest, out=np.zeros(len(rows)), where=defined)
    return out


SCORE = ScoreDefinition(
    name="silhouette", label="Silhouette", higher_is_better=True, order=10, compute_many=compute_many
)
