"""Principal components by scikit-learn, with the share of the variance that they keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segkit import targets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segkit.projection.arrays import Matrix
    from segkit.projection.neighbours import Neighbours

SCALES = True


def neighbours_needed(config: Mapping[str, Any], n: int) -> int | None:  # noqa: ARG001
    """Return None: principal components need no neighbours."""
    return None


def infeasible(config: Mapping[str, Any], n: int, d: int | None) -> str | None:
    """Return why the data cannot have so many components; None if it can."""
    components = config.get("n_components")
    most = n if d is None else min(n, d)
    if isinstance(components, int) and components > most:
        lacking = "customers" if d is None or n < d else "features"
        return (
            f"n_components = {components} needs at least {components} {lacking}; there are {most}"
        )
    return None


def memory(config: Mapping[str, Any], n: int) -> int:  # noqa: ARG001
    """Return 0: nothing is held but a few matrices."""
    return 0


def project(
    config: Mapping[str, Any],
    X: Matrix,
    neighbours: Neighbours | None,  # noqa: ARG001
) -> tuple[Matrix, dict[str, float]]:
    """Return the coordinates, and as ``explained_variance`` the share of the variance they keep."""
    estimator: Any = targets.build(config)
    coordinates = estimator.fit_transform(X)
    return coordinates, {"explained_variance": float(estimator.explained_variance_ratio_.sum())}
