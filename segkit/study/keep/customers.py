"""A study's customers, their partitions, and the coordinates that the report draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from segkit.study.judge.selection import runs_by_embedding
from segkit.study.plan.planner import Plan, RunPlan
from segkit.study.run.store import Damaged, Store
from segkit.study.run.tables import load_unchanged

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from segkit.data import Table

    Rows = NDArray[np.int64]

# More points make a picture slow to draw, and no clearer.
MOST_POINTS = 50_000
# Columns that the file of customers adds, and the ending of a feature that has such a name.
OWN = ("id", "row")
FEATURE = " (feature)"


@dataclass(frozen=True)
class Customers:
    """The customers of a study: those of its tables one after another, in the tables' own order."""

    tables: Mapping[str, Table]

    @cached_property
    def offsets(self) -> dict[str, int]:
        """The first row of each table."""
        offsets, start = {}, 0
        for name, table in self.tables.items():
            offsets[name] = start
            start += table.n_customers
        return offsets

    def __len__(self) -> int:
        """Return the number of customers of all tables."""
        return sum(table.n_customers for table in self.tables.values())

    def ids(self) -> NDArray[Any]:
        """Return the customers' ids; of several tables, after the start of the table's identity."""
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

    def place(self, data: str, rows: Rows) -> Rows:
        """Return the positions among all customers of rows of one table."""
        return rows + self.offsets[data]

    def frame(self) -> pd.DataFrame:
        """Return the feature columns of all tables in their own units.

        A column is empty where its table does not have it.
        """
        import pandas as pd

        frames = [table.frame for table in self.tables.values()]
        if len(frames) == 1:
            return frames[0].reset_index(drop=True)
        names = dict.fromkeys(name for frame in frames for name in frame.columns)
        return pd.DataFrame({name: _stacked(name, frames) for name in names})


def load_customers(plan: Plan) -> Customers:
    """Load the tables of a plan's runs.

    Raises
    ------
    UsageError
        If a table is not the one that was planned for.
    """
    tables: dict[str, Table] = {}
    for run in plan.runs:
        if run.data not in tables:
            tables[run.data] = load_unchanged(run.groups["data"], run.data)
    return Customers(tables)


def _stacked(name: str, frames: Sequence[pd.DataFrame]) -> pd.Series[Any]:
    """Return a column of several tables: numbers if all that have it hold numbers, else text."""
    import numpy as np
    import pandas as pd

    numeric = all(
        pd.api.types.is_numeric_dtype(frame[name].dtype) for frame in frames if name in frame
    )
    missing, dtype = (np.nan, "float64") if numeric else (None, "object")
    parts = []
    for frame in frames:
        if name not in frame:
            parts.append(pd.Series([missing] * len(frame), dtype=dtype))
        elif numeric:
            parts.append(frame[name].astype("float64"))
        else:
            parts.append(frame[name].astype("object").map(str, na_action="ignore"))
    return pd.concat(parts, ignore_index=True)


def drawn_customers(labels: NDArray[np.int64], most: int = MOST_POINTS) -> Rows:
    """Draw customers by segment and return their rows; all if there are no more than ``most``.

    Segments are drawn by their size, but none to less than a twentieth of an even share.

    Parameters
    ----------
    labels : ndarray of int of shape (n,)
        A segment per customer, any number for noise and for those left out.
    most : int
        How many are drawn at most.

    Returns
    -------
    ndarray of shape (m,), int64
        Ascending.
    """
    import numpy as np

    if len(labels) <= most:
        return np.arange(len(labels))
    _, member, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    # A small segment would otherwise be invisible in the pictures.
    least = np.minimum(sizes, most // (20 * len(sizes)))
    rest = sizes - least
    quota = least + (most - least.sum()) * rest // rest.sum()
    # The same customers at every launch.
    shuffled = np.random.default_rng(0).permutation(len(labels))
    order = shuffled[np.argsort(member[shuffled], kind="stable")]
    place = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[place < np.repeat(quota, sizes)])


def customers_frame(customers: Customers, drawn: Rows) -> pd.DataFrame:
    """Return the drawn customers as loaded.

    Returns
    -------
    DataFrame
        ``id``; ``row`` (in the partitions) unless everybody is drawn; then the feature columns in
        their own units. A feature of one of these two names has `` (feature)`` after it.
    """
    import pandas as pd

    frame = customers.frame().iloc[drawn].reset_index(drop=True)
    frame.columns = pd.Index([_feature_name(str(name)) for name in frame.columns])
    own = {"id": customers.ids()[drawn]}
    if len(drawn) < len(customers):
        own["row"] = drawn
    # Not inserted: pandas copies a table of many single columns whole then, with a warning.
    return pd.concat([pd.DataFrame(own), frame], axis=1)


