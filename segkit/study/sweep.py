"""A study from its plan to its folder: screen every run, confirm the best, write what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from segkit.errors import UsageError
from segkit.signals import ends_here, held, last_words
from segkit.study import cost
from segkit.study.engine import Engine, check_address
from segkit.study.folder import Study
from segkit.study.graph import KINDS, Node, Task, make_tasks
from segkit.study.lock import locked
from segkit.study.plan import Plan
from segkit.study.prepare import Prepared
from segkit.study.racing import drawn_further, schedule
from segkit.study.record import Finished, Record
from segkit.study.results import Collector
from segkit.study.stages import Outcome, outcome_of
from segkit.study.store import Store, StoreFull, writable_folder


class Watch(Protocol):
    """Is told how a study goes on."""

    def start(self, prepared: Prepared, tasks: Sequence[Task], finished: Mapping[str, int]) -> None:
        """Take note that execution begins: the tasks to do, and the runs by status that need none."""

    def advance(self, task: Task, counts: Mapping[str, int]) -> None:
        """Take note that a task is done, with the number of runs by status."""

    def stop(self) -> None:
        """Take note that execution ended, well or not."""


def launch(prepared: Prepared, command: Sequence[str], watch: Watch) -> Finished:
    """Run what is not stored and write the study's folder.

    Whatever ends the study early (an interrupt, a full disk), what was finished is written before the exception
    goes on.
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
            record.work = engine.work
            _screen(prepared, engine, record, watch)
            if scoring["racing"]:
                _race(prepared, engine, record, watch)
            if scoring["confirm"]:
                _confirm(prepared, engine, record, watch)
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    except StoreFull:
        state = "stopped: disk full"
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
        If something is missing, the folder is not for this study, or another process is at work on it.
    """
    if prepared.claimed:
        yield prepared
        return
    check_address(prepared.engine)
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
        if not (folder / "study.yaml").exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            told = "holds files but no study; name a folder that is empty, new, or that of this study"
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
            told = f"holds another study, with {len(others)} runs that this one has not; name another folder"
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
    _compute(prepared, prepared.plan, settled, engine, record, watch)


def _race(prepared: Prepared, engine: Engine, record: Record, watch: Watch) -> None:
    """Recluster draws, more and more of them, for the runs that can still reach the shortlist."""
    done: dict[str, tuple[int, str]] = {}
    for draws in schedule(prepared.composition.study["scoring"]["draws"]):
        plan, done = drawn_further(record.collector.plan, record.contenders(done), draws, done)
        record.adopt(plan)
        new = {key: plan.nodes[key] for _, key in done.values()}
        stored = frozenset(prepared.store.keys(("stability",)))
        record.collector.add(settled_outcomes(new, prepared.store, stored).values())
        _compute(prepared, plan, record.collector.outcomes, engine, record, watch)


def _compute(
    prepared: Prepared, plan: Plan, settled: Mapping[str, Outcome], engine: Engine, record: Record, watch: Watch
) -> None:
    tasks, collector = make_tasks(plan.nodes, plan.leaves, settled), record.collector
    watch.start(prepared, tasks, collector.counts())
    with closing(engine.run(tasks, *_expected(tasks, plan))) as results:
        for task, outcomes in results:
            collector.add(outcomes)
            watch.advance(task, collector.counts())
            record.flush()


def _confirm(prepared: Prepared, engine: Engine, record: Record, watch: Watch) -> None:
    """Confirm the best of the screen; nothing is done if no run passed the gates."""
    confirmation = record.shortlist()
    if confirmation is None:
        return
    nodes = confirmation.nodes
    stored, known = frozenset(prepared.store.keys(KINDS)), record.collector.outcomes
    outcomes = record.confirming(settled_outcomes(nodes, prepared.store, stored, known))
    tasks = make_tasks(nodes, confirmation.leaves, outcomes)
    if tasks:
        record.screened()
    watch.start(prepared, tasks, record.collector.counts())
    with closing(engine.run(tasks, *_expected(tasks, prepared.plan))) as results:
        for task, done in results:
            outcomes.update({outcome.key: outcome for outcome in done})
            watch.advance(task, record.collector.counts())


def _expected(tasks: Sequence[Task], plan: Plan) -> tuple[dict[str, float], dict[str, float]]:
    """Return the order of work and the estimated seconds by task's name."""
    customers = cost.largest_table(plan)
    return cost.priorities(tasks, customers), {task.name: cost.task_seconds(task, customers) for task in tasks}


def settled_outcomes(
    nodes: Mapping[str, Node], store: Store, stored: frozenset[str], known: Mapping[str, Outcome] = MappingProxyType({})
) -> dict[str, Outcome]:
    """Return the outcomes that are stored, and those that follow: what stands on an impossible stage is impossible.

    Results that are among the ``known`` are not read again.
    """
    found: dict[str, Outcome] = {}
    for key, node in nodes.items():
        if key in known and key in stored and known[key].status == "ok":
            found[key] = known[key]
            continue
        skipped = ((role, found[i]) for role, i in node.inputs.items() if i in found and found[i].status == "skipped")
        stopped = next((outcome for role, outcome in skipped if node.stops(role, again=outcome.again)), None)
        record = store.record(key) if key in stored else None
        if stopped:
            found[key] = Outcome(key, stopped.status, stopped.reason)
        elif record:
            found[key] = outcome_of(key, record)
    return found
