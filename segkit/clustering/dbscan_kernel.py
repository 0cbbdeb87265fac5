"""The labels of DBSCAN for many radii and densities from one k-d tree.

No neighbourhood is ever held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from segkit.clustering.arrays import Indices, Mask, Matrix, Vector
from segkit.clustering.axes import principal_axes
from segkit.clustering.compat import kd_tree
from segkit.clustering.jit import njit
from segkit.clustering.partition import NOISE

LEAF_SIZE = 32  # customers
STEP = 4  # columns summed before a leaf's customers are compared with the bound again
ROUNDING = 1e-12  # of the largest norm; the turned coordinates are exact to about 1e-15 of it
STACK = 128  # twice the depth of any tree
_FAR = np.iinfo(np.int64).max  # larger than any cluster's number
# Marks of a node: no core customers in it, or core customers of several components.
_EMPTY, _MIXED = -2, -1

Counts: TypeAlias = NDArray[np.int32]


def label_many(
    X: Matrix, pairs: Sequence[tuple[float, int]]
) -> Iterator[tuple[float, int, Indices]]:
    """Yield the labels of every pair of radius and density, small radii first.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        The space; distances are Euclidean.
    pairs : sequence of (float, int)
        Radius (a distance of exactly the radius counts) and the least number of customers within
        it, itself included, that makes a customer a core one.

    Yields
    ------
    eps : float
    min_samples : int
    labels : ndarray of shape (n,), int64
        Clusters numbered by their first core customer; -1 is noise.
    """
    if not pairs:
        return
    tree = _tree(X)
    n = len(X)
    parents = {least: np.arange(n) for _, least in pairs}
    radii = np.array(sorted({eps for eps, _ in pairs}))
    counts = _counts(tree, np.arange(n), radii, min(max(parents), n + 1))
    for eps, count in zip(radii.tolist(), counts, strict=True):
        for least in sorted({least for radius, least in pairs if radius == eps}):
            yield eps, least, _labels(tree, eps, count, min(least, n + 1), parents[least])


def label_drawn(
    X: Matrix, rows: Indices, pairs: Sequence[tuple[float, int]]
) -> Iterator[tuple[float, int, Indices, Mask]]:
    """Yield the labels of drawn customers, counting all customers around each.

    This is DBSCAN++ (Jang and Jiang 2019).

    Parameters
    ----------
    X : ndarray of shape (n, d)
        The space.
    rows : ndarray of shape (m,), integers
        The drawn customers.
    pairs : sequence of (float, int)
        As for `label_many`.

    Yields
    ------
    eps : float
    min_samples : int
    labels : ndarray of shape (m,), int64
        Core customers among the drawn that are within reach of each other share a cluster; -1 is
        noise.
    core : ndarray of shape (m,), bool
    """
    if not pairs:
        return
    everybody, drawn = _tree(X), _tree(X[rows])
    position = np.empty(len(X), dtype=np.int64)
    position[everybody.rows] = np.arange(len(X))
    parents = {least: np.arange(len(rows)) for _, least in pairs}
    radii = np.array(sorted({eps for eps, _ in pairs}))
    most = min(max(parents), len(X) + 1)
    counts = _counts(everybody, position[rows[drawn.rows]], radii, most)
    for eps, count in zip(radii.tolist(), counts, strict=True):
        for least in sorted({least for radius, least in pairs if radius == eps}):
            # Counts end at `most`, which no number of customers reaches.
            bounded = min(least, len(X) + 1)
            core = np.empty(len(rows), dtype=bool)
            core[drawn.rows] = count >= bounded
            yield eps, least, _labels(drawn, eps, count, bounded, parents[least]), core


def _tree(X: Matrix) -> Tree:
    tree = kd_tree(principal_axes(X), LEAF_SIZE)
    slack = ROUNDING * np.sqrt(np.einsum("ij,ij->i", X, X).max(initial=0.0))
    turned = tree.points[tree.rows]
    blocks = _blocks(turned, tree.first, tree.last)
    return Tree(X, turned, blocks, tree.rows, tree.first, tree.last, tree.low, tree.high, slack)


def _blocks(turned: Matrix, first: Indices, last: Indices) -> NDArray[np.float64]:
    """Return the leaves' coordinates column by column, (leaves, d, lanes)."""
    inner = len(first) // 2
    blocks = np.full((len(first) - inner, turned.shape[1], (last - first)[inner:].max()), np.inf)
    for block, start, stop in zip(blocks, first[inner:], last[inner:], strict=True):
        block[:, : stop - start] = turned[start:stop].T
    return blocks


