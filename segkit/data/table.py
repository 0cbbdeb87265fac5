"""The customers as loaded, and what is known of them without loading."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    ids: np.ndarray
    truth: np.ndarray | None = None
    warnings: tuple[str, ...] = ()
    source: str = "table"

    @property
    def n_customers(self) -> int:
        """Number of rows."""
        return len(self.ids)

    def fingerprint(self) -> str:
        """Return the sha256, in hex, of ids, column names, kinds and values.

        It does not depend on where the values came from: CSV and Parquet of the same customers
        agree.
        """
        digest = hashlib.sha256()
        _add_column(digest, "", self.ids)
        for name in self.frame.columns:
            _add_column(digest, str(name), self.frame[name].to_numpy())
        return digest.hexdigest()


@dataclass(frozen=True)
class TableInfo:
    """What a plan needs to know of a table: root key, size, feature columns, and what was left out."""

    fingerprint: str
    n_customers: int
    columns: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def _add_column(digest, name: str, values: np.ndarray) -> None:
    kind, chunks = _canonical_bytes(values)
    digest.update(f"{len(name)}:{name}:{kind}:{len(values)};".encode())
    for chunk in chunks:
        digest.update(chunk)


def _canonical_bytes(values: np.ndarray) -> tuple[str, tuple[bytes | np.ndarray, ...]]:
    if values.dtype.kind == "b":
        return "bool", (np.ascontiguousarray(values, dtype=np.uint8),)
    if values.dtype.kind in "iu":
        return "int64", (np.ascontiguousarray(values, dtype="<i8"),)
    if values.dtype.kind == "f":
        canonical = np.ascontiguousarray(values, dtype="<f8") + 0.0  # -0.0 becomes 0.0
        canonical[np.isnan(canonical)] = np.nan
        return "float64", (canonical,)
    return "text", _text_bytes(values.tolist())


def _text_bytes(values: list) -> tuple[bytes | np.ndarray, ...]:
    """Return lengths (-1 where missing) and the joined text, which together cannot be confused."""
    encoded = [value.encode() if isinstance(value, str) else None for value in values]
    lengths = np.array([-1 if text is None else len(text) for text in encoded], dtype="<i8")
    return lengths, b"".join(text for text in encoded if text is not None)
