"""Plan: a pure function from configurations to a graph of unique stages; it loads and computes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segkit import clustering, projection, scoring
from segkit.data import TableInfo
from segkit.projection.neighbours import ladder
from segkit.study.graph import STAGE_VERSIONS, Node
from segkit.study.keys import canonical, kind_of, library_version, run_id, stage_key
from segkit.targets import class_name

NATIVE = "native"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run: its id, its configuration and the keys of its stages by role.

    Roles are features, scaling, neighbours, projection, clustering, ``scoring:<space>`` and stability; the run's
    space is the projection or, without one, the scaling. ``reason`` says why a run cannot be done (it is skipped).
    """

    id: str
    choices: Mapping[str, str]
    groups: Mapping[str, Mapping[str, Any]]
    seed: int
    data: str
    stages: Mapping[str, str]
    reason: str | None = None


@dataclass(frozen=True)
class Plan:
    """The graph of a study: its runs and its unique stages."""

    runs: tuple[RunPlan, ...]
    nodes: Mapping[str, Node]
    references: tuple[str, ...]
    customers: Mapping[str, int] = field(default_factory=dict)
    planner: Planner | None = field(default=None, compare=False, repr=False)

    @property
    def leaves(self) -> list[str]:
        """Keys of the stages that some run needs; a neighbour graph is only needed to make a projection."""
        keys = dict.fromkeys(key for run in self.runs for key in run.stages.values())
        return [key for key in keys if kind_of(key) != "neighbours"]


# The reference spaces by name, the primary one first: the ``features`` and the ``scaler`` that make each.
References = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class World:
    """A table that the whole pipeline can run on: the study's own, or one made from it.

    ``root`` is its identity; ``config`` and ``inputs`` are what the features stage loads it from.
    """

    root: str
    customers: int
    config: Mapping[str, Any]
    inputs: Mapping[str, str]