def _labels(tree: Tree, eps: float, count: Counts, least: int, parent: Indices) -> Indices:
    core = count >= least
    _link(tree, eps, core, parent)
    number = _numbers(tree.rows, core, parent)
    _join(tree, eps, core, count, number)
    labels = np.empty(len(number), dtype=np.int64)
    labels[tree.rows] = number
    return labels


class Tree(NamedTuple):
    """A k-d tree over the turned space; positions are in the tree's order.

    The children of node i are the nodes 2 i + 1 and 2 i + 2. The turned coordinates decide who is
    within reach. Where rounding might decide, the coordinates as given do, summed column by column
    as in scikit-learn.
    """

    points: Matrix  # (n, d) as given, by row
    turned: Matrix  # (n, d) along the principal axes, by position
    # (leaves, d, lanes) the same, leaf by leaf, filled up with customers at infinity
    blocks: NDArray[np.float64]
    rows: Indices  # (n,) the row of each position
    first: Indices  # (nodes,) the first position of each node; the leaves are the last nodes
    last: Indices  # (nodes,) one beyond its last
    low: Matrix  # (nodes, d) its box
    high: Matrix
    slack: float  # by how much a turned distance may be off


@njit
def _gap(low: Vector, high: Vector, centre: Vector, bound: float) -> float:
    """Return the squared distance from a customer to a box, or any value beyond the bound."""
    total = 0.0
    for j in range(len(centre)):
        total += max(low[j] - centre[j], centre[j] - high[j], 0.0) ** 2
        if total > bound:
            break
    return total


@njit
def _is_inside(low: Vector, high: Vector, centre: Vector, bound: float) -> bool:
    """Tell whether the whole box is within a squared distance of a customer."""
    total = 0.0
    for j in range(len(centre)):
        total += max(centre[j] - low[j], high[j] - centre[j]) ** 2
        if total > bound:
            return False
    return True


@njit
def _measure(columns: Matrix, centre: Vector, bound: float, squared: Vector) -> bool:
    """Put the squared distances to a leaf's customers into `squared`.

    Return False as soon as none of them can be within the bound.
    """
    d, lanes = columns.shape
    squared[:] = 0.0
    for start in range(0, d, STEP):
        for j in range(start, min(start + STEP, d)):
            x = centre[j]
            for lane in range(lanes):
                squared[lane] += (columns[j, lane] - x) ** 2
        within = np.int64(0)
        for lane in range(lanes):
            within |= np.int64(squared[lane] <= bound)
        if within == 0:
            return False
    return True


@njit
def _loose(eps: float, slack: float) -> float:
    """Return the squared turned distance beyond which nobody is within the radius."""
    return (eps + slack) ** 2


@njit
def _tight(eps: float, slack: float) -> float:
    """Return the squared turned distance up to which everybody is within the radius."""
    return (eps - slack) ** 2 if eps > slack else -1.0


@njit
def _is_near(
    points: Matrix, row: int, other: int, squared: float, eps: float, slack: float
) -> bool:
    """Tell whether two customers whose squared turned distance is known are within the radius."""
    if squared <= _tight(eps, slack):
        return True
    if squared > _loose(eps, slack):
        return False
    total = 0.0
    for j in range(points.shape[1]):
        total += (points[row, j] - points[other, j]) ** 2
    return total <= eps * eps


@njit
def _push_children(tree: Tree, at: int, node: int, stack: Indices, depth: int) -> int:
    """Put a node's children on the stack, the one on the customer's side on top."""
    own = 1 if at < tree.last[2 * node + 1] else 2
    stack[depth] = 2 * node + 3 - own
    stack[depth + 1] = 2 * node + own
    return depth + 2


@njit
def _find(parent: Indices, at: int) -> int:
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at


@njit
def _counts(tree: Tree, positions: Indices, radii: Vector, most: int) -> NDArray[np.int32]:
    """Return the number of customers within each radius of each position, (radii, positions).

    Numbers stop at `most`.
    """
    counts = np.empty((len(radii), len(positions)), np.int32)
    within = np.empty(len(radii), np.int64)
    squared = np.empty(tree.blocks.shape[2])
    stack = np.empty(STACK, np.int64)
    gaps = np.empty(STACK)
    for i in range(len(positions)):
        top = _count(tree, positions[i], radii, most, within, squared, stack, gaps)
        total = 0
        for e in range(len(radii)):
            if e <= top:
                total += within[e]
                counts[e, i] = total
            else:
                counts[e, i] = most
    return counts


