"""The leaderboard as the page holds it: all runs, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report import gather
from segkit.report.leaderboard import direction
from segkit.report.payload.codec import dictionary, significant

if TYPE_CHECKING:
    from segkit.report.gather import Summary

DIGITS = 6
FLAGS = ("eligible", "pareto", "confirmed")
# What goes with a column: its spread, and the ends of its interval.
ENDINGS = ("_sd", "_q05", "_q95", "_low", "_high")


@dataclass(frozen=True)
class Shown:
    """A column of the leaderboard: how it is called, told and sorted.

    ``name`` is its name in ``runs.parquet`` where it is there as it is. ``first`` is the direction in which the best
    comes first; a ``bar`` is drawn from 0 to the largest value; ``percent`` says that it is a share.
    """

    name: str
    title: str
    hint: str = ""
    first: str = "asc"
    kind: str = "number"
    digits: int | None = None
    bar: bool = False
    percent: bool = False


def meta_columns(summary: Summary) -> list[dict[str, Any]]:
    """Describe the columns that this study has values for."""
    return [_described(shown, summary.runs) for shown in _columns(summary)]


def _described(shown: Shown, runs: pd.DataFrame) -> dict[str, Any]:
    told = {"name": shown.name, "title": shown.title, "hint": shown.hint, "kind": shown.kind, "first": shown.first}
    top = float(runs[shown.name].max()) if shown.bar else 0.0
    told |= {"digits": shown.digits, "bar": [0, significant(np.array([top]), 4)[0]] if top > 0 else None}
    return told | ({"unit": "%"} if shown.percent else {})


def run_columns(summary: Summary) -> dict[str, list[Any] | dict[str, list[Any]]]:
    """Return all runs in leaderboard order, column by column.

    Returns
    -------
    dict
        ``run``; the columns of :func:`meta_columns`, with ``<name>_sd`` and the other ``ENDINGS`` that the study has;
        ``status``; the flags ``eligible``, ``pareto`` and ``confirmed``; and each choice and parameter in which runs
        differ as ``p:<name>``: its distinct ``values``, and in ``codes`` the place of each run's among them.
    """
    runs = summary.runs
    found: dict[str, Any] = {"run": runs["run"].tolist()}
    for shown in _columns(summary):
        found[shown.name] = _numbers(runs[shown.name]) if shown.kind == "number" else _texts(runs, shown.name)
        for ending in ENDINGS:
            if _known(runs, f"{shown.name}{ending}"):
                found[f"{shown.name}{ending}"] = _numbers(runs[f"{shown.name}{ending}"])
    found["status"] = runs["status"].tolist()
    found |= {name: runs[name].astype(bool).tolist() for name in FLAGS}
    return found | {f"p:{name}": dictionary(values) for name, values in _parameters(runs)}


def _columns(summary: Summary) -> list[Shown]:
    return [shown for shown in _all(summary) if shown.name in ("run", "state") or _known(summary.runs, shown.name)]


def _known(runs: pd.DataFrame, name: str) -> bool:
    return name in runs and bool(runs[name].notna().any())


def _all(summary: Summary) -> Iterator[Shown]:
    primary, runs = summary.references[0], summary.runs
    scores = {f"{score.name}_reference": score for score in summary.scores}
    yield Shown("standing", "#", "Place: by rank, then by silhouette", digits=0)
    yield Shown("run", "Run", "The run's id", kind="text")
    yield Shown("state", "State", "What became of the run, and whether it may be chosen", kind="text")
    if summary.confirmation:
        yield Shown("rank_low", "Best place", "5% of the places over resampled refits", digits=0)
        yield Shown("rank_high", "Worst place", "95% of the places over resampled refits", digits=0)
        yield Shown("screen_rank", "Screen", "Place in the screen", digits=0)
    yield _score(scores.pop("silhouette_reference"), primary)
    if summary.confirmation:
        hint = "Silhouette less its mean over tables without segments that went through the same pipeline"
        yield Shown("silhouette_excess", "Excess", hint, "desc", digits=3)
        yield Shown("p_adjusted", "p", "Adjusted for the whole shortlist by max-T")
    hint = "In the screen: mean ARI over bootstrap draws with the space kept"
    yield Shown("stability_ari", "Stability", hint, "desc", digits=2, bar=True)
    if summary.confirmation:
        hint = "Mean ARI over draws on which the whole pipeline is fitted anew"
        yield Shown("stability_ari_refit", "Refitted", hint, "desc", digits=2, bar=True)
    hint = "Mean Jaccard of the least stable segment"
    yield Shown("stability_jaccard_min", "Weakest Jaccard", hint, "desc", digits=2)
    yield Shown("n_clusters", "k", "Segments found", digits=0)
    hint = "ARI to the planted groups; takes no part in the order"
    yield Shown("truth_ari", "Truth", hint, "desc", digits=2)
    yield Shown("coverage", "Coverage", "Share of customers not noise", "desc", digits=0, percent=True)
    hint = f"Coverage times the silhouette in the {primary} reference space"
    yield Shown("silhouette_reference_penalised", "Penalised", hint, "desc", digits=3)
    for group in gather.GROUPS:
        if group not in ("data", "features") or gather.varies(runs, f"{group}_label"):
            yield Shown(f"{group}_label", group.capitalize(), kind="text")
    if gather.varies(runs, "seed"):
        yield Shown("seed", "Seed", digits=0)
    hint = "Smallest segment, share of customers"
    yield Shown("smallest_cluster", "Smallest", hint, "desc", digits=1, percent=True)
    for score in scores.values():
        yield _score(score, primary)
    for name, column in list(gather.reference_columns(runs, summary.references).items())[1:]:
        yield Shown(column, f"Silhouette, {name}", f"In the {name} reference space", "desc", digits=3)
    hint = "Silhouette in the space clustered in: not comparable across projections"
    yield Shown("silhouette_native", "Native †", hint, "desc", digits=3)
    yield Shown("inflation", "Inflation", "Native less reference silhouette", digits=3)
    hint = "Share of all weightings of the criteria under which the run is the best"
    yield Shown("weight_share", "Weightings", hint, "desc", digits=0, percent=True)
    yield Shown("seconds", "CPU", "Seconds of the run's stages and its share of shared ones")


def _score(score: Any, primary: str) -> Shown:
    hint = f"{score.label} in the {primary} reference space; {direction(score.higher_is_better)}"
    first = "desc" if score.higher_is_better else "asc"
    digits = 0 if score.name == "calinski_harabasz" else 3
    return Shown(f"{score.name}_reference", score.label, hint, first, digits=digits, bar=score.name == "silhouette")


def _numbers(values: pd.Series) -> list[float | int | None]:
    return significant(pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan), DIGITS)


def _texts(runs: pd.DataFrame, name: str) -> list[str]:
    return _states(runs).tolist() if name == "state" else runs[name].astype(str).tolist()


def _states(runs: pd.DataFrame) -> pd.Series:
    told = pd.Series(np.where(runs["confirmed"], "confirmed", "screened"), index=runs.index, dtype="object")
    told[runs["pareto"]] += ", Pareto"
    told[~runs["eligible"]] += ", not eligible"
    return told.where(runs["status"] == "ok", runs["status"])


def _parameters(runs: pd.DataFrame) -> Iterator[tuple[str, list[Any]]]:
    for group in gather.GROUPS:
        options = runs[group].tolist()
        named = [name for name in runs if str(name).startswith(f"{group}.") and name not in gather.NOT_PARAMETERS]
        for name in (group, *named):
            values = [_plain(value) for value in runs[name].tolist()]
            if _differ(values, options):
                yield name, values


def _differ(values: list[Any], options: list[str]) -> bool:
    """Tell whether a parameter has several values, or is given in some runs of an option and not in others."""
    kinds = {(option, type(value).__name__, value) for option, value in zip(options, values, strict=True)}
    return len({kind[1:] for kind in kinds if kind[2] is not None}) > 1 or len(kinds) > len(set(options))


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | float | str) else str(value)
