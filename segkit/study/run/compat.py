"""What depends on the inside of libraries, in one place.

Tested with distributed 2026.8, numba 0.68, scikit-learn 1.9 and CPython 3.11. By its source,
distributed 2025.4 has all of it as well; 2025.1 lacks `ClosedClientError` and the argument of
`identity`. Where a public way exists, the function names it and says why it is not taken.
`tests/study/run/test_run_compat.py` fails clearly where an upgrade breaks one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Hashable, Iterator, Mapping
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client, KilledWorker
    from distributed.security import Security

_SILENT = logging.CRITICAL + 1

# Names of Dask's configuration are public, but an unknown name is accepted in silence.
LOCAL_CONFIGURATION: Mapping[str, Any] = {
    # Dask watches itself: by default its samples, ticks and counters take 5% of all cores.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "2s",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.worker.memory.monitor-interval": "250ms",
    # A worker whose libraries alone take 80% of its memory would pause for ever. One that takes
    # more than it has is killed.
    "distributed.worker.memory.pause": False,
    # Results are small: files would save no memory, and reading them takes time.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    # The HTTP servers do not use TLS here, so they serve no page.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
# Further names, whose values depend on the study.
ALLOWED_FAILURES = "distributed.scheduler.allowed-failures"
SCRATCH_FOLDER = "temporary-directory"
# Set in this process while a worker starts, and in the worker.
BEFORE_START = "distributed.nanny.pre-spawn-environ"
# Set in the worker alone, after it has started.
AFTER_START = "distributed.nanny.environ"


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Silence Dask and asyncio: their long logs repeat what an error here says in one line.

    ``LocalCluster(silence_logs=...)`` is the public way, for the life of a local cluster alone.
    """
    from distributed.utils import silence_logging_cmgr

    loop = logging.getLogger("asyncio")
    level = loop.level
    loop.setLevel(_SILENT)
    try:
        with silence_logging_cmgr(_SILENT):
            yield
    finally:
        loop.setLevel(level)


def tasks_handed_out(client: Client, timeout: float) -> list[Hashable]:
    """Return the key of one task of each busy worker.

    A worker is handed at most one task more than it can begin, and the scheduler keeps no order
    among the two: the key is that of the task at work or of the next one. The public
    ``client.processing()`` asks the same and waits for an answer without limit.

    Raises
    ------
    TimeoutError
        If the scheduler does not answer in so many seconds.
    """
    scheduler = _remote(client)
    by_worker = client.sync(scheduler.processing, workers=None, callback_timeout=timeout)
    return [keys[0] for keys in by_worker.values() if keys]


async def worker_addresses(client: Client) -> list[str]:
    """Return the addresses of all workers, within a coroutine of the client.

    The public ``client.scheduler_info()`` may not be called there. Its documentation names this
    call.
    """
    identity = await _remote(client).identity(n_workers=-1)
    return list(identity["workers"])


def _remote(client: Client) -> Any:
    """Return the object whose methods are the scheduler's remote calls."""
    return client.scheduler


async def server_type(address: str, security: Security | None, timeout: float) -> str:
    """Return the type of the Dask server at an address, such as ``Scheduler``.

    The public ``Client(address, timeout=...)`` waits for ever for a port that accepts a connection
    and says nothing.

    Raises
    ------
    TimeoutError
        If the server does not answer.
    OSError
        If no connection is made.
    """
    from distributed.core import rpc

    arguments = {} if security is None else connection_arguments(security)
    async with rpc(address, timeout=timeout, connection_args=arguments) as server:
        identity = await asyncio.wait_for(server.identity(), timeout + 2)
    return str(identity["type"])


def connection_arguments(security: Security) -> dict[str, Any]:
    """Return the arguments with which a client of these keys connects.

    Their ``ssl_context`` is None where keys are missing. The attributes of ``Security`` are public,
    but do not say whether the files can be used.
    """
    arguments: dict[str, Any] = security.get_connection_args("client")
    return arguments


def closed_connection() -> type[Exception]:
    """Return the error of a connection that was closed; no public module exports it."""
    from distributed.comm.core import CommClosedError

    return CommClosedError


def closed_client() -> type[Exception]:
    """Return the error of a client that lost its scheduler; no public module exports it."""
    from distributed.client import ClosedClientError

    return ClosedClientError


def version_warning() -> type[Warning]:
    """Return the warning about packages that differ on workers; no public module exports it."""
    from distributed.versions import VersionMismatchWarning

    return VersionMismatchWarning


def lost_task(error: KilledWorker) -> Hashable:
    """Return the key of the task that workers were lost with.

    Tasks that were waiting for it fail with the same error. The message names the key too, as text
    for people.
    """
    return error.task


def start_resource_tracker() -> None:
    """Start the process in which Python tracks shared memory, which others would start later.

    It ignores Ctrl-C by itself, but while it starts it unblocks that signal in the calling thread.
    There is no public way.
    """
    resource_tracker.ensure_running()


def has_compiled(source: Path, function: str) -> bool:
    """Tell whether numba's cache holds a function of a source file.

    numba names the index of a function ``<module>.<function>-<line>.py<version>.nbi``. There is no
    public way to ask before the module is imported, which takes seconds.
    """
    pattern = f"{source.stem}.{function}-*.nbi"
    return any(any(folder.rglob(pattern)) for folder in _cache_folders(source))


def _cache_folders(source: Path) -> list[Path]:
    """Return the folders in which numba looks for what it compiled of a source file."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return [Path(chosen)]
    return [source.parent / "__pycache__", user_cache_path("numba", appauthor=False)]


def load_threaded_libraries() -> None:
    """Load the libraries that bring threads of their own, BLAS and OpenMP.

    ``threadpoolctl`` finds only what is loaded. The public ``sklearn.show_versions`` imports the
    same module.
    """
    import sklearn.utils._openmp_helpers  # noqa: F401
