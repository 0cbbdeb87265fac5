"""The leaderboard: all runs, best first, a column for everything that matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report import gather, words
from segkit.report.blocks import Cell, Column, Leaderboard
from segkit.study.plan.confirmation import COPULA

if TYPE_CHECKING:
    from segkit.report.gather import Summary

ALONE, UNTESTED = " ‡", " °"
# What became of a run that was set against structureless data.
HELD, FAILED = "above null", "no better than null"
_IMPUTED = (
    f"{ALONE.strip()} where the run finds nothing on tables without segments: M / √(M + 1) for M tables, what it "
    "counts in the test if none is as good, and less if some are"
)
_ITSELF = f"{ALONE.strip()} where the run finds nothing on tables without segments: its silhouette itself"

_SCREENED_PLACE = "Place: by share of weightings won among eligible runs, then by silhouette"
_CONFIRMED_PLACE = (
    "Place: tested runs that do better than structureless data, by share of weightings won; then the other tested "
    "ones; then as in the screen"
)
_STATES = (
    "Screened only, or tested in the confirmation as well: whether its silhouette is above that of structureless data "
    "(the null), which does not tell how stable it is; Pareto: no other "
)
_SCREENED_FRONT = "eligible run is better in every criterion of the screen"
_CONFIRMED_FRONT = "run above structureless data is better in every criterion of the confirmation"
# The table without a script draws no others: each bar is an element of its own.
_DRAWN = ("silhouette_reference", "stability_ari")


@dataclass(frozen=True)
class Shown:
    """A column of the leaderboard: how it is called, told and sorted.

    ``name`` is its name in ``Summary.runs``. ``first`` is the direction in which the best comes first. A ``bar`` is
    drawn from 0 to the largest value, or where less is better, to one that few exceed, or between its ``ends``;
    ``percent`` says that it is a share; ``parts`` are the columns shown in its place, with ``joint`` between them;
    ``paper`` that it is printed.
    """

    name: str
    title: str
    hint: str = ""
    first: str = "asc"
    kind: str = "number"
    digits: int | None = None
    bar: bool = False
    ends: tuple[float, float] | None = None
    percent: bool = False
    parts: tuple[str, ...] = ()
    joint: str = ""
    paper: bool = False

    @property
    def numeric(self) -> bool:
        """Tell whether the column holds numbers."""
        return self.kind == "number"


def leaderboard(summary: Summary, limit: int = 100) -> Leaderboard:
    """Lay out the first runs, best first, with every column that matters; with a script the page shows all."""
    shown, runs = shown_columns(summary), summary.runs.head(limit)
    laid = [_cells(column, summary)[:limit] for column in shown]
    states = zip(runs["run"], runs["eligible"], runs["pareto"], strict=True)
    rows = [(run, bool(e), bool(p), list(cells)) for (run, e, p), *cells in zip(states, *laid, strict=True)]
    columns = [Column(each.title, each.hint, each.numeric, each.first) for each in shown]
    return Leaderboard(columns, rows, len(summary.runs))


def shown_columns(summary: Summary) -> list[Shown]:
    """Describe the columns that this study has values for, what a run is before how it did."""
    told = summary.runs
    made = {"run", "state", *([] if told["eligible"].all() else ["misses"])}
    return [_directed(shown) for shown in _all(summary) if shown.name in made or known(told, shown.name)]


def _directed(shown: Shown) -> Shown:
    """Say of a score which way it is better."""
    way = direction(shown.first == "desc")
    return replace(shown, hint=f"{shown.hint}; {way}") if shown.bar else shown


def known(runs: pd.DataFrame, name: str) -> bool:
    """Tell whether a column has a value of any run."""
    return name in runs and bool(runs[name].notna().any())


def _all(summary: Summary) -> Iterator[Shown]:
    primary, runs = summary.references[0], summary.runs
    scores = {f"{score.name}_reference": score for score in summary.scores}
    front = _CONFIRMED_FRONT if summary.confirmation else _SCREENED_FRONT
    place = _CONFIRMED_PLACE if summary.confirmation else _SCREENED_PLACE
    yield Shown("standing", "#", place, digits=0, paper=True)
    yield Shown("run", "Run", "The run's id", kind="text", paper=True)
    for group in gather.GROUPS:
        if group not in ("data", "features") or gather.varies(runs, f"{group}_label"):
            yield Shown(f"{group}_label", group.capitalize(), kind="text", paper=True)
    yield Shown("n_clusters", "k", "Segments found", digits=0, paper=True)
    hint = "ARI to the planted groups; takes no part in the order"
    yield Shown("truth_ari", "Truth", hint, "desc", digits=2, bar=True)
    yield Shown("state", "State", _STATES + front, kind="text", paper=True)
    yield _score(scores.pop("silhouette_reference"), primary)
    if summary.confirmation:
        yield from _confirmed(summary)
    hint = "In the screen: mean ARI over bootstrap draws with the space kept, and its standard deviation"
    yield Shown("stability_ari", "Stability", hint, "desc", digits=2, bar=True, paper=True)
    if summary.confirmation:
        hint = "Mean ARI over draws on which the whole pipeline is fitted anew, and its standard deviation"
        yield Shown("stability_ari_refit", "Refitted", hint, "desc", digits=2, bar=True, paper=True)
        hint = "Mean Jaccard of the least stable segment over draws on which the whole pipeline is fitted anew"
        yield Shown("stability_jaccard_min_refit", "Weakest Jaccard, refitted", hint, "desc", digits=2, bar=True)
    hint = "Mean Jaccard of the least stable segment"
    if summary.confirmation:
        # No bar, and so no mark of the best: with the space kept a run of UMAP is flattered.
        hint += " in the screen, with the space kept"
        yield Shown("stability_jaccard_min", "Weakest Jaccard, screen", hint, "desc", digits=2)
    else:
        yield Shown("stability_jaccard_min", "Weakest Jaccard", hint, "desc", digits=2, bar=True)
    hint = "Share of customers not noise"
    yield Shown("coverage", "Coverage", hint, "desc", digits=0, bar=True, percent=True, paper=True)
    hint = f"Coverage times the silhouette in the {primary} reference space; the silhouette itself where it is negative"
    yield Shown("silhouette_reference_penalised", "Penalised", hint, "desc", digits=3, bar=True)
    if gather.varies(runs, "seed"):
        yield Shown("seed", "Seed", digits=0)
    hint = "Smallest segment, share of customers"
    yield Shown("smallest_cluster", "Smallest", hint, "desc", digits=1, percent=True)
    for score in scores.values():
        yield _score(score, primary)
    if summary.confirmation:
        hint = "Mean over splits in halves, and its standard deviation; a number of segments is supported from 0.8"
        yield Shown("prediction_strength", "Prediction strength", hint, "desc", digits=2, bar=True)
        hint = f"By density in the {primary} reference space, from -1, where the bar starts, to 1"
        yield Shown("dbcv_reference", "DBCV", hint, "desc", digits=2, bar=True, ends=(-1, 1))
    references = gather.reference_columns(runs, summary.references)
    for name, column in list(references.items())[1:]:
        yield Shown(column, f"Silhouette, {name}", f"In the {name} reference space", "desc", digits=3, bar=True)
    if len(references) > 1:
        hint = "Place by silhouette alone, among all runs, in the reference spaces "
        hint += f"{', '.join(summary.references)}; sorted by the worst"
        parts = tuple(f"rank_{name}" for name in references)
        yield Shown("rank_worst", "By reference", hint, digits=0, parts=parts, joint=" / ")
    hint = "Silhouette in the space clustered in: not comparable across projections"
    yield Shown("silhouette_native", "Native †", hint, "desc", digits=3)
    yield Shown("inflation", "Inflation", "Native less reference silhouette", digits=3)
    hint = "Share of all weightings of the criteria under which the run is the best"
    yield Shown("weight_share", "Weightings", hint, "desc", digits=0, bar=True, percent=True)
    yield Shown("seconds", "CPU, s", "Seconds of the run's stages and its share of shared ones")
    hint = "Why the run cannot be chosen: the gates that it misses; why runs did not come through is under Failures"
    yield Shown("misses", "Misses", hint, kind="text")
    if summary.confirmation:
        hint = (
            "Of the places over resampled refits, the other criteria held fixed, 5% to 95%; only runs that are better "
        )
        hint += "than structureless data have one"
        yield Shown("rank_low", "Place, 90%", hint, digits=0, parts=("rank_low", "rank_high"), joint=" to ")
        yield Shown("screen_rank", "Screen", "Place in the screen", digits=0)


def _confirmed(summary: Summary) -> Iterator[Shown]:
    hint = "Silhouette less its mean over tables without segments that went through the same pipeline"
    hint += f"; {_ITSELF}" if _without_nulls(summary).any() else ""
    yield Shown("silhouette_excess", "Excess", hint, "desc", digits=3, bar=True, paper=True)
    for name, score in {"silhouette": "Silhouette", "davies_bouldin": "Davies-Bouldin"}.items():
        hint = f"{score}: excess in standard deviations of the whole pipeline over all its k, by which places are given"
        hint += f"; {UNTESTED.strip()} of a run that was not tested itself, but is a tested one's pipeline at another k"
        hint += f"; {_IMPUTED}" if _imputed(summary, name).any() else ""
        yield Shown(f"{name}_pooled_z", f"{score} z", hint, "desc", digits=1, bar=True)
    hint = "Adjusted for the whole shortlist by max-T; only tested runs have one"
    yield Shown("p_adjusted", "p", hint, paper=True)


def _score(score: Any, primary: str) -> Shown:
    hint = f"{score.label} in the {primary} reference space"
    first = "desc" if score.higher_is_better else "asc"
    digits = 0 if score.name == "calinski_harabasz" else 3
    name = f"{score.name}_reference"
    return Shown(name, score.label, hint, first, digits=digits, bar=True, paper=score.name == "silhouette")


def direction(higher: bool) -> str:
    """Say which way a score is better."""
    return f"{'higher' if higher else 'lower'} is better"


# ------------------------------------------------------------------ what stands in a column


def texts(shown: Shown, summary: Summary) -> list[str | None]:
    """Return what a column of text says of each run; None where there is nothing to say."""
    if shown.name == "state":
        return _states(summary).tolist()
    return missed_by(summary) if shown.name == "misses" else summary.runs[shown.name].astype(str).tolist()


def _states(summary: Summary) -> pd.Series:
    runs = summary.runs
    told = pd.Series("screened", index=runs.index, dtype="object")
    told[runs["confirmed"]] = FAILED
    told[runs["run"].isin(summary.confirmation.holding_up if summary.confirmation else ())] = HELD
    told[runs["pareto"]] += ", Pareto"
    told[~runs["eligible"]] += ", not eligible"
    return told.where(runs["status"] == "ok", runs["status"])


def missed_by(summary: Summary) -> list[str | None]:
    """Say of each run why it cannot be chosen, but not why one failed: that may tell a customer's values."""
    runs = summary.runs
    missed = gather.missed(runs, summary.study.get("scoring", {}).get("gates") or {})
    gates = {at: [name for name in missed if row[name]] for at, row in missed.iterrows()}
    column = next((c for c in ("silhouette_reference_status", "stability_status") if c in runs), None)
    unscored = runs[column].where(runs["silhouette_reference"].isna(), "ok").fillna("ok") if column else None
    told: list[str | None] = []
    for at, status in runs["status"].items():
        if status != "ok":
            told.append(words.MISSED["status"])
            continue
        scoreless = unscored is not None and unscored[at] != "ok"
        lost = [words.MISSED[name] for name in gates.get(at, []) if not (scoreless and name == "scores")]
        told.append(", ".join([*lost, *([f"no score: {words.status(str(unscored[at])).lower()}"] * scoreless)]) or None)
    return told


