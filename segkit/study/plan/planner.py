"""Plan: a pure function from configurations to a graph of unique stages; it loads and computes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from typing import Any

from segkit import clustering, projection, scoring
from segkit.data import TableInfo
from segkit.projection.neighbours import ladder
from segkit.study.plan.cost import duration, node_seconds
from segkit.study.plan.graph import SAMPLED_VERSION, STAGE_VERSIONS, Node, Shape, wanted_keys
from segkit.study.plan.keys import canonical, kind_of, run_id, stage_key
from segkit.study.plan.libraries import library_version
from segkit.study.plan.sampling import DISTINCT, EXACT, LANDMARKS, SCORED, Sampling
from segkit.targets import class_name

NATIVE = "native"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run: its id, its configuration and the keys of its stages by role.

    Roles are features, scaling, neighbours, projection, clustering, ``scoring:<space>`` and
    stability; the run's space is the projection or, without one, the scaling. ``reason`` says why a
    run cannot be done (it is skipped).
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
        return [key for key in keys if kind_of(key) not in ("neighbours", "landmarks")]


# The reference spaces by name, the primary one first: the ``features`` and the ``scaler`` that make
# each.
References = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class World:
    """A table that the whole pipeline can run on: the study's own, or one made from it.

    ``root`` is its identity; ``config`` and ``inputs`` are what the features stage loads it from;
    ``share`` is how much of the study's table it stands for, where that is too large to be gone
    through again and again.
    """

    root: str
    customers: int
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    share: float = 1.0


# The input that a stage's customers are those of, and so its columns but for a projection's.
_SIZED_BY = ("table", "native", "scaling", "space", "features", "partition")


class Planner:
    """Adds stages to a graph, each once; what is asked for again is remembered."""

    def __init__(
        self,
        infos: Callable[[Mapping[str, Any]], TableInfo],
        references: References,
        draws: int,
        sampling: Sampling = EXACT,
    ):
        self.sampling = sampling
        self.memory: int | None = None
        self.seconds: float | None = None
        self.stored: Collection[str] = ()
        self.infos = infos
        self.references = references
        self.draws = draws
        # A score that is added later is missing from what is stored until then.
        self.scores = canonical([item.name for item in scoring.definitions()])
        self.nodes: dict[str, Node] = {}
        self.customers: dict[str, int] = {}
        self.columns: dict[str, int] = {}
        self.shapes: dict[str, Shape] = {}
        self._memo: dict[tuple[Any, ...], Any] = {}
        self._texts: dict[int, tuple[Mapping[str, Any], str]] = {}

    def once(self, make: Callable[[], Any], *identity: Any) -> Any:
        """Return what was made for this identity before, or make it."""
        if identity not in self._memo:
            self._memo[identity] = make()
        return self._memo[identity]

    def _text(self, config: Mapping[str, Any]) -> str:
        # Found by identity, since compose shares one dict among all configurations that have it;
        # holding the dict keeps its identity from being given to another.
        if id(config) not in self._texts:
            self._texts[id(config)] = (config, canonical(config))
        return self._texts[id(config)][1]

    def add(
        self,
        kind: str,
        config: Mapping[str, Any],
        inputs: Mapping[str, str],
        *decides: Any,
        sample: int | None = None,
    ) -> str:
        """Add a stage, if it is not there, and return its key: a hash of its kind, its version and what decides it."""
        drawn = () if sample is None else ({"sample": sample, "version": SAMPLED_VERSION},)
        key = stage_key(kind, STAGE_VERSIONS[kind], *decides, *drawn)
        if key not in self.nodes:
            self.nodes[key] = Node(key, config, dict(inputs), sample)
            self.shapes[key] = self._shape(kind, config, inputs)
        return key

    def _shape(self, kind: str, config: Mapping[str, Any], inputs: Mapping[str, str]) -> Shape:
        sized_by = next((inputs[role] for role in _SIZED_BY if role in inputs), None)
        if sized_by is None:
            root, drawn = config["root"], config.get("draw")
            every = self.customers.get(root, 0)
            customers = every if drawn is None else drawn.get("size") or ceil(DISTINCT * every)
            shape = Shape(customers, self.columns.get(root, 0))
        else:
            shape = self.shapes[sized_by]
        if kind == "features":
            chosen = config["features"]
            columns = chosen.get("columns")
            own = (
                len(columns)
                if isinstance(columns, Sequence) and not isinstance(columns, str)
                else shape.columns
            )
            return shape._replace(columns=own + len(chosen.get("expressions") or ()))
        axes = config.get("n_components")
        return (
            shape._replace(columns=axes)
            if kind == "projection" and isinstance(axes, int)
            else shape
        )

    def branch(self) -> Planner:
        """Return a planner that knows what this one knows and adds stages to a graph of its own."""
        other = copy(self)
        for name in ("nodes", "customers", "columns", "shapes", "_memo"):
            setattr(other, name, dict(getattr(self, name)))
        return other

    def info(self, data: Mapping[str, Any]) -> TableInfo:
        """Return the facts of a resolved ``data`` group's table."""
        info = self.once(lambda: self.infos(data), "info", self._text(data))
        self.customers[info.fingerprint] = info.n_customers
        self.columns[info.fingerprint] = len(info.columns)
        return info

    def world(self, data: Mapping[str, Any]) -> World:
        """Return the study's own table as a world."""

        def make() -> World:
            info = self.info(data)
            config = {"data": _located(data), "root": info.fingerprint}
            return World(info.fingerprint, info.n_customers, config, {})

        return self.once(make, "world", self._text(data))

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
            return self.add(
                "scaling", scaler, {"features": upstream}, library, self._text(scaler), upstream
            )

        return self.once(make, "scaling", upstream, self._text(scaler))

    def landmarks(self, world: World, features: str, space: str, count: int) -> str:
        """Add the drawn customers of a space that costly work is done on, and who is nearest to whom."""
        config = {"identity": world.root + LANDMARKS, "count": count}
        inputs = {"space": space, "features": features}
        return self.add("landmarks", config, inputs, library_version("sklearn"), count, space)

    def space(
        self, world: World, features: str, scaled: str, config: Mapping[str, Any]
    ) -> tuple[str, str | None]:
        """Return the keys of the run's space and of the neighbour graph that it needs, if any."""
        if projection.is_identity(config):
            return scaled, None

        def make() -> tuple[str, str | None]:
            inputs = {"scaling": scaled}
            sample = (
                None
                if projection.scales(config)
                else self.sampling.size("projection", world.customers)
            )
            if sample:
                inputs["landmarks"] = self.landmarks(world, features, scaled, sample)
            wanted = projection.neighbours_needed(config, sample or world.customers)
            graph = None
            if wanted is not None:
                graph = self.neighbours(ladder(wanted), inputs, sample or world.customers, sample)
                inputs["neighbours"] = graph
            library = library_version(class_name(config))
            decides = [library, self._text(config), scaled, graph or ""]
            decides += [inputs["landmarks"]] if sample else []
            return self.add("projection", config, inputs, *decides, sample=sample), graph

        return self.once(make, "space", scaled, self._text(config))

    def neighbours(
        self, count: int, inputs: Mapping[str, str], customers: int, sample: int | None
    ) -> str:
        """Add the neighbours of a scaled matrix, searched among so many customers."""
        scaled = inputs["scaling"]
        if self.sampling.approximates(customers):
            config = {"count": count, "approximate": True}
            decides = [
                library_version("sklearn"),
                library_version("pynndescent"),
                count,
                "approximate",
                scaled,
            ]
        else:
            config, decides = {"count": count}, [library_version("sklearn"), count, scaled]
        return self.add("neighbours", config, inputs, *decides, sample=sample)

    def pipeline(self, world: World, groups: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Add the stages from a world's table to a partition and return their keys by role."""

        def make() -> dict[str, str]:
            features = self.features(world, groups["features"])
            scaled = self.scaling(features, groups["scaler"])
            space, graph = self.space(world, features, scaled, groups["projection"])
            found = {"features": features, "scaling": scaled}
            found |= {"neighbours": graph} if graph else {}
            return found | ({"projection": space} if space != scaled else {})

        texts = [self._text(groups[name]) for name in ("features", "scaler", "projection")]
        found = self.once(make, "pipeline", world.root, *texts)
        partition = self.partition(world, found["features"], space_of(found), groups["clusterer"])
        return {**found, "clustering": partition}

    def partition(
        self, world: World, features: str, space: str, clusterer: Mapping[str, Any]
    ) -> str:
        """Add a partition of a space."""
        text = self._text(clusterer)
        library = self.once(lambda: library_version(class_name(clusterer)), "library", text)
        inputs = {"space": space, "features": features}
        kind = self.once(lambda: clustering.sampled_as(clusterer), "sampled as", text)
        sample = self.sampling.size(kind, world.customers)
        decides = [library, text, space]
        if sample and kind == "clustering":
            inputs["landmarks"] = self.landmarks(world, features, space, sample)
            decides.append(inputs["landmarks"])
        return self.add("clustering", clusterer, inputs, *decides, sample=sample)

    def drawn(self, groups: Mapping[str, Mapping[str, Any]], customers: int) -> dict[str, int]:
        """Return on how many drawn customers a run's labels rest, by group; empty where on all."""
        projects = not (
            projection.is_identity(groups["projection"]) or projection.scales(groups["projection"])
        )
        sizes = {
            "projection": self.sampling.size("projection", customers) if projects else None,
            "clusterer": self.sampling.size(clustering.sampled_as(groups["clusterer"]), customers),
        }
        return {group: size for group, size in sizes.items() if size}

    def approximates(self, config: Mapping[str, Any], customers: int) -> bool:
        """Tell whether a projection of so many customers rests on neighbours that are searched approximately."""
        searched = (
            None if projection.scales(config) else self.sampling.size("projection", customers)
        ) or customers
        needed = projection.neighbours_needed(config, searched)
        return needed is not None and self.sampling.approximates(searched)

    def too_slow(self, stages: Mapping[str, str], customers: int) -> str | None:
        """Say how long the first of a run's stages would take that takes longer than allowed; None if none does."""
        if self.seconds is None:
            return None
        open_keys = (key for key in stages.values() if key not in self.stored)
        told = (self.once(partial(self._slow, key, customers), "slow", key) for key in open_keys)
        return next(filter(None, told), None)

    def _slow(self, key: str, customers: int) -> str | None:
        node = self.nodes[key]
        seconds = node_seconds(node, self.shapes[key].customers)
        if seconds <= self.seconds:
            return None
        limits = {
            "neighbours": "projection",
            "projection": "projection",
            "scoring": "scores",
            "stability": "draws",
        }
        limit = (
            clustering.sampled_as(node.config)
            if node.kind == "clustering"
            else limits.get(node.kind)
        )
        return (
            f"{node.kind} would take about {duration(seconds)} of CPU for"
            f" {node.sample or customers:,} customers, longer than engine.time_limit"
            f" allows{f'; do it on fewer (sampling.{limit})' if limit else ''}"
        )

    def too_large(self, groups: Mapping[str, Mapping[str, Any]], info: TableInfo) -> str | None:
        """Say what memory a run's projection or clusterer needs where there is less; None where there is enough."""
        if self.memory is None:
            return None
        projected, clusterer, n = groups["projection"], groups["clusterer"], info.n_customers
        axes, drawn = projected.get("n_components"), self.drawn(groups, n)
        columns = max(len(info.columns), axes if isinstance(axes, int) else 0)
        made, fitted = drawn.get("projection") or n, drawn.get("clusterer") or n
        draws = (self.sampling.draw_size(n) or ceil(DISTINCT * n)) if self.draws else 0
        steps = (
            (projected, made, projection.memory(projected, made), "projection"),
            (
                clusterer,
                fitted,
                clustering.memory(clusterer, fitted, columns),
                clustering.sampled_as(clusterer),
            ),
            (clusterer, draws, clustering.memory(clusterer, draws, columns), "draws"),
        )
        for config, customers, needed, kind in steps:
            if needed > self.memory:
                return (
                    f"{class_name(config)} needs about {needed / 1e9:.2f} GB of memory for"
                    f" {customers:,} customers, a worker has {self.memory / 1e9:.2f} GB; fit it on"
                    f" fewer (sampling.{kind})"
                )
        return None

    def reference(self, world: World, name: str) -> str:
        """Add a reference space, fitted on a world's table."""
        made_of = self.references[name]
        return self.scaling(self.features(world, made_of["features"]), made_of["scaler"])

    def stages(self, groups: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Add all stages of a run on the study's own table and return their keys by role."""
        world = self.world(groups["data"])
        found = self.pipeline(world, groups)
        references = self.once(
            lambda: {name: self.reference(world, name) for name in self.references},
            "references",
            world.root,
        )
        spaces = {NATIVE: space_of(found), **references}
        scores = {
            f"scoring:{name}": self.score(world, found, space) for name, space in spaces.items()
        }
        found |= scores
        return found | (
            {"stability": self.stability(world, found, groups, self.draws)} if self.draws else {}
        )

    def stability(
        self,
        world: World,
        found: Mapping[str, str],
        groups: Mapping[str, Any],
        *draws: int | str,
        before: tuple[int, str] | None = None,
    ) -> str:
        """Add the reclustering of draws in the space of a run: their number and, for other draws, a series' name.

        ``before`` is how many of the draws are done already and by which stage; it changes no
        result.
        """
        count, *series = draws
        identity = "".join([world.root, *map(str, series)])
        config = {"draws": count, "clusterer": groups["clusterer"], "identity": identity}
        inputs = {
            "partition": found["clustering"],
            "space": space_of(found),
            "features": found["features"],
        }
        if before:
            config["done"], inputs["before"] = before
        sample = self.sampling.draw_size(world.customers)
        return self.add("stability", config, inputs, *draws, found["clustering"], sample=sample)

    def score(self, world: World, found: Mapping[str, str], scored_in: str) -> str:
        """Add the scores of a run's partition in a space."""
        # The native space is an input only so that partitions of one space are scored in one pass.
        inputs = {"partition": found["clustering"], "space": scored_in}
        inputs |= {"features": found["features"], "native": space_of(found)}
        sample = self.sampling.size("scores", world.customers)
        config = {"identity": world.root + SCORED} if sample else {}
        return self.add(
            "scoring", config, inputs, self.scores, found["clustering"], scored_in, sample=sample
        )


def space_of(found: Mapping[str, str]) -> str:
    """Return the key of the space that a run clusters in."""
    return found.get("projection", found["scaling"])


def _located(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a data group whose path means the same in every process."""
    return (
        {**data, "path": os.path.abspath(os.path.expanduser(data["path"]))}
        if data.get("path")
        else data
    )


def _without_nulls(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if value is not None}


def make_plan(
    configurations: Sequence[Any],
    references: References,
    draws: int,
    infos: Callable[[Mapping[str, Any]], TableInfo],
    sampling: Sampling = EXACT,
    memory: int | None = None,
    seconds: float | None = None,
    stored: Collection[str] = (),
) -> Plan:
    """Return the graph of unique stages of these configurations.

    Parameters
    ----------
    configurations
        Resolved configurations (``segkit.study.compose.Configuration``); those with the same run id
        are one run.
    references
        The reference spaces in which every run is also scored.
    draws
        Number of bootstrap draws of the stability screen; 0 where a race will add them.
    infos
        From a resolved ``data`` group to the table's fingerprint, number of customers and columns.
    sampling
        Up to how many customers each kind of work is done on all of them.
    memory
        Bytes that one stage may take; a run that needs more is skipped. None: unknown.
    seconds
        CPU seconds that one stage may be estimated to take; a run that needs longer is skipped.
        None: any.
    stored
        Keys of stages that need no time any more.
    """
    planner = Planner(infos, references, draws, sampling)
    planner.memory, planner.seconds, planner.stored = memory, seconds, stored
    runs: dict[str, RunPlan] = {}
    for configuration in configurations:
        run = _plan_run(planner, configuration)
        runs.setdefault(run.id, run)
    plan = Plan(
        tuple(runs.values()),
        dict(planner.nodes),
        tuple(references),
        dict(planner.customers),
        planner,
    )
    if seconds is None or not any(run.reason for run in plan.runs):
        return plan
    wanted = wanted_keys(plan.nodes, plan.leaves, ())
    return replace(plan, nodes={key: node for key, node in plan.nodes.items() if key in wanted})


def _impossible(
    planner: Planner, groups: Mapping[str, Mapping[str, Any]], info: TableInfo
) -> str | None:
    return (
        projection.infeasible(groups["projection"], info.n_customers)
        or clustering.infeasible(groups["clusterer"], info.n_customers)
        or planner.too_large(groups, info)
    )


def _plan_run(planner: Planner, configuration: Any) -> RunPlan:
    groups = configuration.groups
    info = planner.info(groups["data"])
    n = info.n_customers
    texts = [planner._text(groups[name]) for name in ("scaler", "projection", "clusterer")]
    drawn = planner.once(lambda: planner.drawn(groups, n), "drawn", n, *texts[1:])
    if planner.once(
        lambda: planner.approximates(groups["projection"], n), "approximates", n, texts[1]
    ):
        drawn = {**drawn, "neighbours": "approximate"}
    identity = run_id(info.fingerprint, groups["features"], *texts, configuration.seed, drawn)
    reason = planner.once(
        lambda: _impossible(planner, groups, info), "impossible", info.fingerprint, *texts[1:]
    )
    stages = {} if reason else planner.stages(groups)
    reason = reason or planner.too_slow(stages, n)
    stages = {} if reason else stages
    return RunPlan(
        identity,
        configuration.choices,
        groups,
        configuration.seed,
        info.fingerprint,
        stages,
        reason,
    )
