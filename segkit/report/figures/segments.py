"""Who the segments are: profiles, silhouettes customer by customer, and features by segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from segkit.report.figures.style import (
    COLOURS,
    GREY,
    GROUND,
    INK,
    MARKERS,
    NOISE,
    SMALL,
    WIDTH,
    apart,
    clipped,
    colour,
    halo,
    heatmap,
    legend_below,
    name_rows,
    new_figure,
    segment_name,
    short,
    styled,
    texts,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Curves are drawn through so many points: more than a screen has pixels.
_STEPS = 240
_LARGEST = 30
_NAMED = 12
_SKEWED = 2.0
_DECADES = 30.0
# Ticks nearer than this share of an axis are written over each other.
_APART = 0.16
_TICKS = 3


@styled
def profiles(profile: pd.DataFrame, features: Sequence[str]) -> Figure:
    """Draw the standardised mean of each feature in each segment."""
    wide = profile.pivot_table("z", "feature", "segment", dropna=False).reindex(list(features))
    wide = wide[sorted(wide.columns, key=lambda s: (s < 0, s))]
    k = wide.shape[1]
    figure = new_figure(1.5 + 0.26 * len(wide), min(3.3 + 0.55 * k, WIDTH))
    ax = figure.subplots()
    limit = max(float(np.nanquantile(np.abs(wide.to_numpy()), 0.98)) if wide.size else 1.0, 0.5)
    shown = texts(wide, _signed) if k <= 9 else None
    bar = {"label": "Segment's mean less all customers' mean, in standard deviations", "extend": "both"}
    bar |= {"location": "bottom", "aspect": 40}
    heatmap(ax, wide, shown, cmap="RdBu_r", vmin=-limit, vmax=limit, bar=bar)
    name_rows(ax, list(wide.index), 30)
    step = -(-k // 14)
    ax.set_xticks(np.arange(k)[::step] + 0.5, ["noise" if s < 0 else str(s) for s in wide.columns[::step]])
    ax.xaxis.set_label_position("top")
    ax.xaxis.tick_top()
    ax.set_xlabel("Segment")
    return figure


def _signed(z: float) -> str:
    return f"{z:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0").replace("-", "−")


@styled
def silhouettes(table: pd.DataFrame, mean: float, space: str, most: int, step: int = 1) -> Figure:
    """Draw the customers' silhouettes in a reference space, sorted by segment, with each segment's mean and all's.

    Rousseeuw's plot: a segment is as thick as it has customers. Of more than ``most`` segments the largest are drawn.
    With ``step`` above 1 no customer's own silhouette is drawn, but the means of at least so many neighbours.
    """
    parts = {int(s): np.sort(part.to_numpy())[::-1] for s, part in table.groupby("segment")["silhouette"]}
    parts = dict(list(parts.items())[:most])
    figure = new_figure(2.2 + min(0.42 * len(parts), 5.4))
    ax = figure.subplots()
    thickness = [len(values) for values in parts.values()]
    # Room for the name beside a thin one; the areas themselves stay in proportion.
    least = (0.75 if len(parts) <= _NAMED else 0.5) * np.mean(thickness)
    start, ticks = 0.0, []
    for label, values in parts.items():
        room = max(1.04 * len(values), least)
        top = start + (room - len(values)) / 2
        x, places = _curve(values) if step == 1 else _stairs(values, step)
        y = top + places
        ax.fill_betweenx(y, np.minimum(x, 0), np.maximum(x, 0), color=colour(label), alpha=0.85, lw=0)
        ax.vlines(values.mean(), top, top + len(values), color=INK, lw=2)
        ticks.append(start + room / 2)
        start += room
    ax.axvline(mean, color=INK, lw=1, ls="--")
    ax.axvline(0, color=INK, lw=0.8)
    shown = [f"Segment {s}\n{len(v):,} · {(v < 0).mean():.0%} below 0" for s, v in parts.items()]
    shown = shown if len(parts) <= _NAMED else [str(s) for s in parts]
    ax.set_yticks(ticks, shown)
    ax.set_ylim(start, 0)
    told = f"Silhouette in the {clipped(space)} reference space"
    ax.set_xlabel(f"{told}\n(above 0: nearer to the own segment than to the next)")
    ax.grid(visible=False, axis="y")
    means = [Line2D([], [], color=INK, lw=2, label="segment's mean"), Line2D([], [], color=INK, ls="--", label="mean")]
    legend_below(figure, means)
    return figure


def _curve(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted values, no more than can be seen, and their places."""
    places = np.linspace(0, len(values) - 1, min(len(values), _STEPS))
    return values[places.astype(int)], places + 0.5


