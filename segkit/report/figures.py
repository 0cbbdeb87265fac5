"""Every figure of the report: each function takes frames and returns a matplotlib ``Figure``.

The only module that imports matplotlib and seaborn. Style is set around each drawing, never globally, and no
text is read as mathematics, so that a column called ``$x`` is drawn as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from io import BytesIO
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from segkit.report.gather import Embedding

DPI = 110
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#92dadd")
NOISE = "#9a9a9a"
INK = "#24292f"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
NULL_TINTS = {"copula": "#57606a", "permuted": "#832db6"}
DASHES = ("-", "--", ":", "-.")
STYLE = {
    "text.parse_math": False,
    "text.color": INK,
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8b949e",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": "#d8dee4",
    "grid.linewidth": 0.6,
    "xtick.color": "#57606a",
    "ytick.color": "#57606a",
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.5,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "segkit",
}
# A font without a script's glyphs draws boxes: the page's own text still tells the name.
_MISSING_GLYPH = "Glyph .* missing from"


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the report's style, and leave no trace of it."""

    @wraps(draw)
    def inner(*args: object, **options: object) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **options)

    return inner


def to_png(figure: Figure) -> bytes:
    """Render on white."""
    return _rendered(figure, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})


def to_pdf(figure: Figure) -> bytes:
    """Render for paper: vectors, with scatter layers as pixels inside."""
    return _rendered(figure, format="pdf", dpi=200, metadata={"CreationDate": None})


def to_small_png(png: bytes) -> bytes:
    """Reduce a rendered figure to 256 colours: a quarter of the size where thousands of points are drawn."""
    from PIL import Image

    buffer = BytesIO()
    image = Image.open(BytesIO(png)).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def to_svg(figure: Figure) -> bytes:
    """Render on a transparent ground; scatter layers are pixels inside."""
    return _rendered(figure, format="svg", dpi=150, transparent=True, metadata={"Date": None, "Creator": None})


def _rendered(figure: Figure, **options: object) -> bytes:
    buffer = BytesIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_MISSING_GLYPH)
        figure.savefig(buffer, bbox_inches="tight", pad_inches=0.08, **options)
    # What is laid out once stays so in every other format.
    figure.set_layout_engine("none")
    return buffer.getvalue()


def colour(label: int) -> str:
    """Colour of a cluster; after eight they come again."""
    return NOISE if label < 0 else COLOURS[label % len(COLOURS)]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _name(text: object, width: int = 32) -> str:
    shown = "".join(c if c.isprintable() else " " for c in str(text))
    return shown if len(shown) <= width else f"{shown[: width - 7]}…{shown[-6:]}"


def _palette(names: Sequence[str]) -> dict[str, str]:
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def _legend_below(figure: Figure, handles: Sequence[Line2D], columns: int = 6) -> None:
    figure.legend(handles=list(handles), loc="outside lower left", ncols=min(columns, max(len(handles), 1)))


def _heatmap(ax: Axes, values: pd.DataFrame, shown: Sequence[Sequence[str]] | None, **options: object) -> None:
    """Draw a cell per value with its text on it, dark or white as the cell asks; a dash where there is none.

    The caller names the ticks: seaborn would lay the figure out with the names as they are, however long.
    """
    bar = options.pop("bar", None)
    sns.heatmap(
        values,
        ax=ax,
        annot=None if shown is None else np.array(shown, dtype=object).reshape(values.shape),
        fmt="",
        annot_kws={"fontsize": 7.5},
        cbar=bar is not None,
        cbar_kws={"pad": 0.02, **(bar or {})},
        linewidths=0.6,
        linecolor="white",
        xticklabels=False,
        yticklabels=False,
        **options,
    )
    if shown is not None:
        for i, j in np.argwhere(values.isna().to_numpy()):
            ax.text(j + 0.5, i + 0.5, "–", ha="center", va="center", fontsize=7.5)
    ax.set(xlabel="", ylabel="")
    ax.grid(visible=False)


def _texts(values: pd.DataFrame, write: Callable[[float], str]) -> list[list[str]]:
    return [["" if np.isnan(value) else write(value) for value in row] for row in values.to_numpy(dtype=float)]


# ------------------------------------------------------------------ trust


