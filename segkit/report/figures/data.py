"""The input: each feature's share of the variance, and which features tell the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from segkit.report.figures.segments import Scale
from segkit.report.figures.style import (
    COLOURS,
    SMALL,
    WIDTH,
    apart,
    clipped,
    heatmap,
    name_columns,
    name_rows,
    new_figure,
    styled,
    texts,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TOLD = 11
_ACROSS = 4
_BINS = 24
_LETTERS = 15  # of capitals, above a panel


@styled
def variance(table: pd.DataFrame, features: Sequence[str]) -> Figure:
    """Draw each feature's share of the variance after each scaling."""
    wide = table.pivot_table("share", "feature", "matrix", sort=False).reindex(list(features))
    columns = wide.shape[1]
    figure = new_figure(1.6 + 0.25 * len(wide), min(3.4 + 0.8 * columns, WIDTH))
    ax = figure.subplots()
    shown = texts(wide, _share) if columns <= _TOLD else None
    bar = {"label": "Share of the variance"}
    heatmap(ax, wide, shown, cmap="magma_r", vmin=0, vmax=1, bar=bar)
    name_rows(ax, list(wide.index), 30)
    name_columns(ax, list(wide.columns), 22)
    return figure


def _share(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{100 * share:.0f}%"


@styled
def distributions(values: pd.DataFrame) -> Figure:
    """Draw a histogram of each column, in shares of the customers that have a value."""
    across = min(_ACROSS, values.shape[1])
    down = -(-values.shape[1] // across)
    figure = new_figure(0.5 + 1.35 * down, WIDTH * max(across, 2) / _ACROSS)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    titles = apart(list(values), lambda name: wrapped(name, _LETTERS, 3))
    for ax, name, title in zip(panels, values, titles, strict=False):
        known = values[name].dropna()
        scale = Scale(known)
        scale.apply(ax, "x", 3)
        edges = scale.backward(np.linspace(scale.forward(scale.low), scale.forward(scale.high), _BINS + 1))
        counts = np.histogram(known, edges)[0]
        ax.stairs(counts / len(known), edges, fill=True, color=COLOURS[0])
        ax.set_title(scale.marked(title, _LETTERS), fontsize=7, fontweight="normal")
        ax.yaxis.set_major_formatter(FuncFormatter(_percent))
        ax.yaxis.set_major_locator(MaxNLocator(3))
        ax.tick_params(labelsize=7)
    for ax in panels[values.shape[1] :]:
        ax.set_axis_off()
    for ax in panels[::across]:
        ax.set_ylabel("Customers", fontsize=7)
    return figure


def _percent(share: float, _place: int | None = None) -> str:
    return f"{100 * share:.3g}%"


@styled
def correlations(matrix: pd.DataFrame) -> Figure:
    """Draw the rank correlation of each pair of features, like ones side by side; columns have their rows' numbers."""
    d = len(matrix)
    figure = new_figure(1.5 + 0.2 * d if d > 12 else 1.5 + 0.3 * d)
    ax = figure.subplots()
    shown = texts(matrix, _signed) if d <= _TOLD else None
    bar = {"label": "Rank correlation (Spearman)", "location": "bottom", "aspect": 40}
    heatmap(ax, matrix, shown, cmap="RdBu_r", vmin=-1, vmax=1, bar=bar)
    names = apart(list(matrix.index), lambda name: clipped(name, 28))
    ax.set_yticks(np.arange(d) + 0.5, [f"{name}  {i + 1}" for i, name in enumerate(names)])
    ax.set_xticks(np.arange(d) + 0.5, [str(i + 1) for i in range(d)], fontsize=SMALL if d <= 20 else 7)
    return figure


def _signed(rho: float) -> str:
    return f"{rho:.2f}".replace("-", "−").replace("0.", ".")
