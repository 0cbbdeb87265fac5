"""A study's folder, read into plain numbers and frames: all that the report tells, before anything is drawn."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit import scoring
from segkit.errors import UsageError
from segkit.report import confirmed
from segkit.report.columns import Columns, read_columns
from segkit.report.confirmed import Confirmation
from segkit.report.contrast import Contrast, read_contrast, read_silhouettes
from segkit.report.documents import (
    check_runs,
    read_planes,
    read_provenance,
    read_recommendation,
    read_study,
)
from segkit.report.files import WITHOUT_NULLS, Files
from segkit.report.options import Options, lost, options
from segkit.study import RUN_GROUPS
from segkit.study.judge.bars import SAME_ANSWER
from segkit.study.keep.published import edited, edited_lines
from segkit.study.keep.reader import check_folder, check_format, state_of
from segkit.study.keep.untrusted import content

if TYPE_CHECKING:
    from segkit.scoring import ScoreDefinition
    from segkit.segments.profiles import Portrait

GROUPS = RUN_GROUPS
DECIDES = 0.5
TOP_RUNS = 15
TOP_FEATURES = 25
GALLERY = 8
POINTS = 20_000
# Choices are weighed over the eligible runs where there are so many of them.
ENOUGH = 10
# A choice's share of a variance needs so many more runs than the choice has values.
TO_SPARE = 5
FOUND = ("n_clusters", "noise_fraction", "smallest_cluster", "inertia", "truth_ari", "stability_ari")
_TEXT = ("reason", *GROUPS, "stability_jaccard", "stability_status", *confirmed.TEXTS)
_NUMBERS = (
    *FOUND,
    "stability_ari_sd",
    "stability_ari_q05",
    "stability_ari_q95",
    "stability_jaccard_min",
    "stability_noise_jaccard",
    "stability_draws",
    "stability_draws_valid",
    "silhouette_reference_low",
    "silhouette_reference_high",
    "silhouette_customers",
    "fitted_customers",
    "fidelity",
    "projection.fitted_customers",
    "projection.placement_r2",
    "projection.neighbours_recall",
    "rank",
    "weight_share",
    "seconds",
    *confirmed.NUMBERS,
)
# A configuration begins with its run.
_CONFIGURED = re.compile(rb'^\{"run": ?"([^"]*)"')
_HEAD = 200
_NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?!\w)")
_FIGURES = ("explained_variance", "fitted_customers", "placement_r2", "neighbours_recall")
NOT_PARAMETERS = tuple(f"projection.{name}" for name in _FIGURES)


@dataclass(frozen=True)
class Embedding:
    """A plane that runs clustered in or look at, and the best of those runs.

    Attributes
    ----------
    name, label : str
        Its id and what to call it.
    run : str
        The best run that clustered in it.
    points : ndarray of shape (m, 2)
        Coordinates of the customers drawn (at most 20,000).
    labels : ndarray of shape (m,)
        The run's labels of these customers.
    shares : tuple of float
        Of a plane that is only for drawing, in which nothing was clustered: the shares (0 to 1) of the scaled features'
        variance along its axes; else empty.
    """

    name: str
    label: str
    run: str
    points: np.ndarray
    labels: np.ndarray
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Summary:
    """Everything that the report tells of one study.

    Attributes
    ----------
    folder : Path
    study, provenance, recommendation : dict
        The three files of that name.
    scores : tuple of ScoreDefinition
    runs : DataFrame
        One row per run, best first, with what can be derived from the row: ``scaler_label`` and its like
        (the option and the parameters that vary), ``label``, ``coverage``, ``inflation``,
        ``eligible``, ``standing`` (1 for the best) and ``rank_<reference>``.
    best : str or None
        The run told in depth: the recommended one, else the best placed.
    embeddings : list of Embedding
        Each with the best run that clustered in it; the best run's own first, where it has one.
    plane : Embedding or None
        The best run's labels in its own plane, else in the one made from the most like choices.
    jaccards : DataFrame of k rows
        The best run's clusterwise Jaccard, with the space kept and, where that is known, refitted.
    agreement : DataFrame
        Adjusted Rand index among the top runs, similar runs side by side.
    answers : int
        Groups of these runs that agree.
    profile : DataFrame
        The best run's profile, long.
    portraits : list of Portrait
    confirmation : Confirmation or None
        What is known of the confirmed runs; None where the study was only screened.
    quality : DataFrame
        What each projected space keeps of the scaled features.
    k_line : DataFrame
        The best run's pipeline by its number of clusters.
    silhouettes : DataFrame
        ``segment`` and ``silhouette`` of the best run's customers, or of drawn ones.
    contrast : Contrast or None
        The customers' features by the best run's segments; None where the study kept none.
    columns : Columns or None
        What each column of the table holds; None where the study kept no customers.
    shares : mapping
        Everybody's share of ones, by feature that is 0 or 1.
    k_curves, effects, explained, inflation, grid, missing_and_skew, variance, failures, stages : DataFrame
    confirm_stages : DataFrame
        As ``stages``, of what only the confirmation needed.
    options : Options
        What was asked of the report.
    lacking : tuple of str
        What the folder has not (yet), and what the report lacks for it, in sentences.
    """

    folder: Path
    study: dict[str, Any]
    provenance: dict[str, Any]
    recommendation: dict[str, Any]
    scores: tuple[ScoreDefinition, ...]
    runs: pd.DataFrame
    best: str | None
    embeddings: list[Embedding]
    plane: Embedding | None
    jaccards: pd.DataFrame
    agreement: pd.DataFrame
    answers: int
    profile: pd.DataFrame
    portraits: list[Portrait]
    confirmation: Confirmation | None
    quality: pd.DataFrame
    k_curves: pd.DataFrame
    effects: pd.DataFrame
    explained: pd.DataFrame
    inflation: pd.DataFrame
    grid: pd.DataFrame
    missing_and_skew: pd.DataFrame
    variance: pd.DataFrame
    failures: pd.DataFrame
    stages: pd.DataFrame
    confirm_stages: pd.DataFrame
    options: Options = field(default_factory=Options)
    lacking: tuple[str, ...] = ()
    k_line: pd.DataFrame = field(default_factory=pd.DataFrame)
    silhouettes: pd.DataFrame = field(default_factory=pd.DataFrame)
    contrast: Contrast | None = None
    columns: Columns | None = None
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def references(self) -> list[str]:
        """Names of the reference spaces, the primary first."""
        return list(self.study.get("scoring", {}).get("references") or ["power"])

    @property
    def formats(self) -> list[str]:
        """File formats of the figures."""
        return list(self.options.formats)

    @property
    def n_customers(self) -> int:
        """Customers in the table."""
        return int(self.provenance.get("data", {}).get("n_customers") or 0)

    @property
    def jaccard(self) -> np.ndarray:
        """The best run's clusterwise Jaccard under the hardest test that is known; empty where none is."""
        known = [name for name in confirmed.LEVELS.values() if name in self.jaccards]
        return self.jaccards[known[-1]].to_numpy(np.float64) if known else np.empty(0)

    @property
    def ok(self) -> pd.DataFrame:
        """The runs that came through."""
        return self.runs[self.runs["status"] == "ok"]

    def run(self, name: str) -> pd.Series:
        """Return a run's row."""
        return self.runs.set_index("run").loc[name]