class Planner:
    """Adds stages to a graph, each once; what is asked for again is remembered."""

    def __init__(self, infos: Callable[[Mapping[str, Any]], TableInfo], references: References, draws: int):
        self.infos = infos
        self.references = references
        self.draws = draws
        # A score that is added later is missing from what is stored until then.
        self.scores = [item.name for item in scoring.definitions()]
        self.nodes: dict[str, Node] = {}
        self.customers: dict[str, int] = {}
        self._memo: dict[tuple[Any, ...], Any] = {}
        self._texts: dict[int, tuple[Mapping[str, Any], str]] = {}

    def once(self, make: Callable[[], Any], *identity: Any) -> Any:
        """Return what was made for this identity before, or make it."""
        if identity not in self._memo:
            self._memo[identity] = make()
        return self._memo[identity]

    def _text(self, config: Mapping[str, Any]) -> str:
        # Found by identity, since compose shares one dict among all configurations that have it; holding the dict
        # keeps its identity from being given to another.
        if id(config) not in self._texts:
            self._texts[id(config)] = (config, canonical(config))
        return self._texts[id(config)][1]

    def add(self, kind: str, config: Mapping[str, Any], inputs: Mapping[str, str], *decides: Any) -> str:
        """Add a stage, if it is not there, and return its key: a hash of its kind, its version and what decides it."""
        key = stage_key(kind, STAGE_VERSIONS[kind], *decides)
        self.nodes.setdefault(key, Node(key, config, dict(inputs)))
        return key

    def info(self, data: Mapping[str, Any]) -> TableInfo:
        """Return the facts of a resolved ``data`` group's table."""
        info = self.once(lambda: self.infos(data), "info", self._text(data))
        self.customers[info.fingerprint] = info.n_customers
        return info

    def world(self, data: Mapping[str, Any]) -> World:
        """Return the study's own table as a world."""
        info = self.info(data)
        config = {"data": _located(data), "root": info.fingerprint}
        return World(info.fingerprint, info.n_customers, config, {})

    def features(self, world: World, features: Mapping[str, Any]) -> str:
        """Add the stage that makes a feature set of a world's table."""

        def make() -> str:
            config = {**world.config, "features": features}
            decides = (library_version("sklearn"), world.root, _without_nulls(features))
            return self.add("features", config, world.inputs, *decides)

        return self.once(make, "features", world.root, self._text(features))

    def scaling(self, upstream: str, scaler: Mapping[str, Any]) -> str:
        """Add a scaled feature set."""

        def make() -> str:
            library = library_version(class_name(scaler))
            return self.add("scaling", scaler, {"features": upstream}, library, self._text(scaler), upstream)

        return self.once(make, "scaling", upstream, self._text(scaler))

    def space(self, scaled: str, config: Mapping[str, Any], n: int) -> tuple[str, str | None]:
        """Return the keys of the run's space and of the neighbour graph that it needs, if any."""
        if projection.is_identity(config):
            return scaled, None

        def make() -> tuple[str, str | None]:
            inputs = {"scaling": scaled}
            wanted = projection.neighbours_needed(config, n)
            graph = None
            if wanted is not None:
                count = ladder(wanted)
                library = library_version("sklearn")
                graph = self.add("neighbours", {"count": count}, inputs, library, count, scaled)
                inputs["neighbours"] = graph
            library = library_version(class_name(config))
            decides = (library, self._text(config), scaled, graph or "")
            return self.add("projection", config, inputs, *decides), graph

        return self.once(make, "space", scaled, self._text(config))

    def pipeline(self, world: World, groups: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Add the stages from a world's table to a partition and return their keys by role."""
        features = self.features(world, groups["features"])
        scaled = self.scaling(features, groups["scaler"])
        space, graph = self.space(scaled, groups["projection"], world.customers)
        clusterer = groups["clusterer"]
        library = library_version(class_name(clusterer))
        inputs = {"space": space, "features": features}
        partition = self.add("clustering", clusterer, inputs, library, self._text(clusterer), space)
        found = {"features": features, "scaling": scaled}
        found |= {"neighbours": graph} if graph else {}
        found |= {"projection": space} if space != scaled else {}
        return found | {"clustering": partition}

    def reference(self, world: World, name: str) -> str:
        """Add a reference space, fitted on a world's table."""
        made_of = self.references[name]
        return self.scaling(self.features(world, made_of["features"]), made_of["scaler"])

    def stages(self, groups: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Add all stages of a run on the study's own table and return their keys by role."""
        world = self.world(groups["data"])
        found = self.pipeline(world, groups)
        spaces = {NATIVE: space_of(found)} | {name: self.reference(world, name) for name in self.references}
        scores = {f"scoring:{name}": self.score(found, space) for name, space in spaces.items()}
        return found | scores | {"stability": self.stability(found, groups, world.root, self.draws)}

    def stability(self, found: Mapping[str, str], groups: Mapping[str, Any], root: str, *draws: int | str) -> str:
        """Add the reclustering of draws in the space of a run: their number and, for other draws, a series' name."""
        count, *series = draws
        config = {"draws": count, "clusterer": groups["clusterer"], "identity": "".join([root, *map(str, series)])}
        inputs = {"partition": found["clustering"], "space": space_of(found), "features": found["features"]}
        return self.add("stability", config, inputs, *draws, found["clustering"])

    def score(self, found: Mapping[str, str], scored_in: str) -> str:
        """Add the scores of a run's partition in a space."""
        # The native space is an input only so that partitions of one space are scored in one pass.
        inputs = {"partition": found["clustering"], "space": scored_in}
        inputs |= {"features": found["features"], "native": space_of(found)}
        return self.add("scoring", {}, inputs, self.scores, found["clustering"], scored_in)


def space_of(found: Mapping[str, str]) -> str:
    """Return the key of the space that a run clusters in."""
    return found.get("projection", found["scaling"])


def _located(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a data group whose path means the same in every process."""
    return {**data, "path": os.path.abspath(os.path.expanduser(data["path"]))} if data.get("path") else data


def _without_nulls(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if value is not None}


def make_plan(
    configurations: Sequence[Any],
    references: References,
    draws: int,
    infos: Callable[[Mapping[str, Any]], TableInfo],
) -> Plan:
    """Return the graph of unique stages of these configurations.

    Parameters
    ----------
    configurations
        Resolved configurations (``segkit.study.compose.Configuration``); those with the same run id are one run.
    references
        The reference spaces in which every run is also scored.
    draws
        Number of bootstrap draws of the stability screen, at least 1.
    infos
        From a resolved ``data`` group to the table's fingerprint, number of customers and columns.
    """
    planner = Planner(infos, references, draws)
    runs: dict[str, RunPlan] = {}
    for configuration in configurations:
        run = _plan_run(planner, configuration)
        runs.setdefault(run.id, run)
    return Plan(tuple(runs.values()), dict(planner.nodes), tuple(references), dict(planner.customers), planner)


def _plan_run(planner: Planner, configuration: Any) -> RunPlan:
    groups = configuration.groups
    info = planner.info(groups["data"])
    identity = run_id(
        info.fingerprint,
        groups["features"],
        *(planner._text(groups[name]) for name in ("scaler", "projection", "clusterer")),
        configuration.seed,
    )
    reason = projection.infeasible(groups["projection"], info.n_customers) or clustering.infeasible(
        groups["clusterer"], info.n_customers
    )
    stages = {} if reason else planner.stages(groups)
    return RunPlan(identity, configuration.choices, groups, configuration.seed, info.fingerprint, stages, reason)
