"""Refit stability: a partition compared with those of the whole pipeline, fitted anew on draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segkit.errors import Infeasible
from segkit.study.plan.stage import Growth, Node, Result, Shape, Stage, grows
from segkit.study.run.inputs import Inputs
from segkit.study.run.results import draws_size, stability_result


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Compare the partition with that of each draw, over the customers that both have."""
    import numpy as np

    from segkit.scoring.stability import collect, compare_draw, draw

    (node,) = nodes
    labels = inputs.labels(node)
    customers = inputs.customers(node)
    position = np.full(customers, -1)
    position[inputs.arrays(node.inputs["features"])["rows"]] = np.arange(len(labels))
    agreements: list[Any] = []
    for index in range(node.config["draws"]):
        if not inputs.has(node, f"partition:{index}"):
            agreements.append(Infeasible("the draw cannot be clustered"))
            continue
        again = inputs.labels(node, f"partition:{index}")
        drawn = draw(node.config["identity"], index, customers, node.sample)
        # The features of a draw may lack customers with missing values, as may the run's own.
        drawn = drawn[inputs.arrays(node.inputs[f"features:{index}"])["rows"]]
        both = position[drawn] >= 0
        agreements.append(compare_draw(labels, position[drawn][both], again[both]))
    return [stability_result(collect(agreements, labels))]


def size(node: Node, _shape: Shape) -> int:
    """Return the bytes of what is kept of each draw."""
    return draws_size(node.config["draws"])


STAGE = Stage(
    kind="refit",
    order=110,
    version=2,
    inputs={"partition": ("clustering",), "features": ("features",)},
    compute=compute,
    seconds=grows(Growth(0.02, 1.0)),
    size=size,
)
