"""Principal components by scikit-learn, with the share of the variance that they keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segkit import targets

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from segkit.projection.neighbours import Neighbours

SCALES = True  # time and memory grow no faster than the table


def neighbours_needed(config: Mapping, n: int) -> int | None:  # noqa: ARG001
    """Return None: principal components need no neighbours."""
    return None


def infeasible(config: Mapping, n: int, d: int | None) -> str | None:
    """Say why the data cannot have so many components; None if it can."""
    wanted = config.get("n_components")
    most = n if d is None else min(n, d)
    if isinstance(wanted, int) and wanted > most:
        what = "customers" if d is None or n < d else "features"
        return f"n_components = {wanted} needs at least {wanted} {what}; there are {most}"
    return None


def project(
    config: Mapping,
    X: np.ndarray,
    neighbours: Neighbours | None,  # noqa: ARG001
) -> tuple[np.ndarray, dict[str, float]]:
    """Return the coordinates and ``explained_variance``: the share of the total variance that is kept."""
    estimator = targets.build(config)
    coordinates = estimator.fit_transform(X)
    return coordinates, {"explained_variance": float(estimator.explained_variance_ratio_.sum())}
