"""Any scikit-learn style clusterer: one fit for each configuration, nothing shared.

Memory: the estimator's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering.partition import Partition, attempt, canonical

if TYPE_CHECKING:
    import numpy as np

_SIZES = ("n_clusters", "n_components")


def infeasible(config: Mapping, n: int) -> str | None:
    """Return why a configuration cannot be fitted on n customers, or None."""
    for name in _SIZES:
        wanted = config.get(name)
        if isinstance(wanted, int) and wanted > n:
            return f"{name}={wanted} needs at least {wanted} customers, there are {n}"
    return None


def fit_many(X: np.ndarray, configs: Sequence[Mapping]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of one class, one after the other."""
    return [attempt(fit, X, config) for config in configs]


def fit(X: np.ndarray, config: Mapping) -> Partition:
    """Fit one estimator that has ``fit_predict``, or ``fit`` and ``predict``."""
    estimator = targets.build(config)
    found = estimator.fit_predict(X) if hasattr(estimator, "fit_predict") else estimator.fit(X).predict(X)
    return Partition(canonical(found))
