"""Summary to files: ``report.html``, ``summary.md`` and ``figures/``."""

from __future__ import annotations

import math
import re
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from segkit.errors import UsageError
from segkit.files import replacing, write_text
from segkit.report import words
from segkit.report.blocks import Cards, Leaderboard, Notice, Section
from segkit.report.cache import Image, own_folder, trim, user_figures
from segkit.report.drawings import drawn
from segkit.report.options import FORMATS, MEGABYTE
from segkit.report.payload import payload
from segkit.report.sections import sections
from segkit.study.keep.runs_table import write_table
from segkit.study.keep.untrusted import inside

if TYPE_CHECKING:
    from segkit.report.gather import Summary

TEMPLATES = Path(__file__).parent / "templates"
MODULES = (
    *("page", "data", "partitions", "state", "search", "board", "canvas", "scatter", "plot", "lanes"),
    *("profile", "segment", "filters", "compare", "main"),
)
# Beside the figures, in the order in which they are written.
FILES = ("effects.csv", "summary.md", "report.html")
# What the elements around the blocks take at most, and what of the page is only there with them.
BLOCK_TAGS = 2_000
MARKDOWN_ROWS = 12
CELL = 300
MARKDOWN_COLUMNS = (
    *(
        "#",
        "Run",
        "State",
        "Place, 90%",
        "Excess",
        "Silhouette z",
        "p",
        "Refitted",
        "Features",
        "Scaler",
        "Projection",
        "Clusterer",
        "k",
        "Truth",
        "Coverage",
    ),
    *("Silhouette", "By reference", "Stability", "Weakest Jaccard", "Weakest Jaccard, refitted"),
)
_MARKDOWN = re.compile(r"[\\`*\[\]#|~$^]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|!(?=\[)")

# The ampersand comes first; the last three are what a page would turn into mentions and links by itself.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "://": "&#58;//", "www.": "www&#46;"}


def write(summary: Summary, tell: Callable[[str], None] | None = None) -> Path:
    """Write the report beside the study's files, and tell what it lacks.

    All of it is made before its first file is written, once it is known that each can be; ``report.html`` comes last.

    Returns
    -------
    Path
        Of ``report.html``.

    Raises
    ------
    UsageError
        If the folder cannot be written.
    """
    _check_writable(summary.folder)
    told = sections(summary)
    told[0].blocks.extend(Notice(line) for line in summary.lacking)
    images = draw(told, summary.formats, own_folder(user_figures()))
    effects, short, page = (summary.folder / name for name in FILES)
    text, cut = _made_page(summary, told, images, page.name)
    shortened = markdown(summary, told)
    try:
        _write_figures(summary.folder / "figures", images)
        write_table(summary.explained, effects)
        write_text(shortened, short)
        write_text(text, page)
    except OSError as error:
        where = error.filename2 or error.filename or summary.folder
        raise UsageError(f"{where}: the report cannot be written ({error.strerror})") from error
    for line in (*summary.lacking, *cut) if tell else ():
        tell(line)
    return page


def _check_writable(folder: Path) -> None:
    """Raise a UsageError for what of a report cannot be written in a folder, before anything is."""
    figures = inside(folder, "figures")
    drawn_before = [path for kind in FORMATS for path in figures.glob(f"*.{kind}")]
    for path in (*(inside(folder, name) for name in FILES), *drawn_before):
        if path.is_dir():
            raise UsageError(f"{path}: the report cannot be written (it is a directory; move it away)")
    if figures.exists() and not figures.is_dir():
        raise UsageError(f"{figures}: the report cannot be written (it is a file; move it away)")
    for where in (folder, figures):
        try:
            if where.is_dir():
                tempfile.TemporaryFile(dir=where).close()
        except OSError as error:
            raise UsageError(f"{where}: the report cannot be written ({error.strerror})") from error


def _made_page(summary: Summary, told: list[Section], images: dict[str, Image], name: str) -> tuple[str, list[str]]:
    """Make the page with as much as its size allows, data before figures, and say what was left out."""
    most = summary.options.most_bytes
    # A character of the blocks is a byte; each stands in an element of its own.
    bare = len(html(summary, told, images).encode()) + BLOCK_TAGS
    data, cut = payload(summary, max(most - bare, 0))
    text = html(summary, told, images, data)
    least = len(text.encode())
    kept, lost = dict(images), []
    while (over := len(text.encode()) - most) > 0 and kept:
        # The last ones of the page answer what is asked last.
        while over > 0 and kept:
            figure, image = kept.popitem()
            lost.append(figure)
            over -= len(image.element.encode())
        text = html(summary, told, kept, data)
    size = len(text.encode())
    said = [cut] if cut else []
    if lost:
        said.append(
            f"With every figure it would have {_megabytes(least)} at least, so that figures/ alone has {_told(lost)}."
        )
    if size > most:
        said.append(
            f"This is the least that this study's page can have, though {summary.options.max_mb:g} MB were asked for."
        )
    return text, [" ".join([f"{name} has {_megabytes(size)}.", *said])] if said else []


def _megabytes(size: int) -> str:
    """Write a size, in no case less than it is."""
    return f"{math.ceil(size / MEGABYTE * 100) / 100:g} MB"


def _told(lost: Sequence[str]) -> str:
    return words.plural(len(lost), "of them", "of them") if len(lost) > 3 else words.listed(lost[::-1])


def _write_figures(folder: Path, images: dict[str, Image]) -> None:
    folder.mkdir(exist_ok=True)
    files = {folder / f"{name}.{kind}": data for name, image in images.items() for kind, data in image.files.items()}
    for path, data in files.items():
        with replacing(path) as file:
            file.write(data)
    for stale in {path for kind in FORMATS for path in folder.glob(f"*.{kind}")} - set(files):
        stale.unlink()


