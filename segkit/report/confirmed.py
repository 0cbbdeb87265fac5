"""What the confirmation measured, as frames: three levels of stability, the excess over tables without segments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from segkit.study.plan.confirmation import COPULA

# The suffix of each level's columns, and what to call it; the mildest test first.
LEVELS = {"seed": "other seed", "fresh": "space kept", "refit": "refitted"}
QUALITY = ("trustworthiness", "continuity", "r_nx_area", "distance_spearman", "triplet_accuracy")
# The ending of each control's columns: a random projection to as many dimensions, the scaled features themselves.
RANDOM, IDENTITY = "_control_random", "_control_identity"
NULL_COLUMNS = ("run", "kind", "index", "silhouette")
# What became of a null table on which a pipeline has no score through no merit of the table.
LOST = ("failed", "skipped")
NO_SEED = "no_seed"

_AGAINST_NULLS = ("null_mean", "excess", "z", "p")
NUMBERS = (
    *(f"stability_ari_{level}{end}" for level in LEVELS for end in ("", "_sd", "_q05", "_q95")),
    *(f"stability_{level}_draws" for level in LEVELS),
    *(f"stability_jaccard_min_{level}" for level in ("fresh", "refit")),
    *(f"{score}_{name}" for score in ("silhouette", "davies_bouldin") for name in _AGAINST_NULLS),
    *(f"silhouette_permuted_{name}" for name in _AGAINST_NULLS),
    *("prediction_strength", "prediction_strength_sd", "dbcv_native", "dbcv_reference", "p_adjusted", "answer"),
    *("rank_low", "rank_high", "screen_rank"),
    *(f"{name}{end}" for end in ("", RANDOM, IDENTITY) for name in QUALITY),
)
TEXTS = (
    *(f"stability_{level}_status" for level in LEVELS),
    *(f"{name}_{level}" for name in ("stability_jaccard", "dissolved", "recovered") for level in ("fresh", "refit")),
    *(f"{name}_status" for name in ("prediction_strength", "dbcv_native", "dbcv_reference")),
    "confirm_reason",
)


@dataclass(frozen=True)
class Confirmation:
    """What is known of the confirmed runs.

    Attributes
    ----------
    runs : DataFrame
        The confirmed rows of the leaderboard, best first.
    holding_up : tuple of str
        Those that do better than tables without segments and may be recommended.
    nulls : DataFrame
        One row per run, ``kind`` of table (``copula`` or ``permuted``) and table, with its ``silhouette`` and
        ``status``.
    levels, against_nulls, lines, answers : DataFrame
        Of the functions of that name.
    """

    runs: pd.DataFrame
    holding_up: tuple[str, ...]
    nulls: pd.DataFrame
    levels: pd.DataFrame
    against_nulls: pd.DataFrame
    lines: pd.DataFrame
    answers: pd.DataFrame

    def tables(self, kind: str) -> int:
        """Count the tables without segments of a kind."""
        return int(self.nulls.loc[self.nulls["kind"] == kind, "index"].nunique())

    def most(self, column: str) -> int:
        """Return the largest value of a count over the confirmed runs; 0 where none is known."""
        most = self.runs[column].max()
        return 0 if pd.isna(most) else int(most)


def confirmation(runs: pd.DataFrame, nulls: pd.DataFrame, recommendation: Mapping[str, Any]) -> Confirmation | None:
    """Gather what is known of the confirmed runs; None where the study was only screened.

    Parameters
    ----------
    runs : DataFrame
        The leaderboard.
    nulls : DataFrame
        Scores on the tables without segments; empty where none were kept.
    recommendation : dict
        Names the runs that hold up, under ``null``.
    """
    confirmed = runs[runs["confirmed"]]
    if confirmed.empty:
        return None
    held = set(map(str, (recommendation.get("null") or {}).get("holding_up") or []))
    holding_up = tuple(run for run in confirmed["run"] if run in held)
    return Confirmation(
        runs=confirmed,
        holding_up=holding_up,
        nulls=nulls,
        levels=levels(confirmed),
        against_nulls=against_nulls(confirmed, nulls, holding_up),
        lines=lines(runs, nulls),
        answers=answers(confirmed, holding_up),
    )


def levels(confirmed: pd.DataFrame) -> pd.DataFrame:
    """Follow each confirmed run's stability from another seed to the whole pipeline refitted.

    Returns
    -------
    DataFrame
        One row per run and level with a value: ``run``, ``level``, ``ari`` (mean), ``low`` and ``high`` (5% and 95%
        quantiles over the draws), ``seedless`` (nothing in the run uses a seed, so that its value is 1 by nature).
    """
    parts = [
        pd.DataFrame(
            {
                "run": confirmed["run"],
                "level": name,
                "ari": confirmed[f"stability_ari_{level}"],
                "low": confirmed[f"stability_ari_{level}_q05"],
                "high": confirmed[f"stability_ari_{level}_q95"],
                "seedless": confirmed[f"stability_{level}_status"] == NO_SEED,
            }
        )
        for level, name in LEVELS.items()
    ]
    return pd.concat(parts).dropna(subset=["ari"]).reset_index(drop=True)


def against_nulls(confirmed: pd.DataFrame, nulls: pd.DataFrame, holding_up: Sequence[str]) -> pd.DataFrame:
    """Set each confirmed run's reference silhouette beside the ones on copula tables.

    Returns
    -------
    DataFrame
        ``run``, ``silhouette``, ``null_mean``, ``low`` and ``high`` (5% and 95% quantiles over the tables), ``excess``,
        ``z``, ``p``, ``p_adjusted``, ``holds`` (whether the run may be recommended); runs without such tables left out.
    """
    table = _scored(confirmed)
    bounds = _bounds(nulls, table["run"])
    return table.join(bounds).assign(holds=table["run"].isin(list(holding_up))).reset_index(drop=True)


def lines(runs: pd.DataFrame, nulls: pd.DataFrame) -> pd.DataFrame:
    """Follow each confirmed pipeline over its numbers of clusters, beside what tables without segments give.

    Returns
    -------
    DataFrame
        As of `against_nulls`, with ``line`` (the pipeline but for its number of clusters), ``k``, ``confirmed`` and
        ``best`` (the largest excess of its line, where that is above 0); pipelines with one number of clusters left
        out. The line of the best placed confirmed run comes first.
    """
    empty = pd.DataFrame(columns=["line", "k", "run", "silhouette", "excess", "best"])
    if "clusterer.n_clusters" not in runs:
        return empty
    table = _scored(runs[runs["clusterer.n_clusters"].notna() & (runs["status"] == "ok")])
    if table.empty:
        return empty
    told = runs.loc[table.index]
    table = table.join(_bounds(nulls, table["run"])).assign(
        line=_line_names(told), k=told["clusterer.n_clusters"].astype(float).astype(int), confirmed=told["confirmed"]
    )
    by_line = table.groupby("line")
    kept = by_line["k"].transform("nunique").gt(1) & by_line["confirmed"].transform("any")
    place = table["confirmed"].map({True: 0, False: len(runs)}) + told["standing"]
    table = table.assign(first=place.groupby(table["line"]).transform("min"))[kept]
    largest = table["excess"] == table.groupby("line")["excess"].transform("max")
    table["best"] = largest & (table["excess"] > 0)
    return table.sort_values(["first", "line", "k"], kind="stable").drop(columns="first").reset_index(drop=True)


def _line_names(runs: pd.DataFrame) -> pd.Series:
    columns = ["features_label", "scaler_label", "projection_label", "method_label"]
    columns = (["data_label"] if _varies(runs["data_label"]) else []) + columns
    names = runs[columns].map(str).agg(" · ".join, axis=1)
    several = "seed" in runs and _varies(runs["seed"])
    return names + " · seed " + runs["seed"].map(str) if several else names


def _varies(values: pd.Series) -> bool:
    return len(values.dropna().unique()) > 1


def _scored(runs: pd.DataFrame) -> pd.DataFrame:
    names = {"silhouette_reference": "silhouette", "p_adjusted": "p_adjusted"}
    names |= {f"silhouette_{name}": name for name in _AGAINST_NULLS}
    return runs[["run", *names]].rename(columns=names).dropna(subset=["silhouette", "null_mean"])


def _bounds(nulls: pd.DataFrame, runs: pd.Series) -> pd.DataFrame:
    """Return the 5% and 95% quantiles of each run's silhouettes on copula tables, by the runs' index."""
    found = nulls[nulls["kind"] == COPULA].groupby("run")["silhouette"]
    bounds = {"low": found.quantile(0.05), "high": found.quantile(0.95)}
    return pd.DataFrame({name: runs.map(values).astype(float) for name, values in bounds.items()})


def answers(confirmed: pd.DataFrame, holding_up: Sequence[str]) -> pd.DataFrame:
    """Group the confirmed runs by the answer they give, the best placed first.

    Returns
    -------
    DataFrame
        ``runs``, ``fewest`` and ``most`` (segments), ``first`` (its best placed run), ``label``, ``holding_up`` (runs).
    """
    known = confirmed[confirmed["answer"].notna()].sort_values("standing")
    known = known.assign(holds=known["run"].isin(list(holding_up)))
    return (
        known.groupby("answer", sort=False)
        .agg(
            runs=("run", "size"),
            fewest=("n_clusters", "min"),
            most=("n_clusters", "max"),
            first=("run", "first"),
            label=("label", "first"),
            holding_up=("holds", "sum"),
        )
        .reset_index(drop=True)
    )


def quality(runs: pd.DataFrame) -> pd.DataFrame:
    """List the projected spaces by how much of the scaled features' order of distances they keep, best first.

    Returns
    -------
    DataFrame
        ``space``, ``run`` (the best placed that clustered in it), the five figures and both controls of each; one row
        per space.
    """
    told = runs[runs[list(QUALITY)].notna().any(axis=1)]
    names = {"data": "data_label", "features": "features_label", "scaler": "scaler_label", "seed": "seed"}
    shown = [column for column in names.values() if column in told and _varies(told[column])]
    columns = [*shown, "projection_label"]
    space = told[columns].map(str).agg(" · ".join, axis=1) if len(told) else pd.Series(dtype="object")
    figures = [f"{name}{end}" for end in ("", RANDOM, IDENTITY) for name in QUALITY]
    table = told[["run", *figures]].assign(space=space).drop_duplicates("space")[["space", "run", *figures]]
    return table.sort_values("r_nx_area", ascending=False, kind="stable").reset_index(drop=True)


def jaccards(run: pd.Series) -> pd.DataFrame:
    """Return a run's clusterwise Jaccard, with the space kept and with the whole pipeline refitted.

    Returns
    -------
    DataFrame
        One row per cluster. ``space kept`` (fresh draws where there are, else those of the screen) and ``refitted``:
        mean Jaccard; ``dissolved <level>`` and ``recovered <level>``: draws in which it is at most 0.5, above 0.75.
        Only the columns that are known.
    """
    found: dict[str, np.ndarray] = {}
    for level in ("fresh", "refit"):
        values = numbers(run[f"stability_jaccard_{level}"])
        for name in ("dissolved", "recovered") if len(values) else ():
            found[f"{name} {LEVELS[level]}"] = numbers(run[f"{name}_{level}"])
        if len(values):
            found[LEVELS[level]] = values
    found.setdefault(LEVELS["fresh"], numbers(run["stability_jaccard"]))
    means = [name for name in LEVELS.values() if len(found.get(name, ()))]
    k = len(found[means[0]]) if means else 0
    kept = [*means, *(name for name in found if name not in LEVELS.values())]
    return pd.DataFrame({name: found[name] for name in kept if len(found[name]) == k}, index=range(k))


def numbers(text: str) -> np.ndarray:
    """Read a JSON list of numbers; empty where it is none."""
    try:
        values = json.loads(text) if text else []
    except ValueError:
        values = []
    values = values if isinstance(values, list) else []
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
