"""The labels of DBSCAN for many radii and densities from one k-d tree, without holding a neighbourhood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from segkit.clustering.axes import principal_axes
from segkit.clustering.jit import njit
from segkit.clustering.partition import NOISE

LEAF_SIZE = 24
ROUNDING = 1e-12  # of the largest norm; the turned coordinates are exact to about 1e-15 of it
STACK = 128  # twice the depth of any tree
_FAR = np.iinfo(np.int64).max
_EMPTY, _MIXED = -2, -1


def label_many(X: np.ndarray, wanted: Sequence[tuple[float, int]]) -> Iterator[tuple[float, int, np.ndarray]]:
    """Yield the labels of every radius and density asked for, small radii first.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        The space; distances are Euclidean.
    wanted : sequence of (float, int)
        Radius (a distance of exactly the radius counts) and the least number of customers within it, oneself
        included, that makes a customer a core one.

    Yields
    ------
    eps : float
    min_samples : int
    labels : ndarray of shape (n,), int64
        Clusters numbered by their first core customer; -1 is noise.
    """
    if not wanted:
        return
    tree = _tree(X)
    n = len(X)
    counts = np.zeros(n, dtype=np.int32)
    parents = {least: np.arange(n) for _, least in wanted}
    most = min(max(parents), n + 1)
    for eps in sorted({eps for eps, _ in wanted}):
        _count(tree, eps, most, counts)
        for least in sorted({least for radius, least in wanted if radius == eps}):
            yield eps, least, _labels(tree, eps, counts >= min(least, n + 1), parents[least])


def _tree(X: np.ndarray) -> Tree:
    from sklearn.neighbors import KDTree

    turned = principal_axes(X)
    points, rows, nodes, boxes = (np.asarray(a) for a in KDTree(turned, leaf_size=LEAF_SIZE).get_arrays())
    first, last = (np.ascontiguousarray(nodes[name]) for name in ("idx_start", "idx_end"))
    slack = ROUNDING * np.sqrt(np.einsum("ij,ij->i", X, X).max(initial=0.0))
    return Tree(X[rows], points[rows], rows, first, last, boxes[0].copy(), boxes[1].copy(), slack)


def _labels(tree: Tree, eps: float, core: np.ndarray, parent: np.ndarray) -> np.ndarray:
    _link(tree, eps, core, parent)
    number = _numbers(tree.rows, core, parent)
    _join(tree, eps, core, number)
    labels = np.empty(len(number), dtype=np.int64)
    labels[tree.rows] = number
    return labels


class Tree(NamedTuple):
    """A k-d tree over the turned space; positions are in its order, node i's children are 2i + 1 and 2i + 2.

    The turned coordinates only rule pairs out (or whole nodes in), with some slack for rounding: who is
    within reach is decided in the coordinates as given, summed column by column as in scikit-learn.
    """

    points: np.ndarray  # (n, d) as given
    turned: np.ndarray  # (n, d) along the principal axes
    rows: np.ndarray  # (n,) the row of each position
    first: np.ndarray  # (nodes,) the first position of each node
    last: np.ndarray  # (nodes,) one beyond its last
    low: np.ndarray  # (nodes, d) its box
    high: np.ndarray
    slack: float


@njit
def _gap(tree, at, node, bound):
    """Return the squared distance from a customer to a node's box, or some value beyond the bound."""
    total = 0.0
    for j in range(tree.turned.shape[1]):
        x = tree.turned[at, j]
        if x < tree.low[node, j]:
            total += (tree.low[node, j] - x) ** 2
        elif x > tree.high[node, j]:
            total += (x - tree.high[node, j]) ** 2
        if total > bound:
            break
    return total


@njit
def _is_inside(tree, at, node, bound):
    """Tell whether the farthest corner of a node's box is within the bound of a customer."""
    total = 0.0
    for j in range(tree.turned.shape[1]):
        x = tree.turned[at, j]
        total += max(abs(x - tree.low[node, j]), abs(tree.high[node, j] - x)) ** 2
        if total > bound:
            return False
    return True


@njit
def _is_near(tree, at, other, eps, bound):
    total = 0.0
    for j in range(tree.turned.shape[1]):
        total += (tree.turned[at, j] - tree.turned[other, j]) ** 2
        if total > bound:
            return False
    total = 0.0
    for j in range(tree.points.shape[1]):
        total += (tree.points[at, j] - tree.points[other, j]) ** 2
    return total <= eps * eps


@njit
def _push_children(tree, at, node, stack, depth):
    """Put a node's children on the stack, the one on the customer's side on top."""
    own = 1 if at < tree.last[2 * node + 1] else 2
    stack[depth] = 2 * node + 3 - own
    stack[depth + 1] = 2 * node + own
    return depth + 2


