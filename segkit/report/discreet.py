"""The summary for a page that may leave the house: without customers, and without what only a few of them have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report import gather, words
from segkit.report.columns import COMMONEST, NUMBERS, TAIL, Columns
from segkit.report.files import Files
from segkit.report.payload.few import (
    DIGITS,
    coarse,
    column_of,
    is_value,
    rounded,
    table_columns,
    telling_planes,
)
from segkit.report.payload.portraits import FEWEST, HIDDEN
from segkit.segments.profiles import NOISE, OTHER, Portrait, describe

if TYPE_CHECKING:
    from segkit.report.gather import Summary

# The text of an error, or the one value of a constant column, may be a customer's.
_ERROR = re.compile(r"(\w*(?:Error|Exception|Warning)): .*", re.DOTALL)
_CONSTANT = re.compile(r"(is left out: constant) \(.*\)$", re.DOTALL)


def discreet(summary: Summary) -> Summary:
    """Leave out of a summary what only single customers have, where customers are not to be shown.

    Returns
    -------
    Summary
        The same one where they may be shown. Else profiles, silhouettes and portraits tell nothing of fewer than five
        customers, pictures of one or two features are gone, and so are values in names, warnings and errors.
    """
    if summary.options.customers:
        return summary
    data = summary.provenance.get("data") or {}
    files = Files(summary.folder)
    profile = coarse(files, {str(summary.best): summary.profile}, data).get(str(summary.best), summary.profile[:0])
    told = profile[profile["segment"].isin(profile.loc[profile["z"].notna(), "segment"])]
    listed = gather.listed_planes(files, summary.runs, summary.best)
    planes = {name for name, _, _ in telling_planes(listed, summary.runs, data)}
    runs = _unquoted(summary.runs, "reason")
    confirmation = summary.confirmation
    return replace(
        summary,
        profile=told,
        portraits=_portraits(summary.portraits, told),
        silhouettes=_of_many(summary.silhouettes),
        columns=summary.columns and _columns(summary.columns),
        embeddings=[plane for plane in summary.embeddings if plane.name in planes],
        plane=summary.plane if summary.plane is not None and summary.plane.name in planes else None,
        variance=_variance(summary.variance, data, set(profile["feature"])),
        provenance={**summary.provenance, "data": _data(data)},
        runs=runs,
        failures=gather.failures(runs),
        confirmation=confirmation and replace(confirmation, runs=_unquoted(confirmation.runs, "confirm_reason")),
    )


def _portraits(portraits: Sequence[Portrait], profile: pd.DataFrame) -> list[Portrait]:
    told = {p.segment: p for p in describe(profile)}
    found = [told.get(p.segment, Portrait(p.segment, p.n, (), (), HIDDEN)) for p in portraits]
    return sorted(found, key=lambda p: (p.segment == NOISE, p.segment))


def _of_many(silhouettes: pd.DataFrame) -> pd.DataFrame:
    sizes = silhouettes.groupby("segment")["segment"].transform("size")
    return silhouettes[sizes >= FEWEST].reset_index(drop=True)


def _columns(found: Columns) -> Columns:
    """Leave out what only a few customers have: no exact value, no rare text, nothing that is drawn one by one."""
    table = found.table.copy()
    numbers = table[list(NUMBERS)].astype("float64")
    table[list(NUMBERS)] = np.vectorize(rounded, otypes=[float])(numbers.to_numpy())
    table.loc[table["n"] < FEWEST, [*NUMBERS, "zeros"]] = np.nan
    # Beyond a quantile of 5% are fewer customers.
    table.loc[TAIL * table["n"] < FEWEST, ["low", "high"]] = np.nan
    rare = ~(table["n"] * table["commonest_share"].astype("float64") >= FEWEST)
    table.loc[rare, list(COMMONEST)] = [None, np.nan]
    return replace(found, table=table, drawn=found.drawn.iloc[:0, :0])


def _variance(variance: pd.DataFrame, data: Mapping[str, Any], common: set[str]) -> pd.DataFrame:
    """Put values of text columns together that are not known to be common."""
    columns = table_columns(data)
    rare = [name for name in variance["feature"].unique() if is_value(name, columns) and name not in common]
    names = {name: f"{column_of(name, columns)}={OTHER}" for name in rare}
    told = variance.assign(feature=variance["feature"].replace(names))
    by = ["matrix", "features", "scaler", "feature"]
    return told.groupby(by, sort=False, as_index=False)["share"].sum() if names else variance


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**data, "warnings": [_CONSTANT.sub(r"\1", str(text)) for text in data.get("warnings") or []]}


def _unquoted(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    return runs.assign(**{column: runs[column].map(lambda reason: _ERROR.sub(r"\1", reason))})


def hidden(summary: Summary) -> list[Portrait]:
    """Return the segments of which nothing is told but their size."""
    told = set(summary.profile["segment"])
    return [portrait for portrait in summary.portraits if portrait.segment not in told]


def left_out(summary: Summary) -> str:
    """Say in a sentence what the page lacks so that it may leave the house; nothing if it lacks nothing."""
    if summary.options.customers:
        return ""
    few = [words.segment(portrait.segment) for portrait in hidden(summary)]
    named = words.listed(few) if len(few) <= FEWEST else words.plural(len(few), "segment")
    here = f", here {named} of the run told in depth" if few else ""
    return (
        "Made without customers (as with report.customers=false): left out are their ids and values, the filters, "
        "distributions and scatters by feature that show them one by one, pictures of one or two features, the text of "
        f"errors, and whatever fewer than {FEWEST} customers have (what is typical of so small a segment{here}; rare "
        f"values of text columns); medians and quartiles are rounded to {DIGITS} digits, silhouettes are means of at "
        f"least {FEWEST}."
    )
