"""The quality of projected spaces as pictures of the scaled features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segkit.clustering.partition import attempt
from segkit.study.plan.stage import Growth, Node, Result, Shape, Stage
from segkit.study.run.inputs import Inputs

if TYPE_CHECKING:
    from segkit.scoring.embedding import EmbeddingQuality

_COST = Growth(7.2, 1.5)
# However many there are, this many are compared (`segkit.scoring.embedding`).
_MOST_CUSTOMERS = 10_000
# Curves kept of each picture, with one value for each size of a neighbourhood.
_CURVES = 3


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result | Exception]:
    """Compare projections of one matrix with it; each by itself if one cannot be compared."""
    try:
        return [*_qualities(nodes, inputs)]
    except Exception:
        if len(nodes) == 1:
            raise
        return [attempt(lambda node: _qualities([node], inputs)[0], node) for node in nodes]


def _qualities(nodes: Sequence[Node], inputs: Inputs) -> list[Result]:
    """Compare projections with a matrix, as well as a random one and the matrix itself."""
    from segkit.scoring.embedding import (
        control_identity,
        control_random_projection,
        quality_many,
    )

    high = inputs.matrix(nodes[0].inputs["scaling"])
    seed = nodes[0].config["identity"]
    lows = [inputs.matrix(node.inputs["space"]) for node in nodes]
    dimensions = {low.shape[1] for low in lows}
    controls = {q: control_random_projection(high, q, seed=seed) for q in dimensions}
    pictures = [control_identity(high), *controls.values(), *lows]
    qualities = iter(quality_many(high, pictures, seed=seed))
    identity = next(qualities)
    random = {q: next(qualities) for q in controls}
    results = []
    for low, picture in zip(lows, qualities, strict=True):
        by_name = {
            "picture": picture,
            "random_projection": random[low.shape[1]],
            "identity": identity,
        }
        results.append(_result(by_name))
    return results


def _result(qualities: Mapping[str, EmbeddingQuality]) -> Result:
    arrays = {f"r_nx_{name}": quality.r_nx for name, quality in qualities.items()}
    summaries = {name: quality.summary() for name, quality in qualities.items()}
    picture = qualities["picture"]
    facts = {**summaries, "customers": picture.n_used, "sampled": picture.sampled}
    return Result(arrays, facts)


def seconds(_node: Node, customers: int, _further: bool) -> float:
    """Return the estimated CPU seconds."""
    return _COST.at(min(customers, _MOST_CUSTOMERS))


def size(_node: Node, shape: Shape) -> int:
    """Return the bytes of the curves."""
    return _CURVES * 8 * min(shape.customers, _MOST_CUSTOMERS)


def group(node: Node) -> tuple[str, ...]:
    """Return the matrix and the draw of customers it is compared on."""
    return node.inputs["scaling"], node.config["identity"]


STAGE = Stage(
    kind="quality",
    order=150,
    version=1,
    inputs={"space": ("projection",), "scaling": ("scaling",)},
    compute=compute,
    seconds=seconds,
    size=size,
    bundle=4,
    group=group,
)