def marks(shown: Shown, summary: Summary) -> list[str] | None:
    """Return what stands behind the numbers of a column, run by run; None where nothing does."""
    if shown.name.endswith("_pooled_z"):
        alone = _imputed(summary, shown.name.removesuffix("_pooled_z"))
        found = np.where(alone, ALONE, np.where(summary.runs["confirmed"], "", UNTESTED))
    elif shown.name == "silhouette_excess":
        found = np.where(_without_nulls(summary), ALONE, "")
    else:
        return None
    told = np.where(summary.runs[shown.name].notna(), found, "")
    return told.tolist() if (told != "").any() else None


def marked(summary: Summary) -> str:
    """Say what the mark behind an excess means, where one has it."""
    if summary.confirmation is None or not _without_nulls(summary).any():
        return ""
    return f"Excess: {_ITSELF}. Its z: {_IMPUTED}."


def _without_nulls(summary: Summary) -> pd.Series:
    """Mark the runs whose excess is their silhouette, because they have none on any table without segments."""
    nulls, runs = summary.confirmation.nulls, summary.runs
    found = set(nulls.loc[(nulls["kind"] == COPULA) & nulls["silhouette"].notna(), "run"])
    return runs["silhouette_excess"].notna() & ~(runs["silhouette_null_mean"].abs() > 0) & ~runs["run"].isin(found)


