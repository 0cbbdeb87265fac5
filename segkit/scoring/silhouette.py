"""Silhouette: how much nearer each customer is to its own cluster than to the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from math import sqrt
from typing import Any, TypeAlias

import numpy as np

from segkit.clustering.arrays import Indices, Labels, Matrix, Vector
from segkit.scoring.cluster_sums import Alone, Together, indicator
from segkit.scoring.contract import (
    Groups,
    Score,
    ScoreDefinition,
    Status,
    group,
    group_all,
    group_each,
)
from segkit.scoring.distances import Points, centred, squared_tile, strips
from segkit.scoring.sampled import Nearness, influences

# A tile of distances is 1,024 by 512: 4 MB. The sums of 4,096 customers are held at a time.
_ROWS = 512
_ROWS_AT_ONCE = 4096
_COLUMNS = 1024
# Clusters of the partitions that share a pass, which bounds the memory for sums.
_CLUSTERS_PER_PASS = 2048
# Up to so many clusters a matrix product is faster than adding row by row.
_DENSE_CLUSTERS = 64
# The distances among at most so many customers are summed unrounded: the rounding of the shared
# pass would not average out.
_SMALL = 512
# A partition shares the others' pass while all customers are centred and spread like its own, up to
# this factor: its distances then keep 13 digits. Its own centre and spread are estimated from about
# `_GAUGED` of its customers.
_ASKEW = 16.0
_GAUGED = 1024
# Coordinates below this share of the largest would have squares too small for their digits.
_SMALLEST = 1e-100
_NORMAL_95 = 1.959964

# Turns some rows' sums over the clusters, (k, rows), their codes and the clusters' sizes into
# arrays of one number per row.
Finish: TypeAlias = Callable[[Matrix, Indices, Indices], tuple[Any, ...]]


def silhouette_samples(X: Matrix, labels: Labels) -> Vector:
    """Compute the silhouette of each customer, as `compute_many` defines it.

    Parameters
    ----------
    X : array of shape (n, d)
        The space.
    labels : array of shape (n,), integers
        The partition; negative is noise.

    Returns
    -------
    ndarray of shape (n,)
        In [-1, 1]; NaN for noise, and for everybody if the partition has no silhouette (fewer than
        two clusters, or as many clusters as clustered customers).
    """
    (groups,) = group_all(X, [labels])
    if groups.status is not Status.OK:
        return np.full(len(groups.codes), np.nan)
    samples = np.full(len(groups.codes), np.nan)
    for _, points, batch in _batches(X, [groups]):
        ((own,),) = _pass(points, batch, _from_sums)
        samples[groups.codes >= 0] = own[batch[0].codes >= 0]
    return samples


def compute_many(X: Matrix, partitions: Sequence[Labels]) -> list[Score]:
    """Compute the mean silhouettes of all partitions of one space.

    Most of them share one pass over the pairwise distances.

    For a customer, a is the mean distance to the others of its cluster, b the least mean distance
    to another cluster, and s = (b - a) / max(a, b); 0 for a cluster of one, and where a = b = 0.
    The score is the mean over the clustered customers; noise is left out as rows and as columns.
    Range [-1, 1], higher is better.

    Parameters
    ----------
    X : array of shape (n, d)
        The space.
    partitions : sequence of arrays of shape (n,), integers
        One label per customer; negative is noise.

    Returns
    -------
    list of Score
        In the order given; status ``all_noise``, ``single_cluster`` or ``too_many_clusters`` where
        it has no value.

    Notes
    -----
    Distances are rounded to a grid (an error of at most 6e-14 of the largest to a customer about as
    far from the centre) on which sums of 1,024 are exact in float64. A sum then is the same in
    whatever order it is formed, so a partition's score has the same bits whatever else is scored
    with it. A partition whose noise would move the centre or coarsen the grid is scored apart, on
    its clustered customers alone. So is one with noise that has at most 512 of them.

    Memory: at most about 200 MB, 40 bytes per customer and partition, and 70 kB times k for a
    partition of more than 2,048 clusters; never n x n.

    References
    ----------
    Rousseeuw, P. J. (1987). Silhouettes: a graphical aid to the interpretation and validation of
    cluster analysis. Journal of Computational and Applied Mathematics 20, 53-65.
    """
    grouped = group_all(X, partitions)
    distinct = {_key(groups): groups for groups in grouped if groups.status is Status.OK}
    means = dict(zip(distinct, _means(X, list(distinct.values())), strict=True))
    scores = []
    for groups in grouped:
        if groups.status is Status.OK:
            scores.append(groups.score(means[_key(groups)]))
        else:
            scores.append(groups.no_score(groups.status))
    return scores


def compute_sampled(X: Matrix, partitions: Sequence[Labels], rows: Indices) -> list[Score]:
    """Estimate the mean silhouettes of all partitions of one space from drawn customers, in O(m^2).

    The estimate is the mean silhouette of the drawn customers among themselves, as `compute_many`
    defines it. A customer drawn alone of its cluster contributes 0.

    Parameters
    ----------
    X : array of shape (n, d)
        The space.
    partitions : sequence of arrays of shape (n,), integers
        One label per customer; negative is noise.
    rows : array of shape (m,), integers
        Positions of the customers drawn at random, without replacement.

    Returns
    -------
    list of Score
        In the order given; ``n_scored`` and ``coverage`` are those of all customers, ``n_used`` the
        number of drawn customers in a cluster, ``n_unrepresented`` the number of clusters that too
        few were drawn of. No value with the statuses of `compute_many`, and ``not_feasible`` where
        the drawn customers are in fewer than two clusters, or all in different ones.

    Raises
    ------
    ValueError
        If the rows are not distinct positions of customers.

    Notes
    -----
    The interval is mean +- 1.96 s sqrt((1 - m / n) / m), with m and n the numbers of drawn and of
    all customers in a cluster, and s the standard deviation of the customers' influences on the
    mean. The clusters' mean distances are themselves estimated from the drawn members: with the
    silhouettes' own standard deviation for s, the interval would leave that out and be about a
    quarter too narrow. What it does leave out is the bias of the least of several estimated means,
    which matters where clusters have few drawn members (``n_unrepresented`` is the extreme). The
    estimate does not depend on the order of the rows. Memory: that of `compute_many` for m
    customers and twice as much per customer and partition, and some 30 bytes per customer of X;
    influences are those of at most 1,024 of the drawn.
    """
    rows = _positions(rows, len(X))
    drawn = [_drawn(groups, rows) for groups in group_each(X, partitions)]
    distinct = {_key(groups): groups for _, groups in drawn if groups.status is Status.OK}
    estimates = _means_and_spreads(np.asarray(X)[rows], list(distinct.values()))
    estimate_of = dict(zip(distinct, estimates, strict=True))
    return [_estimate(score, estimate_of.get(_key(groups))) for score, groups in drawn]


def _key(groups: Groups) -> bytes:
    """Return a key that equal partitions share, so that each is scored once."""
    return groups.codes.tobytes()


def _positions(rows: Indices, n: int) -> Indices:
    """Check the positions and return them in an order that is random but always the same.

    The influences are those of the first customers in it.
    """
    rows = np.asarray(rows)
    if rows.ndim != 1 or rows.size == 0 or rows.dtype.kind not in "iu":
        raise ValueError(
            "drawn customers must be a non-empty 1-d array of positions, "
            f"not {rows.dtype}{rows.shape}"
        )
    if rows.min() < 0 or rows.max() >= n or len(np.unique(rows)) != len(rows):
        raise ValueError(f"drawn customers must be distinct positions from 0 to {n - 1}")
    return np.random.default_rng(0).permutation(np.sort(rows))


def _drawn(groups: Groups, rows: Indices) -> tuple[Score, Groups]:
    """Return a score without its value yet, and the partition of the drawn customers."""
    codes = groups.codes[rows]
    members = np.bincount(codes[codes >= 0], minlength=groups.n_clusters)
    missing = int(np.count_nonzero(members < np.minimum(groups.sizes, 2)))
    # Not feasible until `_estimate` has a value for it.
    status = Status.NOT_FEASIBLE if groups.status is Status.OK else groups.status
    score = replace(groups.no_score(status), n_used=int(members.sum()), n_unrepresented=missing)
    return score, group(codes)


def _estimate(score: Score, estimate: tuple[float, float] | None) -> Score:
    """Fill in the mean and its interval, if all customers and the drawn ones have silhouettes."""
    if estimate is None or score.n_used is None or score.status is not Status.NOT_FEASIBLE:
        return score
    mean, deviation = estimate
    half = _NORMAL_95 * deviation * sqrt((1 - score.n_used / score.n_scored) / score.n_used)
    return replace(
        score,
        value=mean,
        status=Status.OK,
        interval=(max(-1.0, mean - half), min(1.0, mean + half)),
    )


def _means_and_spreads(X: Matrix, partitions: list[Groups]) -> list[tuple[float, float]]:
    """Return each mean silhouette and the standard deviation of the influences on it."""
    estimates = [(0.0, 0.0)] * len(partitions)
    for numbers, points, batch in _batches(X, partitions):
        nearness = [
            Nearness(a, b, nearest, silhouette)
            for a, b, nearest, silhouette in _pass(points, batch, _nearness)
        ]
        moved = influences(points, batch, nearness)
        for number, near, influence in zip(numbers, nearness, moved, strict=True):
            deviation = float(np.std(influence, ddof=1)) if len(influence) > 1 else 0.0
            estimates[number] = float(np.nanmean(near.silhouette)), deviation
    return estimates


def _means(X: Matrix, partitions: list[Groups]) -> list[float]:
    means = [0.0] * len(partitions)
    for numbers, points, batch in _batches(X, partitions):
        for number, (samples,) in zip(numbers, _pass(points, batch, _from_sums), strict=True):
            means[number] = float(np.mean(samples[~np.isnan(samples)]))
    return means


def _batches(
    X: Matrix, partitions: list[Groups]
) -> Iterator[tuple[list[int], Points, list[Groups]]]:
    """Yield batches of partitions, by number, with the customers whose distances they share."""
    everybody = cache(lambda: centred(X))
    shared = []
    for number, groups in enumerate(partitions):
        if _is_apart(groups, everybody):
            yield [number], centred(np.asarray(X)[groups.codes >= 0]), [groups.clustered()]
        else:
            shared.append(number)
    for numbers in _runs(shared, partitions):
        yield numbers, everybody(), [partitions[number] for number in numbers]


def _is_apart(groups: Groups, everybody: Callable[[], Points]) -> bool:
    """Tell whether a partition with noise is scored on its clustered customers alone.

    It is if these are few, or if the noise would cost their distances digits.
    """
    if groups.n_scored == len(groups.codes):
        return False
    if groups.n_scored <= _SMALL:
        return True
    clustered = np.flatnonzero(groups.codes >= 0)
    some = everybody().coordinates[clustered[:: -(-len(clustered) // _GAUGED)]]
    centre = np.median(some, axis=0)
    radius = np.median(np.linalg.norm(some - centre, axis=1))
    reach = max(np.linalg.norm(centre), everybody().radius)
    return bool(radius < _SMALLEST or reach > _ASKEW * radius)


def _runs(numbers: list[int], partitions: list[Groups]) -> Iterator[list[int]]:
    """Yield runs of partitions with at most `_CLUSTERS_PER_PASS` clusters, or of one partition."""
    run: list[int] = []
    clusters = 0
    for number in numbers:
        if run and clusters + partitions[number].n_clusters > _CLUSTERS_PER_PASS:
            yield run
            run, clusters = [], 0
        run.append(number)
        clusters += partitions[number].n_clusters
    if run:
        yield run


def _pass(points: Points, partitions: list[Groups], finish: Finish) -> list[tuple[Any, ...]]:
    """Finish the sums of the distances to each partition's clusters, for all customers."""
    if len(points) <= _SMALL:
        from scipy.spatial.distance import cdist

        distances = cdist(points.original, points.original)
        return [
            finish(_plain_sums(distances, groups), groups.codes, groups.sizes)
            for groups in partitions
        ]
    dense = [i for i, groups in enumerate(partitions) if groups.n_clusters <= _DENSE_CLUSTERS]
    sparse = [i for i, groups in enumerate(partitions) if groups.n_clusters > _DENSE_CLUSTERS]
    ways: list[Together | Alone] = []
    if dense:
        ways.append(Together([partitions[i] for i in dense]))
    ways.extend(Alone(partitions[i]) for i in sparse)
    columns: list[Indices] = []
    for members in points.classes():
        columns.extend(members[i : i + _COLUMNS] for i in range(0, len(members), _COLUMNS))
    finished: list[list[tuple[Any, ...]]] = [[] for _ in partitions]
    for rows in _slices(slice(0, len(points)), _ROWS_AT_ONCE):
        for i, sums in zip([*dense, *sparse], _sums(points, ways, columns, rows), strict=True):
            finished[i].append(finish(sums, partitions[i].codes[rows], partitions[i].sizes))
    return [
        tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True)) for parts in finished
    ]


