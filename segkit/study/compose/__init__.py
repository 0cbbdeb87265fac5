"""From overrides to configurations: what is asked for, resolved, each configuration once.

In: Hydra overrides, experiments and option files. Out: a `Composition`: the settings of the study
and its `Configuration`s. Equal to what Hydra composes job by job, a thousand times faster.
"""

from __future__ import annotations

from segkit.study.compose.composition import (
    Composition,
    Configuration,
    compose_study,
    help_text,
    job_config,
)
from segkit.study.compose.paths import experiments, options

__all__ = [
    "Composition",
    "Configuration",
    "compose_study",
    "experiments",
    "help_text",
    "job_config",
    "options",
]
