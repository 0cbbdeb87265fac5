"""The graph of a study's stages, bundled into tasks in a possible order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from segkit.study.plan.keys import stage_key
from segkit.study.plan.stage import Node, Stage


@dataclass(frozen=True, slots=True)
class Task:
    """What one worker computes at once: nodes of one kind that share work."""

    name: str
    nodes: tuple[Node, ...]
    after: tuple[str, ...]

    @property
    def stage(self) -> Stage:
        """The kind of all its nodes."""
        return self.nodes[0].stage

    @property
    def kind(self) -> str:
        """The name of that kind."""
        return self.stage.kind


def make_tasks(
    nodes: Mapping[str, Node], leaves: Iterable[str], settled: Collection[str]
) -> list[Task]:
    """Bundle the stages to compute into tasks, each after the tasks that it reads from.

    The nodes of a task are of one group (`Stage.group`), so that they share work: all partitions of
    one space by one class of clusterer, or all partitions that are scored in one space. Bundling
    never changes a result.

    Parameters
    ----------
    nodes
        The graph, by key; each node after those that it reads.
    leaves
        Keys of the stages whose results are wanted.
    settled
        Keys of the stages whose outcome is known: stored, or impossible.
    """
    wanted = wanted_keys(nodes, leaves, settled)
    levels = _levels(nodes)
    in_order = sorted(
        (node for key, node in nodes.items() if key in wanted), key=lambda node: levels[node.key]
    )
    groups: dict[tuple[str, ...], list[Node]] = defaultdict(list)
    for node in in_order:
        groups[(node.kind, *node.stage.group(node))].append(node)
    made_by: dict[str, str] = {}
    tasks: list[Task] = []
    for members in groups.values():
        size = members[0].stage.bundle
        for start in range(0, len(members), size):
            task = _task(tuple(members[start : start + size]), made_by)
            made_by |= {node.key: task.name for node in task.nodes}
            tasks.append(task)
    return tasks


def _task(nodes: tuple[Node, ...], made_by: Mapping[str, str]) -> Task:
    after = {made_by[key] for node in nodes for key in node.inputs.values() if key in made_by}
    name = stage_key(nodes[0].kind, *(node.key for node in nodes))
    return Task(name, nodes, tuple(sorted(after)))


def _levels(nodes: Mapping[str, Node]) -> dict[str, int]:
    """Return by key the place of each node: that of its kind, and behind all that it reads.

    The landmarks of a projection come after it, although landmarks come before projections.
    """
    levels: dict[str, int] = {}
    for key, node in nodes.items():
        level = node.stage.order
        for other in node.inputs.values():
            if levels.get(other, 0) >= level:
                level = levels[other] + 1
        levels[key] = level
    return levels


def wanted_keys(
    nodes: Mapping[str, Node], leaves: Iterable[str], settled: Collection[str]
) -> set[str]:
    """Return the keys to compute: leaves that are not settled, and the stages that those read."""
    pending = [key for key in dict.fromkeys(leaves) if key not in settled]
    wanted: set[str] = set()
    while pending:
        key = pending.pop()
        if key not in wanted:
            wanted.add(key)
            pending.extend(other for other in nodes[key].inputs.values() if other not in settled)
    return wanted


def counts(nodes: Iterable[Node]) -> dict[str, int]:
    """Return the number of stages by kind, in the order of the data flow."""
    numbers = Counter(node.stage for node in nodes)
    return {stage.kind: numbers[stage] for stage in sorted(numbers, key=lambda stage: stage.order)}
