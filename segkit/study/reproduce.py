"""Recomputes one run from the raw data with an empty store, and compares it stage by stage."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.data import TableInfo, source
from segkit.data.load import existing_file
from segkit.errors import UsageError
from segkit.study.compose import Configuration
from segkit.study.keep.claims import check_claims
from segkit.study.keep.provenance import commit
from segkit.study.keep.published import (
    edited,
    edited_lines,
    ids_difference,
    labels_difference,
    labels_problem,
    row_difference,
    verdict_difference,
)
from segkit.study.keep.reader import Study
from segkit.study.keep.runs_table import Collector, space_suffix
from segkit.study.plan.graph import make_tasks
from segkit.study.plan.libraries import versions
from segkit.study.plan.planner import Plan, RunPlan, make_plan
from segkit.study.plan.sampling import Sampling
from segkit.study.run.engine import Engine
from segkit.study.run.outcome import Outcome
from segkit.study.run.settings import EngineSettings
from segkit.study.run.stages import STAGES
from segkit.study.run.store import Store
from segkit.study.run.tables import load_unchanged
from segkit.version import __version__

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

EXACT, EQUIVALENT, DIFFERENT = "exact", "equivalent", "different"
# A study without digests can neither be confirmed nor refuted.
UNVERIFIED = "unverified"
# Of matrices, relative to the largest entry of a row of the sketch.
MATRIX_TOLERANCE = 1e-6
# Labels that agree at least so far are equivalent.
LABELS_ARI = 0.99
# Of scores, most of which lie between -1 and 1.
SCORE_TOLERANCE = 0.005
# By role, the columns that are compared where the digest of a stage is another.
SCORED = {"stability": ("stability_ari", "stability_jaccard_min")} | {
    kind: stage.columns for kind, stage in STAGES.items() if stage.per_run
}
# The beginning of a comparison's name if it is with one of the study's files.
PUBLISHED = "published:"
_BEST_FIRST = (EXACT, EQUIVALENT, DIFFERENT)


@dataclass(frozen=True)
class StageComparison:
    """How one stage compares: its verdict and, where it is not exact, by how much it differs."""

    stage: str
    verdict: str
    detail: str = ""


@dataclass(frozen=True)
class Reproduction:
    """How a run compares with its recomputation.

    Attributes
    ----------
    run
        The run's id.
    verdict
        ``exact``, ``equivalent`` or ``different``.
    stages
        How each stage compares.
    changed
        What is not as it was: data, versions, code.
    """

    run: str
    verdict: str
    stages: tuple[StageComparison, ...]
    changed: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def reproduce(study: Study, run: str, data_path: str | None = None) -> Reproduction:
    """Recompute a run and compare it with the results of its study.

    Parameters
    ----------
    study
        The study's folder, read back.
    run
        The run's id.
    data_path
        Where the data file is on this machine, if not where the study says.

    Returns
    -------
    Reproduction
        ``exact`` (same digests), ``equivalent`` (matrices to 1e-6 relative, labels to ARI 0.99,
        scores to 0.005; a projection that differs but leads to equivalent labels counts) or
        ``different``.

    Raises
    ------
    UsageError
        If the run has no result to compare with, or the study claims something that cannot be
        computed.
    """
    if run not in study.configurations:
        raise UsageError(f"run {run} is not in {study.folder}/configs.jsonl")
    check_claims(study, run)
    entry, row = study.configurations[run], _finished_row(study, run)
    data = _located_data(study, entry, data_path)
    data_change = _data_change(entry, data)
    if data_change and data_path is None and "path" in data:
        # The study may name any file of this user: one that it was not computed from is not even
        # read.
        reason = (
            "the file that the study names is not the one it was computed from; give the data by "
            "--data"
        )
        return _without_data(run, reason, data_change)
    with tempfile.TemporaryDirectory(prefix="segkit-") as folder:
        try:
            plan = _plan(study, entry, row, data)
        except UsageError as error:
            if data_change is None:
                raise
            return _without_data(run, str(error), data_change)
        computed = _Computed(_collected(plan, folder), Store(folder))
        stages = _compare_stages(study, entry, row, computed)
        stages += _compare_files(study, row, stages, computed)
    return Reproduction(run, _verdict(stages), tuple(stages), tuple(_changes(study, entry, plan)))


@dataclass(frozen=True)
class _Computed:
    """A recomputed run: the outcomes of its stages, and the store of their results."""

    collector: Collector
    store: Store

    @property
    def run(self) -> RunPlan:
        """The only run of the plan."""
        return self.collector.plan.runs[0]

    def outcome(self, role: str) -> Outcome | None:
        """Return the outcome of a stage; None if this version has no such stage."""
        return self.collector.outcomes.get(self.run.stages.get(role, ""))

    def arrays(self, role: str) -> dict[str, NDArray[Any]]:
        """Return the results of a stage."""
        return self.store.arrays(self.run.stages[role])


def _collected(plan: Plan, folder: str) -> Collector:
    """Compute a plan in this process, with its store in a folder."""
    collector = Collector(plan)
    tasks = make_tasks(plan.nodes, plan.leaves, set())
    with Engine(EngineSettings(mode="inline"), folder) as engine:
        for _task, outcomes in engine.run(tasks, {}):
            collector.add(outcomes)
    return collector


def _finished_row(study: Study, run: str) -> pd.Series[Any]:
    """Return a run's row of the runs table, if it is ok."""
    rows = study.runs[study.runs["run"] == run]
    if rows.empty:
        problem = "is not finished"
    elif str(rows["status"].iloc[0]) != "ok":
        problem = f"was {rows['status'].iloc[0]} ({rows['reason'].iloc[0]})"
    else:
        return rows.set_index("run").iloc[0]
    raise UsageError(f"run {run} of {study.folder} {problem}: there is nothing to reproduce")


