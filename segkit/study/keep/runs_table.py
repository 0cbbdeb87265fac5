"""The runs table: a row as soon as a run is complete, and one type per column."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit import scoring
from segkit.files import replacing
from segkit.scoring.contract import penalised
from segkit.study import RUN_GROUPS
from segkit.study.judge.calibrated import list_texts
from segkit.study.plan.planner import NATIVE, Plan, RunPlan
from segkit.study.run.outcome import Outcome
from segkit.study.run.stages import STAGES
from segkit.study.run.store import Damaged

if TYPE_CHECKING:
    import pandas as pd

_CLUSTERING = (
    "n_clusters",
    "noise_fraction",
    "smallest_cluster",
    "inertia",
    "truth_ari",
    "fitted_customers",
    "fidelity",
)
_PROJECTION = tuple(
    f"projection.{name}"
    for name in ("explained_variance", "fitted_customers", "placement_r2", "neighbours_recall")
)
# The spaces whose silhouettes have an interval.
_INTERVALS = ("native", "reference")
_STABILITY = (
    "stability_ari",
    "stability_ari_sd",
    "stability_ari_q05",
    "stability_ari_q95",
    "stability_jaccard_min",
    "stability_jaccard",
    "stability_status",
    "stability_noise_jaccard",
    "stability_draws_valid",
    "dissolved",
    "recovered",
)
# One value per segment, as JSON.
_LISTS = ("stability_jaccard", "dissolved", "recovered")
_INTEGERS = (
    *("seed", "n_clusters", "stability_draws", "stability_draws_valid", "rank"),
    *("projection.fitted_customers", "fitted_customers", "silhouette_customers"),
)
# What makes a spreadsheet take a text for a formula, and run it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Collector:
    """Turns outcomes into rows: a run has its row as soon as all its stages have an outcome."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.outcomes: dict[str, Outcome] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        self._finished: Counter[str] = Counter()
        self._users: Counter[str] = Counter(
            key for run in plan.runs for key in set(run.stages.values())
        )
        self._waiting: dict[str, set[str]] = {}
        self._by_key: dict[str, list[RunPlan]] = {}
        for run in plan.runs:
            # Nobody computes a neighbour graph whose projections are stored.
            keys = {key for role, key in run.stages.items() if role != "neighbours"}
            self._waiting[run.id] = keys
            for key in keys:
                self._by_key.setdefault(key, []).append(run)
            if not keys:
                self._finish(run)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Take in outcomes and add the rows that they complete."""
        for outcome in outcomes:
            self.outcomes[outcome.key] = outcome
            for run in self._by_key.get(outcome.key, ()):
                waiting = self._waiting[run.id]
                waiting.discard(outcome.key)
                if not waiting and run.id not in self.rows:
                    self._finish(run)

    def forget(self, key: str) -> None:
        """Drop an outcome: runs that have no row yet wait for it again."""
        self.outcomes.pop(key, None)
        for run in self._by_key.get(key, ()):
            if run.id not in self.rows:
                self._waiting[run.id].add(key)

    def _finish(self, run: RunPlan) -> None:
        row = run_row(run, self.plan.references, self.outcomes, self._users)
        self.rows[run.id] = row
        self._finished[row["status"]] += 1

    def counts(self) -> dict[str, int]:
        """Return the number of finished runs by status, and of those still open as ``waiting``."""
        return _with_waiting(self._finished, len(self.plan.runs) - len(self.rows))

    def frame(self) -> pd.DataFrame:
        """Return the finished runs as a table, in the order of the plan."""
        rows = [self.rows[run.id] for run in self.plan.runs if run.id in self.rows]
        return runs_frame(rows, self.plan.references)

    def seconds(self) -> dict[str, float]:
        """Return the CPU seconds of the study's stages by kind, those of stored results too."""
        total: dict[str, float] = defaultdict(float)
        for key, node in self.plan.nodes.items():
            if key in self.outcomes:
                total[node.kind] += self.outcomes[key].record.get("seconds", 0.0)
        return {kind: round(seconds, 3) for kind, seconds in total.items()}


def status_counts(runs: pd.DataFrame, total: int) -> dict[str, int]:
    """Return the number of runs by status; ``waiting`` are those that the table lacks.

    Parameters
    ----------
    runs
        The runs table.
    total
        The number of runs of the study.
    """
    return _with_waiting(Counter(runs["status"]), total - len(runs))


def _with_waiting(by_status: Mapping[str, int], waiting: int) -> dict[str, int]:
    finished = {status: by_status.get(status, 0) for status in ("ok", "failed", "skipped")}
    return {**finished, "waiting": waiting}


