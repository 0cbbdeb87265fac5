"""From configurations to a graph of unique stages; nothing is loaded or computed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, TypeVar

from segkit import clustering, projection, scoring
from segkit.data import TableInfo
from segkit.projection.neighbours import ladder
from segkit.study.plan.graph import wanted_keys
from segkit.study.plan.keys import canonical, run_id, stage_key
from segkit.study.plan.libraries import library_version
from segkit.study.plan.limits import UNLIMITED, Limits
from segkit.study.plan.sampling import DISTINCT, EXACT, LANDMARKS, SCORED, Sampling
from segkit.study.plan.stage import Config, Node, Shape, Stage
from segkit.targets import class_name

if TYPE_CHECKING:
    from segkit.study.compose import Configuration

T = TypeVar("T")
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
    customers: Mapping[str, int]
    planner: Planner = field(compare=False, repr=False)

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
    config: Config
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

    def once(self, make: Callable[[], T], *identity: Any) -> T:
        """Call a function once for an identity and return its value, then and later."""
        if identity not in self._memo:
            self._memo[identity] = make()
        value: T = self._memo[identity]
        return value

    def text(self, config: Config) -> str:
        """Return the canonical text of a configuration."""
        # By object: the composition shares one dict among all configurations that have it. Holding
        # the dict keeps its number from being given to another.
        if id(config) not in self._texts:
            self._texts[id(config)] = (config, canonical(config))
        return self._texts[id(config)][1]

    def add(
        self,
        kind: str,
        config: Config,
        inputs: Mapping[str, str],
        *decides: Any,
        sample: int | None = None,
    ) -> str:
        """Add a stage unless it is there, and return its key.

        Parameters
        ----------
        kind
            The kind of stage.
        config, inputs, sample
            Those of the node.
        decides
            Everything that decides its result, beside its kind, version and sample: the key is a
            hash of it.
        """
        stage = self.kinds[kind]
        parts = [stage.version, *decides]
        if sample is not None:
            parts.append({"sample": sample, "version": SAMPLED_VERSION})
        key = stage_key(kind, *parts)
        if key not in self.nodes:
            self.nodes[key] = Node(stage, key, config, dict(inputs), sample)
            self.shapes[key] = self._shape(kind, config, inputs)
        return key

    def _shape(self, kind: str, config: Config, inputs: Mapping[str, str]) -> Shape:
        """Return about how many customers and columns a stage's result has."""
        sized_by = next((inputs[role] for role in _SIZED_BY if role in inputs), None)
        shape = self._table_shape(config) if sized_by is None else self.shapes[sized_by]
        if kind == "features":
            return shape._replace(columns=_feature_count(config["features"], shape.columns))
        axes = config.get("n_components")
        if kind == "projection" and isinstance(axes, int):
            return shape._replace(columns=axes)
        return shape

    def _table_shape(self, config: Config) -> Shape:
        """Return the shape of the study's table or of a draw of it."""
        customers, draw = self.customers.get(config["root"], 0), config.get("draw")
        if draw is not None:
            customers = draw.get("size") or ceil(DISTINCT * customers)
        return Shape(customers, self.columns.get(config["root"], 0))

    def branch(self) -> Planner:
        """Return a copy that adds stages to a graph of its own."""
        other = copy(self)
        for name in ("nodes", "customers", "columns", "shapes", "_memo"):
            setattr(other, name, dict(getattr(self, name)))
        return other

    def info(self, data: Config) -> TableInfo:
        """Return the facts of a resolved ``data`` group's table."""
        info = self.once(lambda: self.infos(data), "info", self.text(data))
        self.customers[info.fingerprint] = info.n_customers
        self.columns[info.fingerprint] = len(info.columns)
        return info

    def world(self, data: Config) -> World:
        """Return the study's own table as a world."""

        def make() -> World:
            info = self.info(data)
            config = {"data": _located(data), "root": info.fingerprint}
            return World(info.fingerprint, info.n_customers, config, {})

        return self.once(make, "world", self.text(data))

    def features(self, world: World, features: Config) -> str:
        """Add a feature set of a world's table."""

        def make() -> str:
            config = {**world.config, "features": features}
            decides = (library_version("sklearn"), world.root, _without_nulls(features))
            return self.add("features", config, world.inputs, *decides)

        return self.once(make, "features", world.root, self.text(features))

    def scaling(self, features: str, scaler: Config) -> str:
        """Add a scaled feature set."""

        def make() -> str:
            decides = (library_version(class_name(scaler)), self.text(scaler), features)
            return self.add("scaling", scaler, {"features": features}, *decides)

        return self.once(make, "scaling", features, self.text(scaler))

    def landmarks(self, world: World, features: str, space: str, count: int) -> str:
        """Add the drawn customers that stand for all of a space in costly work."""
        config = {"identity": world.root + LANDMARKS, "count": count}
        inputs = {"space": space, "features": features}
        return self.add("landmarks", config, inputs, library_version("sklearn"), count, space)

    def space(
        self, world: World, features: str, scaled: str, config: Config
    ) -> tuple[str, str | None]:
        """Add a run's space; return its key, and that of the neighbours it needs, if any."""
        if projection.is_identity(config):
            return scaled, None

        def make() -> tuple[str, str | None]:
            inputs = {"scaling": scaled}
            sample = self._fitted(config, world.customers)
            if sample:
                inputs["landmarks"] = self.landmarks(world, features, scaled, sample)
            searched = sample or world.customers
            wanted = projection.neighbours_needed(config, searched)
            graph = None
            if wanted is not None:
                graph = self.neighbours(ladder(wanted), inputs, searched, sample)
                inputs["neighbours"] = graph
            library = library_version(class_name(config))
            decides = [library, self.text(config), scaled, graph or ""]
            if sample:
                decides.append(inputs["landmarks"])
            return self.add("projection", config, inputs, *decides, sample=sample), graph

        return self.once(make, "space", scaled, self.text(config))

    def _fitted(self, config: Config, customers: int) -> int | None:
        """Return how many drawn customers a projection is fitted on, None where on all."""
        if projection.scales(config):
            return None
        return self.sampling.size("projection", customers)

    def neighbours(
        self, count: int, inputs: Mapping[str, str], customers: int, sample: int | None
    ) -> str:
        """Add the neighbours of a scaled matrix, searched among so many customers."""
        scaled = inputs["scaling"]
        config: dict[str, Any] = {"count": count}
        decides = [library_version("sklearn"), count, scaled]
        if self.sampling.approximates(customers):
            config["approximate"] = True
            libraries = library_version("sklearn"), library_version("pynndescent")
            decides = [*libraries, count, "approximate", scaled]
        return self.add("neighbours", config, inputs, *decides, sample=sample)

    def pipeline(self, world: World, groups: Groups) -> dict[str, str]:
        """Add the stages from a world's table to a partition and return their keys by role."""

        def make() -> dict[str, str]:
            features = self.features(world, groups["features"])
            scaled = self.scaling(features, groups["scaler"])
            space, graph = self.space(world, features, scaled, groups["projection"])
            keys = {"features": features, "scaling": scaled}
            if graph is not None:
                keys["neighbours"] = graph
            if space != scaled:
                keys["projection"] = space
            return keys

        texts = [self.text(groups[name]) for name in ("features", "scaler", "projection")]
        keys = self.once(make, "pipeline", world.root, *texts)
        partition = self.partition(world, keys["features"], space_of(keys), groups["clusterer"])
        return {**keys, "clustering": partition}

    def partition(self, world: World, features: str, space: str, clusterer: Config) -> str:
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

    def drawn(self, groups: Groups, customers: int) -> dict[str, int]:
        """Return on how many drawn customers a run's labels rest, by group; empty where on all."""
        projected, clusterer = groups["projection"], groups["clusterer"]
        sizes = {"clusterer": self.sampling.size(clustering.sampled_as(clusterer), customers)}
        if not projection.is_identity(projected):
            sizes["projection"] = self._fitted(projected, customers)
        return {group: size for group, size in sizes.items() if size}

    def approximates(self, config: Config, customers: int) -> bool:
        """Tell whether a projection of so many customers uses approximate neighbours."""
        searched = self._fitted(config, customers) or customers
        needed = projection.neighbours_needed(config, searched)
        return needed is not None and self.sampling.approximates(searched)

    def reference(self, world: World, name: str) -> str:
        """Add a reference space, fitted on a world's table."""
        reference = self.references[name]
        return self.scaling(self.features(world, reference["features"]), reference["scaler"])

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
        keys: Mapping[str, str],
        groups: Groups,
        count: int,
        series: str = "",
        before: tuple[int, str] | None = None,
    ) -> str:
        """Add the comparison of a run's partition with those of draws in its space.

        Parameters
        ----------
        world, keys, groups
            The run's table, the keys of its stages by role, and its configuration.
        count
            The number of draws.
        series
            The name of a series of draws; empty for those of the screen.
        before
            How many of the draws an earlier stage has done, and its key; changes no result.
        """
        config = {
            "draws": count,
            "clusterer": groups["clusterer"],
            "identity": world.root + series,
        }
        inputs = {
            "partition": keys["clustering"],
            "space": space_of(keys),
            "features": keys["features"],
        }
        if before is not None:
            config["done"], inputs["before"] = before
        decides = [count, series] if series else [count]
        sample = self.sampling.draw_size(world.customers)
        return self.add("stability", config, inputs, *decides, keys["clustering"], sample=sample)

    def score(self, world: World, keys: Mapping[str, str], space: str) -> str:
        """Add the scores of a run's partition in a space."""
        inputs = {
            "partition": keys["clustering"],
            "space": space,
            "features": keys["features"],
            # Only so that partitions of one space are scored in one pass.
            "native": space_of(keys),
        }
        sample = self.sampling.size("scores", world.customers)
        config = {"identity": world.root + SCORED} if sample else {}
        decides = (self.scores, keys["clustering"], space)
        return self.add("scoring", config, inputs, *decides, sample=sample)


