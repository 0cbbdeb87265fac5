"""Plan: a pure function from configurations to a graph of unique stages; it loads and computes nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segkit import clustering, projection, scoring
from segkit.data import TableInfo
from segkit.projection.neighbours import ladder
from segkit.study.keys import canonical, kind_of, library_version, run_id, stage_key
from segkit.targets import class_name

# Raise a stage's number when its code changes what it returns: stored results of older code are then not found.
STAGE_VERSIONS: Mapping[str, int] = {
    "features": 1,
    "scaling": 1,
    "neighbours": 1,
    "projection": 1,
    "clustering": 1,
    "scoring": 1,
    "stability": 1,
}
KINDS: tuple[str, ...] = tuple(STAGE_VERSIONS)

# Members of one task: enough to share a family's work, few enough that a wide sweep still spreads over workers.
BUNDLE = {"clustering": 64, "stability": 32, "scoring": 64}

NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Node:
    """One stage: its key, its own resolved parameters and the keys of what it stands on, by role."""

    key: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]

    @property
    def kind(self) -> str:
        """The stage kind."""
        return kind_of(self.key)


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


@dataclass(frozen=True, slots=True)
class Task:
    """What one worker does at once: stages of one kind that share their inputs' work."""

    name: str
    nodes: tuple[Node, ...]
    after: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The stage kind of all its nodes."""
        return self.nodes[0].kind


@dataclass(frozen=True)
class Plan:
    """The graph of a study: its runs and its unique stages."""

    runs: tuple[RunPlan, ...]
    nodes: Mapping[str, Node]
    references: tuple[str, ...]
    customers: Mapping[str, int] = field(default_factory=dict)

    def counts(self, keys: Iterable[str] | None = None) -> dict[str, int]:
        """Return the number of stages (of all, or of the given keys) by kind, in the order of the data flow."""
        found = Counter(kind_of(key) for key in (self.nodes if keys is None else keys))
        return {kind: found[kind] for kind in KINDS if found[kind]}


# The reference spaces by name, the primary one first: the ``features`` and the ``scaler`` that make each.
References = Mapping[str, Mapping[str, Mapping[str, Any]]]


class _Planner:
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

    def _once(self, make: Callable[[], Any], *identity: Any) -> Any:
        if identity not in self._memo:
            self._memo[identity] = make()
        return self._memo[identity]

    def _text(self, config: Mapping[str, Any]) -> str:
        # Found by identity, since compose shares one dict among all configurations that have it; holding the dict
        # keeps its identity from being given to another.
        if id(config) not in self._texts:
            self._texts[id(config)] = (config, canonical(config))
        return self._texts[id(config)][1]

    def _add(self, kind: str, config: Mapping[str, Any], inputs: Mapping[str, str], *decides: Any) -> str:
        key = stage_key(kind, STAGE_VERSIONS[kind], *decides)
        self.nodes.setdefault(key, Node(key, config, dict(inputs)))
        return key

    def info(self, data: Mapping[str, Any]) -> TableInfo:
        info = self._once(lambda: self.infos(data), "info", self._text(data))
        self.customers[info.fingerprint] = info.n_customers
        return info

    def features(self, data: Mapping[str, Any], features: Mapping[str, Any]) -> str:
        def make() -> str:
            root = self.info(data).fingerprint
            config = {"data": data, "features": features}
            return self._add("features", config, {}, library_version("sklearn"), root, _without_nulls(features))

        return self._once(make, "features", self._text(data), self._text(features))

    def scaling(self, upstream: str, scaler: Mapping[str, Any]) -> str:
        def make() -> str:
            library = library_version(class_name(scaler))
            return self._add("scaling", scaler, {"features": upstream}, library, self._text(scaler), upstream)

        return self._once(make, "scaling", upstream, self._text(scaler))

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
                graph = self._add("neighbours", {"count": count}, inputs, library, count, scaled)
                inputs["neighbours"] = graph
            library = library_version(class_name(config))
            decides = (library, self._text(config), scaled, graph or "")
            return self._add("projection", config, inputs, *decides), graph

        return self._once(make, "space", scaled, self._text(config))

    def stages(self, run_groups: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        data, clusterer = run_groups["data"], run_groups["clusterer"]
        n = self.info(data).n_customers
        features = self.features(data, run_groups["features"])
        scaled = self.scaling(features, run_groups["scaler"])
        space, graph = self.space(scaled, run_groups["projection"], n)
        shared = {"features": features, "scaling": scaled}
        shared |= {"neighbours": graph} if graph else {}
        shared |= {"projection": space} if space != scaled else {}

        library = library_version(class_name(clusterer))
        inputs = {"space": space, "features": features}
        partition = self._add("clustering", clusterer, inputs, library, self._text(clusterer), space)
        scores = {f"scoring:{NATIVE}": self.score(partition, space, features, space)}
        for name, made_of in self.references.items():
            reference = self.scaling(self.features(data, made_of["features"]), made_of["scaler"])
            scores[f"scoring:{name}"] = self.score(partition, reference, features, space)
        stability = self._add(
            "stability",
            {"draws": self.draws, "clusterer": clusterer, "data": self.info(data).fingerprint},
            {"partition": partition, "space": space, "features": features},
            self.draws,
            partition,
        )
        return shared | {"clustering": partition} | scores | {"stability": stability}

    def score(self, partition: str, scored_in: str, features: str, native: str) -> str:
        # The native space is an input only so that partitions of one space are scored in one pass.
        inputs = {"partition": partition, "space": scored_in, "features": features, "native": native}
        return self._add("scoring", {}, inputs, self.scores, partition, scored_in)


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
    planner = _Planner(infos, references, draws)
    runs: dict[str, RunPlan] = {}
    for configuration in configurations:
        run = _plan_run(planner, configuration)
        runs.setdefault(run.id, run)
    return Plan(tuple(runs.values()), planner.nodes, tuple(references), planner.customers)


def _plan_run(planner: _Planner, configuration: Any) -> RunPlan:
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


def make_tasks(plan: Plan, settled: Collection[str]) -> list[Task]:
    """Bundle the stages that are not settled into tasks, in an order in which each comes after what it needs.

    Partitions of one space by one class of clusterer are one task (a family shares their work), likewise their
    draws; all partitions of one space are scored in another space in one pass. Bundling never changes a result.

    Parameters
    ----------
    plan
        The graph.
    settled
        Keys of stages whose outcome is known: stored, or impossible.
    """
    groups: dict[tuple[str, ...], list[Node]] = defaultdict(list)
    wanted = wanted_keys(plan, settled)
    for kind in KINDS:
        for node in (plan.nodes[key] for key in plan.nodes if key in wanted and kind_of(key) == kind):
            groups[_group(node)].append(node)
    made_by: dict[str, str] = {}
    tasks: list[Task] = []
    for nodes in groups.values():
        size = BUNDLE.get(nodes[0].kind, 1)
        for start in range(0, len(nodes), size):
            bundle = tuple(nodes[start : start + size])
            after = {made_by[key] for node in bundle for key in node.inputs.values() if key in made_by}
            task = Task(stage_key(bundle[0].kind, *(node.key for node in bundle)), bundle, tuple(sorted(after)))
            made_by |= {node.key: task.name for node in bundle}
            tasks.append(task)
    return tasks


def wanted_keys(plan: Plan, settled: Collection[str]) -> set[str]:
    """Return the keys to compute: what some run lacks, and what those need that is not settled."""
    leaves = dict.fromkeys(key for run in plan.runs for key in run.stages.values())
    # A neighbour graph is only wanted by a projection that is still to be made.
    pending = [key for key in leaves if key not in settled and kind_of(key) != "neighbours"]
    wanted: set[str] = set()
    while pending:
        key = pending.pop()
        if key not in wanted:
            wanted.add(key)
            pending.extend(other for other in plan.nodes[key].inputs.values() if other not in settled)
    return wanted


def _group(node: Node) -> tuple[str, ...]:
    match node.kind:
        case "clustering":
            return (node.kind, node.inputs["space"], class_name(node.config))
        case "stability":
            config = node.config
            return (node.kind, node.inputs["space"], class_name(config["clusterer"]), str(config["draws"]))
        case "scoring":
            return (node.kind, node.inputs["native"], node.inputs["space"])
        case _:
            return (node.key,)
