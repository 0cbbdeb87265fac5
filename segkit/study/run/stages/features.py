"""A feature set: from a table to a numeric matrix without gaps."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.study.plan.stage import Growth, Node, Result, Shape, Stage, grows
from segkit.study.run.inputs import Inputs
from segkit.study.run.results import sketch
from segkit.study.run.tables import read_table, table_of


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Build the features of the study's table, a draw of it, or a table without segments."""
    from segkit.features import build_features

    (node,) = nodes
    if "table" in node.inputs:
        table = read_table(inputs, node.inputs["table"])
    else:
        table = table_of(node.config)
    features = build_features(table, node.config["features"])
    arrays = {"matrix": features.matrix, "rows": features.rows}
    if table.truth is not None:
        arrays["truth"] = table.truth[features.rows]
    facts = {
        "sketch": sketch(features.matrix),
        "names": list(features.names),
        "customers": table.n_customers,
        "kept": len(features.rows),
        "warnings": [*table.warnings, *features.warnings],
    }
    return [Result(arrays, facts)]


def size(_node: Node, shape: Shape) -> int:
    """Return the bytes of the matrix and of the positions of its rows."""
    return 8 * shape.customers * (shape.columns + 1)


STAGE = Stage(
    kind="features",
    order=30,
    version=1,
    inputs={"table": ("null",)},
    compute=compute,
    seconds=grows(Growth(0.03, 1.0)),
    size=size,
    before_space=True,
)
