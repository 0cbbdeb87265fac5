"""The store: finished stage results on disk, found by key.

A result is ``<kind>/<2 hex>/<key>.json`` (its facts: figures, seconds, digest) and, where it has
arrays, ``<key>.npz`` beside it. The arrays are written first and each file appears whole or not at
all, so a result whose ``.json`` exists is complete. Each file ends with a seal, the sha256 of its
key and of all bytes before: whatever was changed, cut off or put in another result's place is
damaged, which means dropped and computed again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from segkit.errors import SegkitError
from segkit.files import FULL, DiskFull, replacing, unique_suffix, writable_folder
from segkit.study.plan.keys import canonical, kind_of

if TYPE_CHECKING:
    import numpy as np

# What the system says of this process, not of the file: nothing is damaged.
_OUT_OF_MEANS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR}
_SEAL_BYTES = hashlib.sha256().digest_size
# Ends a record, which stays JSON with it.
_SEAL_NAME = b', "seal": "'
_CHUNK = 1 << 20


class Damaged(SegkitError):
    """A stored result that cannot be read, and which one; it was dropped, so that it is computed again."""

    def __init__(self, key: str):
        super().__init__(
            f"the stored {kind_of(key)} result {key} was damaged and was dropped; launch again"
        )
        self.key = key

    def __reduce__(self) -> tuple[type[Damaged], tuple[str]]:
        return Damaged, (self.key,)


def content_digest(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> str:
    """Return the sha256 of a result's arrays (name, dtype, shape, bytes) and facts."""
    import numpy as np

    told = hashlib.sha256(canonical(facts).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        told.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        told.update(array.data)
    return told.hexdigest()


class Store:
    """Stage results under one folder, shared by all studies that name it.

    Attributes
    ----------
    damaged : list of str
        Keys of the results that this object found damaged, and dropped.
    """

    def __init__(self, root: str | Path):
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
        # As text: joining paths took longer than looking the files up.
        return f"{self.root}/{kind}/{digits[:2]}/{key}{suffix}"

    def keys(self, kinds: Iterable[str]) -> set[str]:
        """Return the keys of all results of these kinds (one listing a folder, no file opened)."""
        keys: set[str] = set()
        for kind in kinds:
            # A folder that cannot be listed holds nothing that could be read.
            with contextlib.suppress(OSError), os.scandir(self.root / kind) as folders:
                for folder in folders:
                    with contextlib.suppress(OSError):
                        keys.update(
                            name[:-5] for name in os.listdir(folder.path) if name.endswith(".json")
                        )
        return keys

    def save(
        self,
        key: str,
        arrays: Mapping[str, np.ndarray],
        facts: Mapping[str, Any],
        seconds: float,
        memory: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """Write a result and return its record: facts, seconds (CPU), memory (``peak`` and ``growth``) and digest.

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
                _write_arrays(file, arrays, key)
        self._clear(path)
        with replacing(path) as file:
            # In one piece: json.dump writes piece by piece, in Python.
            file.write(_sealed(json.dumps(record).encode(), key))
        return record

    def _make_folder(self, folder: Path) -> None:
        try:
            # A file in the place of one of the store's folders holds no result.
            for place in (folder.parent, folder):
                if place.exists() and not place.is_dir():
                    _move_aside(place)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull(f"{folder}: {error.strerror}; what was finished is kept") from error
            raise

    def _clear(self, path: Path) -> None:
        """Move a folder in a file's place aside, which no file could replace."""
        if path.is_dir():
            _move_aside(path)

    def record(self, key: str) -> dict[str, Any] | None:
        """Return a finished result's record, or None where there is none; a damaged one is dropped and noted."""
        # A relaunch asks for thousands: no more is done than is needed.
        try:
            with open(self._path(key, ".json"), "rb", buffering=0, opener=_without_waiting) as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._unreadable(key, error)
        record = _unsealed(content, key)
        if record is None or (record["arrays"] and not os.path.exists(self._path(key, ".npz"))):
            self.drop(key)
            return None
        return record

    def _unreadable(self, key: str, error: OSError) -> None:
        if error.errno in _OUT_OF_MEANS:
            raise error
        self.drop(key)

    def facts(self, key: str) -> dict[str, Any]:
        """Return the facts of a result that must be there.

        Raises
        ------
        Damaged
            If it is damaged or gone.
        """
        record = self.record(key)
        if record is None:
            raise self._damage(key)
        return record["facts"]

    def arrays(self, key: str) -> dict[str, np.ndarray]:
        """Return a finished result's arrays.

        Raises
        ------
        Damaged
            If the file is damaged or gone; the result is then dropped.
        """
        import numpy as np

        try:
            with open(self._path(key, ".npz"), "rb", opener=_without_waiting) as file:
                if not _is_sealed(file, key):
                    raise self._damage(key)
                file.seek(0)
                with np.load(file, allow_pickle=False) as archive:
                    return {name: archive[name] for name in archive.files}
        except OSError as error:
            self._unreadable(key, error)
            raise Damaged(key) from error
        except (ValueError, RuntimeError, zipfile.BadZipFile, EOFError) as error:
            # Sealed by something that is no store.
            raise self._damage(key) from error

    def intact(self, key: str) -> bool:
        """Tell whether a result is there and whole, its arrays included; a damaged one is dropped."""
        record = self.record(key)
        if record is None:
            return False
        if not record["arrays"]:
            return True
        try:
            with open(self._path(key, ".npz"), "rb", opener=_without_waiting) as file:
                whole = _is_sealed(file, key)
        except OSError as error:
            self._unreadable(key, error)
            return False
        if not whole:
            self.drop(key)
        return whole

    def _damage(self, key: str) -> Damaged:
        self.drop(key)
        return Damaged(key)

    def drop(self, key: str) -> None:
        """Remove a damaged result and take note of it; one that cannot be removed is written over later."""
        self.damaged.append(key)
        for suffix in (".json", ".npz"):
            path = Path(self._path(key, suffix))
            with contextlib.suppress(OSError):
                if path.is_dir():
                    # Whatever it holds is not the store's to delete.
                    _move_aside(path)
                else:
                    path.unlink()


def _without_waiting(path: str, flags: int) -> int:
    """Open a file to read; a pipe in its place has nothing to say, instead of keeping its reader waiting."""
    return os.open(path, flags | os.O_NONBLOCK)


def _move_aside(path: Path) -> None:
    """Give what is in a result's place a hidden name beside it."""
    os.replace(path, path.with_name(f".{path.name[:40]}-{unique_suffix()}"))


def _sealed(content: bytes, key: str) -> bytes:
    """Return a JSON object's text with its seal as last entry."""
    seal = hashlib.sha256(key.encode() + b"\n" + content).hexdigest()
    return content[:-1] + _SEAL_NAME + seal.encode() + b'"}'


def _unsealed(content: bytes, key: str) -> dict[str, Any] | None:
    """Return a record from its sealed text, None where anything in it is not as it was written."""
    before, name, seal = content.rpartition(_SEAL_NAME)
    whole = before + b"}"
    if (
        not name
        or seal != hashlib.sha256(key.encode() + b"\n" + whole).hexdigest().encode() + b'"}'
    ):
        return None
    try:
        record = json.loads(whole)
    except ValueError:
        return None
    kinds = {"facts": dict, "seconds": int | float, "digest": str, "arrays": list}
    if not isinstance(record, dict) or not all(
        isinstance(record.get(name), kinds[name]) for name in kinds
    ):
        return None
    return record


class _Hashed:
    """A file that is only written to, forwards, and hashes all that passes."""

    def __init__(self, file: IO[bytes], key: str):
        self.file = file
        self.hash = hashlib.sha256(key.encode() + b"\n")

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _write_arrays(file: IO[bytes], arrays: Mapping[str, np.ndarray], key: str) -> None:
    """Write arrays as NumPy's archive of them, and the seal behind it, which its readers pass over."""
    import numpy as np

    hashed = _Hashed(file, key)
    # A file that cannot be gone back in makes the archive's writer write each byte once and in
    # order.
    with zipfile.ZipFile(hashed, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # With a date of its own the same arrays would be other bytes every time.
            member = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(member, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
    file.write(hashed.hash.digest())


def _is_sealed(file: IO[bytes], key: str) -> bool:
    """Tell whether an open file ends with the seal of its key and of all bytes before."""
    size = os.fstat(file.fileno()).st_size - _SEAL_BYTES
    if size < 0:
        return False
    seal = hashlib.sha256(key.encode() + b"\n")
    while size:
        chunk = file.read(min(_CHUNK, size))
        if not chunk:
            return False
        seal.update(chunk)
        size -= len(chunk)
    return file.read() == seal.digest()