def mark_lost(runs: pd.DataFrame, damaged: Mapping[str, Damaged]) -> pd.DataFrame:
    """Mark runs as failed whose stored labels are damaged; the next launch computes them again.

    Parameters
    ----------
    runs
        The runs table with the columns of ``rank_runs``.
    damaged
        By run: the damage.
    """
    lost = runs["run"].isin(list(damaged))
    if not lost.any():
        return runs
    runs = runs.copy()
    reasons = {run: str(error) for run, error in damaged.items()}
    runs.loc[lost, "status"] = "failed"
    runs.loc[lost, "reason"] = runs.loc[lost, "run"].map(reasons)
    runs.loc[lost, ["rank", "pareto", "weight_share"]] = [None, False, None]
    return runs


def run_row(
    run: RunPlan,
    references: Sequence[str],
    outcomes: Mapping[str, Outcome],
    users: Mapping[str, int],
) -> dict[str, Any]:
    """Return one run's row of the runs table.

    Parameters
    ----------
    run
        The run.
    references
        The reference spaces, the primary one first.
    outcomes
        The outcomes of all stages by key.
    users
        By key: how many runs use a stage.
    """
    settled = {role: outcomes[key] for role, key in run.stages.items() if key in outcomes}
    status, reason = _status(run, settled)
    facts: dict[str, Mapping[str, Any]] = {
        role: outcome.record.get("facts", {})
        for role, outcome in settled.items()
        if outcome.status == "ok"
    }
    row: dict[str, Any] = {"run": run.id, "status": status, "reason": reason, "seed": run.seed}
    row |= {group: run.choices[group] for group in RUN_GROUPS}
    row |= parameters(run.groups)
    row |= _partition_cells(facts)
    row |= _scoring_cells(facts, references)
    row |= _stability_cells(facts.get("stability", {}))
    if status == "ok" and "stability" not in run.stages:
        # A race draws only for the runs that can still be shortlisted.
        row |= {"stability_draws": 0, "stability_status": "not_drawn"}
    row |= {name: facts.get(kind, {}).get(name) for kind, name in _stage_columns()}
    # The confirmation comes later, and writes its own columns.
    row["confirmed"] = False
    # Each stage once, shared evenly among the runs that use it.
    unique = {outcome.key: outcome for outcome in settled.values()}
    row["seconds"] = sum(
        outcome.record.get("seconds", 0.0) / users[key] for key, outcome in unique.items()
    )
    return row


