"""What a launch computed: CPU seconds and memory by kind of stage, and what else took CPU time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from segkit.study.plan.keys import kind_of
from segkit.study.run.outcome import Outcome


@dataclass
class Work:
    """What a launch computed.

    Stages whose results were stored do not count, nor does the time of a failed stage. The clock
    begins before workers are started and ends with the results of the last task. It does not stop
    between the screen and the confirmation.

    Attributes
    ----------
    workers
        How many tasks run at once.
    seconds
        CPU seconds by kind of stage.
    peak, growth
        The largest memory of a stage in MiB by kind, as `segkit.study.run.resources.memory`
        measures it.
    overhead
        CPU seconds that went into no stage: ``scheduler``, ``starting`` and ``workers``.
    began, ended
        When the first task was handed over and the latest one finished, on the monotonic clock.
    """

    workers: int = 1
    seconds: Counter[str] = field(default_factory=Counter)
    peak: dict[str, float] = field(default_factory=dict)
    growth: dict[str, float] = field(default_factory=dict)
    overhead: dict[str, float] = field(default_factory=dict)
    began: float | None = None
    ended: float | None = None

    def begin(self) -> None:
        """Start the clock, unless it runs already."""
        if self.began is None:
            self.began = time.monotonic()
        self.ended = self.began

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Add the outcomes of a finished task."""
        self.ended = time.monotonic()
        for outcome in outcomes:
            kind = kind_of(outcome.key)
            memory = outcome.record.get("memory", {})
            self.seconds[kind] += outcome.record.get("seconds", 0.0)
            for name, most in (("peak", self.peak), ("growth", self.growth)):
                if name in memory:
                    most[kind] = max(most.get(kind, 0.0), memory[name])

    def add_overhead(self, process: float, starting: float, workers: float) -> None:
        """Add the CPU seconds that went into no stage.

        Parameters
        ----------
        process
            Of this process, since it handed the first task over: the scheduler, and the tables of
            what is finished.
        starting
            Of all workers, until they had imported and compiled what the study needs.
        workers
            Of all workers, from their start to now, stages included.
        """
        self.overhead["scheduler"] = self.overhead.get("scheduler", 0.0) + process
        self.overhead["starting"] = starting
        self.overhead["workers"] = max(0.0, workers - starting - self.seconds.total())

    @property
    def wall_seconds(self) -> float:
        """Wall seconds from the first task to the end of the latest one."""
        if self.began is None or self.ended is None:
            return 0.0
        return self.ended - self.began

    @property
    def efficiency(self) -> float | None:
        """CPU seconds of computed stages over wall seconds times workers; None without stages."""
        available = self.wall_seconds * self.workers
        if not self.seconds or not available:
            return None
        return self.seconds.total() / available

    def figures(self) -> dict[str, Any]:
        """Return the figures that are stored with a study."""
        efficiency = self.efficiency
        return {
            "efficiency": None if efficiency is None else round(efficiency, 4),
            "execution_seconds": round(self.wall_seconds, 2),
            "computed_seconds": {kind: round(seconds, 3) for kind, seconds in self.seconds.items()},
            "overhead_seconds": {
                name: round(seconds, 3) for name, seconds in self.overhead.items()
            },
            "peak_memory": dict(self.peak),
            "memory_growth": dict(self.growth),
        }