@njit
def _find(parent, at):
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at


@njit
def _count(tree, eps, most, counts):
    """Count the customers within reach of each, up to `most`; whoever has as many already keeps them."""
    n = len(tree.rows)
    loose = (eps + tree.slack) ** 2
    tight = (eps - tree.slack) ** 2 if eps > tree.slack else -1.0
    stack = np.empty(STACK, np.int64)
    for at in range(n):
        if counts[at] >= most:
            continue
        found = 0
        stack[0] = 0
        depth = 1
        while depth > 0 and found < most:
            depth -= 1
            node = stack[depth]
            if _gap(tree, at, node, loose) > loose:
                continue
            if _is_inside(tree, at, node, tight):
                found += tree.last[node] - tree.first[node]
            elif 2 * node + 1 >= len(tree.first):
                for other in range(tree.first[node], tree.last[node]):
                    if _is_near(tree, at, other, eps, loose):
                        found += 1
            else:
                depth = _push_children(tree, at, node, stack, depth)
        counts[at] = min(found, most)


@njit
def _same(parent, left, right):
    """Return the mark of a node from its children's."""
    if left == _EMPTY:
        return right
    if right == _EMPTY:
        return left
    if left >= 0 and right >= 0 and _find(parent, left) == _find(parent, right):
        return left
    return _MIXED


@njit
def _mark(tree, core, parent):
    """Return for each node a core customer whose component holds all its core customers, or a code."""
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
def _link(tree, eps, core, parent):
    """Unite the components of core customers within reach of each other."""
    mark = _mark(tree, core, parent)
    loose = (eps + tree.slack) ** 2
    stack = np.empty(STACK, np.int64)
    for at in range(len(tree.rows)):
        if not core[at]:
            continue
        stack[0] = 0
        depth = 1
        while depth > 0:
            depth -= 1
            node = stack[depth]
            if tree.last[node] <= at or mark[node] == _EMPTY:
                continue
            inner = 2 * node + 1 < len(tree.first)
            if inner and mark[node] == _MIXED:
                mark[node] = _same(parent, mark[2 * node + 1], mark[2 * node + 2])
            if mark[node] >= 0 and _find(parent, mark[node]) == _find(parent, at):
                continue
            if _gap(tree, at, node, loose) > loose:
                continue
            if inner:
                depth = _push_children(tree, at, node, stack, depth)
                continue
            whole = True
            root = _find(parent, at)
            for other in range(tree.first[node], tree.last[node]):
                if core[other]:
                    theirs = _find(parent, other)
                    if theirs != root:
                        if _is_near(tree, at, other, eps, loose):
                            parent[theirs] = root
                        else:
                            whole = False
            if whole:
                mark[node] = at


@njit
def _numbers(rows, core, parent):
    """Return the components' numbers, by their first core row, at each position; the others are noise so far."""
    n = len(rows)
    position = np.empty(n, np.int64)
    for at in range(n):
        position[rows[at]] = at
    of_root = np.full(n, NOISE, np.int64)
    number = np.full(n, NOISE, np.int64)
    found = 0
    for row in range(n):
        at = position[row]
        if core[at]:
            root = _find(parent, at)
            if of_root[root] == NOISE:
                of_root[root] = found
                found += 1
            number[at] = of_root[root]
    return number


@njit
def _join(tree, eps, core, number):
    """Give every other customer the lowest number among the core customers within reach."""
    least = np.full(len(tree.first), _FAR, np.int64)
    for node in range(len(tree.first) - 1, -1, -1):
        if 2 * node + 1 < len(tree.first):
            least[node] = min(least[2 * node + 1], least[2 * node + 2])
        else:
            for at in range(tree.first[node], tree.last[node]):
                if core[at]:
                    least[node] = min(least[node], number[at])
    loose = (eps + tree.slack) ** 2
    stack = np.empty(STACK, np.int64)
    for at in range(len(tree.rows)):
        if core[at]:
            continue
        best = _FAR
        stack[0] = 0
        depth = 1
        while depth > 0:
            depth -= 1
            node = stack[depth]
            if least[node] >= best or _gap(tree, at, node, loose) > loose:
                continue
            if 2 * node + 1 < len(tree.first):
                depth = _push_children(tree, at, node, stack, depth)
                continue
            for other in range(tree.first[node], tree.last[node]):
                if core[other] and number[other] < best and _is_near(tree, at, other, eps, loose):
                    best = number[other]
        if best < _FAR:
            number[at] = best
