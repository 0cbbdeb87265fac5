"""What is typical of a segment in a feature: its median and quartiles, or of a feature that is 0 or 1 a share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from segkit.report import words
from segkit.report.payload.portraits import FEWEST

if TYPE_CHECKING:
    from segkit.report.gather import Summary


def told(summary: Summary, feature: str, row: pd.Series) -> str:
    """Write a segment's median; of a feature that is 0 or 1 its share of ones, against everybody's."""
    if feature in summary.shares:
        return f"{share(summary, row)} against {words.percent(summary.shares[feature])}"
    return words.short(row["median"])


def quartiles(summary: Summary, feature: str, row: pd.Series) -> str:
    """Write a segment's median and quartiles; of a feature that is 0 or 1 its share of ones."""
    if words.absent(row["median"]):
        return words.NONE
    if feature in summary.shares:
        return share(summary, row)
    return f"{words.short(row['median'])} ({words.short(row['q25'])} to {words.short(row['q75'])})"


def share(summary: Summary, row: pd.Series) -> str:
    """Write which share of a segment's customers has 1, in a page without customers never that of fewer than five."""
    mean = float(row["mean"])
    few = 0.0 if summary.options.customers else FEWEST / float(row["n"])
    if min(mean, 1 - mean) >= few:
        return words.percent(mean)
    return f"under {words.percent(few)}" if mean < 0.5 else f"over {words.percent(1 - few)}"
