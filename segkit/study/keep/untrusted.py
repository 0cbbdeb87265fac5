"""Reads documents and tables that anybody may have written: within limits, with plain errors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow
    import yaml
    from pyarrow.parquet import ParquetFile

# A study.yaml has some kilobytes; YAML is read slowly.
MOST_YAML = 4_000_000
# Values of a YAML document, those of an alias counted each time: a few lines can stand for
# billions.
MOST_VALUES = 1_000_000
# Bytes of memory for a byte of a JSON document, as Python holds it.
_JSON_SPREAD = 8
# Smaller files are read without asking how much memory there is.
_LARGE = 10_000_000
# Bytes of memory for a cell of a table.
_CELL = 8
# The reason of an error is cut off here: a message is one line.
_LONGEST_REASON = 120


def inside(folder: Path, name: str) -> Path:
    """Return the path of an entry of a folder, which must not be a link to something outside.

    Raises
    ------
    UsageError
        If it leads out of the folder: a study reads and writes nothing but its own files.
    """
    path = folder / name
    try:
        leads_out = path.is_symlink() and not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:
        # A link to itself.
        raise unreadable(path, error) from error
    if leads_out:
        raise UsageError(
            f"{path}: is a link that leads out of the study's folder; put the file itself there"
        )
    return path


def content(path: Path) -> bytes:
    """Return the bytes of a document.

    Raises
    ------
    UsageError
        If it is larger than there is memory for: a sparse file takes hardly any disk.
    """
    size = path.stat().st_size
    if size > _LARGE and size * _JSON_SPREAD > _memory():
        raise UsageError(f"{path}: is too large to be read here ({size / 1e9:.1f} GB)")
    return path.read_bytes()


def parsed(where: Path | str, text: bytes, parse: Callable[[str], Any] = json.loads) -> Any:
    """Parse a document.

    Raises
    ------
    UsageError
        In one line that begins with ``where``, if it cannot be parsed.
    """
    import yaml

    try:
        return parse(text.decode("utf-8"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise unreadable(where, error) from error


def safe_yaml(text: str) -> Any:
    """Parse YAML of plain values, at most a million of them.

    Raises
    ------
    yaml.YAMLError
        If it is not YAML, is too large, or has a tag for an object.
    """
    import yaml

    if len(text) > MOST_YAML:
        raise yaml.YAMLError(f"it has {len(text):,} characters, at most {MOST_YAML:,} are read")
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > MOST_VALUES:
            raise yaml.YAMLError(f"its aliases stand for more than {MOST_VALUES:,} values")
        return loader.construct_document(node)
    except (LookupError, AttributeError, TypeError) as error:
        # PyYAML raises these for a tag on the wrong value, such as !!bool on a name.
        raise yaml.YAMLError(f"a value does not fit its tag: {error}") from error
    finally:
        loader.dispose()


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values of a node, those of an alias each time.

    Parameters
    ----------
    node
        Of the parsed document.
    known
        The counts so far by the identity of the node; it is filled.
    """
    if id(node) not in known:
        # Until it is counted: a node that contains itself stands for endlessly many values.
        known[id(node)] = MOST_VALUES + 1
        total = 1
        for inner in node.value if isinstance(node.value, list) else ():
            # A mapping has pairs of nodes, a sequence has nodes.
            nodes = inner if isinstance(inner, tuple) else (inner,)
            total += sum(_values(part, known) for part in nodes)
        known[id(node)] = total
    return known[id(node)]


def mapping(value: Any, where: Path | str, needed: Sequence[str] = ()) -> dict[str, Any]:
    """Check that a document is a mapping and return it.

    Raises
    ------
    UsageError
        If it is something else, or lacks a name that is needed.
    """
    if not isinstance(value, dict):
        raise UsageError(f"{where}: must hold names and values, holds {type(value).__name__}")
    for name in needed:
        if name not in value:
            raise UsageError(f"{where}: '{name}' is missing")
    return value


def opened_table(path: Path) -> ParquetFile:
    """Open a Parquet file.

    Raises
    ------
    UsageError
        If it cannot be read, or two columns have the same name.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(path)
        names = file.schema_arrow.names
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(path, error) from error
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise UsageError(f"{path}: has the column {name!r} more than once")
    return file


def table(file: ParquetFile, path: Path, columns: Sequence[str] | None = None) -> pyarrow.Table:
    """Read a table, or some of its columns, as it is stored.

    Raises
    ------
    UsageError
        If it cannot be read or would take more memory than there is: a small file can stand for a
        huge table.
    """
    import pyarrow

    width = len(file.schema_arrow.names) if columns is None else len(columns)
    size = _CELL * width * file.metadata.num_rows
    if size > _LARGE and size > _memory():
        raise UsageError(
            f"{path}: is too large to be read here ({file.metadata.num_rows:,} rows of {width:,} "
            f"columns, about {size / 1e9:.1f} GB)"
        )
    try:
        return file.read(columns=None if columns is None else list(columns))
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def read_frame(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a Parquet file, or some of its columns, as a DataFrame.

    Raises
    ------
    UsageError
        If it cannot be read, or takes more memory than there is.
    """
    with opened_table(path) as file:
        return frame(table(file, path, columns), path)


def frame(stored: pyarrow.Table, path: Path) -> pd.DataFrame:
    """Return a table as a DataFrame.

    Raises
    ------
    UsageError
        If what the file says of pandas' types does not fit its columns.
    """
    try:
        converted: pd.DataFrame = stored.to_pandas()
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise unreadable(path, error) from error
    return converted


def unreadable(where: Path | str, error: Exception) -> UsageError:
    """Return the error for something that cannot be read, with its reason in short."""
    return UsageError(
        f"{where}: is not readable ({' '.join(str(error).split())[:_LONGEST_REASON]})"
    )


def _memory() -> int:
    """Return the free memory in bytes."""
    import psutil

    return psutil.virtual_memory().available
