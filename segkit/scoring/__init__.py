"""Scores of a partition in a space, and its stability. A score is one module here that defines ``SCORE``."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from segkit.scoring.contract import Score, ScoreDefinition

__all__ = ["definitions", "score_many"]


@cache
def definitions() -> tuple[ScoreDefinition, ...]:
    """All scores, found by listing this folder, in their order."""
    modules = (import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    found = [module.SCORE for module in modules if hasattr(module, "SCORE")]
    return tuple(sorted(found, key=lambda score: score.order))


def score_many(
    X: np.ndarray, partitions: Sequence[np.ndarray], rows: np.ndarray | None = None
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
        all pairs, which are then estimated from them; everybody if not given. The other scores are
        of everybody always.

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

    of_spread = [score for score in definitions() if score.of_spread]
    found: list[dict[str, Score]] = [
        dict(zip([score.name for score in of_spread], scores, strict=True))
        for scores in compute_each(X, partitions, [score.of_spread for score in of_spread])
    ]
    for score in definitions():
        if score.of_spread is None:
            sampled = rows is not None and score.compute_sampled is not None
            scores = (
                score.compute_sampled(X, partitions, rows)
                if sampled
                else score.compute_many(X, partitions)
            )
            for each, item in zip(found, scores, strict=True):
                each[score.name] = item
    return [{score.name: each[score.name] for score in definitions()} for each in found]
