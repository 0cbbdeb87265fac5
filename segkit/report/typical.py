"""What is typical of a segment in a feature: its median and quartiles, or of a feature that is 0 or 1 a share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from segkit.report import words
from segkit.report.payload.portraits import FEWEST

if TYPE_CHECKING:
    from segkit.report.gather import Summary


def told(summary: Summary, feature: str, row: pd.Series) -> str:
    """Write a segment's median against everybody's where that is known; of a feature that is 0 or 1 shares of ones."""
    if feature in summary.shares:
        return f"{share(summary, row)} against {words.percent(summary.shares[feature])}"
    own, everybody = words.short(row["median"]), everybodys_median(summary, feature)
    return own if words.absent(everybody) else f"{own} against {words.short(everybody)}"


def everybodys_median(summary: Summary, feature: str) -> float:
    """Return the median of the customers that the study kept, in the feature's own units; NaN where none is known.

    With several tables it is none: what was kept of the customers is of all tables, and a run is of one.
    """
    found = summary.columns
    if found is None or feature not in found.table.index or len(summary.runs["data_label"].unique()) > 1:
        return float("nan")
    return float(found.table.loc[feature, "median"])


def explained(summary: Summary) -> str:
    """Say what stands beside a feature on the cards: its z, and the medians or shares of :func:`told`."""
    features = summary.profile["feature"].unique()
    known = [name for name in features if not words.absent(everybodys_median(summary, name))]
    text = "Each feature: the segment's mean in standard deviations from all customers' mean, and the segment's median"
    text += " against that of all customers" if known else ""
    if any(name in summary.shares for name in features):
        text += "; of a feature that is 0 or 1, the share of the segment's customers that have 1, against everybody's"
    if known and summary.columns.customers < summary.n_customers:
        text += f". Medians of all are those of {summary.columns.customers:,} drawn customers"
    return f"{text}."


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
