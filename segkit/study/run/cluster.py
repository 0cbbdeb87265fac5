"""Workers of Dask: started on this machine, where nobody else reaches them, or those of a scheduler, checked first."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import logging
import os
import secrets
import signal
import socket
import ssl
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from segkit.errors import UsageError
from segkit.study.plan.libraries import RESULT_PACKAGES

# Together less than half a minute, also where the scheduler answers late and its workers do too.
CONNECT_SECONDS = 8
_WORKERS_SECONDS = 12
_ANSWER_SECONDS = 8
_RESTART_SECONDS = 5
_PROBE_SECONDS = 2
_CLOSED = "the connection was closed: another kind of server, or one that wants tls://"
_SILENT = logging.CRITICAL + 1
_NO_NETWORK = (
    errno.ENETUNREACH,
    errno.EADDRNOTAVAIL,
    errno.ENETDOWN,
    errno.EHOSTUNREACH,
    errno.EAFNOSUPPORT,
)
_BEFORE_START = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    # A worker that is started in another's place would tell of itself.
    "DASK_LOGGING__DISTRIBUTED": "critical",
}
_LOCAL = {
    # Dask watches itself: by default its samples, ticks and counters take a twentieth of all cores.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "2s",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.worker.memory.monitor-interval": "250ms",
    # A worker whose libraries alone take four fifths of its memory would pause for ever; what does
    # not fit is killed.
    "distributed.worker.memory.pause": False,
    # Results are small: nothing is gained by files, from which they would be unpickled again.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    # The HTTP servers, which know no TLS here, have no page at all.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


@contextlib.contextmanager
def local_client(
    workers: int, memory_limit: int | str, environment: Mapping[str, str], allowed_failures: int
) -> Iterator[Any]:
    """Start workers of one thread on this machine and yield their client.

    Only who has the keys, which are made here and handed over in pipes, is let in: the scheduler
    and its workers run what they are sent. Their scratch folder, from which they import too, is
    private as well.

    Parameters
    ----------
    workers
        How many.
    memory_limit
        Bytes that each may take; ``auto`` for what Dask makes of the machine's, 0 for any.
    environment
        Variables of the workers alone.
    allowed_failures
        How many workers a task may be lost with before it is given up.

    Raises
    ------
    UsageError
        If they cannot be started: too few files may be open, no shared memory or loopback, no
        memory.
    """
    import dask
    from distributed import Client

    options = {
        **_LOCAL,
        "distributed.nanny.pre-spawn-environ": _BEFORE_START,
        # In the worker alone: what is set before it starts is set here too for a moment, and numba
        # minds a change.
        "distributed.nanny.environ": {"NUMBA_NUM_THREADS": "1", **environment},
        "distributed.scheduler.allowed-failures": allowed_failures,
    }
    with contextlib.ExitStack() as stack:
        try:
            _check_loopback()
            scratch = tempfile.TemporaryDirectory(prefix="segkit-", ignore_cleanup_errors=True)
            options["temporary-directory"] = stack.enter_context(scratch)
            stack.enter_context(dask.config.set(options))
            stack.enter_context(_quiet())
            cluster = stack.enter_context(_local_cluster(workers, memory_limit))
            client = stack.enter_context(Client(cluster))
        except (OSError, RuntimeError, MemoryError) as error:
            instead = "or run in one process with engine=inline"
            raise UsageError(
                f"engine.workers={workers}: no workers can be started: {_why(error)}, {instead}"
            ) from error
        yield client


@contextlib.contextmanager
def _local_cluster(workers: int, memory_limit: int | str) -> Iterator[Any]:
    from distributed import LocalCluster

    with _interrupts_held():
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            # Any port; without a dashboard there is a server all the same.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=memory_limit,
            security=temporary_security(),
            silence_logs=logging.CRITICAL,
        )
    try:
        yield cluster
    finally:
        # One that is closed while it takes another's place tells of it in forty lines.
        with contextlib.suppress(TimeoutError):
            cluster.wait_for_workers(workers, timeout=_RESTART_SECONDS)
        cluster.close(timeout=10)


def temporary_security() -> Any:
    """Return keys that nobody else has, for all that one cluster says to itself."""
    from distributed.security import Security

    return Security.temporary()


def _check_loopback() -> None:
    """Connect to a port of this machine; Dask would try that for a minute."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5),
    ):
        pass


def _why(error: BaseException) -> str:
    """Return in a phrase why workers could not be started, and what to do about it."""
    causes = list(_causes(error))
    number = next(
        (cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno), None
    )
    if number in (errno.EMFILE, errno.ENFILE):
        return (
            f"too few files may be open at once ({_open_files()}); raise it (ulimit -n 1024), ask"
            " for fewer workers"
        )
    if number in (errno.ENOSPC, errno.EDQUOT):
        # A semaphore's name is not told.
        place = next(
            (cause.filename for cause in causes if getattr(cause, "filename", None)), "/dev/shm"
        )
        return f"no space is left in {place}; make room there"
    if number in _NO_NETWORK:
        return (
            f"the loopback network 127.0.0.1 does not work ({os.strerror(number)}); bring it up (ip"
            " link set lo up)"
        )
    if number in (errno.EAGAIN, errno.ENOMEM) or isinstance(causes[-1], MemoryError):
        return (
            f"no more processes or memory are to be had ({_first_line(causes[-1])}); ask for fewer"
            " workers"
        )
    return f"{_first_line(causes[-1])}; ask for fewer workers"


