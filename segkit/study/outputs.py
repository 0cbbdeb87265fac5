"""What a study leaves beside its runs table: partitions and the two-dimensional embeddings that the report draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from segkit.study.plan import RunPlan
from segkit.study.store import Damaged, Store

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MOST_EMBEDDINGS = 24
MOST_POINTS = 50_000


@dataclass(frozen=True)
class Customers:
    """The customers of a study: those of its tables one after another, in the tables' own order."""

    tables: Mapping[str, Any]

    @cached_property
    def offsets(self) -> dict[str, int]:
        """The first row of each table."""
        found, start = {}, 0
        for name, table in self.tables.items():
            found[name] = start
            start += table.n_customers
        return found

    def __len__(self) -> int:
        """Return the number of customers of all tables."""
        return sum(table.n_customers for table in self.tables.values())

    def ids(self) -> np.ndarray:
        """Return the customers' ids; where there are several tables, with the start of the table's identity."""
        import numpy as np

        if len(self.tables) == 1:
            (table,) = self.tables.values()
            return table.ids
        return np.concatenate(
            [np.char.add(f"{name[:8]}:", table.ids.astype(str)) for name, table in self.tables.items()]
        )

    def place(self, data: str, rows: np.ndarray) -> np.ndarray:
        """Return the rows among all customers of rows of one table."""
        return rows + self.offsets[data]


def partitions_frame(
    runs: Iterable[RunPlan], store: Store, customers: Customers
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the partitions, and the reason for each run whose stored labels cannot be read.

    Returns
    -------
    frame
        First column ``id``, then one nullable integer column per run, named by its id.
    damaged
        By run: what is wrong.
    """
    import numpy as np
    import pandas as pd

    columns: dict[str, Any] = {"id": customers.ids()}
    kept: dict[str, np.ndarray] = {}
    damaged: dict[str, str] = {}
    for run in runs:
        features = run.stages["features"]
        try:
            if features not in kept:
                kept[features] = customers.place(run.data, store.arrays(features)["rows"])
            labels = store.arrays(run.stages["clustering"])["labels"]
        except Damaged as error:
            damaged[run.id] = str(error)
            continue
        values = np.zeros(len(customers), dtype=labels.dtype)
        missing = np.ones(len(customers), dtype=bool)
        values[kept[features]] = labels
        missing[kept[features]] = False
        columns[run.id] = pd.arrays.IntegerArray(values, missing)
    return pd.DataFrame(columns), damaged


def embedding_runs(runs: Sequence[RunPlan]) -> dict[str, list[RunPlan]]:
    """Return the runs of each projected space, best first as the runs are given, at most ``MOST_EMBEDDINGS`` spaces."""
    spaces: dict[str, list[RunPlan]] = {}
    for run in runs:
        space = run.stages.get("projection")
        if space and (space in spaces or len(spaces) < MOST_EMBEDDINGS):
            spaces.setdefault(space, []).append(run)
    return spaces


def embeddings_frame(
    spaces: Mapping[str, Sequence[RunPlan]], store: Store, customers: Customers
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Return the first two coordinates of each space, and what each space is.

    Returns
    -------
    frame
        ``id``, then ``<name>:x`` and ``<name>:y`` for each space, missing where a customer was dropped, and for all but
        50,000 drawn ones of a larger table.
    index
        By name: ``label`` (features, scaler and projection with the parameters that differ) and ``runs`` (ids).
    """
    import numpy as np
    import pandas as pd

    labels = _labels(spaces)
    columns: dict[str, Any] = {"id": customers.ids()}
    hidden = _hidden(len(customers))
    index: dict[str, dict[str, Any]] = {}
    for space, runs in spaces.items():
        first = runs[0]
        try:
            matrix = store.arrays(space)["matrix"]
            rows = customers.place(first.data, store.arrays(first.stages["features"])["rows"])
        except Damaged:
            # It is made again at the next launch; a picture is not worth the study.
            continue
        if matrix.shape[1] < 2:
            continue
        name = f"{first.choices['projection']}-{space.rpartition('-')[2][:8]}"
        for axis, values in zip("xy", matrix[:, :2].T, strict=True):
            placed = np.full(len(customers), np.nan)
            placed[rows] = values
            placed[hidden] = np.nan
            columns[f"{name}:{axis}"] = placed
        index[name] = {"label": labels[space], "runs": [run.id for run in runs]}
    return pd.DataFrame(columns), index


def _hidden(customers: int) -> np.ndarray:
    """Return the customers whose coordinates are not kept: no picture shows so many."""
    import numpy as np

    if customers <= MOST_POINTS:
        return np.empty(0, dtype=np.int64)
    return np.random.default_rng(0).permutation(customers)[MOST_POINTS:]


def _labels(spaces: Mapping[str, Sequence[RunPlan]]) -> dict[str, str]:
    """Name each space in words: only parameters in which spaces of the same choice differ are told."""
    first = {space: runs[0] for space, runs in spaces.items()}
    labels = {}
    for space, run in first.items():
        choice = run.choices["projection"]
        others = [other.groups["projection"] for other in first.values() if other.choices["projection"] == choice]
        told = [
            f"{name}={value}"
            for name, value in run.groups["projection"].items()
            if any(other.get(name) != value for other in others)
        ]
        projection = f"{choice}({', '.join(told)})" if told else choice
        labels[space] = f"{run.choices['features']} > {run.choices['scaler']} > {projection}"
    return labels
