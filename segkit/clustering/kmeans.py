"""K-Means (Lloyd 1982; k-means++ of Arthur and Vassilvitskii 2007) for many numbers of clusters on one space.

Shared: the centred space with its norms and variance. Each fit then takes scikit-learn's own
course, the same draws of initial centres and the same sums in the same order, but looks again only
at customers whose nearest centre may have changed. Where rounding might decide, as with ties in
integer data, the fit is left to the plain estimator, and so is whatever is not the usual K-Means
(given or random initial centres, another algorithm).

Memory: beside the space 8 n (d + 5 + max(2 t, k / 2)) bytes, one fit at a time, with t = 2 + log(k)
draws for each centre; 8 n d more for a moment while the space is centred, 8 n (2 d + 5) more while
a fit is the plain estimator's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import isfinite, log
from numbers import Integral, Real
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering import generic
from segkit.clustering.partition import Partition, attempt, canonical

if TYPE_CHECKING:
    import numpy as np

    from segkit.clustering.kmeans_kernel import Space

infeasible = generic.infeasible

_BASE = 1 << 20  # bytes; whatever does not grow with the customers
_MOST_CLUSTERS = 100  # beyond, four bytes for each customer and cluster are too many
_SCALES = (1e-20, 1e30)  # of the largest squared norm; some bounds are kept in single precision
_FREE = ("n_clusters", "n_init", "max_iter", "tol", "random_state", "copy_x", "verbose")
_LEAST = {"n_clusters": 1, "n_init": 1, "max_iter": 1, "random_state": 0}


def fit_many(X: np.ndarray, configs: Sequence[Mapping]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of ``sklearn.cluster.KMeans``."""
    shared = cache(lambda: _prepared(X))
    return [attempt(_fit, X, config, shared) for config in configs]


def _fit(X: np.ndarray, config: Mapping, shared: Callable[[], Space | None]) -> Partition:
    """Fit one configuration; with fewer distinct customers than clusters it finds fewer clusters."""
    usual = _usual(config, len(X))
    space = shared() if usual else None
    if space is not None:
        from segkit.clustering.kmeans_kernel import fit

        found = fit(space, **usual)
        if found is not None:
            return Partition(canonical(found[0]), {"inertia": found[1]})
    return _plain(X, config)


def memory(config: Mapping, n: int, d: int) -> int:
    """Return a bound on the bytes that fitting n customers in d columns takes beyond the matrix."""
    clusters = config.get("n_clusters", 8)
    k = clusters if isinstance(clusters, int) else 8
    per_customer = d + 5 + max(2 * (2 + log(max(k, 1))), k / 2)
    return _BASE + int(8 * n * max(per_customer + d, 3 * d + 10))


def fit_from(
    X: np.ndarray, configs: Sequence[Mapping], rows: np.ndarray
) -> list[Partition | Exception]:
    """Cluster a large space: the initialisations compete on the drawn rows, and the best goes on with everybody."""
    drawn, shared = fit_many(X[rows], configs), cache(lambda: _prepared(X))
    return [
        (
            start
            if isinstance(start, Exception)
            else attempt(_go_on, X, config, rows, start.labels, shared)
        )
        for config, start in zip(configs, drawn, strict=True)
    ]


def _go_on(
    X: np.ndarray,
    config: Mapping,
    rows: np.ndarray,
    labels: np.ndarray,
    shared: Callable[[], Space | None],
) -> Partition:
    import numpy as np

    sizes = np.bincount(labels)
    centres = np.stack(
        [np.bincount(labels, weights=column) / sizes for column in X[rows].T], axis=1
    )
    usual, space = _usual(config, len(X)), shared()
    if usual and space is not None:
        from segkit.clustering.kmeans_kernel import descend

        found = descend(space, centres - X.mean(axis=0), usual["max_iter"], usual["tol"])
        if found is not None:
            return Partition(canonical(found[0]), {"inertia": found[1]})
    return _plain(X, config, n_clusters=len(centres), init=centres, n_init=1)


def _prepared(X: np.ndarray) -> Space | None:
    """Return what fits share; None for a matrix that the plain estimator has to convert or to refuse."""
    import numpy as np

    from segkit.clustering.kmeans_kernel import prepare

    if (
        X.dtype != np.float64
        or X.ndim != 2
        or not X.flags.c_contiguous
        or not X.size
        or not np.isfinite(X).all()
    ):
        return None
    space = prepare(X)
    return space if _SCALES[0] < space.norms.max() < _SCALES[1] else None


def _usual(config: Mapping, n: int) -> dict | None:
    """Return the numbers that make a usual K-Means; None if the plain estimator has to see to it."""
    from sklearn.cluster import KMeans

    usual = KMeans().get_params()
    given = {**usual, **targets.parameters(config)}
    if (
        any(given[name] != usual.get(name) for name in given if name not in _FREE)
        or given["verbose"]
    ):
        return None
    numbers = {name: given[name] for name in (*_LEAST, "tol")}
    if numbers["n_init"] == "auto":
        numbers["n_init"] = 1  # scikit-learn's own choice for k-means++
    if not all(_is_integer(numbers[name], least) for name, least in _LEAST.items()):
        return None
    few = numbers["n_clusters"] <= min(n, _MOST_CLUSTERS) and numbers["random_state"] < 2**32
    tol = numbers["tol"]
    return numbers if few and isinstance(tol, Real) and isfinite(tol) and tol >= 0 else None


def _is_integer(value: object, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


def _plain(X: np.ndarray, config: Mapping, **overrides: object) -> Partition:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator = targets.build(config, copy_x=True, **overrides).fit(
            X
        )  # the space serves others too
    return Partition(canonical(estimator.labels_), {"inertia": float(estimator.inertia_)})
