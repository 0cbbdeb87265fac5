"""Output to a reader that may go away: a pipe into ``head``, a terminal that was closed."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Any, TextIO


class Lasting:
    """A stream of text; once its reader is gone, what is written is dropped, for nobody is left to be told."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        # A terminal that was closed answers so; a file that does has a broken disk.
        self._gone = {errno.EPIPE, errno.EIO} if stream.isatty() else {errno.EPIPE}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        """Hand over what is held back, or drop it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        if error.errno not in self._gone:
            raise error
        # What is still in the buffer would fail again and again, and once more when Python ends.
        to_nowhere(self._stream)


def lasting() -> None:
    """Make stdout and stderr outlast their readers."""
    # Either is None where it was closed before the start.
    if sys.stdout is not None and not isinstance(sys.stdout, Lasting):
        sys.stdout = Lasting(sys.stdout)
    if sys.stderr is not None and not isinstance(sys.stderr, Lasting):
        sys.stderr = Lasting(sys.stderr)


def to_nowhere(stream: TextIO) -> None:
    """Drop all that is written to a stream from now on, and what is in its buffer."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    with contextlib.suppress(OSError):
        stream.flush()
