"""Writes the files of a study's folder, each of them whole or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.files import write_text
from segkit.study.keep.runs_table import write_table

if TYPE_CHECKING:
    import pandas as pd

FLUSH_SECONDS = 10.0
# Writing the table of finished runs may take at most this share of the study's time.
FLUSH_SHARE = 0.01


class StudyWriter:
    """Writes the files of a study's folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def settings(self, settings: Mapping[str, Any]) -> None:
        """Write what was asked as ``study.yaml``."""
        import yaml

        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        write_text(text, self.folder / "study.yaml")

    def remove_verdict(self) -> None:
        """Remove what an earlier launch concluded, which this one may conclude otherwise."""
        for name in ("recommendation.json", "nulls.parquet"):
            (self.folder / name).unlink(missing_ok=True)

    def configurations(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Write each run's full configuration, one line of JSON per run."""
        lines = (json.dumps(entry) for entry in entries)
        write_text("".join(f"{line}\n" for line in lines), self.folder / "configs.jsonl")

    def runs(self, runs: pd.DataFrame) -> None:
        """Write the runs table, as Parquet and as CSV."""
        write_table(runs, self.folder / "runs.parquet")
        write_table(runs, self.folder / "runs.csv")

    def partitions(self, partitions: pd.DataFrame) -> None:
        """Write each customer's label in each run."""
        write_table(partitions, self.folder / "partitions.parquet")

    def nulls(self, nulls: pd.DataFrame) -> None:
        """Write the scores on the tables without segments."""
        write_table(nulls, self.folder / "nulls.parquet")

    def customers(self, customers: pd.DataFrame) -> None:
        """Write the drawn customers as loaded."""
        write_table(customers, self.folder / "customers.parquet")

    def embeddings(self, coordinates: pd.DataFrame, index: Mapping[str, Any]) -> None:
        """Write the coordinates of the pictures, and what each picture is."""
        write_table(coordinates, self.folder / "embeddings.parquet")
        self._json(index, "embeddings.json")

    def recommendation(self, recommendation: Mapping[str, Any]) -> None:
        """Write the recommended run and what led there."""
        self._json(recommendation, "recommendation.json")

    def provenance(self, provenance: Mapping[str, Any]) -> None:
        """Write where the study's numbers come from, and its state."""
        self._json(provenance, "provenance.json")

    def _json(self, document: Mapping[str, Any], name: str) -> None:
        write_text(json.dumps(document, indent=1), self.folder / name)


class FlushSchedule:
    """Decides when the rows so far are written again, by the clock and by what writing costs."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._cost = 0.0

    def flush(self, write: Callable[[], None]) -> None:
        """Call ``write`` if the last flush is long enough ago."""
        now = time.monotonic()
        if now - self._last < max(FLUSH_SECONDS, self._cost / FLUSH_SHARE):
            return
        write()
        self._last = time.monotonic()
        self._cost = self._last - now
