"""Confirm: the best of the screen on fresh draws, other seeds, whole refits, and tables made without segments.

All of it is stages of the same graph: a draw of the customers, and a table made without segments,
go through the same pipeline as the study's own table, so their spaces and families are shared,
stored and resumed like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from segkit import clustering, projection
from segkit.clustering.drawn import thinned
from segkit.errors import Infeasible
from segkit.scoring.stability import draw
from segkit.study.plan.keys import canonical, digest
from segkit.study.plan.libraries import library_version
from segkit.study.plan.planner import Planner, RunPlan, World, space_of
from segkit.study.plan.sampling import SCORED
from segkit.study.plan.stage import Node
from segkit.targets import class_name

COPULA, PERMUTED = "copula", "permuted"
FRESH = "/fresh"
REFIT = "/refit"
NULL = "/null"


@dataclass(frozen=True)
class ConfirmSettings:
    """How much is done to confirm a run: how many fresh draws, refits, other seeds and tables of each kind."""

    draws: int
    refits: int
    seeds: int
    nulls: Mapping[str, int]

    @classmethod
    def of(cls, scoring: Mapping[str, Any]) -> ConfirmSettings:
        """Return what a study's ``scoring`` settings ask for."""
        return cls(scoring["confirm_draws"], scoring["refits"], scoring["seeds"], scoring["nulls"])


@dataclass(frozen=True)
class Confirmation:
    """The graph that confirms a shortlist.

    ``stages`` has each run's stages by role (stability, refit, reseed, prediction, density:<space>,
    quality); ``nulls`` the keys of its scores on each table without segments, by kind, None where
    it cannot be done there. Runs that differ from one of the shortlist only in their number of
    clusters have ``nulls`` alone; ``pipelines`` has the same text for runs that differ in nothing
    else.
    """

    shortlist: tuple[str, ...]
    nodes: Mapping[str, Node]
    stages: Mapping[str, Mapping[str, str]]
    nulls: Mapping[str, Mapping[str, tuple[str | None, ...]]]
    pipelines: Mapping[str, str]
    qualities: Mapping[str, str]

    @property
    def leaves(self) -> list[str]:
        """Keys of the stages that are wanted."""
        keys = [key for stages in self.stages.values() for key in stages.values()]
        keys += [
            key
            for kinds in self.nulls.values()
            for scores in kinds.values()
            for key in scores
            if key
        ]
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
        Runs whose scores on tables without segments are wanted too: the same but for the number of
        clusters.
    pictured
        One run of each projected space whose quality as a picture is wanted.
    settings
        How much is done.
    """
    stages = {run.id: _stages(planner, run, settings) for run in shortlist}
    nulls = {run.id: _null_scores(planner, run, settings.nulls) for run in shortlist}
    only_copula = {COPULA: settings.nulls[COPULA]}
    nulls |= {
        run.id: _null_scores(planner, run, only_copula) for run in others if run.id not in nulls
    }
    pipelines = {run.id: _but_for_k(run) for run in (*shortlist, *others)}
    qualities = _qualities(planner, pictured)
    return Confirmation(
        tuple(run.id for run in shortlist), planner.nodes, stages, nulls, pipelines, qualities
    )


def siblings(runs: Sequence[RunPlan], shortlist: Sequence[RunPlan]) -> list[RunPlan]:
    """Return the runs that differ from one of the shortlist only in ``n_clusters``."""
    wanted = {_but_for_k(run) for run in shortlist if "n_clusters" in run.groups["clusterer"]}
    return [run for run in runs if run.stages and _but_for_k(run) in wanted]


def _but_for_k(run: RunPlan) -> str:
    clusterer = {
        name: value for name, value in run.groups["clusterer"].items() if name != "n_clusters"
    }
    return digest(run.data, space_of(run.stages), canonical(clusterer)) if run.stages else ""


def _stages(planner: Planner, run: RunPlan, settings: ConfirmSettings) -> dict[str, str]:
    world = planner.world(run.groups["data"])
    found = {"stability": planner.stability(world, run.stages, run.groups, settings.draws, FRESH)}
    found["refit"] = _refit(planner, run, settings.refits)
    reseeded = _reseed(planner, run, settings.seeds)
    found |= {"reseed": reseeded} if reseeded else {}
    space, partition, features = (
        space_of(run.stages),
        run.stages["clustering"],
        run.stages["features"],
    )
    sample = planner.sampling.size("draws", world.customers)
    config = {"clusterer": run.groups["clusterer"], "identity": run.data}
    inputs = {"space": space, "features": features}
    library = library_version(class_name(run.groups["clusterer"]))
    decides = (library, canonical(run.groups["clusterer"]), run.data, space)
    found["prediction"] = planner.add("prediction", config, inputs, *decides, sample=sample)
    reference = planner.reference(world, next(iter(planner.references)))
    for name, scored_in in {"native": space, "reference": reference}.items():
        inputs = {"partition": partition, "space": scored_in, "features": features}
        config = {"identity": run.data + SCORED} if sample else {}
        found[f"density:{name}"] = planner.add(
            "density", config, inputs, partition, scored_in, sample=sample
        )
    return found


def _refit(planner: Planner, run: RunPlan, count: int) -> str:
    """Add the comparison of a run with the whole pipeline fitted anew on draws of the customers."""
    inputs = {"partition": run.stages["clustering"], "features": run.stages["features"]}
    for index in range(count):
        world = _draw_world(planner, run, index)
        found = _pipeline(planner, world, run)
        if found:
            inputs |= {
                f"partition:{index}": found["clustering"],
                f"features:{index}": found["features"],
            }
    config = {"draws": count, "identity": run.data + REFIT}
    sample = planner.sampling.draw_size(planner.world(run.groups["data"]).customers)
    return planner.add("refit", config, inputs, count, *inputs.values(), sample=sample)


def _draw_world(planner: Planner, run: RunPlan, index: int) -> World:
    own = planner.world(run.groups["data"])

    def make() -> World:
        size = planner.sampling.draw_size(own.customers)
        if size:
            return _thin_world(own, REFIT, index, size)
        rows = draw(own.root + REFIT, index, own.customers)
        drawn = {**own.config, "draw": {"identity": own.root + REFIT, "index": index}}
        return World(digest(own.root, REFIT, index), len(rows), drawn, {})

    return planner.once(make, "draw", own.root, index)


def _thin_world(own: World, series: str, index: int, size: int) -> World:
    """Return a draw of a table too large to be fitted anew again and again."""
    drawn = {**own.config, "draw": {"identity": own.root + series, "index": index, "size": size}}
    return World(digest(own.root, series, index, size), size, drawn, {}, size / own.customers)


def _pipeline(planner: Planner, world: World, run: RunPlan) -> dict[str, str] | None:
    """Add a run's pipeline on another table; None where it cannot be done there."""
    groups = run.groups
    n = world.customers
    if world.share < 1:
        try:
            groups = {**groups, "clusterer": thinned(groups["clusterer"], world.share)}
        except Infeasible:
            return None
    if projection.infeasible(groups["projection"], n) or clustering.infeasible(
        groups["clusterer"], n
    ):
        return None
    return planner.pipeline(world, groups)


