"""Recompute one run from the raw data with an empty store, and say stage by stage how it compares."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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

EXACT, EQUIVALENT, DIFFERENT = "exact", "equivalent", "different"
# Of what the study kept no digests: it says nothing of the run, and nothing for it.
UNVERIFIED = "unverified"
MATRIX_TOLERANCE = 1e-6
LABELS_ARI = 0.99
SCORE_TOLERANCE = 0.005
# What begins the name of what is compared with the study's files themselves.
PUBLISHED = "published:"
_ORDER = (EXACT, EQUIVALENT, DIFFERENT)


@dataclass(frozen=True)
class StageComparison:
    """How one stage compares: its verdict and, where it is not exact, by how much it differs."""

    stage: str
    verdict: str
    detail: str = ""


@dataclass(frozen=True)
class Reproduction:
    """How a run compares with its recomputation: the verdict, each stage, and what changed around it."""

    run: str
    verdict: str
    stages: tuple[StageComparison, ...]
    changed: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def reproduce(study: Study, run: str, data_path: str | None = None) -> Reproduction:
    """Recompute a run and compare it with what its study kept.

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
        If the run has no result to compare with.
    """
    if run not in study.configurations:
        raise UsageError(f"run {run} is not in {study.folder}/configs.jsonl")
    check_claims(study, run)
    entry = study.configurations[run]
    row = study.runs.set_index("run").loc[run] if run in set(study.runs["run"]) else None
    if row is None or str(row["status"]) != "ok":
        told = "is not finished" if row is None else f"was {row['status']} ({row['reason']})"
        raise UsageError(f"run {run} of {study.folder} {told}: there is nothing to reproduce")
    data = _located(study, entry, data_path)
    another = _data_change(entry, data)
    if another and data_path is None and "path" in data:
        # A file that the study names may be any of this user's: one that it was not made of is not
        # read as a table.
        reason = (
            "the file that the study names is not the one it was made of; give the data by --data"
        )
        return Reproduction(
            run, DIFFERENT, (StageComparison("features", DIFFERENT, reason),), (another,)
        )
    with tempfile.TemporaryDirectory(prefix="segkit-") as folder:
        store = Store(folder)
        try:
            plan = _plan(study, entry, row, data)
        except UsageError as error:
            if another is None:
                raise
            return Reproduction(
                run, DIFFERENT, (StageComparison("features", DIFFERENT, str(error)),), (another,)
            )
        collector = Collector(plan)
        with Engine(EngineSettings(mode="inline"), folder) as engine:
            for _task, outcomes in engine.run(make_tasks(plan.nodes, plan.leaves, set()), {}):
                collector.add(outcomes)
        stages = _compare(study, entry, row, plan.runs[0], collector, store)
        stages += _published(study, run, row, stages, collector, store)
    changed = _changes(study, entry, plan)
    return Reproduction(run, _verdict(stages), tuple(stages), tuple(changed))


def _plan(study: Study, entry: Mapping[str, Any], row: Any, data: Mapping[str, Any]) -> Plan:
    groups = {**entry["groups"], "data": data}
    configuration = Configuration(entry["choices"], groups, entry["seed"])
    settings = study.settings
    # A race may have stopped before all of them.
    draws = (
        int(row["stability_draws"])
        if settings["scoring"].get("racing")
        else settings["scoring"]["draws"]
    )
    return make_plan(
        [configuration], STAGES, settings["references"], draws, _info, Sampling.of(settings)
    )


def _info(data: Mapping[str, Any]) -> TableInfo:
    # Without a memo: the data is read anew, too.
    return source(data).info()


def _located(study: Study, entry: Mapping[str, Any], data_path: str | None) -> dict[str, Any]:
    data = dict(entry["groups"]["data"])
    if data_path is not None:
        if "path" not in data:
            raise UsageError(
                f"--data={data_path}: the data of this run ({entry['choices']['data']}) is not a"
                " file"
            )
        data["path"] = str(existing_file(Path(data_path).expanduser(), "--data"))
    elif isinstance(data.get("path"), str):
        data["path"] = str(_found(study, Path(data["path"]).expanduser()))
    return data


def _found(study: Study, path: Path) -> Path:
    """Return where a study's data file is: beside where the study was launched, else as seen from here."""
    launched = None if path.is_absolute() else _launched_in(study)
    places = [path] if launched is None else [launched / path, path]
    # A pipe or a device would be read for ever; False too for what cannot be looked at.
    there = [place for place in places if os.path.isfile(place)]
    if there:
        return there[0]
    seen = "" if path.is_absolute() else ", relative to where it was launched"
    raise UsageError(
        f"{path}: no such file (data.path, as the study had it{seen}); give the file by --data"
    )


