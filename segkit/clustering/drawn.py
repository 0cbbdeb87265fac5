"""Clusterers on drawn customers: fitted on the landmarks of a space, the others join their nearest landmark.

Sizes that count customers are shrunk with the table, so that they ask for the same density. DBSCAN
instead counts everybody around each landmark (DBSCAN++; Jang and Jiang 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering.partition import Partition, canonical
from segkit.errors import Infeasible

if TYPE_CHECKING:
    from segkit.projection.landmarks import Landmarks

# By class: the parameters that count customers, with their defaults and the least that they can be.
_COUNTS: Mapping[str, Mapping[str, tuple[int | None, int]]] = {
    "sklearn.cluster.DBSCAN": {"min_samples": (5, 2)},
    "hdbscan.HDBSCAN": {"min_cluster_size": (5, 2), "min_samples": (None, 1)},
}


def thinned(config: Mapping, share: float) -> Mapping:
    """Return the configuration that asks for the same density among a share of the customers.

    Raises
    ------
    Infeasible
        If a size would shrink to almost nothing.
    """
    changed = {}
    for name, (usual, least) in _COUNTS.get(targets.class_name(config), {}).items():
        wanted = config.get(name, usual)
        if wanted is not None:
            changed[name] = round(wanted * share)
            if changed[name] < least and least > 1:
                raise Infeasible(
                    f"{name} = {wanted} would be {wanted * share:.2g} among the drawn customers,"
                    f" {share:.2%} of all; at least {least} are needed: draw more (sampling), or"
                    f" ask for {least / share:,.0f} or more"
                )
            changed[name] = max(changed[name], least)
    return {**config, **changed}


def spread(found: Partition | Exception, landmarks: Landmarks) -> Partition | Exception:
    """Let every other customer join its nearest landmark; how well that rule does on the landmarks is ``fidelity``."""
    from segkit.projection.landmarks import joined

    if isinstance(found, Exception):
        return found
    labels, agreement = joined(found.labels, landmarks)
    figures = {**found.figures, "fitted_customers": len(landmarks.rows), "fidelity": agreement}
    return Partition(canonical(labels), figures)


def thin_many(configs: Sequence[Mapping], share: float) -> list[Mapping | Infeasible]:
    """Thin several configurations; those that cannot be are told as errors in their place."""
    found: list[Mapping | Infeasible] = []
    for config in configs:
        try:
            found.append(thinned(config, share))
        except Infeasible as error:
            found.append(error)
    return found
