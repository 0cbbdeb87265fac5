"""How a study goes on, told on stderr: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from segkit.study.cost import duration

if TYPE_CHECKING:
    from segkit.study.graph import Task
    from segkit.study.prepare import Prepared

PLAIN_SECONDS = 10.0
# The plan's estimate counts as much as the pace so far when this share of the work is done, more before, less after.
TRUST = 0.05


class Progress(ABC):
    """Counts stages and runs, estimates the time left, and says so through ``_show``."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self.todo: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.counts: Mapping[str, int] = {}
        self.estimates: dict[str, float] = {}
        self.work = self.work_done = 0.0
        self.workers = 1
        self.began = time.monotonic()

    def start(self, prepared: Prepared, tasks: Sequence[Task], finished: Mapping[str, int]) -> None:
        """Take note of the tasks to do."""
        self._end()
        self.began = time.monotonic()
        self.todo, self.done, self.work_done = Counter(), Counter(), 0.0
        self.counts = finished
        self.workers = prepared.engine.n_workers
        self.estimates = {task.name: prepared.seconds([task]) for task in tasks}
        self.work = sum(self.estimates.values())
        for task in tasks:
            self.todo[task.kind] += len(task.nodes)
        if tasks:
            self._begin(f"{sum(self.todo.values())} stages to compute {prepared.engine.description}")
        else:
            self._begin("everything is stored already" if finished.get("ok") else "there is nothing to compute")

    def advance(self, task: Task, counts: Mapping[str, int]) -> None:
        """Take note of a finished task."""
        self.done[task.kind] += len(task.nodes)
        self.work_done += self.estimates[task.name]
        self.counts = counts
        self._show()

    def stop(self) -> None:
        """Say how it ended."""
        self._end()

    def seconds_left(self) -> float:
        """Return the estimated wall seconds left: at first by the plan's estimate, more and more by the pace so far."""
        supposed = TRUST * self.work
        if not supposed:
            return 0.0
        pace = (time.monotonic() - self.began + supposed / self.workers) / (self.work_done + supposed)
        return pace * (self.work - self.work_done)

    def line(self) -> str:
        """Return the state in one line."""
        runs = sum(self.counts.values())
        finished = runs - self.counts.get("waiting", 0)
        told = [f"runs {finished}/{runs}"]
        told += [f"{self.counts[name]} {name}" for name in ("failed", "skipped") if self.counts.get(name)]
        told += [f"{kind} {self.done[kind]}/{count}" for kind, count in self.todo.items()]
        if self.work_done < self.work:
            told.append(f"about {duration(self.seconds_left())} left")
        return " | ".join(told)

    @abstractmethod
    def _begin(self, text: str) -> None: ...

    @abstractmethod
    def _show(self) -> None: ...

    @abstractmethod
    def _end(self) -> None: ...


class PlainProgress(Progress):
    """A line now and then: for logs and pipes."""

    shown = 0.0
    told = ""

    def _begin(self, text: str) -> None:
        self._print(text)

    def _show(self) -> None:
        if time.monotonic() - self.shown >= PLAIN_SECONDS:
            self._print(self.line())

    def _end(self) -> None:
        if self.counts and self.line() != self.told:
            self._print(self.line())

    def _print(self, text: str) -> None:
        self.shown, self.told = time.monotonic(), text
        elapsed = duration(self.shown - self.began)
        print(f"[{elapsed:>8}] {text}", file=self.stream, flush=True)


class LiveProgress(Progress):
    """A bar and a line that change in place: for a terminal."""

    display: Any = None

    def _begin(self, text: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Display

        console = Console(file=self.stream)
        console.print(text, highlight=False)
        columns = (BarColumn(bar_width=30), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self.display = Display(*columns, console=console)
        self.bar = self.display.add_task(self.line(), total=self.work or 1.0)
        self.display.start()

    def _show(self) -> None:
        self.display.update(self.bar, completed=self.work_done, description=self.line())

    def _end(self) -> None:
        if self.display is not None:
            self.display.update(self.bar, completed=self.work_done or 1.0, description=self.line())
            self.display.stop()
            self.display = None


class Silent(Progress):
    """Says nothing."""

    def _begin(self, text: str) -> None: ...

    def _show(self) -> None: ...

    def _end(self) -> None: ...


def work_line(figures: Mapping[str, Any]) -> str:
    """Return what a launch computed and how well it used its workers, in one line; empty if it computed nothing.

    Parameters
    ----------
    figures
        ``efficiency``, ``execution_seconds``, ``computed_seconds`` and ``peak_memory`` as kept in provenance.json.
    """
    if figures.get("efficiency") is None:
        return ""
    cpu = duration(sum(figures["computed_seconds"].values()))
    told = f"{cpu} of stages in {duration(figures['execution_seconds'])}: efficiency {figures['efficiency']:.0%}"
    if figures["peak_memory"]:
        kind, peak = max(figures["peak_memory"].items(), key=lambda item: item[1])
        told += f", peak memory of a worker {peak:.0f} MiB ({kind})"
    return told


def progress(quiet: bool = False) -> Progress:
    """Return the way to tell progress that fits where stderr goes."""
    if quiet:
        return Silent()
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
