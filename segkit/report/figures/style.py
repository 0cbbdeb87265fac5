"""How figures look, how they become bytes, and what several of them draw."""

from __future__ import annotations

import re
import textwrap
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import wraps
from io import BytesIO
from itertools import accumulate
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from segkit.report.characters import uncommon
from segkit.report.figures.fonts import BUNDLED, JOINERS, families, spelled, unwritable
from segkit.report.figures.inline import inlined

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches. On a page of 390 pixels a text of 9 points is then 8 pixels high, and on paper it keeps its size.
WIDTH = 5.4
DPI = 150
# On white and on the dark theme's ground, but for the second, seventh and eighth on white, from 3:1.
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#8a45f5", "#a96b59", "#e76300", "#b9ac70", "#92dadd")
NOISE = "#9a9a9a"
GREY = "#6e7781"
# These stand for colours of the page, which has two themes. What has to look the same in both is of another colour.
INK = "#24292f"
SOFT = "#57606a"
PALE = "#d8dee4"
GROUND = "#fefefe"
THEMED = {INK: "var(--ink)", SOFT: "var(--soft)", PALE: "var(--line)", GROUND: "var(--ground)"}
# On a bar or a cell, whose colour is the same in both.
DEEP = "#262626"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", ":", "-.")
SMALL = 8.0
STYLE = {
    "text.parse_math": False,
    "text.color": INK,
    "font.family": [BUNDLED],
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8b949e",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.5,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "segkit",
}
# A browser writes what no font here has: what is said of the page's picture is not to be said.
_MISSING_GLYPH = "Glyph .* missing from"
# What is in brackets: a step's parameters, and how many letters of them are left at most and at least.
_BRACKETS = re.compile(r"\(([^()]*)\)")
_LONGEST, _SHORTEST = 64, 7
_CANVAS = "module://segkit.report.figures.canvas"
_SPELLED: ContextVar[frozenset[str]] = ContextVar("spelled", default=frozenset())


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the report's style, and leave no trace of it.

    With ``spell``, characters that no installed font has are written as their code points.
    """

    @wraps(draw)
    def inner(*args: object, spell: bool = False, **options: object) -> Figure:
        letters = uncommon(args)
        token = _SPELLED.set(unwritable(letters) if spell else frozenset())
        try:
            with mpl.rc_context({**STYLE, "font.family": families(letters)}):
                return draw(*args, **options)
        finally:
            _SPELLED.reset(token)

    return inner


# ------------------------------------------------------------------ bytes


def to_png(figure: Figure) -> bytes:
    """Render on white."""
    return _rendered(figure, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})


def to_pdf(figure: Figure) -> bytes:
    """Render for paper: vectors, with scatter layers as pixels inside."""
    return _rendered(figure, format="pdf", dpi=200, metadata={"CreationDate": None})


def to_inline(figure: Figure, name: str) -> tuple[str, dict[str, str]]:
    """Render for the page, on nothing: an element, and the letters it is written with; scatter layers are pixels."""
    metadata = {"Date": None, "Creator": None}
    svg = _rendered(figure, format="svg", dpi=150, transparent=True, metadata=metadata, backend=_CANVAS)
    return inlined(svg.decode(), name, THEMED)


def _rendered(figure: Figure, **options: object) -> bytes:
    buffer = BytesIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_MISSING_GLYPH)
        figure.savefig(buffer, bbox_inches="tight", pad_inches=0.08, **options)
    # What is laid out once stays so in every other format.
    figure.set_layout_engine("none")
    return buffer.getvalue()


# ------------------------------------------------------------------ parts


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure of so many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def colour(label: int) -> str:
    """Colour of a cluster; after eight they come again."""
    return NOISE if label < 0 else COLOURS[label % len(COLOURS)]


def palette(names: Sequence[str]) -> dict[str, str]:
    """Give each name a colour."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def clipped(text: object, width: int = 32, tail: int = 6) -> str:
    """Cut a long name in the middle; a character that does not print is a space."""
    shown = _shown(text)
    if _length(shown) <= width:
        return shown
    return f"{_first(shown, width - tail - 1)}…{_first(shown[::-1], tail)[::-1]}"


