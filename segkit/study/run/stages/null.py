"""A table without segments: drawn from the copula, or the study's own with its columns permuted."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.hashing import seed_of
from segkit.study.plan.stage import Growth, Node, Result, Shape, Stage, grows
from segkit.study.run.inputs import Inputs
from segkit.study.run.tables import SEED_BYTES, stored_table, table_of


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Draw the table."""
    import numpy as np

    from segkit.scoring.null import Copula, permuted, simulate

    (node,) = nodes
    frame = table_of(node.config).frame
    rng = np.random.default_rng(seed_of(node.key, SEED_BYTES))
    if node.config["kind"] == "permuted":
        return [stored_table(permuted(frame, rng))]
    facts = inputs.facts(node.inputs["copula"])
    correlation = inputs.arrays(node.inputs["copula"])["correlation"]
    copula = Copula(**facts | {"correlation": correlation})
    return [stored_table(simulate(copula, frame, rng))]


def size(_node: Node, shape: Shape) -> int:
    """Return the bytes of the table's columns."""
    return 8 * shape.customers * shape.columns


STAGE = Stage(
    kind="null",
    order=20,
    version=1,
    inputs={"copula": ("copula",)},
    compute=compute,
    seconds=grows(Growth(0.015, 1.0)),
    size=size,
    before_space=True,
)
