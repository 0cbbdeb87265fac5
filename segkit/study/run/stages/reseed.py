"""Seed stability: a partition compared with those that other seeds give on the same customers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segkit.errors import Infeasible
from segkit.study.plan.stage import Growth, Node, Result, Shape, Stage, grows
from segkit.study.run.inputs import Inputs
from segkit.study.run.results import draws_size, stability_result


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Compare the partition with that of each seed."""
    import numpy as np

    from segkit.scoring.stability import collect, compare_draw

    (node,) = nodes
    labels = inputs.labels(node)
    everybody = np.arange(len(labels))
    agreements: list[Any] = []
    for index in range(node.config["seeds"]):
        if inputs.has(node, f"partition:{index}"):
            again = inputs.labels(node, f"partition:{index}")
            agreements.append(compare_draw(labels, everybody, again))
        else:
            agreements.append(Infeasible("it cannot be clustered with that seed"))
    return [stability_result(collect(agreements, labels))]


def size(node: Node, _shape: Shape) -> int:
    """Return the bytes of what is kept of each seed."""
    return draws_size(node.config["seeds"])


STAGE = Stage(
    kind="reseed",
    order=120,
    version=2,
    inputs={"partition": ("clustering",)},
    compute=compute,
    seconds=grows(Growth(0.003, 1.0)),
    size=size,
)
