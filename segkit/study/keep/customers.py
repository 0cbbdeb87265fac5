"""What a study leaves beside its runs table: customers, their partitions, and the embeddings that the report draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from segkit.study.plan.planner import RunPlan
from segkit.study.run.store import Damaged, Store

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MOST_EMBEDDINGS = 24
MOST_POINTS = 50_000
# What the file of customers calls its own columns, and how a feature of such a name is told from
# them.
OWN = ("id", "row")
FEATURE = " (feature)"


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
            [
                np.char.add(f"{name[:8]}:", table.ids.astype(str))
                for name, table in self.tables.items()
            ]
        )

    def place(self, data: str, rows: np.ndarray) -> np.ndarray:
        """Return the rows among all customers of rows of one table."""
        return rows + self.offsets[data]

    def frame(self) -> pd.DataFrame:
        """Return the feature columns of all tables in their own units, empty where a table has no such column."""
        import pandas as pd

        frames = [table.frame for table in self.tables.values()]
        if len(frames) == 1:
            return frames[0].reset_index(drop=True)
        names = dict.fromkeys(name for frame in frames for name in frame.columns)
        return pd.DataFrame({name: _stacked(name, frames) for name in names})


def _stacked(name: str, frames: Sequence[pd.DataFrame]) -> pd.Series:
    """Return a column of several tables: numbers if it holds numbers in all that have it, else text."""
    import numpy as np
    import pandas as pd

    numeric = all(
        pd.api.types.is_numeric_dtype(frame[name].dtype) for frame in frames if name in frame
    )
    none, kind = (np.nan, "float64") if numeric else (None, "object")
    parts = []
    for frame in frames:
        if name not in frame:
            parts.append(pd.Series([none] * len(frame), dtype=kind))
        elif numeric:
            parts.append(frame[name].astype("float64"))
        else:
            parts.append(frame[name].astype("object").map(str, na_action="ignore"))
    return pd.concat(parts, ignore_index=True)


def drawn_customers(labels: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """Return the rows of at most so many customers, all if there are no more, drawn by segment.

    Segments are drawn by their size, but none to less than a twentieth of an even share.

    Parameters
    ----------
    labels : ndarray of int of shape (n,)
        A segment per customer, any number for noise and for those left out.

    Returns
    -------
    ndarray of shape (m,), int64
        Ascending.
    """
    import numpy as np

    if len(labels) <= most:
        return np.arange(len(labels))
    _, member, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    least = np.minimum(sizes, most // (20 * len(sizes)))
    rest = sizes - least
    quota = least + (most - least.sum()) * rest // rest.sum()
    shuffled = np.random.default_rng(0).permutation(len(labels))
    order = shuffled[np.argsort(member[shuffled], kind="stable")]
    place = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[place < np.repeat(quota, sizes)])


def customers_frame(customers: Customers, drawn: np.ndarray) -> pd.DataFrame:
    """Return the drawn customers as loaded.

    Returns
    -------
    DataFrame
        ``id``; ``row`` (in the partitions) unless everybody is drawn; then the feature columns in
        their own units. A feature of one of these two names has `` (feature)`` after it.
    """
    import pandas as pd

    found = customers.frame().iloc[drawn].reset_index(drop=True)
    found.columns = [
        f"{name}{FEATURE}" if str(name) in OWN else str(name) for name in found.columns
    ]
    own = {"id": customers.ids()[drawn]} | ({"row": drawn} if len(drawn) < len(customers) else {})
    # Not inserted: a table that was put together column by column is copied whole, with a warning.
    return pd.concat([pd.DataFrame(own), found], axis=1)


def partitions_frame(
    runs: Iterable[RunPlan], store: Store, customers: Customers
) -> tuple[pd.DataFrame, dict[str, Damaged]]:
    """Return the partitions, and which stored result each run lacks whose labels cannot be read.

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
    damaged: dict[str, Damaged] = {}
    for run in runs:
        features = run.stages["features"]
        try:
            if features not in kept:
                kept[features] = customers.place(run.data, store.arrays(features)["rows"])
            labels = store.arrays(run.stages["clustering"])["labels"]
        except Damaged as error:
            damaged[run.id] = error
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
    spaces: Mapping[str, Sequence[RunPlan]], store: Store, customers: Customers, drawn: np.ndarray
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Return the first two coordinates of each space, and what each space is.

    Parameters
    ----------
    drawn
        Rows of the customers whose coordinates are kept: no picture shows more than some 50,000.

    Returns
    -------
    frame
        ``id``, then ``<name>:x`` and ``<name>:y`` for each space, missing where a customer was
        dropped or not drawn.
    index
        By name: ``label`` (features, scaler and projection with the parameters that differ) and
        ``runs`` (ids).
    """
    import numpy as np
    import pandas as pd

    labels = _labels(spaces)
    columns: dict[str, Any] = {"id": customers.ids()}
    hidden = np.delete(np.arange(len(customers)), drawn)
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


def drawing_frame(
    run: RunPlan, store: Store, customers: Customers, drawn: np.ndarray
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Return the plane of a run's scaled features in which they vary most: a picture where nothing was projected.

    Returns
    -------
    frame
        As :func:`embeddings_frame` returns it.
    index
        By name, of one plane or none: ``label``; ``runs``, empty, as nothing was clustered in it;
        ``drawn_for``, the run's id; ``variance``, the shares (0 to 1) of the features' variance
        along its two axes.
    """
    import numpy as np
    import pandas as pd
    from sklearn.decomposition import PCA

    from segkit.data.limits import beyond

    ids = pd.DataFrame({"id": customers.ids()})
    try:
        matrix = store.arrays(run.stages["scaling"])["matrix"]
        rows = customers.place(run.data, store.arrays(run.stages["features"])["rows"])
    except Damaged:
        return ids, {}
    if min(matrix.shape) < 2 or not np.ptp(matrix, axis=0).any() or beyond(matrix):
        return ids, {}
    model = PCA(2, svd_solver="covariance_eigh").fit(matrix)
    here = np.isin(rows, drawn)
    placed = np.full((len(customers), 2), np.nan)
    placed[rows[here]] = model.transform(matrix[here])
    name = f"drawing-{run.stages['scaling'].rpartition('-')[2][:8]}"
    label = (
        f"{run.choices['features']} > {run.choices['scaler']} > principal components, only for"
        " drawing"
    )
    shares = [round(float(share), 6) for share in model.explained_variance_ratio_]
    told = {"label": label, "runs": [], "drawn_for": run.id, "variance": shares}
    return ids.assign(**{f"{name}:{axis}": placed[:, i] for i, axis in enumerate("xy")}), {
        name: told
    }


def _labels(spaces: Mapping[str, Sequence[RunPlan]]) -> dict[str, str]:
    """Name each space in words: only parameters in which spaces of the same choice differ are told."""
    first = {space: runs[0] for space, runs in spaces.items()}
    labels = {}
    for space, run in first.items():
        choice = run.choices["projection"]
        others = [
            other.groups["projection"]
            for other in first.values()
            if other.choices["projection"] == choice
        ]
        told = [
            f"{name}={value}"
            for name, value in run.groups["projection"].items()
            if any(other.get(name) != value for other in others)
        ]
        projection = f"{choice}({', '.join(told)})" if told else choice
        labels[space] = f"{run.choices['features']} > {run.choices['scaler']} > {projection}"
    return labels
