"""What relies on the inside of other libraries, with the public way beside it.

tests/projection/test_projection_compat.py fails when an upgrade breaks one of these:

- umap-learn 0.5.7 to 0.5.x: `UMAP.fit` looks up three functions in the module ``umap.umap_`` by
  name, to compute its graph and its start. With any other release nothing is shared, and the public
  ``fit_transform`` alone gives the same coordinates, later.
- umap-learn 0.5.7 to 0.5.x, numba 0.61 to 0.x: the names of the functions that take seconds to
  compile, and ``enable_caching`` of a compiled function. There is no public way; without it every
  process compiles them anew.
- openTSNE 1.0.2 to 1.0.x: `TSNE.fit` makes its affinities by ``MultiscaleMixture``, which takes an
  index of neighbours. The public way, ``fit`` of the points alone, searches for neighbours itself.
- SciPy 1.14 to 1.x, scikit-learn 1.6 to 1.x: the modules where umap-learn and scikit-learn look up
  ``eigsh``. Its parameter ``rng``, new in SciPy 1.17, is public, but there is no public way to have
  these callers pass it.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache, wraps
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openTSNE.affinity import Affinities
    from scipy.sparse import csr_matrix

    from segkit.projection.arrays import Distances, Positions
    from segkit.projection.shared import Memo

UMAP_RELEASE = (0, 5)
UMAP_MODULE = "umap.umap_"
# None of them depends on min_dist, spread or another parameter of the layout.
UMAP_SHARED_PARTS = ("fuzzy_simplicial_set", "spectral_layout", "tswspectral_layout")
UMAP_SLOW_TO_COMPILE = {
    "umap.umap_": ("smooth_knn_dist", "compute_membership_strengths"),
    "umap.layouts": ("_nb_optimize_layout_euclidean_single_epoch",),
}
# umap-learn asks SciPy's module at every call; these of scikit-learn import the function by name.
EIGSH_USERS = (
    "scipy.sparse.linalg",
    "sklearn.manifold._spectral_embedding",
    "sklearn.manifold._locally_linear",
    "sklearn.decomposition._kernel_pca",
)


# umap-learn


@cache
def knows_umap() -> bool:
    """Return whether the installed umap-learn is of the release whose inside is known."""
    return tuple(int(part) for part in version("umap-learn").split(".")[:2]) == UMAP_RELEASE


@contextlib.contextmanager
def shared_umap_parts(memo: Memo) -> Iterator[None]:
    """Have UMAP take its graph and its start from an earlier projection of the same neighbours.

    Parameters
    ----------
    memo : Memo
        Holds the parts of earlier projections.
    """
    if not knows_umap():
        yield
        return
    module = import_module(UMAP_MODULE)
    plain = {name: getattr(module, name) for name in UMAP_SHARED_PARTS}
    for name, function in plain.items():
        setattr(module, name, memo.remembering(function))
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(module, name, function)


@cache
def keep_umap_compiled() -> None:
    """Let numba keep what it compiles for UMAP's layout on disk.

    Later processes then need 0.1 s instead of 5 s. The code is the same, and so is the result.
    umap-learn asks for this itself, but for one small function only.
    """
    for module, names in UMAP_SLOW_TO_COMPILE.items():
        for name in names:
            function: Any = getattr(import_module(module), name, None)
            # Another release may have no such function or method; a RuntimeError means that there
            # is no folder to write to. Either way UMAP works, only later.
            with contextlib.suppress(AttributeError, RuntimeError):
                if not function.signatures:
                    function.enable_caching()


# openTSNE


def joint_probabilities(
    indices: Positions, distances: Distances, perplexity: float
) -> csr_matrix[Any]:
    """Return t-SNE's affinities as the estimator computes them from neighbours.

    They depend on no parameter of the layout.

    Parameters
    ----------
    indices : ndarray of shape (n, K), int32
        The neighbours of each point, nearest first.
    distances : ndarray of shape (n, K)
        Their distances.
    perplexity : float
        At most K / 3.

    Returns
    -------
    csr_matrix of shape (n, n)
        Probabilities that sum to 1.
    """
    from openTSNE.affinity import MultiscaleMixture
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    index = PrecomputedNeighbors(indices, distances)
    probabilities: csr_matrix[Any] = MultiscaleMixture(perplexities=perplexity, knn_index=index).P
    return probabilities


def as_affinities(probabilities: csr_matrix[Any]) -> Affinities:
    """Return joint probabilities in the form in which ``TSNE.fit`` takes them, as they are."""
    from openTSNE.affinity import PrecomputedAffinities

    return PrecomputedAffinities(probabilities, normalize=False)


# SciPy's sparse eigenvectors


@contextlib.contextmanager
def repeatable_eigenvectors(seed: int = 0) -> Iterator[None]:
    """Have ``scipy.sparse.linalg.eigsh`` draw the same random numbers at every call.

    From SciPy 1.17 on, ARPACK draws new random numbers where it has to start again, as with the
    equal eigenvalues of integer or repeated data. Neither umap-learn nor scikit-learn can pass it a
    seed. Where it does not start again it draws nothing, and the seed changes no digit.
    """
    import numpy as np
    import scipy.sparse.linalg

    plain: Any = scipy.sparse.linalg.eigsh
    if "rng" not in inspect.signature(plain).parameters:
        yield
        return

    @wraps(plain)
    def seeded(*arguments: Any, **options: Any) -> Any:
        return plain(*arguments, **{"rng": np.random.default_rng(seed), **options})

    modules: list[Any] = [sys.modules.get(name) for name in EIGSH_USERS]
    users = [module for module in modules if getattr(module, "eigsh", None) is plain]
    for user in users:
        user.eigsh = seeded
    try:
        yield
    finally:
        for user in users:
            user.eigsh = plain


# scikit-learn's constraints on parameters