def _partition_cells(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    clustering = facts.get("clustering", {})
    figures = facts.get("projection", {}).get("figures", {})
    cells = {name: clustering.get(name) for name in _CLUSTERING}
    return cells | {f"projection.{name}": value for name, value in figures.items()}


def _scoring_cells(
    facts: Mapping[str, Mapping[str, Any]], references: Sequence[str]
) -> dict[str, Any]:
    scores = {space: facts.get(f"scoring:{space}", {}) for space in (NATIVE, *references)}
    primary = scores[references[0]]
    cells: dict[str, Any] = {}
    for space, by_name in scores.items():
        cells |= _score_cells(by_name, space_suffix(space, references))
    cells |= _penalised_cells(primary)
    cells |= _interval_cells(dict(zip(_INTERVALS, (scores[NATIVE], primary), strict=True)))
    native, reference = cells["silhouette_native"], cells["silhouette_reference"]
    # How much better a run looks in the space that it was optimised in.
    has_both = native is not None and reference is not None
    cells["inflation"] = native - reference if has_both else None
    return cells


def _stability_cells(stability: Mapping[str, Any]) -> dict[str, Any]:
    cells = {name: stability.get(name) for name in _STABILITY}
    return cells | {"stability_draws": stability.get("draws")}


def _stage_columns() -> list[tuple[str, str]]:
    """Return the kind and the column of each fact that a stage of every run adds to its row."""
    stages = (stage for stage in STAGES.values() if stage.per_run)
    return [(stage.kind, name) for stage in stages for name in stage.columns]


def _status(run: RunPlan, settled: Mapping[str, Outcome]) -> tuple[str, str]:
    if run.reason:
        return "skipped", run.reason
    # A failure weighs more than what this data cannot do: the next launch may repair it.
    for wanted in ("failed", "skipped"):
        for role, outcome in settled.items():
            if outcome.status == wanted:
                return wanted, _located(role, outcome.reason, run)
    return "ok", ""


def _located(role: str, reason: str, run: RunPlan) -> str:
    """Return a reason that names the feature set, and the scaler, that it is about."""
    # Stages are shared among runs and do not know these names.
    if role == "features":
        return f"features={run.choices['features']}: {reason.removeprefix('features: ')}"
    if role == "scaling":
        chosen = f"features={run.choices['features']} scaler={run.choices['scaler']}"
        return f"{chosen}: {reason.removeprefix('scaling: ').removeprefix('scaler: ')}"
    return reason


def space_suffix(space: str, references: Sequence[str]) -> str:
    """Return the ending of a space's score columns: ``reference`` for the primary reference."""
    return "reference" if references and space == references[0] else space


def _score_cells(scores: Mapping[str, Mapping[str, Any]], suffix: str) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for definition in scoring.definitions():
        score = scores.get(definition.name, {})
        cells[f"{definition.name}_{suffix}"] = score.get("value")
        cells[f"{definition.name}_{suffix}_status"] = score.get("status")
    return cells


def _penalised_cells(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for definition in scoring.definitions():
        score = scores.get(definition.name, {})
        value = score.get("value")
        if value is not None:
            value = penalised(value, score["coverage"], definition.higher_is_better)
        cells[f"{definition.name}_reference_penalised"] = value
    return cells


def _interval_cells(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the intervals of silhouettes computed on drawn customers, and the number of these."""
    silhouettes = {space: by_name.get("silhouette", {}) for space, by_name in scores.items()}
    cells: dict[str, Any] = {"silhouette_customers": silhouettes["reference"].get("n_used")}
    for space, silhouette in silhouettes.items():
        low, high = silhouette.get("interval") or (None, None)
        cells |= {f"silhouette_{space}_low": low, f"silhouette_{space}_high": high}
    return cells


def parameters(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return every resolved parameter as ``<group>.<name>``; lists and mappings as JSON text."""
    return {
        f"{group}.{name}": json.dumps(value) if isinstance(value, list | dict | tuple) else value
        for group in RUN_GROUPS
        for name, value in groups[group].items()
        if name != "_target_"
    }


def runs_frame(rows: Sequence[Mapping[str, Any]], references: Sequence[str]) -> pd.DataFrame:
    """Return rows as a table, with the columns in the documented order and one type each."""
    import pandas as pd

    # As objects: a column of integers with gaps would otherwise come as floats.
    frame = pd.DataFrame(list(rows), dtype=object)
    parameter_columns = [
        name
        for group in RUN_GROUPS
        for name in frame.columns
        if name.startswith(f"{group}.") and name not in _PROJECTION
    ]
    first = ["run", "status", "reason", "seed", *RUN_GROUPS]
    clustering = [*_CLUSTERING[:4], *_PROJECTION, *_CLUSTERING[4:]]
    of_stages = [name for _, name in _stage_columns()]
    last = [*_STABILITY, "stability_draws", *of_stages, "confirmed", "seconds"]
    frame = frame.reindex(
        columns=[*first, *parameter_columns, *clustering, *_score_columns(references), *last]
    )
    texts = {"run", "status", "reason", *RUN_GROUPS, *_LISTS}
    texts |= {name for name in frame.columns if name.endswith("_status")}
    return pd.DataFrame({name: _typed(frame[name], name, name in texts) for name in frame.columns})


def _score_columns(references: Sequence[str]) -> list[str]:
    names = [definition.name for definition in scoring.definitions()]
    suffixes = [space_suffix(space, references) for space in (NATIVE, *references)]
    columns = []
    for name in names:
        for suffix in suffixes:
            columns += [f"{name}_{suffix}", f"{name}_{suffix}_status"]
    columns += [f"{name}_reference_penalised" for name in names]
    columns += ["inflation"]
    for space in _INTERVALS:
        columns += [f"silhouette_{space}_low", f"silhouette_{space}_high"]
    return [*columns, "silhouette_customers"]


def _typed(column: pd.Series[Any], name: str, text: bool) -> pd.Series[Any]:
    """Give a column one type that Parquet can hold.

    Parameters come as a mix of numbers, texts and nothing.
    """
    if name in _LISTS:
        return list_texts(column)
    if text:
        return column.astype("string")
    values = column.dropna()
    if len(values) and all(isinstance(value, bool) for value in values):
        return column.astype("boolean")
    is_parameter = "." in name
    # Scores that happen to be whole numbers stay floats.
    if name in _INTEGERS or (is_parameter and len(values) and all(map(_is_whole, values))):
        return column.astype("Int64")
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return column.astype("float64")
    texts = column.map(lambda value: value if value is None else str(value), na_action="ignore")
    return texts.astype("string")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def spreadsheet_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with an apostrophe before each text that would be a formula."""
    guarded = frame.copy()
    for name in guarded.select_dtypes(include=["string", "object"]).columns:
        cells = guarded[name].astype("string")
        guarded[name] = cells.mask(cells.str.startswith(_FORMULA_STARTS, na=False), "'" + cells)
    return guarded


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet, or as CSV safe to open in a spreadsheet, by the path's ending."""
    if path.suffix == ".csv":
        with replacing(path, "w") as file:
            spreadsheet_safe(frame).to_csv(file, index=False, lineterminator="\n")
    else:
        with replacing(path) as file:
            frame.to_parquet(file, index=False)
