"""A scaled feature matrix."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.study.plan.stage import Growth, Node, Result, Shape, Stage, worked_on
from segkit.study.run.inputs import Inputs
from segkit.study.run.results import sketch
from segkit.targets import class_name

_COST = Growth(0.02, 1.0)
# It searches an exponent for each column.
_POWER_COST = Growth(0.08, 1.0, 0.09)


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Scale the features."""
    from segkit.features import variance_shares
    from segkit.scaling import scale

    (node,) = nodes
    features = node.inputs["features"]
    matrix = scale(inputs.matrix(features), node.config, inputs.facts(features)["names"])
    facts = {"variance_shares": variance_shares(matrix).tolist(), "sketch": sketch(matrix)}
    return [Result({"matrix": matrix}, facts)]


def seconds(node: Node, customers: int, _further: bool) -> float:
    """Return the estimated CPU seconds, by scaler."""
    is_power = class_name(node.config) == "sklearn.preprocessing.PowerTransformer"
    cost = _POWER_COST if is_power else _COST
    return cost.at(worked_on(node, customers))


def size(_node: Node, shape: Shape) -> int:
    """Return the bytes of the matrix."""
    return 8 * shape.customers * shape.columns


STAGE = Stage(
    kind="scaling",
    order=40,
    version=1,
    inputs={"features": ("features",)},
    compute=compute,
    seconds=seconds,
    size=size,
    before_space=True,
)
