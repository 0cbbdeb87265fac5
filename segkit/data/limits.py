"""How large a number may be that distances are computed with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

# Sums of squared differences, n d (2 x)^2 for n customers and d features, must stay below 1.8e308:
# at 1e140 that leaves 4e27 cells. Nearer to 1e154, where squares overflow, libraries warn, fail, or
# search without end.
LARGEST = 1e140


class Beyond(NamedTuple):
    """A number out of range, and the column it is in."""

    column: int
    value: float

    def told(self, names: Sequence[str]) -> str:
        """Say which feature it is of, and what is allowed."""
        return (
            f"'{names[self.column]}' is {self.value:g}; numbers from -{LARGEST:g} to {LARGEST:g}"
            " can be clustered"
        )


def beyond(matrix: np.ndarray) -> Beyond | None:
    """Return the first number of a matrix, (n, d), that is infinite, missing or too large; None if there is none."""
    import numpy as np

    # In one pass without a copy for the usual case; a missing value fails both comparisons.
    if not matrix.size or (matrix.max() <= LARGEST and matrix.min() >= -LARGEST):
        return None
    row, column = np.argwhere(~(np.abs(matrix) <= LARGEST))[0]
    return Beyond(int(column), float(matrix[row, column]))
