"""Read and validate CSV and Parquet files.

The fast reader takes every well-formed file. A file that it refuses is read again row by row, to
say what is wrong and where.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segkit.data import diagnose
from segkit.data.fingerprint import is_parquet
from segkit.data.limits import LARGEST
from segkit.data.table import Table
from segkit.data.table_options import TableOptions
from segkit.errors import UsageError, did_you_mean, nearest

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MISSING_MARKERS = (
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "NaN",
    "nan",
    "NAN",
    "null",
    "NULL",
    "Null",
    "None",
)
# More different texts than this are names or free text, which no distance can be made of.
MAX_CATEGORIES = 50
# A text column with at least this share of numbers is a numeric column with bad text in it.
NUMERIC_SHARE = 0.9
USUAL_SEPARATORS = (",", ";", "\t", "|")
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)", re.IGNORECASE)


def existing_file(path: Path, option: str = "data.path") -> Path:
    """Return the path of a readable file that is not empty.

    Raises
    ------
    UsageError
        If there is no such file; the error names the option that the path came from.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path}: a folder; {option} must name a CSV or Parquet file")
        if not path.exists():
            raise UsageError(f"{path}: no such file ({option}){_nearest_in_folder(path)}")
        if not path.is_file():
            raise UsageError(
                f"{path}: not a regular file; {option} must name a CSV or Parquet file"
            )
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if is_empty:
        raise UsageError(f"{path}: the file is empty; a header and at least one row are needed")
    return path


def load(path: Path, options: TableOptions, source: str | None = None) -> Table:
    """Load a CSV or Parquet file, recognised by its content, and validate it.

    Parameters
    ----------
    path : Path
        The file.
    options : TableOptions
        How to read it.
    source : str, optional
        What to call the table in messages; the path if left out.

    Returns
    -------
    Table
        Columns that are all missing, constant, or have an infinite value are left out, each with a
        warning. Boolean columns with missing values become float64 (0, 1, nan).

    Raises
    ------
    UsageError
        If the file cannot be read with these options, holds numbers too large, or has nothing to
        cluster on.
    """
    existing_file(path)
    reader = _parquet_reader(path) if _wants_parquet(path) else _csv_reader(path, options)
    features = _selected(reader, options)
    arrow = reader.read(features if options.id is None else [options.id, *features])
    if arrow.num_rows == 0:
        raise diagnose.no_rows(path)
    ids: NDArray[Any]
    if options.id:
        ids = _ids(options.id, arrow.column(options.id), reader)
    else:
        ids = np.arange(1, arrow.num_rows + 1)
    columns = {name: _values(name, arrow.column(name), reader) for name in features}
    return _table(columns, ids, reader, source or str(path))


@dataclass(frozen=True)
class _Reader:
    """An opened file.

    Attributes
    ----------
    path : Path
        The file.
    names : tuple of str
        Its columns; "" for one without a name.
    decimal : str
        The decimal mark of numbers that are written as text.
    read : callable
        Reads the columns of these names.
    row_number : callable
        Turns a position in the table into the number by which a message names the row.
    undecodable : callable
        Returns an error that names the first byte that is not text, or None.
    open_quote : callable
        Returns a clause that locates a quote that is never closed, or an empty text.
    """

    path: Path
    names: tuple[str, ...]
    decimal: str
    read: Callable[[Sequence[str]], pa.Table]
    row_number: Callable[[int], int]
    undecodable: Callable[[], UsageError | None]
    open_quote: Callable[[], str] = str


def _nearest_in_folder(path: Path) -> str:
    if not path.parent.is_dir():
        return f"; nor is there a folder {path.parent}"
    paths = sorted(path.parent.iterdir())
    # Without their endings, which files of a folder share and which make any two names alike.
    stem = nearest(path.stem, [other.stem for other in paths])
    names = [other.name for other in paths if other.stem == stem]
    if not names:
        return ""
    return f"; did you mean '{nearest(path.name, names) or names[0]}'?"


def _wants_parquet(path: Path) -> bool:
    if is_parquet(path):
        return True
    if path.suffix.lower() in (".parquet", ".pq"):
        raise UsageError(f"{path}: not a Parquet file (it does not begin with PAR1)")
    return False


