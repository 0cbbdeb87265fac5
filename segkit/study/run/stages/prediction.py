"""Prediction strength: how well one half of the customers predicts the segments of the other."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.errors import Infeasible
from segkit.study.plan.stage import Growth, Node, Result, Stage, grows
from segkit.study.run.inputs import Inputs
from segkit.targets import class_name


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result | Exception]:
    """Compute the prediction strength of all configurations of one family."""
    from segkit.clustering.drawn import thin_many
    from segkit.scoring.prediction_strength import prediction_strength_many

    first = nodes[0]
    space, share = inputs.matrix(first.inputs["space"]), 1.0
    if first.sample:
        rows = inputs.drawn_rows(first, first.sample)
        space, share = space[rows], len(rows) / len(space)
    configs = thin_many([node.config["clusterer"] for node in nodes], share)
    possible = [config for config in configs if not isinstance(config, Infeasible)]
    strengths = iter(prediction_strength_many(space, possible, first.config["identity"]))
    results: list[Result | Exception] = []
    for config in configs:
        strength = config if isinstance(config, Infeasible) else next(strengths)
        if isinstance(strength, Exception):
            results.append(strength)
        else:
            results.append(Result({}, strength.summary()))
    return results


def group(node: Node) -> tuple[str, ...]:
    """Return the space and the class."""
    return node.inputs["space"], class_name(node.config["clusterer"])


STAGE = Stage(
    kind="prediction",
    order=130,
    version=1,
    inputs={"space": ("scaling", "projection"), "features": ("features",)},
    compute=compute,
    seconds=grows(Growth(0.4, 1.0)),
    bundle=16,
    group=group,
    compiles=True,
)
