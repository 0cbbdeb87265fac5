"""Keeps the profiles of a study's best runs in its folder, for the report and for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.segments.profiles import profile
from segkit.study.record import best_first
from segkit.study.results import write_table

if TYPE_CHECKING:
    import pandas as pd

    from segkit.study.record import Finished

PROFILED_RUNS = 12


def keep_profiles(finished: Finished, most: int = PROFILED_RUNS) -> None:
    """Write ``profiles.parquet`` and ``profiles.csv``: the segments of the best-ranked runs, one row per feature.

    Runs whose partition is the same as a better one's are left out.
    """
    import pandas as pd

    kept: list[pd.DataFrame] = []
    seen: set[bytes] = set()
    data = {run.id: run.data for run in finished.plan.runs}
    for run, labels in _partitions(finished.folder, best_first(finished.runs)):
        if len(kept) == most:
            break
        identity = labels.to_numpy(dtype="float64", na_value=float("nan")).tobytes()
        if identity not in seen:
            seen.add(identity)
            kept.append(_profile(finished, data[run], run, labels))
    columns = ["run", "segment", "feature", "n", "mean", "median", "q25", "q75", "z"]
    found = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=columns)
    write_table(found, finished.folder / "profiles.parquet")
    write_table(found, finished.folder / "profiles.csv")


def _partitions(folder: Path, runs: Sequence[str]) -> Iterator[tuple[str, pd.Series]]:
    """Yield each run's labels in the order of the runs; few are looked at, so few are read."""
    import pandas as pd

    for start in range(0, len(runs), PROFILED_RUNS):
        some = list(runs[start : start + PROFILED_RUNS])
        yield from pd.read_parquet(folder / "partitions.parquet", columns=some).items()


def _profile(finished: Finished, data: str, run: str, labels: pd.Series) -> pd.DataFrame:
    table = finished.customers.tables[data]
    start = finished.customers.offsets[data]
    own = labels.iloc[start : start + table.n_customers].reset_index(drop=True)
    kept = own.notna().to_numpy()
    found = profile(table.frame.reset_index(drop=True)[kept], own[kept].to_numpy(dtype=int))
    return found.assign(run=run)[["run", *found.columns]]
