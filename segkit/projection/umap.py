"""UMAP by umap-learn, on the shared neighbour graph."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segkit import targets
from segkit.constraints import choices, count_from, interval, never, number_from, positive
from segkit.errors import Infeasible
from segkit.projection.compat import keep_umap_compiled, repeatable_eigenvectors, shared_umap_parts
from segkit.projection.shared import Memo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segkit.projection.arrays import Matrix
    from segkit.projection.neighbours import Neighbours

SCALES = False
SHARED_METRICS = ("euclidean", "l2")
# umap-learn's own default.
_NEIGHBOURS = 15
# UMAP computes in single precision, in which squares above 3.4e38 overflow, and with them their sum
# over the features.
_LARGEST = 1e15
_MEMO = Memo()
_METRICS = {
    "euclidean",
    "l2",
    "manhattan",
    "l1",
    "taxicab",
    "chebyshev",
    "linfinity",
    "minkowski",
    "canberra",
    "cosine",
    "correlation",
    "braycurtis",
    "hamming",
}


def constraints() -> dict[str, list[Any]]:
    """Return what each parameter of ``umap.UMAP`` may be, in scikit-learn's terms."""
    from numbers import Integral, Real

    share = interval(Real, 0, 1, "both")
    return {
        "n_neighbors": [count_from(2)],
        "n_components": [count_from(1)],
        "metric": [choices(_METRICS)],
        "metric_kwds": [dict, None],
        "output_metric": [choices({"euclidean", "l2"})],
        "output_metric_kwds": [dict, None],
        "n_epochs": [count_from(0), None],
        "learning_rate": [positive()],
        "init": [choices({"spectral", "random", "pca", "tswspectral"})],
        "min_dist": [number_from(0)],
        "spread": [positive()],
        "low_memory": ["boolean"],
        "n_jobs": [Integral],
        "set_op_mix_ratio": [share],
        "local_connectivity": [number_from(0)],
        "repulsion_strength": [number_from(0)],
        "negative_sample_rate": [count_from(0)],
        "transform_queue_size": [positive()],
        "a": [positive(), None],
        "b": [positive(), None],
        "random_state": ["random_state"],
        "angular_rp_forest": ["boolean"],
        "target_n_neighbors": [Integral],
        "target_metric": [str],
        "target_metric_kwds": [dict, None],
        "target_weight": [share],
        "transform_seed": [Integral],
        "transform_mode": [choices({"embedding"})],
        "force_approximation_algorithm": ["boolean"],
        "verbose": [never()],
        "tqdm_kwds": [None],
        "unique": [never()],
        "densmap": ["boolean"],
        "dens_lambda": [number_from(0)],
        "dens_frac": [share],
        "dens_var_shift": [number_from(0)],
        "output_dens": [never()],
        "disconnection_distance": [positive(), None],
        "precomputed_knn": [None],
    }


def neighbours_needed(config: Mapping[str, Any], n: int) -> int | None:
    """Return how many neighbours the graph uses: UMAP's own count includes the point itself."""
    if config.get("metric", "euclidean") not in SHARED_METRICS:
        return None
    return _neighbours(config, n)


def infeasible(config: Mapping[str, Any], n: int, d: int | None) -> str | None:
    """Return why the data is too small for these parameters, or they contradict each other."""
    count, axes = config.get("n_neighbors", _NEIGHBOURS), config.get("n_components", 2)
    if count >= n:
        return f"n_neighbors = {count} needs more than {count} customers; there are {n}"
    init = config.get("init", "spectral")
    if init in ("spectral", "tswspectral") and n <= axes + 1:
        return (
            f"n_components = {axes} with init = {init} needs more than {axes + 1} customers; there "
            f"are {n}"
        )
    if init == "pca" and axes > (n if d is None else min(n, d)):
        return f"n_components = {axes} cannot start from the principal components of this data"
    min_dist, spread = config.get("min_dist", 0.1), config.get("spread", 1.0)
    if min_dist > spread:
        return f"min_dist = {min_dist:g} is larger than spread = {spread:g}"
    return None


def memory(config: Mapping[str, Any], n: int) -> int:  # noqa: ARG001
    """Return 0: beside the neighbours nothing is held but a few matrices."""
    return 0


def project(
    config: Mapping[str, Any], X: Matrix, neighbours: Neighbours | None
) -> tuple[Matrix, dict[str, float]]:
    """Embed a matrix by UMAP (McInnes, Healy and Melville 2018).

    Parameters
    ----------
    config : Mapping
        ``umap.UMAP`` and its parameters.
    X : ndarray of shape (n, d)
        Points; UMAP works in float32.
    neighbours : Neighbours or None
        At least n_neighbors - 1 of them; None if the metric is not Euclidean. UMAP then searches
        for neighbours itself.

    Returns
    -------
    coordinates : ndarray of shape (n, n_components)
        What ``umap.UMAP`` gives on the same graph.
    figures : dict
        Empty.

    Raises
    ------
    Infeasible
        If a number is too large for single precision.
    """
    largest = max(X.max(), -X.min())
    if largest > _LARGEST:
        raise Infeasible(
            f"UMAP computes in single precision: numbers up to {_LARGEST:g} are allowed, got "
            f"{largest:g}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keep_umap_compiled()
        estimator: Any = targets.build(config, n_jobs=1, verbose=False)
        if neighbours is not None:
            nearest = neighbours.first(_neighbours(config, len(X)))
            estimator.precomputed_knn = _graph(nearest)
        with repeatable_eigenvectors(), shared_umap_parts(_MEMO):
            return np.asarray(estimator.fit_transform(X)), {}


def _neighbours(config: Mapping[str, Any], n: int) -> int:
    count: int = config.get("n_neighbors", _NEIGHBOURS)
    return min(count, n) - 1


def _graph(neighbours: Neighbours) -> tuple[NDArray[np.int32], NDArray[np.float32], None]:
    """Return the neighbours as UMAP counts them: the point itself comes first.

    They have to be as many as UMAP uses: it cuts a longer list only from n = 4,096 on.
    """
    n = len(neighbours.indices)
    indices = np.column_stack([np.arange(n, dtype=np.int32), neighbours.indices])
    distances = np.column_stack([np.zeros(n), neighbours.distances]).astype(np.float32)
    return indices, distances, None
