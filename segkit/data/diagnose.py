"""Why a file could not be read, told row by row. Slow, and only run when the fast reader has failed."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.data.fingerprint import CHUNK
from segkit.errors import UsageError

if TYPE_CHECKING:
    from segkit.data.load import TableOptions


def explain(path: Path, options: TableOptions, error: Exception) -> UsageError:
    """Return the error that says what is wrong with a CSV file that the fast reader has refused."""
    found = undecodable(path, options) or header_only(path, options) or ragged(path, options)
    return found or UsageError(f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}")


def undecodable(path: Path, options: TableOptions) -> UsageError | None:
    """Return an error naming the first byte that is not text in the given encoding, or None."""
    decoder, position = codecs.getincrementaldecoder(options.encoding)(), 0
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
    rows = records(path, options)
    try:
        return no_rows(path) if len(list(islice(rows, 2))) < 2 else None
    except csv.Error:
        return None


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


def records(path: Path, options: TableOptions) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number in the file and the values of each record, the header first, blank lines left out."""
    encoding = "utf-8-sig" if options.encoding == "utf-8" else options.encoding
    with path.open(encoding=encoding, newline="") as file:
        reader, number = csv.reader(file, delimiter=options.separator), 1
        for row in reader:
            if row:
                yield number, row
            number = reader.line_num + 1


def line_number(path: Path, options: TableOptions, position: int) -> int:
    """Return the line of the file, the header counted, at which the record of a table position begins."""
    following = islice(records(path, options), position + 1, None)
    try:
        return next(following, (position + 2, []))[0]
    except csv.Error:  # a value too long for this reader, which the fast one takes
        return position + 2


def _decoding_error(path: Path, options: TableOptions, error: UnicodeError, end: int) -> UsageError:
    if not isinstance(error, UnicodeDecodeError):
        return UsageError(f"{path}: not {options.encoding} text: {error}; set data.encoding to the file's own")
    offset = end - len(error.object) + error.start
    return UsageError(
        f"{path}: not {options.encoding} text: byte 0x{error.object[error.start]:02x} at offset {offset}; "
        f"set data.encoding to the file's own (latin-1, cp1252, utf-16, ...)"
    )
