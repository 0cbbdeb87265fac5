"""One launch at a time in a study's folder: a lock that ends with its holder, however that ends."""

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
    fcntl = None  # type: ignore[assignment] # mypy has no other word for a missing module

#: Hidden, and gone when the launch ends well: it is no part of a study.
NAME = ".lock"
# What the system says when another process holds the lock.
_TAKEN = {errno.EAGAIN, errno.EACCES}
# Bytes that are read of the file: a number and a host's name.
_LONGEST_HOLDER = 300


@contextlib.contextmanager
def locked(folder: Path, option: str) -> Iterator[None]:
    """Hold a folder for this process while the block runs.

    Where its file system knows no locks, nothing is held.

    Parameters
    ----------
    folder
        The folder.
    option
        The option that names it, for messages.

    Raises
    ------
    UsageError
        If another process holds it; the message names that process.
    """
    if fcntl is None:
        yield
        return
    path = folder / NAME
    file = _taken(path, option)
    try:
        yield
    finally:
        # Before the lock is lifted: afterwards the file may be another launch's.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)


def _taken(path: Path, option: str) -> int:
    """Open the file and lock it; once more if its last holder removed it in between."""
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
                raise UsageError(
                    f"{option}={path.parent}: {holder} is at work on this study; wait until it "
                    "has ended, or name another folder"
                ) from None
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
    # The lock holds without it, for example on a full disk.
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()} {socket.gethostname()}".encode(), 0)


def _holder(file: int) -> str:
    """Name the process that wrote itself into the file."""
    number, _, host = os.pread(file, _LONGEST_HOLDER, 0).decode(errors="replace").partition(" ")
    if not number.isdigit():
        return "another process"
    elsewhere = f" on {host}" if host.isprintable() and host != socket.gethostname() else ""
    return f"process {number}{elsewhere}"
