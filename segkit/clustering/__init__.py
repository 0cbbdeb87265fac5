"""Clusterers by family: the members of a family share the work that they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from segkit import targets
from segkit.clustering.partition import NOISE, Config, Partition, canonical
from segkit.errors import Infeasible

if TYPE_CHECKING:
    from segkit.clustering.arrays import Indices, Matrix
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

_KMEANS = "sklearn.cluster.KMeans"
_FAMILIES = {
    _KMEANS: "kmeans",
    "sklearn.cluster.AgglomerativeClustering": "agglomerative",
    "sklearn.cluster.DBSCAN": "dbscan",
    "hdbscan.HDBSCAN": "hdbscan",
}


class _Family(Protocol):
    """The module of a family; ``dbscan`` has a `fit_drawn` of its own besides."""

    def infeasible(self, config: Config, n: int) -> str | None: ...

    def memory(self, config: Config, n: int, d: int) -> int: ...

    def fit_many(self, X: Matrix, configs: Sequence[Config]) -> list[Partition | Exception]: ...


def sampled_as(config: Config) -> str:
    """Return the sampling limit of a clusterer: ``kmeans``, or ``clustering`` for any other."""
    return "kmeans" if targets.class_name(config) == _KMEANS else "clustering"


def infeasible(config: Config, n: int) -> str | None:
    """Return why a clusterer cannot be fitted on n customers, or None.

    Nothing heavy is imported.

    Parameters
    ----------
    config : Mapping
        A resolved clusterer: ``_target_`` and parameters.
    n : int
        The number of customers.
    """
    return _family(targets.class_name(config)).infeasible(config, n)


def memory(config: Config, n: int, d: int) -> int:
    """Return a bound on the bytes that fitting n customers in d columns takes beyond the space."""
    return _family(targets.class_name(config)).memory(config, n, d)


def fit_many(X: Matrix, configs: Sequence[Config]) -> list[Partition | Exception]:
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
        One entry for each configuration. A fit that failed has its exception there: `Infeasible`
        if there are too few customers, or numbers too large for distances.

    Raises
    ------
    ValueError
        If the configurations name several classes.
    """
    names = {targets.class_name(config) for config in configs}
    if len(names) > 1:
        raise ValueError(f"a family has one class, these are {sorted(names)}")
    too_large = _too_large(X)
    reasons = [infeasible(config, len(X)) or too_large for config in configs]
    possible = [config for config, reason in zip(configs, reasons, strict=True) if reason is None]
    fitted = iter(_family(*names).fit_many(X, possible) if possible else ())
    return [next(fitted) if reason is None else Infeasible(reason) for reason in reasons]


def fit_drawn(
    X: Matrix, configs: Sequence[Config], landmarks: Landmarks
) -> list[Partition | Exception]:
    """Cluster a large space by its landmarks: fit these, and let the others join their nearest.

    Parameters
    ----------
    X : ndarray of shape (n, d), float64, C-contiguous
        The space.
    configs : sequence of Mapping
        Resolved clusterers, all with the same class. Their sizes are those meant for all n
        customers.
    landmarks : Landmarks
        The drawn customers and their neighbourhoods.

    Returns
    -------
    list of Partition or Exception
        As `fit_many`. The figures ``fitted_customers`` and ``fidelity`` (the share of landmarks
        whose nearest other landmark has the same label) say how far a partition rests on the
        drawn customers.
    """
    from segkit.clustering.drawn import spread

    own_fit = getattr(_family(targets.class_name(configs[0])), "fit_drawn", None)
    outcomes: list[Partition | Exception | None] = [None] * len(configs)
    if own_fit is not None:
        outcomes = own_fit(X, configs, landmarks)
    left = [config for config, outcome in zip(configs, outcomes, strict=True) if outcome is None]
    drawn = X[landmarks.rows]
    fitted = iter(fit_thinned(drawn, left, len(drawn) / len(X)) if left else ())
    return [spread(next(fitted), landmarks) if outcome is None else outcome for outcome in outcomes]


def fit_from(X: Matrix, configs: Sequence[Config], rows: Indices) -> list[Partition | Exception]:
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
    from segkit.clustering import kmeans

    return kmeans.fit_from(X, configs, rows)


def fit_thinned(X: Matrix, configs: Sequence[Config], share: float) -> list[Partition | Exception]:
    """Cluster a share of the customers with configurations meant for all of them.

    See `clustering.drawn`.
    """
    from segkit.clustering.drawn import thin_many

    thin = thin_many(configs, share)
    fitted = iter(fit_many(X, [config for config in thin if not isinstance(config, Infeasible)]))
    return [config if isinstance(config, Infeasible) else next(fitted) for config in thin]


def warm(config: Config) -> None:
    """Compile what a clusterer needs, by clustering a few random points.

    Parameters
    ----------
    config : Mapping
        The resolved clusterer.
    """
    import numpy as np

    limited = {
        name: min(config[name], limit)
        for name, limit in _WARM_LIMITS.items()
        if isinstance(config.get(name), int)
    }
    # In two clumps, so that every way of selecting clusters selects some.
    points = np.random.default_rng(0).normal(size=(_WARM_CUSTOMERS, 3))
    points[: _WARM_CUSTOMERS // 2] += 10
    fit_many(points, [{**config, **limited}])


_WARM_CUSTOMERS = 200
_WARM_LIMITS = {"n_clusters": 3, "min_cluster_size": 10, "min_samples": 5}


def _too_large(X: Matrix) -> str | None:
    """Return why distances would overflow, or None; some libraries never end then."""
    from segkit.data.limits import LARGEST

    largest = max(float(X.max()), -float(X.min())) if X.size else 0.0
    # Not `largest <= LARGEST`: a missing value is left to the estimator, which refuses it itself.
    if not largest > LARGEST:
        return None
    return f"the space holds {largest:g}; numbers from {-LARGEST:g} to {LARGEST:g} can be clustered"


def _family(name: str) -> _Family:
    return cast(_Family, import_module(f"{__name__}.{_FAMILIES.get(name, 'generic')}"))
