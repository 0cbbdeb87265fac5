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

__all__ = ["NOISE", "Partition", "canonical", "fit_many", "infeasible"]

_FAMILIES = {
    "sklearn.cluster.KMeans": "kmeans",
    "sklearn.cluster.AgglomerativeClustering": "agglomerative",
    "sklearn.cluster.DBSCAN": "dbscan",
    "hdbscan.HDBSCAN": "hdbscan",
}


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


def fit_many(X: np.ndarray, configs: Sequence[Mapping]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of one class.

    Labels equal those of the class's estimator fitted alone, up to the numbering of the clusters, whatever else is
    fitted with it. The caller limits BLAS and OpenMP to one thread.

    Parameters
    ----------
    X : ndarray of shape (n, d), float64, C-contiguous
        The space.
    configs : sequence of Mapping
        Resolved clusterers, all with the same class.

    Returns
    -------
    list of Partition or Exception
        One entry for each configuration; where a fit failed, what it failed with: `Infeasible` if there are too
        few customers.

    Raises
    ------
    ValueError
        If the configurations name several classes.
    """
    names = {targets.class_name(config) for config in configs}
    if len(names) > 1:
        raise ValueError(f"a family has one class, these are {sorted(names)}")
    reasons = [infeasible(config, len(X)) for config in configs]
    possible = [config for config, reason in zip(configs, reasons, strict=True) if reason is None]
    found = iter(_family(*names).fit_many(X, possible) if possible else ())
    return [next(found) if reason is None else Infeasible(reason) for reason in reasons]


def _family(name: str) -> ModuleType:
    return import_module(f"{__name__}.{_FAMILIES.get(name, 'generic')}")
