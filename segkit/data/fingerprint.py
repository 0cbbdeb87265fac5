"""What identifies a file on every machine, and a memo so that an unchanged file is not read again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 1 << 20
PARQUET_MAGIC = b"PAR1"
# A memo is read whole at every launch; the files that were looked at last are kept.
_MOST_FILES = 500


def is_parquet(path: Path) -> bool:
    """Say whether the file's content, whatever its name, begins as Parquet does."""
    with path.open("rb") as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def file_sha256(path: Path, *, text: bool) -> str:
    """Return the sha256 of a file's bytes in hex; of text with CRLF line ends read as LF."""
    digest = hashlib.sha256()
    for chunk in _lf_chunks(path) if text else _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def digest_of(value: object) -> str:
    """Return the sha256 in hex of a JSON value in its canonical form."""
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


@dataclass
class Memo:
    """Facts about files, remembered in a JSON file by absolute path, size and modification time.

    A memo that is missing, damaged or cannot be written costs time and nothing else. Without a path
    nothing is kept.

    Attributes
    ----------
    path : Path or None
        The JSON file.
    """

    path: Path | None
    _files: dict = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._files = _read_json_object(self.path).get("files", {})
        if not isinstance(self._files, dict):
            self._files = {}

    def recall(self, path: Path, key: str) -> object | None:
        """Return what was remembered of a file under a key, or None if unknown or the file has changed."""
        return self._facts(path).get(key)

    def _facts(self, path: Path) -> dict:
        entry, address, state = self._files.get(_address(path)), _address(path), _state(path)
        if not isinstance(entry, dict) or entry.get("state") != state:
            return {}
        facts = entry.get("facts")
        # A flipped digit of a fingerprint would be another table's.
        sealed = isinstance(facts, dict) and entry.get("seal") == digest_of([address, state, facts])
        return facts if sealed else {}

    def remember(self, path: Path, key: str, value: object) -> None:
        """Keep a JSON value about a file as it is now; facts about an earlier state are forgotten."""
        if self.path is None:
            return
        self._files = Memo(self.path)._files  # others may have written since
        address, state, facts = _address(path), _state(path), {**self._facts(path), key: value}
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
    held = b""  # a carriage return that ends a chunk may belong to a line feed that begins the next
    for chunk in _chunks(path):
        joined = held + chunk
        held = b"\r" if joined.endswith(b"\r") else b""
        yield joined[: len(joined) - len(held)].replace(b"\r\n", b"\n")
    yield held


def _address(path: Path) -> str:
    return str(path.resolve())


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _read_json_object(path: Path | None) -> dict:
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