def _stairs(values: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return means of sorted values, each of at least so many, and the places where each begins and ends."""
    steps = max(min(len(values) // least, _STEPS), 1)
    parts = np.array_split(values, steps)
    edges = np.cumsum([0, *map(len, parts)])
    means = [part.mean() for part in parts]
    return np.repeat(means, 2), np.repeat(edges, 2)[1:-1].astype(float)


# ------------------------------------------------------------------ features by segment


@styled
def two_features(values: pd.DataFrame, labels: np.ndarray) -> Figure:
    """Draw customers by two features, coloured by segment, with each segment's name at its median."""
    figure = new_figure(5.0)
    ax = figure.subplots()
    scales = [Scale(values[name]) for name in values]
    _points(ax, values, labels, scales, 14)
    names = apart(list(values), lambda name: clipped(name, 48))
    across, up = (scale.marked(name, 60) for name, scale in zip(names, scales, strict=True))
    ax.set(xlabel=across, ylabel=up)
    found = np.unique(labels[labels >= 0])
    for label in found[:_LARGEST]:
        middle = values[labels == label].median().to_numpy()
        style = {"fontweight": "bold", "path_effects": halo(GROUND), "ha": "center", "va": "center"}
        ax.annotate(str(label), middle, fontsize=11 if len(found) <= 12 else SMALL, zorder=5, **style)
    legend_below(figure, _segment_handles(labels))
    return figure


@styled
def pairs(values: pd.DataFrame, labels: np.ndarray) -> Figure:
    """Draw each pair of features as a scatter, and each feature's distribution, by segment."""
    d = values.shape[1]
    figure = new_figure(1.0 + 1.42 * d)
    panels = figure.subplots(d, d, squeeze=False)
    scales = [Scale(values[name]) for name in values]
    # Of capitals, which are 0.7 of the letters' size wide, beside a panel of its share of the figure.
    letters = max(8, min(17, int(0.9 * WIDTH / d * 72 / (0.7 * SMALL))))
    names = apart(list(values), lambda name: wrapped(name, letters, 3))
    names = [scale.marked(name, letters) for name, scale in zip(names, scales, strict=True)]
    for i, j in np.ndindex(d, d):
        ax = panels[i, j]
        if j > i:
            ax.set_axis_off()
            continue
        if i == j:
            _distributions(ax, values.iloc[:, i], labels, scales[i])
        else:
            _points(ax, values.iloc[:, [j, i]], labels, [scales[j], scales[i]], 5)
        ax.tick_params(labelbottom=i == d - 1, labelleft=j == 0 and i > 0, labelsize=SMALL)
        if i == d - 1:
            ax.set_xlabel(names[j], fontsize=SMALL)
        if j == 0:
            ax.set_ylabel("Share" if i == 0 else names[i], fontsize=SMALL)
    figure.align_labels()
    legend_below(figure, _segment_handles(labels))
    return figure


class Scale:
    """A feature's axis: its own units without the outermost half percent; logarithmic from zero on if it is skewed."""

    def __init__(self, values: pd.Series) -> None:
        known = values.dropna().to_numpy(np.float64)
        low, high = np.quantile(known, [0.005, 0.995]) if len(known) else (0.0, 1.0)
        low, high = (low, high) if high > low else (known.min(initial=0.0), known.max(initial=1.0))
        sizes = np.abs(known[known != 0])
        self.linear_to = 10.0 ** np.floor(np.log10(np.quantile(sizes, 0.1))) if len(sizes) else 1.0
        # Worth its trouble only where most of the axis would be empty.
        wide = max(abs(low), abs(high)) > _DECADES * self.linear_to
        self.skewed = bool(wide and known.std() > 0 and abs(pd.Series(known).skew()) > _SKEWED)
        margin = 0.03 * (self.forward(high) - self.forward(low) or 1.0)
        self.low, self.high = self.backward(self.forward(low) - margin), self.backward(self.forward(high) + margin)

    def marked(self, name: str, width: int) -> str:
        """Say behind the feature's name, in lines of so many letters, where the axis is logarithmic."""
        if not self.skewed:
            return name
        return f"{name} (log)" if len(name.rpartition("\n")[2]) + 6 <= width else f"{name}\n(log)"

    def forward(self, x: np.ndarray | float) -> np.ndarray | float:
        """From the feature's units to the axis'."""
        return np.arcsinh(np.asarray(x) / self.linear_to) if self.skewed else np.asarray(x)

    def backward(self, x: np.ndarray | float) -> np.ndarray | float:
        """And back."""
        return np.sinh(np.asarray(x)) * self.linear_to if self.skewed else np.asarray(x)

    def apply(self, ax: Axes, side: str, most: int = 4) -> None:
        """Set the scale, the limits and at most so many ticks of a side (x or y) of some axes."""
        axis = getattr(ax, f"{side}axis")
        if self.skewed:
            getattr(ax, f"set_{side}scale")("function", functions=(self.forward, self.backward))
            axis.set_major_locator(FixedLocator(self._ticks(most)))
            axis.set_minor_locator(NullLocator())
        else:
            axis.set_major_locator(MaxNLocator(most))
        axis.set_major_formatter(FuncFormatter(short))
        getattr(ax, f"set_{side}lim")(self.low, self.high)

    def shifted(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Shift values by up to a hundredth of the axis, so that equal ones do not hide each other."""
        reach = 0.01 * (self.forward(self.high) - self.forward(self.low))
        return self.backward(self.forward(values) + rng.uniform(-reach, reach, len(values)))

    def _ticks(self, most: int) -> list[float]:
        largest = max(abs(self.low), abs(self.high))
        powers = np.arange(np.log10(self.linear_to), np.floor(np.log10(largest)) + 1)
        few = powers[:: max(1, -(-len(powers) // (most - 1)))] if len(powers) else powers
        found: list[float] = []
        # With steps that leave too few for a reader to see that they are no even ones: finer steps.
        for sizes in (10.0**few, 10.0**powers, np.outer(10.0**powers, (1, 3)).ravel()):
            ticks = self._apart([0.0, *(sign * size for size in sizes for sign in (-1, 1))])
            found = max(found, ticks, key=len)
            if len(found) >= _TICKS:
                break
        return found

    def _apart(self, ticks: list[float]) -> list[float]:
        apart = _APART * (self.forward(self.high) - self.forward(self.low))
        kept: list[float] = []
        # From the largest, whose labels are longest, but zero in any case.
        for tick in sorted((tick for tick in ticks if self.low <= tick <= self.high), key=lambda t: (t != 0, -abs(t))):
            if all(abs(self.forward(tick) - self.forward(other)) >= apart for other in kept):
                kept.append(tick)
        return sorted(kept)


def _points(ax: Axes, values: pd.DataFrame, labels: np.ndarray, scales: Sequence[Scale], size: float) -> None:
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(len(labels))
    labels = labels[shuffled]
    points = [
        scale.shifted(values[name].to_numpy(np.float64)[shuffled], rng)
        for name, scale in zip(values, scales, strict=True)
    ]
    # The largest segments last: the many others must not hide them.
    for label in sorted(np.unique(labels), key=lambda s: (0 <= s < len(COLOURS), s)):
        here = labels == label
        style = {"color": _tint(label), "marker": MARKERS[label % len(MARKERS)] if 0 <= label < len(COLOURS) else "o"}
        x, y = (side[here] for side in points)
        ax.scatter(x, y, s=size * (0.6 if label < 0 else 1), alpha=0.55, lw=0, rasterized=True, **style)
    for scale, side in zip(scales, "xy", strict=True):
        scale.apply(ax, side)


def _distributions(ax: Axes, values: pd.Series, labels: np.ndarray, scale: Scale) -> None:
    scale.apply(ax, "x")
    edges = scale.backward(np.linspace(scale.forward(scale.low), scale.forward(scale.high), 25))
    for label in [s for s in np.unique(labels) if 0 <= s < len(COLOURS)]:
        counts = np.histogram(values[labels == label].dropna(), edges)[0]
        ax.stairs(counts / max(counts.sum(), 1), edges, color=_tint(label), lw=1.4)
    ax.set(yticks=[])
    ax.grid(visible=False)


def _tint(label: int) -> str:
    """Give the eight largest segments a colour of their own: no more stay apart."""
    return colour(label) if label < len(COLOURS) else GREY


def _segment_handles(labels: np.ndarray) -> list[Line2D]:
    found = [int(s) for s in np.unique(labels)]
    named = [s for s in found if 0 <= s < len(COLOURS)]
    handles = [Line2D([], [], ls="", marker=MARKERS[s], color=COLOURS[s], label=segment_name(s)) for s in named]
    if any(s >= len(COLOURS) for s in found):
        handles.append(Line2D([], [], ls="", marker="o", color=GREY, label="smaller segments"))
    if found and found[0] < 0:
        handles.append(Line2D([], [], ls="", marker="o", color=NOISE, ms=4, label="noise"))
    return handles
