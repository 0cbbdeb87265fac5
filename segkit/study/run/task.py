"""Compute one task: from stored inputs to stored results, on any worker.

``run_task`` is all that an engine calls. It never raises for a stage that fails: its outcome says
what became of it. Failed stages are tried again at the next launch; skipped ones only where another
worker may be able to do them.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from segkit.errors import Infeasible, NoRoom, UsageError
from segkit.files import DiskFull
from segkit.study.plan.stage import Result
from segkit.study.run.inputs import Inputs
from segkit.study.run.outcome import Outcome, outcome_of, stopped_by
from segkit.study.run.resources import memory, one_thread
from segkit.study.run.stages import STAGES
from segkit.study.run.store import Damaged, Store

if TYPE_CHECKING:
    from segkit.study.plan.graph import Task
    from segkit.study.plan.stage import Node


def run_task(task: Task, store_root: str, *before: Sequence[Outcome]) -> list[Outcome]:
    """Compute a task's nodes and store their results.

    Parameters
    ----------
    task
        Nodes of one kind that share their inputs' work.
    store_root
        The store's folder.
    before
        The outcomes of the tasks that this one comes after.

    Returns
    -------
    list of Outcome
        One for each node, in order.

    Raises
    ------
    DiskFull
        If the store's disk is full: the study cannot go on.
    """
    store = Store(store_root)
    lost = {
        outcome.key: outcome
        for outcomes in before
        for outcome in outcomes
        if outcome.status != "ok"
    }
    done: dict[str, Outcome] = {}
    open_nodes = []
    for node in task.nodes:
        cause = stopped_by(node, lost)
        if cause is not None:
            done[node.key] = replace(cause, key=node.key, record={})
            continue
        # A task may be run again after its worker was lost.
        record = store.record(node.key)
        if record:
            done[node.key] = outcome_of(node.key, record)
        else:
            open_nodes.append(node)
    if open_nodes:
        done |= _compute(open_nodes, Inputs(store, lost))
    return [done[node.key] for node in task.nodes]


def _compute(nodes: Sequence[Node], inputs: Inputs) -> dict[str, Outcome]:
    store, start = inputs.store, time.thread_time()
    results: Sequence[Result | Exception]
    with memory() as used:
        try:
            with one_thread():
                results = STAGES[nodes[0].kind].compute(nodes, inputs)
        except DiskFull:
            raise
        except Exception as error:
            results = [error] * len(nodes)
    share = (time.thread_time() - start) / len(nodes)
    outcomes = {}
    for node, result in zip(nodes, results, strict=True):
        outcome = _store(node, result, store, share, used)
        # Results that were dropped here are computed again by whoever collects the outcomes.
        outcomes[node.key] = replace(outcome, damaged=tuple(dict.fromkeys(store.damaged)))
    return outcomes


def _store(
    node: Node, result: Result | Exception, store: Store, seconds: float, used: Mapping[str, float]
) -> Outcome:
    if isinstance(result, NoRoom):
        return Outcome(node.key, "skipped", f"{node.kind}: {result}", again=True)
    if isinstance(result, Infeasible):
        # Stored, so that no later launch tries what this data cannot do.
        result = Result({}, {"skipped": f"{node.kind}: {result}"})
    if not isinstance(result, Result):
        return _failed(node, result)
    try:
        record = store.save(node.key, result.arrays, result.facts, seconds, used)
    except OSError as error:
        message = f"store={store.root}: the result cannot be written ({error.strerror})"
        return _failed(node, UsageError(message))
    return outcome_of(node.key, record)


def _failed(node: Node, error: Exception) -> Outcome:
    """Return the outcome of an exception, with its traceback unless the message says it all."""
    if isinstance(error, UsageError | Damaged):
        message, details = str(error), ""
    else:
        message = f"{type(error).__name__}: {error}"
        details = "".join(traceback.format_exception(error))
    reason = " ".join(f"{node.kind}: {message}".split())
    return Outcome(node.key, "failed", reason, details=details, again=True)
