"""The store: finished results of stages on disk, by key.

A result is ``<kind>/<2 hex>/<key>.json`` (its facts: figures, seconds, digest) and, where it has
arrays, ``<key>.npz`` beside it. The arrays are written first, and each file appears whole or not at
all, so a result whose ``.json`` exists is complete. Each file ends with a seal
(`segkit.study.run.hashes`). A file whose seal is wrong is damaged: its result is dropped and
computed again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.errors import SegkitError
from segkit.files import FULL, DiskFull, replacing, unique_suffix, writable_folder
from segkit.study.plan.keys import kind_of
from segkit.study.run.hashes import (
    content_digest,
    is_sealed,
    sealed_json,
    unsealed_json,
    write_sealed_arrays,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]
    Record = dict[str, Any]

# Such an error is about this process, not about the file, which is not damaged.
_OUT_OF_MEANS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR}
_RECORD_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "facts": dict,
    "seconds": (int, float),
    "digest": str,
    "arrays": list,
}
# Longer names than this, with the suffix of the hidden name, are not allowed everywhere.
_HIDDEN_NAME_LENGTH = 40


class Damaged(SegkitError):
    """A stored result was damaged, and was dropped so that it is computed again.

    Attributes
    ----------
    key
        The key of the result.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the stored {kind_of(key)} result {key} was damaged and was dropped; launch again"
        )
        self.key = key

    def __reduce__(self) -> tuple[type[Damaged], tuple[str]]:
        return Damaged, (self.key,)


