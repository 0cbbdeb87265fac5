"""Compares what a study published with its digests, and with what is computed again.

Digests in ``provenance.json`` reveal what was edited or damaged later. They are no signature:
whoever edits a table can edit its digest. ``segkit reproduce`` verifies what a study claims of a
run, by computing it again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.data.fingerprint import file_sha256
from segkit.files import write_text
from segkit.study.keep.untrusted import inside

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from segkit.study.keep.reader import Study

# A study's files, in the order of their weight.
FILES = (
    "runs.parquet",
    "partitions.parquet",
    "recommendation.json",
    "nulls.parquet",
    "runs.csv",
    "configs.jsonl",
    "study.yaml",
    "customers.parquet",
    "embeddings.parquet",
    "embeddings.json",
    "profiles.parquet",
    "profiles.csv",
    "silhouettes.parquet",
)
# Columns that depend on the other runs, on the clock, or on where the data file lies.
_NOT_OF_THE_RUN = ("confirmed", "seconds", "reason", "data.path")
# Beginnings of the columns whose values grow with the number of customers.
_RELATIVE = ("calinski_harabasz", "inertia", "clusterer.", "projection.")
# Small: the same code derives the verdict again, from numbers that were stored as they are.
_VERDICT_TOLERANCE = 1e-6
# Lists of runs in no particular order.
_UNORDERED = ("shortlist", "holding_up", "pareto")
# A value is quoted up to here, an error's reason up to there.
_LONGEST_QUOTE, _LONGEST_REASON = 60, 120


def seal(folder: Path) -> None:
    """Write the digests of a finished study's files into its ``provenance.json``."""
    path = folder / "provenance.json"
    provenance = json.loads(path.read_text(encoding="utf-8"))
    provenance["files"] = {
        name: _digest(folder / name) for name in FILES if (folder / name).is_file()
    }
    write_text(json.dumps(provenance, indent=1), path)


def edited(folder: Path, provenance: Mapping[str, Any]) -> list[str]:
    """Return the names of the files that are not as the study wrote them, weightiest first.

    A study without digests was stopped, or no command wrote it: nothing is known of its files.
    One with digests has them of all its files.
    """
    digests = provenance.get("files")
    if digests is None:
        return []
    known = digests if isinstance(digests, dict) else {}
    return [name for name in FILES if _digest_now(folder, name) != known.get(name)]


def _digest_now(folder: Path, name: str) -> str | None:
    path = inside(folder, name)
    return _digest(path) if path.is_file() else None


def edited_lines(names: Sequence[str]) -> list[str]:
    """Return a message for each file that :func:`edited` names."""
    problem = (
        "is not as the study wrote it (its digest in provenance.json differs): it was edited "
        "or damaged."
    )
    return [f"{name} {problem}" for name in names]


def _digest(path: Path) -> str:
    return file_sha256(path, text=False)


def row_difference(
    published: pd.Series[Any], computed: pd.Series[Any], tolerance: float | None
) -> str:
    """Return how a run's published row differs from the computed one; empty if it does not.

    The first column that differs is named.

    Parameters
    ----------
    published, computed
        The run's row by column; each column that was computed must have been published.
    tolerance
        How much a score may differ: relatively, if it grows with the customers. None: not at all.
        With a tolerance, counts may differ too.
    """
    for name in computed.index:
        if name not in published.index:
            return f"column '{name}' is missing"
        before, now = _plain(published[name]), _plain(computed[name])
        if name not in _NOT_OF_THE_RUN and not _same(name, before, now, tolerance):
            return f"column '{name}': {_quote(before)} published, {_quote(now)} computed"
    return ""


def _plain(value: Any) -> Any:
    import pandas as pd

    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _same(name: str, before: Any, now: Any, tolerance: float | None) -> bool:
    if tolerance is None or not (_is_number(before) and _is_number(now)):
        return bool(before == now)
    if isinstance(before, int) and name != "seed":
        return True
    scale = max(abs(before), 1.0) if name.startswith(_RELATIVE) else 1.0
    return bool(abs(before - now) <= tolerance * scale)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _quote(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, default=str)[:_LONGEST_QUOTE]