@njit
def _count(
    tree: Tree,
    at: int,
    radii: Vector,
    most: int,
    within: Indices,
    squared: Vector,
    stack: Indices,
    gaps: Vector,
) -> int:
    """Count around one customer, for each radius, those beyond the next smaller radius.

    Nearer parts of the tree come first. Returns the number of the largest radius with fewer than
    `most` customers within; counting ends early for the radii above it.
    """
    slack, centre, leaves = tree.slack, tree.turned[at], len(tree.first) // 2
    low, high = tree.low, tree.high
    within[:] = 0
    top, total = len(radii) - 1, 0
    stack[0], gaps[0], depth = 0, 0.0, 1
    while depth > 0 and top >= 0:
        depth -= 1
        node, gap = stack[depth], gaps[depth]
        reach = _loose(radii[top], slack)
        if gap > reach:
            continue
        e = 0
        while gap > _loose(radii[e], slack):
            e += 1
        if _is_inside(low[node], high[node], centre, _tight(radii[e], slack)):
            within[e] += tree.last[node] - tree.first[node]
            total += tree.last[node] - tree.first[node]
        elif node >= leaves:
            if _measure(tree.blocks[node - leaves], centre, reach, squared):
                total += _sort_in(tree, at, node, radii[: top + 1], squared, within)
        else:
            left, right = 2 * node + 1, 2 * node + 2
            to_left = _gap(low[left], high[left], centre, reach)
            to_right = _gap(low[right], high[right], centre, reach)
            if to_left < to_right or (to_left == to_right and at < tree.last[left]):
                left, right, to_left, to_right = right, left, to_right, to_left
            stack[depth], gaps[depth] = left, to_left
            stack[depth + 1], gaps[depth + 1] = right, to_right
            depth += 2
        while top >= 0 and total >= most:
            total -= within[top]
            top -= 1
    return top


@njit
def _sort_in(
    tree: Tree, at: int, leaf: int, radii: Vector, squared: Vector, within: Indices
) -> int:
    """Count a leaf's customers at the smallest radius that holds each, and return their number."""
    reach = _loose(radii[-1], tree.slack)
    counted = 0
    for other in range(tree.first[leaf], tree.last[leaf]):
        apart = squared[other - tree.first[leaf]]
        if apart > reach:
            continue
        e = len(radii)
        while e > 0 and _is_near(
            tree.points, tree.rows[at], tree.rows[other], apart, radii[e - 1], tree.slack
        ):
            e -= 1
        if e < len(radii):
            within[e] += 1
            counted += 1
    return counted


@njit
def _same(parent: Indices, left: int, right: int) -> int:
    """Return the mark of a node from its children's marks; see `_mark`."""
    if left == _EMPTY:
        return right
    if right == _EMPTY:
        return left
    if left >= 0 and right >= 0 and _find(parent, left) == _find(parent, right):
        return left
    return _MIXED


@njit
def _mark(tree: Tree, core: Mask, parent: Indices) -> Indices:
    """Return a mark for each node: one of its core customers, if all are of one component.

    Otherwise the mark is `_EMPTY` (it has no core customers) or `_MIXED`.
    """
    mark = np.full(len(tree.first), _EMPTY, np.int64)
    for node in range(len(tree.first) - 1, -1, -1):
        if 2 * node + 1 < len(tree.first):
            mark[node] = _same(parent, mark[2 * node + 1], mark[2 * node + 2])
        else:
            for at in range(tree.first[node], tree.last[node]):
                if core[at]:
                    mark[node] = _same(parent, mark[node], at)
    return mark


@njit
def _link(tree: Tree, eps: float, core: Mask, parent: Indices) -> None:
    """Unite the components of core customers within reach of each other."""
    mark = _mark(tree, core, parent)
    squared = np.empty(tree.blocks.shape[2])
    stack = np.empty(STACK, np.int64)
    for at in range(len(tree.rows)):
        if core[at]:
            _link_one(tree, at, eps, core, parent, mark, squared, stack)


@njit
def _link_one(
    tree: Tree,
    at: int,
    eps: float,
    core: Mask,
    parent: Indices,
    mark: Indices,
    squared: Vector,
    stack: Indices,
) -> None:
    """Unite a core customer's component with those of the core customers after it, in reach."""
    reach = _loose(eps, tree.slack)
    leaves = len(tree.first) // 2
    centre = tree.turned[at]
    stack[0] = 0
    depth = 1
    while depth > 0:
        depth -= 1
        node = stack[depth]
        if tree.last[node] <= at or mark[node] == _EMPTY:
            continue
        if node < leaves and mark[node] == _MIXED:
            mark[node] = _same(parent, mark[2 * node + 1], mark[2 * node + 2])
        if mark[node] >= 0 and _find(parent, mark[node]) == _find(parent, at):
            continue
        if _gap(tree.low[node], tree.high[node], centre, reach) > reach:
            continue
        if node < leaves:
            depth = _push_children(tree, at, node, stack, depth)
        elif _is_whole(tree, node, core, parent, at):
            mark[node] = at
        elif _measure(tree.blocks[node - leaves], centre, reach, squared):
            _unite(tree, at, node, eps, core, parent, squared)


