"""Up to how many customers each kind of work is done on all of them; beyond, it is done on as many that are drawn.

Only neighbours are searched among all there are: exactly up to their limit, approximately beyond.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What the drawn customers of each kind of work are drawn by, beside the table's identity.
LANDMARKS, SCORED = "/landmarks", "/scored"
# The share of the customers that a bootstrap draw has, 1 - 1 / e.
DISTINCT = 0.632


@dataclass(frozen=True)
class Sampling:
    """The most customers of each kind of work; None: everybody, however many there are."""

    projection: int | None = None
    neighbours: int | None = None
    clustering: int | None = None
    kmeans: int | None = None
    scores: int | None = None
    draws: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Sampling:
        """Return the sampling that a study's settings ask for; a study of an older version has none."""
        return cls(**settings.get("sampling", {}))

    def size(self, kind: str, customers: int) -> int | None:
        """Return how many of the customers are drawn for a kind of work, None where it is done on all."""
        most = getattr(self, kind)
        return most if most is not None and customers > most else None

    def approximates(self, customers: int) -> bool:
        """Tell whether the nearest among so many customers are searched approximately."""
        return self.neighbours is not None and customers > self.neighbours

    def draw_size(self, customers: int) -> int | None:
        """Return how many customers each draw has, None where it is a bootstrap draw, of whom 63% are different.

        A draw of more than these would be too like the whole: runs would look more stable than they
        are.
        """
        most = self.draws
        return most if most is not None and DISTINCT * customers > most else None


EXACT = Sampling()
