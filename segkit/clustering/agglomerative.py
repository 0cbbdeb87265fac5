"""Agglomerative clustering: one tree for each linkage and metric, cut at any number or height.

Shared: the tree. Ward's (Ward 1963) is grown from the matrix without the distances between all
pairs. A cut is taken from it only if every other way of growing the tree leads to the same merges;
ties, as in rounded or integer data, are broken as scikit-learn breaks them, by growing
scikit-learn's own tree.

Memory: Ward without ties 8 n (3 d + 30) bytes. Single linkage 8 n (d + 20) bytes. Average and
complete linkage, and Ward with ties, 8 n^2 bytes (two copies of the distances). Where a worker has
less than that, Ward with ties is not fitted. Beyond `MOST_EXACT` customers the tree of this module
is used despite ties, where the plain estimator would need as much.

Outside the family (a connectivity, say) each configuration is fitted by the plain estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from segkit import targets
from segkit.clustering import generic
from segkit.clustering.partition import BASE_BYTES, Config, Partition, attempt, canonical, room
from segkit.errors import NoRoom

if TYPE_CHECKING:
    from segkit.clustering.arrays import Indices, Matrix, Vector

MOST_EXACT = 20_000  # customers; 3.2 GB of distances
_WORKER_BYTES = 500_000_000  # a worker with its libraries and the space
_TOLERANCE = 1e-9  # heights that differ by less, relatively, may change places by rounding
_EUCLIDEAN = ("euclidean", "l2")
_WHOLE_TREE = ("auto", True)  # values of compute_full_tree


class Tree(NamedTuple):
    """The merges in order: the two nodes (n - 1, 2) and the height (n - 1,) of each."""

    children: Indices
    heights: Vector


def infeasible(config: Config, n: int) -> str | None:
    """Return why a configuration cannot be fitted on n customers, or None."""
    linkage, metric = config.get("linkage", "ward"), config.get("metric", "euclidean")
    if linkage == "ward" and metric != "euclidean":
        return f"linkage = ward needs metric = euclidean, not {metric}"
    reason = generic.infeasible(config, n)
    if reason is None and n < 2:
        return "needs at least 2 customers, there is 1"
    return reason


def memory(config: Config, n: int, d: int) -> int:
    """Return a bound on the bytes that fitting n customers in d columns takes beyond the matrix.

    Whether Ward's tree has ties is not known before it is grown: the bound is that of a tree
    without. One with ties is not grown where there is not room for all distances.
    """
    without_pairs = 8 * n * (3 * d + 30) + BASE_BYTES
    whole = config.get("compute_full_tree", "auto") in _WHOLE_TREE
    shared = whole and config.get("connectivity") is None
    if shared and config.get("linkage", "ward") in ("single", "ward"):
        return without_pairs
    return without_pairs + 8 * n * n


def fit_many(X: Matrix, configs: Sequence[Config]) -> list[Partition | Exception]:
    """Cluster one space with configurations of ``sklearn.cluster.AgglomerativeClustering``."""
    trees = _Trees(X)
    return [attempt(_fit, X, config, trees) for config in configs]


class _Trees:
    """The trees of one space, each grown when it is first wanted."""

    def __init__(self, X: Matrix) -> None:
        self.plain: Callable[[str, str], Tree] = cache(
            lambda linkage, metric: _plain_tree(X, linkage, metric)
        )
        self.ward: Callable[[], tuple[Tree, bool]] = cache(lambda: _ward_tree(X))
        self.n = len(X)
        # False for NaN too: the plain estimator says what is wrong.
        self.measurable = bool(X.max() < float("inf"))


def _fit(X: Matrix, config: Config, trees: _Trees) -> Partition:
    estimator: Any = targets.build(config)
    if not (_is_shared(estimator) and trees.measurable):
        return generic.fit(X, config)
    k, threshold = estimator.n_clusters, estimator.distance_threshold
    if estimator.linkage == "ward" and estimator.metric in _EUCLIDEAN:
        tree, contested = trees.ward()
        settled = not contested and _is_settled(tree.heights, k, threshold)
        if settled or trees.n > MOST_EXACT:
            return _cut(tree, k, threshold)
        _require_room(trees.n)
    return _cut(trees.plain(estimator.linkage, estimator.metric), k, threshold)


def _require_room(n: int) -> None:
    """Refuse a tree with ties where the distances of all pairs do not fit into memory."""
    available, needed = room(), 8 * n * n + _WORKER_BYTES
    if available is not None and needed > available:
        raise NoRoom(
            "merges tie, so that the labels need scikit-learn's own tree: "
            f"{needed / 1e9:.2f} GB of memory for {n:,} customers, "
            f"a worker has {available / 1e9:.2f} GB; "
            "fit it on fewer (sampling.clustering, sampling.draws)"
        )


def _is_shared(estimator: Any) -> bool:
    """Tell whether an estimator's labels are a cut of the whole tree.

    Impossible settings are not: the estimator itself says best what is wrong with them.
    """
    one_criterion = (estimator.n_clusters is None) != (estimator.distance_threshold is None)
    whole = estimator.compute_full_tree in _WHOLE_TREE
    possible = estimator.linkage != "ward" or estimator.metric in _EUCLIDEAN
    return estimator.connectivity is None and one_criterion and whole and possible


def _plain_tree(X: Matrix, linkage: str, metric: str) -> Tree:
    from sklearn.cluster import AgglomerativeClustering

    estimator = AgglomerativeClustering(
        1, metric=metric, linkage=linkage, compute_distances=True
    ).fit(X)
    return Tree(estimator.children_, estimator.distances_)


def _ward_tree(X: Matrix) -> tuple[Tree, bool]:
    """Return Ward's tree, and whether ties make it one of several."""
    from segkit.clustering.linkage_kernel import ward_tree

    children, heights, contested = ward_tree(X, _TOLERANCE)
    return Tree(children, heights), contested


def _is_settled(heights: Vector, k: int | None, threshold: float | None) -> bool:
    """Tell whether a cut falls between two heights that rounding cannot bring together."""
    if threshold is not None and (abs(heights - threshold) <= _TOLERANCE * threshold).any():
        return False
    undone = len(heights) + 1 - _n_clusters(heights, k, threshold)
    if undone in (0, len(heights)):
        return True
    below = max(heights[undone - 1] * (1 + _TOLERANCE), _TOLERANCE * heights[-1])
    return bool(heights[undone] > below)


def _n_clusters(heights: Vector, k: int | None, threshold: float | None) -> int:
    if k is not None:
        return k
    assert threshold is not None  # `_is_shared`: one of the two is given
    return int((heights >= threshold).sum()) + 1


def _cut(tree: Tree, k: int | None, threshold: float | None) -> Partition:
    from segkit.clustering.linkage_kernel import cut

    return Partition(canonical(cut(tree.children, _n_clusters(tree.heights, k, threshold))))
