"""HDBSCAN (Campello, Moulavi and Sander 2013) by the hdbscan library.

Shared: the single-linkage tree of mutual reachability, once for each ``min_samples`` (which is
``min_cluster_size`` where it is null), metric, alpha and algorithm. The library keeps its trees in
a ``memory`` that may be given to it; here that is one in which the members of the family find each
other's, and which stops the library once it has its tree. The usual ways of selecting clusters
(``eom`` and ``leaf``) are a kernel's; all else is the library's.

Memory: 8 n (3 d + 3 m + 60) bytes for ``min_samples`` m, and 32 n bytes for each further tree. A
metric without a k-d or ball tree (cosine), or algorithm ``generic``, takes up to 24 n^2 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering.partition import Partition, attempt, canonical

if TYPE_CHECKING:
    import numpy as np
    from hdbscan import HDBSCAN

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
_BASE = 1 << 20  # bytes; whatever does not grow with the customers
_PER_PAIR = 24  # bytes


def infeasible(config: Mapping, n: int) -> str | None:
    """Return why a configuration cannot be fitted on n customers, or None."""
    size, least = config.get("min_cluster_size", 5), config.get("min_samples")
    if isinstance(size, int) and size > n:
        return f"min_cluster_size={size} needs at least {size} customers, there are {n}"
    name, least = ("min_cluster_size", size) if least is None else ("min_samples", least)
    if isinstance(least, int) and least >= n:
        return f"{name}={least} needs at least {least + 1} customers, there are {n}"
    if config.get("metric") == "cosine" and config.get("algorithm") != "generic":
        return "metric=cosine needs algorithm=generic: the hdbscan library has no tree for it"
    return None


def memory(config: Mapping, n: int, d: int) -> int:
    """Return a bound on the bytes that fitting n customers in d columns takes beyond the matrix."""
    least = config.get("min_samples")
    least = config.get("min_cluster_size", 5) if least is None else least
    pairs = (
        config.get("algorithm") == "generic"
        or config.get("metric", "euclidean") not in _TREE_METRICS
    )
    return _BASE + 8 * n * (3 * d + 3 * min(least, n) + 60) + (_PER_PAIR * n * n if pairs else 0)


def fit_many(X: np.ndarray, configs: Sequence[Mapping]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of ``hdbscan.HDBSCAN``."""
    trees = SharedTrees()
    return [attempt(_fit, X, config, trees) for config in configs]


def _fit(X: np.ndarray, config: Mapping, trees: SharedTrees) -> Partition:
    real = {name: float(config[name]) for name in _REAL if name in config}
    estimator = targets.build(config, core_dist_n_jobs=1, **real)
    labels = _cut(X, estimator, trees) if _is_usual(estimator) else None
    if labels is None:
        labels = estimator.set_params(memory=trees).fit(X).labels_
    return Partition(canonical(labels))


def _is_usual(estimator: HDBSCAN) -> bool:
    """Tell whether nothing but the least size and ``eom`` or ``leaf`` decides which clusters are selected."""
    return all(getattr(estimator, name) == value for name, value in _USUAL.items())


def _cut(X: np.ndarray, estimator: HDBSCAN, trees: SharedTrees) -> np.ndarray | None:
    """Return the labels from the shared tree; None where the library had better say."""
    from segkit.clustering.condense_kernel import labels_at

    tree = trees.grow(X, estimator)
    if len(tree) != len(X) - 1:  # the library leaves out customers that are not finite
        return None
    labels, close = labels_at(
        tree, estimator.min_cluster_size, estimator.cluster_selection_method == "leaf"
    )
    return None if close else labels


class SharedTrees:
    """What the library wants of a ``memory``: ``cache``, which makes a function remember its results.

    One belongs to one space: calls are told apart by their other arguments only.
    """

    def __init__(self) -> None:
        self._grown: dict[tuple, tuple] = {}

    def cache(self, grow: Callable) -> Callable:
        """Return the function, with results taken from an earlier call with the same arguments."""

        @wraps(grow)
        def remembering(X: np.ndarray, *settings: object, **options: object) -> tuple:
            key = (grow.__name__, settings, tuple(sorted(options.items())))
            if key not in self._grown:
                self._grown[key] = grow(X, *settings, **options)
            return self._grown[key]

        return remembering

    def grow(self, X: np.ndarray, estimator: HDBSCAN) -> np.ndarray:
        """Return the single-linkage tree of an estimator, which checks its settings but finds no clusters."""
        try:
            estimator.set_params(memory=_Stopping(self)).fit(X)
        except _Grown as grown:
            return grown.tree
        raise RuntimeError("the hdbscan library did not ask its memory for a tree")


class _Stopping:
    """A memory that ends the library's work as soon as there is a tree."""

    def __init__(self, trees: SharedTrees) -> None:
        self._trees = trees

    def cache(self, grow: Callable) -> Callable:
        remembering = self._trees.cache(grow)

        def stopping(*arguments: object, **options: object) -> None:
            raise _Grown(remembering(*arguments, **options)[0])

        return stopping


class _Grown(Exception):
    """Carries a tree out of the library."""

    def __init__(self, tree: np.ndarray) -> None:
        super().__init__()
        self.tree = tree


@cache
def constraints() -> dict[str, list]:
    """Return what each parameter of ``hdbscan.HDBSCAN`` may be, in the terms of scikit-learn's own constraints."""
    from numbers import Integral, Real

    from sklearn.utils._param_validation import Interval, StrOptions

    count = Interval(Integral, 1, None, closed="left")
    extent = Interval(Real, 0, None, closed="left")
    return {
        "min_cluster_size": [Interval(Integral, 2, None, closed="left")],
        "min_samples": [count, None],
        "cluster_selection_epsilon": [extent],
        "cluster_selection_persistence": [extent],
        "cluster_selection_epsilon_max": [Interval(Real, 0, float("inf"), closed="both")],
        "max_cluster_size": [Interval(Integral, 0, None, closed="left")],
        "metric": [StrOptions(set(_TREE_METRICS | _PAIRWISE_METRICS))],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "p": [extent, None],
        "algorithm": [StrOptions(set(_ALGORITHMS))],
        "leaf_size": [count],
        "memory": [None],
        "approx_min_span_tree": ["boolean"],
        "gen_min_span_tree": ["boolean"],
        "core_dist_n_jobs": [Integral],
        "cluster_selection_method": [StrOptions({"eom", "leaf"})],
        "allow_single_cluster": ["boolean"],
        "prediction_data": ["boolean"],
        "branch_detection_data": ["boolean"],
        "match_reference_implementation": ["boolean"],
    }
