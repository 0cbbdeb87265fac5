"""The kinds of stages: one file each, found by being in this folder.

A file defines ``STAGE``, a `segkit.study.plan.stage.Stage`, and computes one result for each node
of a task. Nothing else in the project lists the kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from segkit.study.plan.keys import kind_of
from segkit.study.plan.stage import Config, Node, Stage


def _stages() -> dict[str, Stage]:
    stages: list[Stage] = [
        import_module(f"{__name__}.{module.name}").STAGE for module in iter_modules(__path__)
    ]
    return {stage.kind: stage for stage in sorted(stages, key=lambda stage: stage.order)}


#: By name, in the order in which data flows through them.
STAGES: dict[str, Stage] = _stages()
KINDS: tuple[str, ...] = tuple(STAGES)


def node_of(key: str, config: Config, inputs: Mapping[str, str], sample: int | None = None) -> Node:
    """Return a node of the kind that its key begins with."""
    return Node(STAGES[kind_of(key)], key, config, inputs, sample)