def _without_data(run: str, reason: str, data_change: str) -> Reproduction:
    """Return the verdict on a run whose data is not there any more."""
    comparison = StageComparison("features", DIFFERENT, reason)
    return Reproduction(run, DIFFERENT, (comparison,), (data_change,))


def _plan(
    study: Study, entry: Mapping[str, Any], row: pd.Series[Any], data: Mapping[str, Any]
) -> Plan:
    groups = {**entry["groups"], "data": data}
    configuration = Configuration(entry["choices"], groups, entry["seed"])
    settings = study.settings
    draws = settings["scoring"]["draws"]
    if settings["scoring"].get("racing"):
        # The race may have ended for this run before all draws.
        draws = int(row["stability_draws"])
    return make_plan(
        [configuration], STAGES, settings["references"], draws, _info, Sampling.of(settings)
    )


def _info(data: Mapping[str, Any]) -> TableInfo:
    # Without a memo: the data is read anew, too.
    return source(data).info()


def _located_data(study: Study, entry: Mapping[str, Any], data_path: str | None) -> dict[str, Any]:
    """Return a run's ``data`` group with the path of its file on this machine."""
    data = dict(entry["groups"]["data"])
    if data_path is not None:
        if "path" not in data:
            raise UsageError(
                f"--data={data_path}: the data of this run ({entry['choices']['data']}) is not a "
                "file"
            )
        data["path"] = str(existing_file(Path(data_path).expanduser(), "--data"))
    elif isinstance(data.get("path"), str):
        data["path"] = str(_existing_path(study, Path(data["path"]).expanduser()))
    return data


def _existing_path(study: Study, path: Path) -> Path:
    """Return the path of a study's data file, as seen from where it was launched or from here."""
    launched_in = None if path.is_absolute() else _launched_in(study)
    candidates = [path] if launched_in is None else [launched_in / path, path]
    for candidate in candidates:
        # A pipe or a device would be read for ever. A file without permission is none either.
        if os.path.isfile(candidate):
            return candidate
    seen_from = "" if path.is_absolute() else ", relative to where it was launched"
    raise UsageError(
        f"{path}: no such file (data.path, as the study had it{seen_from}); give the file by --data"
    )


