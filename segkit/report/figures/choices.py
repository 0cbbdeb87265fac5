"""What mattered: scores against the number of clusters, by each choice, and by scaler and projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from segkit.report.figures.style import (
    COLOURS,
    DASHES,
    INK,
    MARKERS,
    WIDTH,
    apart,
    bounded,
    clipped,
    heatmap,
    legend_below,
    name_columns,
    name_rows,
    new_figure,
    palette,
    short,
    styled,
    texts,
    wrapped,
)
from segkit.report.figures.trust import NULL_TINTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_K = "Number of clusters, k"
# A band narrower than this share of the axis is hidden by a mark.
_NARROW = 0.03


@styled
def k_line(line: pd.DataFrame, chosen: int | None) -> Figure:
    """Draw one pipeline's elbow, reference silhouette and stability against k, each with its interval where known."""
    rows = [("inertia", "Inertia\n(squared distance)")] if line["inertia"].notna().any() else []
    rows += [("silhouette", "Reference\nsilhouette"), ("stability", "Stability\n(ARI)")]
    figure = new_figure(1.0 + 1.65 * len(rows))
    panels = figure.subplots(len(rows), 1, squeeze=False, sharex=True)[:, 0]
    for ax, (name, label) in zip(panels, rows, strict=True):
        if f"{name}_low" in line:
            low, high = (line[f"{name}_{end}"].astype(float) for end in ("low", "high"))
            ax.fill_between(line["k"], low, high, color=COLOURS[0], alpha=0.2, lw=0)
        ax.plot(line["k"], line[name], color=COLOURS[0], marker="o", ms=4.5)
        if chosen is not None:
            ax.axvline(chosen, color=INK, lw=1, ls="--")
        ax.set_ylabel(label)
        ax.yaxis.set_major_formatter(FuncFormatter(short))
    _refits(panels[-1], line)
    for ax in panels[:-2]:
        ax.set_ylim(bottom=max(0.0, ax.get_ylim()[0]))
    for ax in panels[-2:]:
        bounded(ax, "y")
    panels[-1].set_xlabel(_K)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(figure, _line_handles(line, chosen))
    return figure


def _refits(ax: Axes, line: pd.DataFrame) -> None:
    part = line.dropna(subset=["refitted"])
    ends = [(part["refitted"] - part["refitted_low"]).clip(0), (part["refitted_high"] - part["refitted"]).clip(0)]
    if len(part):
        ax.errorbar(part["k"], part["refitted"], yerr=np.nan_to_num(ends), color=COLOURS[2], fmt="s", ms=5, capsize=3)


def _line_handles(line: pd.DataFrame, chosen: int | None) -> list[Line2D]:
    handles = [Line2D([], [], color=COLOURS[0], marker="o", ms=4.5, label="score, or mean of draws")]
    bands = {"silhouette_low": "95% (silhouette)", "stability_low": "90% of draws (stability)"}
    told = " · ".join(text for name, text in bands.items() if line[name].notna().any())
    if told:
        handles.append(Line2D([], [], color=COLOURS[0], alpha=0.2, lw=7, label=told))
    if line["refitted"].notna().any():
        handles.append(Line2D([], [], ls="", color=COLOURS[2], marker="s", label="refitted, 90% of draws"))
    return handles + ([Line2D([], [], color=INK, ls="--", lw=1, label="run told here")] if chosen is not None else [])


