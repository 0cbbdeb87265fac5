"""What a study published, and whether it is still as it was written: digests of its files, and its figures judged anew.

Digests in ``provenance.json`` find what was edited or damaged later. They are no signature: whoever
edits a table can edit its digest. What a study claims of a run is verified by ``segkit reproduce``,
which computes it again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.files import write_text
from segkit.study.keep.untrusted import inside

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from segkit.study.keep.reader import Study

FILES = (
    *(
        "runs.parquet",
        "partitions.parquet",
        "recommendation.json",
        "nulls.parquet",
        "runs.csv",
        "configs.jsonl",
    ),
    *(
        "study.yaml",
        "customers.parquet",
        "embeddings.parquet",
        "embeddings.json",
        "profiles.parquet",
        "profiles.csv",
    ),
    *("silhouettes.parquet",),
)
# Of a run's row: what depends on the other runs, on the clock, or on where the data file lies.
_NOT_OF_THE_RUN = ("confirmed", "seconds", "reason", "data.path")
# Their values grow with the number of customers.
_RELATIVE = ("calinski_harabasz", "inertia", "clusterer.", "projection.")
# Judged anew by the same code, from numbers that were stored as they are.
_JUDGED = 1e-6
_UNORDERED = ("shortlist", "holding_up", "pareto")


def seal(folder: Path) -> None:
    """Write the digests of a finished study's files into its ``provenance.json``."""
    path = folder / "provenance.json"
    provenance = json.loads(path.read_text(encoding="utf-8"))
    provenance["files"] = {
        name: _digest(folder / name) for name in FILES if (folder / name).is_file()
    }
    write_text(json.dumps(provenance, indent=1), path)


def edited(folder: Path, provenance: Mapping[str, Any]) -> list[str]:
    """Return the names of the files that are not as the study wrote them, in the order of their weight.

    A study that was stopped, or that no command wrote, has no digests: nothing is known of its
    files. One that has some has them of all of its files.
    """
    digests = provenance.get("files")
    if digests is None:
        return []
    known = digests if isinstance(digests, dict) else {}
    return [name for name in FILES if _now(folder, name) != known.get(name)]


def _now(folder: Path, name: str) -> str | None:
    path = inside(folder, name)
    return _digest(path) if path.is_file() else None


def edited_lines(names: Sequence[str]) -> list[str]:
    """Say for each file that :func:`edited` names that it is not as the study wrote it."""
    text = (
        "is not as the study wrote it (its digest in provenance.json is another): it was edited or"
        " damaged"
    )
    return [f"{name} {text}." for name in names]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def row_difference(published: pd.Series, computed: pd.Series, tolerance: float | None) -> str:
    """Return the first column in which a run's published row differs from the computed one, and how; empty if none.

    Parameters
    ----------
    published, computed
        The run's row by column; each that was computed must have been published.
    tolerance
        How much a score may differ, those that grow with the customers relatively; None: not at
        all. With a tolerance, counts may differ too.
    """
    for name in computed.index:
        if name not in published.index:
            return f"column '{name}' is missing"
        before, now = _plain(published[name]), _plain(computed[name])
        if name not in _NOT_OF_THE_RUN and not _same(name, before, now, tolerance):
            return f"column '{name}': {_shown(before)} published, {_shown(now)} computed"
    return ""


def _plain(value: Any) -> Any:
    import pandas as pd

    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _same(name: str, before: Any, now: Any, tolerance: float | None) -> bool:
    numbers = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in (before, now)
    )
    if tolerance is None or not numbers:
        return before == now
    if isinstance(before, int) and name != "seed":
        return True
    scale = max(abs(before), 1.0) if name.startswith(_RELATIVE) else 1.0
    return abs(before - now) <= tolerance * scale


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, default=str)[:60]


def labels_difference(published: pd.Series, rows: Sequence[int], labels: np.ndarray) -> str:
    """Return in how many customers published labels differ from the computed ones; empty if in none.

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
    differ = int(np.sum(~((before == now) | (np.isnan(before) & np.isnan(now)))))
    return f"the labels of {differ:,} customers are others than published" if differ else ""


def labels_problem(published: pd.Series) -> str:
    """Say why a column of partitions cannot be labels; empty if it can."""
    import pandas as pd

    whole = pd.api.types.is_integer_dtype(published.dtype)
    return "" if whole else f"its labels are stored as {published.dtype}, not as whole numbers"


def ids_difference(published: pd.DataFrame, ids: Sequence[object]) -> str:
    """Say where the customers of the partitions are not those of the data, in its order; empty if they are.

    Parameters
    ----------
    published
        ``partitions.parquet``, or the rows of it that are of one of several tables.
    ids
        Of the data's customers.
    """
    if "id" not in published:
        return "column 'id' is missing"
    if len(published) != len(ids):
        return f"{len(published):,} customers published, the data has {len(ids):,}"
    differ = sum(str(before) != str(now) for before, now in zip(published["id"], ids, strict=True))
    return f"the ids of {differ:,} customers are others than the data's" if differ else ""


def verdict_difference(study: Study) -> str:
    """Return in what ``recommendation.json`` differs from what the study's own tables lead to; empty if in nothing."""
    try:
        return _verdict_difference(study)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # The tables may be anybody's: what they lack is theirs, and a verdict that cannot be
        # derived is not confirmed.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        return (
            "it cannot be derived from runs.parquet, nulls.parquet and partitions.parquet"
            f" ({reason})"
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
    # As it is written: a number of NumPy's is a number, nothing else.
    for name, value in json.loads(json.dumps(judged, default=_plain)).items():
        place = _difference(name, published.get(name), value)
        if place:
            return place
    return ""


def _difference(place: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        parts = (
            _difference(f"{place}.{name}", before.get(name), value) for name, value in now.items()
        )
        return next(filter(None, parts), "")
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        if place.rpartition(".")[2] in _UNORDERED:
            before, now = sorted(map(str, before)), sorted(map(str, now))
        pairs = enumerate(zip(before, now, strict=True))
        return next(filter(None, (_difference(f"{place}[{i}]", a, b) for i, (a, b) in pairs)), "")
    numbers = all(isinstance(value, int | float) for value in (before, now))
    same = math.isclose(before, now, rel_tol=_JUDGED, abs_tol=_JUDGED) if numbers else before == now
    return (
        ""
        if same or _both_nan(before, now)
        else f"'{place}': {_shown(before)} published, {_shown(now)} by its tables"
    )


def _both_nan(before: Any, now: Any) -> bool:
    return all(isinstance(value, float) and math.isnan(value) for value in (before, now))
