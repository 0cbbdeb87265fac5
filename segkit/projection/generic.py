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


def project(
    config: Mapping,
    X: np.ndarray,
    neighbours: Neighbours | None,  # noqa: ARG001
) -> tuple[np.ndarray, dict[str, float]]:
    """Return what ``fit_transform`` gives."""
    estimator = targets.build(config)
    if not hasattr(estimator, "fit_transform"):
        raise UsageError(f"projection: {targets.class_name(config)} has no fit_transform, so it projects nothing")
    with repeatable_eigenvectors():
        return estimator.fit_transform(X), {}
