"""Clusterers on drawn customers: fitted on the landmarks of a space, which the others then join.

Sizes that count customers shrink with the table, so that they ask for the same density. DBSCAN
counts all customers around each landmark instead (DBSCAN++; Jang and Jiang 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering.partition import Config, Partition, canonical
from segkit.errors import Infeasible

if TYPE_CHECKING:
    from segkit.projection.landmarks import Landmarks

# By class: the parameters that count customers, with their defaults and the least that they can be.
_COUNTS: Mapping[str, Mapping[str, tuple[int | None, int]]] = {
    "sklearn.cluster.DBSCAN": {"min_samples": (5, 2)},
    "hdbscan.HDBSCAN": {"min_cluster_size": (5, 2), "min_samples": (None, 1)},
}


def thinned(config: Config, share: float) -> Config:
    """Return the configuration that asks for the same density among a share of the customers.

    Raises
    ------
    Infeasible
        If a size would shrink to almost nothing.
    """
    changed = {}
    for name, (default, least) in _COUNTS.get(targets.class_name(config), {}).items():
        size = config.get(name, default)
        if size is not None:
            changed[name] = max(_thinned_size(name, size, share, least), least)
    return {**config, **changed}


def _thinned_size(name: str, size: int, share: float, least: int) -> int:
    thin = round(size * share)
    # A least size of 1 is reached by rounding up and changes no density worth a refusal.
    if thin < least and least > 1:
        raise Infeasible(
            f"{name} = {size} would be {size * share:.2g} among the drawn customers, "
            f"{share:.2%} of all; at least {least} are needed: draw more (sampling), "
            f"or ask for {least / share:,.0f} or more"
        )
    return thin


def spread(outcome: Partition | Exception, landmarks: Landmarks) -> Partition | Exception:
    """Let every other customer join its nearest landmark.

    The figure ``fidelity`` says how well that rule does on the landmarks themselves. A failed fit
    is returned as it is.
    """
    from segkit.projection.landmarks import joined

    if isinstance(outcome, Exception):
        return outcome
    labels, agreement = joined(outcome.labels, landmarks)
    figures = {**outcome.figures, "fitted_customers": len(landmarks.rows), "fidelity": agreement}
    return Partition(canonical(labels), figures)


def thin_many(configs: Sequence[Config], share: float) -> list[Config | Infeasible]:
    """Thin several configurations; one that cannot be thinned has its error in its place."""
    outcomes: list[Config | Infeasible] = []
    for config in configs:
        try:
            outcomes.append(thinned(config, share))
        except Infeasible as error:
            outcomes.append(error)
    return outcomes
