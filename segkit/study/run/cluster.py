"""Workers of Dask on this machine, which nobody else reaches."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from segkit.errors import UsageError
from segkit.study.run import compat
from segkit.study.run.causes import causes, first_line

if TYPE_CHECKING:
    from distributed import Client, LocalCluster
    from distributed.security import Security

# A worker that replaces a lost one is back within seconds.
_RESTART_SECONDS = 5
_CLOSE_SECONDS = 10
_NO_FILES = (errno.EMFILE, errno.ENFILE)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_PROCESSES = (errno.EAGAIN, errno.ENOMEM)
_NO_NETWORK = (
    errno.ENETUNREACH,
    errno.EADDRNOTAVAIL,
    errno.ENETDOWN,
    errno.EHOSTUNREACH,
    errno.EAFNOSUPPORT,
)
_BEFORE_START = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    # A worker that replaces a lost one would log that it starts.
    "DASK_LOGGING__DISTRIBUTED": "critical",
}
# Not before the start: that would set it in this process too, where numba would compile again.
_AFTER_START = {"NUMBA_NUM_THREADS": "1"}


@contextlib.contextmanager
def local_client(
    workers: int, memory_limit: int | str, environment: Mapping[str, str], allowed_failures: int
) -> Iterator[Client]:
    """Start workers of one thread on this machine and yield their client.

    The scheduler and its workers run whatever they are sent, so they let in only clients with their
    keys. The keys are made here and handed over in pipes. The scratch folder, from which workers
    import too, is private.

    Parameters
    ----------
    workers
        Number of workers.
    memory_limit
        Bytes that each may take; ``auto`` for Dask's share of the machine's, 0 for any.
    environment
        Environment variables of the workers alone.
    allowed_failures
        How many workers a task may be lost with before it is given up.

    Raises
    ------
    UsageError
        If they cannot be started: too few open files, no shared memory, no loopback network, no
        memory.
    """
    import dask
    from distributed import Client

    configuration = {
        **compat.LOCAL_CONFIGURATION,
        compat.BEFORE_START: _BEFORE_START,
        compat.AFTER_START: {**_AFTER_START, **environment},
        compat.ALLOWED_FAILURES: allowed_failures,
    }
    with contextlib.ExitStack() as stack:
        try:
            _check_loopback()
            scratch = tempfile.TemporaryDirectory(prefix="segkit-", ignore_cleanup_errors=True)
            configuration[compat.SCRATCH_FOLDER] = stack.enter_context(scratch)
            stack.enter_context(dask.config.set(configuration))
            stack.enter_context(compat.silenced())
            cluster = stack.enter_context(_local_cluster(workers, memory_limit))
            client = stack.enter_context(Client(cluster))
        except (OSError, RuntimeError, MemoryError) as error:
            raise UsageError(
                f"engine.workers={workers}: no workers can be started: {_reason(error)}, or run in "
                "one process with engine=inline"
            ) from error
        yield client


@contextlib.contextmanager
def _local_cluster(workers: int, memory_limit: int | str) -> Iterator[LocalCluster]:
    from distributed import LocalCluster

    with _signals_kept_from_workers():
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            # Any port: there is a server even without a dashboard.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=memory_limit,
            security=temporary_security(),
            silence_logs=logging.CRITICAL,
        )
    try:
        yield cluster
    finally:
        # A worker that is closed while it replaces a lost one logs forty lines.
        with contextlib.suppress(TimeoutError):
            cluster.wait_for_workers(workers, timeout=_RESTART_SECONDS)
        cluster.close(timeout=_CLOSE_SECONDS)


def temporary_security() -> Security:
    """Return new keys for the connections within one cluster."""
    from distributed.security import Security

    security: Security = Security.temporary()
    return security


def _check_loopback() -> None:
    """Connect to a port of this machine; Dask would try that for a minute."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5),
    ):
        pass


def _reason(error: BaseException) -> str:
    """Say in a phrase why workers cannot be started, and what to do about it."""
    system_errors = [cause for cause in causes(error) if isinstance(cause, OSError)]
    number = next((cause.errno for cause in system_errors if cause.errno), None)
    *_, first_cause = causes(error)
    if number in _NO_FILES:
        return (
            f"too few files may be open at once ({_open_files()}); raise it (ulimit -n 1024), ask "
            "for fewer workers"
        )
    if number in _NO_SPACE:
        # The error of a semaphore names no file.
        names = (cause.filename for cause in system_errors if cause.filename)
        return f"no space is left in {next(names, '/dev/shm')}; make room there"
    if number is not None and number in _NO_NETWORK:
        return (
            f"the loopback network 127.0.0.1 does not work ({os.strerror(number)}); bring it up "
            "(ip link set lo up)"
        )
    if number in _NO_PROCESSES or isinstance(first_cause, MemoryError):
        return (
            "the system gives no more processes or memory "
            f"({first_line(first_cause)}); ask for fewer workers"
        )
    return f"{first_line(first_cause)}; ask for fewer workers"


def _open_files() -> str:
    try:
        import resource
    except ImportError:
        return "the system's limit"
    return f"ulimit -n is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"


@contextlib.contextmanager
def _signals_kept_from_workers() -> Iterator[None]:
    """Let processes that start in the block ignore Ctrl-C and a hang-up.

    A terminal sends both to all processes of its group. The new processes inherit that the signals
    are blocked; in this one they are only held back until the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    # Started before Ctrl-C is blocked: its start would lift that.
    compat.start_resource_tracker()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
