"""Runs tasks in an order in which each comes after what it needs, in this process or on workers.

Small tasks are handed to a worker several at once. How tasks run on workers is in
`segkit.study.run.rounds`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

from segkit.signals import guarded
from segkit.study.plan.graph import Task
from segkit.study.plan.schedule import bundles
from segkit.study.run import compat, kernels
from segkit.study.run.bundle import broken_inputs, not_ok
from segkit.study.run.outcome import Outcome
from segkit.study.run.rounds import Rounds
from segkit.study.run.settings import EngineSettings
from segkit.study.run.task import run_task
from segkit.study.run.work import Work
from segkit.study.run.workers import Workers, opened


def _ignore(_expected_seconds: float | None) -> None:
    pass


class Engine:
    """Runs tasks; a context, so that workers live from the first task to the end of the study.

    Parameters
    ----------
    settings
        Where to run.
    store_root
        Absolute path of the store, the same on every machine.

    Attributes
    ----------
    work
        What was computed.
    compiling
        Called with the expected wall seconds when the compilation of kernels begins, and with None
        when it ends; may be replaced.
    """

    def __init__(self, settings: EngineSettings, store_root: str) -> None:
        self.settings = settings
        self.store_root = store_root
        self.work = Work(settings.n_workers)
        self.compiling: Callable[[float | None], None] = _ignore
        self._stack = contextlib.ExitStack()
        self._workers: Workers | None = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_error: object) -> None:
        self._workers = None
        self._stack.close()

    def run(
        self,
        tasks: Sequence[Task],
        priorities: Mapping[str, float],
        seconds: Mapping[str, float] | None = None,
        known: Iterable[Outcome] = (),
    ) -> Generator[tuple[Task, list[Outcome]]]:
        """Run tasks and yield each with the outcomes of its nodes when it is done, in any order.

        Parameters
        ----------
        tasks
            In an order in which each comes after the ones that it names.
        priorities
            By task's name: the highest of those that can start is started first.
        seconds
            By task's name: estimated CPU seconds, by which small tasks are handed over several at
            once; None to hand over each by itself.
        known
            Outcomes of stages that no task computes. Those without a result are passed to the tasks
            that read them.

        Raises
        ------
        DiskFull
            If a worker finds the disk full.
        UsageError
            If no workers can be started, or they survive no task; if the scheduler does not answer,
            or one of its workers is not as required.
        WorkersLost
            If the scheduler, or all of its workers, are gone.
        """
        if tasks:
            self.work.begin()
        begun = time.process_time()
        broken = not_ok(known)
        if self.settings.mode == "inline":
            results = self._run_inline(tasks, broken)
        else:
            results = self._run_on_workers(tasks, priorities, seconds, broken)
        for task, outcomes in results:
            self.work.add(outcomes)
            yield task, outcomes
        # CPU seconds of others' workers may be spent on others' studies.
        if self._workers is not None and not self.settings.scheduler:
            self.work.add_overhead(
                process=time.process_time() - begun,
                starting=self._workers.starting_seconds(),
                workers=self._workers.spent_seconds(),
            )

    def running(self) -> list[str]:
        """Return the kind of stage that each busy worker computes, or does next.

        Empty where that is unknown.
        """
        return [] if self._workers is None else self._workers.kinds_at_work()

    def _run_inline(
        self, tasks: Sequence[Task], broken: dict[str, Outcome]
    ) -> Iterator[tuple[Task, list[Outcome]]]:
        if not tasks:
            return
        # Workers can be killed from here. This process has nobody else to end it.
        with _environment(self.settings.memory_variable), guarded():
            self._compile_inline(tasks)
            for task in tasks:
                outcomes = run_task(task, self.store_root, broken_inputs(broken, [task]))
                broken |= not_ok(outcomes)
                yield task, outcomes

    def _compile_inline(self, tasks: Sequence[Task]) -> None:
        configs = kernels.uncompiled(tasks)
        if configs:
            self.compiling(kernels.compile_seconds(configs, 1))
            for config in configs.values():
                kernels.compile_kernels(config)
            self.compiling(None)

    def _run_on_workers(
        self,
        tasks: Sequence[Task],
        priorities: Mapping[str, float],
        seconds: Mapping[str, float] | None,
        broken: dict[str, Outcome],
    ) -> Iterator[tuple[Task, list[Outcome]]]:
        if not tasks:
            return
        workers = self._start()
        workers.compile(tasks, self.compiling)
        workers.warm(tasks)
        rounds = Rounds(workers, self.store_root, priorities, broken)
        bundled: Sequence[tuple[Task, ...]] = [(task,) for task in tasks]
        if seconds is not None:
            bundled = bundles(tasks, seconds, self.work.workers)
        try:
            yield from rounds.run(bundled)
        except (compat.closed_connection(), compat.closed_client()) as error:
            raise rounds.gone(deserted=False) from error

    def _start(self) -> Workers:
        """Return the workers, which are started if there are none yet."""
        if self._workers is None:
            self._workers = self._stack.enter_context(opened(self.settings, self.store_root))
            self.work.workers = self._workers.count
        return self._workers


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while the block runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
