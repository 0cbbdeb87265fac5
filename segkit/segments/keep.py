"""Keeps the profiles of a study's best runs in its folder, for the report and for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.segments.profiles import profile
from segkit.segments.shortlist import shortlisted
from segkit.study.folder import load_study
from segkit.study.results import write_table

if TYPE_CHECKING:
    import pandas as pd

    from segkit.study.record import Finished

# Of a study of many features and segments, fewer runs are profiled, but not fewer than so many.
PROFILED_RUNS = 12
MOST_ROWS = 100_000
_AT_ONCE = 12


def keep_profiles(finished: Finished, most: int | None = None, most_rows: int = MOST_ROWS) -> None:
    """Write ``profiles.parquet`` and ``profiles.csv``: the segments of the shortlist's runs, one row per feature.

    The shortlist is the one that the report looks at customer by customer, of as many runs as the study's settings say
    or of ``most``. Runs whose partition is the same as a better one's are left out; after the twelfth, so are those
    with which there would be more than ``most_rows``.
    """
    import pandas as pd

    kept: list[pd.DataFrame] = []
    seen: set[bytes] = set()
    total = 0
    data = {run.id: run.data for run in finished.plan.runs}
    study = load_study(finished.folder)
    runs = shortlisted(finished.runs, most or study.settings["report"]["shortlist"], study.recommendation["run"])
    for run, labels in _partitions(finished.folder, runs):
        identity = labels.to_numpy(dtype="float64", na_value=float("nan")).tobytes()
        if identity in seen:
            continue
        seen.add(identity)
        table = finished.customers.tables[data[run]].frame
        rows = labels.nunique() * table.shape[1]
        if len(kept) < PROFILED_RUNS or total + rows <= most_rows:
            kept.append(_profile(finished, data[run], run, labels))
            total += rows
    columns = ["run", "segment", "feature", "n", "mean", "median", "q25", "q75", "z"]
    found = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=columns)
    write_table(found, finished.folder / "profiles.parquet")
    write_table(found, finished.folder / "profiles.csv")


def _partitions(folder: Path, runs: Sequence[str]) -> Iterator[tuple[str, pd.Series]]:
    """Yield each run's labels in the order of the runs; few are looked at, so few are read."""
    import pandas as pd

    for start in range(0, len(runs), _AT_ONCE):
        some = list(runs[start : start + _AT_ONCE])
        yield from pd.read_parquet(folder / "partitions.parquet", columns=some).items()


def _profile(finished: Finished, data: str, run: str, labels: pd.Series) -> pd.DataFrame:
    table = finished.customers.tables[data]
    start = finished.customers.offsets[data]
    own = labels.iloc[start : start + table.n_customers].reset_index(drop=True)
    kept = own.notna().to_numpy()
    found = profile(table.frame.reset_index(drop=True)[kept], own[kept].to_numpy(dtype=int))
    return found.assign(run=run)[["run", *found.columns]]
