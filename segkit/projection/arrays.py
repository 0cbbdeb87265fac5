"""The arrays of projections, by what they hold."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float64]  # (n, d): a row for each customer
Distances: TypeAlias = NDArray[np.float64]  # (n, K)
Positions: TypeAlias = NDArray[np.int32]  # (n, K), as narrow as they can be, as they are stored
Rows: TypeAlias = NDArray[np.int64]  # (m,): of a matrix
