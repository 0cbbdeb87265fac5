"""Estimated bytes that stages' results take in the store: for people, never for a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from segkit.projection.landmarks import NEAREST
from segkit.study.plan.graph import KINDS

if TYPE_CHECKING:
    from segkit.study.plan.graph import Node, Shape

# What file systems give out at least.
_BLOCK = 4096
_RECORD = 1500  # bytes of facts, which fit into a block for any usual table
_NUMBER, _COUNT = 8, 4
_LABEL = 2
# Of one draw: an index, its status, and as many figures as a partition usually has clusters.
_DRAW = 2 * _NUMBER + 8 + 8 * _NUMBER
_CURVES = (
    3  # of a picture's quality, one value for each size of a neighbourhood, of which there are
)
_MOST_CURVE = 10_000


def bytes_by_kind(nodes: Iterable[Node], shapes: Mapping[str, Shape]) -> dict[str, int]:
    """Return about how many bytes of disk the results of stages take, by kind, in the order of the data flow.

    Parameters
    ----------
    nodes
        The stages.
    shapes
        By key: how many customers and columns each works on.
    """
    total: Counter[str] = Counter()
    for node in nodes:
        arrays = _arrays(node, shapes[node.key])
        total[node.kind] += _blocks(_RECORD) + (_blocks(arrays) if arrays else 0)
    return {kind: total[kind] for kind in KINDS if total[kind]}


def _arrays(node: Node, shape: Shape) -> int:
    n, d = shape
    fitted = min(n, node.sample or n)
    match node.kind:
        case "features":
            return _NUMBER * n * (d + 1)
        case "scaling" | "projection" | "null":
            return _NUMBER * n * d
        case "copula":
            return _NUMBER * d * d
        case "landmarks":
            return _NUMBER * node.config["count"] + 2 * _COUNT * n * NEAREST
        case "neighbours":
            return (_NUMBER + _COUNT) * fitted * min(node.config["count"], fitted)
        case "clustering":
            return _LABEL * n
        case "stability" | "refit":
            return _DRAW * node.config["draws"]
        case "reseed":
            return _DRAW * node.config["seeds"]
        case "quality":
            return _CURVES * _NUMBER * min(n, _MOST_CURVE)
    return 0


def _blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def amount(size: float) -> str:
    """Return a number of bytes in words short enough for a line: ``640 kB``, ``12 MB``, ``3.4 GB``."""
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    if size < 1e9:
        return f"{size / 1e6:.0f} MB"
    return f"{size / 1e9:.1f} GB"
