"""Where a study's numbers come from: command, code, versions, machine, data and seeds."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import segkit
from segkit.study.plan.libraries import versions
from segkit.version import __version__


def commit() -> str | None:
    """Return the commit of the checkout that segkit runs from (``+changes`` if edited), None where it is none."""
    folder = Path(segkit.__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return None
    head = _git(folder, "rev-parse", "HEAD")
    return head and head + ("+changes" if _git(folder, "status", "--porcelain", "-uno") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
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
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
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


def data_facts(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the report says of the data: fingerprints, columns, missing values, skew and warnings.

    Parameters
    ----------
    tables
        By root key: the loaded tables. Columns are those of the first; missing values and skew are
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
            if value == value
        },
        "warnings": list(
            dict.fromkeys(text for table in tables.values() for text in table.warnings)
        ),
    }