def gather(folder: Path, given: Mapping[str, Any] | None = None) -> Summary:
    """Read a study's folder.

    Parameters
    ----------
    folder : Path
        Holds at least ``study.yaml`` and ``runs.parquet``; without another file the report lacks what it tells.
    given : mapping, optional
        What is asked of the report in place of the study's settings, by name.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If the folder or one of these two is missing, a file cannot be read, or a newer version wrote the folder.
    """
    from segkit.scoring import definitions
    from segkit.segments.profiles import describe, shares

    folder = Path(folder)
    files = _files(folder)
    study, provenance = read_study(files), read_provenance(files)
    asked = options(study.get("report") or {}, f"{folder / 'study.yaml'}: ", given)
    scores = definitions()
    ranked = provenance.get("state") == "finished" and (folder / "recommendation.json").is_file()
    table, recommendation = _judged(files, _runs(files, scores, ranked), study)
    data = provenance.get("data", {})
    references = study.get("scoring", {}).get("references") or ["power"]
    runs = leaderboard(table, references)
    best = _best(runs, recommendation)
    agreement, answers = _agreement(files, runs)
    profile = _profile(files, best)
    planes = listed_planes(files, runs, best)
    return Summary(
        folder=folder,
        study=study,
        provenance=provenance,
        recommendation=recommendation,
        scores=scores,
        runs=runs,
        best=best,
        embeddings=_embeddings(files, planes[:GALLERY]),
        plane=_plane(files, planes, runs, best),
        jaccards=confirmed.jaccards(runs.set_index("run").loc[best]) if best else pd.DataFrame(),
        agreement=agreement,
        answers=answers,
        profile=profile,
        portraits=describe(profile),
        confirmation=confirmed.confirmation(runs, _nulls(files, runs), recommendation),
        quality=confirmed.quality(runs),
        k_curves=k_curves(runs),
        effects=effects(runs),
        explained=explained(runs, references),
        inflation=inflation(runs),
        grid=grid(runs),
        missing_and_skew=missing_and_skew(data),
        variance=variance(data),
        failures=failures(runs),
        stages=stages(provenance.get("seconds")),
        confirm_stages=stages(provenance.get("confirm_seconds")),
        options=asked,
        k_line=k_line(runs, best),
        silhouettes=read_silhouettes(files, best),
        contrast=read_contrast(files, best),
        columns=read_columns(files),
        shares=shares(profile),
        # Last: what is not there is known when all has been asked for.
        lacking=(*_lacking(files, study, provenance, runs), *_unasked(study, given or {})),
    )


# ------------------------------------------------------------------ files


def _files(folder: Path) -> Files:
    check_folder(folder)
    if not any(folder.iterdir()):
        raise UsageError(f"{folder}: the folder is empty; study.yaml and runs.parquet at least must be in it")
    check_format(folder)
    return Files(folder)


