"""Limits on the customers of costly work: a larger table is worked on by as many drawn customers.

Neighbours are the exception: beyond their limit they are searched among all, but approximately.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Beside the table's identity, these seed the draws of two kinds of work.
LANDMARKS, SCORED = "/landmarks", "/scored"
# The share of different customers in a bootstrap draw, 1 - 1 / e.
DISTINCT = 0.632


@dataclass(frozen=True)
class Sampling:
    """The most customers of each kind of work; None: no limit."""

    projection: int | None = None
    neighbours: int | None = None
    clustering: int | None = None
    kmeans: int | None = None
    scores: int | None = None
    draws: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Sampling:
        """Return the limits of a study's settings; studies of older versions have none."""
        return cls(**settings.get("sampling", {}))

    def size(self, kind: str, customers: int) -> int | None:
        """Return how many customers are drawn for a kind of work, None where it uses all."""
        most: int | None = getattr(self, kind)
        if most is None or customers <= most:
            return None
        return most

    def approximates(self, customers: int) -> bool:
        """Tell whether neighbours among so many customers are searched approximately."""
        return self.neighbours is not None and customers > self.neighbours

    def draw_size(self, customers: int) -> int | None:
        """Return how many customers each draw has, None where it is a bootstrap draw.

        A bootstrap draw has 63% of the customers. A larger draw would be too like the whole table:
        runs would look more stable than they are.
        """
        if self.draws is None or DISTINCT * customers <= self.draws:
            return None
        return self.draws


EXACT = Sampling()
