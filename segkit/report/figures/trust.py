"""Whether runs hold up: silhouette against stability, clusterwise Jaccard, three tests, tables without segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from segkit.report.figures.style import (
    COLOURS,
    DEEP,
    GREY,
    GROUND,
    INK,
    MARKERS,
    SMALL,
    WIDTH,
    apart,
    bounded,
    clipped,
    colour,
    halo,
    heatmap,
    legend_below,
    name_lanes,
    new_figure,
    styled,
    texts,
)
from segkit.study.judge.bars import AGREES, HIGHLY_STABLE, PATTERN, VALID
from segkit.study.plan.confirmation import COPULA, PERMUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NULL_TINTS = {COPULA: GREY, PERMUTED: COLOURS[3]}
_MANY_BARS = 40
_NAMES = 1.9
# Points: a run's mark is smaller where there are many; a box is this much wider, and a ring goes around box and star.
_MARK, _SMALL_MARK, _MANY_RUNS = 5.8, 4.0, 100
_BOX, _RING = 2.0, 7.0


@styled
def trust(runs: pd.DataFrame, best: str | None, gates: Mapping[str, object]) -> Figure:
    """Draw the screen: reference silhouette against stability, and coverage; front ringed, tested runs boxed."""
    figure = new_figure(7.0)
    above, below = figure.subplots(2, 1, height_ratios=[3, 2])
    _clouds(above, runs, "stability_ari", best)
    _clouds(below, runs, "coverage", best)
    above.set(xlabel="Stability in the screen: mean agreement (ARI) with draws of the customers")
    above.set_title("Would it survive?")
    below.set(xlabel="Coverage: share of the customers in a segment, not noise", xlim=(-0.03, 1.03))
    below.set_title("How many customers does it speak for?")
    bounded(above, "x")
    for ax in (above, below):
        bounded(ax, "y")
        ax.set_ylabel("Reference silhouette")
    if isinstance(gates.get("coverage"), int | float):
        below.axvline(gates["coverage"], color=INK, lw=0.9, ls="--")
        place = {"xycoords": ("data", "axes fraction"), "xytext": (-3, 0), "textcoords": "offset points"}
        below.annotate("gate", (gates["coverage"], 0.03), ha="right", fontsize=SMALL, **place)
    legend_below(figure, _method_handles(runs, best))
    return figure


def _clouds(ax: Axes, runs: pd.DataFrame, x: str, best: str | None) -> None:
    methods = sorted(runs["clusterer"].unique())
    mark = _SMALL_MARK if len(runs) > _MANY_RUNS else _MARK
    for i, method in enumerate(methods):
        part = runs[runs["clusterer"] == method]
        style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        ax.scatter(part[x], part["silhouette_reference"], s=mark**2, alpha=0.65, lw=0, rasterized=True, **style)
    front, tested = runs[runs["screen_pareto"]], runs[runs["confirmed"]]
    chosen = runs[runs["run"] == best]
    box, ring = ({"s": (mark + wider) ** 2, "facecolors": "none"} for wider in (_BOX, _RING))
    ax.scatter(tested[x], tested["silhouette_reference"], marker="s", edgecolors=INK, lw=0.6, **box)
    # Many boxes may stand on one spot: rings are drawn over them, and thicker.
    for tint, thick in ((GROUND, 1.9), (INK, 1.0)):
        ax.scatter(front[x], front["silhouette_reference"], edgecolors=tint, lw=thick, zorder=4, **ring)
    star = {"marker": "*", "color": INK, "edgecolors": GROUND, "lw": 0.8, "zorder": 5}
    ax.scatter(chosen[x], chosen["silhouette_reference"], s=(mark + _RING) ** 2, **star)


def _method_handles(runs: pd.DataFrame, best: str | None) -> list[Line2D]:
    methods = sorted(runs["clusterer"].unique())
    handles = [
        Line2D([], [], ls="", marker=MARKERS[i % len(MARKERS)], color=COLOURS[i % len(COLOURS)], label=clipped(m))
        for i, m in enumerate(methods)
    ]
    hollow = {"ls": "", "markerfacecolor": "none", "markeredgecolor": INK}
    if runs["screen_pareto"].any():
        front = "Pareto front of the screen" if runs["confirmed"].any() else "Pareto front"
        handles.append(Line2D([], [], marker="o", markersize=10, mew=1.0, label=front, **hollow))
    if runs["confirmed"].any():
        handles.append(Line2D([], [], marker="s", markersize=7, mew=0.6, label="tested further", **hollow))
    if best is not None:
        handles.append(Line2D([], [], ls="", marker="*", color=INK, markersize=11, label="run told here"))
    return handles


@styled
def jaccard(table: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Draw each cluster's mean Jaccard over the draws, a bar for each column, with Hennig's bars; the last is solid."""
    levels, few = list(table), len(table) <= _MANY_BARS
    pitch = 0.15 + 0.13 * len(levels) if few else 0.16
    figure = new_figure(max(1.9, 1.0 + pitch * len(table) + 0.3 * (len(levels) > 1)))
    ax = figure.subplots()
    at, height = np.arange(len(table)), 0.7 / len(levels)
    tints = [colour(i) for i in at]
    for place, level in enumerate(levels):
        last = level == levels[-1]
        y = at - 0.35 + height * (place + 0.5)
        ax.barh(y, table[level].fillna(0.0), color=tints, height=0.92 * height, alpha=1.0 if last else 0.4)
        for i, value in zip(y, table[level], strict=True):
            if few:
                _bar_text(ax, i, "none" if np.isnan(value) else f"{value:.2f}", SMALL if len(levels) == 1 else 7)
    for bar, word, side in (
        (PATTERN, "a pattern", "center"),
        (VALID, "valid", "center"),
        (HIGHLY_STABLE, "highly stable", "left"),
    ):
        ax.axvline(bar, color=INK, lw=0.9, ls="--", zorder=3)
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "xytext": (0, 3)}
        ax.annotate(f"{word}\n{bar:g}", (bar, 1.0), ha=side, va="bottom", fontsize=SMALL, **place)
    ax.set_yticks(at, apart(names, clipped))
    ax.set(xlim=(0, 1), ylim=(len(table) - 0.4, -0.6))
    ax.set_xlabel("Mean Jaccard with the most like segment of a draw (1: the same members)")
    ax.grid(visible=False)
    if len(levels) > 1:
        faint = {"lw": 6, "color": INK}
        legend_below(
            figure, [Line2D([], [], alpha=1 if name == levels[-1] else 0.4, label=name, **faint) for name in levels]
        )
    return figure


