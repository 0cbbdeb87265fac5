"""Any scikit-learn style clusterer: one fit for each configuration, nothing shared.

Memory: the estimator's own. Nothing is known of it here, so a few copies of the matrix are assumed,
and a whole matrix of pairs for the classes that hold one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering.partition import Partition, attempt, canonical

if TYPE_CHECKING:
    import numpy as np

_SIZES = ("n_clusters", "n_components")
_BASE = 1 << 20  # bytes; whatever does not grow with the customers
_PAIRWISE = ("SpectralClustering", "AffinityPropagation")
_PER_PAIR = 40  # bytes: affinity propagation's five matrices


def infeasible(config: Mapping, n: int) -> str | None:
    """Return why a configuration cannot be fitted on n customers, or None."""
    for name in _SIZES:
        wanted = config.get(name)
        if isinstance(wanted, int) and wanted > n:
            return f"{name}={wanted} needs at least {wanted} customers, there are {n}"
    return None


def memory(config: Mapping, n: int, d: int) -> int:
    """Return a guess at the bytes that fitting n customers in d columns takes beyond the matrix.

    It is 8 n (4 d + 20 + 2 k) for k clusters or components (8 unless given), and 40 n^2 more for
    the two classes that compare all pairs.
    """
    sizes = [config[name] for name in _SIZES if isinstance(config.get(name), int)]
    held = _BASE + 8 * n * (4 * d + 20 + 2 * max(sizes, default=8))
    return held + (_PER_PAIR * n * n if targets.class_name(config).endswith(_PAIRWISE) else 0)


def fit_many(X: np.ndarray, configs: Sequence[Mapping]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of one class, one after the other."""
    return [attempt(fit, X, config) for config in configs]


def fit(X: np.ndarray, config: Mapping) -> Partition:
    """Fit one estimator that has ``fit_predict``, or ``fit`` and ``predict``."""
    estimator = targets.build(config)
    found = (
        estimator.fit_predict(X)
        if hasattr(estimator, "fit_predict")
        else estimator.fit(X).predict(X)
    )
    return Partition(canonical(found))
