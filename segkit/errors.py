"""Errors that segkit raises on purpose; any other exception is a bug and keeps its traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SegkitError(Exception):
    """Base of the errors raised on purpose."""


class UsageError(SegkitError):
    """Wrong usage, configuration or data: one line, exit code 2, no traceback.

    The line names the file, column, parameter or option, what is allowed and what was given.
    """


class WorkersLost(SegkitError):
    """A scheduler or all its workers were lost during a study: exit code 1.

    A new launch resumes it.
    """


class Infeasible(SegkitError):
    """A stage that this data does not allow, such as more clusters than customers.

    Its runs are skipped.
    """


class NoRoom(SegkitError):
    """A stage that needs more memory than this worker has: its runs are skipped.

    The next launch tries them again.
    """


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """Return a question after the allowed name nearest to the given one; empty if none is near."""
    close = nearest(given, allowed)
    return "" if close is None else f"; did you mean '{close}'?"


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name nearest to the given one; None if none is near."""
    close = get_close_matches(str(given), [str(name) for name in allowed], n=1, cutoff=0.6)
    return close[0] if close else None
