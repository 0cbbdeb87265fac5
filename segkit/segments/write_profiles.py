"""Keeps the profiles of a study's best runs in its folder, for the report and for spreadsheets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.files import DiskFull
from segkit.segments.profiles import COLUMNS, profile
from segkit.segments.shortlist import shortlisted
from segkit.study.keep.reader import load_study
from segkit.study.keep.runs_table import write_table
from segkit.study.plan.keys import stage_key
from segkit.study.run.store import Damaged, Store

if TYPE_CHECKING:
    import pandas as pd

    from segkit.study.keep.finished import Finished
    from segkit.study.plan.planner import RunPlan

# Of a study of many features and segments, fewer runs are profiled, but not fewer than so many.
PROFILED_RUNS = 12
MOST_ROWS = 100_000
_AT_ONCE = 12
_THREADED_FROM = 100_000  # customers
# Raise it when the code changes what a profile is: what older code stored is then not found.
VERSION = 1


def keep_profiles(
    finished: Finished, most: int | None = None, most_rows: int = MOST_ROWS, workers: int = 1
) -> None:
    """Write ``profiles.parquet`` and ``profiles.csv``: the segments of the shortlist's runs, one row per feature.

    The shortlist is the one that the report looks at customer by customer, of as many runs as the
    study's settings say or of ``most``. Runs whose partition is the same as a better one's are left
    out; after the twelfth, so are those with which there would be more than ``most_rows``. Large
    tables are profiled by so many ``workers`` at once.
    """
    import numpy as np
    import pandas as pd

    study = load_study(finished.folder)
    runs = shortlisted(
        finished.runs, most or study.settings["report"]["shortlist"], study.recommendation["run"]
    )
    chosen = _chosen(finished, runs, most_rows)
    kept: list[pd.DataFrame] = []
    threads = workers if len(finished.customers) >= _THREADED_FROM else 1
    with ThreadPoolExecutor(threads) as pool:
        while some := list(islice(chosen, _AT_ONCE)):
            kept += pool.map(lambda pair: _profile(finished, *pair, finished.store), some)
    names = ["run", *COLUMNS]
    columns = (
        {name: np.concatenate([part[name].to_numpy() for part in kept]) for name in names}
        if kept
        else {}
    )
    found = pd.DataFrame(columns, columns=names)
    write_table(found, finished.folder / "profiles.parquet")
    write_table(found, finished.folder / "profiles.csv")


def _chosen(
    finished: Finished, runs: Sequence[str], most_rows: int
) -> Iterator[tuple[RunPlan, pd.Series]]:
    """Yield the runs to profile, with their labels."""
    plans = {run.id: run for run in finished.plan.runs}
    seen: set[bytes] = set()
    chosen = total = 0
    for run, labels in _partitions(finished.folder, runs):
        identity = sha256(labels.to_numpy(dtype="float64", na_value=float("nan"))).digest()
        if identity in seen:
            continue
        seen.add(identity)
        rows = labels.nunique() * finished.customers.tables[plans[run].data].frame.shape[1]
        if chosen < PROFILED_RUNS or total + rows <= most_rows:
            chosen += 1
            total += rows
            yield plans[run], labels


def _partitions(folder: Path, runs: Sequence[str]) -> Iterator[tuple[str, pd.Series]]:
    """Yield each run's labels in the order of the runs; few are looked at, so few are read."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(folder / "partitions.parquet") as file:
        for start in range(0, len(runs), _AT_ONCE):
            some = list(runs[start : start + _AT_ONCE])
            yield from file.read(columns=some).to_pandas()[some].items()


def _profile(finished: Finished, run: RunPlan, labels: pd.Series, store: Store) -> pd.DataFrame:
    """Return a run's profile; it is kept in the store, where the next study of the same partition finds it."""
    key = stage_key("profiles", VERSION, run.data, run.stages["features"], run.stages["clustering"])
    found = _stored(store, key)
    if found is None:
        begun = time.thread_time()
        table = finished.customers.tables[run.data]
        start = finished.customers.offsets[run.data]
        own = labels.iloc[start : start + table.n_customers].reset_index(drop=True)
        kept = own.notna().to_numpy()
        found = profile(table.frame.reset_index(drop=True)[kept], own[kept].to_numpy(dtype=int))
        arrays = {name: found[name].to_numpy() for name in COLUMNS if name != "feature"}
        with contextlib.suppress(OSError, DiskFull):
            store.save(
                key, arrays, {"feature": found["feature"].tolist()}, time.thread_time() - begun
            )
    return found.assign(run=run.id)[["run", *COLUMNS]]


def _stored(store: Store, key: str) -> pd.DataFrame | None:
    import pandas as pd

    record = store.record(key)
    if record is None:
        return None
    try:
        columns = store.arrays(key) | {
            "feature": pd.Series(record["facts"]["feature"], dtype="str")
        }
    except Damaged:
        return None
    return pd.DataFrame(columns, columns=list(COLUMNS))
