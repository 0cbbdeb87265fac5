"""Writes each customer's silhouette in the recommended run and in the runner-up."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING

from segkit.files import DiskFull
from segkit.study.judge.ranking import best_first
from segkit.study.keep.runs_table import write_table
from segkit.study.plan.keys import stage_key
from segkit.study.run.store import Damaged

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from segkit.study.keep.finished import Finished
    from segkit.study.plan.planner import RunPlan

# The recommended run and the runner-up.
MOST_RUNS = 2
# A silhouette needs the distances to all customers: a second for so many.
MOST_CUSTOMERS = 20_000
# To be raised when the code changes what it returns: older stored results are then not used.
VERSION = 2


def write_silhouettes(finished: Finished, most: int = MOST_CUSTOMERS) -> None:
    """Write ``silhouettes.parquet``: customers' silhouettes in the primary reference space.

    The columns are ``id``, ``row`` (in the partitions) and one for each run, NaN for noise. A run
    whose stored results are damaged is left out.

    Parameters
    ----------
    finished
        The study.
    most
        Of a table with more customers, so many are drawn; their silhouettes are those among
        themselves.
    """
    import pandas as pd

    plans = {run.id: run for run in finished.plan.runs}
    columns: dict[str, pd.Series[float]] = {}
    for run in _chosen(finished):
        try:
            rows, silhouettes = _silhouettes(plans[run], finished, most)
        except Damaged:
            continue
        places = finished.customers.place(plans[run].data, rows)
        columns[run] = pd.Series(silhouettes, index=places)
    table = pd.DataFrame(columns).sort_index()
    rows = table.index.to_numpy(dtype="int64")
    table.insert(0, "id", finished.customers.ids()[rows])
    table.insert(1, "row", rows)
    write_table(table, finished.folder / "silhouettes.parquet")


def _chosen(finished: Finished) -> list[str]:
    """Return the recommended run and the runner-up, else the best runs that have a silhouette."""
    text = (finished.folder / "recommendation.json").read_text(encoding="utf-8")
    recommendation = json.loads(text)
    placed = best_first(finished.runs[finished.runs["silhouette_reference"].notna()])
    runner_up = recommendation.get("runner_up") or {}
    named = [recommendation.get("run"), runner_up.get("run")]
    order = dict.fromkeys([*(run for run in named if run in placed), *placed])
    return list(order)[:MOST_RUNS]


def _silhouettes(
    run: RunPlan, finished: Finished, most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the silhouettes of the drawn customers of a run, from the store if it has them.

    Returns
    -------
    rows
        The customers' rows in the run's table.
    silhouettes
        NaN for noise.
    """
    import numpy as np

    from segkit.scoring.silhouette import silhouette_samples

    store, clustering = finished.store, run.stages["clustering"]
    scoring = finished.plan.nodes[run.stages[f"scoring:{finished.plan.references[0]}"]]
    space = scoring.inputs["space"]
    key = stage_key("silhouettes", VERSION, clustering, space, most)
    if store.record(key) is not None:
        with contextlib.suppress(Damaged):
            stored = store.arrays(key)
            return stored["rows"], stored["silhouettes"]
    begun = time.process_time()
    rows = store.arrays(run.stages["features"])["rows"]
    is_drawn = _drawn(finished.customers.tables[run.data].n_customers, most)
    at = np.flatnonzero(is_drawn[rows])
    matrix = store.arrays(space)["matrix"]
    # A reference space has every customer, a run may have dropped some with missing values.
    matrix = matrix[at] if len(matrix) == len(rows) else matrix[rows[at]]
    silhouettes = silhouette_samples(matrix, store.arrays(clustering)["labels"][at])
    # Without room in the store they are computed again the next time.
    with contextlib.suppress(OSError, DiskFull):
        arrays = {"rows": rows[at], "silhouettes": silhouettes}
        store.save(key, arrays, {}, time.process_time() - begun)
    return rows[at], silhouettes


def _drawn(customers: int, most: int) -> NDArray[np.bool_]:
    """Mark the drawn customers: the first of an order that is random but always the same."""
    import numpy as np

    drawn = np.zeros(customers, dtype=bool)
    drawn[np.random.default_rng(0).permutation(customers)[:most]] = True
    return drawn
