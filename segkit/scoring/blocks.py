"""Blocks of rows, so that a table of pairs is never held whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segkit.clustering.arrays import Indices

CELLS = 2**20  # 8 MB of float64


def row_blocks(n: int, width: int, arrays: int = 1) -> Iterator[Indices]:
    """Yield the positions of n rows in blocks.

    Parameters
    ----------
    n, width : int
        Number of rows, and of cells in each.
    arrays : int
        How many arrays of a block are held at a time: together they have at most `CELLS` cells.
    """
    step = max(1, CELLS // (arrays * width))
    for start in range(0, n, step):
        yield np.arange(start, min(start + step, n))
