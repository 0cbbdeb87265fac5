"""Every figure of the report: each function takes frames and returns a matplotlib ``Figure``.

The only modules that import matplotlib and seaborn. Style is set around each drawing, never globally, and no text is
read as mathematics, so that a column called ``$x`` is drawn as it is. Figures are narrow enough to be read on a phone.
"""

from __future__ import annotations

from segkit.report.figures.choices import effects, grid, k_curves, k_excess, k_line
from segkit.report.figures.data import correlations, distributions, variance
from segkit.report.figures.segments import pairs, profiles, silhouettes, two_features
from segkit.report.figures.spaces import embeddings, inflation
from segkit.report.figures.style import to_pdf, to_png, to_small_png, to_svg
from segkit.report.figures.trust import agreement, jaccard, levels, nulls, trust

__all__ = [
    "agreement",
    "correlations",
    "distributions",
    "effects",
    "embeddings",
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
    "to_pdf",
    "to_png",
    "to_small_png",
    "to_svg",
    "trust",
    "two_features",
    "variance",
]