def _imputed(summary: Summary, score: str) -> pd.Series:
    """Mark the runs that have no z of their own in a score, and so no pooled one either but by what the test counts."""
    runs = summary.runs
    pooled, own = (runs.get(f"{score}_{name}", pd.Series(np.nan, runs.index)) for name in ("pooled_z", "z"))
    return pooled.notna() & own.isna()


def _cells(shown: Shown, summary: Summary) -> list[Cell]:
    if not shown.numeric:
        return [Cell(text or "") for text in texts(shown, summary)]
    runs = summary.runs
    values = pd.to_numeric(runs[shown.name], errors="coerce").astype(float)
    bars = _bars(values) if shown.name in _DRAWN else [None] * len(values)
    told = _parts(runs[list(shown.parts)], shown.joint) if shown.parts else _numbers(shown, runs)
    behind = marks(shown, summary) or [""] * len(values)
    keys = ["" if np.isnan(value) else f"{value:.6g}" for value in values]
    rows = zip(told, behind, keys, bars, strict=True)
    return [Cell(text + mark, key, bar) for text, mark, key, bar in rows]


def _numbers(shown: Shown, runs: pd.DataFrame) -> list[str]:
    values = pd.to_numeric(runs[shown.name], errors="coerce").astype(float)
    if shown.percent:
        return [words.percent(value, shown.digits or 0) for value in values]
    if shown.digits is None:
        return [words.short(value) for value in values]
    spread = runs.get(f"{shown.name}_sd", pd.Series(np.nan, runs.index)).astype(float)
    pairs = zip(values, spread, strict=True)
    return [
        words.number(value, shown.digits) + ("" if np.isnan(value) or np.isnan(sd) else f" ± {sd:.{shown.digits}f}")
        for value, sd in pairs
    ]


def _parts(parts: pd.DataFrame, joint: str) -> list[str]:
    rows = parts.to_numpy(float, na_value=np.nan)
    told = [[words.count(None if np.isnan(value) else value) for value in row] for row in rows]
    return [words.NONE if set(row) == {words.NONE} else joint.join(row) for row in told]


def _bars(values: pd.Series) -> Sequence[int | None]:
    top = values.max()
    return [None if np.isnan(v) or not top > 0 else round(100 * max(v, 0.0) / top) for v in values]
