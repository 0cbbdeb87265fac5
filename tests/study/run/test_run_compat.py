"""What depends on the inside of libraries: each test names what an upgrade has broken."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segkit.study.run import compat
from segkit.study.run.cluster import local_client, temporary_security

# Two functions of the same module, of which one is compiled.
MODULE = """
import numba
@numba.njit(cache=True)
def doubled(x):
    return 2 * x
@numba.njit(cache=True)
def halved(x):
    return x / 2
"""


@pytest.fixture(scope="module")
def client():
    with local_client(1, 0, {}, 2) as client:
        yield client


@pytest.mark.parametrize(
    "name",
    [
        *compat.LOCAL_CONFIGURATION,
        compat.ALLOWED_FAILURES,
        compat.SCRATCH_FOLDER,
        compat.BEFORE_START,
        compat.AFTER_START,
    ],
)
def test_dask_still_knows_each_name_of_the_configuration(name):
    import dask
    import distributed  # noqa: F401

    unknown = object()
    defaults = dask.config.merge(*dask.config.defaults)
    assert dask.config.get(name, unknown, config=defaults) is not unknown


def test_workers_have_the_configuration_and_the_environment(client):
    def configuration():
        import dask

        return {name: dask.config.get(name) for name in compat.LOCAL_CONFIGURATION}

    (configured,) = client.run(configuration).values()
    assert configured == compat.LOCAL_CONFIGURATION
    (environment,) = client.run(lambda: dict(os.environ)).values()
    assert environment["OMP_NUM_THREADS"] == environment["NUMBA_NUM_THREADS"] == "1"


def test_dask_and_asyncio_are_silent_in_the_block_alone():
    import distributed  # noqa: F401

    handler = logging.StreamHandler()
    logger = logging.getLogger("distributed")
    logger.addHandler(handler)
    before = handler.level, logging.getLogger("asyncio").level
    try:
        with compat.silenced():
            levels = handler.level, logging.getLogger("asyncio").level
        assert min(levels) > logging.CRITICAL
        assert (handler.level, logging.getLogger("asyncio").level) == before
    finally:
        logger.removeHandler(handler)


def test_each_busy_worker_is_asked_for_one_task_and_has_been_handed_two_at_most(client):
    assert compat.tasks_handed_out(client, 5) == []
    keys = [f"task-{number}" for number in range(4)]
    futures = client.map(time.sleep, [2.0] * 4, key=keys)
    deadline = time.monotonic() + 30
    while not compat.tasks_handed_out(client, 5) and time.monotonic() < deadline:
        time.sleep(0.05)
    (task,) = compat.tasks_handed_out(client, 5)
    (handed_out,) = client.processing().values()
    assert task in handed_out
    assert len(handed_out) <= 2
    client.cancel(futures)


def test_a_slow_answer_about_tasks_is_not_waited_for(client, monkeypatch):
    class Silent:
        async def processing(self, workers):
            await asyncio.sleep(60)

    monkeypatch.setattr(compat, "_remote", lambda _client: Silent())
    with pytest.raises(TimeoutError):
        compat.tasks_handed_out(client, 0.1)


def test_all_workers_are_listed(client):
    async def addresses():
        return await compat.worker_addresses(client)

    assert client.sync(addresses) == list(client.nthreads())


def test_a_server_says_what_it_is(client):
    security = client.security
    assert asyncio.run(compat.server_type(client.scheduler.address, security, 8)) == "Scheduler"
    (worker,) = client.nthreads()
    assert asyncio.run(compat.server_type(worker, security, 8)) == "Worker"


def test_a_port_that_says_nothing_times_out():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            asyncio.run(compat.server_type(address, None, 0.5))
    assert time.monotonic() - begun < 10


def test_keys_become_an_ssl_context_and_no_keys_become_none(tmp_path):
    import ssl

    from distributed.security import Security

    context = compat.connection_arguments(temporary_security())["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert compat.connection_arguments(Security())["ssl_context"] is None
    broken = tmp_path / "broken.pem"
    broken.write_text("")
    names = ("tls_ca_file", "tls_client_cert", "tls_client_key")
    with pytest.raises((OSError, ValueError)):
        compat.connection_arguments(Security(**dict.fromkeys(names, str(broken))))


def test_the_errors_of_a_lost_connection_are_where_they_were():
    assert issubclass(compat.closed_connection(), OSError)
    assert issubclass(compat.closed_client(), Exception)
    assert issubclass(compat.version_warning(), Warning)


def test_a_client_that_lost_its_scheduler_raises_one_of_these_errors():
    with local_client(1, 0, {}, 0) as client:
        client.close()
        with pytest.raises((compat.closed_connection(), compat.closed_client())):
            client.submit(time.sleep, 0).result(timeout=10)


def test_a_task_that_waited_for_a_lost_one_names_it():
    with local_client(1, 0, {}, 0) as client:
        killer = client.submit(os._exit, 1, key="killer")
        waiting = client.submit(lambda _: None, killer, key="waiting")
        error = waiting.exception(timeout=60)
    from distributed import KilledWorker

    assert isinstance(error, KilledWorker)
    assert compat.lost_task(error) == "killer"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="blocks signals")
def test_the_resource_tracker_once_started_leaves_signals_blocked():
    code = """
import signal
from multiprocessing.shared_memory import SharedMemory
from segkit.study.run import compat
compat.start_resource_tracker()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
memory = SharedMemory(create=True, size=8)
memory.close()
memory.unlink()
print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("chosen", [True, False], ids=["NUMBA_CACHE_DIR", "beside the module"])
def test_what_numba_cached_is_seen_by_function(tmp_path, monkeypatch, chosen):
    source = tmp_path / "kernel_module.py"
    source.write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    if chosen:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    else:
        monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert not compat.has_compiled(source, "doubled")
    code = "import kernel_module; kernel_module.doubled(1.5)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert compat.has_compiled(source, "doubled")
    assert not compat.has_compiled(source, "halved")


def test_numba_caches_for_the_user_where_the_folder_of_a_module_is_read_only(monkeypatch):
    from numba.core import caching

    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    beside, common = compat._cache_folders(Path(__file__))
    in_tree = caching.InTreeCacheLocator(function_of_this_file, __file__)
    assert Path(in_tree.get_cache_path()) == beside
    user_wide = caching.UserWideCacheLocator(function_of_this_file, __file__)
    assert common in Path(user_wide.get_cache_path()).parents


def function_of_this_file():
    """Be a function of this file."""


def test_blas_and_openmp_are_loaded_for_the_limit_of_threads():
    code = """
from threadpoolctl import threadpool_info
from segkit.study.run.compat import load_threaded_libraries
load_threaded_libraries()
print(*{library["user_api"] for library in threadpool_info()})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) >= {"blas", "openmp"}