def draw(told: list[Section], formats: Sequence[str], folder: Path | None = None) -> dict[str, Image]:
    """Draw every figure of the sections, by name; those that were drawn before are found in the folder."""
    plots = [block for section in told for block in section.blocks if block.kind == "plot"]
    images = {plot.name: drawn(plot.draw, plot.name, formats, folder) for plot in plots}
    if folder is not None:
        trim(folder)
    return images


def html(
    summary: Summary, told: list[Section], images: dict[str, Image], payload: Mapping[str, str] | None = None
) -> str:
    """Return the page: one file that asks the network for nothing and runs no script but its own.

    A figure of which there is no image is not in it; the page says in which file it is.
    ``payload`` holds the linked views' data, base64 by the block's name: ``meta``, ``runs``, ``labels`` and so on.
    """
    style, script = _asset("style.css"), _script()
    template = _environment(autoescape=True, finalize=_shown).get_template("report.html.j2")
    return template.render(
        title=_title(summary),
        question=str(summary.study.get("question") or ""),
        finished=str(summary.provenance.get("finished") or ""),
        sections=told,
        images={name: Markup(image.element) for name, image in images.items()},
        figure=f"figures/{{}}.{summary.formats[0]}",
        glyphs=_glyphs(images.values()),
        payload=payload or {},
        command=words.reproduce(summary.folder, "RUN"),
        style=Markup(style),
        script=Markup(script),
        policy=Markup(content_security_policy(style, script)),
    )


def _glyphs(images: Iterable[Image]) -> Markup:
    """Return the letters of all figures, each once."""
    paths = {name: path for image in images for name, path in image.glyphs.items()}
    # As matplotlib scales them, a letter's units are 64 to a pixel.
    element = Markup('<path id="{}" d="{}" transform="scale(0.015625)"/>')
    return Markup("").join(element.format(name, path) for name, path in paths.items())


def content_security_policy(style: str, script: str) -> str:
    """Allow the page's own style and script, by their hashes, images inside the page, and nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _script() -> str:
    """Return the page's script: its modules one after another, inside a function of their own."""
    modules = "\n".join(_asset(f"{name}.js") for name in MODULES)
    return f'(() => {{\n"use strict";\n\n{modules}\n}})();\n'


def _title(summary: Summary) -> str:
    return str(summary.study.get("experiment") or summary.folder.name)


def markdown(summary: Summary, told: list[Section]) -> str:
    """Return the summary for a pull request: the same sections without figures, tables cut to twelve rows."""
    environment = _environment(autoescape=False, finalize=escaped)
    text = environment.get_template("summary.md.j2").render(
        title=_title(summary),
        question=str(summary.study.get("question") or ""),
        sections=told,
        figures=[f"figures/{{}}.{kind}" for kind in summary.formats],
        code=code,
        table=pipe_table,
        leaderboard=_leader_table,
        cards=_cards_table,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _environment(**options: object) -> Environment:
    loader = FileSystemLoader(TEMPLATES)
    return Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, **options)


def _shown(value: object) -> object:
    """Leave nothing in a text of the page that turns its direction but what the report itself sets around names."""
    plain = isinstance(value, str) and not isinstance(value, Markup)
    return words.visible(value, words.ISOLATE) if plain else value


def escaped(value: object, width: int = 2000) -> object:
    """Escape a value for Markdown: shown literally, never markup, link, mention or table cell."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    text = words.cut(words.visible(" ".join(value.split()), words.ISOLATE), width)
    text = _MARKDOWN.sub(r"\\\g<0>", text)
    for markup, harmless in _ENTITIES.items():
        text = text.replace(markup, harmless)
    return text


def code(text: str) -> Markup:
    """Write text as a code span that it cannot leave."""
    text = words.visible(" ".join(str(text).split()))
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return Markup(f"{fence}{pad}{text}{pad}{fence}")


def pipe_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], align: str, total: int = 0, whole: str = "report.html"
) -> Markup:
    """Write a Markdown table of literal text, at most twelve rows of it and of ``total`` that there are."""
    rule = ["---:" if letter == "r" else "---" for letter in align]
    cells = [
        [escaped(cell if isinstance(cell, Markup) else words.isolated(str(cell)), CELL) for cell in row]
        for row in (head, *rows[:MARKDOWN_ROWS])
    ]
    lines = [cells[0], rule, *cells[1:]]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    total = max(total, len(rows))
    more = f"\n\n{MARKDOWN_ROWS} of {total:,} rows; {code(whole)} has them all." if total > MARKDOWN_ROWS else ""
    return Markup(text + more)


def _leader_table(board: Leaderboard) -> Markup:
    places = [i for i, column in enumerate(board.columns) if column.title in MARKDOWN_COLUMNS]
    rows = [[cells[i].shown for i in places] for *_, cells in board.rows]
    align = "".join("r" if board.columns[i].numeric else "l" for i in places)
    return pipe_table([board.columns[i].title for i in places], rows, align, board.total, "runs.csv")


def _cards_table(block: Cards) -> Markup:
    rows = [[card.name, card.n, card.share, *(_traits(side) for side in (card.high, card.low))] for card in block.cards]
    return pipe_table(["Segment", "Customers", "Share", "High", "Low"], rows, "lrrll")


def _traits(side: Sequence[tuple[str, str, str]]) -> Markup:
    """Write what is high or low in a segment; long names are cut one by one, so that no two features run together."""
    names = words.apart([name for name, *_ in side])
    told = (f"{name} ({z}, {typical})" for name, (_, z, typical) in zip(names, side, strict=True))
    return Markup(escaped("; ".join(told)))
