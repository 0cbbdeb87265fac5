"""The comparison report of a study: gather the numbers, draw the figures, render the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["build"]


def build(folder: Path) -> Path:
    """Write ``report.html``, ``summary.md`` and ``figures/`` into a study's folder, from its files alone.

    Parameters
    ----------
    folder : Path
        The study's folder.

    Returns
    -------
    Path
        Of ``report.html``.

    Raises
    ------
    UsageError
        If the folder lacks a file that the report needs, or one cannot be read.
    """
    from segkit.report.gather import gather
    from segkit.report.render import write

    return write(gather(folder))
