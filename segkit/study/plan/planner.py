"""From configurations to a graph of unique stages; nothing is loaded or computed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

from segkit import clustering, projection, scoring
from segkit.data import TableInfo
from segkit.projection.neighbours import ladder
from segkit.study.plan.graph import wanted_keys
from segkit.study.plan.keys import canonical, run_id, stage_key
from segkit.study.plan.libraries import library_version
from segkit.study.plan.limits import UNLIMITED, Limits
from segkit.study.plan.sampling import DISTINCT, EXACT, LANDMARKS, SCORED, Sampling
from segkit.study.plan.stage import Node, Shape, Stage
from segkit.targets import class_name

if TYPE_CHECKING:
    from segkit.study.compose import Configuration

# The resolved configuration of each group of a run, by the group's name.
Groups = Mapping[str, Mapping[str, Any]]
# From a resolved ``data`` group to the facts of its table.
Infos = Callable[[Mapping[str, Any]], TableInfo]
# The reference spaces by name, the primary one first: the ``features`` and the ``scaler`` that make
# each.
References = Mapping[str, Groups]

NATIVE = "native"
# To be raised when the code changes what stages on drawn customers return.
SAMPLED_VERSION = 2


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run.

    Attributes
    ----------
    id
        Its id: 12 hex digits.
    choices
        The name of the option chosen in each group.
    groups
        The resolved configuration of each group.
    seed
        Its seed.
    data
        The identity of its table.
    stages
        The keys of its stages by role: features, scaling, neighbours, projection, clustering,
        ``scoring:<space>``, stability, and the kinds of stages that every run has.
    reason
        Why it cannot be done; it is skipped then.
    """

    id: str
    choices: Mapping[str, str]
    groups: Groups
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
        """Keys of the stages that runs need for themselves, not only to compute others."""
        roles = (item for run in self.runs for item in run.stages.items())
        return list(dict.fromkeys(key for role, key in roles if role != "neighbours"))


@dataclass(frozen=True)
class World:
    """A table that the whole pipeline can run on: the study's own, or one made from it.

    Attributes
    ----------
    root
        Its identity.
    customers
        How many it has.
    config, inputs
        What the features stage loads it from.
    share
        The share of the study's table that it has: less than 1 where that is too large to be
        processed again and again.
    """

    root: str
    customers: int
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    share: float = 1.0


# A stage has the customers of the first of these inputs, and its columns unless it changes them.
_SIZED_BY = ("table", "native", "scaling", "space", "features", "partition")


class Planner:
    """Adds stages to a graph, each once, and remembers the keys of those it has added.

    Parameters
    ----------
    stages
        The kinds of stages by name.
    infos
        From a resolved ``data`` group to the facts of its table.
    references
        The reference spaces by name, the primary one first.
    draws
        Number of bootstrap draws of the stability screen; 0 where a race will add them.
    sampling
        Up to how many customers each kind of work is done on all of them.
    """

    def __init__(
        self,
        stages: Mapping[str, Stage],
        infos: Infos,
        references: References,
        draws: int,
        sampling: Sampling = EXACT,
    ) -> None:
        self.kinds = stages
        self.per_run = [stage for stage in stages.values() if stage.per_run]
        self.sampling = sampling
        self.infos = infos
        self.references = references
        self.draws = draws
        # Part of the key: results stored before a score was added lack it.
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

    def text(self, config: Mapping[str, Any]) -> str:
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
        stage = self.kinds[kind]
        key = stage_key(kind, stage.version, *decides, *drawn)
        if key not in self.nodes:
            self.nodes[key] = Node(stage, key, config, dict(inputs), sample)
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
        info = self.once(lambda: self.infos(data), "info", self.text(data))
        self.customers[info.fingerprint] = info.n_customers
        self.columns[info.fingerprint] = len(info.columns)
        return info

    def world(self, data: Mapping[str, Any]) -> World:
        """Return the study's own table as a world."""

        def make() -> World:
            info = self.info(data)
            config = {"data": _located(data), "root": info.fingerprint}
            return World(info.fingerprint, info.n_customers, config, {})

        return self.once(make, "world", self.text(data))

    def features(self, world: World, features: Mapping[str, Any]) -> str:
        """Add the stage that makes a feature set of a world's table."""

        def make() -> str:
            config = {**world.config, "features": features}
            decides = (library_version("sklearn"), world.root, _without_nulls(features))
            return self.add("features", config, world.inputs, *decides)

        return self.once(make, "features", world.root, self.text(features))

    def scaling(self, upstream: str, scaler: Mapping[str, Any]) -> str:
        """Add a scaled feature set."""

        def make() -> str:
            library = library_version(class_name(scaler))
            return self.add(
                "scaling", scaler, {"features": upstream}, library, self.text(scaler), upstream
            )

        return self.once(make, "scaling", upstream, self.text(scaler))

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
            decides = [library, self.text(config), scaled, graph or ""]
            decides += [inputs["landmarks"]] if sample else []
            return self.add("projection", config, inputs, *decides, sample=sample), graph

        return self.once(make, "space", scaled, self.text(config))

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

        texts = [self.text(groups[name]) for name in ("features", "scaler", "projection")]
        found = self.once(make, "pipeline", world.root, *texts)
        partition = self.partition(world, found["features"], space_of(found), groups["clusterer"])
        return {**found, "clustering": partition}

    def partition(
        self, world: World, features: str, space: str, clusterer: Mapping[str, Any]
    ) -> str:
        """Add a partition of a space."""
        text = self.text(clusterer)
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

    def reference(self, world: World, name: str) -> str:
        """Add a reference space, fitted on a world's table."""
        made_of = self.references[name]
        return self.scaling(self.features(world, made_of["features"]), made_of["scaler"])

    def stages(self, groups: Groups) -> dict[str, str]:
        """Add all stages of a run on the study's own table and return their keys by role."""
        world = self.world(groups["data"])
        keys = self.pipeline(world, groups)
        references = self.once(
            lambda: {name: self.reference(world, name) for name in self.references},
            "references",
            world.root,
        )
        scores = {
            f"scoring:{name}": self.score(world, keys, space)
            for name, space in {NATIVE: space_of(keys), **references}.items()
        }
        further = {stage.kind: self._of_run(stage, keys) for stage in self.per_run}
        keys |= scores | further
        if self.draws:
            keys["stability"] = self.stability(world, keys, groups, self.draws)
        return keys

    def _of_run(self, stage: Stage, keys: Mapping[str, str]) -> str:
        """Add a stage that every run has."""
        roles = {
            "partition": keys["clustering"],
            "space": space_of(keys),
            "features": keys["features"],
            "scaling": keys["scaling"],
        }
        inputs = {role: roles[role] for role in stage.inputs}
        return self.add(stage.kind, {}, inputs, *inputs.values())

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
    configurations: Sequence[Configuration],
    stages: Mapping[str, Stage],
    references: References,
    draws: int,
    infos: Infos,
    sampling: Sampling = EXACT,
    limits: Limits = UNLIMITED,
) -> Plan:
    """Return the graph of unique stages of these configurations.

    Parameters
    ----------
    configurations
        Resolved configurations; those with the same run id are one run.
    stages
        The kinds of stages by name.
    references
        The reference spaces in which every run is also scored.
    draws
        Number of bootstrap draws of the stability screen; 0 where a race will add them.
    infos
        From a resolved ``data`` group to the table's fingerprint, number of customers and columns.
    sampling
        Up to how many customers each kind of work is done on all of them.
    limits
        What one stage may take; a run that needs more is skipped.
    """
    planner = Planner(stages, infos, references, draws, sampling)
    runs: dict[str, RunPlan] = {}
    for configuration in configurations:
        run = _plan_run(planner, configuration, limits)
        runs.setdefault(run.id, run)
    plan = Plan(
        tuple(runs.values()),
        dict(planner.nodes),
        tuple(references),
        dict(planner.customers),
        planner,
    )
    if limits.seconds is None or not any(run.reason for run in plan.runs):
        return plan
    # Runs that would take too long left stages behind that nobody needs.
    wanted = wanted_keys(plan.nodes, plan.leaves, ())
    return replace(plan, nodes={key: node for key, node in plan.nodes.items() if key in wanted})