@njit
def _is_whole(tree: Tree, leaf: int, core: Mask, parent: Indices, at: int) -> bool:
    """Tell whether all core customers of a leaf are of the customer's own component."""
    root = _find(parent, at)
    for other in range(tree.first[leaf], tree.last[leaf]):
        if core[other]:
            theirs = _find(parent, other)
            if theirs != root:
                return False
    return True


@njit
def _unite(
    tree: Tree, at: int, leaf: int, eps: float, core: Mask, parent: Indices, squared: Vector
) -> None:
    """Unite a core customer's component with those of a leaf's core customers within reach."""
    reach = _loose(eps, tree.slack)
    root = _find(parent, at)
    for other in range(tree.first[leaf], tree.last[leaf]):
        apart = squared[other - tree.first[leaf]]
        if apart <= reach and core[other]:
            theirs = _find(parent, other)
            if theirs != root and _is_near(
                tree.points, tree.rows[at], tree.rows[other], apart, eps, tree.slack
            ):
                parent[theirs] = root


@njit
def _numbers(rows: Indices, core: Mask, parent: Indices) -> Indices:
    """Return each position's component, numbered by first core row; the others are noise so far."""
    n = len(rows)
    position = np.empty(n, np.int64)
    for at in range(n):
        position[rows[at]] = at
    of_root = np.full(n, NOISE, np.int64)
    number = np.full(n, NOISE, np.int64)
    n_components = 0
    for row in range(n):
        at = position[row]
        if core[at]:
            root = _find(parent, at)
            if of_root[root] == NOISE:
                of_root[root] = n_components
                n_components += 1
            number[at] = of_root[root]
    return number


@njit
def _lowest(tree: Tree, core: Mask, number: Indices) -> Indices:
    """Return the lowest number among the core customers of each node."""
    lowest = np.full(len(tree.first), _FAR, np.int64)
    for node in range(len(tree.first) - 1, -1, -1):
        if 2 * node + 1 < len(tree.first):
            lowest[node] = min(lowest[2 * node + 1], lowest[2 * node + 2])
        else:
            for at in range(tree.first[node], tree.last[node]):
                if core[at]:
                    lowest[node] = min(lowest[node], number[at])
    return lowest


@njit
def _join(tree: Tree, eps: float, core: Mask, count: Counts, number: Indices) -> None:
    """Give every other customer the lowest number among the core customers within reach."""
    lowest = _lowest(tree, core, number)
    reach = _loose(eps, tree.slack)
    leaves = len(tree.first) // 2
    squared = np.empty(tree.blocks.shape[2])
    stack = np.empty(STACK, np.int64)
    for at in range(len(tree.rows)):
        if core[at]:
            continue
        centre = tree.turned[at]
        best = _FAR
        unseen = count[at] - 1  # others within reach
        stack[0] = 0
        depth = 1
        while depth > 0 and unseen > 0:
            depth -= 1
            node = stack[depth]
            if lowest[node] >= best or _gap(tree.low[node], tree.high[node], centre, reach) > reach:
                continue
            if node < leaves:
                depth = _push_children(tree, at, node, stack, depth)
            elif _measure(tree.blocks[node - leaves], centre, reach, squared):
                n_seen, lowest_seen = _see(tree, at, node, eps, core, number, squared)
                best = min(best, lowest_seen)
                unseen -= n_seen
        if best < _FAR:
            number[at] = best


@njit
def _see(
    tree: Tree, at: int, leaf: int, eps: float, core: Mask, number: Indices, squared: Vector
) -> tuple[int, int]:
    """Return how many others of a leaf are in reach, and the lowest number of the core ones."""
    reach = _loose(eps, tree.slack)
    seen, best = 0, _FAR
    for other in range(tree.first[leaf], tree.last[leaf]):
        apart = squared[other - tree.first[leaf]]
        if apart > reach or other == at:
            continue
        if _is_near(tree.points, tree.rows[at], tree.rows[other], apart, eps, tree.slack):
            seen += 1
            if core[other]:
                best = min(best, number[other])
    return seen, best
