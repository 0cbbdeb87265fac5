"""Disturb studies by kills, signals, full disks and rivals, and damage stored files.

    python experiments/benchmarks/faults.py
    python experiments/benchmarks/faults.py --injections 12 --corruptions 2000 --seed 1

A small study is run undisturbed once. Then it is run many times, each time with faults at random
moments of its screen, its confirmation and its writing, and resumed until it ends. It survived a
fault if its final tables equal the undisturbed ones in all values except ``seconds``, and no
process is left running. Then stored files of every kind of stage are damaged one at a time. The
store must return what was stored, or report the damage.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil

from segkit.study.run.stages import KINDS
from segkit.study.run.store import Damaged, Store

STUDY = [
    *[
        "data=simulated",
        "data.n=200",
        "scaler=standard,power",
        "projection=none,pca",
        "engine.workers=2",
    ],
    *[
        "clusterer=kmeans,dbscan,hdbscan",
        "scoring.draws=5",
        "scoring.shortlist=3",
        "scoring.refits=2",
    ],
    *[
        "scoring.nulls.copula=19",
        "scoring.nulls.permuted=2",
        "scoring.confirm_draws=10",
        "scoring.seeds=2",
    ],
]
SEGKIT = [sys.executable, "-m", "segkit.cli"]
TABLES = ("runs", "partitions", "nulls", "customers", "profiles", "silhouettes", "embeddings")
# Seconds; no launch of this study takes a tenth of it.
PATIENCE = 300
# Long enough for a scheduler to give up a stopped process, if it had such a limit.
STOPPED_SECONDS = 8
# Bytes; enough for the folder's small files, too little for the figures and the tables.
LITTLE_ROOM = 60_000


@dataclass
class Launch:
    """A study's process, in a session of its own."""

    folder: Path
    little_room: bool = False
    process: subprocess.Popen = field(init=False)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [*SEGKIT, "sweep", *STUDY, "hydra.sweep.dir=study", "store=store"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_limit_files if self.little_room else None,
        )

    def workers(self) -> list[psutil.Process]:
        """Return the processes that compute stages."""
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self.process.pid).children(recursive=True)
            return [child for child in children if "spawn_main" in " ".join(_command(child))]
        return []

    def end(self) -> tuple[int, str]:
        """Wait for the end and return the exit code and all that was printed."""
        output, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output

    def left(self) -> list[int]:
        """Return the processes of this session that are still there ten seconds after the end."""
        for _ in range(100):
            running = [
                process.pid
                for process in psutil.process_iter()
                if _in_session(process, self.process.pid)
            ]
            if not running:
                return []
            time.sleep(0.1)
        return running


def _limit_files() -> None:
    # Like a full disk, but only for this process and its workers: no file can grow beyond it.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LITTLE_ROOM, LITTLE_ROOM))


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def _in_session(process: psutil.Process, session: int) -> bool:
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    return False


def stored(folder: Path) -> int:
    """Return how many results are in the store."""
    return sum(1 for _ in (folder / "store").rglob("*-*.json"))


def writing(folder: Path) -> bool:
    """Return whether the study has computed everything and writes its tables or its report."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads((folder / "study" / "provenance.json").read_text())["state"] in (
            "concluding",
            "finished",
        )
    return False


def differences(folder: Path, reference: Path) -> list[str]:
    """Return the tables and columns in which two folders' studies differ, ``seconds`` aside."""
    names = []
    for name in TABLES:
        ours, theirs = (
            pd.read_parquet(place / "study" / f"{name}.parquet") for place in (folder, reference)
        )
        if list(ours) != list(theirs) or len(ours) != len(theirs):
            names.append(f"{name}: other rows or columns")
            continue
        names += [
            f"{name}.{column}"
            for column in ours
            if column != "seconds" and not ours[column].equals(theirs[column])
        ]
    ours, theirs = (
        json.loads((place / "study" / "recommendation.json").read_text())
        for place in (folder, reference)
    )
    return [*names, *(["recommendation"] if ours != theirs else [])]


# Faults: each hits a launch and returns the exit codes that are right for it; None if the launch
# continues.


def _send(
    number: int, codes: tuple[int, ...]
) -> Callable[[Launch, random.Random], tuple[int, ...]]:
    def hit(launch: Launch, _rng: random.Random) -> tuple[int, ...]:
        os.kill(launch.process.pid, number)
        return codes

    return hit


