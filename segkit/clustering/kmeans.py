"""K-Means: one fit of ``sklearn.cluster.KMeans`` for each configuration.

Shared: nothing but the space. Centres, draws of initial centres and the order of summation depend on ``n_clusters``,
so that only the plain call gives the plain call's labels; with one thread it does so every time.

Memory: 8 n (2 d + 5) bytes for each fit, one at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering import generic
from segkit.clustering.partition import Partition, attempt, canonical

if TYPE_CHECKING:
    import numpy as np

infeasible = generic.infeasible


def fit_many(X: np.ndarray, configs: Sequence[Mapping]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of ``sklearn.cluster.KMeans``."""
    return [attempt(_fit, X, config) for config in configs]


def _fit(X: np.ndarray, config: Mapping) -> Partition:
    """Fit one configuration; with fewer distinct customers than clusters it finds fewer clusters."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator = targets.build(config).fit(X)
    return Partition(canonical(estimator.labels_), {"inertia": float(estimator.inertia_)})
