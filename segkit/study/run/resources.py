"""The limit on a stage's process, one thread, and the measure of its memory."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.study.run.compat import load_threaded_libraries

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
# To clear_refs: set the peak of the resident set back to what is resident now.
_RESET_PEAK = "5"


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Hold the numerical libraries to one thread: sums over several differ in the last digits."""
    with _libraries(len(sys.modules)).limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _libraries(_modules: int) -> ThreadpoolController:
    """Return the control of all loaded libraries that have threads.

    The search takes milliseconds, so it is repeated only when the number of modules has changed.
    """
    from threadpoolctl import ThreadpoolController

    # The stages load them anyway. Libraries that are loaded later would escape the control.
    load_threaded_libraries()
    return ThreadpoolController()


@contextlib.contextmanager
def memory() -> Iterator[dict[str, float]]:
    """Measure the resident set of this process while the block runs.

    Yields
    ------
    dict
        Filled when the block ends well: ``peak``, the largest resident set in MiB, with libraries
        and everything held from before, and ``growth``, its distance to the resident set at the
        beginning. Memory that was freed but not given back to the system before is resident, so
        the block used at least as much as the growth. Where the system cannot set the peak back, it
        is that of the process so far, and growth is how far the block raised it. Empty where the
        system gives no figures. Other threads of the process count as well.
    """
    figures: dict[str, float] = {}
    before = _resident() if _reset_peak() else _peak()
    yield figures
    peak = _peak()
    if peak is not None and before is not None:
        figures["peak"] = round(peak, 1)
        figures["growth"] = round(max(0.0, peak - before), 1)


def _reset_peak() -> bool:
    """Set the peak of the resident set back and tell whether the system did."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _resident() -> float | None:
    """Return the resident set in MiB, None where the system gives no figure."""
    return _status("VmRSS:")


def _peak() -> float | None:
    """Return the peak of the resident set in MiB since it was set back, or since the start."""
    peak = _status("VmHWM:")
    return _lifetime_peak() if peak is None else peak


def _status(name: str) -> float | None:
    """Return a figure of the process in MiB, None where the system gives none."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return None


def _lifetime_peak() -> float | None:
    """Return the peak of the resident set in MiB since the process began."""
    try:
        import resource
    except ImportError:  # not a Unix
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts in bytes, others in KiB.
    return peak / 1024**2 if sys.platform == "darwin" else peak / 1024
