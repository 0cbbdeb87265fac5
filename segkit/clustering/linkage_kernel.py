"""What a linkage tree needs beyond the libraries that grow it: cuts, and whether it is the only one.

A tree is given as ``children`` (n - 1, 2), the two nodes of each merge in the order of the heights, customers being
the nodes 0..n-1 and merge i the node n + i.
"""

from __future__ import annotations

import numpy as np

from segkit.clustering.jit import njit


@njit
def cut(children, k):
    """Return the labels, (n,) int64, of the partition into k clusters: all but the last k - 1 merges done."""
    n = len(children) + 1
    label = np.empty(2 * n - 1, np.int64)
    label[2 * n - 2] = 0
    found = 1
    for merge in range(n - 2, -1, -1):
        own = label[n + merge]
        label[children[merge, 0]] = own
        label[children[merge, 1]] = own
        if merge > n - 1 - k:
            label[children[merge, 1]] = found
            found += 1
    return label[:n].copy()


@njit
def is_contested(X, children, heights, floor, tolerance):
    """Tell whether some merge of a Ward tree had a rival, so that another tree is as good.

    A merge above `floor` has a rival if one of its two clusters is as near to a third, within a relative
    `tolerance`. If none has, every way of growing the tree leads to the same merges. At or below the floor
    customers coincide, and it does not matter in which order they merge.
    """
    n, d = X.shape
    centre = X.copy()
    lead = X[:, 0].copy()  # apart, as most pairs are told apart by the first column
    size = np.ones(n)
    node_at = np.arange(n)
    place = np.empty(2 * n - 1, np.int64)
    place[:n] = node_at
    alive = n
    for merge in range(n - 1):
        a = place[children[merge, 0]]
        b = place[children[merge, 1]]
        if heights[merge] > floor:
            bound = (heights[merge] * (1 + tolerance)) ** 2
            if _has_rival(centre, lead, size, alive, a, b, bound) or _has_rival(centre, lead, size, alive, b, a, bound):
                return True
        both = size[a] + size[b]
        for j in range(d):
            centre[a, j] = (size[a] * centre[a, j] + size[b] * centre[b, j]) / both
        size[a] = both
        lead[a] = centre[a, 0]
        node_at[a] = n + merge
        place[n + merge] = a
        alive -= 1
        for j in range(d):
            centre[b, j] = centre[alive, j]
        size[b] = size[alive]
        lead[b] = lead[alive]
        node_at[b] = node_at[alive]
        place[node_at[b]] = b
    return False


@njit
def _has_rival(centre, lead, size, alive, a, b, bound):
    """Tell whether a cluster other than b is within a Ward distance, whose square is the bound, of a."""
    own, x = size[a], lead[a]
    widest = np.sqrt(bound * (own + 1) / (2 * own))
    for c in range(alive):
        if abs(lead[c] - x) <= widest and c != a and c != b:
            limit = bound * (own + size[c]) / (2 * own * size[c])
            total = 0.0
            for j in range(centre.shape[1]):
                total += (centre[a, j] - centre[c, j]) ** 2
                if total > limit:
                    break
            if total <= limit:
                return True
    return False
