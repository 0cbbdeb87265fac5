"""Real processes, ended from outside: whatever they compute, once and in order."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

import segkit

TINY = [
    "data.n=120",
    "scoring.confirm=false",
    "scoring.draws=2",
    "engine=inline",
    "report.formats=[png]",
]
# A clusterer that ends when a file appears, in compiled code that leaves the interpreter to others,
# or in plain Python.
SCRIPT = """
import hashlib, pathlib, sys, time
from segkit import cli, signals
from dataclasses import replace
from segkit.study.run.stages import STAGES
def slow(nodes, inputs):
    pathlib.Path("reached").touch()
    if {compiled}:
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2**31 - 1)
    time.sleep(120)
if not pathlib.Path("go").exists():
    STAGES["clustering"] = replace(STAGES["clustering"], compute=slow)
signals.GRACE_SECONDS = 1.0
cli.main()
"""
SIGNALS = {
    "TERM": [signal.SIGTERM],
    "HUP": [signal.SIGHUP],
    "INT": [signal.SIGINT],
    "twice": [signal.SIGINT] * 2,
}


def started(folder, arguments, compiled=False, ignored=()):
    """Start a command that waits within its first clustering."""

    def prepare():
        for number in SIGNALS["INT"] + SIGNALS["HUP"]:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(compiled=compiled), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )


def reached(process, path, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists(), process.communicate()


def ended(process, numbers, seconds=30):
    """Send signals and return the exit code and the lines of stderr."""
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        time.sleep(0.1)
    _, errors = process.communicate(timeout=seconds)
    assert "Traceback" not in errors
    return process.returncode, errors.splitlines()


@pytest.mark.parametrize(
    ("how", "compiled"),
    [("TERM", False), ("HUP", False), ("twice", False), ("INT", True), ("TERM", True)],
)
def test_a_sweep_that_is_ended_says_how_to_go_on_and_goes_on(tmp_path, how, compiled):
    process = started(tmp_path, ["sweep", *TINY, "name=my study"], compiled)
    reached(process, tmp_path / "reached")
    code, lines = ended(process, SIGNALS[how])
    assert code == 130
    (folder,) = (tmp_path / "outputs").glob("my study/*")
    assert json.loads((folder / "provenance.json").read_text())["state"] == "interrupted"
    message, _, resume = lines[-1].partition("; resume with: ")
    assert (
        message == "segkit: error: interrupted; what was finished is kept for"
        f" {folder.relative_to(tmp_path)}"
    )
    program, *arguments = shlex.split(resume)
    assert program == "-c"  # as this test calls it
    assert arguments[-1] == f'hydra.sweep.dir="{folder.relative_to(tmp_path)}"'
    if how != "TERM":
        return
    done = subprocess.run(
        [sys.executable, "-m", "segkit.cli", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder.relative_to(tmp_path))
    assert segkit.load_study(folder).runs["status"].eq("ok").all()
    assert not list(folder.glob(".*"))


def test_code_that_never_gives_the_lock_back_is_ended_from_outside(tmp_path):
    # A generator that C code exhausts, without one step of Python between.
    script = SCRIPT.format(compiled=False).replace(
        "time.sleep(120)", "all(__import__('itertools').repeat(1))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "sweep", *TINY, "hydra.sweep.dir=study"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    reached(process, tmp_path / "reached")
    code, lines = ended(process, [signal.SIGTERM])
    assert code == -signal.SIGKILL
    assert lines[-1].startswith(
        "segkit: error: interrupted; what was finished is kept for study; resume with: "
    )
    (tmp_path / "go").touch()
    resumed = subprocess.run(
        [sys.executable, "-m", "segkit.cli", "sweep", *TINY, "hydra.sweep.dir=study"],
        cwd=tmp_path,
        check=False,
    )
    assert resumed.returncode == 0
    assert segkit.load_study(tmp_path / "study").runs["status"].eq("ok").all()


def test_without_a_guard_a_signal_is_still_heard():
    script = """
import os, signal, subprocess
from segkit import signals
def none(*arguments, **options):
    raise BlockingIOError("no more processes")
