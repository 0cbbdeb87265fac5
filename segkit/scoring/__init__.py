"""Scores of a partition in a space, and its stability.

A score is one module here that defines ``SCORE``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segkit.clustering.arrays import Indices, Labels, Matrix
    from segkit.scoring.contract import Score, ScoreDefinition

__all__ = ["definitions", "score_many"]


@cache
def definitions() -> tuple[ScoreDefinition, ...]:
    """Return all scores in their order, from the modules of this folder."""
    modules = [import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    scores = [module.SCORE for module in modules if hasattr(module, "SCORE")]
    return tuple(sorted(scores, key=lambda score: score.order))


def score_many(
    X: Matrix, partitions: Sequence[Labels], rows: Indices | None = None
) -> list[dict[str, Score]]:
    """Score all partitions of one space with every score.

    Parameters
    ----------
    X : array of shape (n, d)
        The space; finite.
    partitions : sequence of arrays of shape (n,), integers
        One label per customer; negative is noise.
    rows : array of shape (m,), integers, optional
        Positions of the customers drawn at random, without replacement, for the scores that need
        all pairs, which are then estimated from them; all customers if not given. The other scores
        are always those of all customers.

    Returns
    -------
    list of dict
        For each partition, in the order given, its scores by name. None depends on the other
        partitions.

    Raises
    ------
    ValueError
        If X, a partition or the drawn positions are not as described.
    """
    from segkit.scoring.centroids import compute_each

    of_spread = {
        definition.name: definition.of_spread
        for definition in definitions()
        if definition.of_spread is not None
    }
    # All scores that need the centroids come from one pass over them.
    by_partition = [
        dict(zip(of_spread, scores, strict=True))
        for scores in compute_each(X, partitions, list(of_spread.values()))
    ]
    for definition in definitions():
        if definition.name not in of_spread:
            scores = _compute(definition, X, partitions, rows)
            for own, score in zip(by_partition, scores, strict=True):
                own[definition.name] = score
    names = [definition.name for definition in definitions()]
    return [{name: own[name] for name in names} for own in by_partition]


def _compute(
    definition: ScoreDefinition, X: Matrix, partitions: Sequence[Labels], rows: Indices | None
) -> list[Score]:
    if rows is None or definition.compute_sampled is None:
        return definition.compute_many(X, partitions)
    return definition.compute_sampled(X, partitions, rows)
