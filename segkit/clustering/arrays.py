"""The arrays of clusterers and scores, by what they hold."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float64]  # (n, d): a row for each customer
Vector: TypeAlias = NDArray[np.float64]  # (n,)
Labels: TypeAlias = NDArray[np.integer[Any]]  # (n,): a cluster for each customer, or noise
Indices: TypeAlias = NDArray[np.int64]  # positions, codes or counts
Mask: TypeAlias = NDArray[np.bool_]