@styled
def k_curves(curves: pd.DataFrame, method: str, spaces: Sequence[str]) -> Figure:
    """Draw elbow, reference silhouette and stability against k: a panel per space, a colour per scaler."""
    curves = curves[(curves["method"] == method) & curves["space"].isin(spaces)]
    rows = (
        [("inertia_share", "Inertia, share of\nthat at the least k")] if curves["inertia_share"].notna().any() else []
    )
    rows += [("silhouette", "Reference\nsilhouette"), ("stability", "Stability (ARI)")]
    figure = new_figure(1.7 * len(rows) + 1.1)
    panels = figure.subplots(len(rows), len(spaces), squeeze=False, sharex=True, sharey="row")
    scalers, sets = sorted(curves["scaler"].unique()), sorted(curves["features"].unique())
    for (column, label), line in zip(rows, panels, strict=True):
        line[0].set_ylabel(label)
        for ax, space in zip(line, spaces, strict=True):
            _lines(ax, curves[curves["space"] == space], column, scalers, sets)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    for ax in panels[-2:, 0]:
        bounded(ax, "y")
    titles = apart(spaces, lambda space: wrapped(space, max(16, 64 // len(spaces))))
    for ax, title in zip(panels[0], titles, strict=True):
        ax.set_title(title, fontsize=7.5, fontweight="normal")
    for ax in panels[-1]:
        ax.set_xlabel(_K if len(spaces) < 3 else "Clusters, k")
    tints = palette(scalers)
    handles = [
        Line2D([], [], color=tints[s], marker=MARKERS[i % 8], ms=4, label=clipped(s)) for i, s in enumerate(scalers)
    ]
    if len(sets) > 1:
        handles += [
            Line2D([], [], color=INK, ls=DASHES[i % 4], label=clipped(f"features: {s}")) for i, s in enumerate(sets)
        ]
    legend_below(figure, handles)
    return figure


def _lines(ax: Axes, part: pd.DataFrame, column: str, scalers: Sequence[str], sets: Sequence[str]) -> None:
    tints = palette(scalers)
    groups = part.groupby(["scaler", "features"])
    for (scaler, features), line in groups:
        line = line.sort_values("k")
        dash = DASHES[list(sets).index(features) % len(DASHES)]
        marker = MARKERS[list(scalers).index(scaler) % len(MARKERS)]
        ax.plot(line["k"], line[column], color=tints[scaler], ls=dash, marker=marker, ms=2.6, lw=1.2)
        if column == "stability" and groups.ngroups <= 3:
            ax.fill_between(line["k"], line["low"], line["high"], color=tints[scaler], alpha=0.15, lw=0)


@styled
def k_excess(lines: pd.DataFrame) -> Figure:
    """Draw silhouette and null mean with its band, and the excess, against k; a panel per pipeline."""
    names = list(dict.fromkeys(lines["line"]))
    figure = new_figure(4.8)
    panels = figure.subplots(2, len(names), squeeze=False, sharex=True, sharey="row", height_ratios=[3, 2])
    for name, told, (top, below) in zip(names, _pipelines(names), panels.T, strict=True):
        _against_k(top, below, lines[lines["line"] == name].sort_values("k"), len(names) <= 2)
        title = "\n".join(wrapped(part, max(16, 64 // len(names))) for part in told)
        top.set_title(title, fontsize=7.5, fontweight="normal")
        below.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7 if len(names) < 3 else 5))
    panels[0, 0].set_ylabel("Reference silhouette")
    panels[1, 0].set_ylabel("Excess over\nno segments")
    panels[1, 0].margins(y=0.25)
    for ax in panels[-1]:
        ax.set_xlabel(_K if len(names) < 3 else "Clusters, k")
    band = {"color": NULL_TINTS["copula"], "alpha": 0.2, "lw": 7}
    handles = [Line2D([], [], color=COLOURS[0], marker="o", ms=4, label="this data")]
    handles.append(Line2D([], [], color=NULL_TINTS["copula"], ls="--", label="no segments: mean"))
    handles += [Line2D([], [], label="middle 90%", **band)] if lines["low"].notna().any() else []
    if lines["best"].any():
        handles.append(Line2D([], [], color=COLOURS[2], lw=7, label="largest excess"))
    legend_below(figure, handles)
    return figure


def _pipelines(names: Sequence[str]) -> list[list[str]]:
    """Split pipelines' names into parts: scaler, projection, clusterer, and before them what is not the same in all."""
    parts = [name.split(" · ") for name in names]
    ends = [len(part) - part[-1].startswith("seed ") for part in parts]
    told = [
        [*part[: end - 4], *(f"features: {own}" for own in part[end - 4 : end - 3]), *part[end - 3 :]]
        for part, end in zip(parts, ends, strict=True)
    ]
    same = 0
    while same < min(ends) - 3 and len({part[same] for part in told}) == 1:
        same += 1
    return [part[same:] for part in told]


def _against_k(top: Axes, below: Axes, line: pd.DataFrame, told: bool) -> None:
    tint = NULL_TINTS["copula"]
    top.fill_between(line["k"], line["low"].astype(float), line["high"].astype(float), color=tint, alpha=0.2, lw=0)
    top.plot(line["k"], line["null_mean"], color=tint, ls="--", lw=1.2)
    top.plot(line["k"], line["silhouette"], color=COLOURS[0], marker="o", ms=4)
    below.axhline(0, color=INK, lw=0.8)
    tints = np.where(line["best"], COLOURS[2], COLOURS[0])
    below.bar(line["k"], line["excess"].astype(float), color=tints, width=0.62)
    for row in line.dropna(subset=["excess", "z"]).itertuples() if told else ():
        up = row.excess >= 0
        place = {"ha": "center", "va": "bottom" if up else "top", "xytext": (0, 2 if up else -2)}
        text = f"z {row.z:.0f}".replace("-", "−")
        below.annotate(text, (row.k, row.excess), textcoords="offset points", fontsize=7, **place)


@styled
def effects(table: pd.DataFrame) -> Figure:
    """Draw mean, quartiles and best of both scores for each value of each choice."""
    table = table.reset_index(drop=True)
    starts = table["axis"].ne(table["axis"].shift()).cumsum().to_numpy()
    at = np.arange(len(table)) + 0.9 * starts
    figure = new_figure(1.2 + 0.225 * (at[-1] + 1))
    panels = figure.subplots(1, 2, sharey=True)
    for ax, score, label in zip(
        panels, ("silhouette", "stability"), ("Reference silhouette", "Stability (ARI)"), strict=True
    ):
        _middle_halves(ax, at, *(table[f"{score}_{end}"].to_numpy(float) for end in ("q25", "q75", "best")))
        ax.plot(table[score], at, "o", color=COLOURS[0], ms=5)
        ax.plot(table[f"{score}_best"], at, "|", color=INK, ms=8, mew=1.4)
        ax.set_xlabel(label)
        bounded(ax, "x")
        ax.xaxis.set_major_locator(MaxNLocator(5))
    panels[0].set_yticks(at, [f"{clipped(v, 26)}  ({n})" for v, n in zip(table["value"], table["runs"], strict=True)])
    panels[0].set_ylim(at[-1] + 0.8, at[0] - 1.6)
    for axis, first in pd.Series(at).groupby(table["axis"].to_numpy(), sort=False).min().items():
        place = {"xytext": (-6, 0), "textcoords": "offset points", "ha": "right", "va": "center"}
        name = f"{str(axis)[:1].upper()}{str(axis)[1:]}"
        panels[0].annotate(
            name, (0.0, first - 0.85), xycoords=("axes fraction", "data"), fontweight="bold", fontsize=9, **place
        )
    legend_below(
        figure,
        [
            Line2D([], [], ls="", marker="o", color=COLOURS[0], label="mean"),
            Line2D([], [], color=COLOURS[0], lw=4, alpha=0.35, label="middle half of the runs"),
            Line2D([], [], ls="", marker="|", color=INK, ms=8, mew=1.4, label="best"),
        ],
    )
    return figure


def _middle_halves(ax: Axes, at: np.ndarray, low: np.ndarray, high: np.ndarray, best: np.ndarray) -> None:
    """Draw a band from each lower to each upper quartile; where that is too narrow to be seen, a square."""
    style = {"color": COLOURS[0], "alpha": 0.35}
    across = np.fmax.reduce(best) - np.fmin.reduce(low)
    narrow = high - low <= _NARROW * across
    ax.hlines(at[~narrow], low[~narrow], high[~narrow], lw=4, **style)
    ax.plot((low + high)[narrow] / 2, at[narrow], "s", ms=6, mew=0, **style)


@styled
def grid(table: pd.DataFrame) -> Figure:
    """Draw the best reference silhouette by scaler and projection."""
    few = table.shape[1] <= 9
    figure = new_figure(1.7 + 0.36 * max(len(table), 4), min(3.2 + 0.9 * table.shape[1], WIDTH))
    ax = figure.subplots()
    shown = texts(table, "{:.3f}".format) if few else None
    heatmap(ax, table, shown, cmap="viridis", bar={"label": "Best reference silhouette"})
    name_rows(ax, list(table.index))
    name_columns(ax, list(table.columns))
    ax.set(xlabel="Projection", ylabel="Scaler")
    return figure
