"""A canvas that writes pictures for the page: paths, but text where a browser writes it better."""

from __future__ import annotations

import codecs
import unicodedata
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG

from segkit.report.figures.fonts import left_to_the_page

# Widths in shares of the font's size, larger than in most fonts: what font a browser will take is not known.
_WIDE, _NARROW = 1.0, 0.62


class Renderer(RendererSVG):
    """Writes names in other scripts as text, and knows about how much room they take."""

    def draw_text(self, gc: Any, x: float, y: float, s: str, *rest: Any, **options: Any) -> None:
        """Draw a line of text."""
        if not left_to_the_page(s):
            super().draw_text(gc, x, y, s, *rest, **options)
            return
        with mpl.rc_context({"svg.fonttype": "none"}):
            super().draw_text(gc, x, y, s, *rest, **options)

    def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> tuple[float, float, float]:
        """Measure a line of text."""
        width, height, descent = super().get_text_width_height_descent(s, prop, ismath)
        return (text_width(s) * prop.get_size_in_points() if left_to_the_page(s) else width), height, descent


def text_width(text: str) -> float:
    """Return about how wide a text is, in shares of the font's size."""
    return sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> float:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0.0
    return _WIDE if unicodedata.east_asian_width(letter) in "WF" else _NARROW


class FigureCanvas(FigureCanvasSVG):
    """The canvas of such pictures, under the name by which matplotlib looks for it."""

    def print_svg(self, file: Any, *, bbox_inches_restore: Any = None, metadata: Any = None, **_: Any) -> None:
        """Write a picture to a binary file."""
        dpi, self.figure.dpi = self.figure.dpi, 72
        width, height = self.figure.get_size_inches()
        vector = Renderer(72 * width, 72 * height, codecs.getwriter("utf-8")(file), image_dpi=dpi, metadata=metadata)
        mixed = MixedModeRenderer(self.figure, width, height, dpi, vector, bbox_inches_restore=bbox_inches_restore)
        self.figure.draw(mixed)
        mixed.finalize()
