"""The files of a study's folder, each opened once; what is not there is remembered and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from segkit.errors import UsageError

# Without these there is nothing to tell; they are looked for in this order.
NEEDED = ("study.yaml", "runs.parquet")
# What the report lacks without each of the others.
LACKING = {
    "provenance.json": "where the numbers come from, the data's columns and what failed unforeseen are not told",
    "recommendation.json": "the verdict is derived again from the scores of the runs",
    "partitions.parquet": "no run's segments are shown, nor the agreement of runs",
    "embeddings.parquet": "no picture of the customers is shown",
    "embeddings.json": "no picture of the customers is shown",
    "profiles.parquet": "segments are described only where the folder has all customers",
    "customers.parquet": "the columns are not described one by one, and no customer is shown with its values",
    "silhouettes.parquet": "no customer's silhouette is drawn",
}
# Only a study that was confirmed has them.
WITHOUT_NULLS = "what the runs found on each table without segments is not shown, only what was made of it"
_READABLE = ("summary.md", "runs.csv", "profiles.csv", "recommendation.json", "configs.jsonl")


@dataclass
class Files:
    """A study's folder.

    Attributes
    ----------
    folder : Path
    missing : dict
        By the name of a file that was asked for and is not there: what the report lacks without it.
    """

    folder: Path
    missing: dict[str, str] = field(default_factory=dict)
    _opened: dict[str, pyarrow.parquet.ParquetFile] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Tell whether a file is there; the lack of one that the report tells of is remembered."""
        if (self.folder / name).is_file():
            return True
        if name in NEEDED:
            raise UsageError(f"{self.folder / name}: missing; without it no report can be made{self._readable()}")
        if name in LACKING:
            self.missing[name] = LACKING[name]
        return False

    def _readable(self) -> str:
        found = [name for name in _READABLE if (self.folder / name).is_file()]
        return f" ({', '.join(found)} can be read by themselves)" if found else ""

    def mapping(self, name: str, parse: Callable[[str], Any] = json.loads) -> dict[str, Any]:
        """Return a document's names and values; an empty one if it is not there and not needed."""
        if not self.has(name):
            return {}
        import yaml

        path = self.folder / name
        try:
            found = parse(path.read_text(encoding="utf-8"))
        except (ValueError, yaml.YAMLError) as cause:
            raise self._broken(name, cause) from cause
        if not isinstance(found, dict):
            raise UsageError(f"{path}: must hold names and values, holds {type(found).__name__}")
        return found

    def columns(self, name: str) -> list[str]:
        """Return the names of a table's columns; none if it is not there and not needed."""
        return list(self._open(name).schema_arrow.names) if self.has(name) else []

    def table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a table that is there, or some of its columns."""
        try:
            return self._open(name).read(columns=None if columns is None else list(columns)).to_pandas()
        except (pyarrow.ArrowException, OSError) as cause:
            raise self._broken(name, cause) from cause

    def rows(self, name: str) -> int:
        """Return the number of a table's rows; 0 if it is not there and not needed."""
        return self._open(name).metadata.num_rows if self.has(name) else 0

    def _open(self, name: str) -> pyarrow.parquet.ParquetFile:
        # Kept open: the head of a table of thousands of runs takes long to read.
        if name not in self._opened:
            try:
                self._opened[name] = pyarrow.parquet.ParquetFile(self.folder / name)
            except (pyarrow.ArrowException, OSError) as cause:
                raise self._broken(name, cause) from cause
        return self._opened[name]

    def _broken(self, name: str, cause: Exception) -> UsageError:
        without = (LACKING | {"nulls.parquet": WITHOUT_NULLS}).get(name)
        help_ = f"; without this file a report can be made, in which {without}" if without else self._readable()
        return UsageError(f"{self.folder / name}: is not readable ({' '.join(str(cause).split())[:120]}){help_}")
