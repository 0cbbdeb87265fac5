"""Estimated seconds of each stage: for the order of work and for people, never for a result."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segkit.targets import class_name

if TYPE_CHECKING:
    from segkit.study.plan.graph import Task
    from segkit.study.plan.stage import Node, Shape

# What the smallest stage takes: its inputs read, its result written.
_LEAST_SECONDS = 0.002
# To hand a task over takes 3 to 5 ms of CPU. A worker should be handed so many, that all end at
# about the same time.
_BUNDLE_SECONDS = 0.5
_BUNDLES_EACH = 20
# The plan's estimate counts as much as what was measured when this share of the work is done, more
# before, less after.
TRUST = 0.05
# So much of one kind and class has to be measured to count as much as what was expected of it.
_NOISE_SECONDS = 0.05
# The share of the workers' time that goes into stages, before it is known.
_EFFICIENCY = 0.9


class Pace:
    """Learns from finished stages how long those of each kind and class take, against what was estimated."""

    def __init__(self) -> None:
        self._estimated: Counter[tuple[str, str]] = Counter()
        self._measured: Counter[tuple[str, str]] = Counter()

    def learn(self, task: Task, estimate: float, seconds: float) -> None:
        """Take note of the CPU seconds of a finished task."""
        self._estimated[task_class(task)] += estimate
        self._measured[task_class(task)] += seconds

    def seconds(self, estimates: Mapping[tuple[str, str], float]) -> float:
        """Return the CPU seconds of work that is yet to do, from its estimates by kind and class of stage.

        A class that was measured goes by what was measured; one that was not goes by all others,
        which tell at least how fast this machine is.
        """
        total = sum(estimates.values()) + sum(self._estimated.values())
        overall = _ratio(
            sum(self._measured.values()), sum(self._estimated.values()), TRUST * total, 1.0
        )
        return sum(
            left * _ratio(self._measured[name], self._estimated[name], _NOISE_SECONDS, overall)
            for name, left in estimates.items()
        )


def _ratio(measured: float, estimated: float, trust: float, supposed: float) -> float:
    return (measured + trust * supposed) / (estimated + trust) if estimated + trust else supposed


def wall_seconds(left: float, longest: float, spent: float, elapsed: float, workers: int) -> float:
    """Return the wall seconds in which workers do what is left.

    Parameters
    ----------
    left, longest
        CPU seconds of all work that is left, and of the task among it that takes longest.
    spent, elapsed
        CPU seconds of what was done so far, and the wall seconds that it took.
    workers
        How many work at once.
    """
    # Tasks that are not finished count for nothing yet: little is concluded from the first seconds.
    trust = TRUST * (left + spent) + workers * longest
    efficiency = (spent + trust * _EFFICIENCY) / (elapsed * workers + trust) if trust else 1.0
    return max(left / workers, longest) / min(1.0, efficiency)


def task_class(task: Task) -> tuple[str, str]:
    """Return what tells how long a task takes: its kind, and the class of its estimator where it has one."""
    return task.kind, _target(task.nodes[0])


def _target(node: Node) -> str:
    config = node.config.get("clusterer", node.config)
    return class_name(config) if "_target_" in config else ""


def node_seconds(node: Node, customers: int, *, further: bool = False) -> float:
    """Return the estimated CPU seconds of one stage.

    Parameters
    ----------
    node
        The stage.
    customers
        How many it is about.
    further
        Whether another stage of its task has done the work that they share.
    """
    least = _LEAST_SECONDS / 2 if further else _LEAST_SECONDS
    return least + node.stage.seconds(node, customers, further)


def task_seconds(task: Task, shapes: Mapping[str, Shape]) -> float:
    """Return the estimated CPU seconds of a task, whose stages share their work."""
    return sum(
        node_seconds(node, shapes[node.key].customers, further=place > 0)
        for place, node in enumerate(task.nodes)
    )


def priorities(tasks: Sequence[Task], shapes: Mapping[str, Shape]) -> dict[str, float]:
    """Return the order of work by task's name, highest first.

    What makes spaces comes first, the head of the most costly chain before others, so that no long
    projection is left for the end. Then one space after another, the most costly first, so that
    runs finish one after another.
    """
    seconds = {task.name: task_seconds(task, shapes) for task in tasks}
    tails = _tails(tasks, seconds)
    by_space: dict[str, float] = defaultdict(float)
    for task in tasks:
        by_space[_space(task)] += seconds[task.name]
    places = {
        space: place
        for place, space in enumerate(sorted(by_space, key=lambda space: by_space[space]))
    }
    longest = max(seconds.values(), default=0.0) + 1.0
    found = {}
    for task in tasks:
        if task.stage.before_space:
            found[task.name] = longest * (len(places) + 1) + tails[task.name]
        else:
            found[task.name] = longest * places[_space(task)] + seconds[task.name]
    return found


def bundles(
    tasks: Sequence[Task], seconds: Mapping[str, float], workers: int
) -> list[tuple[Task, ...]]:
    """Put small tasks together, so that handing them over costs little and yet all workers have enough to do.

    A task joins the bundle that it comes after, or one that comes after the same, if that makes
    nothing wait for more than it would have waited for; so bundles wait for each other in no
    circle.

    Parameters
    ----------
    tasks
        In an order in which each comes after the ones that it names.
    seconds
        By task's name: estimated CPU seconds.
    workers
        How many work at once.

    Returns
    -------
    list of tuple of Task
        Each after those that it needs, its tasks in a possible order.
    """
    limit = _bundle_seconds(sum(seconds[task.name] for task in tasks), workers)
    made: list[list[Task]] = []
    filled: list[float] = []
    before: list[frozenset[int]] = []
    place: dict[str, int] = {}
    beside: dict[frozenset[int], int] = {}
    for task in tasks:
        own = seconds[task.name]
        needed = frozenset(place[name] for name in task.after if name in place)
        open_ones = [index for index in needed if needed - {index} <= before[index]]
        open_ones += [beside[needed]] if needed in beside else []
        chosen = next((index for index in open_ones if filled[index] + own <= limit), None)
        if chosen is None:
            chosen = len(made)
            made.append([])
            filled.append(0.0)
            before.append(needed)
            beside[needed] = chosen
        made[chosen].append(task)
        filled[chosen] += own
        place[task.name] = chosen
    return [tuple(bundle) for bundle in made]


def _bundle_seconds(total: float, workers: int) -> float:
    """Return how long a bundle may be: long against its overhead, short against each worker's share of the work."""
    return min(_BUNDLE_SECONDS, total / (workers * _BUNDLES_EACH))


def _tails(tasks: Sequence[Task], seconds: Mapping[str, float]) -> dict[str, float]:
    """Return each task's seconds to the end of the most costly chain that it starts."""
    tails: dict[str, float] = {}
    for task in reversed(tasks):
        tails[task.name] = seconds[task.name] + tails.get(task.name, 0.0)
        for name in task.after:
            tails[name] = max(tails.get(name, 0.0), tails[task.name])
    return tails


def _space(task: Task) -> str:
    """Return the key of the space that the runs of a task cluster in."""
    inputs = task.nodes[0].inputs
    return inputs.get("native") or inputs.get("space", "")


def duration(seconds: float) -> str:
    """Return a span of time in words short enough for a line: ``42 s``, ``3:05 min``, ``2:10 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