def _parquet_reader(path: Path) -> _Reader:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def read(names: Sequence[str]) -> pa.Table:
        try:
            return pq.ParquetFile(path).read(columns=list(names), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise _bad_parquet(path, error) from error

    try:
        names = pq.ParquetFile(path).schema_arrow.names
    except (pa.ArrowException, OSError) as error:
        raise _bad_parquet(path, error) from error
    # pandas calls an index without a name so.
    names = tuple("" if re.fullmatch(r"__index_level_\d+__", name) else name for name in names)
    return _Reader(
        path,
        _distinct(path, names),
        decimal=".",
        read=read,
        row_number=lambda position: position + 1,
        undecodable=lambda: None,
    )


def _bad_parquet(path: Path, error: Exception) -> UsageError:
    return UsageError(f"{path}: cannot be read as Parquet: {str(error).splitlines()[0]}")


def _csv_reader(path: Path, options: TableOptions) -> _Reader:
    another_kind = diagnose.another_kind(path, options)
    if another_kind:
        raise another_kind
    header = _header(path, options)
    names = _distinct(path, tuple(name.strip() for name in header))
    _check_separator(path, names, options)
    as_written = dict(zip(names, header, strict=True))

    def read(wanted: Sequence[str]) -> pa.Table:
        arrow = _read_csv(path, options, [as_written[name] for name in wanted])
        return arrow.rename_columns(list(wanted))

    return _Reader(
        path,
        names,
        decimal=options.decimal,
        read=read,
        row_number=lambda position: diagnose.line_number(path, options, position),
        undecodable=lambda: diagnose.undecodable(path, options),
        open_quote=lambda: diagnose.open_quote(path, options),
    )


def _header(path: Path, options: TableOptions) -> list[str]:
    try:
        _, header = next(diagnose.records(path, options), (0, []))
    except (UnicodeError, csv.Error) as error:
        raise diagnose.explain(path, options, error) from error
    if not header:
        raise UsageError(
            f"{path}: the file has only blank lines; a header and at least one row are needed"
        )
    return header


def _distinct(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            raise UsageError(f"{path}: two columns are called {name!r}; names must be unique")
        seen.add(name)
    return names


def _check_separator(path: Path, names: Sequence[str], options: TableOptions) -> None:
    others = [mark for mark in USUAL_SEPARATORS if mark != options.separator and mark in names[0]]
    if len(names) == 1 and others:
        best = max(others, key=names[0].count)
        raise UsageError(
            f"{path}: only one column with data.separator={options.separator!r}, and its name "
            f"contains {best!r}; set data.separator={best!r}"
        )


def _read_csv(path: Path, options: TableOptions, names: list[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv as pc

    # By any other name of UTF-8 the reader converts the whole file first.
    encoding = "utf8" if options.encoding in ("utf-8", "utf-8-sig") else options.encoding
    try:
        return pc.read_csv(
            path,
            read_options=pc.ReadOptions(encoding=encoding, use_threads=False),
            parse_options=pc.ParseOptions(delimiter=options.separator, newlines_in_values=True),
            convert_options=pc.ConvertOptions(
                include_columns=names,
                column_types={name: pa.string() for name in names if name.strip() == options.id},
                null_values=list(MISSING_MARKERS),
                strings_can_be_null=True,
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
                decimal_point=options.decimal,
            ),
        )
    except (pa.ArrowException, UnicodeError, OSError) as error:
        raise diagnose.explain(path, options, error) from error


def _selected(reader: _Reader, options: TableOptions) -> list[str]:
    """Return the names of the feature columns, in the file's order."""
    named = [name for name in reader.names if name]
    requested: dict[str, Sequence[str]] = {
        "id": [options.id] if options.id else [],
        "columns": options.columns or (),
        "drop": options.drop or (),
    }
    for option, names in requested.items():
        for name in names:
            if name not in named:
                raise UsageError(
                    f"{reader.path}: no column {name!r} (data.{option}); it has {_listed(named)}"
                    f"{did_you_mean(name, named)}"
                )
    columns = named if options.columns is None else options.columns
    features = set(columns) - set(options.drop or ()) - {options.id}
    if not features:
        raise UsageError(
            f"{reader.path}: no feature column is left by data.id, data.columns and data.drop"
        )
    return [name for name in named if name in features]


def _listed(names: Sequence[str], most: int = 20) -> str:
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def _ids(name: str, column: pa.ChunkedArray, reader: _Reader) -> NDArray[Any]:
    """Return ids as int64 if all are whole numbers without leading zeros, else as text."""
    import pyarrow as pa

    text = _without_markers(_id_text(name, column, reader))
    if text.null_count:
        row = reader.row_number(_first(text.is_null().to_numpy()))
        raise UsageError(
            f"{reader.path}: row {row} has no id in column {name!r} (data.id); every customer "
            "needs one"
        )
    _check_unique(name, text, reader)
    try:
        numbers = text.cast(pa.int64())
    except pa.ArrowInvalid:
        return np.array(text.to_pylist(), dtype=np.str_)
    if not numbers.cast(pa.string()).equals(text):
        return np.array(text.to_pylist(), dtype=np.str_)
    ids: NDArray[np.int64] = numbers.to_numpy()
    return ids


def _id_text(name: str, column: pa.ChunkedArray, reader: _Reader) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _decoded(column)
    # pandas turns whole numbers into floats where one is missing.
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        if pc.all(pc.equal(column, pc.round(column))).as_py():
            column = column.cast(pa.int64(), safe=False)
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UsageError(
            f"{reader.path}: column {name!r} (data.id) is of type {column.type}, not an id"
        ) from error


def _check_unique(name: str, text: pa.ChunkedArray, reader: _Reader) -> None:
    encoded = text.combine_chunks().dictionary_encode()
    if len(encoded.dictionary) == len(encoded):
        return
    codes = encoded.indices.to_numpy()
    repeated = np.ones(len(codes), dtype=bool)
    repeated[np.unique(codes, return_index=True)[1]] = False
    second = _first(repeated)
    rows = [reader.row_number(position) for position in (_first(codes == codes[second]), second)]
    raise UsageError(
        f"{reader.path}: rows {rows[0]} and {rows[1]} have the same id {text[second].as_py()!r} in "
        f"column {name!r} (data.id); ids must be unique"
    )


def _values(name: str, column: pa.ChunkedArray, reader: _Reader) -> NDArray[Any]:
    """Return a column as float64, bool, or text as objects.

    Missing are nan in float64 and None in text.
    """
    import pyarrow as pa

    column = _decoded(column)
    kind = column.type
    if pa.types.is_boolean(kind) and not column.null_count:
        flags: NDArray[np.bool_] = column.to_numpy()
        return flags
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _floats(column)
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return _floats(column.cast(pa.int8()))
    if pa.types.is_temporal(kind):
        column = column.cast(pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise reader.undecodable() or UsageError(
            f"{reader.path}: column {name!r} is of type {kind}; numbers, booleans and text are "
            "allowed (data.drop)"
        )
    return _text_values(name, _without_markers(column), reader)


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    import pyarrow as pa

    return np.array(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def _without_markers(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Read the usual markers of a missing value as such, as the CSV reader has already done."""
    import pyarrow as pa
    import pyarrow.compute as pc

    marked = pc.is_in(text, value_set=pa.array(MISSING_MARKERS, type=text.type))
    return pc.if_else(marked, pa.scalar(None, text.type), text)


def _text_values(name: str, column: pa.ChunkedArray, reader: _Reader) -> NDArray[Any]:
    """Return the numbers of a text column that holds nothing else, or its few categories."""
    encoded = column.combine_chunks().dictionary_encode()
    # -1 picks the last entry, which is put there for the missing values.
    codes: NDArray[np.int32] = encoded.indices.fill_null(-1).to_numpy()
    categories = encoded.dictionary.to_pylist()
    numbers = [_number(text, reader.decimal) for text in categories]
    if None not in numbers:
        floats: NDArray[np.float64] = np.array([*numbers, np.nan], dtype=np.float64)[codes]
        return floats
    _check_numbers(name, categories, codes, reader)
    if len(categories) > MAX_CATEGORIES:
        raise UsageError(
            f"{reader.path}: text column {name!r} has {len(categories)} different values, at most "
            f"{MAX_CATEGORIES} can be categories; leave it out (data.drop=[{name}]) or make it the "
            f"id (data.id={name})"
        )
    texts: NDArray[np.object_] = np.array([*categories, None], dtype=object)[codes]
    return texts


def _number(text: str, decimal: str) -> float | None:
    text = text.strip()
    if decimal == ",":
        text = text.translate({ord(","): ".", ord("."): ","})
    return float(text) if _NUMBER.fullmatch(text) else None


def _check_numbers(
    name: str, categories: list[str], codes: NDArray[np.int32], reader: _Reader
) -> None:
    """Raise if most of the column are numbers, in either decimal mark, and some are not."""
    other_mark = "," if reader.decimal == "." else "."
    bad = np.array([_number(text, reader.decimal) is None for text in categories])
    other = bad & np.array([_number(text, other_mark) is not None for text in categories])
    counts = np.bincount(codes[codes >= 0], minlength=len(categories))
    if counts[~bad | other].sum() < NUMERIC_SHARE * counts.sum():
        return
    # At least half of the values that are no numbers would be numbers with the other mark.
    wrong_mark = 2 * counts[other].sum() >= counts[bad].sum()
    culprits = other if wrong_mark else bad & ~other
    position = _first(np.append(culprits, False)[codes])
    value = _shortened(categories[codes[position]])
    where = f"{reader.path}: row {reader.row_number(position)}, column {name!r}"
    if wrong_mark:
        raise UsageError(
            f"{where}: {value} is no number with data.decimal={reader.decimal!r}; set "
            f"data.decimal={other_mark!r} if that is the decimal mark, and remove thousands "
            "separators"
        )
    raise UsageError(
        f"{where}: {value} is text in a numeric column; correct it, or leave the column out "
        "(data.drop)"
    )


def _shortened(value: str, most: int = 40) -> str:
    return repr(value if len(value) <= most else value[: most - 3] + "...")


def _table(
    columns: dict[str, NDArray[Any]], ids: NDArray[Any], reader: _Reader, source: str
) -> Table:
    import pandas as pd

    reasons = {name: _unusable(column) for name, column in columns.items()}
    warnings = [
        f"{reader.path}: column {name!r} is left out: {reason}"
        for name, reason in reasons.items()
        if reason
    ]
    warnings += [
        f"{reader.path}: column {number} is left out: it has no name"
        for number, name in enumerate(reader.names, start=1)
        if not name
    ]
    usable = {name: column for name, column in columns.items() if not reasons[name]}
    for name, column in usable.items():
        _check_size(name, column, reader)
    if not usable:
        summary = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        # A value may hold line ends, and a message is one line.
        summary = " ".join(summary.split())
        summary = summary if len(summary) < 200 else f"{summary[:197]}..."
        raise UsageError(
            f"{reader.path}: no usable feature column is left ({summary}){reader.open_quote()}"
        )
    series = {name: _series(column) for name, column in usable.items()}
    return Table(pd.DataFrame(series, copy=False), ids, warnings=tuple(warnings), source=source)


def _unusable(column: NDArray[Any]) -> str | None:
    """Return why a column cannot tell customers apart, or None."""
    if column.dtype.kind == "f":
        infinite = int(np.isinf(column).sum())
        if infinite:
            return f"{infinite} infinite values"
        present = column[~np.isnan(column)]
    elif column.dtype.kind == "O":
        present = column[[value is not None for value in column.tolist()]]
    else:
        present = column
    if len(present) == 0:
        return "all its values are missing"
    return f"constant ({present[0]})" if (present == present[0]).all() else None


def _check_size(name: str, column: NDArray[Any], reader: _Reader) -> None:
    """Raise if a column has a number that distances cannot be computed with."""
    if column.dtype.kind != "f":
        return
    large = np.abs(column) > LARGEST
    if large.any():
        first = _first(large)
        where = f"{reader.path}: row {reader.row_number(first)}, column {name!r}"
        raise UsageError(
            f"{where}: {column[first]:g} is too large to compute with; numbers from "
            f"-{LARGEST:g} to {LARGEST:g} are allowed; correct it, or leave the column out "
            "(data.drop)"
        )


def _series(column: NDArray[Any]) -> pd.Series[Any]:
    import pandas as pd

    # By its own kind: pandas would make text of objects, and copy.
    return pd.Series(column, dtype=column.dtype, copy=False)


def _first(mask: NDArray[np.bool_]) -> int:
    return int(np.argmax(mask))
