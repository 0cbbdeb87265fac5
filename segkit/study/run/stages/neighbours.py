"""The nearest neighbours of each customer, shared by all projections that need fewer of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segkit.study.plan.stage import Config, Growth, Node, Result, Shape, Stage, worked_on
from segkit.study.run.inputs import Inputs
from segkit.study.run.results import sketch

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Searched among all pairs where there are more than a few columns.
_EXACT = Growth(0.65, 2.0, 0.03)
_DESCENT = Growth(4.0, 1.1)


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Search the neighbours, exactly unless the plan allows an approximate search."""
    from segkit.projection.neighbours import KD_TREE_COLUMNS, LEAST_RECALL, descend, search

    (node,) = nodes
    matrix = inputs.matrix(node.inputs["scaling"])
    if node.sample:
        matrix = matrix[inputs.arrays(node.inputs["landmarks"])["rows"]]
    neighbours = None
    quality: Mapping[str, float] = {}
    # In few columns an exact search in a tree is fast enough for any number of customers.
    if node.config.get("approximate") and matrix.shape[1] > KD_TREE_COLUMNS:
        neighbours, recall = descend(matrix, node.config["count"])
        if recall >= LEAST_RECALL:
            quality = {"recall": recall}
        else:
            neighbours = None
    if neighbours is None:
        neighbours = search(matrix, node.config["count"])
    facts = {"sketch": sketch(neighbours.distances.mean(axis=1, keepdims=True)), **quality}
    arrays: dict[str, NDArray[Any]] = {
        "indices": neighbours.indices,
        "distances": neighbours.distances,
    }
    return [Result(arrays, facts)]


def seconds(node: Node, customers: int, _further: bool) -> float:
    """Return the estimated CPU seconds, by kind of search."""
    cost = _DESCENT if node.config.get("approximate") else _EXACT
    return cost.at(worked_on(node, customers))


def size(node: Node, shape: Shape) -> int:
    """Return the bytes of an index and a distance for each neighbour."""
    customers = worked_on(node, shape.customers)
    return int((8 + 4) * customers * min(node.config["count"], customers))


def sampling(_config: Config) -> str:
    """Return the setting that puts it on fewer customers."""
    return "projection"


STAGE = Stage(
    kind="neighbours",
    order=60,
    version=1,
    inputs={"scaling": ("scaling",), "landmarks": ("landmarks",)},
    compute=compute,
    seconds=seconds,
    size=size,
    sampling=sampling,
    before_space=True,
)
