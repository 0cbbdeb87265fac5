"""Silhouette: how much nearer each customer is to its own cluster than to the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from math import sqrt

import numpy as np

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

_ROWS = 512
_ROWS_AT_ONCE = 4096
_COLUMNS = 1024
_CLUSTERS_PER_PASS = 2048
_DENSE_CLUSTERS = 64
# The distances among so few are summed as they are: what the shared pass rounds off would not
# average out.
_FEW = 512
# A partition shares the others' pass while all customers are centred and spread like its own, up to
# this factor: its distances then keep 13 digits. Its own centre and spread are those of about so
# many of its customers.
_ASKEW = 16.0
_GAUGED = 1024
# Coordinates below this share of the largest would have squares too small for their digits.
_SMALLEST = 1e-100
_NORMAL_95 = 1.959964


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


def compute_many(X: np.ndarray, partitions: Sequence[np.ndarray]) -> list[Score]:
    """Mean silhouettes of all partitions of one space, mostly in one pass over the pairwise distances.

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
    its clustered customers alone, as is one of at most 512 of them. Memory: at most about 200 MB,
    40 bytes per customer and partition, and 70 kB times k for a partition of more than 2,048
    clusters; never n x n.

    References
    ----------
    Rousseeuw, P. J. (1987). Silhouettes: a graphical aid to the interpretation and validation of
    cluster analysis. Journal of Computational and Applied Mathematics 20, 53-65.
    """
    groups = group_all(X, partitions)
    distinct = {each.codes.tobytes(): each for each in groups if each.status is Status.OK}
    means = dict(zip(distinct, _means(X, list(distinct.values())), strict=True))
    return [
        (
            each.score(means[each.codes.tobytes()])
            if each.status is Status.OK
            else each.no_score(each.status)
        )
        for each in groups
    ]


def compute_sampled(
    X: np.ndarray, partitions: Sequence[np.ndarray], rows: np.ndarray
) -> list[Score]:
    """Estimate the mean silhouettes of all partitions of one space from drawn customers, in O(m^2).

    The silhouettes of the drawn customers among themselves, as `compute_many` defines them, and
    their mean. Drawn alone of its cluster, a customer contributes 0.

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
        In the order given; ``n_scored`` and ``coverage`` are those of everybody, ``n_used`` the
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
    distinct = {groups.codes.tobytes(): groups for _, groups in drawn if groups.status is Status.OK}
    found = dict(
        zip(distinct, _means_and_spreads(np.asarray(X)[rows], list(distinct.values())), strict=True)
    )
    return [_estimate(score, found.get(groups.codes.tobytes())) for score, groups in drawn]


def _positions(rows: np.ndarray, n: int) -> np.ndarray:
    """Check the positions, and put them into an order that is random but always the same."""
    rows = np.asarray(rows)
    if rows.ndim != 1 or rows.size == 0 or rows.dtype.kind not in "iu":
        raise ValueError(
            "drawn customers must be a non-empty 1-d array of positions, not"
            f" {rows.dtype}{rows.shape}"
        )
    if rows.min() < 0 or rows.max() >= n or len(np.unique(rows)) != len(rows):
        raise ValueError(f"drawn customers must be distinct positions from 0 to {n - 1}")
    return np.random.default_rng(0).permutation(np.sort(rows))


def _drawn(groups: Groups, rows: np.ndarray) -> tuple[Score, Groups]:
    """Return a score still without its value, and the partition of the drawn customers."""
    codes = groups.codes[rows]
    members = np.bincount(codes[codes >= 0], minlength=groups.n_clusters)
    missing = int(np.count_nonzero(members < np.minimum(groups.sizes, 2)))
    score = groups.no_score(
        groups.status if groups.status is not Status.OK else Status.NOT_FEASIBLE
    )
    return replace(score, n_used=int(members.sum()), n_unrepresented=missing), group(codes)


def _estimate(score: Score, found: tuple[float, float] | None) -> Score:
    """Fill in the mean and its interval, if the drawn customers have silhouettes and so have all."""
    if found is None or score.status is not Status.NOT_FEASIBLE:
        return score
    mean, deviation = found
    half = _NORMAL_95 * deviation * sqrt((1 - score.n_used / score.n_scored) / score.n_used)
    return replace(
        score,
        value=mean,
        status=Status.OK,
        interval=(max(-1.0, mean - half), min(1.0, mean + half)),
    )


def _means_and_spreads(X: np.ndarray, partitions: list[Groups]) -> list[tuple[float, float]]:
    """Mean silhouette and the standard deviation of the customers' influences on it, for each partition."""
    found: list[tuple[float, float]] = [(0.0, 0.0)] * len(partitions)
    for numbers, points, batch in _batches(X, partitions):
        near = [Nearness(*each) for each in _pass(points, batch, _nearness)]
        for number, each, influence in zip(
            numbers, near, influences(points, batch, near), strict=True
        ):
            deviation = float(np.std(influence, ddof=1)) if len(influence) > 1 else 0.0
            found[number] = float(np.nanmean(each.silhouette)), deviation
    return found


def _means(X: np.ndarray, partitions: list[Groups]) -> list[float]:
    found = [0.0] * len(partitions)
    for numbers, points, batch in _batches(X, partitions):
        for number, (samples,) in zip(numbers, _pass(points, batch, _from_sums), strict=True):
            found[number] = float(np.mean(samples[~np.isnan(samples)]))
    return found


