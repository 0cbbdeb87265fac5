"""The leaderboard: all runs, best first, a column for everything that matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report import gather, words
from segkit.report.blocks import Cell, Column, Leaderboard
from segkit.report.confirmed import COPULA

if TYPE_CHECKING:
    from segkit.report.gather import Summary

ALONE = " ‡"
_ITSELF = f"{ALONE.strip()} where the run finds nothing on tables without segments: its silhouette itself"

_SCREENED_PLACE = "Place: by share of weightings won among eligible runs, then by silhouette"
_CONFIRMED_PLACE = (
    "Place: confirmed runs that do better than structureless data, by share of weightings won; then the other "
    "confirmed ones; then as in the screen"
)
_STATES = "Screened only, or confirmed as well; Pareto: no other "
_SCREENED_FRONT = "eligible run is better in every criterion of the screen"
_CONFIRMED_FRONT = "confirmed run that holds up is better in every criterion of the confirmation"


def leaderboard(summary: Summary, limit: int = 100) -> Leaderboard:
    """Lay out the first runs, best first, with every column that matters; with a script the page shows all."""
    runs = summary.runs.head(limit)
    columns, values = [], []
    for column, cells in _leader_columns(summary, runs):
        columns.append(column)
        values.append(cells)
    states = zip(runs["run"], runs["eligible"], runs["pareto"], strict=True)
    rows = [(run, bool(e), bool(p), list(cells)) for (run, e, p), *cells in zip(states, *values, strict=True)]
    return Leaderboard(columns, rows, len(summary.runs))


def _leader_columns(summary: Summary, runs: pd.DataFrame) -> list[tuple[Column, list[Cell]]]:
    primary = summary.references[0]
    laid = [
        (
            Column("#", _CONFIRMED_PLACE if summary.confirmation else _SCREENED_PLACE, True, "asc"),
            _numbers(runs["standing"], words.count),
        ),
        (Column("Run", "The run's id", False, "asc"), _texts(runs["run"])),
        (
            Column("State", _STATES + (_CONFIRMED_FRONT if summary.confirmation else _SCREENED_FRONT), False, "asc"),
            _texts(_states(runs)),
        ),
    ]
    scores = {score.name: _score_column(score, runs, primary) for score in summary.scores}
    laid += _places(runs) if summary.confirmation else []
    laid += [pair for name, pair in scores.items() if name == "silhouette"]
    laid += _excesses(summary, runs) if summary.confirmation else []
    laid += [
        (
            Column(
                "Stability",
                "In the screen: mean ARI over bootstrap draws with the space kept, and its standard deviation",
                True,
                "desc",
            ),
            _numbers(runs["stability_ari"], words.number, _bars(runs["stability_ari"]), _spans(runs, "stability_ari")),
        ),
        *(_refits(runs) if summary.confirmation else []),
        (
            Column("Weakest Jaccard", "Mean Jaccard of the least stable segment", True, "desc"),
            _numbers(runs["stability_jaccard_min"], partial(words.number, digits=2)),
        ),
        (Column("k", "Segments found", True, "asc"), _numbers(runs["n_clusters"], words.count)),
        *_truth_column(runs),
        (Column("Coverage", "Share of customers not noise", True, "desc"), _numbers(runs["coverage"], words.percent)),
        *_penalised(runs, primary),
    ]
    for group in gather.GROUPS:
        if group not in ("data", "features") or gather.varies(runs, f"{group}_label"):
            laid.append((Column(group.capitalize(), "", False, "asc"), _texts(runs[f"{group}_label"])))
    if gather.varies(runs, "seed"):
        laid.append((Column("Seed", "", True, "asc"), _numbers(runs["seed"], words.count)))
    smallest = _numbers(runs["smallest_cluster"], partial(words.percent, digits=1))
    laid.append((Column("Smallest", "Smallest segment, share of customers", True, "desc"), smallest))
    laid += [pair for name, pair in scores.items() if name != "silhouette"]
    ranks = [f"rank_{name}" for name in gather.reference_columns(runs, summary.references)]
    if len(ranks) > 1:
        hint = "Place by silhouette alone, among all runs, in the reference spaces "
        hint += f"{', '.join(summary.references)}; sorted by the worst"
        worst = runs[ranks].max(axis=1)
        laid.append(
            (Column("By reference", hint, True, "asc"), _numbers(worst, words.count, shown=_ranks(runs[ranks])))
        )
    hint = "Silhouette in the space clustered in: not comparable across projections"
    laid += [
        (Column("Native †", hint, True, "desc"), _numbers(runs["silhouette_native"], words.number)),
        (
            Column("Inflation", "Native less reference silhouette", True, "asc"),
            _numbers(runs["inflation"], words.number),
        ),
    ]
    laid.append(
        (
            Column("CPU", "Seconds of the run's stages and its share of shared ones", True, "asc"),
            _numbers(runs["seconds"], words.seconds),
        )
    )
    return laid


def _places(runs: pd.DataFrame) -> list[tuple[Column, list[Cell]]]:
    spans = zip(runs["rank_low"], runs["rank_high"], strict=True)
    shown = [words.NONE if words.absent(low) else f"{low:.0f} to {high:.0f}" for low, high in spans]
    interval = Column("Place, 90%", "Of the places over resampled refits; only runs that hold up have one", True, "asc")
    return [
        (interval, _numbers(runs["rank_low"], words.count, shown=shown)),
        (Column("Screen", "Place in the screen", True, "asc"), _numbers(runs["screen_rank"], words.count)),
    ]


def _excesses(summary: Summary, runs: pd.DataFrame) -> list[tuple[Column, list[Cell]]]:
    excess = "Silhouette less its mean over tables without segments that went through the same pipeline"
    alone = _without_nulls(summary, runs)
    shown = [words.number(value) + ALONE * own for value, own in zip(runs["silhouette_excess"], alone, strict=True)]
    excess += f"; {_ITSELF}" if alone.any() else ""
    adjusted = "Adjusted for the whole shortlist by max-T; only confirmed runs have one"
    return [
        (Column("Excess", excess, True, "desc"), _numbers(runs["silhouette_excess"], words.number, shown=shown)),
        (Column("p", adjusted, True, "asc"), _numbers(runs["p_adjusted"], words.p_value)),
    ]


def marked(summary: Summary) -> str:
    """Say what the mark behind an excess means, where one has it."""
    if summary.confirmation is None or not _without_nulls(summary, summary.runs).any():
        return ""
    return f"Excess: {_ITSELF}."


def _without_nulls(summary: Summary, runs: pd.DataFrame) -> pd.Series:
    """Mark the runs whose excess is their silhouette, because they have none on any table without segments."""
    nulls = summary.confirmation.nulls
    found = set(nulls.loc[(nulls["kind"] == COPULA) & nulls["silhouette"].notna(), "run"])
    return runs["silhouette_excess"].notna() & ~(runs["silhouette_null_mean"].abs() > 0) & ~runs["run"].isin(found)


def _refits(runs: pd.DataFrame) -> list[tuple[Column, list[Cell]]]:
    hint = "Mean ARI over draws on which the whole pipeline is fitted anew, and its standard deviation"
    name = "stability_ari_refit"
    return [(Column("Refitted", hint, True, "desc"), _numbers(runs[name], words.number, shown=_spans(runs, name)))]


def _penalised(runs: pd.DataFrame, primary: str) -> list[tuple[Column, list[Cell]]]:
    name = "silhouette_reference_penalised"
    if name not in runs or runs[name].isna().all():
        return []
    hint = f"Coverage times the silhouette in the {primary} reference space; the silhouette itself where it is negative"
    return [(Column("Penalised", hint, True, "desc"), _numbers(runs[name], words.number))]


def _truth_column(runs: pd.DataFrame) -> list[tuple[Column, list[Cell]]]:
    if runs["truth_ari"].isna().all():
        return []
    column = Column("Truth", "ARI to the planted groups; takes no part in the order", True, "desc")
    return [(column, _numbers(runs["truth_ari"], partial(words.number, digits=2)))]


def _score_column(score: Any, runs: pd.DataFrame, primary: str) -> tuple[Column, list[Cell]]:
    values = runs[f"{score.name}_reference"]
    hint = f"{score.label} in the {primary} reference space; {direction(score.higher_is_better)}"
    bars = _bars(values) if score.name == "silhouette" else None
    first = "desc" if score.higher_is_better else "asc"
    return Column(score.label, hint, True, first), _numbers(values, _digits(score.name), bars)


def direction(higher: bool) -> str:
    """Say which way a score is better."""
    return f"{'higher' if higher else 'lower'} is better"


def _digits(name: str) -> Callable[[Any], str]:
    return partial(words.number, digits=0 if name == "calinski_harabasz" else 3)


def _states(runs: pd.DataFrame) -> pd.Series:
    told = pd.Series(np.where(runs["confirmed"], "confirmed", "screened"), index=runs.index, dtype="object")
    told[runs["pareto"]] += ", Pareto"
    told[~runs["eligible"]] += ", not eligible"
    return told.where(runs["status"] == "ok", runs["status"])


def _texts(values: pd.Series) -> list[Cell]:
    return [Cell(str(value)) for value in values]


def _numbers(
    values: pd.Series,
    write: Callable[[Any], str],
    bars: Sequence[int | None] | None = None,
    shown: Sequence[str] | None = None,
) -> list[Cell]:
    plain = pd.to_numeric(values, errors="coerce").astype(float)
    texts = shown if shown is not None else [write(value) for value in plain]
    keys = ["" if np.isnan(value) else f"{value:.6g}" for value in plain]
    return [Cell(*cell) for cell in zip(texts, keys, bars or [None] * len(plain), strict=True)]


def _bars(values: pd.Series) -> list[int | None]:
    top = values.max()
    return [None if np.isnan(v) or not top > 0 else round(100 * max(v, 0.0) / top) for v in values.astype(float)]


def _spans(runs: pd.DataFrame, name: str) -> list[str]:
    rows = zip(runs[name], runs[f"{name}_sd"], strict=True)
    return [words.number(ari, 2) + ("" if np.isnan(ari) or np.isnan(sd) else f" ± {sd:.2f}") for ari, sd in rows]


def _ranks(ranks: pd.DataFrame) -> list[str]:
    return [" / ".join(words.count(None if np.isnan(r) else r) for r in row) for row in ranks.to_numpy(float)]
