"""One launch at a time in a study's folder, by a lock that the system lifts when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from segkit.errors import UsageError

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None

#: Hidden, and gone when the launch ends well: it is no part of a study.
NAME = ".lock"
_TAKEN = {errno.EAGAIN, errno.EACCES}
_MOST_TOLD = 300


@contextlib.contextmanager
def locked(folder: Path, option: str) -> Iterator[None]:
    """Hold a folder for this process; where its file system knows no locks, go on without.

    Raises
    ------
    UsageError
        If another process holds it, which is named.
    """
    if fcntl is None:
        yield
        return
    path = folder / NAME
    file = _taken(path, option)
    try:
        yield
    finally:
        # Before the lock is lifted, so that nobody's file but this one is removed.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)


def _taken(path: Path, option: str) -> int:
    """Open the file and lock it; again where its last holder removed it in between."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise UsageError(
                f"{option}={path.parent}: {path.name} cannot be opened ({error.strerror})"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _TAKEN:
                holder = _holder(file)
                os.close(file)
                told = (
                    f"{holder} is at work on this study; wait until it has ended, or name another"
                    " folder"
                )
                raise UsageError(f"{option}={path.parent}: {told}") from None
            # Some network file systems know no locks.
        if _is_at(file, path):
            _sign(file)
            return file
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _sign(file: int) -> None:
    # The lock holds without it, as on a disk that is full.
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()} {socket.gethostname()}".encode(), 0)


def _holder(file: int) -> str:
    """Name the process that wrote itself into the file."""
    number, _, host = os.pread(file, _MOST_TOLD, 0).decode(errors="replace").partition(" ")
    if not number.isdigit():
        return "another process"
    elsewhere = f" on {host}" if host.isprintable() and host != socket.gethostname() else ""
    return f"process {number}{elsewhere}"
