"""A study that ended, as the commands that follow it up get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.study.keep.customers import Customers
from segkit.study.plan.planner import Plan
from segkit.study.run.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Finished:
    """A study that ended: its folder, its runs table and the customers' tables."""

    folder: Path
    runs: pd.DataFrame
    customers: Customers
    plan: Plan
    store: Store
    state: str
    counts: Mapping[str, int] = field(default_factory=dict)
    lost_stages: int = 0
    damaged: Mapping[str, int] = field(default_factory=dict)
    work: Mapping[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether no run and no stage of the confirmation was lost or failed.

        Runs that this data cannot have are skipped, which is an answer; a study of none but those
        has no result.
        """
        lost = self.counts["failed"] + self.counts["waiting"] + self.lost_stages
        return self.counts["ok"] > 0 and not lost