def wrapped(text: object, width: int, lines: int = 2) -> str:
    """Break a name into lines, before a bracket, or after an underscore where a part is longer than a line.

    One that takes more lines is cut in the middle: names often differ at the end.
    """
    room = width * lines + 8
    while True:
        tail = min(max(6, room // 3), room - 2)
        told = _broken(clipped(text, room, tail), width)
        if len(told) <= lines or room <= 4:
            return "\n".join(told[:lines])
        room -= 1


def shortened(text: object, width: int, lines: int) -> str:
    """Break the name of a pipeline into lines; of one that takes more, what is in brackets is cut first."""
    told = str(text)
    for room in range(_LONGEST, _SHORTEST, -1):
        if len(_broken(_shown(told), width)) <= lines:
            break
        told = _BRACKETS.sub(lambda found, most=room: f"({clipped(found[1], most, most // 2)})", str(text))
    return wrapped(told, width, lines)


def apart(names: Sequence[object], write: Callable[[object], str]) -> list[str]:
    """Write names that stand together so that different ones stay different: where alike, by where they differ."""
    told = {str(name): write(name) for name in names}
    for alike in {shown: [n for n in told if told[n] == shown] for shown in told.values()}.values():
        if len(alike) < 2:
            continue
        first, last = min(alike), max(alike)
        same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        told |= {name: write(f"…{name[max(same - 4, 0) :]}") for name in alike}
    # What cannot be told apart by letters that fit is numbered.
    found: dict[str, int] = {}
    for name, shown in told.items():
        found[shown] = found.get(shown, 0) + 1
        if found[shown] > 1:
            told[name] = f"{shown} [{found[shown]}]"
    return [told[str(name)] for name in names]


def _broken(text: str, width: int) -> list[str]:
    parts = text.replace("(", " (").split()
    shown = " ".join(part if len(part) <= width else part.replace("_", "_ ") for part in parts)
    # Of letters that are twice as wide there are half as many in a line.
    narrow = max(round(width * len(shown) / max(_length(shown), 1)), 4)
    return [line.replace("_ ", "_") for line in textwrap.wrap(shown, narrow)]


def _shown(text: object) -> str:
    told = "".join(letter if letter.isprintable() or letter in JOINERS else " " for letter in str(text))
    return spelled(told, _SPELLED.get())


def _length(text: str) -> int:
    """Return how long a text is, in letters of usual width."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _first(text: str, width: int) -> str:
    """Return as much of a text as so many letters of usual width take."""
    lengths = accumulate(map(_length, text))
    return text[: sum(length <= width for length in lengths)]


def legend_below(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Set a legend under the axes, in as many columns as fit, to be read row by row."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    columns = int(figure.get_figwidth() / (0.5 + 0.078 * longest))
    columns = min(max(columns, 1), max(len(handles), 1))
    # A legend is filled column by column.
    by_row = [handle for column in range(columns) for handle in handles[column::columns]]
    figure.legend(handles=by_row, loc="outside lower left", ncols=columns, columnspacing=1.2)


def heatmap(ax: Axes, values: pd.DataFrame, shown: Sequence[Sequence[str]] | None, **options: object) -> None:
    """Draw a cell per value with its text on it, dark or white as the cell asks; a dash where there is none.

    The caller names the ticks: seaborn would lay the figure out with the names as they are, however long.
    """
    bar = options.pop("bar", None)
    size = options.pop("size", SMALL)
    sns.heatmap(
        values,
        ax=ax,
        annot=None if shown is None else np.array(shown, dtype=object).reshape(values.shape),
        fmt="",
        annot_kws={"fontsize": size},
        cbar=bar is not None,
        cbar_kws={"pad": 0.02, **(bar or {})},
        linewidths=0.6,
        linecolor=GROUND,
        xticklabels=False,
        yticklabels=False,
        **options,
    )
    if shown is not None:
        for i, j in np.argwhere(values.isna().to_numpy()):
            ax.text(j + 0.5, i + 0.5, "–", ha="center", va="center", fontsize=size)
    ax.set(xlabel="", ylabel="")
    ax.grid(visible=False)


def name_rows(ax: Axes, names: Sequence[object], width: int = 28) -> None:
    """Name the rows of a heat map."""
    ax.set_yticks(np.arange(len(names)) + 0.5, apart(names, lambda name: clipped(name, width)))


def name_columns(ax: Axes, names: Sequence[object], width: int = 24) -> None:
    """Name the columns of a heat map, slanted."""
    shown = apart(names, lambda name: clipped(name, width))
    ax.set_xticks(np.arange(len(shown)) + 0.5, shown, rotation=30, ha="right", rotation_mode="anchor")


def texts(values: pd.DataFrame, write: Callable[[float], str]) -> list[list[str]]:
    """Write each value of a table; nothing where there is none."""
    return [["" if np.isnan(value) else write(value) for value in row] for row in values.to_numpy(dtype=float)]


def name_lanes(ax: Axes, runs: Sequence[str], names: Mapping[str, str], top: float = -0.34) -> None:
    """Write each run's name above its lane, where a name of any length has room; lane i is around i."""
    for i, run in enumerate(runs):
        place = {"xycoords": ("axes fraction", "data"), "va": "center", "ha": "left"}
        ax.annotate(clipped(names[run], 92), (0.0, i + top), fontsize=SMALL, **place)
    ax.set_ylim(len(runs) - 0.5, -0.6)
    ax.set_yticks([])
    ax.grid(visible=False, axis="y")
    for edge in np.arange(len(runs) - 1) + 0.5:
        ax.axhline(edge, color=PALE, lw=0.6)


def bounded(ax: Axes, *sides: str, low: float = -1.0, high: float = 1.0) -> None:
    """Take from some sides of axes what is beyond the ends of their score, but for half a mark's room."""
    for side in sides:
        least, most = getattr(ax, f"get_{side}lim")()
        room = min(0.03, 0.08 * (min(most, high) - max(least, low)))
        if most > high or least < low:
            getattr(ax, f"set_{side}lim")(max(least, low - room), min(most, high + room))


def halo(ground: str) -> list:
    """Return what keeps a text apart from what it stands on."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.8, foreground=ground)]


def short(value: float, _place: int | None = None) -> str:
    """Write a tick's value of any size."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def segment_name(label: int) -> str:
    """Name a segment in a legend."""
    return "noise" if label < 0 else f"segment {label}"
