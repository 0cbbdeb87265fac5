"""The comparison report of a study: gather the numbers, draw the figures, render the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["build"]


def build(
    folder: Path,
    *,
    customers: bool | None = None,
    max_mb: float | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Write ``report.html``, ``summary.md`` and ``figures/`` into a study's folder, from its files alone.

    Parameters
    ----------
    folder : Path
        The study's folder.
    customers : bool, optional
        Whether the page holds the customers' ids and values; else as the study's settings say.
    max_mb : float, optional
        How large the page may be, in millions of bytes; else as the study's settings say.
    tell : callable, optional
        Gets a line for each thing that the page lacks: a file that is not there, what was left out for its size.

    Returns
    -------
    Path
        Of ``report.html``.

    Raises
    ------
    UsageError
        If the folder lacks a file that no report can do without, one cannot be read, or an option is not allowed.
    """
    from segkit.report.gather import gather
    from segkit.report.render import write

    return write(gather(folder, {"customers": customers, "max_mb": max_mb}), tell)
