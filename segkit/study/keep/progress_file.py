"""How far a running study is, kept in its folder for whoever asks from another process."""

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
# It is written every few seconds; one that is older belongs to a study that was killed, or stands
# still.
_STALE_SECONDS = 60.0
_LARGEST = 1 << 16  # bytes; what is longer is not ours
_MOST = 1e10  # seconds, since 1970 too


@dataclass(frozen=True)
class Going:
    """The part of the study that is computed, its stages by kind, the kinds that are at work, and the time left.

    ``seconds_left`` are the estimated wall seconds of this part, ``seconds_later`` those of what
    comes after it; ``written`` is seconds since 1970.
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
        """For people: the part and the time left, what is at work, then each kind of stage."""
        left = f"{self.part}: about {duration(self.seconds_left)} left"
        later = (
            f", then about {duration(self.seconds_later)} for the confirmation"
            if self.seconds_later
            else ""
        )
        at_work = ", ".join(f"{count} x {kind}" for kind, count in Counter(self.running).items())
        now = COMPILING if self.compiling else at_work
        kinds = [
            f"  {kind:<12} {self.done[kind]:>8} of {count}" for kind, count in self.stages.items()
        ]
        return [f"{left}{later}", *([f"now: {now}"] if now else []), *kinds]


def write_going(folder: Path, going: Going | None) -> None:
    """Write how far a study is, or remove it when nothing goes on any more; never stops the study."""
    with contextlib.suppress(OSError, SegkitError):
        if going is None:
            (folder / FILE).unlink(missing_ok=True)
        elif folder.is_dir():
            with replacing(folder / FILE, "w") as file:
                file.write(json.dumps(asdict(going)))


def read_going(folder: Path) -> Going | None:
    """Return how far a study is; None where nobody has told it lately, or what is there cannot be believed."""
    path = folder / FILE
    try:
        if path.stat().st_size > _LARGEST:
            return None
        found = json.loads(path.read_bytes())
        going = Going(**{name: found[name] for name in Going.__dataclass_fields__})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return going if _is_sound(going) and abs(time.time() - going.written) < _STALE_SECONDS else None


def _is_sound(going: Going) -> bool:
    """Tell whether a file that anybody may have written holds what a running study writes."""
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
