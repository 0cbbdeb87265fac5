"""Explain why a file could not be read.

Rows are read one by one, which is slow: only a file that the fast reader has refused gets here.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.data.fingerprint import CHUNK
from segkit.errors import UsageError

if TYPE_CHECKING:
    from segkit.data.table_options import TableOptions

# What a file of another kind begins with, byte by byte.
_SIGNATURES = {
    b"PK\x03\x04": "an Excel workbook or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed with gzip",
    b"\xfd7zXZ": "compressed with xz",
    b"%PDF-": "a PDF",
    b"SQLite format 3\0": "an SQLite database",
    b"\x89HDF": "HDF5",
    b"RDX2\n": "an R data file",
    b"RDX3\n": "an R data file",
}
# What begins with text of another kind; a column may well be called `{{7*7}}` or `<script>`.
_MARKUP = {
    re.compile(rb"BZh[1-9]1AY&SY"): "compressed with bzip2",
    re.compile(rb"\s*(\[\s*\{|\{\s*\")"): "JSON",
    re.compile(rb"\s*<(!doctype|html|\?xml)\b", re.IGNORECASE): "HTML or XML",
}
_SNIFFED_BYTES = 1 << 16


def another_kind(path: Path, options: TableOptions) -> UsageError | None:
    """Return an error that names the kind of a file that is no CSV file, or None."""
    with path.open("rb") as file:
        start = file.read(_SNIFFED_BYTES)
    kinds = [kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)]
    kinds += [kind for pattern, kind in _MARKUP.items() if pattern.match(start)]
    if kinds:
        return UsageError(f"{path}: is {kinds[0]}; data.path must name a CSV or Parquet file")
    # In UTF-16 and UTF-32 every letter of English has a zero byte.
    if b"\0" in start and "\0".encode(options.encoding) == b"\0":
        return UsageError(
            f"{path}: not text: a zero byte at offset {start.index(0)} "
            f"(data.encoding={options.encoding})"
        )
    return None


def explain(path: Path, options: TableOptions, error: Exception) -> UsageError:
    """Return the error that says what is wrong with a CSV file that the fast reader has refused."""
    # In this order: neither a header nor rows can be read from bytes that are not text.
    for check in (undecodable, header_only, ragged):
        reason = check(path, options)
        if reason is not None:
            return reason
    return UsageError(f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}")


def undecodable(path: Path, options: TableOptions) -> UsageError | None:
    """Return an error naming the first byte that is not text in the given encoding, or None."""
    decoder = codecs.getincrementaldecoder(options.encoding)()
    position = 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeError as error:
                return _decoding_error(path, options, error, position + len(chunk))
            if not chunk:
                return None
            position += len(chunk)


def header_only(path: Path, options: TableOptions) -> UsageError | None:
    """Return an error if there is no record but the header, or None."""
    try:
        first_two = list(islice(records(path, options), 2))
    except csv.Error:
        return None
    return no_rows(path) if len(first_two) < 2 else None


def no_rows(path: Path) -> UsageError:
    """Return the error of a file without customers."""
    return UsageError(f"{path}: a header only; at least one row is needed")


def ragged(path: Path, options: TableOptions) -> UsageError | None:
    """Return an error naming the first row whose number of values is not the header's, or None."""
    rows = records(path, options)
    try:
        width = len(next(rows)[1])
        for number, row in rows:
            if len(row) != width:
                return UsageError(
                    f"{path}: row {number} has {len(row)} values, the header {width} "
                    f"(data.separator={options.separator!r})"
                )
    except csv.Error as error:
        return UsageError(f"{path}: cannot be read as CSV: {error}")
    return None


def open_quote(path: Path, options: TableOptions) -> str:
    """Return a clause that locates a quote that is never closed, or an empty text.

    All that follows such a quote is read as one value.
    """
    last = 0
    try:
        for number, row in records(path, options, strict=True):
            last = number + sum(value.count("\n") for value in row)
    except csv.Error:
        return f"; the quote that begins in row {last + 1} is never closed"
    return ""


def records(
    path: Path, options: TableOptions, *, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the values of each record, header included, without blank lines."""
    # Spreadsheets put a byte order mark before UTF-8, which is no part of the first name.
    encoding = "utf-8-sig" if options.encoding == "utf-8" else options.encoding
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=options.separator, strict=strict)
        number = 1
        for row in reader:
            if row:
                yield number, row
            number = reader.line_num + 1


def line_number(path: Path, options: TableOptions, position: int) -> int:
    """Return the line of the file, the header's being 1, at which a row of the table begins."""
    following = islice(records(path, options), position + 1, None)
    try:
        return next(following, (position + 2, []))[0]
    except csv.Error:
        # A value is too long for this reader, though not for the fast one.
        return position + 2


def _decoding_error(path: Path, options: TableOptions, error: UnicodeError, end: int) -> UsageError:
    if not isinstance(error, UnicodeDecodeError):
        return UsageError(
            f"{path}: not {options.encoding} text: {error}; set data.encoding to the file's own"
        )
    offset = end - len(error.object) + error.start
    return UsageError(
        f"{path}: not {options.encoding} text: byte 0x{error.object[error.start]:02x} at offset "
        f"{offset}; set data.encoding to the file's own (latin-1, cp1252, utf-16, ...)"
    )
