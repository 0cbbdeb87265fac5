"""Runs tasks where they come after what they need: in this process, on a local cluster, or on a given scheduler.

Dask owns placement, retries, lost workers and memory limits; this module only hands it the graph,
small tasks several at once, and yields outcomes.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segkit.clustering.partition import MEMORY_VARIABLE
from segkit.errors import SegkitError, UsageError, WorkersLost
from segkit.signals import guarded
from segkit.study.plan.graph import Task
from segkit.study.plan.keys import kind_of
from segkit.study.plan.schedule import bundles
from segkit.study.run import kernels
from segkit.study.run.cluster import Requirement, check_here, check_workers, connected, local_client
from segkit.study.run.outcome import Outcome
from segkit.study.run.stages import KINDS
from segkit.study.run.task import run_task
from segkit.targets import class_name

LOST_WORKER_RETRIES = 2
# One after another, with nothing done in between: then it is not the stages.
_MOST_LOST = 20
# A worker is back in seconds; also where the machine is busy.
_LOOK_SECONDS, _MOST_MISSES = 5.0, 12
# All runs stand on these: where workers die with the first of them, there is nothing to go on with.
_FIRST = ("features", "scaling")
# Above and below the priority of every task.
_SOON, _LAST = 1e12, -1e12
# For what is only told.
_ASK_SECONDS = 2
LEAST_MEMORY = 300_000_000


@dataclass(frozen=True)
class EngineSettings:
    """How to execute: ``mode`` local or inline; ``address`` of a running scheduler takes precedence over local."""

    mode: str = "local"
    workers: int | None = None
    address: str | None = None
    tls: Mapping[str, str | None] | None = None
    memory_limit: str | int | float | None = "auto"
    time_limit: str | None = None

    @property
    def description(self) -> str:
        """One phrase for people."""
        if self.mode == "inline":
            return "in this process"
        if self.scheduler:
            return f"on the scheduler at {self.address}"
        return f"on {self.n_workers} local workers"

    @property
    def scheduler(self) -> str | None:
        """Address of the scheduler to use; None for workers of one's own or none."""
        return None if self.mode == "inline" else self.address

    @property
    def tls_files(self) -> dict[str, str] | None:
        """The files that let one in at the scheduler, by name: ``ca``, ``cert`` and ``key``; None if not given."""
        files = {name: path for name, path in (self.tls or {}).items() if path is not None}
        return files or None

    @property
    def n_workers(self) -> int:
        """Number of local workers: as asked, else the cores that this process may use."""
        if self.mode == "inline":
            return 1
        return self.workers or available_cores()

    @property
    def most_memory(self) -> int | None:
        """Bytes that a stage may take, which is what a worker has; None where that is not known or not limited."""
        machine = machine_memory()
        if machine is None or self.scheduler:
            return None
        if self.memory_limit is None:
            return machine
        return (
            machine // self.n_workers
            if self.memory_limit == "auto"
            else min(machine, _bytes(self.memory_limit))
        )

    @property
    def most_seconds(self) -> float | None:
        """CPU seconds that a stage may be estimated to take; None where any time is allowed."""
        if self.time_limit is None:
            return None
        number, unit = re.fullmatch(r"([\d.]+)\s*(s|min|h|d)", self.time_limit).groups()
        return float(number) * {"s": 1, "min": 60, "h": 3600, "d": 86_400}[unit]


def _bytes(amount: str | float) -> int:
    """Return an amount of memory such as ``4GB``, ``512 MiB`` or 4e9 in bytes."""
    if isinstance(amount, int | float):
        return int(amount)
    number, prefix, binary = re.fullmatch(r"([\d.e+]+)\s*([kKMGT]?)(i?)B?", str(amount)).groups()
    return int(
        float(number) * (1024 if binary else 1000) ** " kMGT".index(prefix.replace("K", "k") or " ")
    )


