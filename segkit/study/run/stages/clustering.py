"""Partitions of one space by one class of clusterer, which share their family's work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from segkit import clustering
from segkit.study.plan.keys import kind_of
from segkit.study.plan.stage import Config, Growth, Node, Result, Shape, Stage, worked_on
from segkit.study.run.inputs import Inputs
from segkit.study.run.results import Family
from segkit.targets import class_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COST = Growth(0.2, 1.0)
# In a projected space of a few columns, and in a scaled space of many.
_FAMILIES = {
    "sklearn.cluster.KMeans": (Family(0.02, 0.02, 1.0), Family(0.03, 0.03, 1.0)),
    "sklearn.cluster.AgglomerativeClustering": (
        Family(0.06, 0.001, 1.8),
        Family(0.12, 0.001, 1.8),
    ),
    "sklearn.cluster.DBSCAN": (Family(0.03, 0.005, 1.2), Family(0.15, 0.02, 1.2)),
    "hdbscan.HDBSCAN": (Family(0.1, 0.01, 1.2), Family(0.8, 0.02, 2.0)),
}


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result | Exception]:
    """Cluster a space in all the ways of one family."""
    from segkit.scoring.stability import draw

    first = nodes[0]
    space = inputs.matrix(first.inputs["space"])
    truth = inputs.arrays(first.inputs["features"]).get("truth")
    configs = [node.config for node in nodes]
    if "landmarks" in first.inputs:
        partitions = clustering.fit_drawn(space, configs, inputs.landmarks(first))
    elif first.sample and first.sample < len(space):
        # One draw for all spaces of so many customers, so that a run's labels depend on nothing
        # but the run.
        rows = draw("starts", 0, len(space), first.sample)
        partitions = clustering.fit_from(space, configs, rows)
    else:
        partitions = clustering.fit_many(space, configs)
    return [item if isinstance(item, Exception) else _partition(item, truth) for item in partitions]


def _partition(partition: clustering.Partition, truth: NDArray[np.integer[Any]] | None) -> Result:
    import numpy as np

    from segkit.scoring.agreement import truth_ari

    labels = partition.labels
    sizes = np.bincount(labels[labels >= 0])
    facts: dict[str, Any] = {
        "n_clusters": len(sizes),
        "noise_fraction": float(np.mean(labels < 0)),
        "smallest_cluster": float(sizes.min() / len(labels)) if len(sizes) else None,
        **partition.figures,
    }
    if truth is not None:
        facts["truth_ari"] = truth_ari(labels, truth).value
    smallest = np.int16 if len(sizes) < np.iinfo(np.int16).max else np.int32
    return Result({"labels": labels.astype(smallest)}, facts)


def seconds(node: Node, customers: int, further: bool) -> float:
    """Return the estimated CPU seconds, by family and kind of space."""
    worked = worked_on(node, customers)
    families = _FAMILIES.get(class_name(node.config))
    if families is None:
        return _COST.at(worked)
    family = families[kind_of(node.inputs["space"]) == "scaling"]
    return family.growth(further).at(worked)


def memory(config: Config, customers: int, columns: int) -> float:
    """Return the bytes that a clusterer needs."""
    return clustering.memory(config, customers, columns)


def size(_node: Node, shape: Shape) -> int:
    """Return the bytes of the labels."""
    return 2 * shape.customers


def group(node: Node) -> tuple[str, ...]:
    """Return the space and the class."""
    return node.inputs["space"], class_name(node.config)


STAGE = Stage(
    kind="clustering",
    order=80,
    version=1,
    inputs={
        "space": ("scaling", "projection"),
        "features": ("features",),
        "landmarks": ("landmarks",),
    },
    compute=compute,
    seconds=seconds,
    memory=memory,
    size=size,
    bundle=64,
    group=group,
    sampling=clustering.sampled_as,
    compiles=True,
)
