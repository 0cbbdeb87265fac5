"""The spaces in which runs clustered: pictures of them, and how much they flatter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.lines import Line2D

from segkit.report.figures.style import (
    COLOURS,
    GROUND,
    INK,
    NOISE,
    PALE,
    SMALL,
    WIDTH,
    apart,
    clipped,
    colour,
    halo,
    legend_below,
    new_figure,
    palette,
    shortened,
    styled,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from segkit.report.gather import Embedding


@styled
def embeddings(planes: Sequence[Embedding], names: Mapping[str, str], columns: int = 2) -> Figure:
    """Draw each embedding, coloured by the labels of its best run."""
    columns = min(columns, len(planes))
    rows = -(-len(planes) // columns)
    side = WIDTH / columns if columns > 1 else 5.6
    figure = new_figure((side * 0.92 + 0.2) * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, plane in zip(panels, planes, strict=False):
        _plane(ax, plane)
        axis = clipped(plane.label.rpartition(" > ")[2], 24 if columns > 1 else 40)
        first, second = f"{axis}, first axis", "second axis"
        if plane.shares:
            first, second = (
                f"{name} principal component: {share:.0%} of the variance"
                for name, share in zip(("first", "second"), plane.shares, strict=True)
            )
        ax.set_xlabel(first, fontsize=SMALL)
        ax.set_ylabel(second, fontsize=SMALL)
        width = 38 if columns > 1 else 90
        lines = 2 if columns > 1 else 1
        title = f"{shortened(plane.label, width, lines)}\n{shortened(_run_name(plane, names), width, lines + 1)}"
        ax.set_title(title, fontsize=SMALL, fontweight="normal")
    for ax in panels[len(planes) :]:
        ax.set_axis_off()
    return figure


def _run_name(plane: Embedding, names: Mapping[str, str]) -> str:
    """Name a run beside the space it is drawn in: without the steps to this space, if it took them."""
    steps = plane.label.replace(" > ", " · ")
    return f" {names[plane.run]}".replace(f" {steps} · ", " ", 1).strip()


def _plane(ax: Axes, plane: Embedding) -> None:
    shuffled = np.random.default_rng(0).permutation(len(plane.labels))
    points, labels = plane.points[shuffled], plane.labels[shuffled]
    size = float(np.clip(6000 / max(len(points), 1), 1.2, 14))
    noise = labels < 0
    ax.scatter(*points[noise].T, s=size * 0.7, color=NOISE, alpha=0.5, lw=0, rasterized=True)
    tints = [colour(label) for label in labels[~noise]]
    ax.scatter(*points[~noise].T, s=size, c=tints or None, alpha=0.75, lw=0, rasterized=True)
    found = np.unique(labels[~noise])
    for label in found[:60]:
        ax.annotate(
            str(label),
            np.median(points[labels == label], axis=0),
            ha="center",
            va="center",
            fontsize=9.5 if len(found) <= 12 else 7,
            fontweight="bold",
            path_effects=halo(GROUND),
        )
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set(visible=True, color=PALE)


@styled
def inflation(table: pd.DataFrame) -> Figure:
    """Draw native less reference silhouette of every run, by projection; a lane for each clusterer."""
    spaces = list(table.groupby("space")["inflation"].median().sort_values(ascending=False).index)
    methods = sorted(table["clusterer"].unique())
    lanes = {"data": table, "x": "inflation", "y": "space", "order": spaces, "orient": "h", "legend": False}
    row = 0.2 + 0.11 * len(methods)
    figure = new_figure(1.4 + row * len(spaces))
    ax = figure.subplots()
    line = {"color": INK, "linestyle": "none", "marker": "|", "markersize": 54 * row, "markeredgewidth": 2.2}
    band = {"linewidth": 50 * row, "alpha": 0.12, "solid_capstyle": "butt"}
    sns.pointplot(**lanes, **line, ax=ax, estimator="median", errorbar=("pi", 50), err_kws=band)
    # Lanes instead of jitter: seaborn draws jitter from the global generator, and no two pages would be the same.
    tints = {"hue": "clusterer", "hue_order": methods, "palette": palette(methods)}
    sns.stripplot(**lanes, **tints, ax=ax, dodge=True, jitter=False, size=3.4, alpha=0.6, zorder=3, rasterized=True)
    ax.axvline(0, color=INK, lw=0.9, ls="--")
    ax.set_yticks(range(len(spaces)), apart(spaces, lambda space: wrapped(space, 19)))
    ax.set(xlabel="Silhouette in the space clustered in, less that in the reference space", ylabel="")
    handles = [Line2D([], [], ls="", marker="o", color=COLOURS[i % 8], label=clipped(m)) for i, m in enumerate(methods)]
    handles += [Line2D([], [], color=INK, lw=2.2, ls="", marker="|", ms=10, mew=2.2, label="median")]
    handles += [Line2D([], [], color=INK, lw=7, alpha=0.12, label="middle half")]
    legend_below(figure, handles)
    return figure