def _bar_text(ax: Axes, y: float, text: str, size: float) -> None:
    style = {"color": "white", "fontweight": "bold", "path_effects": halo(DEEP)}
    ax.annotate(text, (0.01, y), fontsize=size, va="center", **style)


@styled
def levels(table: pd.DataFrame, runs: Sequence[str], names: Mapping[str, str], order: Sequence[str]) -> Figure:
    """Draw each run's stability under each test, mean with 5% and 95% quantiles; hollow where no seed is used."""
    order = [level for level in order if (table["level"] == level).any()]
    figure = new_figure(1.1 + 0.52 * len(runs))
    ax = figure.subplots()
    at = {run: i for i, run in enumerate(runs)}
    for place, level in enumerate(order):
        part = table[table["level"] == level]
        y = part["run"].map(at) + 0.12 + 0.2 * (place - (len(order) - 1) / 2)
        tint = COLOURS[place]
        ax.hlines(y, part["low"], part["high"], color=tint, lw=2.2, alpha=0.5)
        faces = np.where(part["seedless"], GROUND, tint)
        ax.scatter(part["ari"], y, marker=MARKERS[place], s=30, c=faces, edgecolors=tint, lw=1.1, zorder=3)
    name_lanes(ax, runs, names)
    least = min(float(table[["ari", "low"]].min().min()), AGREES)
    ax.set(xlim=(least - 0.03, 1.02), xlabel="Agreement with the run's own segments (adjusted Rand index, ARI)")
    legend_below(
        figure,
        [Line2D([], [], ls="", marker=MARKERS[i], color=COLOURS[i], label=level) for i, level in enumerate(order)],
    )
    return figure


