"""All scores of a partition in a space: one pass over the distances serves many partitions."""

from __future__ import annotations

from collections.abc import Sequence

from segkit import scoring
from segkit.study.plan.stage import (
    REFERENCE_CUSTOMERS,
    Config,
    Node,
    Result,
    Stage,
    worked_on,
)
from segkit.study.run.inputs import Inputs
from segkit.study.run.results import Family, score_facts

_COST = Family(0.5, 0.0065, 1.8)
# Davies-Bouldin and Calinski-Harabasz use everybody where the silhouette uses drawn customers.
_SCORED_ALL = 0.0009


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Score partitions of one space in one space."""
    partitions = [inputs.labels(node) for node in nodes]
    space = inputs.scored_space(nodes[0], len(partitions[0]))
    rows = inputs.drawn_rows(nodes[0], nodes[0].sample) if nodes[0].sample else None
    results = []
    for scores in scoring.score_many(space, partitions, rows):
        facts = {name: score_facts(score) for name, score in scores.items()}
        results.append(Result({}, facts))
    return results


def seconds(node: Node, customers: int, further: bool) -> float:
    """Return the estimated CPU seconds."""
    everybody = _SCORED_ALL * customers / REFERENCE_CUSTOMERS if node.sample else 0.0
    return _COST.growth(further).at(worked_on(node, customers), more=everybody)


def group(node: Node) -> tuple[str, ...]:
    """Return the space of the partitions and the space they are scored in."""
    return node.inputs["native"], node.inputs["space"]


def sampling(_config: Config) -> str:
    """Return the setting that puts it on fewer customers."""
    return "scores"


STAGE = Stage(
    kind="scoring",
    order=90,
    version=2,
    inputs={
        "partition": ("clustering",),
        "space": ("scaling", "projection"),
        "features": ("features",),
        "native": ("scaling", "projection"),
    },
    compute=compute,
    seconds=seconds,
    bundle=64,
    group=group,
    sampling=sampling,
)