def _launched_in(study: Study) -> Path | None:
    """Return the folder that a study was launched in; None if its place does not show it."""
    # Not resolved: outputs may be a link to another disk.
    folder, settings = study.folder.absolute(), study.settings
    option = "hydra.sweep.dir="
    overrides = [str(text) for text in settings.get("overrides") or []]
    given = [text for text in overrides if text.startswith(option)]
    written = Path("outputs", str(settings.get("name")), folder.name)
    if given:
        written = Path(given[-1].removeprefix(option).strip("'\""))
    depth = 0 if written.is_absolute() else len(written.parts)
    if depth and folder.parts[-depth:] == written.parts:
        return folder.parents[depth - 1]
    return None


def _data_change(entry: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    before, now = entry["data_identity"], source(data).identity()
    return None if before == now else f"data: {before[:12]} before, {now[:12]} now"


def _compare_stages(
    study: Study, entry: Mapping[str, Any], row: pd.Series[Any], computed: _Computed
) -> list[StageComparison]:
    """Compare each stage by its digest; if that is another, by what it holds."""
    comparisons = []
    for role, before in entry["stages"].items():
        outcome = computed.outcome(role)
        if outcome is None or outcome.status != "ok":
            reason = computed.run.reason or "this version has no such stage"
            if outcome is not None:
                reason = outcome.reason
            verdict, detail = DIFFERENT, reason
        elif outcome.record["digest"] == before["digest"]:
            verdict, detail = EXACT, ""
        elif role == "clustering":
            verdict, detail = _compare_labels(study, row, computed)
        elif role in SCORED or role.startswith("scoring:"):
            verdict, detail = _compare_scores(study, row, role, outcome.record["facts"])
        else:
            sketches = study.provenance.get("sketches", {})
            verdict, detail = _compare_matrices(sketches.get(before["key"], []), outcome)
        comparisons.append(StageComparison(role, verdict, detail))
    return comparisons


def _compare_files(
    study: Study, row: pd.Series[Any], stages: Sequence[StageComparison], computed: _Computed
) -> list[StageComparison]:
    """Compare the study's own files with what was computed: digests alone can be edited too."""
    run = str(row.name)
    outcomes = [computed.outcome(role) for role in computed.run.stages]
    if any(outcome is None or outcome.status != "ok" for outcome in outcomes):
        return []
    verdicts = {stage.stage: stage.verdict for stage in stages}
    tolerance = None if set(verdicts.values()) == {EXACT} else SCORE_TOLERANCE
    computed_row = computed.collector.frame().set_index("run").iloc[0]
    labels = ""
    # Labels that were computed otherwise were compared above, by their agreement.
    if verdicts["clustering"] == EXACT:
        labels = _labels_difference(study, run, computed)
    differences = {
        "runs.parquet": row_difference(row, computed_row, tolerance),
        "partitions.parquet": labels,
        "recommendation.json": verdict_difference(study),
    }
    comparisons = []
    for name, difference in differences.items():
        if difference:
            detail = f"run {run}, {difference}"
            comparisons.append(StageComparison(f"{PUBLISHED}{name}", DIFFERENT, detail))
        else:
            comparisons.append(StageComparison(f"{PUBLISHED}{name}", EXACT))
    return [*comparisons, _compare_digests(study)]


def _compare_digests(study: Study) -> StageComparison:
    """Compare the study's files with the digests that it wrote of them."""
    name = f"{PUBLISHED}files"
    if study.provenance.get("files") is None:
        detail = "provenance.json has no digests: whether other runs' rows were edited is not known"
        return StageComparison(name, UNVERIFIED, detail)
    lines = edited_lines(edited(study.folder, study.provenance))
    return StageComparison(name, DIFFERENT if lines else EXACT, " ".join(lines))


def _labels_difference(study: Study, run: str, computed: _Computed) -> str:
    """Return how a run's published labels differ from the computed ones; empty if they do not."""
    if run not in study.partitions:
        return "its labels are missing"
    rows = computed.arrays("features")["rows"]
    labels = computed.arrays("clustering")["labels"]
    data = computed.run.data
    table = load_unchanged(computed.run.groups["data"], data)
    published, ids = study.partitions, [str(name) for name in table.ids]
    prefix = f"{data[:8]}:"
    own = published["id"].astype(str).str.startswith(prefix) if "id" in published else None
    if own is not None and own.any() and not own.all():
        # A study of several tables has the beginning of a table's identity before its ids.
        ids = [f"{prefix}{name}" for name in ids]
        published = published[own]
    return ids_difference(published, ids) or labels_difference(published[run], rows, labels)


def _compare_matrices(before_sketch: Any, outcome: Outcome) -> tuple[str, str]:
    import numpy as np

    before = np.asarray(before_sketch, dtype=float)
    after = np.asarray(outcome.record["facts"]["sketch"], dtype=float)
    if before.shape != after.shape:
        return DIFFERENT, f"{len(before)} columns before, {len(after)} now"
    scale = np.abs(before).max(axis=1, keepdims=True).clip(1e-300)
    difference = float((np.abs(before - after) / scale).max())
    return _within(difference, MATRIX_TOLERANCE, "largest relative difference")


def _compare_labels(study: Study, row: pd.Series[Any], computed: _Computed) -> tuple[str, str]:
    from segkit.scoring.agreement import partition_agreement

    published = study.partitions.get(str(row.name))
    if published is None:
        return DIFFERENT, "its labels are missing"
    problem = labels_problem(published)
    if problem:
        return DIFFERENT, problem
    before = published.dropna().to_numpy(dtype=int)
    after = computed.arrays("clustering")["labels"]
    if len(before) != len(after):
        return DIFFERENT, f"{len(before)} customers before, {len(after)} now"
    agreement = partition_agreement(before, after)
    verdict = EQUIVALENT if agreement >= LABELS_ARI else DIFFERENT
    return verdict, f"ARI of the labels {agreement:.4f}"


def _compare_scores(
    study: Study, row: pd.Series[Any], role: str, facts: Mapping[str, Any]
) -> tuple[str, str]:
    if role in SCORED:
        after = {name: facts[name] for name in SCORED[role]}
    else:
        suffix = space_suffix(role.partition(":")[2], list(study.settings["references"]))
        after = {f"{name}_{suffix}": score["value"] for name, score in facts.items()}
    differences = [_difference(row.get(name), value, name) for name, value in after.items()]
    return _within(max(differences), SCORE_TOLERANCE, "largest difference of a score")


def _difference(before: Any, after: float | None, name: str) -> float:
    """Return the difference of two scores; relative for the one that grows with the customers."""
    import pandas as pd

    if pd.isna(before) or after is None:
        return 0.0 if pd.isna(before) and after is None else float("inf")
    scale = max(abs(before), 1.0) if name.startswith("calinski_harabasz") else 1.0
    return float(abs(before - after) / scale)


def _within(difference: float, tolerance: float, what: str) -> tuple[str, str]:
    verdict = EQUIVALENT if difference <= tolerance else DIFFERENT
    return verdict, f"{what} {difference:.3g} (allowed {tolerance:g})"


def _verdict(stages: Sequence[StageComparison]) -> str:
    """Return the worst verdict of the stages that decide: labels, scores, stability, files.

    What leads to the labels matters only if it makes them differ.
    """
    verified = [stage for stage in stages if stage.verdict != UNVERIFIED]
    decisive = [
        stage.verdict
        for stage in verified
        if stage.stage == "clustering" or stage.stage in SCORED or ":" in stage.stage
    ]
    worst = max(decisive, key=_BEST_FIRST.index, default=DIFFERENT)
    if worst == EXACT and any(stage.verdict != EXACT for stage in verified):
        return EQUIVALENT
    return worst


def _changes(study: Study, entry: Mapping[str, Any], plan: Plan) -> list[str]:
    """Return what is not as it was: data, versions, code."""
    before, now = study.provenance, versions()
    changes = []
    data = plan.runs[0].data
    if data != entry["data_identity"]:
        changes.append(f"data: {entry['data_identity'][:12]} before, {data[:12]} now")
    for name, version in before.get("versions", {}).items():
        if now.get(name) != version:
            changes.append(f"{name}: {version} before, {now.get(name, 'not installed')} now")
    if before.get("segkit") != __version__:
        changes.append(f"segkit: {before.get('segkit')} before, {__version__} now")
    elif before.get("commit") != commit():
        changes.append(f"segkit's commit: {before.get('commit')} before, {commit()} now")
    return changes
