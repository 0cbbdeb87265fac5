"""Ward's tree from the matrix, whether it is the only one, and the cuts of any tree.

The tree is grown along chains of nearest neighbours (Murtagh 1983): from any cluster to its
nearest, from that one to its own nearest, until two are each other's nearest. These merge, and the
chain goes on from its end. Each search also compares the second nearest cluster with the nearest,
so that ties are known as soon as the tree is.

Clusters lie in blocks of `LANES`, column by column, so that a search treats a block's clusters at
once. The first blocks are leaves of a k-d tree over the principal axes: most are ruled out by their
boxes or by a few columns.

A tree is given as ``children`` (n - 1, 2), the two nodes of each merge in the order of the heights,
customers being the nodes 0..n-1 and merge i the node n + i.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segkit.clustering.arrays import Indices, Matrix, Vector
from segkit.clustering.axes import principal_axes
from segkit.clustering.compat import kd_tree
from segkit.clustering.jit import njit

LANES = 64  # clusters of a block
_STEP = 4  # columns summed before a block's clusters are compared with the bound again
_BOXED = 4  # leading columns with a box
_FULL = 0.8  # clusters move together when a smaller share of the places is taken
_ROUNDING = 1e-13  # of the largest distance possible: by how much centres may be off


def ward_tree(X: Matrix, tolerance: float) -> tuple[Indices, Vector, bool]:
    """Grow the tree of Ward's linkage (Ward 1963) without the distances between all pairs.

    Parameters
    ----------
    X : ndarray of shape (n, d), n > 1, finite
        The space; distances are Euclidean.
    tolerance : float
        Heights that differ by less, relatively, count as equal; customers that merge below this
        share of the largest height count as coinciding.

    Returns
    -------
    children : ndarray of shape (n - 1, 2), int64
    heights : ndarray of shape (n - 1,), float64
        In the units of the space, ascending; two customers merge at their distance.
    contested : bool
        Whether some merge above the coinciding customers had a rival: one of its two clusters was
        as near to a third, so that another tree is as good. Without one, every way of growing the
        tree leads to the same merges.
    """
    turned = principal_axes(X)
    rows = _leaf_order(turned)
    slack = _ROUNDING * np.sqrt(2 * np.einsum("ij,ij->", turned, turned))
    pairs, heights, rivals = _grow(_clusters(turned[rows]), len(X), tolerance, slack)
    order = np.argsort(heights, kind="stable")
    children = _numbered(rows[pairs[order]])
    above = heights > tolerance * heights.max()
    contested = (rivals[above] <= heights[above] * (1 + tolerance) + slack).any()
    return children, heights[order], bool(contested)


def _leaf_order(turned: Matrix) -> Indices:
    """Return the rows in an order in which neighbours are near."""
    return np.array(kd_tree(turned, LANES // 2).rows, dtype=np.int64)


@njit
def cut(children: Indices, k: int) -> Indices:
    """Return the labels, (n,) int64, of the partition into k clusters.

    All merges but the last k - 1 are made.
    """
    n = len(children) + 1
    label = np.empty(2 * n - 1, np.int64)
    label[2 * n - 2] = 0
    n_clusters = 1
    for merge in range(n - 2, -1, -1):
        own = label[n + merge]
        label[children[merge, 0]] = own
        label[children[merge, 1]] = own
        if merge > n - 1 - k:
            label[children[merge, 1]] = n_clusters
            n_clusters += 1
    return label[:n].copy()


class Clusters(NamedTuple):
    """The clusters that are left; place p is lane p % LANES of block p // LANES.

    An empty place lies at infinity.
    """

    centre: NDArray[np.float64]  # (blocks, d, LANES)
    inverse: Matrix  # (blocks, LANES), one over the size
    size: Vector  # (places,), 0 if empty
    member: Indices  # (places,) one of its customers
    low: Matrix  # (blocks, boxed) the box of its block; it may be too large
    high: Matrix
    link: Indices  # (places,) its link in the chain, or -1


def _clusters(points: Matrix) -> Clusters:
    """Return every customer as a cluster."""
    n, d = points.shape
    blocks = (n + LANES - 1) // LANES
    places, boxed = blocks * LANES, min(d, _BOXED)
    centre = np.full((blocks, d, LANES), np.inf)
    for block in range(blocks):
        own = points[block * LANES : (block + 1) * LANES]
        centre[block, :, : len(own)] = own.T
    box = np.empty((2, blocks, boxed))
    size = (np.arange(places) < n).astype(np.float64)
    clusters = Clusters(
        centre,
        np.ones((blocks, LANES)),
        size,
        np.arange(places),
        box[0],
        box[1],
        np.full(places, -1),
    )
    _fit_boxes(clusters, blocks)
    return clusters


@njit
def _fit_boxes(clusters: Clusters, blocks: int) -> None:
    for block in range(blocks):
        for j in range(clusters.low.shape[1]):
            low, high = np.inf, -np.inf
            for lane in range(LANES):
                x = clusters.centre[block, j, lane]
                if x < np.inf:
                    low, high = min(low, x), max(high, x)
            clusters.low[block, j], clusters.high[block, j] = low, high


@njit
def _is_beyond(low: Matrix, high: Matrix, block: int, centre: Vector, bound: float) -> bool:
    """Tell whether a block's box is farther than a squared distance from a centre."""
    total = 0.0
    for j in range(low.shape[1]):
        total += max(low[block, j] - centre[j], centre[j] - high[block, j], 0.0) ** 2
    return total > bound


