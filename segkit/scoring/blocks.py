"""Blocks of rows, so that a table of pairs is never held whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segkit.clustering.arrays import Indices

CELLS = 2**20  # of a block: 8 MB of float64


def row_blocks(n: int, width: int, cells: int = CELLS) -> Iterator[Indices]:
    """Yield the positions 0..n-1 in blocks, each of at most `cells` cells in rows of a width."""
    step = max(1, cells // width)
    for start in range(0, n, step):
        yield np.arange(start, min(start + step, n))
