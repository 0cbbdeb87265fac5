"""How far a running study is: a file in its folder, for other processes to read."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segkit.errors import SegkitError
from segkit.files import replacing
from segkit.study.plan.cost import duration
from segkit.study.run.stages import KINDS

FILE = "progress.json"
PARTS = ("screen", "race", "confirmation")
COMPILING = "compiling the kernels (once per installation)"
# It is written every few seconds; an older one is left from a study that was killed.
_STALE_SECONDS = 60.0
# Bytes; a longer file is not one of ours.
_LARGEST = 1 << 16
# Seconds, those since 1970 too.
_MOST = 1e10


@dataclass(frozen=True)
class Going:
    """How far a running study is.

    Attributes
    ----------
    part
        The part that is computed, one of ``PARTS``.
    compiling
        Whether kernels are being compiled.
    done, stages
        The number of finished stages of the part, and of all, by kind.
    running
        The kind of each stage that a worker computes now.
    seconds_left, seconds_later
        The estimated wall seconds of this part, and of the parts after it.
    written
        When this was written, in seconds since 1970.
    """

    part: str
    compiling: bool
    done: Mapping[str, int]
    stages: Mapping[str, int]
    running: Sequence[str]
    seconds_left: float
    seconds_later: float
    written: float

    @property
    def lines(self) -> list[str]:
        """Lines for people: the part and the time left, what is at work, each kind of stage."""
        left = f"{self.part}: about {duration(self.seconds_left)} left"
        if self.seconds_later:
            left += f", then about {duration(self.seconds_later)} for the confirmation"
        lines = [left]
        running = Counter(self.running)
        if self.compiling:
            lines.append(f"now: {COMPILING}")
        elif running:
            at_work = ", ".join(f"{count} x {kind}" for kind, count in running.items())
            lines.append(f"now: {at_work}")
        for kind, count in self.stages.items():
            lines.append(f"  {kind:<12} {self.done[kind]:>8} of {count}")
        return lines


def write_going(folder: Path, going: Going | None) -> None:
    """Write how far a study is; None removes the file. A failure never stops the study."""
    with contextlib.suppress(OSError, SegkitError):
        if going is None:
            (folder / FILE).unlink(missing_ok=True)
        elif folder.is_dir():
            with replacing(folder / FILE, "w") as file:
                file.write(json.dumps(asdict(going)))


def read_going(folder: Path) -> Going | None:
    """Return how far a study is; None if nothing was written lately, or nothing sound."""
    path = folder / FILE
    try:
        if path.stat().st_size > _LARGEST:
            return None
        document = json.loads(path.read_bytes())
        going = Going(**{name: document[name] for name in Going.__dataclass_fields__})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    if not _is_sound(going) or abs(time.time() - going.written) >= _STALE_SECONDS:
        return None
    return going


def _is_sound(going: Going) -> bool:
    """Tell whether a file has what a running study writes; anybody may have written it."""
    return (
        going.part in PARTS
        and isinstance(going.compiling, bool)
        and all(isinstance(counts, dict) for counts in (going.done, going.stages))
        and going.done.keys() == going.stages.keys() <= set(KINDS)
        and all(isinstance(count, int) for count in (*going.done.values(), *going.stages.values()))
        and isinstance(going.running, list)
        and all(kind in KINDS for kind in going.running)
        and all(
            _is_number(value) for value in (going.seconds_left, going.seconds_later, going.written)
        )
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value < _MOST