def labels_difference(
    published: pd.Series[Any], rows: NDArray[np.int64], labels: NDArray[np.int64]
) -> str:
    """Return for how many customers the published labels are others; empty if for none.

    Parameters
    ----------
    published
        A label per customer of the table, missing for those left out.
    rows, labels
        Positions of the clustered customers in the table, and their labels.
    """
    import numpy as np

    if problem := labels_problem(published):
        return problem
    before = published.to_numpy(dtype="float64", na_value=np.nan)
    if len(rows) and rows[-1] >= len(before):
        return f"{len(before):,} customers published, more computed"
    now = np.full(len(before), np.nan)
    now[rows] = labels
    both_missing = np.isnan(before) & np.isnan(now)
    differing = int(np.sum(~((before == now) | both_missing)))
    if not differing:
        return ""
    return f"the labels of {differing:,} customers differ from the published ones"


def labels_problem(published: pd.Series[Any]) -> str:
    """Return why a column of partitions cannot be labels; empty if it can."""
    import pandas as pd

    if pd.api.types.is_integer_dtype(published.dtype):
        return ""
    return f"its labels are stored as {published.dtype}, not as whole numbers"


def ids_difference(published: pd.DataFrame, ids: Sequence[object]) -> str:
    """Return how the customers of the partitions differ from the data's; empty if in nothing.

    Parameters
    ----------
    published
        ``partitions.parquet``, or its rows of one of several tables.
    ids
        The ids of the data's customers, in its order.
    """
    if "id" not in published:
        return "column 'id' is missing"
    if len(published) != len(ids):
        return f"{len(published):,} customers published, the data has {len(ids):,}"
    pairs = zip(published["id"], ids, strict=True)
    differing = sum(str(before) != str(now) for before, now in pairs)
    return f"the ids of {differing:,} customers differ from the data's" if differing else ""


def verdict_difference(study: Study) -> str:
    """Return how ``recommendation.json`` differs from what the tables say; empty if it does not."""
    try:
        return _verdict_difference(study)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # Anybody may have written the tables: an error is theirs, not a bug of this code.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_REASON]
        return (
            "it cannot be derived from runs.parquet, nulls.parquet and partitions.parquet "
            f"({reason})"
        )


def _verdict_difference(study: Study) -> str:
    from segkit.study.judge.agreement import agreement_of
    from segkit.study.judge.conclusion import rejudged
    from segkit.study.judge.ranking import recommend

    runs, scoring = study.runs, study.settings["scoring"]
    agreement = agreement_of(study.partitions)
    if (study.folder / "nulls.parquet").is_file():
        judged = rejudged(runs, study.nulls, scoring, agreement)
    else:
        judged = recommend(runs, scoring["gates"], agreement)
    published = study.recommendation
    # As JSON has it, where a number of NumPy's is a plain number.
    for name, value in json.loads(json.dumps(judged, default=_plain)).items():
        place = _difference(name, published.get(name), value)
        if place:
            return place
    return ""


def _difference(place: str, before: Any, now: Any) -> str:
    """Return the first difference of two documents, and its place; empty if there is none."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, value in now.items():
            difference = _difference(f"{place}.{name}", before.get(name), value)
            if difference:
                return difference
        return ""
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return _list_difference(place, before, now)
    if _agree(before, now):
        return ""
    return f"'{place}': {_quote(before)} published, {_quote(now)} by its tables"


def _list_difference(place: str, before: list[Any], now: list[Any]) -> str:
    if place.rpartition(".")[2] in _UNORDERED:
        before, now = sorted(map(str, before)), sorted(map(str, now))
    for index, (first, second) in enumerate(zip(before, now, strict=True)):
        difference = _difference(f"{place}[{index}]", first, second)
        if difference:
            return difference
    return ""


def _agree(before: Any, now: Any) -> bool:
    """Tell whether two values are the same: numbers up to rounding, and both of them NaN."""
    if not (isinstance(before, int | float) and isinstance(now, int | float)):
        return bool(before == now)
    if math.isnan(before) and math.isnan(now):
        return True
    return math.isclose(before, now, rel_tol=_VERDICT_TOLERANCE, abs_tol=_VERDICT_TOLERANCE)
