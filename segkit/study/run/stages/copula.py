"""The model that tables without segments are drawn from: a t copula fitted on the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from segkit.hashing import seed_of
from segkit.study.plan.stage import Growth, Node, Result, Shape, Stage, grows
from segkit.study.run.inputs import Inputs
from segkit.study.run.tables import SEED_BYTES, table_of


def compute(nodes: Sequence[Node], _inputs: Inputs) -> list[Result]:
    """Calibrate the copula on the study's table."""
    from segkit.scoring.null import calibrate

    (node,) = nodes
    copula = calibrate(table_of(node.config).frame, seed_of(node.key, SEED_BYTES))
    return [Result({"correlation": copula.correlation}, {**asdict(copula), "correlation": None})]


def size(_node: Node, shape: Shape) -> int:
    """Return the bytes of the correlation matrix."""
    return 8 * shape.columns**2


STAGE = Stage(
    kind="copula",
    order=10,
    version=1,
    inputs={},
    compute=compute,
    seconds=grows(Growth(0.6, 0.5, 0.4)),
    size=size,
    before_space=True,
)