@njit
def _measure(
    columns: Matrix,
    inverses: Vector,
    centre: Vector,
    inverse: float,
    half: float,
    squared: Vector,
) -> bool:
    """Put the squared distances to a block's clusters into `squared`.

    Return False as soon as none of them can be within reach. A cluster is within reach if its
    squared Ward distance, the squared distance over the mean of the two inverse sizes, is at most
    twice `half`.
    """
    d = len(columns)
    squared[:] = 0.0
    for start in range(0, d, _STEP):
        for j in range(start, min(start + _STEP, d)):
            x = centre[j]
            for lane in range(LANES):
                squared[lane] += (columns[j, lane] - x) ** 2
        within = np.int64(0)
        for lane in range(LANES):
            within |= np.int64(squared[lane] <= half * (inverse + inverses[lane]))
        if within == 0:
            return False
    return True


@njit
def _half(best: float, tolerance: float, slack: float) -> float:
    """Return half the square of the largest distance that equals the best within the tolerance."""
    half: float = 0.5 * (np.sqrt(best) * (1 + tolerance) + slack) ** 2
    return half


@njit
def _search(
    clusters: Clusters,
    blocks: int,
    at: int,
    nearest: int,
    best: float,
    tolerance: float,
    slack: float,
    squared: Vector,
) -> tuple[int, float, float]:
    """Return the cluster nearest to that at a place, and both smallest squared distances.

    The search starts from a cluster known to be as near as `best` (-1 and infinity if none is),
    which is returned unless another is nearer. The second distance is exact where it equals the
    first within the tolerance.
    """
    known, own = nearest, at // LANES
    centre = np.empty(clusters.centre.shape[1])
    for j in range(len(centre)):
        centre[j] = clusters.centre[own, j, at % LANES]
    inverse = clusters.inverse[own, at % LANES]
    half = _half(best, tolerance, slack)
    second = np.inf
    low, high = clusters.low, clusters.high
    for turn in range(-1, blocks):
        block = own if turn < 0 else turn  # its own block first, where a near one is likely
        if turn == own or _is_beyond(low, high, block, centre, half * (inverse + 1)):
            continue
        if not _measure(
            clusters.centre[block], clusters.inverse[block], centre, inverse, half, squared
        ):
            continue
        for lane in range(LANES):
            p, both = block * LANES + lane, inverse + clusters.inverse[block, lane]
            if squared[lane] <= half * both and p != at and p != known:
                distance = 2 * squared[lane] / both
                if distance < best:
                    nearest, best, second = p, distance, best
                    half = _half(best, tolerance, slack)
                elif distance < second:
                    second = distance
    return nearest, best, second


