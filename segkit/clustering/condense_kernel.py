"""The clusters of HDBSCAN at one least size, from the single-linkage tree of mutual reachability.

Of the condensed tree (Campello, Moulavi and Sander 2013) only what labels need is kept: for every
cluster its two children and its stability, summed in the order and precision of the hdbscan
library, so that the same clusters are selected.
"""

from __future__ import annotations

import numpy as np

from segkit.clustering.arrays import Indices, Mask, Matrix, Vector
from segkit.clustering.jit import njit
from segkit.clustering.partition import NOISE

CLOSE = 1e-6  # the library compares stabilities in single precision


@njit
def labels_at(tree: Matrix, least: int, by_leaf: bool) -> tuple[Indices, bool]:
    """Return the labels of a flat clustering, and whether rounding could decide them.

    Parameters
    ----------
    tree : ndarray of shape (n - 1, 4), float64
        Merges by height: the two nodes (customers 0..n-1, merge i is n + i), the height, the
        customers below.
    least : int
        The smallest cluster, above 1.
    by_leaf : bool
        Select the leaves of the condensed tree; otherwise the clusters with the largest excess of
        mass.

    Returns
    -------
    labels : ndarray of shape (n,), int64
        -1 is noise; the other numbers have gaps.
    close : bool
        Whether two stabilities are so close, or so large, that the library should select the
        clusters instead.
    """
    cluster, children, stability = _condense(tree, least)
    wins, close = _winners(children, stability, by_leaf)
    chosen = _outermost(children, wins)
    n = len(tree) + 1
    labels = np.empty(n, np.int64)
    for customer in range(n):
        labels[customer] = chosen[cluster[customer]]
    return labels, close


@njit
def _condense(tree: Matrix, least: int) -> tuple[Indices, Indices, Vector]:
    """Return the last cluster of each node, and each cluster's children and stability."""
    n = len(tree) + 1
    most = 2 * (n // least) + 1
    children = np.full((most, 2), -1)
    birth = np.zeros(most)
    stability = np.zeros(most)
    cluster = np.zeros(2 * n - 1, np.int64)
    fallen = np.zeros(2 * n - 1, np.bool_)
    n_clusters = 1
    for merge in range(n - 2, -1, -1):
        left, right = int(tree[merge, 0]), int(tree[merge, 1])
        own = cluster[n + merge]
        cluster[left] = cluster[right] = own
        if fallen[n + merge]:
            fallen[left] = fallen[right] = True
            continue
        density = 1 / tree[merge, 2] if tree[merge, 2] > 0 else np.inf
        lasted = density - birth[own]
        n_left, n_right = _n_below(tree, left), _n_below(tree, right)
        if n_left >= least and n_right >= least:
            stability[own] += lasted * n_left
            stability[own] += lasted * n_right
            for side, node in enumerate((left, right)):
                cluster[node] = children[own, side] = n_clusters
                birth[n_clusters] = density
                n_clusters += 1
            continue
        fallen[left], fallen[right] = n_left < least, n_right < least
        # One by one, as the library sums: a product would round differently.
        for _ in range(n_left * fallen[left] + n_right * fallen[right]):
            stability[own] += lasted
    return cluster, children[:n_clusters], stability[:n_clusters]


@njit
def _n_below(tree: Matrix, node: int) -> int:
    n = len(tree) + 1
    return int(tree[node - n, 3]) if node >= n else 1


@njit
def _winners(children: Indices, stability: Vector, by_leaf: bool) -> tuple[Mask, bool]:
    """Return which clusters are better than those below them, and whether a choice is close."""
    value = stability.copy()
    wins = np.ones(len(value), np.bool_)
    wins[0] = False  # all customers
    close = False
    for own in range(len(value) - 1, 0, -1):
        left, right = children[own]
        if left < 0:
            continue
        below = np.float64(np.float32(np.float64(np.float32(value[left])) + value[right]))
        wins[own] = not (by_leaf or below > value[own])
        close |= not (by_leaf or abs(below - value[own]) > CLOSE * value[own])
        if not wins[own]:
            value[own] = below
    return wins, close


@njit
def _outermost(children: Indices, wins: Mask) -> Indices:
    """Return for each cluster the outermost winner that holds it, or noise."""
    chosen = np.full(len(wins), NOISE, np.int64)
    for own in range(len(wins)):
        if chosen[own] == NOISE and wins[own]:
            chosen[own] = own
        if children[own, 0] >= 0:
            chosen[children[own, 0]] = chosen[children[own, 1]] = chosen[own]
    return chosen