def _plan_run(planner: Planner, configuration: Configuration, limits: Limits) -> RunPlan:
    groups = configuration.groups
    info = planner.info(groups["data"])
    n = info.n_customers
    texts = [planner.text(groups[name]) for name in ("scaler", "projection", "clusterer")]
    drawn = planner.once(lambda: planner.drawn(groups, n), "drawn", n, *texts[1:])
    if planner.once(
        lambda: planner.approximates(groups["projection"], n), "approximates", n, texts[1]
    ):
        drawn = {**drawn, "neighbours": "approximate"}
    identity = run_id(info.fingerprint, groups["features"], *texts, configuration.seed, drawn)
    reason = planner.once(
        lambda: _impossible(planner, groups, info, limits),
        "impossible",
        info.fingerprint,
        *texts[1:],
    )
    stages = {} if reason else planner.stages(groups)
    reason = reason or _too_slow(planner, stages, n, limits)
    return RunPlan(
        identity,
        configuration.choices,
        groups,
        configuration.seed,
        info.fingerprint,
        {} if reason else stages,
        reason,
    )


def _impossible(planner: Planner, groups: Groups, info: TableInfo, limits: Limits) -> str | None:
    return (
        projection.infeasible(groups["projection"], info.n_customers)
        or clustering.infeasible(groups["clusterer"], info.n_customers)
        or _too_large(planner, groups, info, limits)
    )


def _too_large(planner: Planner, groups: Groups, info: TableInfo, limits: Limits) -> str | None:
    """Say which memory a run needs that a worker does not have; None where there is enough."""
    if limits.memory is None:
        return None
    n, axes = info.n_customers, groups["projection"].get("n_components")
    columns = max(len(info.columns), axes if isinstance(axes, int) else 0)
    drawn = planner.drawn(groups, n)
    customers = {
        "projection": drawn.get("projection") or n,
        "clustering": drawn.get("clusterer") or n,
    }
    if planner.draws:
        customers["stability"] = planner.sampling.draw_size(n) or ceil(DISTINCT * n)
    for kind, count in customers.items():
        config = groups["projection" if kind == "projection" else "clusterer"]
        message = limits.too_large(planner.kinds[kind], config, count, columns)
        if message:
            return message
    return None


def _too_slow(
    planner: Planner, stages: Mapping[str, str], customers: int, limits: Limits
) -> str | None:
    """Say which of a run's stages would take longer than allowed; None if none does."""
    if limits.seconds is None:
        return None
    for key in stages.values():
        if key in limits.stored:
            continue
        node, shape = planner.nodes[key], planner.shapes[key]
        message = planner.once(
            partial(limits.too_slow, node, shape.customers, customers), "slow", key
        )
        if message:
            return str(message)
    return None
