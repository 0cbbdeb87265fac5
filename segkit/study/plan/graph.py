"""The graph of a study's stages: nodes with keys, bundled into tasks in a possible order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from segkit.study.plan.keys import kind_of, stage_key
from segkit.targets import class_name

# Raise a stage's number when its code changes what it returns: stored results of older code are
# then not found.
STAGE_VERSIONS: Mapping[str, int] = {
    "copula": 1,
    "null": 1,
    "features": 1,
    "scaling": 1,
    "landmarks": 1,
    "neighbours": 1,
    "projection": 1,
    "clustering": 1,
    "scoring": 2,
    "stability": 2,
    "refit": 2,
    "reseed": 2,
    "prediction": 1,
    "density": 2,
    "quality": 1,
}
KINDS: tuple[str, ...] = tuple(STAGE_VERSIONS)
# The same for what stages do on drawn customers only.
SAMPLED_VERSION = 2

# Kinds in the order of the data flow; who is nearest to whom in a projection is asked after it is
# made.
_IN_PROJECTION = "landmarks of a projection"
_PHASES: tuple[str, ...] = tuple(
    phase
    for kind in KINDS
    for phase in ((kind, _IN_PROJECTION) if kind == "projection" else (kind,))
)

# Members of one task: enough to share a family's work, few enough that a wide sweep still spreads
# over workers.
BUNDLE = {"clustering": 64, "stability": 32, "scoring": 64, "prediction": 16, "quality": 4}


@dataclass(frozen=True, slots=True)
class Node:
    """One stage: its key, its own resolved parameters and the keys of what it stands on, by role.

    ``sample`` is how many drawn customers it is done on; None: on all.
    """

    key: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    sample: int | None = None

    @property
    def kind(self) -> str:
        """The stage kind."""
        return kind_of(self.key)

    def stops(self, role: str, *, again: bool) -> bool:
        """Say whether the stage cannot be done without an input that failed or was skipped.

        A draw that is impossible (``partition:3`` of a refit) is one draw without a value, unless
        it is tried again.
        """
        return again or ":" not in role


class Shape(NamedTuple):
    """How many customers (rows) and columns a stage works on, or about how many; for estimates only."""

    customers: int
    columns: int


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


def make_tasks(
    nodes: Mapping[str, Node], leaves: Iterable[str], settled: Collection[str]
) -> list[Task]:
    """Bundle the stages that are not settled into tasks, in an order in which each comes after what it needs.

    Partitions of one space by one class of clusterer are one task (a family shares their work),
    likewise their draws; all partitions of one space are scored in another space in one pass, as
    are all pictures of one matrix. Bundling never changes a result.

    Parameters
    ----------
    nodes
        The graph, by key; each node after those that it stands on.
    leaves
        Keys of the stages whose results are wanted.
    settled
        Keys of the stages whose outcome is known: stored, or impossible.
    """
    wanted = wanted_keys(nodes, leaves, settled)
    by_kind: dict[str, list[Node]] = defaultdict(list)
    for key, node in nodes.items():
        if key in wanted:
            by_kind[_phase(node)].append(node)
    groups: dict[tuple[str, ...], list[Node]] = defaultdict(list)
    for phase in _PHASES:
        for node in by_kind[phase]:
            groups[_group(node)].append(node)
    made_by: dict[str, str] = {}
    tasks: list[Task] = []
    for bundled in groups.values():
        size = BUNDLE.get(bundled[0].kind, 1)
        for start in range(0, len(bundled), size):
            bundle = tuple(bundled[start : start + size])
            after = {
                made_by[key] for node in bundle for key in node.inputs.values() if key in made_by
            }
            task = Task(
                stage_key(bundle[0].kind, *(node.key for node in bundle)),
                bundle,
                tuple(sorted(after)),
            )
            made_by |= {node.key: task.name for node in bundle}
            tasks.append(task)
    return tasks


def wanted_keys(
    nodes: Mapping[str, Node], leaves: Iterable[str], settled: Collection[str]
) -> set[str]:
    """Return the keys to compute: the leaves, and what those need, as far as they are not settled."""
    pending = [key for key in dict.fromkeys(leaves) if key not in settled]
    wanted: set[str] = set()
    while pending:
        key = pending.pop()
        if key not in wanted:
            wanted.add(key)
            pending.extend(other for other in nodes[key].inputs.values() if other not in settled)
    return wanted


def counts(keys: Iterable[str]) -> dict[str, int]:
    """Return the number of stages by kind, in the order of the data flow."""
    found = Counter(map(kind_of, keys))
    return {kind: found[kind] for kind in KINDS if found[kind]}


def _phase(node: Node) -> str:
    projected = node.kind == "landmarks" and kind_of(node.inputs["space"]) == "projection"
    return _IN_PROJECTION if projected else node.kind


def _group(node: Node) -> tuple[str, ...]:
    match node.kind:
        case "clustering":
            return (node.kind, node.inputs["space"], class_name(node.config))
        case "stability":
            config = node.config
            series = f"{config.get('done', 0)} {config['draws']} {config['identity']}"
            return (node.kind, node.inputs["space"], class_name(config["clusterer"]), series)
        case "prediction":
            return (node.kind, node.inputs["space"], class_name(node.config["clusterer"]))
        case "scoring":
            return (node.kind, node.inputs["native"], node.inputs["space"])
        case "quality":
            return (node.kind, node.inputs["scaling"], node.config["identity"])
        case _:
            return (node.key,)
