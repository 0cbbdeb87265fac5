"""UMAP by umap-learn, on the shared neighbour graph."""

from __future__ import annotations

import contextlib
import warnings
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from segkit import targets
from segkit.errors import Infeasible
from segkit.projection.eigen import repeatable_eigenvectors
from segkit.projection.shared import Memo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from segkit.projection.neighbours import Neighbours

SHARED_METRICS = ("euclidean", "l2")
_NEIGHBOURS = 15
# UMAP computes in single precision, in which squares above 3.4e38 overflow, and with it the sum
# over the features.
_LARGEST = 1e15
# What does not depend on min_dist, spread and the layout's other parameters.
_SHARED_PARTS = ("fuzzy_simplicial_set", "spectral_layout", "tswspectral_layout")
_MEMO = Memo()
_SLOW_TO_COMPILE = {
    "umap.umap_": ("smooth_knn_dist", "compute_membership_strengths"),
    "umap.layouts": ("_nb_optimize_layout_euclidean_single_epoch",),
}


def constraints() -> dict[str, list]:
    """Return what each parameter of ``umap.UMAP`` may be, in scikit-learn's terms."""
    from numbers import Integral, Real

    from sklearn.utils._param_validation import Interval, Options, StrOptions

    positive = Interval(Real, 0, None, closed="neither")
    not_negative = Interval(Real, 0, None, closed="left")
    share = Interval(Real, 0, 1, closed="both")
    count = Interval(Integral, 0, None, closed="left")
    never = [Options(bool, {False})]
    return {
        "n_neighbors": [Interval(Integral, 2, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions(_METRICS)],
        "metric_kwds": [dict, None],
        "output_metric": [StrOptions({"euclidean", "l2"})],
        "output_metric_kwds": [dict, None],
        "n_epochs": [count, None],
        "learning_rate": [positive],
        "init": [StrOptions({"spectral", "random", "pca", "tswspectral"})],
        "min_dist": [not_negative],
        "spread": [positive],
        "low_memory": ["boolean"],
        "n_jobs": [Integral],
        "set_op_mix_ratio": [share],
        "local_connectivity": [not_negative],
        "repulsion_strength": [not_negative],
        "negative_sample_rate": [count],
        "transform_queue_size": [positive],
        "a": [positive, None],
        "b": [positive, None],
        "random_state": ["random_state"],
        "angular_rp_forest": ["boolean"],
        "target_n_neighbors": [Integral],
        "target_metric": [str],
        "target_metric_kwds": [dict, None],
        "target_weight": [share],
        "transform_seed": [Integral],
        "transform_mode": [StrOptions({"embedding"})],
        "force_approximation_algorithm": ["boolean"],
        "verbose": never,
        "tqdm_kwds": [None],
        "unique": never,
        "densmap": ["boolean"],
        "dens_lambda": [not_negative],
        "dens_frac": [share],
        "dens_var_shift": [not_negative],
        "output_dens": never,
        "disconnection_distance": [positive, None],
        "precomputed_knn": [None],
    }


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


def neighbours_needed(config: Mapping, n: int) -> int | None:
    """Return how many neighbours the graph uses: UMAP's own count includes the point itself."""
    if config.get("metric", "euclidean") not in SHARED_METRICS:
        return None
    return min(config.get("n_neighbors", _NEIGHBOURS), n) - 1


def infeasible(config: Mapping, n: int, d: int | None) -> str | None:
    """Say why the data is too small for these parameters, or why they contradict each other; else None."""
    wanted, axes = config.get("n_neighbors", _NEIGHBOURS), config.get("n_components", 2)
    init = config.get("init", "spectral")
    min_dist, spread = config.get("min_dist", 0.1), config.get("spread", 1.0)
    if wanted >= n:
        return f"n_neighbors = {wanted} needs more than {wanted} customers; there are {n}"
    if init in ("spectral", "tswspectral") and n <= axes + 1:
        return (
            f"n_components = {axes} with init = {init} needs more than {axes + 1} customers; there "
            f"are {n}"
        )
    if init == "pca" and axes > (n if d is None else min(n, d)):
        return f"n_components = {axes} cannot start from the principal components of this data"
    if min_dist > spread:
        return f"min_dist = {min_dist:g} is larger than spread = {spread:g}"
    return None


def project(
    config: Mapping, X: np.ndarray, neighbours: Neighbours | None
) -> tuple[np.ndarray, dict[str, float]]:
    """Embed a matrix by UMAP (McInnes, Healy and Melville 2018).

    Parameters
    ----------
    config : Mapping
        ``umap.UMAP`` and its parameters.
    X : ndarray of shape (n, d)
        Points; UMAP works in float32.
    neighbours : Neighbours or None
        At least n_neighbors - 1 of them; None where the metric is not Euclidean, in which case UMAP
        searches on its own.

    Returns
    -------
    coordinates : ndarray of shape (n, n_components)
        What ``umap.UMAP`` gives on the same graph.
    figures : dict
        Empty.
    """
    largest = max(X.max(), -X.min())
    if largest > _LARGEST:
        raise Infeasible(
            f"UMAP computes in single precision: numbers up to {_LARGEST:g} are allowed, got "
            f"{largest:g}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _keep_compiled()
        estimator = targets.build(config, n_jobs=1, verbose=False)
        if neighbours is not None:
            estimator.precomputed_knn = _graph(neighbours.first(neighbours_needed(config, len(X))))
        with repeatable_eigenvectors(), _shared_parts():
            return np.asarray(estimator.fit_transform(X)), {}


@contextlib.contextmanager
def _shared_parts() -> Iterator[None]:
    """Have UMAP take its graph and its start from an earlier projection of the same neighbours in this process."""
    module = import_module("umap.umap_")
    plain = {name: getattr(module, name) for name in _SHARED_PARTS}
    for name, function in plain.items():
        setattr(module, name, _MEMO.remembering(function))
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(module, name, function)


@cache
def _keep_compiled() -> None:
    """Let numba keep what it compiles for UMAP's layout on disk: 0.1 s instead of 5 s in every later process.

    The code is the same, so is the result. umap-learn asks for this itself for only one small
    function.
    """
    for module, names in _SLOW_TO_COMPILE.items():
        for function in filter(
            None, (getattr(import_module(module), name, None) for name in names)
        ):
            with contextlib.suppress(
                AttributeError, RuntimeError
            ):  # no such method, or no folder to write to
                if not function.signatures:
                    function.enable_caching()


def _graph(neighbours: Neighbours) -> tuple[np.ndarray, np.ndarray, None]:
    """Return the neighbours as UMAP counts them: the point itself comes first.

    UMAP does not cut a longer list below n = 4,096, so it has to have the right length already.
    """
    n = len(neighbours.indices)
    indices = np.column_stack([np.arange(n, dtype=np.int32), neighbours.indices])
    distances = np.column_stack([np.zeros(n), neighbours.distances]).astype(np.float32)
    return indices, distances, None