def _lacking(
    files: Files, study: Mapping[str, Any], provenance: Mapping[str, Any], runs: pd.DataFrame
) -> tuple[str, ...]:
    """Say what the folder has not (yet), and what the report lacks for it."""
    told = []
    state, total = (str(provenance.get("state", "finished")), (provenance.get("counts") or {}).get("runs"))
    if state != "finished":
        state = state_of(files.folder, state)
        share = f"{len(runs):,} of {total:,} runs" if isinstance(total, int) else f"{len(runs):,} runs"
        told.append(f"The study is not finished (its state: {state}): {share} are here.")
    told += edited_lines(edited(files.folder, provenance))
    configurations = _configurations(files, runs)
    told += [f"{name} is left out, it {why}: {files.lack(name)}." for name, why in files.unfit.items()]
    lost: dict[str, list[str]] = {}
    for name, what in files.missing.items():
        if name not in files.unfit:
            lost.setdefault(what, []).append(name)
    for what, names in lost.items():
        told.append(f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing: {what}.")
    told += [*configurations, *files.notes]
    # They are written last and first: the file was cut off, or changed by hand.
    if absent := [name for name in ("scoring", "references") if name not in study]:
        told.append(
            f"study.yaml is not whole, it has no {' and no '.join(absent)}: what was asked is told in part only."
        )
    return tuple(told)


def _unasked(study: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Say that customers are not shown since it is lost whether they may be."""
    if not lost(study.get("report") or {}) or given.get("customers") is not None:
        return []
    return [
        "study.yaml has no report.customers: no customer is shown, since it is lost whether that was allowed; "
        "--customers shows them."
    ]


def _configurations(files: Files, runs: pd.DataFrame) -> list[str]:
    """Say of which runs it is lost how to make them again."""
    if not files.has("configs.jsonl"):
        return []
    lines = content(files.folder / "configs.jsonl").splitlines()
    found = {run for line in lines for run in _CONFIGURED.findall(line[:_HEAD])[:1] if line.endswith(b"}")}
    lost = [run for run in runs["run"] if run.encode() not in found]
    if not lost:
        return []
    named = f"that of run {lost[0]}" if len(lost) == 1 else f"those of {len(lost):,} runs, such as {lost[0]}"
    return [f"configs.jsonl is not whole, it has not {named}: segkit reproduce cannot make what it has not."]


def _judged(files: Files, table: pd.DataFrame, study: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the runs with their places and the recommendation, derived from the scores where they were not written."""
    recommendation = read_recommendation(files, table)
    gates = (study.get("scoring") or {}).get("gates")
    if recommendation or not gates or not len(table):
        return table, recommendation
    from segkit.study.judge.conclusion import rejudged
    from segkit.study.judge.ranking import rank_runs, recommend

    if table["confirmed"].any() and files.has("nulls.parquet"):
        return table, rejudged(table, files.table("nulls.parquet"), study["scoring"], _agreed(files))
    if table["confirmed"].any():
        # What can no longer be told is not told by halves: the places are those of the screen.
        files.missing["nulls.parquet"] = "the verdict is that of the screen, though the runs were confirmed"
        screen = {name: f"screen_{name}" for name in ("pareto", "weight_share", "rank")}
        table = table.assign(**{name: table[column] for name, column in screen.items() if column in table})
    if table["rank"].isna().all():
        ranks = rank_runs(table, gates)[["pareto", "weight_share", "rank"]]
        table = table.assign(**ranks, screen_pareto=ranks["pareto"])
        table["rank"] = table["rank"].astype("float64")

    return table, recommend(table, gates, _agreed(files)) if table["rank"].notna().any() else {}


def _agreed(files: Files) -> Callable[[str, str], float]:
    def agreed(first: str, second: str) -> float:
        stored = set(files.columns("partitions.parquet"))
        if not {first, second} <= stored:
            return 0.0
        return float(agreement(files.table("partitions.parquet", [first, second]))[0].iloc[0, 1])

    return agreed


def _runs(files: Files, scores: Sequence[ScoreDefinition], ranked: bool) -> pd.DataFrame:
    """Every column the report uses, present and of one type, whatever the study could not fill."""
    files.has("runs.parquet")
    table = files.table("runs.parquet").reset_index(drop=True)
    check_runs(table, str(files.folder / "runs.parquet"), ranked, [score.name for score in scores], _NUMBERS)
    scored = [f"{score.name}_{where}" for score in scores for where in ("native", "reference")]
    numbers = {name: pd.to_numeric(_column(table, name), errors="coerce") for name in (*_NUMBERS, *scored)}
    texts = {name: _column(table, name).map(_text).astype("object") for name in _TEXT}
    flags = {name: _flag(table, name) for name in ("pareto", "confirmed")}
    # The front of the screen: a confirmed study's own front is over what was confirmed.
    flags["screen_pareto"] = _flag(table, "screen_pareto" if "screen_pareto" in table else "pareto")
    names = {"run": table["run"].astype(str), "status": table["status"].astype(str)}
    kept = table.drop(columns=[c for c in table if c in {*numbers, *texts, *flags, *names}])
    return pd.concat([pd.DataFrame({**names, **texts, **numbers, **flags}), kept], axis=1)


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name] if name in table else pd.Series(None, index=table.index, dtype="object")


def _flag(table: pd.DataFrame, name: str) -> pd.Series:
    return _column(table, name).fillna(False).astype(bool)


def _nulls(files: Files, runs: pd.DataFrame) -> pd.DataFrame:
    if not files.has("nulls.parquet"):
        if runs["confirmed"].any():
            files.missing.setdefault("nulls.parquet", WITHOUT_NULLS)
        empty = pd.DataFrame(columns=[*confirmed.NULL_COLUMNS, "status"])
        return empty.astype({"silhouette": "float64"})
    stored = files.columns("nulls.parquet")
    absent = [name for name in confirmed.NULL_COLUMNS if name not in stored]
    if absent:
        raise UsageError(f"{files.folder / 'nulls.parquet'}: has no column {absent[0]!r}")
    table = files.table("nulls.parquet", [*confirmed.NULL_COLUMNS, *(["status"] if "status" in stored else [])])
    return table.assign(
        run=table["run"].astype(str),
        silhouette=pd.to_numeric(table["silhouette"], errors="coerce"),
        status=_column(table, "status").map(_text).astype("object"),
    )


def _text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, np.ndarray):
        return json.dumps(value.tolist())
    return f"{value:g}" if isinstance(value, float) else str(value)


