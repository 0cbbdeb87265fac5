"""The order in which workers are given tasks, and which small tasks they are given together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segkit.study.plan.cost import task_seconds

if TYPE_CHECKING:
    from segkit.study.plan.graph import Task
    from segkit.study.plan.stage import Shape

# Handing over a task takes 3 to 5 ms of CPU, so a bundle may be half a second long; with 20 bundles
# each, all workers end at about the same time.
_BUNDLE_SECONDS = 0.5
_BUNDLES_EACH = 20


def priorities(tasks: Sequence[Task], shapes: Mapping[str, Shape]) -> dict[str, float]:
    """Return the priority of each task by its name; the highest is begun first.

    Stages that make spaces come first, the head of the costliest chain before others, so that no
    long projection is left for the end. Then follows one space after another, the costliest first,
    so that runs finish one after another.
    """
    seconds = {task.name: task_seconds(task, shapes) for task in tasks}
    tails = _tails(tasks, seconds)
    by_space: dict[str, float] = defaultdict(float)
    for task in tasks:
        by_space[_space(task)] += seconds[task.name]
    in_order = sorted(by_space, key=lambda space: by_space[space])
    positions = {space: position for position, space in enumerate(in_order)}
    # More than any task takes: the position of a space counts more than the seconds of its tasks.
    step = max(seconds.values(), default=0.0) + 1.0
    by_name = {}
    for task in tasks:
        if task.stage.before_space:
            by_name[task.name] = step * (len(positions) + 1) + tails[task.name]
        else:
            by_name[task.name] = step * positions[_space(task)] + seconds[task.name]
    return by_name


def _tails(tasks: Sequence[Task], seconds: Mapping[str, float]) -> dict[str, float]:
    """Return for each task the seconds of the costliest chain that it begins."""
    tails: dict[str, float] = {}
    for task in reversed(tasks):
        tails[task.name] = seconds[task.name] + tails.get(task.name, 0.0)
        for name in task.after:
            tails[name] = max(tails.get(name, 0.0), tails[task.name])
    return tails


def _space(task: Task) -> str:
    """Return the key of the space in which the runs of a task cluster."""
    inputs = task.nodes[0].inputs
    return inputs.get("native") or inputs.get("space", "")


class _Bundle:
    """Tasks that a worker is given together, and the bundles that they come after."""

    def __init__(self, after: frozenset[int]) -> None:
        self.after = after
        self.tasks: list[Task] = []
        self.seconds = 0.0

    def add(self, task: Task, seconds: float) -> None:
        self.tasks.append(task)
        self.seconds += seconds


def bundles(
    tasks: Sequence[Task], seconds: Mapping[str, float], workers: int
) -> list[tuple[Task, ...]]:
    """Bundle small tasks, so that handing them over costs little and all workers are busy.

    A task joins a bundle that it comes after, or one that comes after the same bundles, if nothing
    then waits for more than it would have waited for. Bundles therefore never wait in a circle.

    Parameters
    ----------
    tasks
        Each after the tasks that it names.
    seconds
        Estimated CPU seconds by task name.
    workers
        Number of workers.

    Returns
    -------
    list of tuple of Task
        Each after the bundles that it needs, its tasks in a possible order.
    """
    limit = _bundle_seconds(sum(seconds[task.name] for task in tasks), workers)
    bundled: list[_Bundle] = []
    bundle_of: dict[str, int] = {}
    latest: dict[frozenset[int], int] = {}
    for task in tasks:
        needed = frozenset(bundle_of[name] for name in task.after if name in bundle_of)
        candidates = [index for index in needed if needed - {index} <= bundled[index].after]
        if needed in latest:
            candidates.append(latest[needed])
        own = seconds[task.name]
        fitting = (index for index in candidates if bundled[index].seconds + own <= limit)
        chosen = next(fitting, None)
        if chosen is None:
            chosen = latest[needed] = len(bundled)
            bundled.append(_Bundle(needed))
        bundled[chosen].add(task, own)
        bundle_of[task.name] = chosen
    return [tuple(bundle.tasks) for bundle in bundled]


def _bundle_seconds(total: float, workers: int) -> float:
    """Return the most seconds of a bundle: long against its overhead, short against a share."""
    return min(_BUNDLE_SECONDS, total / (workers * _BUNDLES_EACH))
