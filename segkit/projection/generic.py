"""Any other allowed class with ``fit_transform``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segkit import targets
from segkit.errors import UsageError
from segkit.projection.eigen import repeatable_eigenvectors

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from segkit.projection.neighbours import Neighbours


def neighbours_needed(config: Mapping, n: int) -> int | None:  # noqa: ARG001
    """Return None: the class searches for its own neighbours, if it uses any."""
    return None


def infeasible(config: Mapping, n: int, d: int | None) -> str | None:  # noqa: ARG001
    """Say why the data is too small for these parameters; None if it is not known to be."""
    for name in ("n_neighbors", "n_components"):
        wanted = config.get(name)
        if isinstance(wanted, int) and wanted >= n:
            return f"{name} = {wanted} needs more than {wanted} customers; there are {n}"
    return None


# Of classes that hold the distances or the kernel of all pairs: how many such matrices at once.
_SQUARES = {
    "sklearn.decomposition.KernelPCA": 4,
    "sklearn.manifold.Isomap": 4,
    "sklearn.manifold.MDS": 5,
    "sklearn.manifold.SpectralEmbedding": 4,
}


def memory(config: Mapping, n: int) -> int:
    """Return about how many bytes a projection of n customers takes where it holds all pairs of them, else 0."""
    name = targets.class_name(config)
    sparse = (
        name == "sklearn.manifold.SpectralEmbedding"
        and config.get("affinity", "nearest_neighbors") != "rbf"
    )
    return 0 if sparse else 8 * n * n * _SQUARES.get(name, 0)


def project(
    config: Mapping,
    X: np.ndarray,
    neighbours: Neighbours | None,  # noqa: ARG001
) -> tuple[np.ndarray, dict[str, float]]:
    """Return what ``fit_transform`` gives."""
    estimator = targets.build(config)
    if not hasattr(estimator, "fit_transform"):
        raise UsageError(
            f"projection: {targets.class_name(config)} has no fit_transform, so it projects nothing"
        )
    with repeatable_eigenvectors():
        return estimator.fit_transform(X), {}