# ------------------------------------------------------------------ runs


def leaderboard(table: pd.DataFrame, references: Sequence[str]) -> pd.DataFrame:
    """Order the runs, best first, and add what can be derived from a row alone.

    Parameters
    ----------
    table : DataFrame
        One row per run, as in ``runs.parquet``.
    references : sequence of str
        Names of the reference spaces, the primary first.

    Returns
    -------
    DataFrame
        By ``rank``, then by reference silhouette, then by id; failed and skipped runs last.
    """
    runs = table.assign(**{f"{group}_label": option_labels(table, group) for group in GROUPS})
    runs["label"] = _labels(runs)
    runs["method_label"] = option_labels(table.drop(columns="clusterer.n_clusters", errors="ignore"), "clusterer")
    runs["coverage"] = 1.0 - runs["noise_fraction"]
    runs["inflation"] = runs["silhouette_native"] - runs["silhouette_reference"]
    runs["eligible"] = runs["rank"].notna()
    for reference, column in reference_columns(runs, references).items():
        given = f"rank_by_{column.removeprefix('silhouette_')}"
        ranks = runs[given] if given in runs else runs[column].rank(ascending=False, method="min")
        runs[f"rank_{reference}"] = pd.to_numeric(ranks, errors="coerce").astype(float)
    runs["rank_worst"] = runs[[f"rank_{name}" for name in reference_columns(runs, references)]].max(axis=1)
    runs["failed"] = runs["status"] != "ok"
    by = ["failed", "rank", "silhouette_reference", "run"]
    runs = runs.sort_values(by, ascending=[True, True, False, True], na_position="last", kind="stable")
    runs = runs.drop(columns="failed").reset_index(drop=True)
    runs["standing"] = np.arange(1, len(runs) + 1)
    return runs


def reference_columns(runs: pd.DataFrame, references: Sequence[str]) -> dict[str, str]:
    """Return the silhouette's column of each reference space that the runs have."""
    names = {reference: f"silhouette_{reference}" for reference in references}
    if references:
        names[references[0]] = "silhouette_reference"
    return {reference: column for reference, column in names.items() if column in runs}


def option_labels(runs: pd.DataFrame, group: str) -> pd.Series:
    """Name a run's choice in a group: its option, with the parameters that vary among the option's runs.

    Returns
    -------
    Series of str
        Such as ``umap(n_neighbors=15)``.
    """
    prefix = f"{group}."
    columns = [c for c in runs if c.startswith(prefix) and c not in NOT_PARAMETERS]
    labels = runs[group].astype("object").copy()
    for option, part in runs[[group, *columns]].groupby(group, sort=False):
        texts = {c.removeprefix(prefix): part[c].map(_text) for c in columns if part[c].notna().any()}
        varying = {name: values for name, values in texts.items() if len(set(values)) > 1}
        if varying:
            named = [[f"{name}={v}" if v else "" for v in values] for name, values in varying.items()]
            rows = [", ".join(filter(None, row)) for row in zip(*named, strict=True)]
            labels.loc[part.index] = [f"{option}({row})" if row else str(option) for row in rows]
    return labels


def varies(runs: pd.DataFrame, column: str) -> bool:
    """Tell whether a column has more than one value."""
    return column in runs and len(runs[column].dropna().unique()) > 1


def _labels(runs: pd.DataFrame) -> pd.Series:
    varying = [g for g in GROUPS if g != "data" or varies(runs, g)]
    parts = [runs[f"{group}_label"].astype(str) for group in varying]
    if varies(runs, "seed"):
        parts.append("seed " + runs["seed"].map(_text).astype("object"))
    rows = zip(*parts, strict=True)
    return pd.Series([" · ".join(filter(None, row)) for row in rows], index=runs.index, dtype="object")