def check_memory(settings: EngineSettings) -> None:
    """Check that a worker has memory enough to start.

    Raises
    ------
    UsageError
        If not.
    """
    limit, most = settings.memory_limit, settings.most_memory
    if limit not in (None, "auto") and most is not None and most < LEAST_MEMORY:
        least = (
            f"at least {LEAST_MEMORY // 1_000_000}MB, which a worker takes to start, with its unit,"
            " or auto or null"
        )
        raise UsageError(f"engine.memory_limit={limit}: must be {least}")
    if limit == "auto" and most is not None and most < LEAST_MEMORY and settings.n_workers > 1:
        told = (
            f"each takes {LEAST_MEMORY // 1_000_000} MB to start, and has {most / 1e6:.0f} MB of"
            " this machine"
        )
        raise UsageError(f"engine.workers={settings.n_workers}: too many; {told}")


def machine_memory() -> int | None:
    """Return this machine's memory in bytes; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_scheduler(settings: EngineSettings, store_root: str) -> None:
    """Check the scheduler that is to be used, if there is one, and its workers, before a study's folder is made.

    Raises
    ------
    UsageError
        If none answers, it has no workers, or one of them has other versions or does not see the
        store.
    """
    if settings.scheduler:
        with connected(settings.scheduler, settings.tls_files, store_root):
            pass


def open_scheduler(settings: EngineSettings) -> tuple[str, ...]:
    """Return the warning that a study's scheduler lets everybody in, if it does."""
    if not (settings.scheduler or "").startswith("tcp://"):
        return ()
    told = (
        "whoever reaches that port can run code on its workers and here; tls:// lets only owners of"
        " a key in"
    )
    return (f"engine.address={settings.scheduler} is open: {told}",)


