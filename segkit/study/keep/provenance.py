"""Where a study's numbers come from: command, code, versions, machine, data and seeds."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segkit
from segkit import features
from segkit.study.keep.reader import FORMAT
from segkit.study.plan.graph import counts
from segkit.study.plan.keys import kind_of
from segkit.study.plan.libraries import versions
from segkit.study.run.work import Work
from segkit.version import __version__

if TYPE_CHECKING:
    from segkit.data import Table
    from segkit.study.keep.state import StudyState


def commit() -> str | None:
    """Return the commit of the checkout that segkit runs from; None where it is no checkout.

    A checkout with changes has ``+changes`` after its commit.
    """
    folder = Path(segkit.__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return None
    head = _git(folder, "rev-parse", "HEAD")
    if head and _git(folder, "status", "--porcelain", "-uno"):
        return f"{head}+changes"
    return head


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            # A slow disk must not keep a study from starting.
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def machine() -> dict[str, Any]:
    """Return the machine's system, processor, cores and memory."""
    import psutil

    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def _processor() -> str:
    # Only Linux names it there.
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def surroundings() -> dict[str, Any]:
    """Return everything that does not depend on the study: code, versions, machine."""
    return {
        "segkit": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "versions": versions(),
        "machine": machine(),
    }


@dataclass
class Launch:
    """One launch of a study: its command, where it computes, its clock, and the work it did."""

    command: Sequence[str]
    engine: str
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)
    work: Work = field(default_factory=Work)
    # Read at the beginning: the code may be edited while a long study runs.
    surroundings: Mapping[str, Any] = field(default_factory=surroundings)


def provenance(
    launch: Launch,
    study: StudyState,
    state: str,
    draws: int,
    tables: Mapping[str, Table] | None = None,
    by_status: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return what ``provenance.json`` says of a study.

    Parameters
    ----------
    launch
        The launch that computes it.
    study
        What is known of the study so far.
    state
        ``running``, ``concluding``, ``finished``, ``interrupted``, or ``stopped: `` and a reason.
    draws
        How many draws the study's stability is asked to have.
    tables
        The study's tables by identity: given at the end, when the data is described too.
    by_status
        The number of runs by status; by default, as far as they are finished.
    """
    plan = study.plan
    running = state == "running"
    document = {
        "format": FORMAT,
        "state": state,
        "command": list(launch.command),
        "started": launch.started.isoformat(timespec="seconds"),
        "finished": None if running else datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(time.monotonic() - launch.clock, 2),
        "seconds": study.collector.seconds(),
        **launch.work.figures(),
        "workers": launch.work.workers,
        "engine": launch.engine,
        "counts": {**(by_status or study.collector.counts()), "runs": len(plan.runs)},
        "stages": counts(plan.nodes.values()),
        "confirm_seconds": _confirm_seconds(study),
        "seeds": sorted({run.seed for run in plan.runs}),
        "draws": draws,
        **launch.surroundings,
        "data": {},
        "failures": _failures(study),
        "damaged": study.damaged_by_kind(),
    }
    # At the end only: the tables may be large, and this file is written every few seconds.
    if tables:
        document["data"] = data_facts(tables) | {
            "variance_shares": _variance_shares(study),
            "feature_warnings": _feature_warnings(study),
        }
        document["sketches"] = study.facts("sketch")
    return document


def _confirm_seconds(study: StudyState) -> dict[str, float]:
    """Return the CPU seconds of the stages that only the confirmation needs, by kind."""
    own = {
        key: outcome
        for key, outcome in study.confirm_outcomes.items()
        if key not in study.plan.nodes
    }
    total = dict.fromkeys(counts(study.nodes[key] for key in own), 0.0)
    for key, outcome in own.items():
        total[kind_of(key)] += outcome.record.get("seconds", 0.0)
    return {kind: round(seconds, 3) for kind, seconds in total.items()}


def _failures(study: StudyState) -> dict[str, str]:
    """Return one traceback for each reason of a failure that was not foreseen."""
    outcomes = (*study.collector.outcomes.values(), *study.confirm_outcomes.values())
    return {outcome.reason: outcome.details for outcome in outcomes if outcome.details}


def _variance_shares(study: StudyState) -> dict[str, dict[str, float]]:
    """Return each feature's share of the variance, by feature set and scaler."""
    shares, names = study.facts("variance_shares"), study.facts("names")
    by_space: dict[str, dict[str, float]] = {}
    for run in study.plan.runs:
        scaling, feature_set = run.stages.get("scaling"), run.stages.get("features")
        if scaling in shares and feature_set in names:
            space = f"{run.choices['features']}/{run.choices['scaler']}"
            named = dict(zip(names[feature_set], shares[scaling], strict=True))
            by_space.setdefault(space, named)
    return by_space


def _feature_warnings(study: StudyState) -> list[str]:
    """Return the warnings of the feature sets, and of the spaces that one feature dominates."""
    import numpy as np

    warnings = [text for texts in study.facts("warnings").values() for text in texts]
    for space, shares in _variance_shares(study).items():
        warning = features.dominant(list(shares), np.array(list(shares.values())))
        if warning:
            warnings.append(f"{space}: {warning}")
    return list(dict.fromkeys(warnings))


def data_facts(tables: Mapping[str, Table]) -> dict[str, Any]:
    """Describe the data: fingerprints, columns, missing values, skew and warnings.

    Parameters
    ----------
    tables
        The loaded tables by identity. Columns are those of the first; missing values and skew are
        over all.
    """
    import pandas as pd

    frames = [table.frame for table in tables.values()]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    numeric = frame.select_dtypes(include="number")
    missing = frame.isna().sum()
    return {
        "source": ", ".join(dict.fromkeys(table.source for table in tables.values())),
        "identity": list(tables),
        "fingerprint": [table.fingerprint() for table in tables.values()],
        "n_customers": len(frame),
        "columns": list(map(str, frame.columns)),
        "missing": {str(name): int(count) for name, count in missing.items() if count},
        "skew": {
            str(name): round(float(value), 4)
            for name, value in numeric.skew().items()
            # Of a constant column it is NaN.
            if value == value
        },
        "warnings": list(
            dict.fromkeys(text for table in tables.values() for text in table.warnings)
        ),
    }
