"""Whether the tables of a study's folder belong together: what does not go with the partitions is left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow
import pyarrow.compute
import pyarrow.types as kinds

from segkit.segments.profiles import COLUMNS, PLANTED
from segkit.study.keep.customers import FEATURE, OWN

if TYPE_CHECKING:
    from segkit.report.files import Files

PARTITIONS = "partitions.parquet"
OTHERS = f"has other customers than {PARTITIONS}, or in another order"
_PROFILE_NUMBERS = ("segment", "n", "mean", "median", "q25", "q75", "z")


def wrong(files: Files, name: str) -> str:
    """Say what is wrong with a table, as in "it has no column 'id'"; nothing where it goes with the others.

    Only ids, rows, the names and types of columns and the least and largest values in the heads of files are looked at:
    a wide table is not read for it.
    """
    check = _CHECKS.get(name)
    return "" if check is None else check(files)


def _is_number(kind: pyarrow.DataType) -> bool:
    return kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_null(kind)


def _not_numbers(schema: pyarrow.Schema, names: Iterable[str]) -> str:
    odd = next((name for name in names if not _is_number(schema.field(name).type)), None)
    return "" if odd is None else f"has no numbers in its column {odd!r}"


def _absent(schema: pyarrow.Schema, names: Sequence[str]) -> str:
    lost = [name for name in names if name not in schema.names]
    return f"has no column {', '.join(map(repr, lost))}" if lost else ""


def _bounds(files: Files, name: str) -> dict[str, tuple[float, float]]:
    """Return the least and the largest value of each column of numbers, as far as the file's head tells them."""
    opened = files.opened(name)
    found: dict[str, tuple[float, float]] = {}
    for group in range(opened.metadata.num_row_groups):
        told = opened.metadata.row_group(group)
        for place, column in enumerate(opened.schema_arrow.names):
            known = told.column(place).statistics
            if known is not None and known.has_min_max and isinstance(known.min, int | float):
                low, high = found.get(column, (math.inf, -math.inf))
                found[column] = min(low, known.min), max(high, known.max)
    return found


def _partitions(files: Files) -> str:
    schema = files.opened(PARTITIONS).schema_arrow
    runs = [name for name in schema.names if name not in OWN[:1]]
    if said := _absent(schema, ["id"]) or _not_numbers(schema, runs):
        return said
    low = next((name for name, (least, _) in _bounds(files, PARTITIONS).items() if name in runs and least < -1), None)
    if low is not None:
        return f"has segments below -1 in its column {low!r}"
    for name in (name for name in runs if kinds.is_floating(schema.field(name).type)):
        values = files.arrow(PARTITIONS, [name]).column(0)
        # Of nothing but nulls it is not known: it is no other number either.
        whole = pyarrow.compute.all(
            pyarrow.compute.and_(
                pyarrow.compute.equal(pyarrow.compute.round(values), values), pyarrow.compute.is_finite(values)
            )
        ).as_py()
        if whole is False:
            return f"has segments that are no whole numbers in its column {name!r}"
    data = files.mapping("provenance.json").get("data") or {}
    # Several tables may have the same customers.
    customers, tables = data.get("n_customers"), data.get("fingerprint")
    one = not isinstance(tables, list) or len(tables) == 1
    rows = files.opened(PARTITIONS).metadata.num_rows
    if one and customers and customers != rows:
        return f"has {rows:,} customers, the data in provenance.json {customers:,}"
    return ""


def _ids(files: Files) -> pyarrow.ChunkedArray | None:
    """Return the customers of the partitions; None where there are none to compare with."""
    return files.arrow(PARTITIONS, ["id"]).column(0) if files.has(PARTITIONS) else None


def _same(ids: pyarrow.ChunkedArray, others: pyarrow.ChunkedArray) -> bool:
    if ids.type != others.type:
        ids, others = (pyarrow.compute.cast(each, pyarrow.large_string()) for each in (ids, others))
    return ids.equals(others)