@dataclass
class Work:
    """What a launch computed: CPU seconds and memory by kind of stage, and the time from the first task to the last.

    Stages that were found in the store do not count, nor does a failed stage's time. The clock
    begins before workers are started and ends with the last task's results, and runs between the
    screen and the confirmation.
    """

    workers: int = 1
    seconds: Counter[str] = field(default_factory=Counter)
    peak: dict[str, float] = field(default_factory=dict)
    growth: dict[str, float] = field(default_factory=dict)
    overhead: dict[str, float] = field(default_factory=dict)
    began: float | None = None
    ended: float | None = None

    def begin(self) -> None:
        """Take note that the first task is handed over now."""
        self.began = self.ended = time.monotonic() if self.began is None else self.began

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Take note of what a task found."""
        self.ended = time.monotonic()
        for outcome in outcomes:
            kind, used = kind_of(outcome.key), outcome.record.get("memory", {})
            self.seconds[kind] += outcome.record.get("seconds", 0.0)
            for name, found in (("peak", self.peak), ("growth", self.growth)):
                if name in used:
                    found[kind] = max(found.get(kind, 0.0), used[name])

    @property
    def wall_seconds(self) -> float:
        """Seconds from the first task to the end of the last one."""
        return 0.0 if self.began is None or self.ended is None else self.ended - self.began

    @property
    def efficiency(self) -> float | None:
        """CPU seconds of the computed stages over wall seconds times workers; None if nothing was computed."""
        available = self.wall_seconds * self.workers
        return self.seconds.total() / available if self.seconds and available else None

    def account(self, here: float, starting: float, workers: float) -> None:
        """Take note of CPU seconds that went into no stage, of which ``workers`` used so many in all.

        Parameters
        ----------
        here
            Of this process, since it handed the first task over: the scheduler, and the tables of
            what is finished.
        starting
            Of the workers, until they had imported and compiled what the study needs.
        workers
            Of the workers, from their start to now.
        """
        self.overhead["scheduler"] = self.overhead.get("scheduler", 0.0) + here
        self.overhead |= {
            "starting": starting,
            "workers": max(0.0, workers - starting - self.seconds.total()),
        }

    def figures(self) -> dict[str, Any]:
        """Return what is kept of it with a study."""
        efficiency = self.efficiency
        return {
            "efficiency": None if efficiency is None else round(efficiency, 4),
            "execution_seconds": round(self.wall_seconds, 2),
            "computed_seconds": {kind: round(seconds, 3) for kind, seconds in self.seconds.items()},
            "overhead_seconds": {
                what: round(seconds, 3) for what, seconds in self.overhead.items()
            },
            "peak_memory": dict(self.peak),
            "memory_growth": dict(self.growth),
        }


class Engine:
    """Runs tasks; a context, so that workers live from the first task to the end of the study.

    Parameters
    ----------
    settings
        Where to run.
    store_root
        Absolute path of the store, the same on every machine.
    """

    def __init__(self, settings: EngineSettings, store_root: str):
        self.settings = settings
        self.store_root = store_root
        self.work = Work(settings.n_workers)
        self._stack = contextlib.ExitStack()
        self._client: Any = None
        self._requirement: Requirement | None = None
        self._started = 0.0
        self._warming: list[Any] = []
        self._compiled: dict[str, Any] = {}
        #: Is told when the compilation of kernels begins, with its expected wall seconds, and with None when it ends.
        self.compiling: Callable[[float | None], None] = lambda _expected: None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client = None
        self._stack.close()

    def run(
        self,
        tasks: Sequence[Task],
        priorities: Mapping[str, float],
        seconds: Mapping[str, float] | None = None,
        known: Iterable[Outcome] = (),
    ) -> Generator[tuple[Task, list[Outcome]]]:
        """Run tasks and yield each with its outcomes as soon as it is done, in any order.

        Parameters
        ----------
        tasks
            In an order in which each comes after the ones that it names.
        priorities
            By task's name: of those that can start, the highest is started first.
        seconds
            By task's name: estimated CPU seconds. Small ones are handed to a worker several at
            once; without estimates each by itself.
        known
            Outcomes of stages that no task does again: tasks are told which of their inputs are
            impossible.

        Raises
        ------
        DiskFull
            If a worker finds the disk full.
        UsageError
            If no workers can be started, or they survive nothing; if the scheduler's address does
            not answer, or a worker of it is not fit.
        WorkersLost
            If the scheduler, or all of its workers, are gone.
        """
        if tasks:
            self.work.begin()
        begun = time.process_time()
        broken = {outcome.key: outcome for outcome in known if outcome.status != "ok"}
        for task, outcomes in self._run(tasks, priorities, seconds, broken):
            self.work.add(outcomes)
            yield task, outcomes
        if self._client is not None and not self.settings.scheduler:
            begun_first = (*self._warming, *self._compiled.values())
            warmed = sum(future.result() for future in begun_first if future.status == "finished")
            self.work.account(time.process_time() - begun, self._started + warmed, self._spent())

    def running(self) -> list[str]:
        """Return the kinds of the stages that are at work, one for each busy worker; empty where that is not known."""
        if self._client is None:
            return []
        with contextlib.suppress(Exception):
            scheduler = self._client.scheduler
            by_worker = self._client.sync(
                scheduler.processing, workers=None, callback_timeout=_ASK_SECONDS
            )
            # A worker is handed one more than it can begin: the first is at work.
            kinds = [kind_of(keys[0]) for keys in by_worker.values() if keys]
            return [kind for kind in kinds if kind in KINDS]
        return []

    def _spent(self) -> float:
        """Return the CPU seconds of all workers that are there, since they were started."""
        return sum(self._client.run(time.process_time, on_error="ignore").values())

    def _run(
        self,
        tasks: Sequence[Task],
        priorities: Mapping[str, float],
        seconds: Mapping[str, float] | None,
        broken: dict[str, Outcome],
    ) -> Iterator[tuple[Task, list[Outcome]]]:
        if self.settings.mode == "inline":
            # A worker can be killed from here; what computes here has nobody else to end it.
            with _environment(_told_memory(self.settings)), guarded():
                self._compile_here(tasks)
                yield from _inline(tasks, self.store_root, broken)
        elif tasks:
            if self._client is None:
                self._start()
                self.work.workers = self._workers()
                self._started = self._spent()
            self._compile(tasks)
            if not self._warming:
                self._warm(tasks)
            bundled = (
                [(task,) for task in tasks]
                if seconds is None
                else bundles(tasks, seconds, self.work.workers)
            )
            running = _Distributed(
                self._client,
                self.settings,
                self.store_root,
                priorities,
                broken,
                self._requirement,
                self._compiled,
            )
            from distributed.client import ClosedClientError
            from distributed.comm.core import CommClosedError

            try:
                yield from running.run(bundled)
            except (CommClosedError, ClosedClientError) as error:
                raise running.gone(deserted=False) from error

    def _start(self) -> None:
        settings = self.settings
        if settings.scheduler:
            context = connected(settings.scheduler, settings.tls_files, self.store_root)
            self._client, self._requirement = self._stack.enter_context(context)
            return
        limit = 0 if settings.memory_limit is None else settings.most_memory or "auto"
        context = local_client(
            settings.n_workers, limit, _told_memory(settings), LOST_WORKER_RETRIES
        )
        self._client = self._stack.enter_context(context)

    def _compile_here(self, tasks: Sequence[Task]) -> None:
        configs = kernels.uncompiled(tasks)
        if configs:
            self.compiling(kernels.compile_seconds(configs, 1))
            for config in configs.values():
                kernels.compile_kernels(config)
            self.compiling(None)

    def _compile(self, tasks: Sequence[Task]) -> None:
        """Have each kernel that this machine lacks compiled by one worker; what does not need it goes on beside."""
        if self.settings.scheduler:
            return
        configs = {
            name: item
            for name, item in kernels.uncompiled(tasks).items()
            if name not in self._compiled
        }
        if not configs:
            return
        self.compiling(kernels.compile_seconds(configs, self.work.workers))
        begun = [
            self._client.submit(kernels.compile_kernels, config, priority=_SOON - place, pure=False)
            for place, config in enumerate(configs.values())
        ]
        self._compiled |= dict(zip(configs, begun, strict=True))
        for future in begun:
            future.add_done_callback(
                lambda _future: all(item.done() for item in begun) and self.compiling(None)
            )

    def _warm(self, tasks: Sequence[Task]) -> None:
        """Have each worker import and compile what the projections need, as long as it has nothing else to do."""
        nodes = [node for task in tasks if task.kind == "projection" for node in task.nodes]
        configs = list({class_name(node.config): dict(node.config) for node in nodes}.values())
        if configs:
            # Where one worker compiles it, the others wait and load it.
            after = [
                self._compiled[name] for name in map(class_name, configs) if name in self._compiled
            ]
            options = {"priority": _LAST, "pure": False}
            workers = self._client.nthreads()
            self._warming = [
                self._client.submit(_warmed, configs, after, workers=[name], **options)
                for name in workers
            ]

    def _workers(self) -> int:
        """Return how many tasks run at once: on a scheduler of others, the threads of its workers."""
        if not self.settings.scheduler:
            return self.settings.n_workers
        return max(1, sum(self._client.nthreads().values()))


def _warmed(configs: Sequence[Mapping[str, Any]], _after: Sequence[float] = ()) -> float:
    """Return the CPU seconds that it took."""
    begun = time.process_time()
    from segkit import projection

    for config in configs:
        # What cannot be done here is told by the stage itself.
        with contextlib.suppress(Exception):
            projection.warm(config)
    return time.process_time() - begun


def _inline(
    tasks: Sequence[Task], store_root: str, broken: dict[str, Outcome]
) -> Iterator[tuple[Task, list[Outcome]]]:
    for task in tasks:
        outcomes = run_task(task, store_root, _inputs_among(broken, [task]))
        broken |= {outcome.key: outcome for outcome in outcomes if outcome.status != "ok"}
        yield task, outcomes


def _inputs_among(broken: Mapping[str, Outcome], tasks: Sequence[Task]) -> list[Outcome]:
    """Return the outcomes of the tasks' inputs that are broken."""
    keys = {key for task in tasks for node in task.nodes for key in node.inputs.values()}
    return [broken[key] for key in keys if key in broken]


