"""What a section is made of: blocks that know nothing of HTML or Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segkit.report.drawings import Drawing


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Notice:
    """A sentence that must not be missed."""

    text: str
    kind: str = "notice"


@dataclass(frozen=True)
class Command:
    """A line to paste into a terminal."""

    text: str
    kind: str = "command"


@dataclass(frozen=True)
class Tiles:
    """Key figures: label, value, note."""

    tiles: list[tuple[str, str, str]]
    kind: str = "tiles"


@dataclass(frozen=True)
class Table:
    """Rows of text; ``align`` has a letter per column: ``r`` for numbers, ``m`` for ids. A ``title`` folds it away."""

    head: list[str]
    rows: list[list[str]]
    align: str
    title: str = ""
    caption: str = ""
    kind: str = "table"


@dataclass(frozen=True)
class Plot:
    """A figure yet to be drawn, its file's name, what it is, and what to see in it."""

    name: str
    draw: Drawing
    alt: str
    caption: str
    kind: str = "plot"


@dataclass(frozen=True)
class Card:
    """One segment."""

    segment: int
    name: str
    n: str
    share: str
    note: str
    high: list[tuple[str, str, str]]
    low: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Cards:
    """One card per segment, and what stands beside a feature on them."""

    cards: list[Card]
    note: str
    kind: str = "cards"


@dataclass(frozen=True)
class Cell:
    """One value of the leaderboard: as shown, as sorted, and the length of its bar (0 to 100)."""

    shown: str
    value: str = ""
    bar: int | None = None


@dataclass(frozen=True)
class Column:
    """One column of the leaderboard; ``first`` is the direction in which the best comes first."""

    title: str
    hint: str
    numeric: bool
    first: str


@dataclass(frozen=True)
class Leaderboard:
    """The first of all runs; rows carry whether they are eligible and on the Pareto front."""

    columns: list[Column]
    rows: list[tuple[str, bool, bool, list[Cell]]]
    total: int
    kind: str = "leaderboard"


@dataclass(frozen=True)
class Listing:
    """Text as it was written, folded away."""

    title: str
    text: str
    kind: str = "listing"


@dataclass(frozen=True)
class Section:
    """A question, its answer in a sentence, and what the answer rests on."""

    slug: str
    title: str
    question: str
    answer: str
    blocks: list[Any] = field(default_factory=list)
