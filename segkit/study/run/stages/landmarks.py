"""The drawn customers that stand for all in costly work, and the nearest of them to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from segkit.study.plan.stage import Growth, Node, Result, Shape, Stage, grows
from segkit.study.run.inputs import Inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Draw the landmarks and search the nearest of them to each customer."""
    from segkit.projection.landmarks import nearest

    (node,) = nodes
    rows = inputs.drawn_rows(node, node.config["count"])
    landmarks = nearest(inputs.matrix(node.inputs["space"]), rows)
    arrays: dict[str, NDArray[Any]] = {
        "rows": landmarks.rows,
        "indices": landmarks.indices,
        "distances": landmarks.distances,
    }
    return [Result(arrays, {"customers": len(landmarks.rows)})]


def size(node: Node, shape: Shape) -> int:
    """Return the bytes of the rows, and of an index and a distance for each neighbour."""
    from segkit.projection.landmarks import NEAREST

    return int(8 * node.config["count"] + 2 * 4 * shape.customers * NEAREST)


STAGE = Stage(
    kind="landmarks",
    order=50,
    version=1,
    # The landmarks of a projection are computed after it, although landmarks come before.
    inputs={"space": ("scaling", "projection"), "features": ("features",)},
    compute=compute,
    seconds=grows(Growth(0.125, 1.0)),
    size=size,
    before_space=True,
)
