"""What a stage's process is held to, one thread, and measured by: its peak memory."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
# To clear_refs: set the peak of the resident set back to what is resident now.
_RESET_PEAK = "5"


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let the numerical libraries that are loaded use one thread: sums over several differ in their last digits."""
    with _libraries(len(sys.modules)).limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _libraries(_modules: int) -> Any:
    """Find the libraries that have threads: a search through all that is loaded, repeated when modules were added."""
    # Loaded by the stages anyway; what is loaded later would not be found.
    import scipy.linalg  # noqa: F401
    import sklearn.utils._openmp_helpers  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextlib.contextmanager
def memory() -> Iterator[dict[str, float]]:
    """Measure the resident set of this process while the block runs.

    Yields
    ------
    dict
        Filled when the block ends well: ``peak``, the largest resident set in MiB, libraries and
        everything held from before included, and ``growth``, how far that is above what was
        resident at the beginning. Memory that was freed before but not given back to the system is
        resident, so growth is the least that the block used. Where the system cannot set its mark
        back, peak is that of the process so far, and growth how far the block raised it. Empty
        where the system tells nothing. Other threads of the process count as well.
    """
    told: dict[str, float] = {}
    before = _resident() if _reset_peak() else _peak()
    yield told
    peak = _peak()
    if peak is not None and before is not None:
        told |= {"peak": round(peak, 1), "growth": round(max(0.0, peak - before), 1)}


def _reset_peak() -> bool:
    try:
        _RESET.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _resident() -> float | None:
    return _status("VmRSS:")


def _peak() -> float | None:
    """Return the peak of the resident set in MiB, since it was set back or else since the process began."""
    found = _status("VmHWM:")
    return _lifetime_peak() if found is None else found


def _status(name: str) -> float | None:
    """Return a figure of the process in MiB, None where the system has no such file."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), None)


def _lifetime_peak() -> float | None:
    try:
        import resource
    except ImportError:  # not a Unix
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024**2 if sys.platform == "darwin" else peak / 1024