def _kill_worker(launch: Launch, rng: random.Random) -> None:
    workers = launch.workers()
    if workers:
        _kill([rng.choice(workers)])


def _kill_workers(launch: Launch, _rng: random.Random) -> None:
    _kill(launch.workers())


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _pause(launch: Launch, _rng: random.Random) -> None:
    os.kill(launch.process.pid, signal.SIGSTOP)
    time.sleep(STOPPED_SECONDS)
    os.kill(launch.process.pid, signal.SIGCONT)


def _pause_workers(launch: Launch, _rng: random.Random) -> None:
    workers = launch.workers()
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for worker in workers:
            with contextlib.suppress(psutil.Error):
                worker.send_signal(number)
        time.sleep(STOPPED_SECONDS if number == signal.SIGSTOP else 0)


def _rival_in_folder(launch: Launch, _rng: random.Random) -> None:
    """Launch the same study into the same folder: it is refused, or finds everything done."""
    code, output = Launch(launch.folder).end()
    if code == 2 and output.strip().count("\n") > 2:
        raise AssertionError(f"refused in more than a line: {output}")
    if code not in (0, 2):
        raise AssertionError(f"the second launch ended with {code}: {output}")


def _rival_in_store(launch: Launch, _rng: random.Random) -> None:
    """Run another study with the same stages on the same store."""
    line = [*SEGKIT, "sweep", *STUDY, "hydra.sweep.dir=rival", "store=store"]
    done = subprocess.run(
        line, cwd=launch.folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"the rival ended with {done.returncode}: {done.stderr}")


STOPPED = (130,)
FAULTS: dict[str, Callable[[Launch, random.Random], tuple[int, ...] | None]] = {
    "kill -9": _send(signal.SIGKILL, (-signal.SIGKILL,)),
    "SIGTERM": _send(signal.SIGTERM, STOPPED),
    "SIGINT": _send(signal.SIGINT, STOPPED),
    "SIGHUP": _send(signal.SIGHUP, STOPPED),
    "a worker killed": _kill_worker,
    "all workers killed": _kill_workers,
    "stopped, continued": _pause,
    "workers stopped, continued": _pause_workers,
    "same folder twice": _rival_in_folder,
    "two studies, one store": _rival_in_store,
}
FULL_DISK = "disk full"
PHASES = ("screen", "confirmation", "writing")


def _await(launch: Launch, phase: str, screened: int, total: int, rng: random.Random) -> bool:
    """Wait for a random moment of a phase; return False if the study ended before."""
    least, most = {"screen": (0, screened), "confirmation": (screened, total)}.get(
        phase, (total, total)
    )
    wanted = rng.randint(least, most)
    while launch.process.poll() is None:
        if writing(launch.folder) if phase == "writing" else stored(launch.folder) >= wanted:
            time.sleep(rng.random() * (1.5 if phase == "writing" else 0.2))
            return launch.process.poll() is None
        time.sleep(0.02)
    return False


def inject(
    name: str, phase: str, reference: Path, counts: tuple[int, int], rng: random.Random
) -> str:
    """Run a study with one fault, resume it to its end, and return what is wrong, if anything."""
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        folder = Path(place)
        launch = Launch(folder, little_room=name == FULL_DISK)
        if name == FULL_DISK:
            code, output = launch.end()
            if code != 2 or "Traceback" in output:
                return f"a full disk ended with {code}: {output[-300:]}"
        else:
            if not _await(launch, phase, *counts, rng):
                code, output = launch.end()
                return "" if code == 0 else f"ended by itself with {code}: {output[-300:]}"
            try:
                codes = FAULTS[name](launch, rng)
            except AssertionError as error:
                launch.process.kill()
                return str(error)
            code, output = launch.end()
            # The study may have ended by itself before the signal came.
            if code not in (0, *(codes or ())):
                return f"ended with {code}: {output[-300:]}"
            if "Traceback" in output:
                return f"a traceback: {output[-500:]}"
        if left := launch.left():
            return f"processes are left: {left}"
        if code != 0:
            code, output = Launch(folder).end()
            if code != 0:
                return f"could not be resumed ({code}): {output[-300:]}"
        return ", ".join(differences(folder, reference))


def injections(
    count: int, reference: Path, counts: tuple[int, int], rng: random.Random
) -> Iterator[tuple[str, str]]:
    """Yield each fault with the problems after it."""
    cases = [(name, phase) for phase in PHASES for name in FAULTS] + [(FULL_DISK, "screen")]
    for number in range(count):
        name, phase = cases[number % len(cases)]
        yield f"{name}, {phase}", inject(name, phase, reference, counts, rng)


