"""Every figure of the report: each function takes frames and returns a matplotlib ``Figure``.

The only modules that import matplotlib and seaborn. Style is set around each drawing, never globally, and no text is
read as mathematics, so that a column called ``$x`` is drawn as it is. Figures are narrow enough to be read on a phone.
A name that the bundled font lacks, or that is read from the right, is text in the page, which a browser writes.
"""

from __future__ import annotations

from segkit.report.figures.choices import effects, grid, k_curves, k_excess, k_line
from segkit.report.figures.data import correlations, distributions, variance
from segkit.report.figures.fonts import families, unwritable
from segkit.report.figures.segments import pairs, profiles, silhouettes, two_features
from segkit.report.figures.spaces import embeddings, inflation
from segkit.report.figures.style import to_inline, to_pdf, to_png
from segkit.report.figures.trust import agreement, jaccard, levels, nulls, trust

__all__ = [
    "agreement",
    "correlations",
    "distributions",
    "effects",
    "embeddings",
    "families",
    "grid",
    "inflation",
    "jaccard",
    "k_curves",
    "k_excess",
    "k_line",
    "levels",
    "nulls",
    "pairs",
    "profiles",
    "silhouettes",
    "to_inline",
    "to_pdf",
    "to_png",
    "trust",
    "two_features",
    "unwritable",
    "variance",
]
