"""Keeps each customer's silhouette in the recommended run and in the runner-up, for the report."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING

from segkit.files import DiskFull
from segkit.study.judge.ranking import best_first
from segkit.study.keep.runs_table import write_table
from segkit.study.plan.keys import stage_key
from segkit.study.run.store import Damaged, Store

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from segkit.study.keep.finished import Finished
    from segkit.study.plan.planner import RunPlan

KEPT_RUNS = 2
# A silhouette needs the distances to everybody: a second for so many customers.
MOST_CUSTOMERS = 20_000
# Raise it when the code changes what it returns: what older code stored is then not found.
VERSION = 2


def keep_silhouettes(finished: Finished, most: int = MOST_CUSTOMERS) -> None:
    """Write ``silhouettes.parquet``: customers' silhouettes in the primary reference space, a column for each run.

    Of a table with more than ``most`` customers, as many are drawn, and their silhouettes are those
    among themselves. A run whose stored results cannot be read is left out.
    """
    import pandas as pd

    store = finished.store
    plans = {run.id: run for run in finished.plan.runs}
    columns: dict[str, pd.Series] = {}
    for run in _chosen(finished):
        try:
            rows, found = _silhouettes(plans[run], finished, store, most)
        except Damaged:
            continue
        columns[run] = pd.Series(found, index=finished.customers.place(plans[run].data, rows))
    table = pd.DataFrame(columns).sort_index()
    rows = table.index.to_numpy(dtype="int64")
    table.insert(0, "id", finished.customers.ids()[rows])
    table.insert(1, "row", rows)
    write_table(table, finished.folder / "silhouettes.parquet")


def _chosen(finished: Finished) -> list[str]:
    """Return the recommended run and the runner-up; where there are none, the best placed with a silhouette."""
    told = json.loads((finished.folder / "recommendation.json").read_text(encoding="utf-8"))
    scored = finished.runs[finished.runs["silhouette_reference"].notna()]
    placed = best_first(scored)
    named = [told.get("run"), (told.get("runner_up") or {}).get("run")]
    return list(dict.fromkeys([*(run for run in named if run in set(placed)), *placed]))[:KEPT_RUNS]


def _silhouettes(
    run: RunPlan, finished: Finished, store: Store, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows in the run's table of the customers looked at, and their silhouettes; missing for noise.

    They are kept in the store, where the next study of the same partition finds them.
    """
    import numpy as np

    from segkit.scoring.silhouette import silhouette_samples

    clustering = run.stages["clustering"]
    space = finished.plan.nodes[run.stages[f"scoring:{finished.plan.references[0]}"]].inputs[
        "space"
    ]
    key = stage_key("silhouettes", VERSION, clustering, space, most)
    if store.record(key) is not None:
        with contextlib.suppress(Damaged):
            known = store.arrays(key)
            return known["rows"], known["silhouettes"]
    begun = time.process_time()
    rows = store.arrays(run.stages["features"])["rows"]
    at = np.flatnonzero(_drawn(finished.customers.tables[run.data].n_customers, most)[rows])
    matrix = store.arrays(space)["matrix"]
    # A reference space has every customer, a run may have dropped some with missing values.
    matrix = matrix[at] if len(matrix) == len(rows) else matrix[rows[at]]
    found = {
        "rows": rows[at],
        "silhouettes": silhouette_samples(matrix, store.arrays(clustering)["labels"][at]),
    }
    with contextlib.suppress(OSError, DiskFull):
        store.save(key, found, {}, time.process_time() - begun)
    return found["rows"], found["silhouettes"]


def _drawn(customers: int, most: int) -> np.ndarray:
    """Mark the customers that are drawn: the first of an order that is random but always the same."""
    import numpy as np

    drawn = np.zeros(customers, dtype=bool)
    drawn[np.random.default_rng(0).permutation(customers)[:most]] = True
    return drawn
