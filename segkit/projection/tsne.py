"""t-SNE by openTSNE, on the shared neighbour graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from segkit import targets
from segkit.constraints import choices, count_from, interval, never, number_from, positive
from segkit.errors import Infeasible
from segkit.projection.compat import as_affinities, joint_probabilities
from segkit.projection.shared import Memo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segkit.projection.arrays import Matrix
    from segkit.projection.neighbours import Neighbours

SCALES = False
SHARED_METRICS = ("euclidean", "l2")
# openTSNE's own default.
_PERPLEXITY = 30
# From so many customers on, openTSNE's "auto" takes the method "fft".
_LARGE = 10_000
# Squares of smaller differences vanish.
_LEAST_SPREAD = 1e-150
_MEMO = Memo()
_METRICS = {
    "euclidean",
    "l2",
    "manhattan",
    "l1",
    "cityblock",
    "chebyshev",
    "minkowski",
    "cosine",
    "canberra",
    "braycurtis",
    "hamming",
}


def constraints() -> dict[str, list[Any]]:
    """Return what each parameter of ``openTSNE.TSNE`` may be, in scikit-learn's terms."""
    from numbers import Integral, Real

    momentum = interval(Real, 0, 1, "left")
    return {
        "n_components": [interval(Integral, 1, 3, "both")],
        "perplexity": [number_from(1)],
        "learning_rate": [choices({"auto"}), positive()],
        "early_exaggeration_iter": [count_from(0)],
        "early_exaggeration": [choices({"auto"}), positive()],
        "n_iter": [count_from(0)],
        "exaggeration": [positive(), None],
        "dof": [positive()],
        "theta": [interval(Real, 0, 1, "both")],
        "n_interpolation_points": [count_from(1)],
        "min_num_intervals": [count_from(1)],
        "ints_in_interval": [positive()],
        "initialization": [choices({"pca", "spectral", "random"})],
        "metric": [choices(_METRICS)],
        "metric_params": [dict, None],
        "initial_momentum": [momentum],
        "final_momentum": [momentum],
        "max_grad_norm": [number_from(0), None],
        "max_step_norm": [number_from(0), None],
        "n_jobs": [Integral],
        "neighbors": [choices({"exact", "auto", "approx", "annoy", "pynndescent", "hnsw"})],
        "knn_kwargs": [dict, None],
        "negative_gradient_method": [choices({"auto", "bh", "fft"})],
        "callbacks": [None],
        "callbacks_every_iters": [count_from(1)],
        "random_state": ["random_state"],
        "verbose": [never()],
    }


def neighbours_needed(config: Mapping[str, Any], n: int) -> int | None:
    """Return how many neighbours the affinities use: three times the perplexity."""
    if config.get("metric", "euclidean") not in SHARED_METRICS:
        return None
    return _neighbours(config, n)


def infeasible(config: Mapping[str, Any], n: int, d: int | None) -> str | None:
    """Return why the data is too small for these parameters; None if it is not."""
    perplexity, axes = config.get("perplexity", _PERPLEXITY), config.get("n_components", 2)
    if 3 * perplexity > n - 1:
        return (
            f"perplexity = {perplexity:g} needs {int(3 * perplexity)} neighbours; there are {n} "
            "customers"
        )
    if d is not None and axes > d and config.get("initialization", "pca") == "pca":
        return f"n_components = {axes} cannot start from the principal components of {d} features"
    method = config.get("negative_gradient_method", "auto")
    if axes > 2 and (method == "fft" or (method == "auto" and n >= _LARGE)):
        return f"n_components = {axes} needs negative_gradient_method = bh; fft is for 1 or 2"
    return None


def memory(config: Mapping[str, Any], n: int) -> int:  # noqa: ARG001
    """Return 0: beside the neighbours nothing is held but a few matrices."""
    return 0


def project(
    config: Mapping[str, Any], X: Matrix, neighbours: Neighbours | None
) -> tuple[Matrix, dict[str, float]]:
    """Embed a matrix by t-SNE (van der Maaten and Hinton 2008).

    Parameters
    ----------
    config : Mapping
        ``openTSNE.TSNE`` and its parameters.
    X : ndarray of shape (n, d)
        Points.
    neighbours : Neighbours or None
        At least three times the perplexity of them; None if the metric is not Euclidean. The
        estimator then searches for neighbours itself.

    Returns
    -------
    coordinates : ndarray of shape (n, n_components)
        The same bits as ``openTSNE.TSNE(neighbors="exact")`` gives on the same neighbours.
    figures : dict
        Empty.

    Raises
    ------
    Infeasible
        If all customers are the same but for rounding.
    """
    spread, rounding = np.ptp(X, axis=0).max(), 16 * np.finfo(np.float64).eps * np.abs(X).max()
    # openTSNE's tree of points ends the process where rounding alone tells them apart.
    if spread <= max(rounding, _LEAST_SPREAD):
        raise Infeasible(
            f"t-SNE needs customers who differ; the largest difference in a column is {spread:g}"
        )
    estimator: Any = targets.build(config, n_jobs=1, verbose=False)
    if neighbours is None:
        return np.asarray(estimator.fit(X)), {}
    nearest = neighbours.first(_neighbours(config, len(X)))
    probabilities = _MEMO.remembering(joint_probabilities)(
        nearest.indices, nearest.distances, float(estimator.perplexity)
    )
    return np.asarray(estimator.fit(X, affinities=as_affinities(probabilities))), {}


def _neighbours(config: Mapping[str, Any], n: int) -> int:
    return min(int(3 * config.get("perplexity", _PERPLEXITY)), n - 1)
