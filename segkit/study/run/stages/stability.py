"""Bootstrap stability: a partition compared with those of draws, clustered again in its space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from segkit import clustering
from segkit.study.plan.keys import kind_of
from segkit.study.plan.sampling import DISTINCT
from segkit.study.plan.stage import Config, Growth, Node, Result, Shape, Stage, worked_on
from segkit.study.run.inputs import Inputs
from segkit.study.run.results import Family, draws_size, stability_result
from segkit.targets import class_name

if TYPE_CHECKING:
    from segkit.scoring.stability import Stability

# All of 20 draws.
_MEASURED_DRAWS = 20
_COST = Growth(2.0, 1.0)
# In a projected space of a few columns, and in a scaled space of many.
_FAMILIES = {
    "sklearn.cluster.KMeans": (Family(0.25, 0.25, 1.0), Family(0.45, 0.45, 1.0)),
    "sklearn.cluster.AgglomerativeClustering": (Family(0.6, 0.01, 1.8), Family(1.2, 0.01, 1.8)),
    "sklearn.cluster.DBSCAN": (Family(0.4, 0.1, 1.2), Family(1.5, 0.2, 1.2)),
    "hdbscan.HDBSCAN": (Family(1.0, 0.1, 1.2), Family(7.0, 0.15, 2.0)),
}
# For each draw: drawing its customers, and comparing labels.
_DRAW_SECONDS = 0.0004


def compute(nodes: Sequence[Node], inputs: Inputs) -> list[Result | Exception]:
    """Cluster the draws in all the ways of one family and compare them with its partitions."""
    from segkit.scoring.stability import join, stability_many

    first = nodes[0]
    space = inputs.matrix(first.inputs["space"])
    draws = inputs.draws(first)[first.config.get("done", 0) :]
    partitions = [inputs.labels(node) for node in nodes]
    configs = [node.config["clusterer"] for node in nodes]
    share = first.sample / inputs.customers(first) if first.sample else None
    results: list[Result | Exception] = []
    compared = stability_many(space, configs, partitions, draws, share)
    for node, stability in zip(nodes, compared, strict=True):
        if isinstance(stability, Exception):
            results.append(stability)
        elif "before" in node.inputs:
            results.append(stability_result(join([_before(node, inputs), stability])))
        else:
            results.append(stability_result(stability))
    return results


def _before(node: Node, inputs: Inputs) -> Stability:
    """Return the stability over the draws that an earlier stage has done."""
    from segkit.scoring.stability import Stability

    arrays = dict(inputs.arrays(node.inputs["before"]))
    statuses = tuple(arrays.pop("ari_status").tolist())
    return Stability(ari_status=statuses, **arrays)


def seconds(node: Node, customers: int, further: bool) -> float:
    """Return the estimated CPU seconds, by family, kind of space and number of draws."""
    draws = node.config["draws"] - node.config.get("done", 0)
    families = _FAMILIES.get(class_name(node.config["clusterer"]))
    growth = _COST
    if families is not None:
        family = families[kind_of(node.inputs["space"]) == "scaling"]
        growth = family.growth(further)
    worked = float(worked_on(node, customers))
    if node.sample:
        # Measured on bootstrap draws, which have 63% of the customers; these have all of them.
        worked /= DISTINCT
    return growth.at(worked, times=draws / _MEASURED_DRAWS, more=draws * _DRAW_SECONDS)


def memory(config: Config, customers: int, columns: int) -> float:
    """Return the bytes that clustering one draw needs."""
    return clustering.memory(config, customers, columns)


def size(node: Node, _shape: Shape) -> int:
    """Return the bytes of what is kept of each draw."""
    return draws_size(node.config["draws"])


def group(node: Node) -> tuple[str, ...]:
    """Return the space, the class and the series of draws."""
    config = node.config
    series = f"{config.get('done', 0)} {config['draws']} {config['identity']}"
    return node.inputs["space"], class_name(config["clusterer"]), series


def sampling(_config: Config) -> str:
    """Return the setting that puts it on fewer customers."""
    return "draws"


STAGE = Stage(
    kind="stability",
    order=100,
    version=2,
    inputs={
        "partition": ("clustering",),
        "space": ("scaling", "projection"),
        "features": ("features",),
        "before": ("stability",),
    },
    compute=compute,
    seconds=seconds,
    memory=memory,
    size=size,
    bundle=32,
    group=group,
    sampling=sampling,
    compiles=True,
)