def _best(runs: pd.DataFrame, recommendation: Mapping[str, Any]) -> str | None:
    """Return the recommended run, else the best placed one that has a partition worth looking at."""
    chosen = recommendation.get("run")
    if chosen and (runs["run"] == chosen).any():
        return str(chosen)
    scored = runs[(runs["status"] == "ok") & runs["silhouette_reference"].notna()]
    candidates = scored if len(scored) else runs[runs["status"] == "ok"]
    return None if candidates.empty else str(candidates["run"].iloc[0])


# What tells a line of runs that differ in their number of clusters alone.
LINE = ["method", "features", "scaler", "space"]


def scored(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that came through and have a reference silhouette."""
    return runs[(runs["status"] == "ok") & runs["silhouette_reference"].notna()]


# ------------------------------------------------------------------ trust


def agreement(partitions: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Compare partitions pairwise.

    Parameters
    ----------
    partitions : DataFrame of shape (n, r)
        One column of labels per run; -1 is noise, missing a customer dropped before clustering, which is left out.

    Returns
    -------
    matrix : DataFrame of shape (r, r)
        Adjusted Rand index (Hubert and Arabie 1985), noise as a group of its own; rows ordered so that runs that
        agree are neighbours. Missing where two runs share no customers.
    answers : int
        Groups of runs whose average index is at least 0.8.
    """
    from segkit.scoring.agreement import partition_agreement

    here = partitions.notna().to_numpy()
    labels = partitions.fillna(-1).astype("int64").to_numpy()
    r = labels.shape[1]
    matrix = np.eye(r)
    for i in range(r):
        for j in range(i):
            both = here[:, i] & here[:, j]
            value = partition_agreement(labels[both, i], labels[both, j]) if both.any() else np.nan
            matrix[i, j] = matrix[j, i] = value
    order, groups = _grouped(matrix)
    frame = pd.DataFrame(matrix, index=partitions.columns, columns=partitions.columns)
    return frame.iloc[order, order], groups


def _grouped(matrix: np.ndarray) -> tuple[np.ndarray, int]:
    if len(matrix) < 2:
        return np.arange(len(matrix)), len(matrix)
    from scipy.cluster.hierarchy import average, fcluster, leaves_list
    from scipy.spatial.distance import squareform

    tree = average(squareform(1.0 - np.nan_to_num(matrix), checks=False))
    return leaves_list(tree), int(fcluster(tree, 1.0 - SAME_ANSWER, criterion="distance").max())


def _agreement(files: Files, runs: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    if not (runs["status"] == "ok").any():
        return pd.DataFrame(), 0
    stored = set(files.columns("partitions.parquet"))
    top = [run for run in scored(runs)["run"] if run in stored][:TOP_RUNS]
    return agreement(files.table("partitions.parquet", top)) if len(top) > 1 else (pd.DataFrame(), len(top))


# ------------------------------------------------------------------ embeddings and profiles


def listed_planes(files: Files, runs: pd.DataFrame, best: str | None) -> list[tuple[str, str, str]]:
    """Name, label and best run of each embedding, best placed first; of one that is only for drawing, whose it is."""
    if best is None or not (files.has("embeddings.parquet") & files.has("embeddings.json")):
        return []
    described = read_planes(files)
    coordinates, stored = (set(files.columns("embeddings.parquet")), set(files.columns("partitions.parquet")))
    standing = {run: place for run, place in zip(runs["run"], runs["standing"], strict=True) if run in stored}
    chosen = []
    for name, entry in described.items():
        members = [run for run in entry.get("runs") or [entry.get("drawn_for")] if run in standing]
        if not {f"{name}:x", f"{name}:y"} <= coordinates:
            _note(files, f"embeddings.json names the plane {name}, which embeddings.parquet has not: it is not shown.")
        elif members:
            run = best if best in members else min(members, key=standing.__getitem__)
            chosen.append((run != best, standing[run], name, str(entry.get("label", name)), run))
    return [(name, label, run) for _, _, name, label, run in sorted(chosen)]


def _note(files: Files, line: str) -> None:
    if line not in files.notes:
        files.notes.append(line)


def _plane(
    files: Files, planes: Sequence[tuple[str, str, str]], runs: pd.DataFrame, best: str | None
) -> Embedding | None:
    if not planes or best not in files.columns("partitions.parquet"):
        return None
    choices = runs.set_index("run")[["features", "scaler", "seed"] if "seed" in runs else ["features", "scaler"]]
    likeness = [(run == best, (choices.loc[run] == choices.loc[best]).sum()) for _, _, run in planes]
    name, label, _ = planes[max(range(len(planes)), key=likeness.__getitem__)]
    return _embeddings(files, [(name, label, str(best))])[0]


def _embeddings(files: Files, planes: Sequence[tuple[str, str, str]]) -> list[Embedding]:
    """Read embeddings with their runs' labels."""
    if not planes:
        return []
    coordinates = [f"{name}:{axis}" for name in dict.fromkeys(name for name, _, _ in planes) for axis in "xy"]
    points = files.table("embeddings.parquet", coordinates)
    partitions = files.table("partitions.parquet", list(dict.fromkeys(run for _, _, run in planes)))
    described = files.mapping("embeddings.json")
    found = [
        _embedding(name, label, run, points[[f"{name}:x", f"{name}:y"]].to_numpy(np.float64), partitions[run])
        for name, label, run in planes
    ]
    return [replace(plane, shares=tuple(described[plane.name].get("variance") or ())) for plane in found]


def _embedding(name: str, label: str, run: str, points: np.ndarray, partition: pd.Series) -> Embedding:
    labels = partition.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    kept = np.flatnonzero(np.isfinite(points).all(axis=1) & ~np.isnan(labels))
    if len(kept) > POINTS:
        kept = np.sort(np.random.default_rng(0).choice(kept, POINTS, replace=False))
    return Embedding(name, label, run, points[kept], labels[kept].astype(np.int64))


def neighbourhood(plane: Embedding) -> float:
    """Return the share (0 to 1) of a plane's clustered points whose nearest one has the same label."""
    from scipy.spatial import KDTree

    kept = plane.labels >= 0
    if kept.sum() < 2:
        return float("nan")
    points, labels = plane.points[kept], plane.labels[kept]
    nearest = KDTree(points).query(points, k=2)[1]
    # Among coinciding points the tree may return the point itself second.
    other = np.where(nearest[:, 0] == np.arange(len(points)), nearest[:, 1], nearest[:, 0])
    return float((labels[other] == labels).mean())


def _profile(files: Files, best: str | None) -> pd.DataFrame:
    from segkit.report.payload.portraits import kept_profiles
    from segkit.segments.profiles import COLUMNS

    found = {} if best is None else kept_profiles(files, [best])
    if best not in found:
        return pd.DataFrame(columns=list(COLUMNS)).astype({"feature": "str"})
    return found[best]


def widest(profile: pd.DataFrame, limit: int = TOP_FEATURES) -> list[str]:
    """Return the features whose standardised means differ most between clusters, widest first."""
    spread = profile[profile["segment"] >= 0].groupby("feature", sort=False)["z"].agg(np.ptp)
    return list(spread.fillna(0.0).sort_values(ascending=False, kind="stable").index[:limit])


# ------------------------------------------------------------------ choices


def k_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Follow every line of the runs that are `weighed` and differ in ``n_clusters`` alone.

    Returns
    -------
    DataFrame
        As of `k_points`; lines with one number of clusters left out.
    """
    points = k_points(runs)
    return points[points.groupby(LINE)["k"].transform("size") > 1].reset_index(drop=True)


def k_points(runs: pd.DataFrame) -> pd.DataFrame:
    """Average the runs that are `weighed` and have the same choices, by number of clusters.

    Returns
    -------
    DataFrame
        One row per point: ``method`` (the clusterer and its other parameters), ``features``, ``scaler``,
        ``space``, ``k``, ``inertia_share`` (of the line's inertia at its smallest k), ``silhouette``,
        ``stability``, ``low`` and ``high`` (its 5% and 95% quantiles over the draws).
    """
    fields = [*LINE, "k"]
    names = {"silhouette_reference": "silhouette", "stability_ari": "stability"}
    names |= {"stability_ari_q05": "low", "stability_ari_q95": "high"}
    empty = pd.DataFrame(columns=[*fields, "inertia_share", *names.values()])
    if "clusterer.n_clusters" not in runs:
        return empty
    table = weighed(runs)
    swept = table[table["clusterer.n_clusters"].notna()]
    if swept.empty:
        return empty
    swept = swept.assign(
        method=option_labels(swept.drop(columns="clusterer.n_clusters"), "clusterer"),
        features=swept["features_label"],
        scaler=swept["scaler_label"],
        space=swept["projection_label"],
        k=swept["clusterer.n_clusters"].astype(float).astype(int),
    )
    points = swept.groupby(fields)[["inertia", *names]].mean().rename(columns=names).reset_index()
    points["inertia_share"] = points["inertia"] / points.groupby(LINE)["inertia"].transform("first")
    return points.drop(columns="inertia")


def k_line(runs: pd.DataFrame, best: str | None) -> pd.DataFrame:
    """Follow the best run's pipeline over its numbers of clusters, each score with its interval where there is one.

    Where no other run differs from the best in ``n_clusters`` alone, that of the best placed run with such others. All
    its runs that came through are in it, eligible or not: a line with holes would bend where they are.

    Returns
    -------
    DataFrame
        ``run``, ``k``, ``inertia``, ``silhouette``, ``stability`` and ``refitted``, and the last three with ``_low``
        and ``_high``: 95% where the silhouette is of drawn customers, the middle 90% of the draws for the others.
    """
    names = {"silhouette_reference": "silhouette", "stability_ari": "stability", "stability_ari_refit": "refitted"}
    names |= {f"silhouette_reference_{end}": f"silhouette_{end}" for end in ("low", "high")}
    for column, name in (("stability_ari", "stability"), ("stability_ari_refit", "refitted")):
        names |= {f"{column}_q05": f"{name}_low", f"{column}_q95": f"{name}_high"}
    fields = ["run", "k", "inertia", *names.values()]
    varied = "clusterer.n_clusters"
    swept = runs[(runs["status"] == "ok") & runs[varied].notna()] if varied in runs else runs.iloc[:0]
    if best is None or swept.empty:
        return pd.DataFrame(columns=fields)
    alike = [f"{group}_label" for group in GROUPS[:-1]] + ["method_label", *(["seed"] if "seed" in runs else [])]
    lines = swept.groupby(alike, sort=False, dropna=False)
    swept = swept.assign(line=lines.ngroup(), ks=lines[varied].transform("nunique"))
    swept = swept[swept["ks"] > 1].rename(columns=names)
    first = swept.assign(other=swept["run"] != best).sort_values(["other", "standing"]).head(1)
    line = swept[swept["line"].isin(first["line"])]
    line = line.assign(k=line[varied].astype("float64").astype("int64")).sort_values("k", kind="stable")
    return line.reindex(columns=fields).reset_index(drop=True)


def axes(runs: pd.DataFrame) -> dict[str, str]:
    """Return the choices that vary, by name, with the column that tells a run's choice."""
    named = {"data": "data_label", "features": "features_label", "scaler": "scaler_label"}
    named |= {"projection": "projection_label", "clusterer": "clusterer", "seed": "seed"}
    named["number of clusters"] = "n_clusters"
    return {axis: column for axis, column in named.items() if varies(runs, column)}


def weighed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs over which choices are weighed: the eligible ones, or all scored ones where those are few.

    What may not be chosen, such as hundreds of segments, would decide what seems to matter.
    """
    table = scored(runs)
    eligible = table[table["eligible"]]
    return eligible if len(eligible) >= ENOUGH else table


def effects(runs: pd.DataFrame) -> pd.DataFrame:
    """Average the runs that are `weighed` by each value of each choice.

    Returns
    -------
    DataFrame
        ``axis``, ``value``, ``runs``, and for ``silhouette`` and ``stability``: mean, quartiles and best.
    """
    table, rows = weighed(runs), []
    scores = {
        name: table[column].to_numpy(np.float64)
        for name, column in (("silhouette", "silhouette_reference"), ("stability", "stability_ari"))
    }
    for axis, column in axes(table).items():
        for value, places in table[[column]].groupby(column, sort=column == "n_clusters").indices.items():
            row: dict[str, Any] = {"axis": axis, "value": _text(value), "runs": len(places)}
            for name, values in scores.items():
                row |= _spread(name, values[places])
            rows.append(row)
    return pd.DataFrame(rows)


def _spread(name: str, values: np.ndarray) -> dict[str, float]:
    known = values[~np.isnan(values)]
    q25, q75 = np.quantile(known, [0.25, 0.75]) if len(known) else (np.nan, np.nan)
    mean, best = (known.mean(), known.max()) if len(known) else (np.nan, np.nan)
    return {name: mean, f"{name}_best": best, f"{name}_q25": q25, f"{name}_q75": q75}


def explained(runs: pd.DataFrame, references: Sequence[str] = ()) -> pd.DataFrame:
    """Share of each score's variance between the values of each choice, over the runs that are `weighed`.

    One-way epsilon squared (Kelley 1935), 0 to 1: eta squared less what values told apart by chance would get. None
    where there are hardly more runs than values.

    Returns
    -------
    DataFrame
        ``axis``, then each score by name, and the silhouette in each of the ``references`` but the first as
        ``silhouette_<name>``; the most telling choice for the silhouette first.
    """
    table = weighed(runs)
    scores = {item.name: f"{item.name}_reference" for item in scoring.definitions()} | {"stability": "stability_ari"}
    others = list(reference_columns(runs, references).items())[1:]
    scores |= {f"silhouette_{name}": column for name, column in others}
    scores = {name: column for name, column in scores.items() if column in table}
    rows = [
        {"axis": axis} | {name: _epsilon_squared(table, column, score) for name, score in scores.items()}
        for axis, column in axes(table).items()
    ]
    frame = pd.DataFrame(rows, columns=["axis", *scores])
    return frame.sort_values("silhouette", ascending=False, kind="stable").reset_index(drop=True)


def _epsilon_squared(table: pd.DataFrame, column: str, score: str) -> float:
    part = table[[column, score]].dropna()
    n, k = len(part), part[column].nunique()
    total = ((part[score] - part[score].mean()) ** 2).sum()
    if n - k < TO_SPARE or k < 2 or not total > 0:
        return float("nan")
    within = ((part[score] - part.groupby(column)[score].transform("mean")) ** 2).sum()
    return float(max(1.0 - (within / total) * (n - 1) / (n - k), 0.0))


def grid(runs: pd.DataFrame) -> pd.DataFrame:
    """Best reference silhouette by scaler (rows) and projection (columns), of the eligible runs if any."""
    table = scored(runs)
    table = table[table["eligible"]] if table["eligible"].any() else table
    return table.pivot_table("silhouette_reference", "scaler_label", "projection_label", aggfunc="max")


def missed(runs: pd.DataFrame, gates: Mapping[str, Any]) -> pd.DataFrame:
    """Mark for each run that is not eligible which gates it misses; of one that did not come through, just that.

    Returns
    -------
    DataFrame
        A boolean column per gate, without rows where the gates or what they look at is not known.
    """
    from segkit.study.judge.ranking import criteria, gate_values

    lost = runs[~runs["eligible"]]
    if not {"coverage", "smallest_cluster", "clusters"} <= set(gates) or not set(criteria()) <= set(runs):
        return pd.DataFrame()
    found = ~gate_values(lost, gates)
    others = [name for name in found if name != "status"]
    found.loc[found["status"], others] = False
    return found


def inflation(runs: pd.DataFrame) -> pd.DataFrame:
    """Native less reference silhouette, run by run: ``space``, ``projection``, ``clusterer``, ``inflation``."""
    table = runs[(runs["status"] == "ok") & runs["inflation"].notna()]
    columns = {"projection_label": "space", "projection": "projection", "clusterer": "clusterer"}
    return table[[*columns, "inflation"]].rename(columns=columns).reset_index(drop=True)


# ------------------------------------------------------------------ data, failures, provenance


def missing_and_skew(data: Mapping[str, Any]) -> pd.DataFrame:
    """Tell of each column of the table its missing values (``missing``, ``share``) and its ``skew``."""
    missing, skew = data.get("missing") or {}, data.get("skew") or {}
    columns = list(dict.fromkeys([*(data.get("columns") or []), *missing, *skew]))
    n = data.get("n_customers") or np.nan
    counts = [int(missing.get(name) or 0) for name in columns]
    return pd.DataFrame(
        {
            "column": columns,
            "missing": counts,
            "share": [count / n for count in counts],
            "skew": pd.to_numeric(pd.Series([skew.get(name) for name in columns]), errors="coerce"),
        }
    )


def variance(data: Mapping[str, Any]) -> pd.DataFrame:
    """Each feature's share of the variance after scaling, by ``matrix`` (``<features>/<scaler>``)."""
    rows = []
    for matrix, shares in (data.get("variance_shares") or {}).items():
        features, _, scaler = str(matrix).partition("/")
        rows += [(str(matrix), features, scaler, str(name), share) for name, share in shares.items()]
    return pd.DataFrame(rows, columns=["matrix", "features", "scaler", "feature", "share"])


def by_column(variance: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Put the shares of a text column's values together under the column's name, with how many values it has."""
    from segkit.report.payload.few import column_of

    of = {name: column_of(name, columns) for name in variance["feature"].unique()}
    values = pd.Series([column for name, column in of.items() if column not in (name, None)]).value_counts()
    names = {
        name: name
        if column in (name, None)
        else f"{column} ({values[column]} value{'s' if values[column] > 1 else ''})"
        for name, column in of.items()
    }
    told = variance.assign(feature=variance["feature"].map(names))
    return told.groupby(["matrix", "features", "scaler", "feature"], sort=False, as_index=False)["share"].sum()


def decided(variance: pd.DataFrame) -> pd.DataFrame:
    """Return the scaled matrices where one feature carries more than half of the variance, and that feature."""
    return variance[variance["share"] > DECIDES].sort_values("share", ascending=False).reset_index(drop=True)


def failures(runs: pd.DataFrame) -> pd.DataFrame:
    """Group the failed and skipped runs: ``status``, ``reason``, ``runs``, ``example``, ``label``; commonest first.

    Reasons that differ by their numbers alone are one, which tells the least and the largest of each.
    """
    table = runs[runs["status"] != "ok"]
    table = table.assign(kind=table["reason"].map(lambda reason: _NUMBER.sub("0", reason)))
    grouped = table.groupby(["status", "kind"], sort=True)
    frame = grouped.agg(
        reason=("reason", _put_together), runs=("run", "size"), example=("run", "first"), label=("label", "first")
    )
    frame = frame.reset_index().drop(columns="kind")
    return frame.sort_values("runs", ascending=False, kind="stable").reset_index(drop=True)


def _put_together(reasons: pd.Series) -> str:
    """Write reasons that differ by numbers alone as one."""
    found = list(dict.fromkeys(reasons))
    if len(found) < 2:
        return found[0]
    numbers = zip(*([number[0] for number in _NUMBER.finditer(reason)] for reason in found), strict=True)
    spans = iter([sorted(set(values), key=lambda text: float(text.replace(",", ""))) for values in numbers])

    def span(_: re.Match) -> str:
        values = next(spans)
        return values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"

    return _NUMBER.sub(span, found[0])


def stages(told: Mapping[str, float] | None) -> pd.DataFrame:
    """CPU seconds of each kind of stage, the longest first: ``stage``, ``seconds``, ``share``."""
    seconds = pd.Series(told or {}, dtype="float64").sort_values(ascending=False)
    total = seconds.sum() or np.nan
    return pd.DataFrame({"stage": seconds.index, "seconds": seconds.to_numpy(), "share": seconds.to_numpy() / total})
