"""A study from its plan to its folder: screen every run, confirm the best, write what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Protocol

from segkit.errors import UsageError
from segkit.study import cost
from segkit.study.engine import Engine, check_address
from segkit.study.folder import Study
from segkit.study.graph import KINDS, Node, Task, make_tasks
from segkit.study.prepare import Prepared
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
    check_address(prepared.engine)
    prepared = replace(prepared, folder=_claimed_folder(prepared))
    prepared.store.prepare()
    collector = Collector(prepared.plan)
    record = Record(prepared, command, collector)
    state = "finished"
    try:
        with Engine(prepared.engine, str(prepared.store.root)) as engine:
            _screen(prepared, engine, collector, record, watch)
            if prepared.composition.study["scoring"]["confirm"]:
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
        watch.stop()
        finished = record.end(state)
    return finished


def _claimed_folder(prepared: Prepared) -> Path:
    """Make the study's folder: one that the user named may hold this study already, any other is a new one."""
    folder = prepared.folder
    if prepared.folder_is_given:
        writable_folder(folder, "hydra.sweep.dir")
        if (folder / "configs.jsonl").exists():
            others = set(Study(folder).configurations) - {run.id for run in prepared.plan.runs}
            if others:
                told = f"holds another study, with {len(others)} runs that this one has not; name another folder"
                raise UsageError(f"hydra.sweep.dir={folder}: {told}")
        return folder
    writable_folder(folder.parent, "hydra.sweep.dir")
    # Two studies may be launched in the same second.
    names = chain([folder.name], (f"{folder.name}_{number}" for number in count(2)))
    return next(claimed for claimed in map(folder.with_name, names) if _made(claimed))


def _made(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def _screen(prepared: Prepared, engine: Engine, collector: Collector, record: Record, watch: Watch) -> None:
    """Compute what every run needs; rows are made as runs finish."""
    plan = prepared.plan
    settled = settled_outcomes(plan.nodes, prepared.store, prepared.stored)
    collector.add(settled.values())
    record.begin()
    tasks = make_tasks(plan.nodes, plan.leaves, settled)
    watch.start(prepared, tasks, collector.counts())
    with closing(engine.run(tasks, cost.priorities(tasks, cost.largest_table(plan)))) as results:
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
    outcomes = record.confirming(settled_outcomes(nodes, prepared.store, frozenset(prepared.store.keys(KINDS))))
    tasks = make_tasks(nodes, confirmation.leaves, outcomes)
    watch.start(prepared, tasks, record.collector.counts())
    with closing(engine.run(tasks, cost.priorities(tasks, cost.largest_table(prepared.plan)))) as results:
        for task, done in results:
            outcomes.update({outcome.key: outcome for outcome in done})
            watch.advance(task, record.collector.counts())


def settled_outcomes(nodes: Mapping[str, Node], store: Store, stored: frozenset[str]) -> dict[str, Outcome]:
    """Return the outcomes that are stored, and those that follow: what stands on an impossible stage is impossible."""
    found: dict[str, Outcome] = {}
    for key, node in nodes.items():
        skipped = ((role, found[i]) for role, i in node.inputs.items() if i in found and found[i].status == "skipped")
        stopped = next((outcome for role, outcome in skipped if node.stops(role, outcome.status)), None)
        record = store.record(key) if key in stored else None
        if stopped:
            found[key] = Outcome(key, stopped.status, stopped.reason)
        elif record:
            found[key] = outcome_of(key, record)
    return found
