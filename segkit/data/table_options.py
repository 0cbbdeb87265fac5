"""How to read a table: the options `data.<field>`, checked."""

from __future__ import annotations

import codecs
from encodings.aliases import aliases
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from segkit.errors import UsageError, did_you_mean
from segkit.schema import Settings, as_tuple, must


def _as_name(value: Any) -> Any:
    # An override such as data.id=1 arrives as a number, and a column may be called so.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _unescaped(separator: Any) -> Any:
    # A shell passes the two characters of \t on as they are.
    return "\t" if separator == "\\t" else separator


def _is_separator(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text not in '"\r\n\0'


def _canonical(encoding: Any) -> str:
    """Return the name that Python has for an encoding of text."""
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


_Name: TypeAlias = Annotated[str, Field(min_length=1), BeforeValidator(_as_name)]
_Names: TypeAlias = Annotated[tuple[_Name, ...], BeforeValidator(as_tuple)]
_NAMES = "a list of column names such as [A, B], or null"


class TableOptions(Settings):
    """How to read a file; every field is the option `data.<field>`.

    Attributes
    ----------
    id : str or None
        Name of the id column; None numbers the customers 1 to n.
    columns, drop : tuple of str, or None
        Feature columns to use, or to leave out; at most one of the two.
    separator, decimal, encoding : str
        Of a CSV file: one character, "." or ",", and the name of a text encoding.
    """

    id: _Name | None = Field(
        default=None, description="a column's name, or null to number the customers"
    )
    columns: _Names | None = Field(default=None, description=_NAMES)
    drop: _Names | None = Field(default=None, description=_NAMES)
    separator: Annotated[str, AfterValidator(must(_is_separator)), BeforeValidator(_unescaped)] = (
        Field(default=",", description="one ASCII character (',', ';', '\\t', '|', ...)")
    )
    decimal: Literal[".", ","] = Field(default=".", description="'.' or ','")
    encoding: Annotated[str, BeforeValidator(_canonical)] = "utf-8"

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.columns is not None and self.drop:
            raise UsageError(
                "data.columns and data.drop: give the columns to use or those to leave out, not "
                "both"
            )
        if self.decimal == self.separator:
            raise UsageError(
                f"data.decimal: must differ from data.separator, both are {self.decimal!r}"
            )
        return self

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
