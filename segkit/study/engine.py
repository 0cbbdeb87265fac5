"""Runs tasks where they come after what they need: in this process, on a local cluster, or on a given scheduler.

Dask owns placement, retries, lost workers and memory limits; this module only hands it the graph, small tasks several
at once, and yields outcomes.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
import uuid
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import Any
from urllib.parse import urlsplit

from segkit.clustering.partition import MEMORY_VARIABLE
from segkit.errors import UsageError
from segkit.study.cost import bundles
from segkit.study.graph import Task
from segkit.study.keys import kind_of
from segkit.study.stages import Outcome, run_task
from segkit.targets import class_name

CONNECT_SECONDS = 15
LOST_WORKER_RETRIES = 2
# Below the priority of every task.
_LAST = -1e12
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Dask watches itself: by default its samples, ticks and counters take a twentieth of all cores.
_QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "2s",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.worker.memory.monitor-interval": "250ms",
}


LEAST_MEMORY = 300_000_000


@dataclass(frozen=True)
class EngineSettings:
    """How to execute: ``mode`` local or inline; ``address`` of a running scheduler takes precedence over local."""

    mode: str = "local"
    workers: int | None = None
    address: str | None = None
    memory_limit: str | int | float | None = "auto"
    time_limit: str | None = None

    @property
    def description(self) -> str:
        """One phrase for people."""
        if self.mode == "inline":
            return "in this process"
        if self.address:
            return f"on the scheduler at {self.address}"
        return f"on {self.n_workers} local workers"

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
        if machine is None or (self.address and self.mode != "inline"):
            return None
        if self.memory_limit is None:
            return machine
        return machine // self.n_workers if self.memory_limit == "auto" else min(machine, _bytes(self.memory_limit))

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
    return int(float(number) * (1024 if binary else 1000) ** " kMGT".index(prefix.replace("K", "k") or " "))


def check_memory(settings: EngineSettings) -> None:
    """Check that a worker has memory enough to start.

    Raises
    ------
    UsageError
        If not.
    """
    limit, most = settings.memory_limit, settings.most_memory
    if limit not in (None, "auto") and most is not None and most < LEAST_MEMORY:
        least = f"at least {LEAST_MEMORY // 1_000_000}MB, which a worker takes to start, with its unit, or auto or null"
        raise UsageError(f"engine.memory_limit={limit}: must be {least}")
    if limit == "auto" and most is not None and most < LEAST_MEMORY and settings.n_workers > 1:
        told = f"each takes {LEAST_MEMORY // 1_000_000} MB to start, and has {most / 1e6:.0f} MB of this machine"
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


def check_address(settings: EngineSettings) -> None:
    """Check before anything is written that something listens at the scheduler's address.

    Raises
    ------
    UsageError
        If nothing does.
    """
    address = settings.address
    if settings.mode == "inline" or not address:
        return
    parts = urlsplit(address)
    if parts.scheme not in ("tcp", "tls"):
        return
    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=CONNECT_SECONDS):
            pass
    except (OSError, ValueError, TypeError) as error:
        raise _no_scheduler(address, error) from error


@dataclass
class Work:
    """What a launch computed: CPU seconds and memory by kind of stage, and the time from the first task to the last.

    Stages that were found in the store do not count, nor does a failed stage's time. The clock begins before workers
    are started and ends with the last task's results, and runs between the screen and the confirmation.
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
            Of this process, since it handed the first task over: the scheduler, and the tables of what is finished.
        starting
            Of the workers, until they had imported and compiled what the study needs.
        workers
            Of the workers, from their start to now.
        """
        self.overhead["scheduler"] = self.overhead.get("scheduler", 0.0) + here
        self.overhead |= {"starting": starting, "workers": max(0.0, workers - starting - self.seconds.total())}

    def figures(self) -> dict[str, Any]:
        """Return what is kept of it with a study."""
        efficiency = self.efficiency
        return {
            "efficiency": None if efficiency is None else round(efficiency, 4),
            "execution_seconds": round(self.wall_seconds, 2),
            "computed_seconds": {kind: round(seconds, 3) for kind, seconds in self.seconds.items()},
            "overhead_seconds": {what: round(seconds, 3) for what, seconds in self.overhead.items()},
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
        self._started = 0.0
        self._warming: list[Any] = []

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def run(
        self, tasks: Sequence[Task], priorities: Mapping[str, float], seconds: Mapping[str, float] | None = None
    ) -> Generator[tuple[Task, list[Outcome]]]:
        """Run tasks and yield each with its outcomes as soon as it is done, in any order.

        Parameters
        ----------
        tasks
            In an order in which each comes after the ones that it names.
        priorities
            By task's name: of those that can start, the highest is started first.
        seconds
            By task's name: estimated CPU seconds. Small ones are handed to a worker several at once; without
            estimates each by itself.

        Raises
        ------
        StoreFull
            If a worker finds the disk full.
        UsageError
            If the scheduler's address does not answer.
        """
        if tasks:
            self.work.begin()
        begun = time.process_time()
        for task, outcomes in self._run(tasks, priorities, seconds):
            self.work.add(outcomes)
            yield task, outcomes
        if self._client is not None and not self.settings.address:
            warmed = sum(future.result() for future in self._warming if future.status == "finished")
            self.work.account(time.process_time() - begun, self._started + warmed, self._spent())

    def _spent(self) -> float:
        """Return the CPU seconds of all workers that are there, since they were started."""
        return sum(self._client.run(time.process_time, on_error="ignore").values())

    def _run(
        self, tasks: Sequence[Task], priorities: Mapping[str, float], seconds: Mapping[str, float] | None
    ) -> Iterator[tuple[Task, list[Outcome]]]:
        if self.settings.mode == "inline":
            with _environment(_told_memory(self.settings)):
                yield from _inline(tasks, self.store_root)
        elif tasks:
            if self._client is None:
                self._client = self._stack.enter_context(_client(self.settings))
                self.work.workers = self._workers()
                self._started = self._spent()
            if not self._warming:
                self._warm(tasks)
            bundled = [(task,) for task in tasks] if seconds is None else bundles(tasks, seconds, self.work.workers)
            yield from _Distributed(self._client, self.store_root, priorities).run(bundled)

    def _warm(self, tasks: Sequence[Task]) -> None:
        """Have each worker import and compile what the projections need, as long as it has nothing else to do."""
        nodes = [node for task in tasks if task.kind == "projection" for node in task.nodes]
        configs = list({class_name(node.config): dict(node.config) for node in nodes}.values())
        if configs:
            options = {"priority": _LAST, "pure": False}
            workers = self._client.nthreads()
            self._warming = [self._client.submit(_warmed, configs, workers=[name], **options) for name in workers]

    def _workers(self) -> int:
        """Return how many tasks run at once: on a scheduler of others, the threads of its workers."""
        if not self.settings.address:
            return self.settings.n_workers
        return max(1, sum(self._client.nthreads().values()))


def _warmed(configs: Sequence[Mapping[str, Any]]) -> float:
    """Return the CPU seconds that it took."""
    begun = time.process_time()
    from segkit import projection

    for config in configs:
        # What cannot be done here is told by the stage itself.
        with contextlib.suppress(Exception):
            projection.warm(config)
    return time.process_time() - begun


def _inline(tasks: Sequence[Task], store_root: str) -> Iterator[tuple[Task, list[Outcome]]]:
    done: dict[str, list[Outcome]] = {}
    for task in tasks:
        done[task.name] = run_task(task, store_root, *(done[name] for name in task.after))
        yield task, done[task.name]


def run_bundle(
    bundle: Sequence[Task], store_root: str, known: Sequence[Outcome], *before: Sequence[Sequence[Outcome]]
) -> list[list[Outcome]]:
    """Compute tasks one after another: what a worker is handed.

    Parameters
    ----------
    bundle
        Tasks in a possible order.
    store_root
        The store's folder.
    known
        Outcomes from elsewhere.
    before
        What this returned for the bundles that this one comes after.

    Returns
    -------
    list of list of Outcome
        For each task those of its nodes, in order.
    """
    others = [known, *(outcomes for bundle in before for outcomes in bundle)]
    done: list[list[Outcome]] = []
    for task in bundle:
        done.append(run_task(task, store_root, *others, *done))
    return done


class _Distributed:
    """Runs bundles of tasks on a scheduler.

    With a worker all is lost that waited for it or shared it with what it did not survive. So what was lost is done
    again, each task that a worker was lost with by itself while nothing else runs: only what is lost then has failed.
    """

    def __init__(self, client: Any, store_root: str, priorities: Mapping[str, float]):
        self.client = client
        self.store_root = store_root
        self.priorities = priorities
        self.broken: list[Outcome] = []

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
                yield task, self._noted(self._lost(task) if isinstance(found, _Lost) else found[0])
        rest = [(task,) for task in again if task.name not in suspects]
        if rest:
            yield from self.run(rest)

    def _noted(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Remember what is broken, for what stands on it."""
        self.broken += [outcome for outcome in outcomes if outcome.status != "ok"]
        return outcomes

    def _round(self, bundled: Sequence[Sequence[Task]]) -> Iterator[tuple[Sequence[Task], list[list[Outcome]] | _Lost]]:
        """Run bundles and yield each with its tasks' outcomes, or with those whose worker was lost."""
        from distributed import as_completed

        futures = self._submitted(bundled)
        by_key = {future.key: bundle for bundle, future in futures}
        try:
            for future, found in as_completed([future for _, future in futures], with_results=True, raise_errors=False):
                yield by_key[future.key], found if future.status == "finished" else _lost(future, by_key)
        finally:
            with contextlib.suppress(Exception):
                self.client.cancel([future for _, future in futures])

    def _submitted(self, bundled: Sequence[Sequence[Task]]) -> list[tuple[Sequence[Task], Any]]:
        # Another study on this scheduler may want the same tasks for a store of its own.
        launch = uuid.uuid4().hex[:8]
        made_by: dict[str, Any] = {}
        futures = []
        for bundle in bundled:
            after = {name: made_by[name] for task in bundle for name in task.after if name in made_by}
            wanted = {key for task in bundle for node in task.nodes for key in node.inputs.values()}
            future = self.client.submit(
                run_bundle,
                bundle,
                self.store_root,
                [outcome for outcome in self.broken if outcome.key in wanted],
                *{future.key: future for future in after.values()}.values(),
                key=f"{bundle[0].name}-{launch}",
                priority=max(self.priorities[task.name] for task in bundle),
                retries=LOST_WORKER_RETRIES,
                pure=False,
            )
            made_by.update((task.name, future) for task in bundle)
            futures.append((bundle, future))
        return futures

    def _lost(self, task: Task) -> list[Outcome]:
        reason = f"{task.kind}: the worker was lost {LOST_WORKER_RETRIES + 1} times (out of memory?)"
        return [Outcome(node.key, "failed", reason, again=True) for node in task.nodes]


@dataclass(frozen=True)
class _Lost:
    """What became of a bundle that was lost, or that stands on one: the tasks that workers were lost with."""

    suspects: Sequence[Task]


def _lost(future: Any, by_key: Mapping[str, Sequence[Task]]) -> _Lost:
    from distributed import KilledWorker

    error = future.exception()
    if isinstance(error, KilledWorker):
        return _Lost(by_key[error.task])
    raise error


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


@contextlib.contextmanager
def _client(settings: EngineSettings) -> Iterator[Any]:
    import dask
    from distributed import Client

    if settings.address:
        with _connect(settings.address) as client:
            yield client
        return
    options = {
        **_QUIET,
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(_THREADS, "1"),
        # In the worker alone: what is set before it starts is set here too for a moment, and numba minds a change.
        "distributed.nanny.environ": {"NUMBA_NUM_THREADS": "1", **_told_memory(settings)},
        "distributed.scheduler.allowed-failures": LOST_WORKER_RETRIES,
    }
    with dask.config.set(options), _local_cluster(settings) as cluster, Client(cluster) as client:
        yield client


@contextlib.contextmanager
def _local_cluster(settings: EngineSettings) -> Iterator[Any]:
    import logging

    from distributed import LocalCluster

    with _interrupts_held():
        cluster = LocalCluster(
            n_workers=settings.n_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            memory_limit=0 if settings.memory_limit is None else settings.most_memory or "auto",
            silence_logs=logging.CRITICAL,
        )
    try:
        yield cluster
    finally:
        cluster.close(timeout=10)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that leave Ctrl-C and a hang-up, which a terminal sends to all of them, to this one.

    They inherit that the signals are blocked; here they are only held back until the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    # It ignores Ctrl-C by itself, and would lift that block of the thread that starts it.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _connect(address: str) -> Any:
    from distributed import Client

    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise _no_scheduler(address, error) from error


def _no_scheduler(address: str, error: Exception) -> UsageError:
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    return UsageError(f"engine.address={address}: no scheduler answers there ({first_line})")
