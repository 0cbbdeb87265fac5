"""What one stage may take on a worker, in memory and time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from segkit.study.plan.cost import duration, node_seconds
from segkit.study.plan.stage import Config, Node, Stage
from segkit.targets import class_name


@dataclass(frozen=True)
class Limits:
    """The most that one stage may take; a run with a stage that takes more is skipped.

    Attributes
    ----------
    memory
        Bytes that a worker has; None: unknown.
    seconds
        Estimated CPU seconds; None: any.
    stored
        Keys of stages that need no time any more.
    """

    memory: float | None = None
    seconds: float | None = None
    stored: Collection[str] = ()

    def too_large(self, stage: Stage, config: Config, customers: int, columns: int) -> str | None:
        """Say which memory a stage needs that there is not; None where there is enough."""
        if self.memory is None or stage.memory is None:
            return None
        needed = stage.memory(config, customers, columns)
        if needed <= self.memory:
            return None
        return (
            f"{class_name(config)} needs about {needed / 1e9:.2f} GB of memory for"
            f" {customers:,} customers, a worker has {self.memory / 1e9:.2f} GB; fit it on fewer"
            f" (sampling.{_setting(stage, config)})"
        )

    def too_slow(self, node: Node, stage_customers: int, customers: int) -> str | None:
        """Say how long a stage would take if that is longer than allowed; None if it is not.

        Parameters
        ----------
        node
            The stage.
        stage_customers
            How many customers it is planned for.
        customers
            How many the table has.
        """
        seconds = node_seconds(node, stage_customers)
        if self.seconds is None or seconds <= self.seconds:
            return None
        message = (
            f"{node.kind} would take about {duration(seconds)} of CPU for"
            f" {node.sample or customers:,} customers, longer than engine.time_limit allows"
        )
        setting = _setting(node.stage, node.config)
        return f"{message}; do it on fewer (sampling.{setting})" if setting else message


def _setting(stage: Stage, config: Config) -> str | None:
    """Return the ``sampling`` setting that puts a stage on fewer customers."""
    return None if stage.sampling is None else stage.sampling(config)


UNLIMITED = Limits()
