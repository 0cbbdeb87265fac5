"""The files of a study's folder, each opened once; what is not there is remembered and told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from segkit.errors import UsageError
from segkit.study.keep import untrusted as reading

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
    "silhouettes.parquet": "no customer's silhouette is drawn, nor told which segments lie nearer to another",
    "configs.jsonl": "segkit reproduce cannot make a run again",
}
# Only a study that was confirmed has them.
WITHOUT_NULLS = "what the runs found on each table without segments is not shown, only what was made of it"
# What is wrong with tables, by their names and by what tells that no file of the folder was changed.
_LOOKED: dict[tuple[object, ...], str] = {}
_REMEMBERED = 64
_READABLE = ("summary.md", "runs.csv", "profiles.csv", "recommendation.json", "configs.jsonl")


@dataclass
class Files:
    """A study's folder.

    Attributes
    ----------
    folder : Path
    missing : dict
        By the name of a file that was asked for and is not there: what the report lacks without it.
    unfit : dict
        By the name of one that is there and left out: what is wrong with it, as in "it has no column 'id'".
    notes : list of str
        What else is left out, in sentences.
    """

    folder: Path
    missing: dict[str, str] = field(default_factory=dict)
    unfit: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _opened: dict[str, pyarrow.parquet.ParquetFile] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Tell whether a file is there; the lack of one that the report tells of is remembered."""
        path = reading.inside(self.folder, name)
        if why := self._wrong(name):
            if name in NEEDED:
                raise UsageError(f"{path}: {why}; without it no report can be made{self._readable()}")
            self.unfit[name] = why
        elif path.is_file():
            return True
        elif name in NEEDED:
            raise UsageError(f"{path}: missing; without it no report can be made{self._readable()}")
        if name in LACKING:
            self.missing[name] = LACKING[name]
        return False

    def lack(self, name: str) -> str:
        """Return what the report lacks without a file that is left out."""
        made_anew = name == "profiles.parquet" and name not in self.missing
        return "segments are described from customers.parquet" if made_anew else LACKING.get(name, WITHOUT_NULLS)

    def _wrong(self, name: str) -> str:
        """Say what is wrong with a file that is there; it is looked at once, until it changes."""
        from segkit.report import fitting

        path = self.folder / name
        if path.is_dir():
            return "is a directory, not a file"
        if name not in fitting.LOOKED_AT or not path.is_file():
            return ""
        known = (name, *(_stamp(self.folder / other) for other in (*fitting.LOOKED_AT, "provenance.json")))
        if known not in _LOOKED:
            # The page is put together by several readers of one folder.
            while len(_LOOKED) >= _REMEMBERED:
                _LOOKED.pop(next(iter(_LOOKED)))
            # What is asked for there is not asked for by the report.
            _LOOKED[known] = fitting.wrong(Files(self.folder, _opened=self._opened), name)
        return _LOOKED[known]

    def _readable(self) -> str:
        found = [name for name in _READABLE if (self.folder / name).is_file()]
        return f" ({', '.join(found)} can be read by themselves)" if found else ""

    def mapping(self, name: str, parse: Callable[[str], Any] = json.loads) -> dict[str, Any]:
        """Return a document's names and values; an empty one if it is not there and not needed."""
        if not self.has(name):
            return {}
        path = self.folder / name
        with self._explained(name):
            found = reading.parsed(path, reading.content(path), parse)
        return reading.mapping(found, path)

    def columns(self, name: str) -> list[str]:
        """Return the names of a table's columns; none if it is not there and not needed."""
        return list(self.opened(name).schema_arrow.names) if self.has(name) else []

    def table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a table that is there, or some of its columns."""
        stored = self.arrow(name, columns)
        with self._explained(name):
            return reading.frame(stored, self.folder / name)

    def arrow(self, name: str, columns: Sequence[str] | None = None) -> pyarrow.Table:
        """Read a table that is there, or some of its columns, as it is stored."""
        with self._explained(name):
            return reading.table(self.opened(name), self.folder / name, columns)

    def rows(self, name: str) -> int:
        """Return the number of a table's rows; 0 if it is not there and not needed."""
        return self.opened(name).metadata.num_rows if self.has(name) else 0

    def opened(self, name: str) -> pyarrow.parquet.ParquetFile:
        """Open a table that is there."""
        # Kept open: the head of a table of thousands of runs takes long to read.
        if name not in self._opened:
            with self._explained(name):
                self._opened[name] = reading.opened_table(reading.inside(self.folder, name))
        return self._opened[name]

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Say what becomes of the report without a file that cannot be read."""
        try:
            yield
        except UsageError as error:
            without = (LACKING | {"nulls.parquet": WITHOUT_NULLS}).get(name)
            rest = f"; without this file a report can be made, in which {without}" if without else self._readable()
            raise UsageError(f"{error}{'' if str(error).endswith(rest) else rest}") from error


def _stamp(path: Path) -> tuple[str, int, int]:
    """Return what changes when a file does."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return str(path), 0, 0
    return str(path.absolute()), found.st_mtime_ns, found.st_size
