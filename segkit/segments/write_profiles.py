"""Writes the profiles of a study's best runs, for the report and for spreadsheets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.files import DiskFull
from segkit.hashing import array_digest
from segkit.segments.detailed_runs import detailed_runs
from segkit.segments.profiles import COLUMNS, profile
from segkit.study.keep.reader import load_study
from segkit.study.keep.runs_table import write_table
from segkit.study.plan.keys import stage_key
from segkit.study.run.store import Damaged, Store

if TYPE_CHECKING:
    import pandas as pd

    from segkit.study.keep.finished import Finished
    from segkit.study.plan.planner import RunPlan

# So many runs are profiled however many features and segments there are; more only up to
# `MOST_ROWS` rows in all.
PROFILED_RUNS = 12
MOST_ROWS = 100_000
# Runs whose labels are in memory at once.
_AT_ONCE = 12
# For fewer customers, threads cost more than they save.
_THREADED_FROM = 100_000
# To be raised when the code changes what it returns: older stored results are then not used.
VERSION = 1


def write_profiles(
    finished: Finished, most: int | None = None, most_rows: int = MOST_ROWS, workers: int = 1
) -> None:
    """Write ``profiles.parquet`` and ``profiles.csv``: the segments of the best runs.

    Each has a row for each run, segment and feature.

    Parameters
    ----------
    finished
        The study.
    most
        At most so many runs are profiled, those that the report shows customer by customer; by
        default as the study's settings say. Of runs with the same partition only the best is.
    most_rows
        After the twelfth run, those are left out with which there would be more rows.
    workers
        Threads for large tables.
    """
    import numpy as np
    import pandas as pd

    study = load_study(finished.folder)
    most = most or study.settings["report"]["shortlist"]
    runs = detailed_runs(finished.runs, most, study.recommendation["run"])
    chosen = _chosen(finished, runs, most_rows)
    profiles: list[pd.DataFrame] = []
    threads = workers if len(finished.customers) >= _THREADED_FROM else 1
    with ThreadPoolExecutor(threads) as pool:
        while batch := list(islice(chosen, _AT_ONCE)):
            profiles += pool.map(lambda pair: _profile(finished, *pair), batch)
    names = ["run", *COLUMNS]
    columns = {}
    if profiles:
        columns = {
            name: np.concatenate([part[name].to_numpy() for part in profiles]) for name in names
        }
    table = pd.DataFrame(columns, columns=names)
    write_table(table, finished.folder / "profiles.parquet")
    write_table(table, finished.folder / "profiles.csv")


def _chosen(
    finished: Finished, runs: Sequence[str], most_rows: int
) -> Iterator[tuple[RunPlan, pd.Series[Any]]]:
    """Yield the runs to profile, with their labels."""
    plans = {run.id: run for run in finished.plan.runs}
    partitions: set[bytes] = set()
    chosen = total = 0
    for run, labels in _labels(finished.folder, runs):
        values = labels.to_numpy(dtype="float64", na_value=float("nan"))
        identity = array_digest(values)
        if identity in partitions:
            continue
        partitions.add(identity)
        rows = labels.nunique() * finished.customers.tables[plans[run].data].frame.shape[1]
        if chosen < PROFILED_RUNS or total + rows <= most_rows:
            chosen += 1
            total += rows
            yield plans[run], labels


def _labels(folder: Path, runs: Sequence[str]) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Yield each run's labels in the order of the runs, read as they are needed."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(folder / "partitions.parquet") as file:
        for start in range(0, len(runs), _AT_ONCE):
            batch = list(runs[start : start + _AT_ONCE])
            frame = file.read(columns=batch).to_pandas()
            for run in batch:
                yield run, frame[run]


def _profile(finished: Finished, run: RunPlan, labels: pd.Series[Any]) -> pd.DataFrame:
    """Return a run's profile, from the store if it has it."""
    store = finished.store
    key = stage_key("profiles", VERSION, run.data, run.stages["features"], run.stages["clustering"])
    table = _stored(store, key)
    if table is None:
        begun = time.thread_time()
        data = finished.customers.tables[run.data]
        start = finished.customers.offsets[run.data]
        own = labels.iloc[start : start + data.n_customers].reset_index(drop=True)
        is_labelled = own.notna().to_numpy()
        customers = data.frame.reset_index(drop=True)[is_labelled]
        table = profile(customers, own[is_labelled].to_numpy(dtype=int))
        arrays = {name: table[name].to_numpy() for name in COLUMNS if name != "feature"}
        facts = {"feature": table["feature"].tolist()}
        # Without room in the store it is computed again the next time.
        with contextlib.suppress(OSError, DiskFull):
            store.save(key, arrays, facts, time.thread_time() - begun)
    return table.assign(run=run.id)[["run", *COLUMNS]]


def _stored(store: Store, key: str) -> pd.DataFrame | None:
    import pandas as pd

    record = store.record(key)
    if record is None:
        return None
    try:
        arrays = store.arrays(key)
    except Damaged:
        return None
    features = pd.Series(record["facts"]["feature"], dtype="str")
    return pd.DataFrame({**arrays, "feature": features}, columns=list(COLUMNS))
