"""t-SNE by openTSNE, on the shared neighbour graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segkit import targets
from segkit.errors import Infeasible
from segkit.projection.shared import Memo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scipy.sparse import csr_matrix

    from segkit.projection.neighbours import Neighbours

SHARED_METRICS = ("euclidean", "l2")
_PERPLEXITY = 30
# Squares of smaller differences vanish.
_LEAST_SPREAD = 1e-150
_MEMO = Memo()


def constraints() -> dict[str, list]:
    """Return what each parameter of ``openTSNE.TSNE`` may be, in scikit-learn's terms."""
    from numbers import Integral, Real

    from sklearn.utils._param_validation import Interval, Options, StrOptions

    positive = Interval(Real, 0, None, closed="neither")
    not_negative = Interval(Real, 0, None, closed="left")
    count = Interval(Integral, 1, None, closed="left")
    rounds = Interval(Integral, 0, None, closed="left")
    momentum = Interval(Real, 0, 1, closed="left")
    return {
        "n_components": [Interval(Integral, 1, 3, closed="both")],
        "perplexity": [Interval(Real, 1, None, closed="left")],
        "learning_rate": [StrOptions({"auto"}), positive],
        "early_exaggeration_iter": [rounds],
        "early_exaggeration": [StrOptions({"auto"}), positive],
        "n_iter": [rounds],
        "exaggeration": [positive, None],
        "dof": [positive],
        "theta": [Interval(Real, 0, 1, closed="both")],
        "n_interpolation_points": [count],
        "min_num_intervals": [count],
        "ints_in_interval": [positive],
        "initialization": [StrOptions({"pca", "spectral", "random"})],
        "metric": [StrOptions(_METRICS)],
        "metric_params": [dict, None],
        "initial_momentum": [momentum],
        "final_momentum": [momentum],
        "max_grad_norm": [not_negative, None],
        "max_step_norm": [not_negative, None],
        "n_jobs": [Integral],
        "neighbors": [StrOptions({"exact", "auto", "approx", "annoy", "pynndescent", "hnsw"})],
        "knn_kwargs": [dict, None],
        "negative_gradient_method": [StrOptions({"auto", "bh", "fft"})],
        "callbacks": [None],
        "callbacks_every_iters": [count],
        "random_state": ["random_state"],
        "verbose": [Options(bool, {False})],
    }


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


def neighbours_needed(config: Mapping, n: int) -> int | None:
    """Return how many neighbours the affinities use: three times the perplexity."""
    if config.get("metric", "euclidean") not in SHARED_METRICS:
        return None
    return min(int(3 * config.get("perplexity", _PERPLEXITY)), n - 1)


def infeasible(config: Mapping, n: int, d: int | None) -> str | None:
    """Say why the data is too small for these parameters; None if it is not."""
    perplexity, axes = config.get("perplexity", _PERPLEXITY), config.get("n_components", 2)
    if 3 * perplexity > n - 1:
        return (
            f"perplexity = {perplexity:g} needs {int(3 * perplexity)} neighbours; there are {n} "
            "customers"
        )
    if d is not None and axes > d and config.get("initialization", "pca") == "pca":
        return f"n_components = {axes} cannot start from the principal components of {d} features"
    method = config.get("negative_gradient_method", "auto")
    if axes > 2 and (method == "fft" or (method == "auto" and n >= 10_000)):
        return f"n_components = {axes} needs negative_gradient_method = bh; fft is for 1 or 2"
    return None


def project(
    config: Mapping, X: np.ndarray, neighbours: Neighbours | None
) -> tuple[np.ndarray, dict[str, float]]:
    """Embed a matrix by t-SNE (van der Maaten and Hinton 2008).

    Parameters
    ----------
    config : Mapping
        ``openTSNE.TSNE`` and its parameters.
    X : ndarray of shape (n, d)
        Points.
    neighbours : Neighbours or None
        At least three times the perplexity of them; None where the metric is not Euclidean, in
        which case the estimator searches on its own.

    Returns
    -------
    coordinates : ndarray of shape (n, n_components)
        The same bits as ``openTSNE.TSNE(neighbors="exact")`` gives on the same neighbours.
    figures : dict
        Empty.
    """
    from openTSNE.affinity import PrecomputedAffinities

    spread, rounding = np.ptp(X, axis=0).max(), 16 * np.finfo(np.float64).eps * np.abs(X).max()
    # openTSNE's tree of points ends the process where rounding alone tells them apart.
    if spread <= max(rounding, _LEAST_SPREAD):
        raise Infeasible(
            f"t-SNE needs customers who differ; the largest difference in a column is {spread:g}"
        )
    estimator = targets.build(config, n_jobs=1, verbose=False)
    if neighbours is None:
        return np.asarray(estimator.fit(X)), {}
    near = neighbours.first(neighbours_needed(config, len(X)))
    P = _MEMO.remembering(_joint_probabilities)(
        near.indices, near.distances, float(estimator.perplexity)
    )
    return np.asarray(estimator.fit(X, affinities=PrecomputedAffinities(P, normalize=False))), {}


def _joint_probabilities(
    indices: np.ndarray, distances: np.ndarray, perplexity: float
) -> csr_matrix:
    """Return t-SNE's affinities, as the estimator makes them on its own; the layout's parameters do not matter."""
    from openTSNE.affinity import MultiscaleMixture
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    return MultiscaleMixture(
        perplexities=perplexity, knn_index=PrecomputedNeighbors(indices, distances)
    ).P
