"""Clusterers by family: the members of one family on one space share what their work has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering.partition import NOISE, Partition, canonical
from segkit.errors import Infeasible

if TYPE_CHECKING:
    import numpy as np

    from segkit.projection.landmarks import Landmarks

__all__ = [
    "NOISE",
    "Partition",
    "canonical",
    "fit_drawn",
    "fit_from",
    "fit_many",
    "fit_thinned",
    "infeasible",
    "memory",
    "sampled_as",
    "warm",
]

_FAMILIES = {
    "sklearn.cluster.KMeans": "kmeans",
    "sklearn.cluster.AgglomerativeClustering": "agglomerative",
    "sklearn.cluster.DBSCAN": "dbscan",
    "hdbscan.HDBSCAN": "hdbscan",
}


def sampled_as(config: Mapping) -> str:
    """Return which limit of the sampling a clusterer falls under: ``kmeans``, or ``clustering`` for any other."""
    return "kmeans" if targets.class_name(config) == "sklearn.cluster.KMeans" else "clustering"


def infeasible(config: Mapping, n: int) -> str | None:
    """Return in words why a clusterer cannot be fitted on n customers, or None; nothing heavy is imported.

    Parameters
    ----------
    config : Mapping
        A resolved clusterer: ``_target_`` and parameters.
    n : int
        The number of customers.
    """
    return _family(targets.class_name(config)).infeasible(config, n)


def memory(config: Mapping, n: int, d: int) -> int:
    """Return a bound on the bytes that fitting n customers in d columns takes beyond the space itself."""
    return _family(targets.class_name(config)).memory(config, n, d)


def fit_many(X: np.ndarray, configs: Sequence[Mapping]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of one class.

    Labels equal those of the class's estimator fitted alone, up to the numbering of the clusters,
    whatever else is fitted with it. The caller limits BLAS and OpenMP to one thread.

    Parameters
    ----------
    X : ndarray of shape (n, d), float64, C-contiguous
        The space.
    configs : sequence of Mapping
        Resolved clusterers, all with the same class.

    Returns
    -------
    list of Partition or Exception
        One entry for each configuration; where a fit failed, what it failed with: `Infeasible` if
        there are too few customers, or numbers too large for distances.

    Raises
    ------
    ValueError
        If the configurations name several classes.
    """
    names = {targets.class_name(config) for config in configs}
    if len(names) > 1:
        raise ValueError(f"a family has one class, these are {sorted(names)}")
    large = _too_large(X)
    reasons = [infeasible(config, len(X)) or large for config in configs]
    possible = [config for config, reason in zip(configs, reasons, strict=True) if reason is None]
    found = iter(_family(*names).fit_many(X, possible) if possible else ())
    return [next(found) if reason is None else Infeasible(reason) for reason in reasons]


def fit_drawn(
    X: np.ndarray, configs: Sequence[Mapping], landmarks: Landmarks
) -> list[Partition | Exception]:
    """Cluster a large space by its landmarks: fitted on them, the others join their nearest.

    Parameters
    ----------
    X : ndarray of shape (n, d), float64, C-contiguous
        The space.
    configs : sequence of Mapping
        Resolved clusterers, all with the same class, that ask for what they would ask of all n
        customers.
    landmarks : Landmarks
        The drawn customers and their neighbourhoods.

    Returns
    -------
    list of Partition or Exception
        As `fit_many`; the figures ``fitted_customers`` and ``fidelity`` (the share of landmarks
        whose nearest other landmark has their own label) tell how far a partition rests on the
        drawn customers.
    """
    from segkit.clustering.drawn import spread

    family = _family(targets.class_name(configs[0]))
    found = (
        family.fit_drawn(X, configs, landmarks)
        if hasattr(family, "fit_drawn")
        else [None] * len(configs)
    )
    others = [config for config, item in zip(configs, found, strict=True) if item is None]
    drawn = X[landmarks.rows]
    fitted = iter(fit_thinned(drawn, others, len(drawn) / len(X)) if others else ())
    return [spread(next(fitted), landmarks) if item is None else item for item in found]


def fit_from(
    X: np.ndarray, configs: Sequence[Mapping], rows: np.ndarray
) -> list[Partition | Exception]:
    """Cluster a large space by K-Means whose initialisations compete on drawn customers only.

    Parameters
    ----------
    X : ndarray of shape (n, d), float64, C-contiguous
        The space.
    configs : sequence of Mapping
        Resolved configurations of ``sklearn.cluster.KMeans``.
    rows : ndarray of shape (m,), integers
        The drawn customers.
    """
    return import_module(f"{__name__}.kmeans").fit_from(X, configs, rows)


def fit_thinned(
    X: np.ndarray, configs: Sequence[Mapping], share: float
) -> list[Partition | Exception]:
    """Cluster a share of the customers with configurations meant for all of them (see `clustering.drawn`)."""
    from segkit.clustering.drawn import thin_many

    thin = thin_many(configs, share)
    found = iter(fit_many(X, [config for config in thin if not isinstance(config, Infeasible)]))
    return [item if isinstance(item, Infeasible) else next(found) for item in thin]


def warm(config: Mapping) -> None:
    """Compile what a clusterer needs, by clustering a few random points.

    Parameters
    ----------
    config : Mapping
        The resolved clusterer.
    """
    import numpy as np

    limited = {
        name: min(config[name], most)
        for name, most in _WARM_LIMITS.items()
        if isinstance(config.get(name), int)
    }
    # In two clumps, so that every way of selecting clusters finds some.
    points = np.random.default_rng(0).normal(size=(_WARM_CUSTOMERS, 3))
    points[: _WARM_CUSTOMERS // 2] += 10
    fit_many(points, [{**config, **limited}])


_WARM_CUSTOMERS = 200
_WARM_LIMITS = {"n_clusters": 3, "min_cluster_size": 10, "min_samples": 5}


def _too_large(X: np.ndarray) -> str | None:
    """Say if distances would overflow, with which some libraries search for ever."""
    from segkit.data.limits import LARGEST

    largest = max(float(X.max()), -float(X.min())) if X.size else 0.0
    # A missing value fails the comparison: it is the estimator's to refuse.
    if not largest > LARGEST:
        return None
    return f"the space holds {largest:g}; numbers from {-LARGEST:g} to {LARGEST:g} can be clustered"


def _family(name: str) -> ModuleType:
    return import_module(f"{__name__}.{_FAMILIES.get(name, 'generic')}")
