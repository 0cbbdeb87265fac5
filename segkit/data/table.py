"""The customers as loaded, and what a plan knows of them without loading."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """Customers, one row each.

    Attributes
    ----------
    frame : DataFrame
        The feature columns only, in the order of the source: float64 (nan where missing), bool, or
        text as objects (None where missing).
    ids : ndarray of shape (n,)
        Unique customer ids, text or int64.
    truth : ndarray of int of shape (n,), or None
        The planted group of each customer where there is one. Never a feature.
    warnings : tuple of str
        What was left out and why.
    source : str
        What to call the table in messages.
    """

    frame: pd.DataFrame
    ids: NDArray[Any]
    truth: NDArray[np.int64] | None = None
    warnings: tuple[str, ...] = ()
    source: str = "table"

    @property
    def n_customers(self) -> int:
        """Number of rows."""
        return len(self.ids)

    def fingerprint(self) -> str:
        """Return the sha256, in hex, of ids, column names, kinds and values.

        The same customers have the same fingerprint, whether read from CSV or from Parquet.
        """
        digest = hashlib.sha256()
        _add_column(digest, "", self.ids)
        for name in self.frame.columns:
            _add_column(digest, str(name), self.frame[name].to_numpy())
        return digest.hexdigest()


@dataclass(frozen=True)
class TableInfo:
    """What a plan needs of a table: root key, size, feature columns, and what was left out."""

    fingerprint: str
    n_customers: int
    columns: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def _add_column(digest: hashlib._Hash, name: str, values: NDArray[Any]) -> None:
    kind, chunks = _canonical_bytes(values)
    digest.update(f"{len(name)}:{name}:{kind}:{len(values)};".encode())
    for chunk in chunks:
        digest.update(chunk)


def _canonical_bytes(values: NDArray[Any]) -> tuple[str, tuple[bytes | memoryview, ...]]:
    """Return the kind of a column, and its values as bytes that are the same on every machine."""
    if values.dtype.kind == "b":
        return "bool", (np.ascontiguousarray(values, dtype=np.uint8).data,)
    if values.dtype.kind in "iu":
        return "int64", (np.ascontiguousarray(values, dtype="<i8").data,)
    if values.dtype.kind == "f":
        # Adding 0.0 turns -0.0 into 0.0.
        canonical = np.ascontiguousarray(values, dtype="<f8") + 0.0
        # Missing values come with more than one pattern of bits.
        canonical[np.isnan(canonical)] = np.nan
        return "float64", (canonical.data,)
    return "text", _text_bytes(values.tolist())


def _text_bytes(values: list[object]) -> tuple[bytes | memoryview, ...]:
    """Return the lengths of texts (-1 where missing) and the texts joined, which is unambiguous."""
    encoded = [value.encode() if isinstance(value, str) else None for value in values]
    lengths = np.array([-1 if text is None else len(text) for text in encoded], dtype="<i8")
    return lengths.data, b"".join(text for text in encoded if text is not None)
