"""Runs tasks where they come after what they need: in this process, on a local cluster, or on a given scheduler.

Dask owns placement, retries, lost workers and memory limits; this module only hands it the graph and yields outcomes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any
from urllib.parse import urlsplit

from segkit.errors import UsageError
from segkit.study.graph import Task
from segkit.study.stages import Outcome, run_task

CONNECT_SECONDS = 15
LOST_WORKER_RETRIES = 2


@dataclass(frozen=True)
class EngineSettings:
    """How to execute: ``mode`` local or inline; ``address`` of a running scheduler takes precedence over local."""

    mode: str = "local"
    workers: int | None = None
    address: str | None = None
    memory_limit: str | int | float | None = "auto"

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
        self._stack = contextlib.ExitStack()
        self._client: Any = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def run(self, tasks: Sequence[Task], priorities: Mapping[str, float]) -> Generator[tuple[Task, list[Outcome]]]:
        """Run tasks and yield each with its outcomes as soon as it is done, in any order.

        Parameters
        ----------
        tasks
            In an order in which each comes after the ones that it names.
        priorities
            By task's name: of those that can start, the highest is started first.

        Raises
        ------
        StoreFull
            If a worker finds the disk full.
        UsageError
            If the scheduler's address does not answer.
        """
        if self.settings.mode == "inline":
            yield from _inline(tasks, self.store_root)
        elif tasks:
            if self._client is None:
                self._client = self._stack.enter_context(_client(self.settings))
            yield from _distributed(tasks, self.store_root, self._client, priorities)


def _inline(tasks: Sequence[Task], store_root: str) -> Iterator[tuple[Task, list[Outcome]]]:
    done: dict[str, list[Outcome]] = {}
    for task in tasks:
        done[task.name] = run_task(task, store_root, *(done[name] for name in task.after))
        yield task, done[task.name]


def _distributed(
    tasks: Sequence[Task], store_root: str, client: Any, priorities: Mapping[str, float]
) -> Iterator[tuple[Task, list[Outcome]]]:
    from distributed import as_completed

    # Another study on this scheduler may want the same tasks for a store of its own.
    launch = uuid.uuid4().hex[:8]
    futures: dict[str, Any] = {}
    for task in tasks:
        futures[task.name] = client.submit(
            run_task,
            task,
            store_root,
            *(futures[name] for name in task.after),
            key=f"{task.name}-{launch}",
            priority=priorities[task.name],
            retries=LOST_WORKER_RETRIES,
            pure=False,
        )
    by_key = {future.key: task for task, future in zip(tasks, futures.values(), strict=True)}
    try:
        for future in as_completed(list(futures.values())):
            task = by_key[future.key]
            yield task, _outcomes(task, future)
    finally:
        with contextlib.suppress(Exception):
            client.cancel(list(futures.values()))


def _outcomes(task: Task, future: Any) -> list[Outcome]:
    from distributed import KilledWorker

    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, KilledWorker):
        reason = f"{task.kind}: the worker was lost {LOST_WORKER_RETRIES + 1} times (out of memory?)"
        return [Outcome(node.key, "failed", reason) for node in task.nodes]
    raise error


@contextlib.contextmanager
def _client(settings: EngineSettings) -> Iterator[Any]:
    import dask
    from distributed import Client

    if settings.address:
        with _connect(settings.address) as client:
            yield client
        return
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    options = {
        "distributed.nanny.pre-spawn-environ": threads,
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
            memory_limit=settings.memory_limit,
            silence_logs=logging.CRITICAL,
        )
    try:
        yield cluster
    finally:
        cluster.close(timeout=10)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that leave Ctrl-C, which a terminal sends to all of them, to this one.

    They inherit that the signal is blocked; here it is only held back until the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It would lift the block of the thread that starts it.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
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
