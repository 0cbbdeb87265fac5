"""Hashes of content: names for results, and seeds that belong to what they are drawn for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def sha256_hex(*parts: str | bytes) -> str:
    """Return the sha256, in hex, of parts put together; texts count as UTF-8."""
    return _sha256(part.encode() if isinstance(part, str) else part for part in parts).hexdigest()


def array_digest(array: NDArray[Any]) -> bytes:
    """Return the sha256 of an array's bytes, whatever its type and shape."""
    return _sha256([array.tobytes()]).digest()


def seed_of(text: str, size: int) -> int:
    """Return a seed of so many bytes that belongs to a text, in [0, 256**size)."""
    return int.from_bytes(_sha256([text.encode()]).digest()[:size])


def _sha256(parts: Iterable[bytes]) -> hashlib._Hash:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest
