"""A study from its plan to its folder: screen every run, confirm the best, write what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Protocol

from segkit.errors import UsageError, WorkersLost
from segkit.files import DiskFull, writable_folder
from segkit.signals import ends_here, held, last_words
from segkit.study.forecast import expected_seconds
from segkit.study.judge.racing import drawn_further, schedule
from segkit.study.keep.lock import locked
from segkit.study.keep.reader import Study
from segkit.study.keep.runs_table import Collector
from segkit.study.keep.writer import Finished, Record
from segkit.study.plan import cost
from segkit.study.plan.graph import Task, make_tasks, wanted_keys
from segkit.study.plan.planner import Plan
from segkit.study.plan.schedule import priorities
from segkit.study.plan.stage import Node
from segkit.study.run.engine import Engine
from segkit.study.run.outcome import Outcome
from segkit.study.run.preparation import Prepared
from segkit.study.run.settled import settled_outcomes
from segkit.study.run.stages import KINDS

# How often a result is computed again that is damaged again.
_ATTEMPTS = 3


class Watch(Protocol):
    """Is told how a study goes on."""

    def expect(
        self,
        prepared: Prepared,
        running: Callable[[], Sequence[str]],
        screen: float,
        confirmation: float | None,
    ) -> None:
        """Take note of a study that begins: what is at work, and how many wall seconds both parts are to take."""

    def start(
        self, prepared: Prepared, tasks: Sequence[Task], finished: Mapping[str, int], part: str
    ) -> None:
        """Take note that a part begins: the tasks to do, and the runs by status that need none."""

    def compiling(self, expected: float | None) -> None:
        """Take note that the compilation of kernels begins, in so many wall seconds, or (None) ends."""

    def advance(self, task: Task, outcomes: Sequence[Outcome], counts: Mapping[str, int]) -> None:
        """Take note that a task is done, with its outcomes and the number of runs by status."""

    def stop(self) -> None:
        """Take note that execution ended, well or not."""


def launch(prepared: Prepared, command: Sequence[str], watch: Watch) -> Finished:
    """Run what is not stored and write the study's folder.

    Whatever ends the study early (an interrupt, a full disk), what was finished is written before
    the exception goes on.
    """
    with claimed(prepared) as prepared:
        record = Record(prepared, command, Collector(prepared.plan))
        with last_words(record.interrupted):
            return _launched(prepared, record, watch)


def _launched(prepared: Prepared, record: Record, watch: Watch) -> Finished:
    scoring = prepared.composition.study["scoring"]
    state = "finished"
    try:
        with Engine(prepared.engine, str(prepared.store.root)) as engine, ends_here():
            record.work, engine.compiling = engine.work, watch.compiling
            watch.expect(prepared, engine.running, *expected_seconds(prepared))
            _screen(prepared, engine, record, watch)
            _mend(engine, record, watch)
            if scoring["racing"]:
                _race(prepared, engine, record, watch)
            if scoring["confirm"]:
                _confirm(prepared, engine, record, watch)
            _mend(engine, record, watch)
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    except DiskFull:
        state = "stopped: disk full"
        raise
    except WorkersLost as error:
        state = "stopped: workers lost"
        raise WorkersLost(f"{error}; what was finished is kept in {prepared.folder}") from error
    except UsageError:
        state = "stopped: no workers"
        raise
    except BaseException:
        state = "stopped: internal error"
        raise
    finally:
        with held():
            watch.stop()
            finished = record.end(state)
    return finished


@contextmanager
def claimed(prepared: Prepared) -> Iterator[Prepared]:
    """Check what the study needs around it, make its folder and hold it for this process while the block runs.

    Raises
    ------
    UsageError
        If something is missing, the folder is not for this study, or another process is at work on
        it.
    """
    if prepared.claimed:
        yield prepared
        return
    prepared.store.prepare()
    folder = _claimed_folder(prepared)
    with locked(folder, "hydra.sweep.dir"):
        _check_same_study(prepared, folder)
        yield replace(prepared, folder=folder, claimed=True)


def _claimed_folder(prepared: Prepared) -> Path:
    """Make the study's folder: one that the user named may hold this study already, any other is a new one."""
    folder = prepared.folder
    if prepared.folder_is_given:
        writable_folder(folder, "hydra.sweep.dir")
        if not (folder / "study.yaml").exists() and any(
            not path.name.startswith(".") for path in folder.iterdir()
        ):
            told = (
                "holds files but no study; name a folder that is empty, new, or that of this study"
            )
            raise UsageError(f"hydra.sweep.dir={folder}: {told}")
        return folder
    writable_folder(folder.parent, "hydra.sweep.dir")
    # Two studies may be launched in the same second.
    names = chain([folder.name], (f"{folder.name}_{number}" for number in count(2)))
    return next(claimed for claimed in map(folder.with_name, names) if _made(claimed))


