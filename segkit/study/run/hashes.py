"""Hashes of stored results: the digest of what one contains, and the seal that ends its files.

A seal is the sha256 of a result's key, a line feed and all bytes before the seal. So a file that
was changed, cut off or put in the place of another result's is recognised.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from segkit.study.plan.keys import canonical

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from numpy.typing import NDArray

_SEAL_BYTES = hashlib.sha256().digest_size
# The last entry of a record, which stays JSON with it.
_SEAL_NAME = b', "seal": "'
_CHUNK_BYTES = 1 << 20


def content_digest(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> str:
    """Return the sha256 of a result's arrays (name, dtype, shape, bytes) and facts."""
    import numpy as np

    content = hashlib.sha256(canonical(facts).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        content.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        content.update(array.data)
    return content.hexdigest()


def _begun(key: str) -> hashlib._Hash:
    """Return the hash with which the seal of a key's files begins."""
    return hashlib.sha256(key.encode() + b"\n")


def _json_seal(text: bytes, key: str) -> bytes:
    """Return the end of a sealed JSON object whose text is given."""
    seal = _begun(key)
    seal.update(text)
    return seal.hexdigest().encode() + b'"}'


def sealed_json(text: bytes, key: str) -> bytes:
    """Return the text of a JSON object with its seal as the last entry."""
    return text[:-1] + _SEAL_NAME + _json_seal(text, key)


def unsealed_json(content: bytes, key: str) -> Any:
    """Return the value of a sealed JSON text without its seal; None where the seal is wrong."""
    before, name, seal = content.rpartition(_SEAL_NAME)
    text = before + b"}"
    if not name or seal != _json_seal(text, key):
        return None
    try:
        return json.loads(text)
    except ValueError:
        # Sealed, but by something that is no store.
        return None


class _HashingWriter:
    """A file that is written forwards only, and hashes all that it is given."""

    def __init__(self, file: IO[bytes], key: str) -> None:
        self.file = file
        self.hash = _begun(key)

    def write(self, data: ReadableBuffer) -> int:
        self.hash.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def write_sealed_arrays(file: IO[bytes], arrays: Mapping[str, NDArray[Any]], key: str) -> None:
    """Write arrays as a NumPy archive, and the seal behind it, which readers of archives ignore."""
    import numpy as np

    writer = _HashingWriter(file, key)
    # The archive's writer cannot go back in this file, so it writes each byte once and in order.
    with zipfile.ZipFile(writer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # Without a date, so that the same arrays are the same bytes.
            member = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(member, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)
    file.write(writer.hash.digest())


def is_sealed(file: IO[bytes], key: str) -> bool:
    """Tell whether an open file ends with the seal of its key and of all bytes before."""
    size = os.fstat(file.fileno()).st_size - _SEAL_BYTES
    if size < 0:
        return False
    seal = _begun(key)
    while size:
        chunk = file.read(min(_CHUNK_BYTES, size))
        if not chunk:
            return False
        seal.update(chunk)
        size -= len(chunk)
    return file.read() == seal.digest()
