"""Identify a file on every machine, and remember it so that an unchanged one is not read again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segkit.hashing import sha256_hex

CHUNK = 1 << 20
PARQUET_MAGIC = b"PAR1"
# A memo is read whole at every launch, so only the files used last stay in it.
_MOST_FILES = 500


def is_parquet(path: Path) -> bool:
    """Return whether a file is Parquet by its first bytes, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def file_sha256(path: Path, *, text: bool) -> str:
    """Return the sha256 in hex of a file's bytes; in text, CRLF line ends are read as LF."""
    digest = hashlib.sha256()
    chunks = _lf_chunks(path) if text else _chunks(path)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def digest_of(value: object) -> str:
    """Return the sha256 in hex of a JSON value in its canonical form."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return sha256_hex(canonical)


@dataclass
class Memo:
    """Facts about files, remembered in a JSON file by absolute path, size and modification time.

    A memo that is missing, damaged or cannot be written costs time and nothing else.

    Attributes
    ----------
    path : Path or None
        The JSON file; None remembers nothing.
    """

    path: Path | None
    _files: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        files = _read_json_object(self.path).get("files", {})
        self._files = files if isinstance(files, dict) else {}

    def recall(self, path: Path, key: str) -> object | None:
        """Return what is remembered of a file under a key; None if unknown or out of date."""
        return self._facts(path).get(key)

    def _facts(self, path: Path) -> dict[str, Any]:
        address, state = _address(path), _state(path)
        entry = self._files.get(address)
        if not isinstance(entry, dict) or entry.get("state") != state:
            return {}
        facts = entry.get("facts")
        # Without a seal, a flipped digit of a fingerprint would name another table unnoticed.
        if isinstance(facts, dict) and entry.get("seal") == digest_of([address, state, facts]):
            return facts
        return {}

    def remember(self, path: Path, key: str, value: object) -> None:
        """Remember a JSON value about a file as it is now; facts about earlier states are lost."""
        if self.path is None:
            return
        # Other processes may have written since.
        self._files = Memo(self.path)._files
        address, state = _address(path), _state(path)
        facts = {**self._facts(path), key: value}
        # Removed first, so that the file moves to the end: the oldest are dropped from the front.
        self._files.pop(address, None)
        self._files[address] = {
            "state": state,
            "facts": facts,
            "seal": digest_of([address, state, facts]),
        }
        self._files = dict(list(self._files.items())[-_MOST_FILES:])
        with suppress(OSError):
            _write_atomically(self.path, json.dumps({"files": self._files}, indent=1))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _lf_chunks(path: Path) -> Iterator[bytes]:
    # A carriage return that ends a chunk may belong to a line feed that begins the next.
    pending = b""
    for chunk in _chunks(path):
        joined = pending + chunk
        pending = b"\r" if joined.endswith(b"\r") else b""
        yield joined[: len(joined) - len(pending)].replace(b"\r\n", b"\n")
    yield pending


def _address(path: Path) -> str:
    return str(path.resolve())


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _read_json_object(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
