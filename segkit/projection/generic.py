"""Any other allowed class with ``fit_transform``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segkit import targets
from segkit.errors import UsageError
from segkit.projection.compat import repeatable_eigenvectors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segkit.projection.arrays import Matrix
    from segkit.projection.neighbours import Neighbours

SCALES = False
# How many matrices of all pairs of customers a class holds at once: distances, or a kernel.
_SQUARES = {
    "sklearn.decomposition.KernelPCA": 4,
    "sklearn.manifold.Isomap": 4,
    "sklearn.manifold.MDS": 5,
    "sklearn.manifold.SpectralEmbedding": 4,
}


def neighbours_needed(config: Mapping[str, Any], n: int) -> int | None:  # noqa: ARG001
    """Return None: a class that uses neighbours searches for them itself."""
    return None


def infeasible(config: Mapping[str, Any], n: int, d: int | None) -> str | None:  # noqa: ARG001
    """Return why the data is too small for these parameters; None if it is not known to be."""
    for name in ("n_neighbors", "n_components"):
        value = config.get(name)
        if isinstance(value, int) and value >= n:
            return f"{name} = {value} needs more than {value} customers; there are {n}"
    return None


def memory(config: Mapping[str, Any], n: int) -> int:
    """Return how many bytes the matrices of all pairs of n customers take, 0 if there are none."""
    name = targets.class_name(config)
    if name == "sklearn.manifold.SpectralEmbedding":
        # Only its kernel is a matrix of all pairs; a graph of neighbours is sparse.
        affinity = config.get("affinity", "nearest_neighbors")
        if affinity != "rbf":
            return 0
    return 8 * n * n * _SQUARES.get(name, 0)


def project(
    config: Mapping[str, Any],
    X: Matrix,
    neighbours: Neighbours | None,  # noqa: ARG001
) -> tuple[Matrix, dict[str, float]]:
    """Return the coordinates that ``fit_transform`` returns."""
    estimator: Any = targets.build(config)
    if not hasattr(estimator, "fit_transform"):
        raise UsageError(
            f"projection: {targets.class_name(config)} has no fit_transform, so it projects nothing"
        )
    with repeatable_eigenvectors():
        return estimator.fit_transform(X), {}