def _plain_sums(distances: Matrix, groups: Groups) -> Matrix:
    """Sum the distances from each cluster to each customer, the members in their order, (k, n)."""
    # Noise takes a cell of its own, the first, which is left out again.
    noise = int(groups.n_scored < len(groups.codes))
    sums: Matrix = indicator(groups.codes + noise, groups.n_clusters + noise) @ distances
    return sums[noise:]


def _slices(whole: slice, size: int) -> list[slice]:
    return [
        slice(start, min(start + size, whole.stop))
        for start in range(whole.start, whole.stop, size)
    ]


def _sums(
    points: Points, ways: list[Together | Alone], columns: list[Indices], rows: slice
) -> Iterator[Matrix]:
    """Sum the distances from each cluster to each row, one (k, rows) array per partition."""
    totals = [np.zeros((way.height, rows.stop - rows.start)) for way in ways]
    memory = np.empty(_COLUMNS * _ROWS)
    for members in columns:
        prepared = [way.prepare(members) for way in ways]
        for part in _slices(rows, _ROWS):
            tile = _exact_tile(points, members, part, memory)
            for clusters, total in zip(prepared, totals, strict=True):
                clusters.add(tile, total[:, part.start - rows.start : part.stop - rows.start])
    for way, total in zip(ways, totals, strict=True):
        for places in way.places:
            yield total[places]