class Store:
    """Results of stages under one folder, shared by all studies that name it.

    Attributes
    ----------
    root : Path
        The folder.
    damaged : list of str
        Keys of the results that this object dropped as damaged.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.damaged: list[str] = []

    def prepare(self) -> None:
        """Make the folder and check that it can be written.

        Raises
        ------
        UsageError
            If the folder cannot be made or written.
        """
        writable_folder(self.root, "store")

    def _path(self, key: str, suffix: str) -> str:
        kind, _, digits = key.partition("-")
        # As text: joining paths would take longer than looking the files up.
        return f"{self.root}/{kind}/{digits[:2]}/{key}{suffix}"

    def keys(self, kinds: Iterable[str]) -> set[str]:
        """Return the keys of all results of these kinds; folders are listed, no file is opened."""
        keys: set[str] = set()
        for kind in kinds:
            # A folder that cannot be listed has no result that could be read.
            with contextlib.suppress(OSError), os.scandir(self.root / kind) as folders:
                for folder in folders:
                    with contextlib.suppress(OSError):
                        names = os.listdir(folder.path)
                        keys.update(name[:-5] for name in names if name.endswith(".json"))
        return keys

    def save(
        self,
        key: str,
        arrays: Mapping[str, NDArray[Any]],
        facts: Mapping[str, Any],
        seconds: float,
        memory: Mapping[str, float] | None = None,
    ) -> Record:
        """Write a result and return its record.

        Parameters
        ----------
        key
            The key of the result; one that exists is replaced.
        arrays
            Arrays by name.
        facts
            Plain facts by name.
        seconds
            CPU seconds that it took.
        memory
            ``peak`` and ``growth`` in MiB, where they were measured.

        Returns
        -------
        dict
            ``facts``, ``seconds``, ``digest``, the sorted names of ``arrays``, and ``memory`` if
            given.

        Raises
        ------
        DiskFull
            If the disk is full.
        OSError
            If the result cannot be written.
        """
        record = {
            "facts": dict(facts),
            "seconds": seconds,
            "digest": content_digest(arrays, facts),
            "arrays": sorted(arrays),
        }
        if memory:
            record["memory"] = dict(memory)
        path = Path(self._path(key, ".json"))
        self._make_folder(path.parent)
        if arrays:
            self._clear(path.with_suffix(".npz"))
            with replacing(path.with_suffix(".npz")) as file:
                write_sealed_arrays(file, arrays, key)
        self._clear(path)
        with replacing(path) as file:
            # In one piece: json.dump writes piece by piece, in Python.
            file.write(sealed_json(json.dumps(record).encode(), key))
        return record

    def _make_folder(self, folder: Path) -> None:
        try:
            # A file in the place of one of the store's folders is no result.
            for place in (folder.parent, folder):
                if place.exists() and not place.is_dir():
                    _move_aside(place)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull(f"{folder}: {error.strerror}; what was finished is kept") from error
            raise

    def _clear(self, path: Path) -> None:
        """Move a folder out of a file's place: no file could replace it."""
        if path.is_dir():
            _move_aside(path)

    def record(self, key: str) -> Record | None:
        """Return the record of a result, None where there is none; a damaged result is dropped."""
        # A relaunch reads thousands of records, so this does no more than it must.
        try:
            with open(self._path(key, ".json"), "rb", buffering=0, opener=_without_waiting) as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._drop_unreadable(key, error)
            return None
        record = _checked_record(unsealed_json(content, key))
        if record is None or (record["arrays"] and not os.path.exists(self._path(key, ".npz"))):
            self.drop(key)
            return None
        return record

    def facts(self, key: str) -> dict[str, Any]:
        """Return the facts of a result that must be there.

        Raises
        ------
        Damaged
            If the result is damaged or gone.
        """
        record = self.record(key)
        if record is None:
            raise self._damage(key)
        facts: dict[str, Any] = record["facts"]
        return facts

    def arrays(self, key: str) -> Arrays:
        """Return the arrays of a result by name.

        Raises
        ------
        Damaged
            If the file is damaged or gone; the result is then dropped.
        """
        import numpy as np

        try:
            with open(self._path(key, ".npz"), "rb", opener=_without_waiting) as file:
                if not is_sealed(file, key):
                    raise self._damage(key)
                file.seek(0)
                with np.load(file, allow_pickle=False) as archive:
                    return {name: archive[name] for name in archive.files}
        except OSError as error:
            self._drop_unreadable(key, error)
            raise Damaged(key) from error
        except (ValueError, RuntimeError, zipfile.BadZipFile, EOFError) as error:
            # Sealed, but by something that is no store.
            raise self._damage(key) from error

    def intact(self, key: str) -> bool:
        """Tell whether a result is whole, its arrays included; a damaged result is dropped."""
        record = self.record(key)
        if record is None:
            return False
        if not record["arrays"]:
            return True
        try:
            with open(self._path(key, ".npz"), "rb", opener=_without_waiting) as file:
                whole = is_sealed(file, key)
        except OSError as error:
            self._drop_unreadable(key, error)
            return False
        if not whole:
            self.drop(key)
        return whole

    def drop(self, key: str) -> None:
        """Remove a damaged result and note its key; what cannot be removed is replaced later."""
        self.damaged.append(key)
        for suffix in (".json", ".npz"):
            path = Path(self._path(key, suffix))
            with contextlib.suppress(OSError):
                if path.is_dir():
                    # Its content is somebody else's.
                    _move_aside(path)
                else:
                    path.unlink()

    def _damage(self, key: str) -> Damaged:
        self.drop(key)
        return Damaged(key)

    def _drop_unreadable(self, key: str, error: OSError) -> None:
        """Drop a result that cannot be read, unless the error is about this process."""
        if error.errno in _OUT_OF_MEANS:
            raise error
        self.drop(key)


def _without_waiting(path: str, flags: int) -> int:
    """Open a file to read; a pipe in its place is empty instead of keeping its reader waiting."""
    return os.open(path, flags | os.O_NONBLOCK)


def _move_aside(path: Path) -> None:
    """Rename what is in the place of a result; its new name is hidden."""
    name = path.name[:_HIDDEN_NAME_LENGTH]
    os.replace(path, path.with_name(f".{name}-{unique_suffix()}"))


def _checked_record(record: Any) -> Record | None:
    """Return a record if it has all entries with their types, else None."""
    if not isinstance(record, dict):
        return None
    for name, types in _RECORD_TYPES.items():
        if not isinstance(record.get(name), types):
            return None
    return record
