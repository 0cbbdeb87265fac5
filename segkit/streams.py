"""Write to a reader that may go away, such as a pipe into ``head`` or a terminal."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Any, TextIO


class Lasting:
    """A text stream that drops its output once its reader is gone."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        # EIO is the answer of a closed terminal; from a file it means a broken disk.
        self._gone = {errno.EPIPE, errno.EIO} if stream.isatty() else {errno.EPIPE}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it if the reader is gone."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        """Flush the buffer, or drop it if the reader is gone."""
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        if error.errno not in self._gone:
            raise error
        # The rest of the buffer would fail at each further write, and once more when Python ends.
        to_nowhere(self._stream)


def lasting() -> None:
    """Make stdout and stderr outlast their readers."""
    # A stream that was closed before the start is None.
    if sys.stdout is not None and not isinstance(sys.stdout, Lasting):
        sys.stdout = Lasting(sys.stdout)
    if sys.stderr is not None and not isinstance(sys.stderr, Lasting):
        sys.stderr = Lasting(sys.stderr)


def to_nowhere(stream: TextIO) -> None:
    """Drop the buffer of a stream and everything written to it from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    with contextlib.suppress(OSError):
        stream.flush()