@njit
def _merge(clusters: Clusters, a: int, b: int) -> None:
    """Merge two clusters in the place of the larger one."""
    if clusters.size[b] > clusters.size[a]:
        a, b = b, a
    block, lane = a // LANES, a % LANES
    both = clusters.size[a] + clusters.size[b]
    for j in range(clusters.centre.shape[1]):
        other = clusters.centre[b // LANES, j, b % LANES]
        x = (clusters.size[a] * clusters.centre[block, j, lane] + clusters.size[b] * other) / both
        clusters.centre[block, j, lane] = x
        if j < clusters.low.shape[1]:
            clusters.low[block, j] = min(clusters.low[block, j], x)
            clusters.high[block, j] = max(clusters.high[block, j], x)
    clusters.size[a] = both
    clusters.inverse[block, lane] = 1 / both
    _vacate(clusters, b)


@njit
def _vacate(clusters: Clusters, p: int) -> None:
    for j in range(clusters.centre.shape[1]):
        clusters.centre[p // LANES, j, p % LANES] = np.inf
    clusters.inverse[p // LANES, p % LANES] = 1
    clusters.size[p] = 0
    clusters.link[p] = -1


@njit
def _close_up(clusters: Clusters, places: int, chain: Indices) -> int:
    """Move the clusters to the first places, in their order, and return how many there are."""
    to = 0
    for p in range(places):
        if clusters.size[p] == 0:
            continue
        if to < p:
            for j in range(clusters.centre.shape[1]):
                clusters.centre[to // LANES, j, to % LANES] = clusters.centre[
                    p // LANES, j, p % LANES
                ]
            clusters.inverse[to // LANES, to % LANES] = clusters.inverse[p // LANES, p % LANES]
            clusters.size[to] = clusters.size[p]
            clusters.member[to] = clusters.member[p]
            clusters.link[to] = clusters.link[p]
            if clusters.link[p] >= 0:
                chain[clusters.link[p]] = to
            _vacate(clusters, p)
        to += 1
    _fit_boxes(clusters, (to + LANES - 1) // LANES)
    return to


@njit
def _grow(
    clusters: Clusters, n: int, tolerance: float, slack: float
) -> tuple[Indices, Vector, Vector]:
    """Return, for every merge, a member of each of its two clusters, its height and its rival's."""
    places = n
    squared = np.empty(LANES)
    chain = np.empty(n, np.int64)
    distance = np.full(n, np.inf)  # squared, from each link to the one before
    second = np.empty(n)
    first, last = 0, -1
    pairs = np.empty((n - 1, 2), np.int64)
    heights = np.empty(n - 1)
    rivals = np.empty(n - 1)
    for merge in range(n - 1):
        blocks = (places + LANES - 1) // LANES
        if last < 0:
            last = 0
            while clusters.size[first] == 0:
                first += 1
            chain[0] = first
            clusters.link[first] = 0
        while True:
            a, b = chain[last], (chain[last - 1] if last else -1)
            nearest, best, second[last] = _search(
                clusters, blocks, a, b, distance[last], tolerance, slack, squared
            )
            if nearest == b:
                break
            back = clusters.link[nearest]
            if back >= 0:  # rounding leads back into the chain: continue from there
                while last > back:
                    clusters.link[chain[last]] = -1
                    last -= 1
                continue
            last += 1
            chain[last], distance[last], clusters.link[nearest] = nearest, best, last
        rival = min(second[last], second[last - 1])
        # The other cluster's rival may have merged since its search: search again.
        if rival <= 2 * _half(best, tolerance, slack):
            _, _, other = _search(clusters, blocks, b, a, best, tolerance, slack, squared)
            rival = min(second[last], other)
        pairs[merge, 0], pairs[merge, 1] = clusters.member[a], clusters.member[b]
        heights[merge], rivals[merge] = np.sqrt(best), np.sqrt(rival)
        clusters.link[a] = clusters.link[b] = -1
        last -= 2
        _merge(clusters, a, b)
        if n - 1 - merge < _FULL * places and places > LANES:
            places, first = _close_up(clusters, places, chain), 0
    return pairs, heights, rivals


@njit
def _numbered(pairs: Indices) -> Indices:
    """Return the nodes that merge, from a member of each."""
    n = len(pairs) + 1
    parent = np.arange(n)
    node = np.arange(n)
    children = np.empty((n - 1, 2), np.int64)
    for merge in range(n - 1):
        a, b = _find(parent, pairs[merge, 0]), _find(parent, pairs[merge, 1])
        children[merge, 0], children[merge, 1] = node[a], node[b]
        parent[b] = a
        node[a] = n + merge
    return children


@njit
def _find(parent: Indices, at: int) -> int:
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at
