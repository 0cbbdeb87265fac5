"""The connection to a running scheduler, which is checked first, as are its workers."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
import ssl
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from segkit.errors import UsageError
from segkit.study.plan.libraries import RESULT_PACKAGES
from segkit.study.run import compat
from segkit.study.run.causes import causes, first_line
from segkit.study.run.requirement import Requirement, shared_token, worker_facts

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

    from segkit.study.run.settings import EngineSettings

# Together less than half a minute, even where the scheduler and its workers answer late.
CONNECT_SECONDS = 8
_WORKERS_SECONDS = 12
_ANSWER_SECONDS = 8
_PROBE_SECONDS = 2
_CLOSED = "the connection was closed: another kind of server, or one that wants tls://"


def check_scheduler(settings: EngineSettings, store_root: str) -> None:
    """Check the scheduler of a study, if it has one, and its workers.

    Raises
    ------
    UsageError
        If none answers, it has no workers, or one of them has other versions or does not see the
        store.
    """
    if settings.scheduler:
        with connected(settings.scheduler, settings.tls_files, store_root):
            pass


@contextlib.contextmanager
def connected(
    address: str, tls: Mapping[str, str] | None, store_root: str
) -> Iterator[tuple[Client, Requirement]]:
    """Connect to a scheduler, check its workers, and yield the client and their requirement.

    Parameters
    ----------
    address
        Address of the scheduler, ``tcp://host:port`` or ``tls://host:port``.
    tls
        Files in PEM format by name: ``ca``, ``cert`` and ``key``. Without them those of Dask's own
        configuration.
    store_root
        The store's folder, which must exist.

    Raises
    ------
    UsageError
        If no scheduler answers, or it has no worker, or one that is not as required.
    """
    from distributed import Client

    with compat.silenced(), shared_token(store_root) as requirement:
        security = _security(address, tls)
        _check_answer(address, security)
        try:
            with warnings.catch_warnings():
                # A table of many lines; the versions that matter are checked below.
                warnings.simplefilter("ignore", compat.version_warning())
                client = Client(address, timeout=CONNECT_SECONDS, security=security)
        except Exception as error:
            raise no_scheduler(address, first_line(error)) from error
        with client:
            check_workers(client, address, requirement)
            yield client, requirement


def _security(address: str, tls: Mapping[str, str] | None) -> Security | None:
    """Return the keys for an address, None for one without TLS.

    Raises
    ------
    UsageError
        If keys are missing or cannot be used.
    """
    from distributed.security import Security

    if not address.startswith("tls://"):
        return None
    if tls:
        security = Security(
            require_encryption=True,
            tls_ca_file=tls["ca"],
            tls_client_cert=tls["cert"],
            tls_client_key=tls["key"],
        )
    else:
        security = Security()
    try:
        context = compat.connection_arguments(security)["ssl_context"]
    except (OSError, ValueError) as error:
        files = ", ".join(f"{name}: {path}" for name, path in (tls or {}).items())
        origin = files or "Dask's configuration"
        raise UsageError(f"engine.tls ({origin}): cannot be used ({first_line(error)})") from error
    if context is None:
        raise UsageError(
            f"engine.address={address}: needs engine.tls.ca, engine.tls.cert and engine.tls.key, "
            "three files in PEM format"
        )
    return security


def _check_answer(address: str, security: Security | None) -> None:
    """Check that a Dask scheduler answers.

    Raises
    ------
    UsageError
        If another kind of server does, or none.
    """
    try:
        kind = asyncio.run(compat.server_type(address, security, CONNECT_SECONDS))
    except TimeoutError as error:
        reason = "the port is open, but sends no complete answer"
        raise no_scheduler(address, reason) from error
    except Exception as error:
        closed = security is None and _closes(address)
        raise no_scheduler(address, _CLOSED if closed else _refusal(error)) from error
    if kind != "Scheduler":
        raise no_scheduler(address, f"a Dask {kind.lower()} does")


def _closes(address: str) -> bool:
    """Tell whether a port accepts connections and closes them.

    Dask tries again until its time is up, and says only that it is.
    """
    parts = urlsplit(address)
    try:
        place = (parts.hostname, parts.port)
        with socket.create_connection(place, timeout=_PROBE_SECONDS) as connection:
            return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except (OSError, ValueError):
        return False


def _refusal(error: Exception) -> str:
    """Say in a phrase why no scheduler answers."""
    closed = compat.closed_connection()
    exceptions = [cause for cause in causes(error) if isinstance(cause, Exception)]
    tls_error = next((cause for cause in exceptions if isinstance(cause, ssl.SSLError)), None)
    if tls_error is not None:
        return f"TLS failed: {first_line(tls_error)}"
    # Closed once it was connected, or in each of several attempts to connect.
    if isinstance(error, closed) or isinstance(exceptions[-1], (closed, ConnectionResetError)):
        return _CLOSED
    if isinstance(error, OSError | ValueError):
        with_message = (cause for cause in reversed(exceptions) if str(cause))
        return first_line(next(with_message, error))
    # The greeting of another protocol was read as a length.
    return "what answers is another kind of server"


def no_scheduler(address: str, reason: str) -> UsageError:
    """Return the error that no scheduler answers at an address, for a reason."""
    return UsageError(
        f"engine.address={address}: no scheduler answers there ({reason}); start one with: "
        "dask scheduler"
    )


def check_workers(client: Client, address: str, requirement: Requirement) -> None:
    """Check that there are workers and that each is as required.

    Raises
    ------
    UsageError
        If there is none, or one is not as required.
    """
    try:
        client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
    except (TimeoutError, OSError) as error:
        raise UsageError(
            f"engine.address={address}: the scheduler has no workers; start some with: "
            f"dask worker {address} --nthreads 1"
        ) from error
    answers: dict[str, str | None] = client.sync(_complaints, client, requirement)
    complaints = [(worker, complaint) for worker, complaint in answers.items() if complaint]
    if not complaints:
        return
    worker, complaint = complaints[0]
    message = f"engine.address={address}: the worker at {worker} {complaint}"
    if len(complaints) > 1:
        message += f" (further workers that cannot be used: {len(complaints) - 1})"
    raise UsageError(message)


async def _complaints(client: Client, requirement: Requirement) -> dict[str, str | None]:
    """Return by worker what it lacks, None for nothing; all are asked at once."""
    arguments = ", ".join(map(repr, (RESULT_PACKAGES, requirement.token)))
    # Text is understood everywhere. A function would be pickled by the name of its module, or as
    # the bytecode of this Python.
    source = f"from __future__ import annotations\n{inspect.getsource(worker_facts)}"
    text = f"[scope := {{}}, exec({source!r}, scope), scope['worker_facts']({arguments})][-1]"

    async def complaint(worker: str) -> str | None:
        request = client.run(eval, text, workers=[worker], on_error="return")
        try:
            answer = (await asyncio.wait_for(request, _ANSWER_SECONDS))[worker]
        except TimeoutError:
            return "does not answer; stop it, or start it again"
        except KeyError:
            # The worker is gone by now.
            return None
        if isinstance(answer, Exception):
            return f"cannot be asked for its versions ({first_line(answer)})"
        return requirement.complaint(*answer)

    workers = await compat.worker_addresses(client)
    return dict(zip(workers, await asyncio.gather(*map(complaint, workers)), strict=True))
