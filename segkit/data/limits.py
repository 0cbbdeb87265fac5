"""The range of numbers that distances can be computed with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

# Sums of squared differences, n d (2 x)^2 for n customers and d features, must stay below 1.8e308:
# at 1e140 that leaves room for 4e27 cells. Near 1e154, where squares overflow, libraries warn, fail
# or search without end.
LARGEST = 1e140


class Beyond(NamedTuple):
    """A number out of range, and the column it is in."""

    column: int
    value: float

    def describe(self, names: Sequence[str]) -> str:
        """Return a clause that names the feature, its value and what is allowed."""
        return (
            f"'{names[self.column]}' is {self.value:g}; numbers from -{LARGEST:g} to {LARGEST:g} "
            "can be clustered"
        )


def beyond(matrix: NDArray[np.float64]) -> Beyond | None:
    """Return a matrix's first number that is infinite, missing or too large, or None."""
    import numpy as np

    # The usual case takes no copy of the matrix. A missing value fails both comparisons.
    if not matrix.size or (matrix.max() <= LARGEST and matrix.min() >= -LARGEST):
        return None
    row, column = np.argwhere(~(np.abs(matrix) <= LARGEST))[0]
    return Beyond(int(column), float(matrix[row, column]))
