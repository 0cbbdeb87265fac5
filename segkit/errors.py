"""The errors that segkit raises on purpose; any other exception is a bug and keeps its traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SegkitError(Exception):
    """Base of the errors raised on purpose."""


class UsageError(SegkitError):
    """Wrong usage, configuration or data, told in one line: exit code 2, no traceback.

    The line names the file, column, parameter or option, what is allowed and what was given.
    """


class WorkersLost(SegkitError):
    """A scheduler or all of its workers are gone in the middle of a study: exit code 1; a new launch resumes it."""


class Infeasible(SegkitError):
    """A stage that cannot be done on this data (more clusters than customers): its runs are skipped."""


class NoRoom(SegkitError):
    """A stage for which this worker has not the memory: its runs are skipped, and tried again at the next launch."""


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the allowed name nearest to the given one, else ``""``."""
    close = nearest(given, allowed)
    return "" if close is None else f"; did you mean '{close}'?"


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that is most like the given one, None if none is alike."""
    close = get_close_matches(str(given), [str(name) for name in allowed], n=1, cutoff=0.6)
    return close[0] if close else None
