"""The tables that stages begin with: the study's own, draws of it, tables without segments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from segkit.errors import UsageError
from segkit.study.plan.keys import canonical
from segkit.study.plan.stage import Result

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from segkit.data import Table
    from segkit.study.run.inputs import Inputs

# Seeds belong to the keys of what is drawn, so that adding a run changes no other.
SEED_BYTES = 8


def load_unchanged(data: Mapping[str, Any], root: str) -> Table:
    """Load a table and check that it is still the one that was planned for.

    Raises
    ------
    UsageError
        If the data changed, before it was read or meanwhile: its results would be stored under
        another's name.
    """
    from segkit.data import source

    origin = source(data)
    table = origin.load()
    if origin.identity() != root:
        name = data.get("path") or table.source
        raise UsageError(f"{name}: the data changed after the study was planned; launch again")
    return table


def table_of(config: Mapping[str, Any]) -> Table:
    """Return the table of a stage's configuration, or the draw of it that is asked for."""
    table = _loaded(canonical(config["data"]), config["root"])
    return _drawn(table, **config["draw"]) if "draw" in config else table


# Most studies have one table, some compare two; each is read once a worker.
@lru_cache(maxsize=2)
def _loaded(config_text: str, root: str) -> Table:
    return load_unchanged(json.loads(config_text), root)


def _drawn(table: Table, identity: str, index: int, size: int | None = None) -> Table:
    from segkit.scoring.stability import draw

    rows = draw(identity, index, table.n_customers, size)
    truth = None if table.truth is None else table.truth[rows]
    frame = table.frame.iloc[rows].reset_index(drop=True)
    return replace(table, frame=frame, ids=table.ids[rows], truth=truth)


def stored_table(frame: pd.DataFrame) -> Result:
    """Return a table as a result; text as positions of its values, so that nothing is pickled."""
    arrays: dict[str, NDArray[Any]] = {}
    categories: dict[str, list[str]] = {}
    for index, name in enumerate(frame.columns):
        column = frame[name]
        if column.dtype.kind in "fb":
            arrays[f"c{index}"] = column.to_numpy()
        else:
            codes, values = column.factorize(sort=True)
            arrays[f"c{index}"] = codes.astype("int32")
            categories[str(index)] = [str(value) for value in values]
    columns = [str(name) for name in frame.columns]
    return Result(arrays, {"columns": columns, "categories": categories})


def read_table(inputs: Inputs, key: str) -> Table:
    """Return a table that was stored as a result."""
    import numpy as np
    import pandas as pd

    from segkit.data import Table

    facts, arrays = inputs.facts(key), inputs.arrays(key)
    columns: dict[str, Any] = {}
    for index, name in enumerate(facts["columns"]):
        values = arrays[f"c{index}"]
        if str(index) in facts["categories"]:
            # The last one is that of code -1: no value.
            texts: NDArray[np.object_] = np.array(
                [*facts["categories"][str(index)], None], dtype=object
            )
            columns[name] = pd.Series(texts[values], dtype=object)
        else:
            columns[name] = values
    frame = pd.DataFrame(columns)
    return Table(
        frame=frame,
        ids=np.arange(len(frame)),
        truth=None,
        warnings=(),
        source="a table without segments",
    )
