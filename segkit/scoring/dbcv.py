"""DBCV: whether each cluster is denser inside than the densest path to another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segkit.clustering.arrays import Indices, Labels, Matrix, Vector
from segkit.scoring.blocks import row_blocks
from segkit.scoring.contract import Score, Status, group_all
from segkit.scoring.distances import scaled

Ties = Literal["density", "index"]


def dbcv(X: Matrix, labels: Labels, ties: Ties = "density") -> Score:
    """Compute the density-based clustering validity of a partition.

    A member's core distance is the generalised mean, with power -d, of its distances to the others
    of its cluster; the mutual reachability of two customers is the largest of their distance and
    both core distances. With the minimum spanning tree of each cluster under it, a cluster's
    sparseness is the longest edge between internal nodes (those with more than one edge), its
    separation the least mutual reachability of its internal nodes with those of another cluster,
    and its validity (separation - sparseness) / max(separation, sparseness). The score is the mean
    validity weighted by size / n. Range [-1, 1], higher is better.

    Noise has no cluster but counts in n, so it lowers the score: the score needs no penalty for it.
    Values are not comparable across dimensions, as the core distance depends on d.

    Parameters
    ----------
    X : array of shape (n, d)
        The space; finite.
    labels : array of shape (n,), integers
        The partition; gaps are allowed, negative is noise.
    ties : {"density", "index"}
        Which of equally long edges of mutual reachability the trees prefer: those of the customers
        with the least core distance, or those of the customers that come first.

    Returns
    -------
    Score
        Status ``all_noise``, ``single_cluster`` (also where all clusters but one have a single
        member) or ``too_many_clusters`` where it has no value.

    Notes
    -----
    What the paper leaves open is decided so. A cluster of one has validity 0 and separates nobody,
    as if it were noise. Without an internal edge (three members or fewer) all edges count, without
    an internal node (two members) both nodes. Duplicates have core distance 0, its limit as they
    approach each other. Two clusters of duplicates at one place have validity 0.

    Nor does it say which of many minimum spanning trees is meant: all edges whose length is a core
    distance have rivals of the same length, and which nodes are internal depends on the choice. By
    index the tree is that of ``hdbscan.validity_index`` (Prim's algorithm from the first member,
    the lowest index first), whose value for the same customers in another order differs by 0.2 and
    more. By density it is that tree with each cluster's customers in the order of their core
    distances: a sparse customer hangs on the densest one that it reaches, so that those at the rim
    stay leaves, and the order of the customers does not matter (unless core distances are equal).

    Time O(n_c^2 d) for each cluster and O(n^2 d) for the separation; memory O(n d) and a block,
    never n x n.

    References
    ----------
    Moulavi, D., Jaskowiak, P. A., Campello, R. J. G. B., Zimek, A. and Sander, J. (2014).
    Density-based clustering validation. Proceedings of the 2014 SIAM International Conference on
    Data Mining, 839-847.
    """
    (groups,) = group_all(X, [labels])
    if groups.status is not Status.OK:
        return groups.no_score(groups.status)
    plural = np.flatnonzero(groups.sizes > 1)
    if len(plural) < 2:
        return groups.no_score(Status.SINGLE_CLUSTER)
    # Only clustered customers are scaled: beside a far-off customer their coordinates could be too
    # small for their squares.
    clustered = groups.codes >= 0
    coordinates, codes = scaled(np.asarray(X)[clustered]), groups.codes[clustered]
    clusters = [_density(coordinates[codes == cluster], ties) for cluster in plural]
    sparseness = np.array([cluster.sparseness for cluster in clusters])
    validity = _contrast(_separations(clusters), sparseness)
    return groups.score(float(groups.sizes[plural] @ validity / len(groups.codes)))


@dataclass(frozen=True)
class Density:
    """What DBCV needs of a cluster.

    Attributes
    ----------
    internal : ndarray of shape (i, d)
        Its internal nodes.
    core : ndarray of shape (i,)
        Their core distances.
    sparseness : float
        The longest internal edge.
    """

    internal: Matrix
    core: Vector
    sparseness: float


def _density(members: Matrix, ties: Ties) -> Density:
    core = _core_distances(members)
    if ties == "density":
        order = np.argsort(core, kind="stable")
        members, core = members[order], core[order]
    parent, length = _spanning_tree(members, core)
    child = np.arange(1, len(members))
    inner = np.bincount(np.r_[child, parent]) > 1
    between = inner[child] & inner[parent]
    # Without an internal node or edge all of them count.
    nodes = inner if inner.any() else ~inner
    edges = length[between] if between.any() else length
    return Density(members[nodes], core[nodes], float(edges.max()))


def _core_distances(members: Matrix) -> Vector:
    """Return the core distances, from ratios to the nearest other member.

    Powers of these ratios cannot overflow.
    """
    from scipy.spatial.distance import cdist

    m, d = members.shape
    core = np.empty(m)
    for rows in row_blocks(m, m):
        distances = cdist(members[rows], members)
        distances[np.arange(len(rows)), rows] = np.inf
        nearest = distances.min(axis=1)
        ratios = np.divide(
            nearest[:, None], distances, out=np.ones_like(distances), where=distances > 0
        )
        core[rows] = nearest * ((m - 1) / np.power(ratios, d, out=ratios).sum(axis=1)) ** (1 / d)
    return core


def _spanning_tree(members: Matrix, core: Vector) -> tuple[Indices, Vector]:
    """Grow the minimum spanning tree of mutual reachability from member 0 (Prim's algorithm).

    One row of distances is held at a time. Returns the parents of the members 1..m-1, the lowest
    index among equals, and the lengths of these edges.
    """
    from scipy.spatial.distance import cdist

    m = len(members)
    parent, outside = np.zeros(m, dtype=np.int64), np.ones(m, dtype=bool)
    reach, length = np.full(m, np.inf), np.empty(m)
    node = 0
    for _ in range(m - 1):
        outside[node], reach[node] = False, np.inf
        row = np.maximum(cdist(members[node : node + 1], members)[0], core)
        np.maximum(row, core[node], out=row)
        nearer = outside & ((row < reach) | ((row == reach) & (node < parent)))
        np.copyto(reach, row, where=nearer)
        np.copyto(parent, node, where=nearer)
        node = int(np.argmin(reach))
        length[node] = reach[node]
    return parent[1:], length[1:]


def _separations(clusters: Sequence[Density]) -> Vector:
    """Return each cluster's least mutual reachability with another one, between internal nodes."""
    from scipy.spatial.distance import cdist

    code = np.repeat(np.arange(len(clusters)), [len(cluster.core) for cluster in clusters])
    nodes = np.concatenate([cluster.internal for cluster in clusters])
    core = np.concatenate([cluster.core for cluster in clusters])
    nearest = np.empty(len(nodes))
    for rows in row_blocks(len(nodes), len(nodes)):
        reach = np.maximum(cdist(nodes[rows], nodes), core)
        np.maximum(reach, core[rows, None], out=reach)
        reach[code[rows, None] == code] = np.inf
        nearest[rows] = reach.min(axis=1)
    separations = np.full(len(clusters), np.inf)
    np.minimum.at(separations, code, nearest)
    return separations


def _contrast(separation: Vector, sparseness: Vector) -> Vector:
    """Return (separation - sparseness) / max of both, 0 where both are 0."""
    larger = np.maximum(separation, sparseness)
    difference: Vector = separation - sparseness
    return np.divide(difference, larger, out=np.zeros_like(larger), where=larger > 0)
