"""DBSCAN (Ester, Kriegel, Sander and Xu 1996) for many radii and densities on one space.

Shared: one k-d tree; the neighbour counts, which carry on from a radius to the next larger one and serve every
``min_samples``; the components of each ``min_samples``, which only grow with the radius. Parts of the tree that
already lie in one component are passed over, so that large radii cost little.

Memory: about 8 n (4 d + 8 + M) bytes for M values of ``min_samples``; no neighbourhood is ever held. Outside the
family (another metric) the plain estimator holds all neighbourhoods: up to 8 n^2 bytes.

Labels are those of ``sklearn.cluster.DBSCAN``: a border customer within reach of several clusters joins the one
whose first core customer comes first. Only pairs exactly a radius apart may be judged differently, where
scikit-learn (beyond 15 columns) takes distances from a matrix product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering import generic
from segkit.clustering.partition import Partition, attempt, canonical

if TYPE_CHECKING:
    import numpy as np

_FREE = ("eps", "min_samples", "algorithm", "leaf_size", "n_jobs", "p")  # the last four decide no label


def infeasible(config: Mapping, n: int) -> str | None:  # noqa: ARG001
    """Return None: every radius and density can be tried on any number of customers."""
    return None


def fit_many(X: np.ndarray, configs: Sequence[Mapping]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of ``sklearn.cluster.DBSCAN``."""
    wanted = [_wanted(config) for config in configs]
    shared = attempt(_partitions, X, sorted({pair for pair in wanted if pair}))
    return [
        attempt(generic.fit, X, config) if pair is None else _member(shared, pair)
        for config, pair in zip(configs, wanted, strict=True)
    ]


def _wanted(config: Mapping) -> tuple[float, int] | None:
    """Return radius and density of a member of the family; None if the plain estimator has to see to it."""
    from sklearn.cluster import DBSCAN

    usual = DBSCAN().get_params()
    given = {**usual, **targets.parameters(config)}
    eps, least = given["eps"], given["min_samples"]
    if any(given[name] != usual.get(name) for name in given if name not in _FREE):
        return None
    numbers = isinstance(eps, int | float) and isinstance(least, Integral) and not isinstance(least, bool)
    return (float(eps), int(least)) if numbers and eps > 0 and least > 0 else None


def _member(shared: dict | Exception, pair: tuple[float, int]) -> Partition | Exception:
    return shared if isinstance(shared, Exception) else shared[pair]


def _partitions(X: np.ndarray, wanted: Sequence[tuple[float, int]]) -> dict[tuple[float, int], Partition]:
    if not wanted:
        return {}
    from segkit.clustering.dbscan_kernel import label_many

    return {(eps, least): Partition(canonical(labels)) for eps, least, labels in label_many(X, wanted)}