def _reseed(planner: Planner, run: RunPlan, count: int) -> str | None:
    """Add the comparison of a run with itself under other seeds; None if nothing in it uses a seed."""
    inputs = {"partition": run.stages["clustering"]}
    world = planner.world(run.groups["data"])
    for index in range(count):
        groups = {
            name: _with_seed(config, _other_seed(run.seed, index))
            for name, config in run.groups.items()
        }
        if groups == run.groups:
            return None
        inputs[f"partition:{index}"] = planner.pipeline(
            world, {**groups, "data": run.groups["data"]}
        )["clustering"]
    return planner.add("reseed", {"seeds": count}, inputs, count, *inputs.values())


def _other_seed(seed: int, index: int) -> int:
    return int.from_bytes(sha256(f"{seed}/reseed/{index}".encode()).digest()[:4])


def _with_seed(config: Any, seed: int) -> Any:
    """Return a configuration with every ``random_state`` in it replaced."""
    if isinstance(config, Mapping):
        return {
            name: (
                seed
                if name == "random_state" and isinstance(value, int)
                else _with_seed(value, seed)
            )
            for name, value in config.items()
        }
    return config


def _null_scores(
    planner: Planner, run: RunPlan, counts: Mapping[str, int]
) -> dict[str, tuple[str | None, ...]]:
    return {
        kind: tuple(_null_score(planner, run, kind, index) for index in range(count))
        for kind, count in counts.items()
    }


def _null_score(planner: Planner, run: RunPlan, kind: str, index: int) -> str | None:
    world = _null_world(planner, run.groups["data"], kind, index)
    found = _pipeline(planner, world, run)
    return (
        planner.score(world, found, planner.reference(world, next(iter(planner.references))))
        if found
        else None
    )


def _null_world(planner: Planner, data: Mapping[str, Any], kind: str, index: int) -> World:
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
    """Add, by projected space, how well it keeps the neighbourhoods and distances of the scaled features."""
    found = {}
    for run in pictured:
        space, scaled = space_of(run.stages), run.stages["scaling"]
        if space != scaled:
            config = {"identity": run.data}
            found[space] = planner.add(
                "quality", config, {"space": space, "scaling": scaled}, space, scaled
            )
    return found
