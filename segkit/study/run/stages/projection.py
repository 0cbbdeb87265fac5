"""A projected space."""

from __future__ import annotations

from collections.abc import Sequence

from segkit import projection
from segkit.errors import Infeasible
from segkit.study.plan.stage import Config, Growth, Node, Result, Shape, Stage, worked_on
from segkit.study.run.inputs import Inputs
from segkit.study.run.results import sketch
from segkit.targets import class_name

_COST = Growth(0.01, 1.0)
_COSTS = {
    "openTSNE.TSNE": Growth(34.0, 1.25),
    "umap.UMAP": Growth(10.0, 1.05),
    "sklearn.manifold.MDS": Growth(285.0, 2.0),
}
# UMAP's own choice of its number of epochs: 500 up to so many customers, 200 beyond.
_UMAP_LONG = 10_000
_UMAP_SHORTER = 0.4


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Project the scaled features; of a large table the landmarks, and place the others by them."""
    from segkit.projection.landmarks import placed
    from segkit.projection.neighbours import Neighbours

    (node,) = nodes
    matrix = inputs.matrix(node.inputs["scaling"])
    if node.sample:
        matrix = matrix[inputs.arrays(node.inputs["landmarks"])["rows"]]
    reason = projection.infeasible(node.config, *matrix.shape)
    if reason:
        raise Infeasible(reason)
    graph, recall = None, None
    if "neighbours" in node.inputs:
        graph = Neighbours(**inputs.arrays(node.inputs["neighbours"]))
        recall = inputs.facts(node.inputs["neighbours"]).get("recall")
    projected = projection.project(node.config, matrix, graph)
    space, figures = projected.coordinates, dict(projected.figures)
    if recall is not None:
        figures["neighbours_recall"] = recall
    if node.sample:
        space, r2 = placed(space, inputs.landmarks(node))
        figures |= {"fitted_customers": len(matrix), "placement_r2": r2}
    return [Result({"matrix": space}, {"figures": figures, "sketch": sketch(space)})]


def seconds(node: Node, customers: int, _further: bool) -> float:
    """Return the estimated CPU seconds, by method."""
    method = class_name(node.config)
    worked = worked_on(node, customers)
    default_epochs = node.config.get("n_epochs") is None
    shorter = method == "umap.UMAP" and worked > _UMAP_LONG and default_epochs
    return _COSTS.get(method, _COST).at(worked, times=_UMAP_SHORTER if shorter else 1.0)


def memory(config: Config, customers: int, _columns: int) -> float:
    """Return the bytes that a method needs."""
    return projection.memory(config, customers)


def size(_node: Node, shape: Shape) -> int:
    """Return the bytes of the space."""
    return 8 * shape.customers * shape.columns


def sampling(_config: Config) -> str:
    """Return the setting that puts it on fewer customers."""
    return "projection"


STAGE = Stage(
    kind="projection",
    order=70,
    version=1,
    inputs={
        "scaling": ("scaling",),
        "neighbours": ("neighbours",),
        "landmarks": ("landmarks",),
    },
    compute=compute,
    seconds=seconds,
    memory=memory,
    size=size,
    sampling=sampling,
    before_space=True,
    compiles=True,
)
