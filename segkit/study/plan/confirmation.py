"""The graph that confirms the best runs: fresh draws, other seeds, refits, tables without segments.

A draw of the customers and a table without segments go through the same pipeline as the study's own
table, so that their spaces and families are shared, stored and resumed like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segkit import clustering, projection
from segkit.clustering.drawn import thinned
from segkit.errors import Infeasible
from segkit.hashing import seed_of
from segkit.scoring.stability import draw
from segkit.study.plan.keys import canonical, digest
from segkit.study.plan.libraries import library_version
from segkit.study.plan.planner import Planner, RunPlan, World, space_of
from segkit.study.plan.sampling import SCORED
from segkit.study.plan.stage import Node
from segkit.targets import class_name

#: The kinds of tables without segments.
COPULA, PERMUTED = "copula", "permuted"
# Beside the table's identity, these seed the draws of each purpose.
FRESH, REFIT, NULL = "/fresh", "/refit", "/null"


@dataclass(frozen=True)
class ConfirmSettings:
    """How many fresh draws, refits, other seeds and tables of each kind confirm a run."""

    draws: int
    refits: int
    seeds: int
    nulls: Mapping[str, int]

    @classmethod
    def of(cls, scoring: Mapping[str, Any]) -> ConfirmSettings:
        """Return the numbers in a study's ``scoring`` settings."""
        return cls(scoring["confirm_draws"], scoring["refits"], scoring["seeds"], scoring["nulls"])


@dataclass(frozen=True)
class Confirmation:
    """The graph that confirms a shortlist.

    Attributes
    ----------
    shortlist
        The runs to confirm, best first.
    nodes
        All stages of the study and of its confirmation, by key.
    stages
        By run, the keys of its stages by role: stability, refit, reseed, prediction and
        density:<space>.
    nulls
        By run and kind of table, the keys of its scores on each table without segments, None where
        it cannot be computed. Runs that differ from one of the shortlist only in their number of
        clusters have these alone.
    pipelines
        By run, a text that is the same for runs that differ in nothing else than the number of
        clusters.
    qualities
        By projected space, the key of its quality as a picture.
    """

    shortlist: tuple[str, ...]
    nodes: Mapping[str, Node]
    stages: Mapping[str, Mapping[str, str]]
    nulls: Mapping[str, Mapping[str, tuple[str | None, ...]]]
    pipelines: Mapping[str, str]
    qualities: Mapping[str, str]

    @property
    def leaves(self) -> list[str]:
        """Keys of the stages whose results are wanted."""
        keys: list[str] = []
        for stages in self.stages.values():
            keys += stages.values()
        for kinds in self.nulls.values():
            for scores in kinds.values():
                keys += [key for key in scores if key is not None]
        return [*keys, *self.qualities.values()]


def plan_confirmation(
    planner: Planner,
    shortlist: Sequence[RunPlan],
    others: Sequence[RunPlan],
    pictured: Sequence[RunPlan],
    settings: ConfirmSettings,
) -> Confirmation:
    """Return the graph that confirms a shortlist.

    Parameters
    ----------
    planner
        The planner that made the study's plan.
    shortlist
        The runs to confirm, best first.
    others
        Runs that differ from one of the shortlist only in their number of clusters: their scores
        on tables without segments are wanted too.
    pictured
        One run of each projected space whose quality as a picture is wanted.
    settings
        How many draws, refits, seeds and tables.
    """
    stages = {run.id: _stages(planner, run, settings) for run in shortlist}
    nulls = {run.id: _null_scores(planner, run, settings.nulls) for run in shortlist}
    only_copula = {COPULA: settings.nulls[COPULA]}
    nulls |= {
        run.id: _null_scores(planner, run, only_copula) for run in others if run.id not in nulls
    }
    return Confirmation(
        shortlist=tuple(run.id for run in shortlist),
        nodes=planner.nodes,
        stages=stages,
        nulls=nulls,
        pipelines={run.id: _pipeline_name(run) for run in (*shortlist, *others)},
        qualities=_qualities(planner, pictured),
    )