def _open_files() -> str:
    try:
        import resource
    except ImportError:
        return "the system's limit"
    return f"ulimit -n is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from, the first cause last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask, and the loop that it runs on, from telling in many lines what is told in one here."""
    from distributed.utils import silence_logging_cmgr

    loop = logging.getLogger("asyncio")
    before = loop.level
    loop.setLevel(_SILENT)
    try:
        with silence_logging_cmgr(_SILENT):
            yield
    finally:
        loop.setLevel(before)


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


@dataclass(frozen=True)
class Requirement:
    """What a worker must have: the same versions, and the same store, in which it finds a token.

    Parameters
    ----------
    versions
        Name and version of segkit and of each package that decides results.
    token
        The file that the token is in, in the store's folder.
    secret
        The token.
    """

    versions: tuple[tuple[str, str], ...]
    token: str
    secret: str

    def complaint(
        self, versions: Mapping[str, str | None], secret: str | None, writable: bool
    ) -> str | None:
        """Say in a phrase what a worker lacks; None if nothing.

        Parameters
        ----------
        versions, secret, writable
            What :func:`worker_facts` returned there.
        """
        if versions["segkit"] is None:
            return (
                f"has no segkit; install segkit {dict(self.versions)['segkit']} there, with the"
                " same lock"
            )
        others = [
            f"{name} {versions[name] or 'missing'} (here {version})"
            for name, version in self.versions
            if versions[name] != version
        ]
        if others:
            return f"has {', '.join(others)}: results would differ; install the same versions there"
        store = os.path.dirname(self.token)
        if secret != self.secret:
            return (
                f"does not see store={store}; name a folder that all workers and this machine share"
            )
        if not writable:
            return f"may not write to store={store}; give its user the right to"
        return None


def worker_facts(
    packages: tuple[str, ...], token: str
) -> tuple[dict[str, str | None], str | None, bool]:
    """Return the versions of segkit and of packages, what is in the token's file, and whether its folder is writable.

    It is sent as its text to workers that may lack segkit or have another Python: it uses the
    standard library alone.
    """
    import os
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    try:
        from segkit.version import __version__

        versions["segkit"] = __version__
    except ImportError:
        versions["segkit"] = None
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    try:
        with open(token, encoding="utf-8") as file:
            secret = file.read()
    except OSError:
        secret = None
    return versions, secret, os.access(os.path.dirname(token), os.W_OK)


@lru_cache(maxsize=4)
def check_here(requirement: Requirement) -> None:
    """Check once that this process, a worker that may have come after the others were checked, is as required.

    Raises
    ------
    UsageError
        If not.
    """
    complaint = requirement.complaint(*worker_facts(RESULT_PACKAGES, requirement.token))
    if complaint:
        raise UsageError(f"engine.address: the worker on {socket.gethostname()} {complaint}")


@contextlib.contextmanager
def connected(
    address: str, tls: Mapping[str, str] | None, store_root: str
) -> Iterator[tuple[Any, Requirement]]:
    """Connect to a scheduler, check its workers, and yield the client and what every worker must have.

    Parameters
    ----------
    address
        Of the scheduler, ``tcp://host:port`` or ``tls://host:port``.
    tls
        Files in PEM format by name: ``ca``, ``cert`` and ``key``. Without them those of Dask's own
        configuration.
    store_root
        The store's folder, which must exist.

    Raises
    ------
    UsageError
        If there is no scheduler that answers, no worker, or one that is not fit.
    """
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    with _quiet(), _token(store_root) as requirement:
        security = _security(address, tls)
        _check_scheduler(address, security)
        try:
            with warnings.catch_warnings():
                # A table of many lines; what matters in it is checked below.
                warnings.simplefilter("ignore", VersionMismatchWarning)
                client = Client(address, timeout=CONNECT_SECONDS, security=security)
        except Exception as error:
            raise no_scheduler(address, _first_line(error)) from error
        with client:
            check_workers(client, address, requirement)
            yield client, requirement


@contextlib.contextmanager
def _token(store_root: str) -> Iterator[Requirement]:
    """Write a token into the store that is there as long as the block runs."""
    secret = secrets.token_hex(16)
    path = Path(store_root) / f".token-{secret[:8]}"
    versions, *_ = worker_facts(RESULT_PACKAGES, str(path))
    # Readable as all files of the store are: workers may run as other users.
    path.write_text(secret, encoding="utf-8")
    try:
        yield Requirement(
            tuple((name, str(version)) for name, version in versions.items()), str(path), secret
        )
    finally:
        path.unlink(missing_ok=True)


