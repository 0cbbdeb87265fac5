"""How to read a table: the options `data.<field>`, checked."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from encodings.aliases import aliases

from segkit.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class TableOptions:
    """How to read a file; every field is the option `data.<field>`.

    Attributes
    ----------
    id : str or None
        Name of the id column; None numbers the customers 1 to n.
    columns, drop : sequence of str, or None
        Feature columns to use, or to leave out; at most one of the two.
    separator, decimal, encoding : str
        Of a CSV file: one character, "." or ",", and the name of a text encoding.

    Raises
    ------
    UsageError
        If an option is ill-typed or out of range.
    """

    id: str | None = None
    columns: Sequence[str] | None = None
    drop: Sequence[str] | None = None
    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        checked = {
            "id": _checked_id(self.id),
            "columns": _checked_names("columns", self.columns),
            "drop": _checked_names("drop", self.drop),
            "separator": _checked_separator(self.separator),
            "decimal": _checked_decimal(self.decimal, self.separator),
            "encoding": _checked_encoding(self.encoding),
        }
        if checked["columns"] is not None and checked["drop"]:
            raise UsageError(
                "data.columns and data.drop: give the columns to use or those to leave out, not "
                "both"
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def identity(self, *, text: bool) -> dict[str, object]:
        """Return what decides the loaded table besides the file, as a JSON value.

        Parameters
        ----------
        text : bool
            Whether the file is text; separator, decimal mark and encoding do not matter otherwise.
        """
        identity: dict[str, object] = {
            "id": self.id,
            # The table keeps the order of the file, whatever the order of the names.
            "columns": None if self.columns is None else sorted(self.columns),
            "drop": None if self.drop is None else sorted(self.drop),
        }
        if text:
            identity["separator"] = self.separator
            identity["decimal"] = self.decimal
            identity["encoding"] = self.encoding
        return identity


def _checked_id(name: object) -> str | None:
    if name is None or _is_name(name):
        return None if name is None else str(name)
    raise UsageError(
        f"data.id: must be a column's name, or null to number the customers, got {name!r}"
    )


def _checked_names(option: str, names: object) -> tuple[str, ...] | None:
    if names is None:
        return None
    if isinstance(names, (list, tuple)) and all(_is_name(name) for name in names):
        return tuple(str(name) for name in names)
    raise UsageError(
        f"data.{option}: must be a list of column names such as [A, B], or null, got {names!r}"
    )


def _is_name(value: object) -> bool:
    # an override such as data.id=1 arrives as a number, and a column may be called so
    return (isinstance(value, str) and bool(value)) or (
        isinstance(value, int) and not isinstance(value, bool)
    )


def _checked_separator(separator: object) -> str:
    # A shell passes the two characters of \t on as they are.
    if separator == "\\t":
        return "\t"
    if (
        isinstance(separator, str)
        and len(separator) == 1
        and separator.isascii()
        and separator not in '"\r\n\0'
    ):
        return separator
    raise UsageError(
        "data.separator: must be one ASCII character (',', ';', '\\t', '|', ...), got "
        f"{separator!r}"
    )


def _checked_decimal(decimal: object, separator: object) -> str:
    if not isinstance(decimal, str) or decimal not in (".", ","):
        raise UsageError(f"data.decimal: must be '.' or ',', got {decimal!r}")
    if decimal == separator:
        raise UsageError(f"data.decimal: must differ from data.separator, both are {decimal!r}")
    return decimal


def _checked_encoding(encoding: object) -> str:
    codec = _text_codec(encoding)
    if codec is None:
        near = did_you_mean(str(encoding), {*aliases, *aliases.values()})
        raise UsageError(
            "data.encoding: must be a text encoding (utf-8, latin-1, cp1252, ...), got "
            f"{encoding!r}{near}"
        )
    return codec.name


def _text_codec(encoding: object) -> codecs.CodecInfo | None:
    """Return the codec of an encoding; None if there is none, or it is not one of text."""
    if not isinstance(encoding, str):
        return None
    try:
        codec = codecs.lookup(encoding)
        # Codecs such as base64 and rot13 have a name, and fail at one of these.
        codec.incrementaldecoder().decode(b"", final=True)
        is_text = isinstance("".encode(codec.name), bytes)
    except (LookupError, TypeError, ValueError):
        return None
    return codec if is_text else None
