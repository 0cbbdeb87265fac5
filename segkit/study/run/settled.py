"""What is known before anything is computed: stored outcomes, and those that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from segkit.study.plan.stage import Node
from segkit.study.run.outcome import Outcome, outcome_of, stopped_by
from segkit.study.run.store import Store


def settled_outcomes(
    nodes: Mapping[str, Node],
    store: Store,
    stored: frozenset[str],
    known: Mapping[str, Outcome] = MappingProxyType({}),
) -> dict[str, Outcome]:
    """Return the outcomes that are stored, and those that follow from an impossible input.

    Parameters
    ----------
    nodes
        The graph, by key; each node after those it reads.
    store
        Where the results are.
    stored
        Keys that the store has.
    known
        Outcomes that need not be read again.
    """
    settled: dict[str, Outcome] = {}
    skipped: dict[str, Outcome] = {}
    for key, node in nodes.items():
        if key in known and key in stored and known[key].status == "ok":
            settled[key] = known[key]
            continue
        cause = stopped_by(node, skipped)
        # Read even where it follows from another outcome: a damaged record is dropped by that.
        record = store.record(key) if key in stored else None
        if cause is not None:
            settled[key] = Outcome(key, cause.status, cause.reason)
        elif record:
            settled[key] = outcome_of(key, record)
        if key in settled and settled[key].status == "skipped":
            skipped[key] = settled[key]
    return settled
