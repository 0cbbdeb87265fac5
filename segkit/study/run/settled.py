"""What is known of stages before any is computed: what is stored, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from segkit.study.plan.graph import Node
from segkit.study.run.stages import Outcome, outcome_of
from segkit.study.run.store import Store


def settled_outcomes(
    nodes: Mapping[str, Node],
    store: Store,
    stored: frozenset[str],
    known: Mapping[str, Outcome] = MappingProxyType({}),
) -> dict[str, Outcome]:
    """Return the outcomes that are stored, and those that follow: what stands on an impossible stage is impossible.

    Results that are among the ``known`` are not read again.
    """
    found: dict[str, Outcome] = {}
    for key, node in nodes.items():
        if key in known and key in stored and known[key].status == "ok":
            found[key] = known[key]
            continue
        skipped = (
            (role, found[i])
            for role, i in node.inputs.items()
            if i in found and found[i].status == "skipped"
        )
        stopped = next(
            (outcome for role, outcome in skipped if node.stops(role, again=outcome.again)), None
        )
        record = store.record(key) if key in stored else None
        if stopped:
            found[key] = Outcome(key, stopped.status, stopped.reason)
        elif record:
            found[key] = outcome_of(key, record)
    return found
