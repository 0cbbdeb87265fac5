"""What became of a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segkit.study.plan.stage import Node


@dataclass(frozen=True)
class Outcome:
    """What became of one node.

    Attributes
    ----------
    key
        The node's.
    status
        ``ok``; ``failed`` for a bug or a lost input; ``skipped`` where this data or this worker
        cannot do it.
    reason
        Why it is not ok, in one line.
    record
        Of an ok one: facts, CPU seconds, memory and digest.
    details
        The traceback of a failure that was not foreseen.
    again
        Whether the next launch tries it again, on another machine perhaps.
    damaged
        Keys of stored results that were damaged. Of an ok outcome they were computed anew; of a
        failed one they must be, before it is tried again.
    """

    key: str
    status: str
    reason: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    details: str = ""
    again: bool = False
    damaged: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether it failed for nothing but damaged inputs."""
        return self.status == "failed" and bool(self.damaged)


def outcome_of(key: str, record: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a stored record: ok, or known to be impossible on this data."""
    reason = record["facts"].get("skipped", "")
    return Outcome(key, "skipped" if reason else "ok", reason, record)


def stopped_by(node: Node, lost: Mapping[str, Outcome]) -> Outcome | None:
    """Return the lost input that keeps a node from being computed; None if it can be computed."""
    for role, key in node.inputs.items():
        outcome = lost.get(key)
        if outcome is not None and node.stops(role, again=outcome.again):
            return outcome
    return None
