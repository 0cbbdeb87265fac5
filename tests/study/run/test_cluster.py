"""Nobody else reaches the workers of a study; others' schedulers and workers are checked first."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from segkit.errors import UsageError, WorkersLost
from segkit.progress import Silent
from segkit.study.compose import compose_study
from segkit.study.plan.graph import Task
from segkit.study.run import cluster, rounds, scheduler, workers
from segkit.study.run.bundle import run_bundle
from segkit.study.run.engine import Engine
from segkit.study.run.preparation import prepare
from segkit.study.run.requirement import Requirement, check_here, shared_token
from segkit.study.run.scheduler import check_scheduler
from segkit.study.run.settings import EngineSettings, scheduler_warnings
from segkit.study.run.stages import node_of
from segkit.study.sweep import launch

# Imports first: another user may not read this Python.
STRANGER = """
import asyncio, os, sys
from distributed.comm import connect
from distributed.security import Security
keys = Security.temporary().get_connection_args("client")
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
async def attempt(address, **arguments):
    # Only what a server or its silence does counts as refused.
    try:
        comm = await asyncio.wait_for(connect(address, timeout=2, **arguments), 3)
        await comm.write({"op": "identity", "reply": True})
        print("let in", await comm.read())
    except OSError as error:
        print("refused", error)
for address in sys.argv[1:]:
    asyncio.run(attempt(address, **keys))
    asyncio.run(attempt(address.replace("tls://", "tcp://")))
print("tried as", os.getuid(), flush=True)
os._exit(0)
"""
# A worker on another machine, as far as the check can tell.
WORKER = """
import builtins, importlib.metadata, sys
fault, address = sys.argv[1:3]
if fault == "segkit":
    sys.modules["segkit"] = None
if fault == "version":
    installed = importlib.metadata.version
    def version(name):
        return "0.9" if name in ("numba", "openTSNE") else installed(name)
    importlib.metadata.version = version
if fault == "older":
    import segkit.version
    segkit.version.__version__ = "0.0.1"
if fault == "store":
    here = builtins.open
    def there(path, *rest, **options):
        if ".token-" in str(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        return here(path, *rest, **options)
    builtins.open = there
options = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
sys.argv = ["dask-worker", address, *options, *sys.argv[3:]]
from distributed.cli.dask_worker import main
main()
"""
SWEEP = [
    "data.n=1500",
    "scoring.confirm=false",
    "scoring.draws=3",
    "projection=none",
    "clusterer=kmeans,agglomerative",
]


@pytest.fixture(scope="module")
def local():
    with cluster.local_client(1, 0, {}, 2) as client:
        yield client


def test_a_client_without_the_keys_is_refused_and_one_with_them_is_not(local, tmp_path):
    workers = list(local.nthreads())
    (tmp_path / "stranger.py").write_text(STRANGER)
    command = [sys.executable, tmp_path / "stranger.py", local.scheduler.address, *workers]
    stranger = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    *refusals, last = stranger.stdout.splitlines()
    assert last == f"tried as {65534 if os.getuid() == 0 else os.getuid()}", stranger.stderr
    assert len(refusals) == 4
    assert all(line.startswith("refused") for line in refusals)
    assert set(local.run(lambda: "ran")) == set(workers)


def ports(pid):
    """Return the local addresses on which a process listens, from the kernel's tables."""
    inodes = set()
    for name in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(name).removeprefix("socket:[").rstrip("]"))
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                addresses.add((fields[1].split(":")[0], int(fields[1].split(":")[1], 16)))
    return addresses


@pytest.mark.skipif(
    not Path("/proc/self/net/tcp").exists(), reason="reads Linux's tables of sockets"
)
def test_all_that_listens_is_on_loopback_and_either_wants_keys_or_has_no_page(local):
    (pid,) = local.run(os.getpid).values()
    served = {
        local.cluster.scheduler.http_server.port,
        *(info["services"]["dashboard"] for info in workers_of(local)),
    }
    listening = ports(pid) | ports(os.getpid())
    assert {host for host, _ in listening} == {"0100007F"}
    numbers = {port for _, port in listening}
    assert served < numbers
    for port in served:
        for path in (
            "/",
            "/health",
            "/info/main/workers.html",
            "/metrics",
            "/json/identity.json",
            "/proxy/1/a/",
            "/x",
        ):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path)
            assert connection.getresponse().status == 404
            connection.close()


def workers_of(client):
    return client.scheduler_info()["workers"].values()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads Linux's /proc")