def _feature_name(name: str) -> str:
    return f"{name}{FEATURE}" if name in OWN else name


def partitions_frame(
    runs: Iterable[RunPlan], store: Store, customers: Customers
) -> tuple[pd.DataFrame, dict[str, Damaged]]:
    """Return the partitions, and the damage of the runs whose labels cannot be read.

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
    # Runs of the same feature set label the same customers.
    places: dict[str, Rows] = {}
    damaged: dict[str, Damaged] = {}
    for run in runs:
        features = run.stages["features"]
        try:
            if features not in places:
                places[features] = customers.place(run.data, store.arrays(features)["rows"])
            labels = store.arrays(run.stages["clustering"])["labels"]
        except Damaged as error:
            damaged[run.id] = error
            continue
        values = np.zeros(len(customers), dtype=labels.dtype)
        missing = np.ones(len(customers), dtype=bool)
        values[places[features]] = labels
        missing[places[features]] = False
        columns[run.id] = pd.arrays.IntegerArray(values, missing)
    return pd.DataFrame(columns), damaged


def strata(partitions: pd.DataFrame, best_first: Sequence[str]) -> NDArray[np.int64]:
    """Return what customers are drawn by: their segment in the best run that has labels.

    Parameters
    ----------
    partitions
        As :func:`partitions_frame` returns them.
    best_first
        Ids of runs.

    Returns
    -------
    ndarray of shape (n,)
        -2 for the customers that the run left out; 0 for all if there is no such run.
    """
    import numpy as np

    best = next((run for run in best_first if run in partitions), None)
    labels = partitions["id"].isna() if best is None else partitions[best]
    return np.asarray(labels.astype("Int64").fillna(-2), dtype=np.int64)


def pictures(
    best_first: Sequence[RunPlan], store: Store, customers: Customers, drawn: Rows
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Return the coordinates that the report draws, and what each pair of them is.

    They are those of the projected spaces; where there are none, those of
    :func:`drawing_frame` for the best run.
    """
    frame, index = embeddings_frame(runs_by_embedding(best_first), store, customers, drawn)
    if best_first and not index:
        return drawing_frame(best_first[0], store, customers, drawn)
    return frame, index


def embeddings_frame(
    spaces: Mapping[str, Sequence[RunPlan]], store: Store, customers: Customers, drawn: Rows
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Return the first two coordinates of each space, and what each space is.

    Parameters
    ----------
    spaces
        The runs of each projected space, as ``runs_by_embedding`` returns them.
    store, customers
        Where the coordinates are, and whose they are.
    drawn
        Rows of the customers whose coordinates are returned.

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
            # The next launch computes it again; a picture is not worth the study.
            continue
        # One dimension is no picture.
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
    run: RunPlan, store: Store, customers: Customers, drawn: Rows
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Return the first two principal components of a run's scaled features, for drawing only.

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
    # By the covariance: exact, and deterministic for any number of customers.
    model = PCA(2, svd_solver="covariance_eigh").fit(matrix)
    here = np.isin(rows, drawn)
    placed = np.full((len(customers), 2), np.nan)
    placed[rows[here]] = model.transform(matrix[here])
    name = f"drawing-{run.stages['scaling'].rpartition('-')[2][:8]}"
    space = f"{run.choices['features']} > {run.choices['scaler']}"
    entry = {
        "label": f"{space} > principal components, only for drawing",
        "runs": [],
        "drawn_for": run.id,
        "variance": [round(float(share), 6) for share in model.explained_variance_ratio_],
    }
    frame = ids.assign(**{f"{name}:x": placed[:, 0], f"{name}:y": placed[:, 1]})
    return frame, {name: entry}


def _labels(spaces: Mapping[str, Sequence[RunPlan]]) -> dict[str, str]:
    """Return a label of each space, with the parameters in which spaces of its choice differ."""
    first = {space: runs[0] for space, runs in spaces.items()}
    labels = {}
    for space, run in first.items():
        choice = run.choices["projection"]
        others = [
            other.groups["projection"]
            for other in first.values()
            if other.choices["projection"] == choice
        ]
        differing = [
            f"{name}={value}"
            for name, value in run.groups["projection"].items()
            if any(other.get(name) != value for other in others)
        ]
        projection = f"{choice}({', '.join(differing)})" if differing else choice
        labels[space] = f"{run.choices['features']} > {run.choices['scaler']} > {projection}"
    return labels
