"""Any scikit-learn style clusterer: one fit for each configuration, nothing shared.

Memory: the estimator's own. It is not known here, so a few copies of the matrix are assumed, and
a whole matrix of pairs for the classes that hold one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from segkit import targets
from segkit.clustering.partition import BASE_BYTES, Config, Partition, attempt, canonical

if TYPE_CHECKING:
    from segkit.clustering.arrays import Matrix

_SIZES = ("n_clusters", "n_components")
_PAIRWISE = ("SpectralClustering", "AffinityPropagation")
_BYTES_PER_PAIR = 40  # affinity propagation's five matrices


def infeasible(config: Config, n: int) -> str | None:
    """Return why a configuration cannot be fitted on n customers, or None."""
    for name in _SIZES:
        size = config.get(name)
        if isinstance(size, int) and size > n:
            return f"{name}={size} needs at least {size} customers, there are {n}"
    return None


def memory(config: Config, n: int, d: int) -> int:
    """Return a guess at the bytes that fitting n customers in d columns takes beyond the matrix.

    It is 8 n (4 d + 20 + 2 k) for k clusters or components (8 unless given), and 40 n^2 more for
    the two classes that compare all pairs.
    """
    sizes = [config[name] for name in _SIZES if isinstance(config.get(name), int)]
    total = BASE_BYTES + 8 * n * (4 * d + 20 + 2 * max(sizes, default=8))
    if targets.class_name(config).endswith(_PAIRWISE):
        total += _BYTES_PER_PAIR * n * n
    return total


def fit_many(X: Matrix, configs: Sequence[Config]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of one class, one after the other."""
    return [attempt(fit, X, config) for config in configs]


def fit(X: Matrix, config: Config) -> Partition:
    """Fit one estimator that has ``fit_predict``, or ``fit`` and ``predict``."""
    estimator: Any = targets.build(config)
    if hasattr(estimator, "fit_predict"):
        labels = estimator.fit_predict(X)
    else:
        labels = estimator.fit(X).predict(X)
    return Partition(canonical(labels))