def _security(address: str, tls: Mapping[str, str] | None) -> Any:
    from distributed.security import Security

    if not address.startswith("tls://"):
        return None
    if tls:
        files = {
            "tls_ca_file": tls["ca"],
            "tls_client_cert": tls["cert"],
            "tls_client_key": tls["key"],
        }
        security = Security(require_encryption=True, **files)
    else:
        security = Security()
    try:
        if security.get_connection_args("client")["ssl_context"] is None:
            told = (
                "needs engine.tls.ca, engine.tls.cert and engine.tls.key, three files in PEM format"
            )
            raise UsageError(f"engine.address={address}: {told}")
    except (OSError, ValueError) as error:
        named = (
            ", ".join(f"{name}: {path}" for name, path in (tls or {}).items())
            or "Dask's configuration"
        )
        raise UsageError(f"engine.tls ({named}): cannot be used ({_first_line(error)})") from error
    return security


def _check_scheduler(address: str, security: Any) -> None:
    """Check that a Dask scheduler answers; a client of Dask would wait for ever for a port that says nothing."""
    from distributed.core import rpc

    arguments = security.get_connection_args("client") if security else {}

    async def kind() -> str:
        async with rpc(address, timeout=CONNECT_SECONDS, connection_args=arguments) as scheduler:
            identity = await asyncio.wait_for(scheduler.identity(), CONNECT_SECONDS + 2)
            return identity["type"]

    try:
        answer = asyncio.run(kind())
    except TimeoutError as error:
        raise no_scheduler(
            address, "the port is open, but nothing is said there as a scheduler would"
        ) from error
    except Exception as error:
        closed = security is None and _closes(address)
        raise no_scheduler(address, _CLOSED if closed else _refusal(error)) from error
    if answer != "Scheduler":
        raise no_scheduler(address, f"a Dask {answer.lower()} does")


def _closes(address: str) -> bool:
    """Tell whether a port takes connections and closes them: Dask tries until its time is up, and says only that."""
    parts = urlsplit(address)
    try:
        with socket.create_connection(
            (parts.hostname, parts.port), timeout=_PROBE_SECONDS
        ) as connection:
            return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except (OSError, ValueError):
        return False


def _refusal(error: Exception) -> str:
    """Say why no scheduler answers."""
    from distributed.comm.core import CommClosedError

    causes = [cause for cause in _causes(error) if isinstance(cause, Exception)]
    refused = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if refused is not None:
        return f"TLS failed: {_first_line(refused)}"
    # Once connected, or while that was tried again and again.
    if isinstance(error, CommClosedError) or isinstance(
        causes[-1], CommClosedError | ConnectionResetError
    ):
        return _CLOSED
    if isinstance(error, OSError | ValueError):
        return _first_line(next((cause for cause in reversed(causes) if str(cause)), error))
    # Another protocol's greeting, read as a length.
    return "what answers is another kind of server"


def no_scheduler(address: str, reason: str) -> UsageError:
    """Return the error that no scheduler answers at an address, for a reason."""
    return UsageError(
        f"engine.address={address}: no scheduler answers there ({reason}); start one with: dask"
        " scheduler"
    )


def check_workers(client: Any, address: str, requirement: Requirement) -> None:
    """Check that there are workers and that each is as required.

    Raises
    ------
    UsageError
        If there is none, or one is not fit.
    """
    try:
        client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
    except (TimeoutError, OSError) as error:
        start = f"dask worker {address} --nthreads 1"
        raise UsageError(
            f"engine.address={address}: the scheduler has no workers; start some with: {start}"
        ) from error
    complaints = {
        worker: text
        for worker, text in client.sync(_complaints, client, requirement).items()
        if text
    }
    if not complaints:
        return
    worker, text = next(iter(complaints.items()))
    others = f" (and {len(complaints) - 1} more workers are not fit)" if len(complaints) > 1 else ""
    raise UsageError(f"engine.address={address}: the worker at {worker} {text}{others}")


async def _complaints(client: Any, requirement: Requirement) -> dict[str, str | None]:
    """Ask all workers at once; each has so many seconds to answer."""
    arguments = ", ".join(map(repr, (RESULT_PACKAGES, requirement.token)))
    # Text is understood everywhere: a function would be pickled by its module's name, or as this
    # Python's bytecode.
    source = f"from __future__ import annotations\n{inspect.getsource(worker_facts)}"
    text = f"[scope := {{}}, exec({source!r}, scope), scope['worker_facts']({arguments})][-1]"

    async def complaint(worker: str) -> str | None:
        asked = client.run(eval, text, workers=[worker], on_error="return")
        try:
            answer = (await asyncio.wait_for(asked, _ANSWER_SECONDS))[worker]
        except TimeoutError:
            return "does not answer; stop it, or start it again"
        except KeyError:
            # It has gone since.
            return None
        if isinstance(answer, Exception):
            return f"cannot be asked for its versions ({_first_line(answer)})"
        return requirement.complaint(*answer)

    workers = list((await client.scheduler.identity(n_workers=-1))["workers"])
    return dict(zip(workers, await asyncio.gather(*map(complaint, workers)), strict=True))
