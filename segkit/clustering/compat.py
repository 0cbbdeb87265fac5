"""What relies on the inside of hdbscan and scikit-learn, with the public way beside it.

tests/clustering/test_clustering_compat.py fails when an upgrade breaks one of these:

- hdbscan 0.8 (checked with 0.8.44): `fit` asks its ``memory`` once for the single-linkage tree,
  before it selects clusters. With any other release the tree is taken from a whole fit, its public
  attribute ``single_linkage_tree_``: the same labels, later.
- scikit-learn 1.6 to 1.x: the meaning of the arrays that the public ``KDTree.get_arrays`` returns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from hdbscan import HDBSCAN

    from segkit.clustering.arrays import Indices, Matrix

HDBSCAN_RELEASE = (0, 8)

# The library's functions return the tree and, if asked for, the minimum spanning tree.
_Grown: TypeAlias = "tuple[Matrix, Matrix | None]"
_Grow: TypeAlias = Callable[..., _Grown]


# hdbscan


@cache
def knows_hdbscan() -> bool:
    """Tell whether the installed hdbscan is of the release whose inside is known."""
    return tuple(int(part) for part in version("hdbscan").split(".")[:2]) == HDBSCAN_RELEASE


class SharedTrees:
    """A ``memory`` for the hdbscan library that estimators of one space share.

    It serves one space: calls differ by their other arguments only.
    """

    def __init__(self) -> None:
        self._grown: dict[tuple[object, ...], _Grown] = {}

    def cache(self, grow: _Grow) -> _Grow:
        """Return the function, with results taken from an earlier call with the same arguments."""

        @wraps(grow)
        def remembering(X: Matrix, *settings: object, **options: object) -> _Grown:
            key = (grow.__name__, settings, tuple(sorted(options.items())))
            if key not in self._grown:
                self._grown[key] = grow(X, *settings, **options)
            tree, spanning_tree = self._grown[key]
            # A copy: the library renumbers a tree in place where customers are not finite.
            return tree.copy(), spanning_tree

        return remembering

    def grow(self, X: Matrix, estimator: HDBSCAN) -> Matrix:
        """Return the single-linkage tree of an estimator, without selecting clusters.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            The space.
        estimator : HDBSCAN
            It checks its own settings; its ``memory`` is replaced.

        Returns
        -------
        ndarray of shape (m - 1, 4), float64
            Merges by height: the two nodes, the height, the customers below. Only the m finite
            customers are in the tree.
        """
        if not knows_hdbscan():
            return tree_of_whole_fit(X, estimator)
        try:
            estimator.set_params(memory=_Stopping(self)).fit(X)
        except _TreeGrown as stop:
            return stop.tree
        raise RuntimeError("the hdbscan library did not ask its memory for a tree")


def tree_of_whole_fit(X: Matrix, estimator: HDBSCAN) -> Matrix:
    """Return the single-linkage tree by the public way, which selects clusters too.

    A space with numbers that are not finite has an empty tree here, as the library adds merges for
    the customers that it left out.
    """
    import numpy as np

    if not np.isfinite(X).all():
        return np.empty((0, 4))
    tree: Matrix = estimator.fit(X).single_linkage_tree_.to_numpy()
    return tree


class _Stopping:
    """A memory that ends the library's work as soon as there is a tree."""

    def __init__(self, trees: SharedTrees) -> None:
        self._trees = trees

    def cache(self, grow: _Grow) -> Callable[..., None]:
        """Return a function that ends the fit with the tree that `grow` returns."""
        remembering = self._trees.cache(grow)

        def stopping(*arguments: Any, **options: Any) -> None:
            raise _TreeGrown(remembering(*arguments, **options)[0])

        return stopping


class _TreeGrown(Exception):
    """Carries a tree out of the library."""

    def __init__(self, tree: Matrix) -> None:
        super().__init__()
        self.tree = tree


# scikit-learn


class KDTreeArrays(NamedTuple):
    """A k-d tree as arrays: node i's children are 2 i + 1 and 2 i + 2, the leaves come last."""

    points: Matrix  # (n, d), by row
    rows: Indices  # (n,) the row of each position
    first: Indices  # (nodes,) the first position of each node
    last: Indices  # (nodes,) one beyond its last
    low: Matrix  # (nodes, d) its box
    high: Matrix


def kd_tree(points: Matrix, leaf_size: int) -> KDTreeArrays:
    """Build scikit-learn's k-d tree and return its arrays."""
    import numpy as np
    from sklearn.neighbors import KDTree

    points, rows, nodes, boxes = (
        np.asarray(array) for array in KDTree(points, leaf_size=leaf_size).get_arrays()
    )
    first = np.ascontiguousarray(nodes["idx_start"])
    last = np.ascontiguousarray(nodes["idx_end"])
    return KDTreeArrays(points, rows, first, last, boxes[0].copy(), boxes[1].copy())
