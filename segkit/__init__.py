"""segkit compares every way of segmenting a table of customers, honestly and reproducibly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segkit.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from segkit.study.keep.reader import Study

__all__ = ["__version__", "load_study"]


def load_study(path: str | Path) -> Study:
    """Open a study's folder: its runs table, partitions and recommendation.

    Parameters
    ----------
    path
        The folder that ``segkit sweep`` printed.

    Raises
    ------
    segkit.errors.UsageError
        If it is not the folder of a study.
    """
    from segkit.study.keep.reader import load_study

    return load_study(path)
