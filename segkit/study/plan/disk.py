"""Estimated bytes that stages' results take in the store: for people, never for a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segkit.study.plan.stage import Node, Shape, Stage

# The smallest amount that file systems allocate.
_BLOCK = 4096
# Bytes of facts, which fit into one block for any usual table.
_RECORD = 1500


def bytes_by_kind(nodes: Iterable[Node], shapes: Mapping[str, Shape]) -> dict[str, int]:
    """Return the estimated bytes of stages' results on disk by kind, in the order of the data flow.

    Parameters
    ----------
    nodes
        The stages.
    shapes
        How many customers and columns each works on, by key.
    """
    total: Counter[Stage] = Counter()
    for node in nodes:
        arrays = node.stage.size(node, shapes[node.key])
        total[node.stage] += _blocks(_RECORD) + (_blocks(arrays) if arrays else 0)
    return {stage.kind: total[stage] for stage in sorted(total, key=lambda stage: stage.order)}


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def amount(size: float) -> str:
    """Return a number of bytes as a short text: ``640 kB``, ``12 MB``, ``3.4 GB``."""
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    if size < 1e9:
        return f"{size / 1e6:.0f} MB"
    return f"{size / 1e9:.1f} GB"
