"""How a study goes on, told on stderr (a live display on a terminal, else plain lines) and in its folder."""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from segkit.study.keep.progress_file import COMPILING, Going, write_going
from segkit.study.plan.cost import Pace, duration, task_class, wall_seconds

if TYPE_CHECKING:
    from pathlib import Path

    from segkit.study.plan.graph import Task
    from segkit.study.run.outcome import Outcome
    from segkit.study.run.preparation import Prepared

Running = Callable[[], Sequence[str]]

PLAIN_SECONDS = 10.0
# Of the time left when the latest stage was done: what is at work may take longer than expected.
LEAST_LEFT = 0.25
# How often the folder is told, and the display of what takes long; a thousandth of a core.
BEAT_SECONDS = 2.0
# Of the thread that tells how it goes on; it may be asking workers that are gone.
JOIN_SECONDS = 5.0


class Progress(ABC):
    """Counts stages and runs, estimates the time left, and says so through ``_show``."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self.folder: Path | None = None
        self.part = ""
        self.todo: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.counts: Mapping[str, int] = {}
        self.estimates: dict[str, float] = {}
        self.left: Counter[tuple[str, str]] = Counter()
        self.waiting: dict[str, Task] = {}
        self.pace = Pace()
        self.later = self.work = self.work_done = self.spent = self.paused = 0.0
        self.workers = 1
        self.began = self.latest = time.monotonic()
        self.compiling_since: float | None = None
        self.compiling_expected = 0.0
        self.running: Running = tuple
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._beating: threading.Thread | None = None

    def expect(
        self, prepared: Prepared, running: Running, screen: float, confirmation: float | None
    ) -> None:
        """Take note of a study that begins.

        Parameters
        ----------
        prepared
            The study.
        running
            Returns the kinds of the stages that are at work.
        screen, confirmation
            Expected wall seconds; None where there is no confirmation.
        """
        self.folder, self.running, self.later = prepared.folder, running, confirmation or 0.0
        parts = [f"about {duration(screen)} for the screen"] if screen else []
        parts += (
            [f"about {duration(confirmation)} for the confirmation of the best"]
            if confirmation
            else []
        )
        if parts:
            self._say(f"expected: {', then '.join(parts)}")

    def start(
        self,
        prepared: Prepared,
        tasks: Sequence[Task],
        finished: Mapping[str, int],
        part: str = "screen",
    ) -> None:
        """Take note of the tasks to do."""
        self._end()
        with self._lock:
            self.folder, self.part, self.counts = prepared.folder, part, finished
            self.began = self.latest = time.monotonic()
            self.paused = self.spent = self.work_done = 0.0
            self.later = 0.0 if part == "confirmation" else self.later
            self.workers = prepared.engine.n_workers
            self.estimates = {task.name: prepared.seconds([task]) for task in tasks}
            self.waiting = {task.name: task for task in tasks}
            self.todo, self.done, self.left = Counter(), Counter(), Counter()
            for task in tasks:
                self.todo[task.kind] += len(task.nodes)
                self.left[task_class(task)] += self.estimates[task.name]
            self.work = sum(self.estimates.values())
        if tasks:
            left = duration(self.seconds_left())
            self._begin(
                f"{part}: {sum(self.todo.values())} stages to compute"
                f" {prepared.engine.description}, about {left}"
            )
        else:
            self._begin(
                "everything is stored already"
                if finished.get("ok")
                else "there is nothing to compute"
            )
        self._beat()

    def compiling(self, expected: float | None) -> None:
        """Take note that kernels begin to be compiled, in so many wall seconds, or (None) that all are there."""
        with self._lock:
            if expected is not None:
                self.compiling_since, self.compiling_expected = time.monotonic(), expected
                self._say(f"{COMPILING}, about {duration(expected)}")
            elif self.compiling_since is not None:
                self.paused += time.monotonic() - self.compiling_since
                self.compiling_since, self.latest = None, time.monotonic()

    def advance(self, task: Task, outcomes: Sequence[Outcome], counts: Mapping[str, int]) -> None:
        """Take note of a finished task."""
        seconds = sum(outcome.record.get("seconds", 0.0) for outcome in outcomes)
        with self._lock:
            self.latest = time.monotonic()
            estimate = self.estimates[task.name]
            self.done[task.kind] += len(task.nodes)
            self.work_done += estimate
            self.left[task_class(task)] -= estimate
            self.waiting.pop(task.name, None)
            self.counts = counts
            if all(outcome.status == "ok" for outcome in outcomes):
                self.spent += seconds
                self.pace.learn(task, estimate, seconds)
            self._show()

    def stop(self) -> None:
        """Say how it ended."""
        self._stopped.set()
        if self._beating is not None:
            self._beating.join(JOIN_SECONDS)
        self._end()
        if self.folder is not None:
            write_going(self.folder, None)

    def seconds_left(self) -> float:
        """Return the estimated wall seconds left of this part: by the pace so far of each kind and class of stage."""
        with self._lock:
            left = {name: seconds for name, seconds in self.left.items() if seconds > 1e-9}
            if not left:
                return 0.0
            cpu = self.pace.seconds(left)
            speed = cpu / sum(left.values())
            longest = speed * max((self.estimates[name] for name in self.waiting), default=0.0)
            compiling = (
                0.0 if self.compiling_since is None else time.monotonic() - self.compiling_since
            )
            # What is at work counts when it is done: until then the workers' speed is that of the
            # last time.
            since = time.monotonic() - self.latest - compiling
            first = max(0.0, self.compiling_expected - compiling) if compiling else 0.0
            left = wall_seconds(
                cpu, longest, self.spent, self.latest - self.began - self.paused, self.workers
            )
            return first + max(left - max(0.0, since), LEAST_LEFT * left)

    def line(self) -> str:
        """Return the state in one line."""
        runs = sum(self.counts.values())
        finished = runs - self.counts.get("waiting", 0)
        parts = [COMPILING] if self.compiling_since is not None else []
        parts += [f"runs {finished}/{runs}"]
        parts += [
            f"{self.counts[name]} {name}" for name in ("failed", "skipped") if self.counts.get(name)
        ]
        parts += [f"{kind} {self.done[kind]}/{count}" for kind, count in self.todo.items()]
        if self.waiting:
            parts.append(f"about {duration(self.seconds_left())} left")
        return " | ".join(parts)

    def _beat(self) -> None:
        """Tell the folder and the display how it goes on, now and then, however long a stage takes."""
        if self._beating is None:
            self._beating = threading.Thread(target=self._beats, name="progress", daemon=True)
            self._beating.start()

    def _beats(self) -> None:
        while True:
            running = self.running()
            with self._lock:
                self._show()
                going = self.going(running)
            if self.folder is not None:
                write_going(self.folder, going)
            if self._stopped.wait(BEAT_SECONDS):
                return

    def going(self, running: Sequence[str]) -> Going:
        """Return the state for whoever asks from another process, with the kinds of the stages at work."""
        return Going(
            part=self.part,
            compiling=self.compiling_since is not None,
            done={kind: self.done[kind] for kind in self.todo},
            stages=dict(self.todo),
            running=list(running),
            seconds_left=round(self.seconds_left(), 1),
            seconds_later=round(self.later, 1),
            written=time.time(),
        )

    @abstractmethod
    def _begin(self, text: str) -> None: ...

    @abstractmethod
    def _say(self, text: str) -> None: ...

    @abstractmethod
    def _show(self) -> None: ...

    @abstractmethod
    def _end(self) -> None: ...


class PlainProgress(Progress):
    """A line now and then: for logs and pipes."""

    last_time = 0.0
    last_line = ""

    def _begin(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        self.last_time, self.last_line = time.monotonic(), text
        elapsed = duration(self.last_time - self.began)
        print(f"[{elapsed:>8}] {text}", file=self.stream, flush=True)

    def _show(self) -> None:
        if time.monotonic() - self.last_time >= PLAIN_SECONDS:
            self._say(self.line())

    def _end(self) -> None:
        if self.counts and self.line() != self.last_line:
            self._say(self.line())


class LiveProgress(Progress):
    """A bar and a line that change in place: for a terminal."""

    display: Any = None

    def _begin(self, text: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Display

        self._say(text)
        columns = (
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self.display = Display(*columns, console=Console(file=self.stream))
        self.bar = self.display.add_task(self.line(), total=self.work or 1.0)
        self.display.start()

    def _say(self, text: str) -> None:
        from rich.console import Console

        console = self.display.console if self.display is not None else Console(file=self.stream)
        console.print(text, highlight=False, markup=False)

    def _show(self) -> None:
        if self.display is not None:
            self.display.update(self.bar, completed=self.work_done, description=self.line())

    def _end(self) -> None:
        if self.display is not None:
            self.display.update(self.bar, completed=self.work_done or 1.0, description=self.line())
            self.display.stop()
            self.display = None


class Silent(Progress):
    """Says nothing."""

    def _begin(self, text: str) -> None: ...

    def _say(self, text: str) -> None: ...

    def _show(self) -> None: ...

    def _end(self) -> None: ...


def work_line(figures: Mapping[str, Any]) -> str:
    """Return what a launch computed and how well it used its workers, in one line; empty if it computed nothing.

    Parameters
    ----------
    figures
        ``efficiency``, ``execution_seconds``, ``computed_seconds`` and ``peak_memory`` as kept in
        provenance.json.
    """
    if figures.get("efficiency") is None:
        return ""
    cpu = duration(sum(figures["computed_seconds"].values()))
    told = (
        f"{cpu} of stages in {duration(figures['execution_seconds'])}: efficiency"
        f" {figures['efficiency']:.0%}"
    )
    if figures["peak_memory"]:
        kind, peak = max(figures["peak_memory"].items(), key=lambda item: item[1])
        told += f", peak memory of a worker {peak:.0f} MiB ({kind})"
    return told


def progress(quiet: bool = False) -> Progress:
    """Return the way to tell progress that fits where stderr goes."""
    if quiet:
        return Silent()
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