@styled
def nulls(table: pd.DataFrame, scores: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Draw each run's reference silhouette beside those of its pipeline on tables without segments, by kind."""
    kinds = [(kind, tint) for kind, tint in NULL_TINTS.items() if (scores["kind"] == kind).any()]
    figure = new_figure(1.2 + 0.5 * len(table))
    ax = figure.subplots()
    for place, (kind, tint) in enumerate(kinds):
        y = np.arange(len(table)) + 0.14 + (0.26 * place - 0.13 * (len(kinds) - 1))
        for run, i in zip(table["run"], y, strict=True):
            own = scores.loc[(scores["run"] == run) & (scores["kind"] == kind), "silhouette"]
            values = own.dropna()
            if len(values):
                ax.hlines(i, *values.quantile([0.05, 0.95]), color=tint, lw=9 if len(kinds) == 1 else 6, alpha=0.3)
            elif len(own):
                told = f"no silhouette on {len(own)} of {len(own)} tables"
                ax.annotate(told, (0.01, i), xycoords=("axes fraction", "data"), va="center", size=SMALL)
            ax.plot(values, np.full(len(values), i), "|", color=tint, ms=7, mew=0.9, alpha=0.8, rasterized=True)
    at = np.arange(len(table)) + 0.14
    if not kinds:
        ax.plot(table["null_mean"], at, "|", color=INK, ms=12, mew=1.6)
    holds = table["holds"].to_numpy(dtype=bool)
    ax.scatter(table["silhouette"], at, s=44, c=np.where(holds, COLOURS[2], GROUND), edgecolors=COLOURS[2], zorder=4)
    for i, row in zip(at, table.itertuples(), strict=True):
        shown = "" if np.isnan(row.p_adjusted) else f"p {row.p_adjusted:.2g}"
        ax.annotate(shown, (1.01, i), xycoords=("axes fraction", "data"), va="center", fontsize=SMALL)
    name_lanes(ax, list(table["run"]), names)
    ax.margins(x=0.03)
    bounded(ax, "x")
    ax.set_xlabel("Reference silhouette (right: p adjusted for the whole shortlist)")
    legend_below(figure, [*_observed_handles(), *(_null_handle(kind, tint) for kind, tint in kinds)])
    return figure


def _observed_handles() -> list[Line2D]:
    style = {"ls": "", "marker": "o", "markeredgecolor": COLOURS[2]}
    return [
        Line2D([], [], markerfacecolor=COLOURS[2], label="this data: better", **style),
        Line2D([], [], markerfacecolor=GROUND, label="this data: no better", **style),
    ]


def _null_handle(kind: str, tint: str) -> Line2D:
    told = {COPULA: "no segments, same correlations", PERMUTED: "columns shuffled"}
    return Line2D([], [], ls="", marker="|", color=tint, ms=9, mew=1.4, label=told[kind])


@styled
def agreement(matrix: pd.DataFrame, places: Mapping[str, int]) -> Figure:
    """Draw the adjusted Rand index of every pair of top runs, which are named by their places and ids."""
    r = len(matrix)
    figure = new_figure(1.1 + 0.3 * max(r, 3), min(_NAMES + 0.34 * max(r, 6), WIDTH))
    ax = figure.subplots()
    shown = texts(matrix, lambda ari: f"{ari:.2f}".replace("0.", ".")) if r <= 20 else None
    bar = {"label": "Agreement (adjusted Rand index)", "shrink": 0.9}
    heatmap(ax, matrix, shown, cmap="viridis", vmin=0, vmax=1, bar=bar, size=7 if r > 10 else SMALL)
    ax.set_yticks(np.arange(r) + 0.5, [f"{places[run]}. {clipped(run, 14)[:6]}" for run in matrix.index])
    ax.set_xticks(np.arange(r) + 0.5, [f"{places[run]}." for run in matrix.columns])
    ax.set(xlabel="Place in the leaderboard", ylabel="Place and run")
    return figure