def _launched_in(study: Study) -> Path | None:
    """Return the folder that a study's own was written into, None where its place does not tell."""
    folder, settings = (
        study.folder.absolute(),
        study.settings,
    )  # not resolved: outputs may be a link to another disk
    given = [
        str(text)
        for text in settings.get("overrides") or []
        if str(text).startswith("hydra.sweep.dir=")
    ]
    default = Path("outputs", str(settings.get("name")), folder.name)
    written = Path(given[-1].partition("=")[2].strip("'\"")) if given else default
    count = 0 if written.is_absolute() else len(written.parts)
    return folder.parents[count - 1] if count and folder.parts[-count:] == written.parts else None


def _data_change(entry: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    before, now = entry["data_identity"], source(data).identity()
    return None if before == now else f"data: {before[:12]} before, {now[:12]} now"


def _compare(
    study: Study,
    entry: Mapping[str, Any],
    row: Any,
    run: RunPlan,
    collector: Collector,
    store: Store,
) -> list[StageComparison]:
    found = []
    for role, old in entry["stages"].items():
        outcome = collector.outcomes.get(run.stages.get(role, ""))
        if outcome is None or outcome.status != "ok":
            reason = outcome.reason if outcome else run.reason or "this version has no such stage"
            found.append(StageComparison(role, DIFFERENT, reason))
        elif outcome.record["digest"] == old["digest"]:
            found.append(StageComparison(role, EXACT))
        else:
            compare = _comparison(role)
            verdict, detail = compare(study, old, row, role, outcome, store)
            found.append(StageComparison(role, verdict, detail))
    return found


def _published(
    study: Study,
    run: str,
    row: Any,
    stages: Sequence[StageComparison],
    collector: Collector,
    store: Store,
) -> list[StageComparison]:
    """Compare what was published of a run with what was computed, not only with the digests kept beside it."""
    outcomes = {
        role: collector.outcomes.get(key) for role, key in collector.plan.runs[0].stages.items()
    }
    if any(outcome is None or outcome.status != "ok" for outcome in outcomes.values()):
        return []
    verdicts = {stage.stage: stage.verdict for stage in stages}
    exact = set(verdicts.values()) == {EXACT}
    computed = collector.frame().set_index("run").iloc[0]
    # Where labels were computed otherwise, their agreement was compared above.
    same_labels = verdicts["clustering"] == EXACT
    labels = _labels_published(study, run, outcomes, collector, store) if same_labels else ""
    differences = {
        "runs.parquet": row_difference(row, computed, None if exact else SCORE_TOLERANCE),
        "partitions.parquet": labels,
        "recommendation.json": verdict_difference(study),
    }
    compared = [
        StageComparison(
            f"{PUBLISHED}{name}", DIFFERENT if text else EXACT, f"run {run}, {text}" if text else ""
        )
        for name, text in differences.items()
    ]
    return [*compared, _files_published(study)]


def _files_published(study: Study) -> StageComparison:
    if study.provenance.get("files") is None:
        text = "provenance.json has no digests: whether other runs' rows were edited is not known"
        return StageComparison(f"{PUBLISHED}files", UNVERIFIED, text)
    lines = edited_lines(edited(study.folder, study.provenance))
    return StageComparison(f"{PUBLISHED}files", DIFFERENT if lines else EXACT, " ".join(lines))


def _labels_published(
    study: Study, run: str, outcomes: Mapping[str, Any], collector: Collector, store: Store
) -> str:
    if run not in study.partitions:
        return "its labels are missing"
    features = outcomes["features"]
    rows = store.arrays(features.key)["rows"]
    labels = store.arrays(outcomes["clustering"].key)["labels"]
    table = load_unchanged(collector.plan.runs[0].groups["data"], collector.plan.runs[0].data)
    published, ids = study.partitions, [str(name) for name in table.ids]
    prefix = f"{collector.plan.runs[0].data[:8]}:"
    own = published["id"].astype(str).str.startswith(prefix) if "id" in published else None
    if own is not None and own.any() and not own.all():
        # Of a study of several tables: this one's customers are told from the others' by its
        # identity.
        ids = [f"{prefix}{name}" for name in ids]
        published = published[own]
    return ids_difference(published, ids) or labels_difference(published[run], rows, labels)


def _comparison(role: str) -> Callable[..., tuple[str, str]]:
    if role == "clustering":
        return _compare_labels
    if role == "stability" or role.startswith("scoring:"):
        return _compare_scores
    return _compare_matrices


def _compare_matrices(
    study: Study, old: Mapping[str, Any], _row: Any, _role: str, outcome: Outcome, _store: Store
) -> tuple[str, str]:
    import numpy as np

    before = np.asarray(study.provenance.get("sketches", {}).get(old["key"], []), dtype=float)
    after = np.asarray(outcome.record["facts"]["sketch"], dtype=float)
    if before.shape != after.shape:
        return DIFFERENT, f"{len(before)} columns before, {len(after)} now"
    difference = float(
        (np.abs(before - after) / np.abs(before).max(axis=1, keepdims=True).clip(1e-300)).max()
    )
    return _within(difference, MATRIX_TOLERANCE, "largest relative difference")


def _compare_labels(
    study: Study, _old: Mapping[str, Any], row: Any, _role: str, outcome: Outcome, store: Store
) -> tuple[str, str]:
    from segkit.scoring.agreement import partition_agreement

    published = study.partitions.get(row.name)
    if published is None or (problem := labels_problem(published)):
        return DIFFERENT, "its labels are missing" if published is None else problem
    before = published.dropna().to_numpy(dtype=int)
    after = store.arrays(outcome.key)["labels"]
    if len(before) != len(after):
        return DIFFERENT, f"{len(before)} customers before, {len(after)} now"
    agreement = partition_agreement(before, after)
    verdict = EQUIVALENT if agreement >= LABELS_ARI else DIFFERENT
    return verdict, f"ARI of the labels {agreement:.4f}"


def _compare_scores(
    study: Study, _old: Mapping[str, Any], row: Any, role: str, outcome: Outcome, _store: Store
) -> tuple[str, str]:
    facts = outcome.record["facts"]
    if role == "stability":
        after = {name: facts[name] for name in ("stability_ari", "stability_jaccard_min")}
    else:
        suffix = space_suffix(role.partition(":")[2], list(study.settings["references"]))
        after = {f"{name}_{suffix}": score["value"] for name, score in facts.items()}
    differences = [_difference(row.get(name), value, name) for name, value in after.items()]
    return _within(max(differences), SCORE_TOLERANCE, "largest difference of a score")


def _difference(before: Any, after: float | None, name: str) -> float:
    """Absolute difference; relative for the score whose size grows with the number of customers."""
    import pandas as pd

    if pd.isna(before) or after is None:
        return 0.0 if pd.isna(before) and after is None else float("inf")
    scale = max(abs(before), 1.0) if name.startswith("calinski_harabasz") else 1.0
    return abs(before - after) / scale


def _within(difference: float, tolerance: float, what: str) -> tuple[str, str]:
    verdict = EQUIVALENT if difference <= tolerance else DIFFERENT
    return verdict, f"{what} {difference:.3g} (allowed {tolerance:g})"


def _verdict(stages: list[StageComparison]) -> str:
    """Return the worst stage's verdict; what leads to the labels only makes a difference if the labels differ."""
    decisive = [stage for stage in stages if stage.stage == "clustering" or ":" in stage.stage]
    decisive += [stage for stage in stages if stage.stage == "stability"]
    stages = [stage for stage in stages if stage.verdict != UNVERIFIED]
    decisive = [stage for stage in decisive if stage.verdict != UNVERIFIED]
    worst = max((stage.verdict for stage in decisive), key=_ORDER.index, default=DIFFERENT)
    if worst == EXACT and any(stage.verdict != EXACT for stage in stages):
        return EQUIVALENT
    return worst


def _changes(study: Study, entry: Mapping[str, Any], plan: Plan) -> list[str]:
    """List what is not as it was: data, versions, code."""
    before = study.provenance
    changed = []
    if plan.runs[0].data != entry["data_identity"]:
        changed.append(f"data: {entry['data_identity'][:12]} before, {plan.runs[0].data[:12]} now")
    now = versions()
    changed += [
        f"{name}: {version} before, {now.get(name, 'not installed')} now"
        for name, version in before.get("versions", {}).items()
        if now.get(name) != version
    ]
    if before.get("segkit") != __version__:
        changed.append(f"segkit: {before.get('segkit')} before, {__version__} now")
    elif before.get("commit") != commit():
        changed.append(f"segkit's commit: {before.get('commit')} before, {commit()} now")
    return changed
