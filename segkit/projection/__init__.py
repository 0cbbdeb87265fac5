"""From the scaled features to the space in which clustering happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from segkit import targets
from segkit.errors import Infeasible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segkit.projection.arrays import Matrix
    from segkit.projection.neighbours import Neighbours

IDENTITY = "sklearn.preprocessing.FunctionTransformer"
_FAMILIES = {"sklearn.decomposition.PCA": "pca", "openTSNE.TSNE": "tsne", "umap.UMAP": "umap"}
# Of each neighbour of each customer during the search, as measured for 150,000 customers.
_NEIGHBOUR_BYTES = 48
# `warm` projects few customers, who have few neighbours.
_WARM_CUSTOMERS = 50
_WARM_LIMITS = {"n_neighbors": 15, "perplexity": 5}


@dataclass(frozen=True)
class Projection:
    """A space, and what is known of how it was computed.

    Attributes
    ----------
    coordinates : ndarray of shape (n, q), float64
        One row for each customer.
    figures : dict
        ``explained_variance``, the share of the variance kept, for principal components; else
        empty.
    """

    coordinates: Matrix
    figures: dict[str, float] = field(default_factory=dict)


class Family(Protocol):
    """What a module of this package knows of the classes that it is for."""

    SCALES: bool

    def neighbours_needed(self, config: Mapping[str, Any], n: int) -> int | None:
        """Return how many shared neighbours a projection uses; None if it uses none."""

    def infeasible(self, config: Mapping[str, Any], n: int, d: int | None) -> str | None:
        """Return why a projection cannot be computed on data of this size; None if it can."""

    def memory(self, config: Mapping[str, Any], n: int) -> int:
        """Return about how many bytes a projection takes beyond a few matrices."""

    def project(
        self, config: Mapping[str, Any], X: Matrix, neighbours: Neighbours | None
    ) -> tuple[Matrix, dict[str, float]]:
        """Return the coordinates and the figures of a projection."""


def is_identity(config: Mapping[str, Any]) -> bool:
    """Return whether the space is the scaled matrix itself."""
    return targets.class_name(config) == IDENTITY


def scales(config: Mapping[str, Any]) -> bool:
    """Return whether a projection's time and memory grow no faster than the table."""
    return is_identity(config) or _family(config).SCALES


def neighbours_needed(config: Mapping[str, Any], n: int) -> int | None:
    """Return how many shared neighbours a projection uses; None if it uses none.

    Parameters
    ----------
    config : Mapping
        The resolved configuration of the projection.
    n : int
        Number of customers.
    """
    return _family(config).neighbours_needed(config, n)


def infeasible(config: Mapping[str, Any], n: int, d: int | None = None) -> str | None:
    """Return why a projection cannot be computed on data of this size; None if it can.

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


def memory(config: Mapping[str, Any], n: int) -> int:
    """Return about how many bytes a projection of n customers takes beyond a few matrices."""
    from segkit.projection.neighbours import ladder

    k = neighbours_needed(config, n)
    search = _NEIGHBOUR_BYTES * n * ladder(k) if k is not None else 0
    return max(search, _family(config).memory(config, n))


def project(
    config: Mapping[str, Any], X: Matrix, neighbours: Neighbours | None = None
) -> Projection:
    """Project a matrix.

    Parameters
    ----------
    config : Mapping
        The resolved configuration: ``_target_`` and the parameters of its class.
    X : ndarray of shape (n, d)
        The scaled features, finite.
    neighbours : Neighbours, optional
        The shared neighbours of X, at least ``neighbours_needed`` of them; searched for here if
        they are needed and left out. How many more there are does not change the result.

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
    n, d = X.shape
    reason = infeasible(config, n, d)
    if reason is not None:
        raise Infeasible(reason)
    large = beyond(X)
    if large:
        raise Infeasible(
            f"the scaled features hold {large.value:g}; numbers from {-LARGEST:g} to {LARGEST:g} "
            "are allowed"
        )
    graph = _neighbours(config, X, neighbours)
    coordinates, figures = _family(config).project(config, X, graph)
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


def warm(config: Mapping[str, Any]) -> None:
    """Import and compile what a projection needs, by projecting a few random points.

    That takes several seconds for UMAP in every process, so a worker does it before its first task.

    Parameters
    ----------
    config : Mapping
        The resolved configuration of the projection.
    """
    import numpy as np

    small = {name: min(config[name], most) for name, most in _WARM_LIMITS.items() if name in config}
    components = config.get("n_components", 2)
    if not isinstance(components, int):
        # Principal components may be asked for by their share of the variance.
        components = 2
    shape = (_WARM_CUSTOMERS + 2 * components, max(components, 5))
    project({**config, **small}, np.random.default_rng(0).normal(size=shape))


def _family(config: Mapping[str, Any]) -> Family:
    name = _FAMILIES.get(targets.class_name(config), "generic")
    return cast("Family", import_module(f"segkit.projection.{name}"))


def _neighbours(
    config: Mapping[str, Any], X: Matrix, neighbours: Neighbours | None
) -> Neighbours | None:
    """Return the neighbours that a projection uses, searched for if they are not given."""
    from segkit.projection.neighbours import ladder, search

    k = neighbours_needed(config, len(X))
    if k is None:
        return None
    return search(X, ladder(k)) if neighbours is None else neighbours
