"""HDBSCAN (Campello, Moulavi and Sander 2013) by the hdbscan library.

Shared: the single-linkage tree of mutual reachability, once for each ``min_samples`` (which is
``min_cluster_size`` where it is null), metric, alpha and algorithm. The usual ways of selecting
clusters (``eom`` and ``leaf``) are those of a kernel; everything else is left to the library.

Memory: 8 n (3 d + 3 m + 60) bytes for ``min_samples`` m, and 32 n bytes for each further tree. A
metric without a k-d or ball tree (cosine), or algorithm ``generic``, takes up to 24 n^2 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from segkit import targets
from segkit.clustering.compat import SharedTrees
from segkit.clustering.partition import BASE_BYTES, Config, Partition, attempt, canonical
from segkit.constraints import choices, count_from, interval

if TYPE_CHECKING:
    from hdbscan import HDBSCAN

    from segkit.clustering.arrays import Labels, Matrix

_TREE_METRICS = frozenset(
    [
        "euclidean",
        "l2",
        "manhattan",
        "l1",
        "cityblock",
        "chebyshev",
        "infinity",
        "minkowski",
        "braycurtis",
        "canberra",
    ]
)
_PAIRWISE_METRICS = frozenset(["cosine", "correlation", "sqeuclidean"])
_ALGORITHMS = frozenset(
    ["best", "generic", "prims_kdtree", "prims_balltree", "boruvka_kdtree", "boruvka_balltree"]
)
_REAL = ("alpha", "cluster_selection_persistence")  # the library refuses an int here

# Settings that the kernel assumes; with any other the library selects the clusters.
_USUAL = {
    "cluster_selection_epsilon": 0,
    "cluster_selection_persistence": 0,
    "cluster_selection_epsilon_max": float("inf"),
    "max_cluster_size": 0,
    "allow_single_cluster": False,
    "match_reference_implementation": False,
    "prediction_data": False,
    "branch_detection_data": False,
}
_DEFAULT_SIZE = 5  # the library's min_cluster_size
_BYTES_PER_PAIR = 24  # three matrices of distances


def infeasible(config: Config, n: int) -> str | None:
    """Return why a configuration cannot be fitted on n customers, or None."""
    size = config.get("min_cluster_size", _DEFAULT_SIZE)
    if isinstance(size, int) and size > n:
        return f"min_cluster_size={size} needs at least {size} customers, there are {n}"
    name, least = "min_samples", config.get("min_samples")
    if least is None:
        name, least = "min_cluster_size", size
    if isinstance(least, int) and least >= n:
        return f"{name}={least} needs at least {least + 1} customers, there are {n}"
    if config.get("metric") == "cosine" and config.get("algorithm") != "generic":
        return "metric=cosine needs algorithm=generic: the hdbscan library has no tree for it"
    return None


def memory(config: Config, n: int, d: int) -> int:
    """Return a bound on the bytes that fitting n customers in d columns takes beyond the matrix."""
    least: int | None = config.get("min_samples")
    if least is None:
        least = config.get("min_cluster_size", _DEFAULT_SIZE)
    total = BASE_BYTES + 8 * n * (3 * d + 3 * min(least, n) + 60)
    has_tree = config.get("metric", "euclidean") in _TREE_METRICS
    if config.get("algorithm") == "generic" or not has_tree:
        total += _BYTES_PER_PAIR * n * n
    return total


def fit_many(X: Matrix, configs: Sequence[Config]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of ``hdbscan.HDBSCAN``."""
    trees = SharedTrees()
    return [attempt(_fit, X, config, trees) for config in configs]


def _fit(X: Matrix, config: Config, trees: SharedTrees) -> Partition:
    real = {name: float(config[name]) for name in _REAL if name in config}
    estimator: Any = targets.build(config, core_dist_n_jobs=1, **real)
    labels = _cut(X, estimator, trees) if _is_usual(estimator) else None
    if labels is None:
        labels = estimator.set_params(memory=trees).fit(X).labels_
    return Partition(canonical(labels))


def _is_usual(estimator: HDBSCAN) -> bool:
    """Tell whether only the least size and ``eom`` or ``leaf`` decide the selection."""
    return all(getattr(estimator, name) == value for name, value in _USUAL.items())


def _cut(X: Matrix, estimator: HDBSCAN, trees: SharedTrees) -> Labels | None:
    """Return the labels from the shared tree, or None where the library must select."""
    from segkit.clustering.condense_kernel import labels_at

    tree = trees.grow(X, estimator)
    if len(tree) != len(X) - 1:  # customers that are not finite are not in the tree
        return None
    by_leaf = estimator.cluster_selection_method == "leaf"
    labels, close = labels_at(tree, estimator.min_cluster_size, by_leaf)
    return None if close else labels


@cache
def constraints() -> dict[str, list[Any]]:
    """Return the allowed values of each parameter, as scikit-learn writes constraints."""
    from numbers import Integral, Real

    extent = interval(Real, 0, None, "left")
    return {
        "min_cluster_size": [count_from(2)],
        "min_samples": [count_from(1), None],
        "cluster_selection_epsilon": [extent],
        "cluster_selection_persistence": [extent],
        "cluster_selection_epsilon_max": [interval(Real, 0, float("inf"), "both")],
        "max_cluster_size": [count_from(0)],
        "metric": [choices(set(_TREE_METRICS | _PAIRWISE_METRICS))],
        "alpha": [interval(Real, 0, None, "neither")],
        "p": [extent, None],
        "algorithm": [choices(set(_ALGORITHMS))],
        "leaf_size": [count_from(1)],
        "memory": [None],
        "approx_min_span_tree": ["boolean"],
        "gen_min_span_tree": ["boolean"],
        "core_dist_n_jobs": [Integral],
        "cluster_selection_method": [choices({"eom", "leaf"})],
        "allow_single_cluster": ["boolean"],
        "prediction_data": ["boolean"],
        "branch_detection_data": ["boolean"],
        "match_reference_implementation": ["boolean"],
    }