# Damage to stored bytes


def _bit(path: Path, rng: random.Random, _others: list[Path]) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _byte(path: Path, rng: random.Random, _others: list[Path]) -> None:
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    content[place] ^= rng.randrange(1, 256)
    path.write_bytes(content)


def _truncate(path: Path, rng: random.Random, _others: list[Path]) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def _swap(path: Path, rng: random.Random, others: list[Path]) -> None:
    other = rng.choice(others)
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def _forbid(path: Path, _rng: random.Random, _others: list[Path]) -> None:
    path.chmod(0)


def _folder(path: Path, _rng: random.Random, _others: list[Path]) -> None:
    path.unlink()
    path.mkdir()


def _lose(path: Path, _rng: random.Random, _others: list[Path]) -> None:
    path.unlink()


DAMAGES = {
    "bit": _bit,
    "byte": _byte,
    "truncation": _truncate,
    "swap": _swap,
    "permission": _forbid,
    "folder": _folder,
    "missing": _lose,
}


def _read(store: Store, key: str) -> tuple[object, object] | None:
    """Return a result's record and its arrays' bytes, None if the store reports damage."""
    record = store.record(key)
    if record is None:
        return None
    try:
        arrays = store.arrays(key) if record["arrays"] else {}
    except Damaged:
        return None
    return record, {
        name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()
    }


def corrupt(count: int, source: Path, rng: random.Random) -> Counter[tuple[str, str]]:
    """Damage stored files one at a time and count what the store returns, by kind of damage."""
    seen: Counter[tuple[str, str]] = Counter()
    by_kind = {kind: sorted((source / kind).rglob("*-*.*")) for kind in KINDS}
    kinds = [kind for kind, paths in by_kind.items() if len(paths) > 1]
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        for number in range(count):
            how = list(DAMAGES)[number % len(DAMAGES)]
            original = rng.choice(by_kind[kinds[number % len(kinds)]])
            others = [
                path
                for path in by_kind[kinds[number % len(kinds)]]
                if path.suffix == original.suffix
            ]
            other = rng.choice([path for path in others if path != original] or others)
            root = Path(place) / str(number)
            for path in {original, other}:
                for suffix in (".json", ".npz"):
                    beside = path.with_suffix(suffix)
                    if beside.exists():
                        copied = root / beside.relative_to(source)
                        copied.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy(beside, copied)
            store = Store(root)
            keys = {original.stem, other.stem}
            before = {key: _read(store, key) for key in keys}
            DAMAGES[how](
                root / original.relative_to(source), rng, [root / other.relative_to(source)]
            )
            try:
                after = {key: _read(store, key) for key in keys}
            except OSError as error:
                seen[how, f"raised {errno.errorcode.get(error.errno, error)}"] += 1
                continue
            finally:
                shutil.rmtree(root)
            if after == before:
                seen[how, "same"] += 1
            elif all(after[key] in (None, before[key]) for key in keys):
                seen[how, "damaged"] += 1
            else:
                seen[how, "SILENT"] += 1
    return seen


def main(arguments: list[str] | None = None) -> int:
    """Inject faults, damage files, print the results; return 1 if anything did not survive."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--injections", type=int, default=62)
    parser.add_argument("--corruptions", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        reference = Path(place)
        code, output = Launch(reference).end()
        if code != 0:
            print(output)
            return 1
        total = stored(reference)
        stages = json.loads((reference / "study" / "provenance.json").read_text())["stages"]
        screened = sum(stages.values())
        survived = injected = 0
        for what, wrong in injections(options.injections, reference, (screened, total), rng):
            injected += 1
            survived += not wrong
            print(f"{injected:>4}  {what:<42} {wrong or 'survived'}", flush=True)
        print(f"survived {survived} of {injected} injected")
        seen = corrupt(options.corruptions, reference / "store", rng)
        for (how, result), count in sorted(seen.items()):
            print(f"{how:<12} {result:<10} {count:>7,}")
        bad = sum(count for (_, result), count in seen.items() if result not in ("same", "damaged"))
        print(f"silent or raised {bad} of {seen.total():,} corruptions")
    return int(survived < injected or bad > 0)


if __name__ == "__main__":
    sys.exit(main())