subprocess.Popen = none
signals.install()
with signals.guarded():
    os.kill(os.getpid(), signal.SIGTERM)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_the_guard_goes_with_what_it_guards(tmp_path):
    script = """
import os, signal
from segkit import signals
signals.install()
with signals.guarded():
    pass
with signals.guarded():
    os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"


def test_a_hang_up_that_nohup_ignores_ends_nothing(tmp_path):
    process = started(tmp_path, ["sweep", *TINY], ignored=[signal.SIGHUP])
    reached(process, tmp_path / "reached")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    assert ended(process, [signal.SIGTERM])[0] == 130


@pytest.mark.parametrize("step", ["write_profiles", "build"])
def test_two_interrupts_while_the_report_is_written_leave_every_table(tmp_path, step):
    place = {"write_profiles": "segkit.segments.write_profiles", "build": "segkit.report"}[step]
    script = f"""
import pathlib, time
import {place} as place
from segkit import cli
def slow(*_arguments, **_options):
    pathlib.Path("reached").touch()
    time.sleep(60)
place.{step} = slow
cli.main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, "sweep", *TINY, "hydra.sweep.dir=study"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    reached(process, tmp_path / "reached")
    code, lines = ended(process, [signal.SIGINT] * 2)
    assert code == 130
    assert lines[-1].startswith(
        "segkit: error: interrupted; the runs are all there; write the report with: "
    )
    assert lines[-1].endswith(" report study")
    assert json.loads((tmp_path / "study" / "provenance.json").read_text())["state"] == "finished"
    assert segkit.load_study(tmp_path / "study").runs["status"].eq("ok").all()


def test_a_signal_while_the_tables_are_written_is_heard_after_them(tmp_path):
    script = """
import os, signal
from segkit import cli
from segkit.study.keep import state as record
plain = record.partitions_frame
def interrupted(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return plain(*arguments)
record.partitions_frame = interrupted
cli.main()
"""
    command = [sys.executable, "-c", script, "sweep", *TINY, "hydra.sweep.dir=study"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    names = {path.name for path in (tmp_path / "study").iterdir()}
    assert names >= {
        "runs.parquet",
        "partitions.parquet",
        "recommendation.json",
        "embeddings.parquet",
    }
    assert segkit.load_study(tmp_path / "study").runs["status"].eq("ok").all()


# Two at once


def test_a_second_launch_into_a_folder_is_refused_until_the_first_has_ended(tmp_path):
    arguments = ["sweep", *TINY, "hydra.sweep.dir=study"]
    process = started(tmp_path, arguments)
    reached(process, tmp_path / "reached")
    command = [sys.executable, "-m", "segkit.cli", *arguments]
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert (
        second.stderr
        == f"segkit: error: hydra.sweep.dir=study: process {process.pid} is at work on this study; "
        "wait until it has ended, or name another folder\n"
    )
    # Nothing of it has to be tidied up by hand.
    process.kill()
    process.communicate()
    third = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert third.returncode == 0, third.stderr
    assert not list((tmp_path / "study").glob(".*"))


def test_a_file_system_without_locks_goes_on_without(tmp_path, monkeypatch):
    import errno
    import fcntl

    from segkit.study.keep.lock import locked

    def unknown(*_arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unknown)
    with locked(tmp_path, "hydra.sweep.dir"):
        pass
    assert not list(tmp_path.iterdir())


# Readers that go away


@pytest.mark.parametrize(
    ("arguments", "code", "both"),
    [
        (["sweep", *TINY], 0, True),
        (["run", *TINY, "--json"], 0, False),
        (["sweep", *TINY, "data.n=2"], 1, False),
        (["plan", *TINY], 0, False),
        (["sweep", "--help"], 0, False),
        (["plan", "clusterer=kmean"], 2, True),
    ],
)
def test_a_reader_that_went_away_changes_no_exit_code(tmp_path, arguments, code, both):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "segkit.cli", *arguments],
        cwd=tmp_path,
        stdout=write,
        stderr=write if both else subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert done.returncode == code
    assert both or "Traceback" not in done.stderr
    assert both or "Exception ignored" not in done.stderr
