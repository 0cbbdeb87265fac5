"""What is typical of a segment in a feature: its median and quartiles, or of a feature that is 0 or 1 a share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from segkit.report import words
from segkit.report.payload.portraits import FEWEST

if TYPE_CHECKING:
    from segkit.report.gather import Summary


def told(summary: Summary, feature: str, row: pd.Series) -> str:
    """Write a segment's median against everybody's where that is known; of a feature that is 0 or 1 shares of ones.

    Where both medians are the same it is the means, but not in a page without customers.
    """
    if feature in summary.shares:
        return f"{share(summary, row)} against {words.percent(summary.shares[feature])}"
    own, everybody = words.short(row["median"]), everybodys(summary, feature, "median")
    if words.absent(everybody):
        return own
    if own == words.short(everybody) and summary.options.customers:
        return f"mean {words.short(row['mean'])} against {words.short(everybodys(summary, feature, 'mean'))}"
    return f"{own} against {words.short(everybody)}"


def everybodys(summary: Summary, feature: str, what: str) -> float:
    """Return the mean or median of the customers that the study kept, in the feature's own units; NaN if not known.

    With several tables it is none: what was kept of the customers is of all tables, and a run is of one.
    """
    found = summary.columns
    if found is None or feature not in found.table.index or len(summary.runs["data_label"].unique()) > 1:
        return float("nan")
    return float(found.table.loc[feature, what])


def explained(summary: Summary) -> str:
    """Say what stands beside a feature on the cards: its z, and the medians or shares of :func:`told`."""
    features = summary.profile["feature"].unique()
    known = [name for name in features if not words.absent(everybodys(summary, name, "median"))]
    text = "Each feature: the segment's mean in standard deviations from all customers' mean, and the segment's median"
    text += " against that of all customers" if known else ""
    text += ", or the means where the medians are the same" if known and summary.options.customers else ""
    if any(name in summary.shares for name in features):
        text += "; of a feature that is 0 or 1, the share of the segment's customers that have 1, against everybody's"
    if known and summary.columns.customers < summary.n_customers:
        text += f". Medians and means of all are those of {summary.columns.customers:,} drawn customers"
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
