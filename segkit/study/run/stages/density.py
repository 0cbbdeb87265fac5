"""Density-based validity (DBCV) of a partition in a space."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.study.plan.stage import Growth, Node, Result, Stage, grows
from segkit.study.run.inputs import Inputs
from segkit.study.run.results import score_facts


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Compute the validity; of a large table, that of drawn customers."""
    from segkit.scoring.dbcv import dbcv

    (node,) = nodes
    labels = inputs.labels(node)
    space = inputs.scored_space(node, len(labels))
    if node.sample:
        rows = inputs.drawn_rows(node, node.sample)
        space, labels = space[rows], labels[rows]
    return [Result({}, score_facts(dbcv(space, labels)))]


STAGE = Stage(
    kind="density",
    order=140,
    version=2,
    inputs={
        "partition": ("clustering",),
        "space": ("scaling", "projection"),
        "features": ("features",),
    },
    compute=compute,
    seconds=grows(Growth(0.65, 1.6)),
)
