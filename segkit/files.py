"""Files and folders: written whole or not at all, under names that no other process uses."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import IO, Any

from segkit.errors import SegkitError, UsageError

# What the system says when a disk, a quota or a file is full.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NUMBERS = count()


class DiskFull(SegkitError):
    """The disk that holds the store or the study has no room left; what was finished is kept."""


@contextlib.contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file that replaces a path when the block ends well, and leaves no trace otherwise.

    Raises
    ------
    DiskFull
        If the disk is full.
    """
    name = os.path.join(path.parent, f".{path.name[:40]}-{unique_suffix()}")
    is_text = "b" not in mode
    encoding, newline = ("utf-8", "\n") if is_text else (None, None)
    try:
        with open(name, mode.replace("w", "x"), encoding=encoding, newline=newline) as file:
            yield file
        os.replace(name, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and error.errno in FULL:
            raise DiskFull(f"{path.parent}: {error.strerror}; what was finished is kept") from error
        raise


def write_text(text: str, path: Path) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path, "w") as file:
        file.write(text)


def writable_folder(path: Path, option: str) -> None:
    """Make a folder and check that files can be written in it.

    Raises
    ------
    UsageError
        Naming the option, the folder and the system's reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
        free = shutil.disk_usage(path).free
    except OSError as error:
        raise UsageError(
            f"{option}={path}: the folder cannot be written ({error.strerror})"
        ) from error
    if free < 1 << 20:
        raise UsageError(f"{option}={path}: the disk is full ({free / 1024:.0f} KiB left)")


def unique_suffix() -> str:
    """Return a text that no other call returns, in any process on any machine."""
    return f"{_process_name(os.getpid())}-{next(_NUMBERS)}"


@lru_cache(maxsize=1)
def _process_name(pid: int) -> str:
    """Name a process by its number and a random part: other machines use the same numbers."""
    return f"{pid}-{os.urandom(4).hex()}"
