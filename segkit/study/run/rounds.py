"""Runs bundles of tasks on workers, round after round, until each task is done or has failed.

Dask places tasks, starts lost workers again and enforces their memory limits. Here is decided what
becomes of a task whose worker was lost.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from segkit.errors import SegkitError, UsageError, WorkersLost
from segkit.study.plan.graph import Task
from segkit.study.run import compat, kernels, workers
from segkit.study.run.bundle import broken_inputs, not_ok, run_bundle
from segkit.study.run.outcome import Outcome
from segkit.study.run.scheduler import check_workers
from segkit.study.run.workers import Workers

if TYPE_CHECKING:
    from distributed import Client, Future

    Bundle = Sequence[Task]
    # For each task of a bundle the outcomes of its nodes.
    Outcomes = list[list[Outcome]]

# So many lost workers in a row, with no task done in between, are not the fault of the tasks.
_MOST_LOST = 20
# All runs need these. Where workers die with the first of them, nothing can be computed.
_FIRST = ("features", "scaling")
# A worker is back within seconds, on a busy machine too: after a minute none will come.
_LOOK_SECONDS = 5.0
_MOST_MISSES = 12


@dataclass(frozen=True)
class _Lost:
    """The result of a bundle that was lost: the tasks that may have killed its worker."""

    suspects: Sequence[Task]


class Rounds:
    """Runs bundles of tasks on workers.

    A lost worker loses its queued tasks too, and those that shared a bundle with the task that
    killed it. So lost tasks run again: first each suspect by itself, while nothing else runs, then
    the others. Only a suspect that loses its workers again has failed.

    Parameters
    ----------
    crew
        The workers.
    store_root
        Path of the store's folder.
    priorities
        By task's name: the highest of those that can start is started first.
    broken
        Outcomes without a result by key; those of the tasks are added.
    """

    def __init__(
        self,
        crew: Workers,
        store_root: str,
        priorities: Mapping[str, float],
        broken: dict[str, Outcome],
    ) -> None:
        self.crew = crew
        self.client = crew.client
        self.settings = crew.settings
        self.store_root = store_root
        self.priorities = priorities
        self.broken = broken
        self.lost_in_a_row = 0
        self.any_finished = False

    def run(self, bundles: Sequence[Bundle]) -> Iterator[tuple[Task, list[Outcome]]]:
        """Yield each task with the outcomes of its nodes, in any order.

        Raises
        ------
        UsageError
            If the workers survive no task, or one of them is not as required.
        WorkersLost
            If the scheduler, or all of its workers, are gone.
        """
        lost: set[str] = set()
        suspects: set[str] = set()
        for bundle, result in self._round(bundles):
            if isinstance(result, _Lost):
                lost.update(task.name for task in bundle)
                suspects.update(task.name for task in result.suspects)
            else:
                for task, outcomes in zip(bundle, result, strict=True):
                    yield task, self._noted(outcomes)
        again = [task for task in chain.from_iterable(bundles) if task.name in lost]
        for task in again:
            if task.name in suspects:
                yield task, self._noted(self._alone(task))
        rest = [(task,) for task in again if task.name not in suspects]
        if rest:
            yield from self.run(rest)

    def _alone(self, task: Task) -> list[Outcome]:
        """Run a suspect by itself and return the outcomes of its nodes."""
        ((_, result),) = self._round([(task,)])
        if not isinstance(result, _Lost):
            return result[0]
        if task.kind in _FIRST and not self.any_finished:
            raise self._dying(f"workers died with the first stage ({task.kind})")
        attempts = workers.LOST_WORKER_RETRIES + 1
        reason = f"{task.kind}: the worker was lost {attempts} times (out of memory?)"
        return [Outcome(node.key, "failed", reason, again=True) for node in task.nodes]

    def _noted(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Remember the outcomes without a result, for tasks that read them."""
        self.broken |= not_ok(outcomes)
        return outcomes

    def _round(self, bundles: Sequence[Bundle]) -> Iterator[tuple[Bundle, Outcomes | _Lost]]:
        """Run each bundle once and yield it with its outcomes, or with what it was lost with."""
        from distributed import as_completed

        submitted = self._submitted(bundles)
        by_key: dict[Hashable, Bundle] = {future.key: bundle for future, bundle in submitted}
        futures = [future for future, _ in submitted]
        try:
            with _watched(self.client, futures) as deserted:
                for future, result in as_completed(futures, with_results=True, raise_errors=False):
                    if future.status == "finished":
                        self.lost_in_a_row = 0
                        self.any_finished = True
                        yield by_key[future.key], result
                    elif future.status == "cancelled":
                        raise self.gone(deserted=deserted.is_set())
                    else:
                        yield by_key[future.key], self._lost(future, by_key)
        finally:
            # The scheduler may be gone.
            with contextlib.suppress(Exception):
                self.client.cancel(futures)

    def _submitted(self, bundles: Sequence[Bundle]) -> list[tuple[Future[Outcomes], Bundle]]:
        """Hand bundles over to the scheduler."""
        # Another study on this scheduler may have the same tasks, for a store of its own.
        launch = uuid.uuid4().hex[:8]
        if self.client.status != "running":
            # What is handed over now would wait for ever.
            raise self.gone(deserted=False)
        by_task: dict[str, Future[Outcomes]] = {}
        submitted: list[tuple[Future[Outcomes], Bundle]] = []
        for bundle in bundles:
            before: dict[Hashable, Future[Outcomes]] = {}
            for name in chain.from_iterable(task.after for task in bundle):
                if name in by_task:
                    before[by_task[name].key] = by_task[name]
            future = self.client.submit(
                run_bundle,
                bundle,
                self.store_root,
                self.crew.requirement,
                broken_inputs(self.broken, bundle),
                *before.values(),
                compiled=self._compilations(bundle),
                key=f"{bundle[0].name}-{launch}",
                priority=max(self.priorities[task.name] for task in bundle),
                retries=workers.LOST_WORKER_RETRIES,
                pure=False,
            )
            by_task.update((task.name, future) for task in bundle)
            submitted.append((future, bundle))
        return submitted

    def _compilations(self, bundle: Bundle) -> list[Future[float]]:
        """Return the compilations that a bundle has to wait for."""
        compilations = []
        for name in {kernels.needed_by(task) for task in bundle}:
            if name is not None and name in self.crew.compiled:
                future = self.crew.compiled[name]
                # Where the compilation was lost, the stage compiles on its own.
                if future.status in ("pending", "finished"):
                    compilations.append(future)
        return compilations

    def _lost(self, future: Future[Outcomes], by_key: Mapping[Hashable, Bundle]) -> _Lost:
        """Return the suspects of a bundle that was lost, or raise what else went wrong."""
        from distributed import KilledWorker

        error = future.exception()
        if isinstance(error, KilledWorker):
            killer = compat.lost_task(error)
            # Bundles that only waited fail with the same error and do not count. Neither does a
            # suspect that runs by itself: it says nothing of the others.
            if killer == future.key and len(by_key) > 1:
                self.lost_in_a_row += 1
            if self.lost_in_a_row >= _MOST_LOST:
                attempts = workers.LOST_WORKER_RETRIES + 1
                raise self._dying(f"workers died again and again, {attempts} times with each stage")
            return _Lost(by_key.get(killer, ()))
        requirement, address = self.crew.requirement, self.settings.scheduler
        if requirement is not None and address is not None and not isinstance(error, SegkitError):
            # A worker that joined later may not even be able to read what it is handed.
            check_workers(self.client, address, requirement)
        raise error

    def gone(self, *, deserted: bool) -> SegkitError:
        """Return the error that nothing is left to compute with.

        Parameters
        ----------
        deserted
            Whether the scheduler is there and lacks workers.
        """
        address = self.settings.scheduler
        if address is None:
            return self._dying("all workers died")
        lost = "all of its workers are" if deserted else "the scheduler is"
        return WorkersLost(f"engine.address={address}: {lost} gone")

    def _dying(self, event: str) -> UsageError:
        """Return the error that workers do not live long enough to compute anything."""
        settings = self.settings
        if settings.scheduler:
            return UsageError(
                f"engine.address={settings.scheduler}: {event} (out of memory?); give them more "
                "memory"
            )
        memory = "as much memory as it wants"
        if settings.most_memory is not None:
            memory = f"{settings.most_memory / 1e6:.0f} MB"
        return UsageError(
            f"engine.workers={settings.n_workers}: {event} (out of memory? each has {memory}); "
            "give them more (engine.memory_limit), ask for fewer, or run in one process with "
            "engine=inline"
        )


@contextlib.contextmanager
def _watched(client: Client, futures: Sequence[Future[Outcomes]]) -> Iterator[threading.Event]:
    """Cancel futures and set the event if no worker is there for a minute.

    Dask waits for new workers for ever.
    """
    deserted, over = threading.Event(), threading.Event()

    def watch() -> None:
        # Looks are counted, not seconds, which go on while this process is stopped.
        misses = 0
        while misses < _MOST_MISSES:
            if over.wait(_LOOK_SECONDS):
                return
            # Where the scheduler is gone, its client cancels the futures by itself.
            with contextlib.suppress(Exception):
                misses = 0 if client.nthreads() else misses + 1
        deserted.set()
        client.cancel(list(futures), force=True)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield deserted
    finally:
        over.set()
