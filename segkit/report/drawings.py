"""Figures yet to be drawn; one of the same numbers that was drawn before is found in the user's cache."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report import cache
from segkit.report.cache import Image
from segkit.report.characters import uncommon
from segkit.study.plan.libraries import library_version

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LIBRARIES = ("matplotlib", "seaborn", "numpy", "pandas", "pillow")


@dataclass(frozen=True)
class Drawing:
    """A figure yet to be drawn: the name of the function in ``figures`` that draws it, and what it takes."""

    name: str
    arguments: tuple[Any, ...]

    def __call__(self, **options: bool) -> Figure:
        """Draw it."""
        from segkit.report import figures

        return getattr(figures, self.name)(*self.arguments, **options)


def to_draw(name: str, *arguments: Any) -> Drawing:
    """Return a figure yet to be drawn; matplotlib is imported when it is."""
    return Drawing(name, arguments)


def drawn(drawing: Drawing, name: str, formats: Sequence[str], folder: Path | None) -> Image:
    """Return a figure's image: the one kept in the cache if the same was drawn before, else a new one, which is kept.

    Parameters
    ----------
    drawing
        What to draw.
    name
        Of the figure in the page.
    formats
        Of the files: png, pdf.
    folder
        The folder of the cache; None: nothing is kept.
    """
    key = "" if folder is None else _key(drawing, name, formats)
    image = None if folder is None else cache.kept(folder, key, formats)
    if image is None:
        image = _image(drawing, name, formats)
        if folder is not None:
            cache.keep(folder, key, image)
    return image


def _image(drawing: Drawing, name: str, formats: Sequence[str]) -> Image:
    from segkit.report import figures

    render = {"png": figures.to_png, "pdf": figures.to_pdf}
    figure = drawing()
    if figures.unwritable(uncommon(drawing.arguments)):
        # A browser may have the fonts that this computer lacks; a file must tell names apart as it is.
        page, figure = figures.to_inline(figure, name), drawing(spell=True)
        return Image(*page, {kind: render[kind](figure) for kind in formats})
    files = {kind: render[kind](figure) for kind in formats}
    return Image(*figures.to_inline(figure, name), files)


# what was drawn before


def _key(drawing: Drawing, name: str, formats: Sequence[str]) -> str:
    told = hashlib.sha256(_code())
    _tell(told, [drawing.name, name, list(formats), _fonts(drawing), *drawing.arguments])
    return told.hexdigest()


def _fonts(drawing: Drawing) -> list[str]:
    """Return which fonts of this computer write a figure's names, where that is not plain."""
    letters = uncommon(drawing.arguments)
    if not letters:
        return []
    from segkit.report import figures

    return figures.families(letters)


@functools.cache
def _code() -> bytes:
    """Return what draws: the functions' source and the libraries' versions."""
    versions = " ".join(map(library_version, _LIBRARIES))
    sources = sorted(Path(__file__).with_name("figures").glob("*.py"))
    return b"".join(path.read_bytes() for path in sources) + versions.encode()


def _tell(told: Any, value: Any) -> None:
    """Put a value into a hash: its type, its shape and all that it holds."""
    if isinstance(value, pd.DataFrame):
        _tell(told, [value.shape, value.dtypes.to_dict(), value.columns.names, value.index.names])
        _tell(told, value.index.to_numpy())
        for _, column in value.items():
            _tell(told, column.to_numpy())
    elif isinstance(value, np.ndarray):
        told.update(f"{value.dtype.str} {value.shape}".encode())
        told.update(repr(value.tolist()).encode() if value.dtype == object else np.ascontiguousarray(value).data)
    elif is_dataclass(value):
        _tell(told, {field.name: getattr(value, field.name) for field in fields(value)})
    elif isinstance(value, Mapping):
        _tell(told, list(value.items()))
    elif isinstance(value, list | tuple):
        told.update(f"{type(value).__name__} {len(value)}[".encode())
        for item in value:
            _tell(told, item)
        told.update(b"]")
    else:
        told.update(f"{type(value).__name__} {value!r};".encode())