@styled
def trust(runs: pd.DataFrame, best: str | None, gates: Mapping[str, object]) -> Figure:
    """Draw the screen: reference silhouette against stability, and coverage; front ringed, confirmed runs boxed."""
    figure = _figure(11.0, 4.6)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    _clouds(left, runs, "stability_ari", best)
    _clouds(right, runs, "coverage", best)
    left.set(xlabel="Stability in the screen (mean ARI over bootstrap draws)", ylabel="Reference silhouette")
    left.set_title("Would it survive?")
    right.set(xlabel="Coverage (share of customers not noise)", xlim=(-0.03, 1.03))
    right.set_title("How many does it speak for?")
    if isinstance(gates.get("coverage"), int | float):
        right.axvline(gates["coverage"], color=INK, lw=0.9, ls="--")
        right.annotate("gate", (gates["coverage"], 0.02), xycoords=("data", "axes fraction"), fontsize=8)
    _legend_below(figure, _method_handles(runs, best))
    return figure


def _clouds(ax: Axes, runs: pd.DataFrame, x: str, best: str | None) -> None:
    methods = sorted(runs["clusterer"].unique())
    size = 18 if len(runs) > 100 else 34
    for i, method in enumerate(methods):
        part = runs[runs["clusterer"] == method]
        style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        ax.scatter(part[x], part["silhouette_reference"], s=size, alpha=0.65, lw=0, rasterized=True, **style)
    front, confirmed = runs[runs["screen_pareto"]], runs[runs["confirmed"]]
    chosen = runs[runs["run"] == best]
    ax.scatter(front[x], front["silhouette_reference"], s=58, facecolors="none", edgecolors=INK, lw=1.1)
    boxes = {"marker": "s", "facecolors": "none", "edgecolors": INK, "lw": 0.9}
    ax.scatter(confirmed[x], confirmed["silhouette_reference"], s=130, **boxes)
    ax.scatter(
        chosen[x], chosen["silhouette_reference"], s=170, marker="*", color=INK, edgecolors="white", lw=0.8, zorder=5
    )


def _method_handles(runs: pd.DataFrame, best: str | None) -> list[Line2D]:
    methods = sorted(runs["clusterer"].unique())
    handles = [
        Line2D([], [], ls="", marker=MARKERS[i % len(MARKERS)], color=COLOURS[i % len(COLOURS)], label=_name(m))
        for i, m in enumerate(methods)
    ]
    hollow = {"ls": "", "markerfacecolor": "none", "markeredgecolor": INK}
    if runs["screen_pareto"].any():
        handles.append(Line2D([], [], marker="o", markersize=8, label="Pareto front of the screen", **hollow))
    if runs["confirmed"].any():
        handles.append(Line2D([], [], marker="s", markersize=10, label="confirmed", **hollow))
    if best is not None:
        handles.append(Line2D([], [], ls="", marker="*", color=INK, markersize=11, label="run told in this report"))
    return handles