def _everybody(files: Files, name: str) -> str:
    """Say how a table with a row for each customer differs from the partitions."""
    ids = _ids(files)
    if ids is None:
        return ""
    rows = files.opened(name).metadata.num_rows
    if rows != len(ids):
        return f"has {rows:,} customers, {PARTITIONS} {len(ids):,}"
    return "" if _same(ids, files.arrow(name, ["id"]).column(0)) else OTHERS


def _some(files: Files, name: str) -> str:
    """Say how a table with the customers that the study drew differs from the partitions."""
    ids = _ids(files)
    if "row" not in files.opened(name).schema_arrow.names:
        return _everybody(files, name)
    table = files.arrow(name, ["id", "row"])
    rows = table.column("row")
    if not kinds.is_integer(rows.type) or rows.null_count or len(rows.unique()) < len(rows):
        return "has other things than each customer's row once in its column 'row'"
    if ids is None or not len(rows):
        return ""
    bounds = pyarrow.compute.min_max(rows).as_py()
    if bounds["min"] < 0 or bounds["max"] >= len(ids):
        return f"has rows in its column 'row' that {PARTITIONS} has not"
    return "" if _same(ids.take(rows), table.column("id")) else OTHERS


def _embeddings(files: Files) -> str:
    schema = files.opened("embeddings.parquet").schema_arrow
    said = _absent(schema, ["id"]) or _not_numbers(schema, [name for name in schema.names if name != "id"])
    return said or _everybody(files, "embeddings.parquet")


def _customers(files: Files) -> str:
    name = "customers.parquet"
    schema = files.opened(name).schema_arrow
    if said := _absent(schema, ["id"]):
        return said
    if not files.opened(name).metadata.num_rows and files.has(PARTITIONS) and files.rows(PARTITIONS):
        return "has no customers"
    bounds = _bounds(files, name)
    endless = [column for column, values in bounds.items() if any(map(math.isinf, values))]
    if endless:
        return f"has infinite values in its column {endless[0]!r}"
    return _some(files, name) or _other_features(files, schema.names)


def _other_features(files: Files, stored: Sequence[str]) -> str:
    """Say which feature the profiles have that was made of no column of the customers."""
    if not files.has("profiles.parquet"):
        return ""
    named = files.arrow("profiles.parquet", ["feature"]).column(0).unique().to_pylist()
    columns = {column.removesuffix(FEATURE) for column in stored if column not in OWN}
    made = (each for each in named if str(each) not in columns and not str(each).startswith(PLANTED))
    odd = next((each for each in made if not _has_value(str(each), columns)), None)
    return "" if odd is None else f"has no column for the feature {odd!r} of profiles.parquet"


def _has_value(feature: str, columns: set[str]) -> bool:
    return any(feature[:place] in columns for place, letter in enumerate(feature) if letter == "=")


def _silhouettes(files: Files) -> str:
    name = "silhouettes.parquet"
    schema = files.opened(name).schema_arrow
    said = _absent(schema, OWN) or _not_numbers(schema, [column for column in schema.names if column not in OWN])
    return said or _some(files, name)


def _profiles(files: Files) -> str:
    schema = files.opened("profiles.parquet").schema_arrow
    if said := _absent(schema, ["run", *COLUMNS]) or _not_numbers(schema, _PROFILE_NUMBERS):
        return said
    table = files.arrow("profiles.parquet", ["run", "segment", "feature"])
    if any(table.column(name).null_count for name in table.column_names):
        return "has rows without run, segment or feature"
    told = table.group_by("run").aggregate(
        [("segment", "count_distinct"), ("feature", "count_distinct"), ("feature", "count")]
    )
    segments, features, cells = (
        told.column(name) for name in ("segment_count_distinct", "feature_count_distinct", "feature_count")
    )
    whole = pyarrow.compute.equal(pyarrow.compute.multiply(segments, features), cells)
    lost = told.filter(pyarrow.compute.invert(whole)).column("run").to_pylist()
    return f"has not each feature of each segment once for the run {lost[0]}" if lost else ""


_CHECKS: dict[str, Callable[[Files], str]] = {
    PARTITIONS: _partitions,
    "embeddings.parquet": _embeddings,
    "customers.parquet": _customers,
    "silhouettes.parquet": _silhouettes,
    "profiles.parquet": _profiles,
}
LOOKED_AT = tuple(_CHECKS)