def _batches(
    X: np.ndarray, partitions: list[Groups]
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
    """Tell whether a partition leaves out customers who would cost the others' distances digits, or has few."""
    if groups.n_scored == len(groups.codes):
        return False
    if groups.n_scored <= _FEW:
        return True
    clustered = np.flatnonzero(groups.codes >= 0)
    some = everybody().coordinates[clustered[:: -(-len(clustered) // _GAUGED)]]
    centre = np.median(some, axis=0)
    radius = np.median(np.linalg.norm(some - centre, axis=1))
    return radius < _SMALLEST or max(np.linalg.norm(centre), everybody().radius) > _ASKEW * radius


def _runs(numbers: list[int], partitions: list[Groups]) -> Iterator[list[int]]:
    """Cut the numbers of partitions into runs of at most so many clusters, or of one partition."""
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


def _pass(points: Points, partitions: list[Groups], finish: Callable) -> list[list[np.ndarray]]:
    """Make, for each partition, arrays of one number per customer of the sums of its distances to the clusters."""
    if len(points) <= _FEW:
        from scipy.spatial.distance import cdist

        apart = cdist(points.original, points.original)
        return [
            finish(_plain_sums(apart, groups), groups.codes, groups.sizes) for groups in partitions
        ]
    few = [i for i, groups in enumerate(partitions) if groups.n_clusters <= _DENSE_CLUSTERS]
    many = [i for i, groups in enumerate(partitions) if groups.n_clusters > _DENSE_CLUSTERS]
    ways = [
        *([Together([partitions[i] for i in few])] if few else []),
        *(Alone(partitions[i]) for i in many),
    ]
    columns = [
        part[i : i + _COLUMNS] for part in points.classes() for i in range(0, len(part), _COLUMNS)
    ]
    found: list[list[tuple]] = [[] for _ in partitions]
    for rows in _slices(slice(0, len(points)), _ROWS_AT_ONCE):
        for i, sums in zip([*few, *many], _sums(points, ways, columns, rows), strict=True):
            found[i].append(finish(sums, partitions[i].codes[rows], partitions[i].sizes))
    return [[np.concatenate(parts) for parts in zip(*each, strict=True)] for each in found]


def _plain_sums(apart: np.ndarray, groups: Groups) -> np.ndarray:
    """Sum the distances from each cluster to each customer, the members in their order, (k, n)."""
    noise = len(groups.codes) - groups.n_scored
    cells = groups.codes + (noise > 0)
    return (indicator(cells, groups.n_clusters + (noise > 0)) @ apart)[int(noise > 0) :]


def _slices(whole: slice, size: int) -> list[slice]:
    return [
        slice(start, min(start + size, whole.stop))
        for start in range(whole.start, whole.stop, size)
    ]


def _sums(
    points: Points, ways: list[Together | Alone], columns: list[np.ndarray], rows: slice
) -> Iterator[np.ndarray]:
    """Sum the distances from each cluster to each row, one (k, rows) array per partition."""
    totals = [np.zeros((way.height, rows.stop - rows.start)) for way in ways]
    memory = np.empty(_COLUMNS * _ROWS)
    for members in columns:
        prepared = [way.prepare(members) for way in ways]
        for some in _slices(rows, _ROWS):
            tile = _exact_tile(points, members, some, memory)
            for each, total in zip(prepared, totals, strict=True):
                each.add(tile, total[:, some.start - rows.start : some.stop - rows.start])
    return (total[places] for way, total in zip(ways, totals, strict=True) for places in way.places)


def _exact_tile(points: Points, columns: np.ndarray, rows: slice, memory: np.ndarray) -> np.ndarray:
    """Distances rounded, for each row, to multiples of a power of two, so coarse that any sum of them is exact."""
    shape = (len(columns), rows.stop - rows.start)
    tile = squared_tile(points, columns, rows, memory[: shape[0] * shape[1]].reshape(shape))
    exponent = np.frexp(np.sqrt(tile.max(axis=0)))[1]
    # A distance keeps the bits that a sum of so many as large does not need.
    shift = np.ldexp(1.5, exponent + max((len(columns) - 1).bit_length() - 1, 1))
    for strip in strips(tile):
        part = tile[strip]
        np.sqrt(part, out=part)
        part += shift
        part -= shift
    return tile


def _from_sums(sums: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray]:
    """Silhouettes of some rows from their summed distances to each cluster; overwrites the sums."""
    a = _mean_distances(sums, codes, sizes)
    return (_silhouettes(a, sums.min(axis=0), codes, sizes),)


def _nearness(sums: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return a, b, the nearest other cluster and the silhouette of some rows; overwrites the sums."""
    a = _mean_distances(sums, codes, sizes)
    nearest = sums.argmin(axis=0)
    b = sums[nearest, np.arange(len(codes))]
    return a, b, nearest, _silhouettes(a, b, codes, sizes)


def _mean_distances(sums: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Turn sums into means, the own cluster's into infinity, and return the own; rows of noise mean nothing."""
    rows = np.flatnonzero(codes >= 0)
    own = codes[rows]
    a = np.zeros(len(codes))
    a[rows] = sums[own, rows] / np.maximum(sizes[own] - 1, 1)
    sums /= sizes[:, None]
    sums[own, rows] = np.inf
    return a


def _silhouettes(a: np.ndarray, b: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    widest = np.maximum(a, b)
    defined = (widest > 0) & (sizes[codes] > 1)
    out = np.divide(b - a, widest, out=np.zeros(len(codes)), where=defined)
    out[codes < 0] = np.nan
    return out


SCORE = ScoreDefinition(
    name="silhouette",
    label="Silhouette",
    higher_is_better=True,
    order=10,
    compute_many=compute_many,
    compute_sampled=compute_sampled,
)
