"""From the scaled features to the space in which clustering happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from segkit import targets
from segkit.errors import Infeasible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    import numpy as np

    from segkit.projection.neighbours import Neighbours

IDENTITY = "sklearn.preprocessing.FunctionTransformer"
_FAMILIES = {"sklearn.decomposition.PCA": "pca", "openTSNE.TSNE": "tsne", "umap.UMAP": "umap"}
_WARM_CUSTOMERS = 50
# Of each neighbour of each customer, while they are searched: as measured for 150,000 customers.
_NEIGHBOUR_BYTES = 48


@dataclass(frozen=True)
class Projection:
    """A space and what is known about how it came about.

    Attributes
    ----------
    coordinates : ndarray of shape (n, q), float64
        One row for each customer.
    figures : dict
        ``explained_variance``, the share of the variance kept, for principal components; else
        empty.
    """

    coordinates: np.ndarray
    figures: dict[str, float] = field(default_factory=dict)


def is_identity(config: Mapping) -> bool:
    """Tell whether the space is the scaled matrix itself."""
    return targets.class_name(config) == IDENTITY


def scales(config: Mapping) -> bool:
    """Tell whether a projection's time and memory grow no faster than the table."""
    return is_identity(config) or getattr(_family(config), "SCALES", False)


def neighbours_needed(config: Mapping, n: int) -> int | None:
    """Return how many shared neighbours a projection uses; None if it uses none.

    Parameters
    ----------
    config : Mapping
        The resolved configuration of the projection.
    n : int
        Number of customers.
    """
    return _family(config).neighbours_needed(config, n)


def infeasible(config: Mapping, n: int, d: int | None = None) -> str | None:
    """Say why a projection cannot be done on data of this size; None if it can.

    Parameters
    ----------
    config : Mapping
        The resolved configuration of the projection.
    n : int
        Number of customers.
    d : int, optional
        Number of features, where it is known.
    """
    return _family(config).infeasible(config, n, d)


def memory(config: Mapping, n: int) -> int:
    """Return about how many bytes a projection of n customers takes beyond a few matrices, 0 where it takes no more."""
    from segkit.projection.neighbours import ladder

    family, k = _family(config), neighbours_needed(config, n)
    searched = _NEIGHBOUR_BYTES * n * ladder(k) if k is not None else 0
    return max(searched, family.memory(config, n) if hasattr(family, "memory") else 0)


def project(config: Mapping, X: np.ndarray, neighbours: Neighbours | None = None) -> Projection:
    """Project a matrix.

    Parameters
    ----------
    config : Mapping
        The resolved configuration: ``_target_`` and the parameters of its class.
    X : ndarray of shape (n, d)
        The scaled features, finite.
    neighbours : Neighbours, optional
        The shared neighbours of X, at least ``neighbours_needed`` of them; found here if they are
        needed and not given. How many more there are does not change the result.

    Returns
    -------
    Projection
        Coordinates of shape (n, q).

    Raises
    ------
    Infeasible
        If the data is too small for the parameters, or it or the result is not finite or too large.
    """
    import numpy as np

    from segkit.data.limits import LARGEST, beyond

    X = np.ascontiguousarray(X, dtype=np.float64)
    reason = infeasible(config, *X.shape)
    if reason is not None:
        raise Infeasible(reason)
    large = beyond(X)
    if large:
        raise Infeasible(
            f"the scaled features hold {large.value:g}; numbers from {-LARGEST:g} to {LARGEST:g} "
            "are allowed"
        )
    coordinates, figures = _family(config).project(config, X, _needed(config, X, neighbours))
    coordinates = np.ascontiguousarray(coordinates, dtype=np.float64)
    lost = int((~np.isfinite(coordinates)).any(axis=1).sum())
    if lost:
        raise Infeasible(
            f"{targets.class_name(config)} gave {lost} customers no finite coordinates"
        )
    large = beyond(coordinates)
    if large:
        raise Infeasible(
            f"{targets.class_name(config)} gave a coordinate of {large.value:g}, too large to "
            "cluster"
        )
    return Projection(coordinates, figures)


def warm(config: Mapping) -> None:
    """Import and compile what a projection needs, by projecting a few random points.

    UMAP takes several seconds for that in every process; a worker can have it done before the first
    task.

    Parameters
    ----------
    config : Mapping
        The resolved configuration of the projection.
    """
    import numpy as np

    small = {name: min(config[name], most) for name, most in _WARM_LIMITS.items() if name in config}
    axes = config.get("n_components", 2)
    axes = axes if isinstance(axes, int) else 2
    points = np.random.default_rng(0).normal(size=(_WARM_CUSTOMERS + 2 * axes, max(axes, 5)))
    project({**config, **small}, points)


_WARM_LIMITS = {"n_neighbors": 15, "perplexity": 5}


def _family(config: Mapping) -> ModuleType:
    name = _FAMILIES.get(targets.class_name(config), "generic")
    return import_module(f"segkit.projection.{name}")


def _needed(config: Mapping, X: np.ndarray, neighbours: Neighbours | None) -> Neighbours | None:
    from segkit.projection.neighbours import ladder, search

    k = neighbours_needed(config, len(X))
    if k is None:
        return None
    return search(X, ladder(k)) if neighbours is None else neighbours