def run_bundle(
    bundle: Sequence[Task],
    store_root: str,
    requirement: Requirement | None,
    known: Sequence[Outcome],
    *before: Sequence[Sequence[Outcome]],
    compiled: Sequence[float] = (),  # noqa: ARG001
) -> list[list[Outcome]]:
    """Compute tasks one after another: what a worker is handed.

    Parameters
    ----------
    bundle
        Tasks in a possible order.
    store_root
        The store's folder.
    requirement
        What this worker must have; None for one that was started from here.
    known
        Outcomes from elsewhere.
    before
        What this returned for the bundles that this one comes after.
    compiled
        Of the kernels that have to be there first.

    Returns
    -------
    list of list of Outcome
        For each task those of its nodes, in order.

    Raises
    ------
    UsageError
        If the worker is not as required: it came after the others had been checked.
    """
    if requirement is not None:
        check_here(requirement)
    others = [known, *(outcomes for bundle in before for outcomes in bundle)]
    done: list[list[Outcome]] = []
    for task in bundle:
        done.append(run_task(task, store_root, *others, *done))
    return done


class _Distributed:
    """Runs bundles of tasks on a scheduler.

    With a worker all is lost that waited for it or shared it with what it did not survive. So what
    was lost is done again, each task that a worker was lost with by itself while nothing else runs:
    only what is lost then has failed.
    """

    def __init__(
        self,
        client: Any,
        settings: EngineSettings,
        store_root: str,
        priorities: Mapping[str, float],
        broken: dict[str, Outcome],
        requirement: Requirement | None,
        compiled: Mapping[str, Any],
    ):
        self.compiled = compiled
        self.client = client
        self.settings = settings
        self.store_root = store_root
        self.priorities = priorities
        self.broken = broken
        self.requirement = requirement
        self.lost_in_a_row = 0
        # Whether any worker has finished anything.
        self.lived = False

    def run(self, bundled: Sequence[Sequence[Task]]) -> Iterator[tuple[Task, list[Outcome]]]:
        lost: set[str] = set()
        suspects: set[str] = set()
        for bundle, found in self._round(bundled):
            if isinstance(found, _Lost):
                lost.update(task.name for task in bundle)
                suspects.update(task.name for task in found.suspects)
            else:
                yield from zip(bundle, map(self._noted, found), strict=True)
        again = [task for bundle in bundled for task in bundle if task.name in lost]
        for task in again:
            if task.name in suspects:
                ((_, found),) = self._round([(task,)])
                if isinstance(found, _Lost) and task.kind in _FIRST and not self.lived:
                    raise self._dying(f"workers died with the first stage ({task.kind})")
                yield task, self._noted(self._lost(task) if isinstance(found, _Lost) else found[0])
        rest = [(task,) for task in again if task.name not in suspects]
        if rest:
            yield from self.run(rest)

    def _noted(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Remember what is broken, for what stands on it."""
        self.broken |= {outcome.key: outcome for outcome in outcomes if outcome.status != "ok"}
        return outcomes

    def _round(
        self, bundled: Sequence[Sequence[Task]]
    ) -> Iterator[tuple[Sequence[Task], list[list[Outcome]] | _Lost]]:
        """Run bundles and yield each with its tasks' outcomes, or with those whose worker was lost."""
        from distributed import as_completed

        submitted = self._submitted(bundled)
        by_key = {future.key: bundle for bundle, future in submitted}
        futures = [future for _, future in submitted]
        try:
            with _watched(self.client, futures) as deserted:
                for future, found in as_completed(futures, with_results=True, raise_errors=False):
                    if future.status == "finished":
                        self.lost_in_a_row, self.lived = 0, True
                        yield by_key[future.key], found
                    elif future.status == "cancelled":
                        raise self.gone(deserted.is_set())
                    else:
                        yield by_key[future.key], self._suspects(future, by_key)
        finally:
            with contextlib.suppress(Exception):
                self.client.cancel(futures)

    def gone(self, deserted: bool) -> SegkitError:
        """Return the error that nobody is there any more who could compute anything."""
        address = self.settings.scheduler
        if address is None:
            return self._dying("all workers died")
        lost = "all of its workers are" if deserted else "the scheduler is"
        return WorkersLost(f"engine.address={address}: {lost} gone")

    def _dying(self, what: str) -> UsageError:
        """Return the error that workers do not live long enough to compute anything."""
        settings = self.settings
        if settings.scheduler:
            return UsageError(
                f"engine.address={settings.scheduler}: {what} (out of memory?); give them more"
                " memory"
            )
        had = (
            "as much memory as they want"
            if settings.most_memory is None
            else f"{settings.most_memory / 1e6:.0f} MB"
        )
        told = f"{what} (out of memory? each has {had})"
        instead = (
            "give them more (engine.memory_limit), ask for fewer, or run in one process with"
            " engine=inline"
        )
        return UsageError(f"engine.workers={settings.n_workers}: {told}; {instead}")

    def _suspects(self, future: Any, by_key: Mapping[str, Sequence[Task]]) -> _Lost:
        """Return what was lost with a worker, or raise what went wrong on one."""
        from distributed import KilledWorker

        error = future.exception()
        if isinstance(error, KilledWorker):
            # What only waited for it is told the same; one that is tried by itself says nothing of
            # the others.
            self.lost_in_a_row += error.task == future.key and len(by_key) > 1
            if self.lost_in_a_row >= _MOST_LOST:
                raise self._dying(
                    f"workers died again and again, {LOST_WORKER_RETRIES + 1} times with each stage"
                )
            return _Lost(by_key.get(error.task, ()))
        if self.requirement is not None and not isinstance(error, SegkitError):
            # A worker that came later may not even understand what it is handed.
            check_workers(self.client, self.settings.scheduler, self.requirement)
        raise error

    def _submitted(self, bundled: Sequence[Sequence[Task]]) -> list[tuple[Sequence[Task], Any]]:
        # Another study on this scheduler may want the same tasks for a store of its own.
        launch = uuid.uuid4().hex[:8]
        if self.client.status != "running":
            # What is handed over now would wait for ever.
            raise self.gone(deserted=False)
        made_by: dict[str, Any] = {}
        futures = []
        for bundle in bundled:
            after = {
                name: made_by[name] for task in bundle for name in task.after if name in made_by
            }
            needed = [
                self.compiled[name]
                for name in set(map(kernels.needed_by, bundle))
                if name in self.compiled
            ]
            future = self.client.submit(
                run_bundle,
                bundle,
                self.store_root,
                self.requirement,
                _inputs_among(self.broken, bundle),
                *{future.key: future for future in after.values()}.values(),
                # Where that was lost, the stage compiles on its own.
                compiled=[item for item in needed if item.status in ("pending", "finished")],
                key=f"{bundle[0].name}-{launch}",
                priority=max(self.priorities[task.name] for task in bundle),
                retries=LOST_WORKER_RETRIES,
                pure=False,
            )
            made_by.update((task.name, future) for task in bundle)
            futures.append((bundle, future))
        return futures

    def _lost(self, task: Task) -> list[Outcome]:
        reason = (
            f"{task.kind}: the worker was lost {LOST_WORKER_RETRIES + 1} times (out of memory?)"
        )
        return [Outcome(node.key, "failed", reason, again=True) for node in task.nodes]


@dataclass(frozen=True)
class _Lost:
    """What became of a bundle that was lost, or that stands on one: the tasks that workers were lost with."""

    suspects: Sequence[Task]


@contextlib.contextmanager
def _watched(client: Any, futures: Sequence[Any]) -> Iterator[threading.Event]:
    """Cancel futures and set an event when no worker has been there for a minute: Dask waits for ever for new ones."""
    deserted, over = threading.Event(), threading.Event()

    def watch() -> None:
        # Looks, not seconds: those go on while this process is stopped.
        misses = 0
        while misses < _MOST_MISSES:
            if over.wait(_LOOK_SECONDS):
                return
            # Where the scheduler is gone, its client cancels by itself.
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


def _told_memory(settings: EngineSettings) -> dict[str, str]:
    """Return the variable that tells a worker's stages how much memory they have."""
    most = settings.most_memory
    return {} if most is None else {MEMORY_VARIABLE: str(most)}


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
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