def test_keys_are_in_no_command_line_environment_or_file_and_the_scratch_folder_is_private(local):
    (pid,) = local.run(os.getpid).values()
    key = local.security.tls_client_key
    assert "PRIVATE KEY" in key
    for name in ("cmdline", "environ"):
        assert b"PRIVATE KEY" not in Path(f"/proc/{pid}/{name}").read_bytes()
    (imported,) = local.run(lambda: sys.path[0]).values()
    import dask

    scratch = Path(dask.config.get("temporary-directory"))
    assert scratch in Path(imported).parents
    assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    assert scratch.stat().st_uid == os.getuid()
    assert not [
        path for path in scratch.rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes()
    ]


def test_work_is_given_up_when_no_worker_is_there_any_more(monkeypatch):
    monkeypatch.setattr(rounds, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(rounds, "_MOST_MISSES", 3)
    monkeypatch.setattr(cluster, "_RESTART_SECONDS", 0.1)
    with Engine(EngineSettings(workers=1), "unused") as running:
        running._start()
        running._workers.client.cluster.scale(0)
        while running._workers.client.nthreads():
            time.sleep(0.05)
        task = Task("features-aa", (node_of("features-aa", {}, {}),), ())
        with pytest.raises(UsageError, match=r"all workers died \(out of memory.*engine=inline"):
            list(running.run([task], {task.name: 0.0}))


@pytest.mark.parametrize(
    ("kind", "message"), [("features", "with the first stage"), ("scoring", "again and again")]
)
def test_workers_that_survive_nothing_end_a_study_in_one_line(monkeypatch, kind, message):
    monkeypatch.setattr(rounds, "run_bundle", lambda *_, **__: os._exit(1))
    monkeypatch.setattr(workers, "LOST_WORKER_RETRIES", 0)
    monkeypatch.setattr(rounds, "_MOST_LOST", 3)
    count = 1 if kind == "features" else 5
    keys = [f"{kind}-{number:02}" for number in range(count)]
    tasks = [Task(key, (node_of(key, {}, {}),), ()) for key in keys]
    settings = EngineSettings(workers=1, memory_limit="500MB")
    with Engine(settings, "unused") as running, pytest.raises(UsageError) as raised:
        list(running.run(tasks, dict.fromkeys(keys, 0.0)))
    line = str(raised.value)
    assert line.startswith("engine.workers=1: workers died")
    assert message in line
    assert "each has 500 MB" in line
    assert line.endswith("or run in one process with engine=inline")


def sweep_command(folder, *overrides):
    places = [f"store={folder / 'store'}", f"hydra.sweep.dir={folder / 'study'}"]
    return [sys.executable, "-m", "segkit.cli", "sweep", "-q", *SWEEP, *places, *overrides]


def failed_to_start(folder, *prefix, **options):
    done = subprocess.run(
        [*prefix, *sweep_command(folder, "engine.workers=1")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        **options,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("segkit: error: engine.workers=1: no workers can be started: ")
    assert line.endswith("or run in one process with engine=inline")
    return line


def test_too_few_open_files_is_reported_with_a_way_out(tmp_path):
    def limit_open_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))

    assert "ulimit -n is 24" in failed_to_start(tmp_path, preexec_fn=limit_open_files)


@pytest.mark.skipif(
    os.getuid() != 0
    or not shutil.which("unshare")
    or subprocess.run(["unshare", "-nm", "true"]).returncode != 0,
    reason="takes a root who may make namespaces",
)
@pytest.mark.parametrize("fault", ["network", "memory"])
def test_no_loopback_and_no_shared_memory_are_reported_with_a_way_out(tmp_path, fault):
    if fault == "network":
        assert "127.0.0.1 does not work" in failed_to_start(tmp_path, "unshare", "-n")
        return
    fill = (
        "mount -t tmpfs -o size=4k tmpfs /dev/shm && head -c 4096 /dev/zero > /dev/shm/full && exec"
        ' "$@"'
    )
    assert "no space is left in /dev/shm" in failed_to_start(
        tmp_path, "unshare", "-m", "sh", "-c", fill, "sh"
    )


@contextlib.contextmanager
def running(*command, cwd):
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running_scheduler(folder, *options):
    contact = folder / f"scheduler-{time.monotonic_ns()}.json"
    arguments = [
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        contact,
        *options,
    ]
    with running("-m", "distributed.cli.dask_scheduler", *arguments, cwd=folder) as process:
        deadline = time.monotonic() + 60
        while not (contact.exists() and contact.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield json.loads(contact.read_text())["address"], process


def running_worker(fault, address, *options, cwd):
    (cwd / "worker.py").write_text(WORKER)
    return running("worker.py", fault, address, *options, cwd=cwd)


@pytest.fixture(scope="module")
def tcp_scheduler(tmp_path_factory):
    with running_scheduler(tmp_path_factory.mktemp("scheduler")) as (address, _):
        yield address


@pytest.mark.parametrize(
    ("fault", "parts"),
    [
        ("segkit", ["the worker at tcp://127.0.0.1:", "has no segkit; install segkit "]),
        ("version", ["has openTSNE 0.9 (here ", "numba 0.9 (here "]),
        ("older", ["has segkit 0.0.1 (here "]),
        ("store", ["does not see store={store}"]),
    ],
)
def test_a_worker_that_is_not_fit_is_named_before_work_starts(
    tcp_scheduler, tmp_path, fault, parts
):
    settings = EngineSettings(address=tcp_scheduler)
    with running_worker(fault, tcp_scheduler, cwd=tmp_path), pytest.raises(UsageError) as raised:
        check_scheduler(settings, str(tmp_path))
    for part in parts:
        assert part.format(store=tmp_path) in str(raised.value)
    assert not list(tmp_path.glob(".token-*"))


def test_a_worker_that_does_not_answer_is_named(tcp_scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "_ANSWER_SECONDS", 1)
    settings = EngineSettings(address=tcp_scheduler)
    with running_worker("none", tcp_scheduler, cwd=tmp_path) as process:
        check_scheduler(settings, str(tmp_path))
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(
            UsageError, match=r"the worker at tcp://127\.0\.0\.1:\d+ does not answer"
        ):
            check_scheduler(settings, str(tmp_path))


def test_a_scheduler_without_workers_is_reported_with_the_command_that_starts_one(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(scheduler, "_WORKERS_SECONDS", 0.5)
    with running_scheduler(tmp_path) as (address, _), pytest.raises(UsageError) as raised:
        check_scheduler(EngineSettings(address=address), str(tmp_path))
    message = f"the scheduler has no workers; start some with: dask worker {address} --nthreads 1"
    assert str(raised.value) == f"engine.address={address}: {message}"


def test_the_checks_together_take_less_than_half_a_minute():
    assert scheduler.CONNECT_SECONDS + scheduler._WORKERS_SECONDS + scheduler._ANSWER_SECONDS < 30


def test_a_worker_that_came_later_refuses_what_it_is_not_fit_for(tmp_path):
    with shared_token(str(tmp_path)) as requirement:
        check_here(requirement)
        other = Requirement(
            (*requirement.versions[:-1], ("numba", "0.1")), requirement.token, requirement.secret
        )
        with pytest.raises(UsageError, match=r"has numba .* \(here 0\.1\)"):
            run_bundle([], str(tmp_path), other, [])
    elsewhere = Requirement(
        requirement.versions, str(tmp_path / "none" / ".token-x"), requirement.secret
    )
    with pytest.raises(UsageError, match="does not see store="):
        run_bundle([], str(tmp_path), elsewhere, [])


def greeting(kind, connection):
    with contextlib.suppress(OSError):
        if kind == "ssh":
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
        if kind == "http":
            connection.recv(4096)
            connection.sendall(
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        if kind == "half":
            connection.sendall((100).to_bytes(8, "little"))
        if kind == "closed":
            connection.close()


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("silent", "sends no complete answer"),
        ("half", "sends no complete answer"),
        ("ssh", "another kind of server"),
        ("http", "another kind of server"),
        ("closed", "the connection was closed"),
        ("tls", "Timed out"),
    ],
)
def test_what_is_no_scheduler_is_reported_and_waited_for_no_longer_than_a_moment(
    tmp_path, monkeypatch, kind, part
):
    monkeypatch.setattr(scheduler, "CONNECT_SECONDS", 2)
    held = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    held.append(connection)
                    greeting(kind, connection)

        threading.Thread(target=serve, daemon=True).start()
        address = f"{'tls' if kind == 'tls' else 'tcp'}://127.0.0.1:{server.getsockname()[1]}"
        settings = EngineSettings(
            address=address, tls=written_keys(tmp_path) if kind == "tls" else None
        )
        begun = time.monotonic()
        with pytest.raises(UsageError) as raised:
            check_scheduler(settings, str(tmp_path))
    assert str(raised.value).startswith(f"engine.address={address}: no scheduler answers there (")
    assert part in str(raised.value)
    assert time.monotonic() - begun < 10
    for connection in held:
        connection.close()


def test_a_workers_address_is_not_taken_for_a_schedulers(tcp_scheduler, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with running_worker("none", tcp_scheduler, "--worker-port", str(port), cwd=tmp_path):
        check_scheduler(EngineSettings(address=tcp_scheduler), str(tmp_path))
        with pytest.raises(UsageError, match=r"no scheduler answers there \(a Dask worker does"):
            check_scheduler(EngineSettings(address=f"tcp://127.0.0.1:{port}"), str(tmp_path))


def written_keys(folder):
    keys = cluster.temporary_security()
    texts = {"ca": keys.tls_ca_file, "cert": keys.tls_client_cert, "key": keys.tls_client_key}
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.pem").write_text(text)
    return {name: str(folder / f"{name}.pem") for name in texts}


def test_files_let_one_in_at_a_tls_scheduler_and_nothing_else_does(tmp_path):
    own, others = written_keys(tmp_path / "own"), written_keys(tmp_path / "others")
    options = ["--tls-ca-file", own["ca"], "--tls-cert", own["cert"], "--tls-key", own["key"]]
    with (
        running_scheduler(tmp_path, *options) as (address, _),
        running_worker("none", address, *options, cwd=tmp_path),
    ):
        assert address.startswith("tls://")
        check_scheduler(EngineSettings(address=address, tls=own), str(tmp_path))
        with pytest.raises(UsageError, match=r"no scheduler answers there \(TLS failed"):
            check_scheduler(EngineSettings(address=address, tls=others), str(tmp_path))
        with pytest.raises(
            UsageError, match=r"needs engine\.tls\.ca, engine\.tls\.cert and engine\.tls\.key"
        ):
            check_scheduler(EngineSettings(address=address), str(tmp_path))
        plain = address.replace("tls://", "tcp://")
        with pytest.raises(UsageError, match="no scheduler answers there"):
            check_scheduler(EngineSettings(address=plain), str(tmp_path))
        swapped = own | {"key": own["cert"]}
        with pytest.raises(UsageError, match=r"engine\.tls .*cannot be used"):
            check_scheduler(EngineSettings(address=address, tls=swapped), str(tmp_path))


def test_a_lost_scheduler_is_one_line_and_the_next_launch_goes_on(tmp_path):
    stored = tmp_path / "store" / "clustering"
    many = "clusterer.n_clusters=range(2, 9)"
    with (
        running_scheduler(tmp_path) as (address, process),
        running_worker("none", address, cwd=tmp_path),
    ):
        study = subprocess.Popen(
            sweep_command(tmp_path, f"engine.address={address}", many, "scoring.draws=40"),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not list(stored.glob("*/*.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        _, errors = study.communicate(timeout=60)
    assert study.returncode == 1, errors
    warning, line = errors.splitlines()
    assert warning.startswith(f"segkit: warning: engine.address={address} is open: ")
    assert line.startswith(
        f"segkit: error: engine.address={address}: the scheduler is gone; what was finished is kept"
    )
    assert str(tmp_path / "study") in line
    provenance = json.loads((tmp_path / "study" / "provenance.json").read_text())
    assert provenance["state"] == "stopped: workers lost"
    assert not list((tmp_path / "store").glob(".token-*"))
    before = {path: path.stat().st_mtime_ns for path in stored.glob("*/*.json")}
    assert before
    lines = [*SWEEP, many, "scoring.draws=40", "engine=inline"]
    again = [f"store={tmp_path / 'store'}", f"hydra.sweep.dir={tmp_path / 'study'}"]
    resumed = launch(prepare(compose_study([*lines, *again])), ["segkit"], Silent()).runs
    assert {path: path.stat().st_mtime_ns for path in before} == before
    places = [f"store={tmp_path / 'other'}", f"hydra.sweep.dir={tmp_path / 'whole'}"]
    whole = launch(prepare(compose_study([*lines, *places])), ["segkit"], Silent()).runs
    pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), whole.drop(columns="seconds"))


def test_nothing_is_handed_to_a_scheduler_that_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "CONNECT_SECONDS", 1)
    task = Task("features-aa", (node_of("features-aa", {}, {}),), ())
    with contextlib.ExitStack() as stack:
        address, process = stack.enter_context(running_scheduler(tmp_path))
        stack.enter_context(running_worker("none", address, cwd=tmp_path))
        connected = stack.enter_context(Engine(EngineSettings(address=address), str(tmp_path)))
        connected._start()
        process.kill()
        process.wait()
        while connected._workers.client.status == "running":
            time.sleep(0.02)
        with pytest.raises(WorkersLost, match="the scheduler is gone"):
            list(connected.run([task], {task.name: 0.0}))


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"address": "tcp://host:8786"}, 1),
        ({"address": "tls://host:8786"}, 0),
        ({"address": "tcp://host:8786", "mode": "inline"}, 0),
        ({}, 0),
    ],
)
def test_a_scheduler_that_lets_everybody_in_is_warned_of(settings, warned):
    assert len(scheduler_warnings(EngineSettings(**settings))) == warned