def space_of(keys: Mapping[str, str]) -> str:
    """Return the key of the space that a run clusters in."""
    return keys.get("projection", keys["scaling"])


def _feature_count(features: Config, columns: int) -> int:
    """Return how many features a set has of a table with so many columns."""
    chosen = features.get("columns")
    if isinstance(chosen, Sequence) and not isinstance(chosen, str):
        columns = len(chosen)
    return columns + len(features.get("expressions") or ())


def _located(data: Config) -> Config:
    """Return a data group whose path means the same in every process."""
    if not data.get("path"):
        return data
    return {**data, "path": os.path.abspath(os.path.expanduser(data["path"]))}


def _without_nulls(config: Config) -> dict[str, Any]:
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
    scaler, projected, clusterer = (
        planner.text(groups[name]) for name in ("scaler", "projection", "clusterer")
    )
    drawn: Mapping[str, int | str] = planner.once(
        lambda: planner.drawn(groups, n), "drawn", n, projected, clusterer
    )
    if planner.once(
        lambda: planner.approximates(groups["projection"], n), "approximates", n, projected
    ):
        drawn = {**drawn, "neighbours": "approximate"}
    identity = run_id(
        info.fingerprint,
        groups["features"],
        scaler,
        projected,
        clusterer,
        configuration.seed,
        drawn,
    )
    reason = planner.once(
        lambda: _impossible(planner, groups, info, limits),
        "impossible",
        info.fingerprint,
        projected,
        clusterer,
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
