"""Agreement of two partitions of the same customers, from their contingency table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segkit.clustering.arrays import Indices, Labels
from segkit.scoring.contract import Score, Status


def contingency(a: Labels, b: Labels, k_a: int | None = None) -> Indices:
    """Cross-tabulate two partitions, noise included.

    Parameters
    ----------
    a, b : array of shape (n,), integers
        Labels; -1 is noise. Numbers without gaps keep the table small.
    k_a : int, optional
        Number of clusters of `a`, if those without a customer here must have a row too.

    Returns
    -------
    ndarray of shape (1 + k_a, 1 + k_b), int64
        Numbers of customers; row and column 0 are noise, 1 + i is cluster i.
    """
    a, b = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(
            f"two partitions must label the same customers, not {a.shape} and {b.shape}"
        )
    if k_a is None:
        k_a = int(a.max(initial=-1)) + 1
    k_b = int(b.max(initial=-1)) + 1
    cells = (a + 1) * (k_b + 1) + (b + 1)
    return np.bincount(cells, minlength=(k_a + 1) * (k_b + 1)).reshape(k_a + 1, k_b + 1)


def contingency_many(a: Sequence[Labels], b: Sequence[Labels], k_a: Sequence[int]) -> list[Indices]:
    """Cross-tabulate several pairs of partitions of the same customers in one pass.

    Parameters
    ----------
    a, b : sequence of arrays of shape (n,), integers, length r
        Labels; -1 is noise.
    k_a : sequence of int, length r
        Numbers of clusters of `a`.

    Returns
    -------
    list of ndarray
        The tables of `contingency`.
    """
    if not len(a):
        return []
    rows, columns = (np.array(labels, dtype=np.int64) for labels in (a, b))
    if rows.shape != columns.shape or rows.ndim != 2:
        raise ValueError(
            "pairs of partitions must label the same customers, "
            f"not {rows.shape} and {columns.shape}"
        )
    height = np.asarray(k_a, dtype=np.int64)[:, None] + 1
    width = columns.max(axis=1, initial=-1, keepdims=True) + 2
    ends = np.cumsum(height * width)
    starts = np.r_[0, ends[:-1]][:, None]
    # The cell of each pair of labels in one row of tables; in place, as the rows are large.
    rows += 1
    rows *= width
    rows += columns
    rows += starts + 1
    counts = np.bincount(rows.ravel(), minlength=ends[-1])
    shapes = zip(height[:, 0], width[:, 0], strict=True)
    tables = zip(np.split(counts, ends[:-1]), shapes, strict=True)
    return [cells.reshape(shape) for cells, shape in tables]


def adjusted_rand(a: Labels, b: Labels) -> Score:
    """Compute the adjusted Rand index over the customers that both partitions put in a cluster.

    1 for equal partitions, 0 on average for independent ones; range [-0.5, 1]. The pair counts are
    exact integers, whatever the number of customers.

    Parameters
    ----------
    a, b : array of shape (n,), integers
        Labels; -1 is noise.

    Returns
    -------
    Score
        Where the index is 0/0 it has no value and a status instead: ``all_noise`` if nobody is in a
        cluster of both, ``single_cluster`` if both have one cluster, ``too_many_clusters`` if both
        have only clusters of one.

    References
    ----------
    Hubert, L. and Arabie, P. (1985). Comparing partitions. Journal of Classification 2, 193-218.
    """
    return adjusted_rand_of(contingency(a, b))


def truth_ari(labels: Labels, truth: Labels) -> Score:
    """Compare a partition with the planted groups by adjusted Rand index.

    Only clustered customers count; the score's coverage is their share.

    Parameters
    ----------
    labels, truth : array of shape (n,), integers
        Labels; -1 is noise.
    """
    return adjusted_rand(labels, truth)


def partition_agreement(a: Labels, b: Labels) -> float:
    """Compare two whole partitions: the adjusted Rand index with noise as a group of its own.

    1 for equal partitions, those of one group included, where the index itself is 0/0.

    Parameters
    ----------
    a, b : array of shape (n,), integers
        Labels; -1 is noise.
    """
    value = adjusted_rand(np.asarray(a) + 1, np.asarray(b) + 1).value
    return 1.0 if value is None else value


def adjusted_rand_of(table: Indices) -> Score:
    """Compute the adjusted Rand index of a contingency table that `contingency` returned."""
    both = table[1:, 1:]
    n, total = int(both.sum()), int(table.sum())
    coverage = n / total if total else 0.0
    if n == 0:
        return Score(None, Status.ALL_NOISE, 0, coverage)
    together, rows, columns = _pairs(both), _pairs(both.sum(axis=1)), _pairs(both.sum(axis=0))
    pairs = n * (n - 1) // 2
    if rows == columns == pairs:
        return Score(None, Status.SINGLE_CLUSTER, n, coverage)
    if rows == columns == 0:
        return Score(None, Status.TOO_MANY_CLUSTERS, n, coverage)
    # Twice the usual numerator and denominator, so that all sums stay integers until the division.
    chance = rows * columns
    value = 2 * (together * pairs - chance) / ((rows + columns) * pairs - 2 * chance)
    return Score(value, Status.OK, n, coverage)


def _pairs(counts: Indices) -> int:
    """Count the pairs within the counts, as a Python integer: products of these pass 64 bits."""
    return int((counts * (counts - 1) // 2).sum())
