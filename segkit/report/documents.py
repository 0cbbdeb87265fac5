"""What a study's documents and its table of runs must hold, checked before anything is made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from segkit.errors import UsageError
from segkit.report.files import LACKING, Files
from segkit.study.keep import kinds
from segkit.study.keep.kinds import Kind, is_run, require
from segkit.study.keep.untrusted import safe_yaml

STATUSES = ("ok", "failed", "skipped")
# In every table of runs, whatever became of them; the other columns are empty where they are absent.
ALWAYS = (
    *("run", "status", "reason", "seed", "data", "features", "scaler", "projection", "clusterer"),
    *("n_clusters", "noise_fraction", "smallest_cluster", "silhouette_native", "silhouette_reference"),
    *("davies_bouldin_reference", "stability_ari", "confirmed", "seconds"),
)
# As soon as there is a recommendation.
RANKED = ("rank", "pareto")
_GATES = Kind(
    "coverage, smallest_cluster and clusters (the fewest and the most)",
    lambda value: (
        isinstance(value, dict)
        and all(kinds.NUMBER.fits(value.get(name)) for name in ("coverage", "smallest_cluster"))
        and isinstance(bounds := value.get("clusters"), list)
        and len(bounds) == 2
        and all(map(kinds.COUNT.fits, bounds))
    ),
)
_STUDY = {
    "axes": kinds.MAPPING,
    "sampling": kinds.MAPPING,
    "sampling.kmeans": kinds.COUNT,
    "sampling.draws": kinds.COUNT,
    "report": kinds.MAPPING,
    "scoring": kinds.MAPPING,
    "scoring.references": kinds.TEXTS,
    "scoring.draws": kinds.COUNT,
    "scoring.gates": _GATES,
    "scoring.confirm": kinds.FLAG,
    "scoring.nulls": kinds.COUNTS,
    "scoring.level": kinds.NUMBER,
    **{f"scoring.{name}": kinds.COUNT for name in ("shortlist", "confirm_draws", "refits", "seeds")},
}
_PROVENANCE = {
    "state": kinds.TEXT,
    "command": kinds.COMMAND,
    "counts": kinds.COUNTS,
    "wall_seconds": kinds.NUMBER,
    **dict.fromkeys(("seconds", "confirm_seconds", "computed_seconds", "peak_memory"), kinds.NUMBERS),
    "versions": kinds.MAPPING,
    "data": kinds.MAPPING,
    "data.n_customers": kinds.COUNT,
    "data.columns": kinds.TEXTS,
    "data.missing": kinds.COUNTS,
    "data.skew": kinds.NUMBERS,
    "data.warnings": kinds.TEXTS,
    "data.variance_shares": kinds.NUMBERS_BY_NAMES,
}
_RECOMMENDATION = {
    "run": kinds.TEXT,
    "verdict": kinds.TEXT,
    "reasons": kinds.MAPPINGS,
    "runner_up": kinds.MAPPING,
    "runner_up.run": kinds.TEXT,
    "runner_up.ari_to_recommended": kinds.NUMBER,
    "eligible": kinds.COUNT,
    "pareto": kinds.TEXTS,
    "null": kinds.MAPPING,
    "null.holding_up": kinds.TEXTS,
    "null.shortlist": kinds.TEXTS,
    "null.tables": kinds.COUNT,
    "null.p": kinds.NUMBER,
    "null.level": kinds.NUMBER,
}
_COUNTED = ("place", "of", "runs", "runs_passing")
_REASON = {"gate": kinds.TEXT, "criterion": kinds.TEXT, "passed": kinds.FLAG} | dict.fromkeys(_COUNTED, kinds.COUNT)
_PLANE = {"label": kinds.TEXT, "runs": kinds.TEXTS, "drawn_for": kinds.TEXT, "variance": kinds.LIST}


def read_study(files: Files) -> dict[str, Any]:
    """Read ``study.yaml``; what stands in it without a value is as if it were not in it."""
    found = {name: value for name, value in files.mapping("study.yaml", safe_yaml).items() if value is not None}
    require(found, _STUDY, f"{files.folder / 'study.yaml'}: ")
    return found


def read_provenance(files: Files) -> dict[str, Any]:
    """Read ``provenance.json``; empty where it is not there."""
    return _document(files, "provenance.json", _PROVENANCE)


def read_recommendation(files: Files, runs: pd.DataFrame) -> dict[str, Any]:
    """Read ``recommendation.json``, which must go with the runs; empty where it is not there."""
    name = "recommendation.json"
    found = _document(files, name, _RECOMMENDATION)
    for place, entry in enumerate(found.get("reasons") or []):
        require(entry, _REASON, f"{files.folder / name}: reasons[{place}].", _without(name))
        if "criterion" in entry and "place" in entry and entry.get("of") is None:
            raise UsageError(f"{files.folder / name}: reasons[{place}] has a place and no 'of'{_without(name)}")
    chosen = found.get("run")
    if chosen is None:
        return found
    status = runs.set_index("run")["status"].get(chosen)
    if status is None:
        told = f"names the run {chosen!r}, which runs.parquet has not"
        raise UsageError(f"{files.folder / name}: {told}{_without(name)}")
    if status != "ok":
        told = f"recommends the run {chosen!r}, whose status in runs.parquet is {status}"
        raise UsageError(f"{files.folder / name}: {told}{_without(name)}")
    return found


def read_planes(files: Files) -> dict[str, Any]:
    """Read ``embeddings.json``: by the name of a plane what it is."""
    name = "embeddings.json"
    found = files.mapping(name)
    for plane, entry in found.items():
        where = f"{files.folder / name}: "
        if not isinstance(entry, dict):
            raise UsageError(
                f"{where}{plane}: must hold names and values, holds {type(entry).__name__}{_without(name)}"
            )
        require(entry, _PLANE, f"{where}{plane}: ", _without(name))
    return found


def _document(files: Files, name: str, rules: Mapping[str, Kind]) -> dict[str, Any]:
    found = files.mapping(name)
    require(found, rules, f"{files.folder / name}: ", _without(name))
    return found


def _without(name: str) -> str:
    return f"; without this file a report can be made, in which {LACKING[name]}"


def check_runs(table: pd.DataFrame, where: str, ranked: bool, scores: Sequence[str], numbers: Sequence[str]) -> None:
    """Check the table of runs.

    Parameters
    ----------
    table : DataFrame
    where : str
        What to call it in messages.
    ranked : bool
        Whether its runs must have their places.
    scores : sequence of str
        Names of the scores.
    numbers : sequence of str
        Other columns that hold numbers, where they are there.

    Raises
    ------
    UsageError
        For a column that is absent or holds something else, a status that there is not, or a run that is there twice.
    """
    absent = [name for name in (*ALWAYS, *(RANKED if ranked else ())) if name not in table]
    if absent:
        raise UsageError(f"{where}: has no column {', '.join(map(repr, absent))}")
    odd = [name for name in table["run"] if not is_run(name)]
    if odd:
        raise UsageError(f"{where}: column 'run' must hold {kinds.RUN.allowed}, holds {odd[0]!r:.60}")
    twice = table["run"][table["run"].duplicated()]
    if len(twice):
        raise UsageError(f"{where}: has the run {twice.iloc[0]!r} more than once")
    unknown = table["status"][~table["status"].isin(STATUSES)]
    if len(unknown):
        told = f"status={unknown.iloc[0]!s}: must be one of {', '.join(STATUSES)}"
        raise UsageError(f"{where}: run {table['run'][unknown.index[0]]!r} has {told}")
    scored = [name for name in table if _is_score(str(name), scores)]
    for name in dict.fromkeys([*scored, *(name for name in numbers if name in table)]):
        _check_numbers(table, name, where, finite=name in scored or name == "stability_ari")


def _is_score(column: str, scores: Sequence[str]) -> bool:
    """Tell whether a column holds a score in a space: ``<score>_<space>``, and nothing that is derived from it."""
    derived = r"status|penalised|low|high|customers|null_mean|null_sd|excess|p|z|pooled_z"
    return any(re.fullmatch(rf"{re.escape(score)}_(?!.*(?<=_)({derived})$)\w+", column) for score in scores)


def _check_numbers(table: pd.DataFrame, name: str, where: str, finite: bool) -> None:
    values = pd.to_numeric(table[name], errors="coerce")
    lost = table[name].notna() & values.isna()
    if lost.any():
        raise UsageError(f"{where}: column {name!r} must hold numbers, holds {str(table[name][lost].iloc[0])[:60]!r}")
    endless = np.isinf(values.to_numpy(np.float64, na_value=np.nan)) if finite else np.zeros(len(values), bool)
    if endless.any():
        run = table["run"][endless].iloc[0]
        raise UsageError(f"{where}: column {name!r} must hold finite numbers, that of run {run!r} is infinite")