@styled
def jaccard(table: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Draw each cluster's mean Jaccard over the draws, a bar for each column, with Hennig's bars; the last is solid."""
    levels = list(table)
    figure = _figure(7.2, max(1.9, 0.75 + (0.15 + 0.12 * len(levels)) * len(table) + 0.3 * (len(levels) > 1)))
    ax = figure.subplots()
    at, height = np.arange(len(table)), 0.7 / len(levels)
    tints = [colour(i) for i in at]
    for place, level in enumerate(levels):
        last = level == levels[-1]
        y = at - 0.35 + height * (place + 0.5)
        ax.barh(y, table[level].fillna(0.0), color=tints, height=0.92 * height, alpha=1.0 if last else 0.4)
        for i, value in zip(y, table[level], strict=True):
            _bar_text(ax, i, "none" if np.isnan(value) else f"{value:.2f}", 8 if len(levels) == 1 else 6.8)
    for bar, word in ((0.6, "pattern"), (0.75, "valid"), (0.85, "highly stable")):
        ax.axvline(bar, color=INK, lw=0.9, ls="--", zorder=3)
        ax.annotate(
            f"{bar:g} {word}",
            (bar, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-2, 4),
            textcoords="offset points",
            fontsize=7,
            rotation=20,
        )
    ax.set_yticks(at, [_name(name) for name in names])
    ax.set(xlim=(0, 1), ylim=(len(table) - 0.4, -0.6), xlabel="Mean Jaccard with the nearest cluster of a draw")
    ax.grid(visible=False)
    if len(levels) > 1:
        faint = {"lw": 6, "color": INK}
        _legend_below(
            figure, [Line2D([], [], alpha=1 if name == levels[-1] else 0.4, label=name, **faint) for name in levels]
        )
    return figure


def _bar_text(ax: Axes, y: float, text: str, size: float) -> None:
    style = {"color": "white", "fontweight": "bold", "path_effects": _halo(INK)}
    ax.annotate(text, (0.01, y), fontsize=size, va="center", **style)


@styled
def levels(table: pd.DataFrame, runs: Sequence[str], names: Mapping[str, str], order: Sequence[str]) -> Figure:
    """Draw each run's stability under each test, mean with 5% and 95% quantiles; hollow where no seed is used."""
    order = [level for level in order if (table["level"] == level).any()]
    figure = _figure(9.5, 1.0 + 0.42 * len(runs))
    ax = figure.subplots()
    at = {run: i for i, run in enumerate(runs)}
    for place, level in enumerate(order):
        part = table[table["level"] == level]
        y = part["run"].map(at) + 0.22 * (place - (len(order) - 1) / 2)
        tint = COLOURS[place]
        ax.hlines(y, part["low"], part["high"], color=tint, lw=2.2, alpha=0.5)
        faces = np.where(part["seedless"], "white", tint)
        ax.scatter(part["ari"], y, marker=MARKERS[place], s=30, c=faces, edgecolors=tint, lw=1.1, zorder=3)
    _run_ticks(ax, runs, names)
    least = min(float(table[["ari", "low"]].min().min()), 0.75)
    ax.set(xlim=(least - 0.03, 1.02), xlabel="Adjusted Rand index to the run's own partition")
    _legend_below(
        figure,
        [Line2D([], [], ls="", marker=MARKERS[i], color=COLOURS[i], label=level) for i, level in enumerate(order)],
    )
    return figure


def _run_ticks(ax: Axes, runs: Sequence[str], names: Mapping[str, str]) -> None:
    ax.set_yticks(range(len(runs)), [_name(names[run], 64) for run in runs])
    ax.set_ylim(len(runs) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    for edge in np.arange(len(runs) - 1) + 0.5:
        ax.axhline(edge, color="#d8dee4", lw=0.6)


@styled
def nulls(table: pd.DataFrame, scores: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Draw each run's reference silhouette beside those of its pipeline on tables without segments, by kind."""
    kinds = [(kind, tint) for kind, tint in NULL_TINTS.items() if (scores["kind"] == kind).any()]
    figure = _figure(10.0, 1.0 + 0.36 * len(table))
    ax = figure.subplots()
    for place, (kind, tint) in enumerate(kinds):
        y = np.arange(len(table)) + (0.26 * place - 0.13 * (len(kinds) - 1))
        for run, i in zip(table["run"], y, strict=True):
            values = scores.loc[(scores["run"] == run) & (scores["kind"] == kind), "silhouette"].dropna()
            if len(values):
                ax.hlines(i, *values.quantile([0.05, 0.95]), color=tint, lw=9 if len(kinds) == 1 else 6, alpha=0.3)
            ax.plot(values, np.full(len(values), i), "|", color=tint, ms=7, mew=0.9, alpha=0.8, rasterized=True)
    at = np.arange(len(table))
    if not kinds:
        ax.plot(table["null_mean"], at, "|", color=INK, ms=12, mew=1.6)
    holds = table["holds"].to_numpy(dtype=bool)
    ax.scatter(table["silhouette"], at, s=44, c=np.where(holds, COLOURS[2], "white"), edgecolors=COLOURS[2], zorder=4)
    for i, row in zip(at, table.itertuples(), strict=True):
        shown = "" if np.isnan(row.p_adjusted) else f"p {row.p_adjusted:.2g}"
        ax.annotate(shown, (1.01, i), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    _run_ticks(ax, list(table["run"]), names)
    ax.margins(x=0.03)
    ax.set_xlabel("Reference silhouette (right: p adjusted for the whole shortlist)")
    _legend_below(figure, [*_observed_handles(), *(_null_handle(kind, tint) for kind, tint in kinds)])
    return figure


def _observed_handles() -> list[Line2D]:
    style = {"ls": "", "marker": "o", "markeredgecolor": COLOURS[2]}
    return [
        Line2D([], [], markerfacecolor=COLOURS[2], label="this data: better", **style),
        Line2D([], [], markerfacecolor="white", label="this data: no better", **style),
    ]


def _null_handle(kind: str, tint: str) -> Line2D:
    told = {"copula": "no segments, same margins and correlations", "permuted": "columns shuffled"}
    return Line2D([], [], ls="", marker="|", color=tint, ms=9, mew=1.4, label=told[kind])


def _halo(ground: str) -> list:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.8, foreground=ground)]


@styled
def agreement(matrix: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Draw the adjusted Rand index of every pair of top runs."""
    r = len(matrix)
    figure = _figure(4.8 + 0.36 * r, 1.2 + 0.34 * r)
    ax = figure.subplots()
    shown = _texts(matrix, lambda ari: f"{ari:.2f}".replace("0.", "."))
    bar = {"label": "Adjusted Rand index", "shrink": 0.9}
    _heatmap(ax, matrix, shown, cmap="viridis", vmin=0, vmax=1, bar=bar)
    ax.set_yticks(np.arange(r) + 0.5, [_name(names[run], 64) for run in matrix.index])
    runs = [str(run)[:6] for run in matrix.columns]
    ax.set_xticks(np.arange(r) + 0.5, runs, rotation=45, ha="right", rotation_mode="anchor", family="monospace")
    return figure


# ------------------------------------------------------------------ segments


@styled
def profiles(profile: pd.DataFrame, features: Sequence[str]) -> Figure:
    """Draw the standardised mean of each feature in each segment."""
    wide = profile.pivot_table("z", "feature", "segment", dropna=False).reindex(list(features))
    wide = wide[sorted(wide.columns, key=lambda s: (s < 0, s))]
    figure = _figure(min(3.4 + 0.62 * wide.shape[1], 14.0), 1.0 + 0.26 * len(wide))
    ax = figure.subplots()
    limit = max(float(np.nanquantile(np.abs(wide.to_numpy()), 0.98)) if wide.size else 1.0, 0.5)
    shown = _texts(wide, _signed) if wide.shape[1] <= 14 else None
    bar = {"label": "sd from the mean", "extend": "both"}
    _heatmap(ax, wide, shown, cmap="RdBu_r", vmin=-limit, vmax=limit, bar=bar)
    ax.set_yticks(np.arange(len(wide)) + 0.5, [_name(name, 40) for name in wide.index])
    ax.set_xticks(np.arange(wide.shape[1]) + 0.5, ["noise" if s < 0 else str(s) for s in wide.columns])
    ax.set_xlabel("Segment")
    return figure


def _signed(z: float) -> str:
    return f"{z:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0").replace("-", "−")


@styled
def embeddings(planes: Sequence[Embedding], names: Mapping[str, str], columns: int = 3) -> Figure:
    """Draw each embedding, coloured by the labels of its best run."""
    columns = min(columns, len(planes))
    rows = -(-len(planes) // columns)
    side = 3.7 if columns > 1 else 6.0
    figure = _figure(side * columns, (side * 0.92) * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, plane in zip(panels, planes, strict=False):
        _plane(ax, plane)
        ax.set_title(f"{_name(plane.label, 46)}\n{_name(names[plane.run], 52)}", fontsize=7.6, fontweight="normal")
    for ax in panels[len(planes) :]:
        ax.set_axis_off()
    return figure


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
            fontsize=8.5 if len(found) <= 12 else 6.5,
            fontweight="bold",
            path_effects=_halo("white"),
        )
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set(visible=True, color="#d8dee4")


# ------------------------------------------------------------------ choices


@styled
def k_curves(curves: pd.DataFrame, method: str, spaces: Sequence[str]) -> Figure:
    """Draw elbow, reference silhouette and stability against k: a panel per space, a colour per scaler."""
    curves = curves[(curves["method"] == method) & curves["space"].isin(spaces)]
    rows = (
        [("inertia_share", "Inertia, share of\nthat at the least k")] if curves["inertia_share"].notna().any() else []
    )
    rows += [("silhouette", "Reference\nsilhouette"), ("stability", "Stability (ARI)")]
    figure = _figure(max(2.15 * len(spaces) + 1.2, 5.0), 1.75 * len(rows) + 0.9)
    panels = figure.subplots(len(rows), len(spaces), squeeze=False, sharex=True, sharey="row")
    scalers, sets = sorted(curves["scaler"].unique()), sorted(curves["features"].unique())
    for (column, label), line in zip(rows, panels, strict=True):
        line[0].set_ylabel(label)
        for ax, space in zip(line, spaces, strict=True):
            _lines(ax, curves[curves["space"] == space], column, scalers, sets)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    for ax, space in zip(panels[0], spaces, strict=True):
        ax.set_title(_name(space, 28))
    for ax in panels[-1]:
        ax.set_xlabel("Number of clusters, k")
    tints = _palette(scalers)
    handles = [Line2D([], [], color=tints[s], label=_name(s)) for s in scalers]
    if len(sets) > 1:
        handles += [
            Line2D([], [], color=INK, ls=DASHES[i % 4], label=_name(f"features: {s}")) for i, s in enumerate(sets)
        ]
    _legend_below(figure, handles)
    return figure


def _lines(ax: Axes, part: pd.DataFrame, column: str, scalers: Sequence[str], sets: Sequence[str]) -> None:
    tints = _palette(scalers)
    groups = part.groupby(["scaler", "features"])
    for (scaler, features), line in groups:
        line = line.sort_values("k")
        dash = DASHES[list(sets).index(features) % len(DASHES)]
        ax.plot(line["k"], line[column], color=tints[scaler], ls=dash, marker=".", ms=4, lw=1.3)
        if column == "stability" and groups.ngroups <= 3:
            ax.fill_between(line["k"], line["low"], line["high"], color=tints[scaler], alpha=0.15, lw=0)


@styled
def k_excess(lines: pd.DataFrame) -> Figure:
    """Draw silhouette and null mean with its band, and the excess, against k; a panel per pipeline."""
    names = list(dict.fromkeys(lines["line"]))
    figure = _figure(max(2.6 * len(names) + 0.9, 5.2), 4.4)
    panels = figure.subplots(2, len(names), squeeze=False, sharex=True, sharey="row", height_ratios=[3, 2])
    for name, (top, below) in zip(names, panels.T, strict=True):
        _against_k(top, below, lines[lines["line"] == name].sort_values("k"))
        top.set_title("\n".join(_name(part, 30) for part in name.split(" · ")[-3:]), fontsize=8)
        below.set_xlabel("Number of clusters, k")
        below.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    panels[0, 0].set_ylabel("Reference silhouette")
    panels[1, 0].set_ylabel("Excess (figure: z)")
    panels[1, 0].margins(y=0.25)
    band = {"color": NULL_TINTS["copula"], "alpha": 0.2, "lw": 7}
    handles = [Line2D([], [], color=COLOURS[0], marker="o", ms=4, label="this data")]
    handles.append(Line2D([], [], color=NULL_TINTS["copula"], ls="--", label="no segments: mean"))
    handles += [Line2D([], [], label="middle 90%", **band)] if lines["low"].notna().any() else []
    _legend_below(figure, handles)
    return figure


def _against_k(top: Axes, below: Axes, line: pd.DataFrame) -> None:
    tint = NULL_TINTS["copula"]
    top.fill_between(line["k"], line["low"].astype(float), line["high"].astype(float), color=tint, alpha=0.2, lw=0)
    top.plot(line["k"], line["null_mean"], color=tint, ls="--", lw=1.2)
    top.plot(line["k"], line["silhouette"], color=COLOURS[0], marker="o", ms=4)
    below.axhline(0, color=INK, lw=0.8)
    tints = np.where(line["best"], COLOURS[2], COLOURS[0])
    below.bar(line["k"], line["excess"].astype(float), color=tints, width=0.62)
    for row in line.dropna(subset=["excess", "z"]).itertuples():
        up = row.excess >= 0
        place = {"ha": "center", "va": "bottom" if up else "top", "xytext": (0, 2 if up else -2)}
        below.annotate(
            f"{row.z:.0f}".replace("-", "−"), (row.k, row.excess), textcoords="offset points", fontsize=7, **place
        )


@styled
def effects(table: pd.DataFrame) -> Figure:
    """Draw mean, quartiles and best of both scores for each value of each choice."""
    table = table.reset_index(drop=True)
    starts = table["axis"].ne(table["axis"].shift()).cumsum().to_numpy()
    at = np.arange(len(table)) + 0.9 * starts
    figure = _figure(10.5, 1.1 + 0.235 * (at[-1] + 1))
    panels = figure.subplots(1, 2, sharey=True)
    for ax, score, label in zip(
        panels, ("silhouette", "stability"), ("Reference silhouette", "Stability (ARI)"), strict=True
    ):
        ax.hlines(at, table[f"{score}_q25"], table[f"{score}_q75"], color=COLOURS[0], lw=4, alpha=0.35)
        ax.plot(table[score], at, "o", color=COLOURS[0], ms=5)
        ax.plot(table[f"{score}_best"], at, "|", color=INK, ms=8, mew=1.4)
        ax.set_xlabel(label)
    panels[0].set_yticks(at, [f"{_name(v)}  ({n})" for v, n in zip(table["value"], table["runs"], strict=True)])
    panels[0].set_ylim(at[-1] + 0.8, at[0] - 1.6)
    for axis, first in pd.Series(at).groupby(table["axis"].to_numpy(), sort=False).min().items():
        panels[0].annotate(
            sentence_case(str(axis)),
            (0.0, first - 0.85),
            xycoords=("axes fraction", "data"),
            va="center",
            xytext=(-6, 0),
            textcoords="offset points",
            ha="right",
            fontweight="bold",
            fontsize=8.5,
        )
    _legend_below(
        figure,
        [
            Line2D([], [], ls="", marker="o", color=COLOURS[0], label="mean"),
            Line2D([], [], color=COLOURS[0], lw=4, alpha=0.35, label="middle half of the runs"),
            Line2D([], [], ls="", marker="|", color=INK, ms=8, mew=1.4, label="best"),
        ],
    )
    return figure


def sentence_case(text: str) -> str:
    """Begin with a capital."""
    return text[:1].upper() + text[1:]


@styled
def grid(table: pd.DataFrame) -> Figure:
    """Draw the best reference silhouette by scaler and projection."""
    figure = _figure(min(2.6 + 1.15 * table.shape[1], 13.0), 1.5 + 0.36 * len(table))
    ax = figure.subplots()
    _heatmap(ax, table, _texts(table, "{:.3f}".format), cmap="viridis")
    ax.set_yticks(np.arange(len(table)) + 0.5, [_name(name) for name in table.index])
    _slanted(ax, [_name(name, 24) for name in table.columns])
    return figure


def _slanted(ax: Axes, names: Sequence[str]) -> None:
    ax.set_xticks(np.arange(len(names)) + 0.5, names, rotation=25, ha="right", rotation_mode="anchor")


@styled
def inflation(table: pd.DataFrame) -> Figure:
    """Draw native less reference silhouette of every run, by projection; a lane for each clusterer."""
    spaces = list(table.groupby("space")["inflation"].median().sort_values(ascending=False).index)
    methods = sorted(table["clusterer"].unique())
    lanes = {"data": table, "x": "inflation", "y": "space", "order": spaces, "orient": "h", "legend": False}
    row = 0.2 + 0.11 * len(methods)
    figure = _figure(9.0, 1.2 + row * len(spaces))
    ax = figure.subplots()
    line = {"color": INK, "linestyle": "none", "marker": "|", "markersize": 54 * row, "markeredgewidth": 2.2}
    band = {"linewidth": 50 * row, "alpha": 0.12, "solid_capstyle": "butt"}
    sns.pointplot(**lanes, **line, ax=ax, estimator="median", errorbar=("pi", 50), err_kws=band)
    # Lanes instead of jitter: seaborn draws jitter from the global generator, and no two pages would be the same.
    tints = {"hue": "clusterer", "hue_order": methods, "palette": _palette(methods)}
    sns.stripplot(**lanes, **tints, ax=ax, dodge=True, jitter=False, size=3.6, alpha=0.6, zorder=3, rasterized=True)
    ax.axvline(0, color=INK, lw=0.9, ls="--")
    ax.set_yticks(range(len(spaces)), [_name(space) for space in spaces])
    ax.set(xlabel="Inflation: native less reference silhouette (band and line: middle half and median)", ylabel="")
    handles = [Line2D([], [], ls="", marker="o", color=COLOURS[i % 8], label=_name(m)) for i, m in enumerate(methods)]
    _legend_below(figure, handles)
    return figure


# ------------------------------------------------------------------ data


@styled
def variance(table: pd.DataFrame, features: Sequence[str]) -> Figure:
    """Draw each feature's share of the variance after each scaling."""
    wide = table.pivot_table("share", "feature", "matrix", sort=False).reindex(list(features))
    figure = _figure(min(3.6 + 0.95 * wide.shape[1], 13.0), 1.5 + 0.25 * len(wide))
    ax = figure.subplots()
    _heatmap(ax, wide, _texts(wide, _share), cmap="magma_r", vmin=0, vmax=1)
    ax.set_yticks(np.arange(len(wide)) + 0.5, [_name(name, 40) for name in wide.index])
    _slanted(ax, [_name(name, 26) for name in wide.columns])
    return figure


def _share(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{100 * share:.0f}%"
