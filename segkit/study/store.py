"""The store: finished stage results on disk, found by key.

A result is ``<kind>/<2 hex>/<key>.json`` (its facts: figures, seconds, digest) and, where it has arrays,
``<key>.npz`` beside it. The arrays are written first and each file appears whole or not at all, so a result whose
``.json`` exists is complete.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from segkit.errors import SegkitError, UsageError
from segkit.study.keys import canonical, kind_of
from segkit.study.process import unique_suffix

if TYPE_CHECKING:
    import numpy as np

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StoreFull(SegkitError):
    """The disk that holds the store or the study has no room left; what was finished is kept."""


class Damaged(SegkitError):
    """A stored result that cannot be read; it has been removed, so the next launch makes it again."""


def content_digest(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> str:
    """Return the sha256 of a result's arrays (name, dtype, shape, bytes) and facts."""
    import numpy as np

    told = hashlib.sha256(canonical(facts).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        told.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        told.update(array.data)
    return told.hexdigest()


@contextlib.contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a file that takes ``path``'s place when the block ends well, and leaves no trace otherwise.

    Raises
    ------
    StoreFull
        If the disk is full.
    """
    name = os.path.join(path.parent, f".{path.name[:40]}-{unique_suffix()}")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(name, mode.replace("w", "x"), **text) as file:
            yield file
        os.replace(name, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise StoreFull(f"{path.parent}: {error.strerror}; what was finished is kept") from error
        raise


class Store:
    """Stage results under one folder, shared by all studies that name it."""

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def prepare(self) -> None:
        """Make the folder and check that it can be written.

        Raises
        ------
        UsageError
            If the folder cannot be made or written.
        """
        writable_folder(self.root, "store")

    @property
    def memo(self) -> Path:
        """The file that remembers data files' fingerprints."""
        return self.root / "fingerprints.json"

    def _path(self, key: str, suffix: str) -> str:
        kind, _, digits = key.partition("-")
        # As text: joining paths took longer than looking the files up.
        return f"{self.root}/{kind}/{digits[:2]}/{key}{suffix}"

    def keys(self, kinds: Iterator[str] | tuple[str, ...]) -> set[str]:
        """Return the keys of all finished results of these kinds (one listing a folder, no file opened)."""
        found: set[str] = set()
        for kind in kinds:
            with contextlib.suppress(FileNotFoundError), os.scandir(self.root / kind) as folders:
                for folder in (entry for entry in folders if entry.is_dir()):
                    found.update(name[:-5] for name in os.listdir(folder.path) if name.endswith(".json"))
        return found

    def has(self, key: str) -> bool:
        """Say whether a finished result is stored."""
        return os.path.exists(self._path(key, ".json"))

    def save(
        self,
        key: str,
        arrays: Mapping[str, np.ndarray],
        facts: Mapping[str, Any],
        seconds: float,
        memory: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """Write a result and return its record: facts, seconds (CPU), memory (``peak`` and ``growth``) and digest."""
        import numpy as np

        record = {
            "facts": dict(facts),
            "seconds": seconds,
            "digest": content_digest(arrays, facts),
            "arrays": sorted(arrays),
        }
        if memory:
            record["memory"] = dict(memory)
        path = Path(self._path(key, ".json"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in _FULL:
                raise StoreFull(f"{path.parent}: {error.strerror}; what was finished is kept") from error
            raise
        if arrays:
            with replacing(path.with_suffix(".npz")) as file:
                np.savez(file, **arrays)
        with replacing(path, "w") as file:
            # In one piece: json.dump writes piece by piece, in Python.
            file.write(json.dumps(record))
        return record

    def record(self, key: str) -> dict[str, Any] | None:
        """Return a finished result's record, or None where there is none that can be read."""
        # A relaunch asks for thousands: no more is done than is needed.
        try:
            with open(self._path(key, ".json"), "rb", buffering=0) as file:
                record = json.loads(file.read().decode())
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(record, dict):
            return None
        return record if not record.get("arrays") or os.path.exists(self._path(key, ".npz")) else None

    def arrays(self, key: str) -> dict[str, np.ndarray]:
        """Return a finished result's arrays.

        Raises
        ------
        Damaged
            If the file cannot be read; the result is then removed.
        """
        import numpy as np

        try:
            with np.load(self._path(key, ".npz"), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, EOFError) as error:
            # What the system refuses is not damaged; a broken file may ask for a place before its beginning.
            if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT, errno.EINVAL):
                raise
            self.remove(key)
            raise Damaged(
                f"the stored {kind_of(key)} result {key} could not be read and was removed; launch again"
            ) from error

    def remove(self, key: str) -> None:
        """Remove a result; no error if there is none."""
        for suffix in (".json", ".npz"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(key, suffix))


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
        raise UsageError(f"{option}={path}: the folder cannot be written ({error.strerror})") from error
    if free < 1 << 20:
        raise UsageError(f"{option}={path}: the disk is full ({free / 1024:.0f} KiB left)")
