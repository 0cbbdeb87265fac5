"""The workers of a study: started or connected to, prepared for its work, and asked about it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segkit.study.plan.graph import Task
from segkit.study.plan.keys import kind_of
from segkit.study.run import compat, kernels
from segkit.study.run.cluster import local_client
from segkit.study.run.requirement import Requirement
from segkit.study.run.scheduler import connected
from segkit.study.run.stages import KINDS
from segkit.targets import class_name

if TYPE_CHECKING:
    from distributed import Client, Future

    from segkit.study.run.settings import EngineSettings

# How many further workers a task gets after its first one was lost.
LOST_WORKER_RETRIES = 2
# Compiling comes before every task, in priority, and warming up after every task.
_SOON, _LAST = 1e12, -1e12
# An answer for the progress display is not worth waiting for any longer.
_ASK_SECONDS = 2


class Workers:
    """The workers of a study.

    Attributes
    ----------
    client
        Their client.
    settings
        Where they are.
    requirement
        What each of them must have; None for local workers.
    compiled
        The compilations of kernels on workers, by class.
    """

    def __init__(
        self, client: Client, settings: EngineSettings, requirement: Requirement | None
    ) -> None:
        self.client = client
        self.settings = settings
        self.requirement = requirement
        self.compiled: dict[str, Future[float]] = {}
        self._warmed: list[Future[float]] = []
        self._started_seconds = self.spent_seconds()

    @property
    def count(self) -> int:
        """How many tasks run at once: on a scheduler, the threads of its workers."""
        if not self.settings.scheduler:
            return self.settings.n_workers
        threads: Mapping[str, int] = self.client.nthreads()
        return max(1, sum(threads.values()))

    def spent_seconds(self) -> float:
        """Return the CPU seconds of all present workers since they were started."""
        seconds: Mapping[str, float] = self.client.run(time.process_time, on_error="ignore")
        return sum(seconds.values())

    def starting_seconds(self) -> float:
        """Return the CPU seconds that workers took to start, to compile and to warm up."""
        futures = (*self._warmed, *self.compiled.values())
        finished = [future.result() for future in futures if future.status == "finished"]
        return self._started_seconds + sum(finished)

    def kinds_at_work(self) -> list[str]:
        """Return the kind of stage that each busy worker computes, or does next.

        Empty if the scheduler does not answer.
        """
        # Progress must not end a study, whatever the scheduler says.
        with contextlib.suppress(Exception):
            kinds = [
                kind_of(str(key)) for key in compat.tasks_handed_out(self.client, _ASK_SECONDS)
            ]
            return [kind for kind in kinds if kind in KINDS]
        return []

    def compile(self, tasks: Sequence[Task], notify: Callable[[float | None], None]) -> None:
        """Have each kernel that this machine lacks compiled by one worker, beside other tasks.

        Parameters
        ----------
        tasks
            Tasks that may need kernels.
        notify
            Called with the expected wall seconds when compiling begins, and with None when it ends.
        """
        if self.settings.scheduler:
            return
        configs: dict[str, Mapping[str, Any]] = {}
        for name, config in kernels.uncompiled(tasks).items():
            if name not in self.compiled:
                configs[name] = config
        if not configs:
            return
        notify(kernels.compile_seconds(configs, self.count))
        futures = [
            self.client.submit(kernels.compile_kernels, config, priority=_SOON - place, pure=False)
            for place, config in enumerate(configs.values())
        ]
        self.compiled |= dict(zip(configs, futures, strict=True))

        def notify_of_end(_future: Future[float]) -> None:
            if all(future.done() for future in futures):
                notify(None)

        for future in futures:
            future.add_done_callback(notify_of_end)

    def warm(self, tasks: Sequence[Task]) -> None:
        """Have each worker load and compile what projections need, while it has nothing to do."""
        if self._warmed:
            return
        configs: dict[str, dict[str, Any]] = {}
        for task in tasks:
            if task.kind == "projection":
                configs |= {class_name(node.config): dict(node.config) for node in task.nodes}
        if not configs:
            return
        # Where one worker compiles a kernel, the others wait for it and load it.
        after = [self.compiled[name] for name in configs if name in self.compiled]
        self._warmed = [
            self.client.submit(
                kernels.warm_projections,
                list(configs.values()),
                after,
                workers=[worker],
                priority=_LAST,
                pure=False,
            )
            for worker in self.client.nthreads()
        ]


@contextlib.contextmanager
def opened(settings: EngineSettings, store_root: str) -> Iterator[Workers]:
    """Start workers on this machine, or connect to those of the scheduler, and yield them.

    Raises
    ------
    UsageError
        If local workers cannot be started, or the scheduler does not answer, or lacks workers as
        required.
    """
    if settings.scheduler:
        with connected(settings.scheduler, settings.tls_files, store_root) as (client, requirement):
            yield Workers(client, settings, requirement)
        return
    limit: int | str = settings.most_memory or "auto"
    if settings.memory_limit is None:
        limit = 0
    with local_client(
        settings.n_workers, limit, settings.memory_variable, LOST_WORKER_RETRIES
    ) as client:
        yield Workers(client, settings, None)
