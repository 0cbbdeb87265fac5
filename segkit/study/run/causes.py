"""The causes of an error, and its first line."""

from __future__ import annotations

from collections.abc import Iterator


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that it came from, the first cause last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message; without a message, the name of its type."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
