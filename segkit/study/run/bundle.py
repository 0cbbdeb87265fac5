"""What one worker is handed at once: a bundle of tasks, computed one after another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from segkit.study.plan.graph import Task
from segkit.study.run.outcome import Outcome
from segkit.study.run.requirement import Requirement, check_here
from segkit.study.run.task import run_task


def run_bundle(
    bundle: Sequence[Task],
    store_root: str,
    requirement: Requirement | None,
    known: Sequence[Outcome],
    *before: Sequence[Sequence[Outcome]],
    compiled: Sequence[float] = (),  # noqa: ARG001
) -> list[list[Outcome]]:
    """Compute the tasks of a bundle on a worker, one after another.

    Parameters
    ----------
    bundle
        Tasks in a possible order.
    store_root
        Path of the store's folder.
    requirement
        What this worker must have; None for a local worker.
    known
        Outcomes of inputs that no bundle computes.
    before
        The return values of the bundles that this one comes after.
    compiled
        The return values of the compilations that this bundle has to wait for; not used.

    Returns
    -------
    list of list of Outcome
        For each task the outcomes of its nodes, in order.

    Raises
    ------
    UsageError
        If this worker joined after the others were checked, and is not as required.
    """
    if requirement is not None:
        check_here(requirement)
    others = [known]
    for outcomes in before:
        others.extend(outcomes)
    done: list[list[Outcome]] = []
    for task in bundle:
        done.append(run_task(task, store_root, *others, *done))
    return done


def not_ok(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    """Return the outcomes without a result, by key."""
    return {outcome.key: outcome for outcome in outcomes if outcome.status != "ok"}


def broken_inputs(broken: Mapping[str, Outcome], tasks: Iterable[Task]) -> list[Outcome]:
    """Return the outcomes, among those without a result, that tasks read."""
    keys: set[str] = set()
    for task in tasks:
        for node in task.nodes:
            keys.update(node.inputs.values())
    return [broken[key] for key in keys if key in broken]