def _exact_tile(points: Points, columns: Indices, rows: slice, memory: Vector) -> Matrix:
    """Return distances rounded to a grid on which any sum of them is exact.

    The grid of a row is the multiples of a power of two.
    """
    shape = (len(columns), rows.stop - rows.start)
    tile = squared_tile(points, columns, rows, memory[: shape[0] * shape[1]].reshape(shape))
    exponent = np.frexp(np.sqrt(tile.max(axis=0)))[1]
    # A distance keeps the bits that a sum of all of them, each as large, does not need.
    shift = np.ldexp(1.5, exponent + max((len(columns) - 1).bit_length() - 1, 1))
    for strip in strips(tile):
        part = tile[strip]
        np.sqrt(part, out=part)
        part += shift
        part -= shift
    return tile


def _from_sums(sums: Matrix, codes: Indices, sizes: Indices) -> tuple[Vector]:
    """Return silhouettes from summed distances to each cluster; overwrites the sums."""
    a = _mean_distances(sums, codes, sizes)
    return (_silhouettes(a, sums.min(axis=0), codes, sizes),)


def _nearness(sums: Matrix, codes: Indices, sizes: Indices) -> tuple[Any, ...]:
    """Return a, b, the nearest other cluster and the silhouette; overwrites the sums."""
    a = _mean_distances(sums, codes, sizes)
    nearest = sums.argmin(axis=0)
    b = sums[nearest, np.arange(len(codes))]
    return a, b, nearest, _silhouettes(a, b, codes, sizes)


def _mean_distances(sums: Matrix, codes: Indices, sizes: Indices) -> Vector:
    """Turn sums into means in place, and return the own cluster's, which become infinite.

    Rows of noise are undefined.
    """
    rows = np.flatnonzero(codes >= 0)
    own = codes[rows]
    a = np.zeros(len(codes))
    a[rows] = sums[own, rows] / np.maximum(sizes[own] - 1, 1)
    sums /= sizes[:, None]
    sums[own, rows] = np.inf
    return a


def _silhouettes(a: Vector, b: Vector, codes: Indices, sizes: Indices) -> Vector:
    widest = np.maximum(a, b)
    defined = (widest > 0) & (sizes[codes] > 1)
    difference: Vector = b - a
    silhouettes = np.divide(difference, widest, out=np.zeros(len(codes)), where=defined)
    silhouettes[codes < 0] = np.nan
    return silhouettes


SCORE = ScoreDefinition(
    name="silhouette",
    label="Silhouette",
    higher_is_better=True,
    order=10,
    compute_many=compute_many,
    compute_sampled=compute_sampled,
)