def siblings(runs: Sequence[RunPlan], shortlist: Sequence[RunPlan]) -> list[RunPlan]:
    """Return the runs that differ from one of the shortlist only in ``n_clusters``."""
    wanted = {_pipeline_name(run) for run in shortlist if "n_clusters" in run.groups["clusterer"]}
    return [run for run in runs if run.stages and _pipeline_name(run) in wanted]


def _pipeline_name(run: RunPlan) -> str:
    """Return a hash of everything in a run but the number of clusters."""
    if not run.stages:
        return ""
    clusterer = dict(run.groups["clusterer"])
    clusterer.pop("n_clusters", None)
    return digest(run.data, space_of(run.stages), canonical(clusterer))


def _stages(planner: Planner, run: RunPlan, settings: ConfirmSettings) -> dict[str, str]:
    """Add the stages that confirm one run and return their keys by role."""
    world = planner.world(run.groups["data"])
    keys = {
        "stability": planner.stability(world, run.stages, run.groups, settings.draws, FRESH),
        "refit": _refit(planner, run, settings.refits),
    }
    reseed = _reseed(planner, run, settings.seeds)
    if reseed is not None:
        keys["reseed"] = reseed
    keys["prediction"] = _prediction(planner, world, run)
    reference = _primary_reference(planner, world)
    for name, space in {"native": space_of(run.stages), "reference": reference}.items():
        keys[f"density:{name}"] = _density(planner, world, run, space)
    return keys


def _primary_reference(planner: Planner, world: World) -> str:
    return planner.reference(world, next(iter(planner.references)))


def _prediction(planner: Planner, world: World, run: RunPlan) -> str:
    """Add the prediction strength of a run."""
    clusterer, space = run.groups["clusterer"], space_of(run.stages)
    library = library_version(class_name(clusterer))
    return planner.add(
        "prediction",
        {"clusterer": clusterer, "identity": run.data},
        {"space": space, "features": run.stages["features"]},
        library,
        canonical(clusterer),
        run.data,
        space,
        sample=planner.sampling.size("draws", world.customers),
    )


def _density(planner: Planner, world: World, run: RunPlan, space: str) -> str:
    """Add the density-based validity of a run's partition in a space."""
    partition = run.stages["clustering"]
    sample = planner.sampling.size("draws", world.customers)
    config = {"identity": run.data + SCORED} if sample else {}
    inputs = {"partition": partition, "space": space, "features": run.stages["features"]}
    return planner.add("density", config, inputs, partition, space, sample=sample)


def _refit(planner: Planner, run: RunPlan, count: int) -> str:
    """Add the comparison of a run with the whole pipeline, fitted anew on draws."""
    inputs = {"partition": run.stages["clustering"], "features": run.stages["features"]}
    for index in range(count):
        world = _draw_world(planner, run, index)
        refitted = _pipeline(planner, world, run)
        if refitted is not None:
            inputs[f"partition:{index}"] = refitted["clustering"]
            inputs[f"features:{index}"] = refitted["features"]
    config = {"draws": count, "identity": run.data + REFIT}
    sample = planner.sampling.draw_size(planner.world(run.groups["data"]).customers)
    return planner.add("refit", config, inputs, count, *inputs.values(), sample=sample)


def _draw_world(planner: Planner, run: RunPlan, index: int) -> World:
    """Return a draw of the study's customers as a table of its own."""
    own = planner.world(run.groups["data"])

    def make() -> World:
        size = planner.sampling.draw_size(own.customers)
        if size:
            return _thin_world(own, REFIT, index, size)
        rows = draw(own.root + REFIT, index, own.customers)
        config = {**own.config, "draw": {"identity": own.root + REFIT, "index": index}}
        return World(digest(own.root, REFIT, index), len(rows), config, {})

    return planner.once(make, "draw", own.root, index)


