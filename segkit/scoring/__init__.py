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


def score_many(X: np.ndarray, partitions: Sequence[np.ndarray]) -> list[dict[str, Score]]:
    """Score all partitions of one space with every score.

    Parameters
    ----------
    X : array of shape (n, d)
        The space; finite.
    partitions : sequence of arrays of shape (n,), integers
        One label per customer; negative is noise.

    Returns
    -------
    list of dict
        For each partition, in the order given, its scores by name. None depends on the other partitions.
    """
    columns = {score.name: score.compute_many(X, partitions) for score in definitions()}
    return [{name: scores[i] for name, scores in columns.items()} for i in range(len(partitions))]
