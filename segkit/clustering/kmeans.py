"""K-Means for many numbers of clusters on one space.

Lloyd (1982), with the k-means++ initialisation of Arthur and Vassilvitskii (2007).

Shared: the centred space with its norms and variance. Each fit then takes scikit-learn's own
course, with the same draws of initial centres and the same sums in the same order, but compares
only customers again whose nearest centre may have changed. Where rounding might decide, as with
ties in integer data, the plain estimator makes the fit. So it does for whatever is not the usual
K-Means (given or random initial centres, another algorithm).

Memory: beside the space 8 n (d + 5 + max(2 t, k / 2)) bytes, one fit at a time, with t = 2 + log(k)
draws for each centre; 8 n d more for a moment while the space is centred, 8 n (2 d + 5) more while
the plain estimator fits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from math import isfinite, log
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

from segkit import targets
from segkit.clustering import generic
from segkit.clustering.partition import BASE_BYTES, Config, Partition, attempt, canonical

if TYPE_CHECKING:
    from segkit.clustering.arrays import Indices, Labels, Matrix
    from segkit.clustering.kmeans_kernel import Space

infeasible = generic.infeasible

_DEFAULT_CLUSTERS = 8  # scikit-learn's
_MOST_CLUSTERS = 100  # beyond, four bytes for each customer and cluster are too many
_MOST_SEED = 2**32 - 1  # numpy's RandomState takes no larger one
_SCALES = (1e-20, 1e30)  # of the largest squared norm; some bounds are kept in single precision
_FREE = ("n_clusters", "n_init", "max_iter", "tol", "random_state", "copy_x", "verbose")
_LEAST = {"n_clusters": 1, "n_init": 1, "max_iter": 1, "random_state": 0}


class Settings(NamedTuple):
    """The numbers that make a usual K-Means."""

    n_clusters: int
    n_init: int
    max_iter: int
    random_state: int
    tol: float


def fit_many(X: Matrix, configs: Sequence[Config]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of ``sklearn.cluster.KMeans``."""
    shared = cache(lambda: _prepared(X))
    return [attempt(_fit, X, config, shared) for config in configs]


def _fit(X: Matrix, config: Config, shared: Callable[[], Space | None]) -> Partition:
    """Fit one configuration; fewer distinct customers than clusters give fewer clusters."""
    settings = _settings(config, len(X))
    space = shared() if settings else None
    if settings is not None and space is not None:
        from segkit.clustering.kmeans_kernel import fit

        fitted = fit(space, **settings._asdict())
        if fitted is not None:
            labels, inertia = fitted
            return Partition(canonical(labels), {"inertia": inertia})
    return _plain(X, config)


def memory(config: Config, n: int, d: int) -> int:
    """Return a bound on the bytes that fitting n customers in d columns takes beyond the matrix."""
    k = config.get("n_clusters", _DEFAULT_CLUSTERS)
    if not isinstance(k, int):
        k = _DEFAULT_CLUSTERS
    per_customer = d + 5 + max(2 * (2 + log(max(k, 1))), k / 2)
    return BASE_BYTES + int(8 * n * max(per_customer + d, 3 * d + 10))


def fit_from(X: Matrix, configs: Sequence[Config], rows: Indices) -> list[Partition | Exception]:
    """Cluster a large space from initialisations that compete on the drawn rows only.

    The best one goes on with all customers.
    """
    starts = fit_many(X[rows], configs)
    shared = cache(lambda: _prepared(X))
    partitions: list[Partition | Exception] = []
    for config, start in zip(configs, starts, strict=True):
        if isinstance(start, Exception):
            partitions.append(start)
        else:
            partitions.append(attempt(_go_on, X, config, rows, start.labels, shared))
    return partitions


def _go_on(
    X: Matrix,
    config: Config,
    rows: Indices,
    labels: Labels,
    shared: Callable[[], Space | None],
) -> Partition:
    """Fit all customers from the centres of the drawn ones' clusters."""
    import numpy as np

    sizes = np.bincount(labels)
    centres = np.stack(
        [np.bincount(labels, weights=column) / sizes for column in X[rows].T], axis=1
    )
    settings, space = _settings(config, len(X)), shared()
    if settings is not None and space is not None:
        from segkit.clustering.kmeans_kernel import descend

        fitted = descend(space, centres - X.mean(axis=0), settings.max_iter, settings.tol)
        if fitted is not None:
            everybody, inertia = fitted
            return Partition(canonical(everybody), {"inertia": inertia})
    return _plain(X, config, n_clusters=len(centres), init=centres, n_init=1)


def _prepared(X: Matrix) -> Space | None:
    """Return what fits share; None for a matrix that the plain estimator converts or refuses."""
    import numpy as np

    from segkit.clustering.kmeans_kernel import prepare

    if X.dtype != np.float64 or X.ndim != 2 or not X.flags.c_contiguous:
        return None
    if not X.size or not np.isfinite(X).all():
        return None
    space = prepare(X)
    return space if _SCALES[0] < space.norms.max() < _SCALES[1] else None


def _settings(config: Config, n: int) -> Settings | None:
    """Return the numbers of a usual K-Means, or None for what the plain estimator has to fit."""
    from sklearn.cluster import KMeans

    defaults = KMeans().get_params()
    given: dict[str, Any] = {**defaults, **targets.parameters(config)}
    if any(given[name] != defaults.get(name) for name in given if name not in _FREE):
        return None
    if given["verbose"]:
        return None
    if given["n_init"] == "auto":
        given["n_init"] = 1  # scikit-learn's own choice for k-means++
    if not all(_is_integer(given[name], least) for name, least in _LEAST.items()):
        return None
    if given["n_clusters"] > min(n, _MOST_CLUSTERS) or given["random_state"] > _MOST_SEED:
        return None
    if not (isinstance(given["tol"], Real) and isfinite(given["tol"]) and float(given["tol"]) >= 0):
        return None
    return Settings(**{name: given[name] for name in Settings._fields})


def _is_integer(value: Any, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def _plain(X: Matrix, config: Config, **overrides: object) -> Partition:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # A copy, as the space serves other fits too.
        estimator: Any = targets.build(config, copy_x=True, **overrides)
        estimator.fit(X)
    return Partition(canonical(estimator.labels_), {"inertia": float(estimator.inertia_)})
