"""Estimated seconds of stages: for the order of work and for people, never for a result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from segkit.targets import class_name

if TYPE_CHECKING:
    from segkit.study.plan.graph import Task
    from segkit.study.plan.stage import Node, Shape

# A kind of stage and the class of its estimator.
TaskClass = tuple[str, str]

# The smallest stage still reads its inputs and writes its result.
_LEAST_SECONDS = 0.002
# At this share of the work done, the plan's estimate and the measured times count the same.
TRUST = 0.05
# After so many measured seconds of one class, they count as much as the estimate.
_NOISE_SECONDS = 0.05
# The share of the workers' time that goes into stages, until it is measured.
_EFFICIENCY = 0.9


class Pace:
    """Learns from finished stages how far the estimates of each class are off."""

    def __init__(self) -> None:
        self._estimated: defaultdict[TaskClass, float] = defaultdict(float)
        self._measured: defaultdict[TaskClass, float] = defaultdict(float)

    def learn(self, task: Task, estimate: float, seconds: float) -> None:
        """Add the estimated and the measured CPU seconds of a finished task."""
        self._estimated[task_class(task)] += estimate
        self._measured[task_class(task)] += seconds

    def seconds(self, estimates: Mapping[TaskClass, float]) -> float:
        """Return the CPU seconds of the remaining work, from its estimates by class.

        Measured classes are corrected by their own measurements, other classes by all measurements,
        which show at least how fast this machine is.
        """
        total = sum(estimates.values()) + sum(self._estimated.values())
        overall = _ratio(
            sum(self._measured.values()), sum(self._estimated.values()), TRUST * total, 1.0
        )
        return sum(
            left * _ratio(self._measured[name], self._estimated[name], _NOISE_SECONDS, overall)
            for name, left in estimates.items()
        )


def _ratio(measured: float, estimated: float, trust: float, prior: float) -> float:
    """Return measured over estimated, drawn towards a prior as if that rested on ``trust``."""
    if not estimated + trust:
        return prior
    return (measured + trust * prior) / (estimated + trust)


def wall_seconds(left: float, longest: float, spent: float, elapsed: float, workers: int) -> float:
    """Return the wall seconds that the remaining work takes.

    Parameters
    ----------
    left, longest
        CPU seconds of all remaining work, and of its longest task.
    spent, elapsed
        CPU seconds of the finished work, and the wall seconds it took.
    workers
        Number of workers.
    """
    # Unfinished tasks do not count as spent, so the first seconds say little about the efficiency.
    trust = TRUST * (left + spent) + workers * longest
    efficiency = 1.0
    if trust:
        efficiency = (spent + trust * _EFFICIENCY) / (elapsed * workers + trust)
    return max(left / workers, longest) / min(1.0, efficiency)


def task_class(task: Task) -> TaskClass:
    """Return the kind of a task and the class of its estimator, empty where it has none."""
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
        Number of customers.
    further
        Whether another stage of its task has done the work that they share.
    """
    least = _LEAST_SECONDS / 2 if further else _LEAST_SECONDS
    return least + node.stage.seconds(node, customers, further)


def task_seconds(task: Task, shapes: Mapping[str, Shape]) -> float:
    """Return the estimated CPU seconds of a task, whose stages share their work."""
    seconds = 0.0
    for position, node in enumerate(task.nodes):
        seconds += node_seconds(node, shapes[node.key].customers, further=position > 0)
    return seconds


def duration(seconds: float) -> str:
    """Return a span of time as a short text: ``42 s``, ``3:05 min``, ``2:10 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