def _thin_world(own: World, series: str, index: int, size: int) -> World:
    """Return a draw of a table that is too large to be fitted again and again."""
    config = {**own.config, "draw": {"identity": own.root + series, "index": index, "size": size}}
    return World(digest(own.root, series, index, size), size, config, {}, size / own.customers)


def _pipeline(planner: Planner, world: World, run: RunPlan) -> dict[str, str] | None:
    """Add a run's pipeline on another table; None where it cannot be computed there."""
    groups, n = run.groups, world.customers
    if world.share < 1:
        try:
            groups = {**groups, "clusterer": thinned(groups["clusterer"], world.share)}
        except Infeasible:
            return None
    if projection.infeasible(groups["projection"], n):
        return None
    if clustering.infeasible(groups["clusterer"], n):
        return None
    return planner.pipeline(world, groups)


def _reseed(planner: Planner, run: RunPlan, count: int) -> str | None:
    """Add the comparison of a run with itself under other seeds; None if it uses no seed."""
    inputs = {"partition": run.stages["clustering"]}
    world = planner.world(run.groups["data"])
    for index in range(count):
        seed = _other_seed(run.seed, index)
        groups: dict[str, Mapping[str, Any]] = {
            name: _with_seed(config, seed) for name, config in run.groups.items()
        }
        if groups == run.groups:
            return None
        # The seed of simulated data stays: the customers are the same.
        groups["data"] = run.groups["data"]
        inputs[f"partition:{index}"] = planner.pipeline(world, groups)["clustering"]
    return planner.add("reseed", {"seeds": count}, inputs, count, *inputs.values())


def _other_seed(seed: int, index: int) -> int:
    # Four bytes: the largest seed that numpy's older generators take.
    return seed_of(f"{seed}/reseed/{index}", 4)


def _with_seed(config: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return a configuration with every ``random_state`` in it replaced."""
    replaced: dict[str, Any] = {}
    for name, value in config.items():
        if name == "random_state" and isinstance(value, int):
            replaced[name] = seed
        elif isinstance(value, Mapping):
            replaced[name] = _with_seed(value, seed)
        else:
            replaced[name] = value
    return replaced


def _null_scores(
    planner: Planner, run: RunPlan, counts: Mapping[str, int]
) -> dict[str, tuple[str | None, ...]]:
    """Add a run's scores on tables without segments and return their keys by kind of table."""
    return {
        kind: tuple(_null_score(planner, run, kind, index) for index in range(count))
        for kind, count in counts.items()
    }


def _null_score(planner: Planner, run: RunPlan, kind: str, index: int) -> str | None:
    world = _null_world(planner, run.groups["data"], kind, index)
    keys = _pipeline(planner, world, run)
    if keys is None:
        return None
    return planner.score(world, keys, _primary_reference(planner, world))


def _null_world(planner: Planner, data: Mapping[str, Any], kind: str, index: int) -> World:
    """Add a table without segments and return it as a world."""
    own = planner.world(data)
    size = planner.sampling.size("draws", own.customers)
    model = _thin_world(own, NULL, 0, size) if size else own

    def make() -> World:
        config = {**model.config, "kind": kind, "index": index}
        inputs = {}
        if kind == COPULA:
            inputs["copula"] = planner.add("copula", model.config, {}, model.root)
        table = planner.add("null", config, inputs, kind, index, model.root, *inputs.values())
        return World(table, model.customers, {}, {"table": table}, model.share)

    return planner.once(make, kind, own.root, index)


def _qualities(planner: Planner, pictured: Sequence[RunPlan]) -> dict[str, str]:
    """Add the quality of projected spaces as pictures of the scaled features."""
    keys = {}
    for run in pictured:
        space, scaled = space_of(run.stages), run.stages["scaling"]
        if space != scaled:
            inputs = {"space": space, "scaling": scaled}
            keys[space] = planner.add("quality", {"identity": run.data}, inputs, space, scaled)
    return keys
