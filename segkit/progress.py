"""Report a study's progress on stderr (a live display or plain lines) and in the study's folder."""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from segkit.study.keep.progress_file import COMPILING, Going, write_going
from segkit.study.plan.cost import Pace, duration, task_class, wall_seconds

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress as LiveDisplay
    from rich.progress import TaskID

    from segkit.study.plan.graph import Task
    from segkit.study.run.outcome import Outcome
    from segkit.study.run.preparation import Prepared

Running = Callable[[], Sequence[str]]

# At most one plain line in this time, so that a log stays short.
PLAIN_SECONDS = 10.0
# The share of the time left when the latest stage ended that is shown at least: the stages at work
# may take longer than expected.
LEAST_LEFT = 0.25
# How often the folder and the display are updated during a long stage; costs 0.1% of a core.
BEAT_SECONDS = 2.0
# How long the end of a study waits for the thread below, which may be asking workers that are gone.
JOIN_SECONDS = 5.0


class Progress(ABC):
    """Counts stages and runs, and estimates the time left; subclasses display both."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self.folder: Path | None = None
        self.part = ""
        self.todo: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.counts: Mapping[str, int] = {}
        self.estimates: dict[str, float] = {}
        self.left: defaultdict[tuple[str, str], float] = defaultdict(float)
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
        """Begin a study.

        Parameters
        ----------
        prepared
            The study.
        running
            Returns the kinds of the stages at work.
        screen, confirmation
            Expected wall seconds; None where there is no confirmation.
        """
        self.folder, self.running, self.later = prepared.folder, running, confirmation or 0.0
        parts = []
        if screen:
            parts.append(f"about {duration(screen)} for the screen")
        if confirmation:
            parts.append(f"about {duration(confirmation)} for the confirmation of the best")
        if parts:
            self._say(f"expected: {', then '.join(parts)}")

    def start(
        self,
        prepared: Prepared,
        tasks: Sequence[Task],
        finished: Mapping[str, int],
        part: str = "screen",
    ) -> None:
        """Begin a part of the study.

        Parameters
        ----------
        prepared
            The study.
        tasks
            The tasks to do.
        finished
            The number of runs by status before the part begins.
        part
            The part's name.
        """
        self._end()
        with self._lock:
            self.folder, self.part, self.counts = prepared.folder, part, finished
            self.began = self.latest = time.monotonic()
            self.paused = self.spent = self.work_done = 0.0
            self.later = 0.0 if part == "confirmation" else self.later
            self.workers = prepared.engine.n_workers
            self.estimates = {task.name: prepared.seconds([task]) for task in tasks}
            self.waiting = {task.name: task for task in tasks}
            self.todo, self.done, self.left = Counter(), Counter(), defaultdict(float)
            for task in tasks:
                self.todo[task.kind] += len(task.nodes)
                self.left[task_class(task)] += self.estimates[task.name]
            self.work = sum(self.estimates.values())
        if tasks:
            self._begin(
                f"{part}: {sum(self.todo.values())} stages to compute "
                f"{prepared.engine.description}, about {duration(self.seconds_left())}"
            )
        elif finished.get("ok"):
            self._begin("everything is stored already")
        else:
            self._begin("there is nothing to compute")
        self._beat()

    def compiling(self, expected: float | None) -> None:
        """Begin or end the compilation of the kernels.

        Parameters
        ----------
        expected
            Expected wall seconds of the compilation; None at its end.
        """
        with self._lock:
            if expected is not None:
                self.compiling_since, self.compiling_expected = time.monotonic(), expected
                self._say(f"{COMPILING}, about {duration(expected)}")
            elif self.compiling_since is not None:
                self.paused += time.monotonic() - self.compiling_since
                self.compiling_since, self.latest = None, time.monotonic()

    def advance(self, task: Task, outcomes: Sequence[Outcome], counts: Mapping[str, int]) -> None:
        """Count a finished task, and learn from how long it took."""
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
        """End the study: print its last state and remove the progress file."""
        self._stopped.set()
        if self._beating is not None:
            self._beating.join(JOIN_SECONDS)
        self._end()
        if self.folder is not None:
            write_going(self.folder, None)

    def seconds_left(self) -> float:
        """Return the estimated wall seconds left of this part, from the pace so far."""
        with self._lock:
            # Differences of floats seldom end at exactly zero.
            left = {name: seconds for name, seconds in self.left.items() if seconds > 1e-9}
            if not left:
                return 0.0
            cpu = self.pace.seconds(left)
            speed = cpu / sum(left.values())
            longest = speed * max((self.estimates[name] for name in self.waiting), default=0.0)
            compiled = compilation_left = 0.0
            if self.compiling_since is not None:
                compiled = time.monotonic() - self.compiling_since
                compilation_left = max(0.0, self.compiling_expected - compiled)
            # A stage counts only once it is done, so speed is measured up to the latest one.
            wall = wall_seconds(
                cpu, longest, self.spent, self.latest - self.began - self.paused, self.workers
            )
            since_latest = time.monotonic() - self.latest - compiled
            return compilation_left + max(wall - max(0.0, since_latest), LEAST_LEFT * wall)

    def line(self) -> str:
        """Return the state in one line."""
        runs = sum(self.counts.values())
        finished = runs - self.counts.get("waiting", 0)
        parts = []
        if self.compiling_since is not None:
            parts.append(COMPILING)
        parts.append(f"runs {finished}/{runs}")
        parts += [
            f"{self.counts[name]} {name}" for name in ("failed", "skipped") if self.counts.get(name)
        ]
        parts += [f"{kind} {self.done[kind]}/{count}" for kind, count in self.todo.items()]
        if self.waiting:
            parts.append(f"about {duration(self.seconds_left())} left")
        return " | ".join(parts)

    def _beat(self) -> None:
        """Start the thread that updates the folder and the display during long stages."""
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
        """Return the state that the progress file holds, given the kinds of the stages at work."""
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
    """Prints a line every few seconds, for logs and pipes."""

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
    """Shows a bar and a line that change in place, for a terminal."""

    display: LiveDisplay | None = None
    bar: TaskID

    def _begin(self, text: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as LiveDisplay

        self._say(text)
        columns = (
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self.display = LiveDisplay(*columns, console=Console(file=self.stream))
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
    """Prints nothing."""

    def _begin(self, text: str) -> None: ...

    def _say(self, text: str) -> None: ...

    def _show(self) -> None: ...

    def _end(self) -> None: ...


def work_line(figures: Mapping[str, Any]) -> str:
    """Return one line on what a launch computed and how well it used its workers.

    The line is empty if nothing was computed.

    Parameters
    ----------
    figures
        ``efficiency``, ``execution_seconds``, ``computed_seconds`` and ``peak_memory`` as kept in
        provenance.json.
    """
    if figures.get("efficiency") is None:
        return ""
    cpu = duration(sum(figures["computed_seconds"].values()))
    line = (
        f"{cpu} of stages in {duration(figures['execution_seconds'])}: "
        f"efficiency {figures['efficiency']:.0%}"
    )
    if figures["peak_memory"]:
        kind, peak = max(figures["peak_memory"].items(), key=lambda pair: pair[1])
        line += f", peak memory of a worker {peak:.0f} MiB ({kind})"
    return line


def progress(quiet: bool = False) -> Progress:
    """Return the progress display that suits stderr."""
    if quiet:
        return Silent()
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