def _check_same_study(prepared: Prepared, folder: Path) -> None:
    if (folder / "configs.jsonl").exists():
        others = set(Study(folder).configurations) - {run.id for run in prepared.plan.runs}
        if others:
            told = (
                f"holds another study, with {len(others)} runs that this one has not; name another"
                " folder"
            )
            raise UsageError(f"hydra.sweep.dir={folder}: {told}")


def _made(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def _screen(prepared: Prepared, engine: Engine, record: Record, watch: Watch) -> None:
    """Compute what every run needs; rows are made as runs finish."""
    settled = settled_outcomes(prepared.plan.nodes, prepared.store, prepared.stored)
    record.collector.add(settled.values())
    record.begin()
    _compute(prepared.plan.nodes, prepared.plan.leaves, engine, record, watch, "screen")


def _race(prepared: Prepared, engine: Engine, record: Record, watch: Watch) -> None:
    """Recluster draws, more and more of them, for the runs that can still reach the shortlist."""
    done: dict[str, tuple[int, str]] = {}
    for draws in schedule(prepared.composition.study["scoring"]["draws"]):
        plan, done = drawn_further(record.collector.plan, record.contenders(done), draws, done)
        record.adopt(plan)
        new = {key: plan.nodes[key] for _, key in done.values()}
        stored = frozenset(prepared.store.keys(("stability",)))
        record.collector.add(settled_outcomes(new, prepared.store, stored).values())
        _compute(plan.nodes, plan.leaves, engine, record, watch, "race")


def _confirm(prepared: Prepared, engine: Engine, record: Record, watch: Watch) -> None:
    """Confirm the best of the screen; nothing is done if no run passed the gates."""
    confirmation = record.shortlist()
    if confirmation is None:
        return
    nodes = confirmation.nodes
    stored, known = frozenset(prepared.store.keys(KINDS)), record.collector.outcomes
    outcomes = record.confirming(settled_outcomes(nodes, prepared.store, stored, known))
    if wanted_keys(nodes, confirmation.leaves, outcomes):
        record.screened()
    _compute(nodes, confirmation.leaves, engine, record, watch, "confirmation")


def _compute(
    nodes: Mapping[str, Node],
    leaves: Sequence[str],
    engine: Engine,
    record: Record,
    watch: Watch,
    part: str,
) -> None:
    """Compute what is not settled; what turns out to be damaged on the way is computed again, and all that waits."""
    attempts: Counter[str] = Counter()
    wanted = list(leaves)
    while True:
        settled = record.settled()
        tasks = make_tasks(nodes, wanted, settled)
        watch.start(record.prepared, tasks, record.collector.counts(), part)
        waiting: list[Outcome] = []
        with closing(
            engine.run(tasks, *_expected(tasks, record.prepared.plan), settled.values())
        ) as results:
            for task, outcomes in results:
                waiting += [outcome for outcome in outcomes if outcome.waits]
                record.take(outcome for outcome in outcomes if not outcome.waits)
                watch.advance(task, outcomes, record.collector.counts())
                record.flush()
        damaged = {key for outcome in waiting for key in outcome.damaged if key in nodes}
        attempts.update(damaged)
        # On a disk that keeps nothing, what was computed again is damaged again.
        if not damaged or max(attempts[key] for key in damaged) > _ATTEMPTS:
            record.take(waiting)
            return
        record.forget(damaged)
        wanted = [*leaves, *damaged]


def _mend(engine: Engine, record: Record, watch: Watch) -> None:
    """Compute again what cannot be read of what the study's tables are made of."""
    attempts: Counter[str] = Counter()
    while keys := [key for key in record.unreadable() if attempts[key] < _ATTEMPTS]:
        attempts.update(keys)
        record.forget(keys)
        _compute(record.nodes, keys, engine, record, watch, "mending")


def _expected(tasks: Sequence[Task], plan: Plan) -> tuple[dict[str, float], dict[str, float]]:
    """Return the order of work and the estimated seconds by task's name."""
    shapes = plan.planner.shapes
    return priorities(tasks, shapes), {
        task.name: cost.task_seconds(task, shapes) for task in tasks
    }
