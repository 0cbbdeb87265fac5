"""What figures of the customers show, in sentences: silhouettes, features by segment, correlations, k of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from segkit.report import contrast, words
from segkit.report.columns import DRAWN, MOSTLY

if TYPE_CHECKING:
    from segkit.report.columns import Columns
    from segkit.report.contrast import Contrast
    from segkit.report.gather import Summary

SCALES = (
    " Skewed features have a logarithmic axis; the outermost half percent is cut off on either side, and points are "
    "shifted by up to 1% of the axis, so that equal ones show."
)
# Segments in the silhouette plot.
MOST = 30
EIGHT = " Colours are those of the eight largest segments; no more stay apart."


def silhouettes(summary: Summary) -> str:
    """Say how many customers lie nearer to another segment, and in which segment the most."""
    table = summary.silhouettes
    by_segment = table.groupby("segment")["silhouette"]
    below, means = by_segment.apply(lambda values: float((values < 0).mean())), by_segment.mean()
    share = float((table["silhouette"] < 0).mean())
    few = words.percent(share).replace("< ", "Fewer than ") if share else "None"
    told = f"{few} of the customers in a segment lie nearer to another one (silhouette below 0)"
    if len(means) > 1 and share > 0:
        told += f", the most in {words.segment(below.idxmax())}: {words.percent(below.max())}"
    told += f". The mean is {words.silhouette(summary.run(summary.best))}"
    if len(means) > 1:
        weakest, best = means.idxmin(), means.idxmax()
        digits = words.digits_apart(means.min(), means.max())
        low, high = words.number(means.min(), digits), words.number(means.max(), digits)
        told += (
            ", the same in every segment"
            if low == high
            else f", from {low} in {words.segment(weakest)} to {high} in {words.segment(best)}"
        )
    more = f" The {MOST} largest of {len(means)} segments are drawn." if len(means) > MOST else ""
    return f"{told}.{more}{_some_drawn(len(table), summary)}"


def _some_drawn(n: int, summary: Summary) -> str:
    coverage = summary.run(summary.best)["coverage"]
    everybody = summary.n_customers * (1.0 if words.absent(coverage) else coverage)
    return f" Of {summary.n_customers:,} customers, {n:,} drawn ones are shown." if n < 0.9 * everybody else ""


def two_features(summary: Summary) -> str:
    """Say how well two features alone tell the segments apart."""
    found = summary.contrast
    k = int((pd.Series(found.labels).unique() >= 0).sum())
    first, second = words.apart(found.pair)
    chance = "" if k < 2 else f" (by chance {words.percent(1 / k)})"
    compared = min(len(found.differing), contrast.COMPARED)
    which = f": the most for two of the {compared} features that differ most" if compared > 2 else ""
    return (
        f"By {first} and {second} alone, {words.percent(found.told)} of a segment's customers{chance} are nearest to "
        f"the mean ranks of their own segment{which}. Numbers "
        f"stand at the segments' medians.{_axes(found)}"
    )


def pairs(summary: Summary) -> str:
    """Say which features differ most between the segments, and by how much."""
    found = summary.contrast
    names = words.apart(found.foremost, 50)
    told = [
        f"{shown} ({words.percent(found.differing[name])})" for shown, name in zip(names, found.foremost, strict=True)
    ]
    one = len(told) == 1
    return (
        f"{words.listed(told)} {'differs' if one else 'differ'} most between the segments; in brackets: the share of "
        f"the ranks' variance that lies between them, 0% where a feature tells nothing. Features that tell the same as "
        f"one of these (rank correlation from {contrast.LIKE:g}) are left out."
        f"{' Axes and points as in the figure before.' if found.pair else _axes(found)}"
    )


def _axes(found: Contrast) -> str:
    shown = f" {len(found.drawn):,} customers are drawn." if len(found.drawn) == contrast.DRAWN else ""
    many = EIGHT if int(found.labels.max(initial=-1)) >= 8 else ""
    return f"{shown}{SCALES}{many}"


def drawn_columns(found: Columns) -> list[str]:
    """Return the columns whose distributions are drawn: all, or of many those that are skewed the most."""
    names = list(found.drawn)
    if len(names) <= DRAWN:
        return names
    skewed = found.drawn.skew().abs().sort_values(ascending=False, kind="stable").index[:DRAWN]
    return [name for name in names if name in set(skewed)]


def distributions(summary: Summary) -> str:
    """Say which columns are mostly zero, and how the histograms are drawn."""
    found = summary.columns
    zeros = found.table["zeros"].dropna().astype("float64").sort_values(ascending=False, kind="stable")
    empty = zeros[zeros > MOSTLY]
    told = "No column is zero for most customers."
    if len(empty):
        most = f"{words.clipped(str(empty.index[0]), 60)}{' the most' if len(empty) > 1 else ''}"
        told = f"{words.plural(len(empty), 'column is', 'columns are')} zero for most customers"
        told += f" ({most}: {words.percent(empty.iloc[0])})."
    names = drawn_columns(found)
    all_ = found.drawn.shape[1]
    more = f" The {len(names)} of {all_} columns that are skewed the most are drawn." if len(names) < all_ else ""
    axis = " Skewed columns have a logarithmic axis; the outermost half percent is cut off on either side."
    few = f" {len(found.drawn):,} customers are drawn." if len(found.drawn) < summary.n_customers else ""
    return f"{told}{axis}{more}{few}"


def looked_at(summary: Summary) -> str:
    """Say of which customers the columns' figures are, and how many of them are there twice."""
    found = summary.columns
    drawn = found.customers < summary.n_customers
    of = f"{found.customers:,} drawn customers" if drawn else words.plural(found.customers, "customer")
    twice = f"{found.repeated:,}" if found.repeated else "none"
    have = "has" if found.repeated == 1 else "have"
    missing = "Missing values and skew are of all customers, the rest" if drawn else "All"
    return f"{missing} of {of}; {twice} {have} the values of another in every column. 5% and 95% are quantiles."


def correlations(summary: Summary) -> str:
    """Say which features tell the same, and so count twice."""
    found = summary.contrast
    told = contrast.strongest(found.correlations)
    if told.empty:
        return ""
    first = told.iloc[0]
    low, high = contrast.interval(first["rho"], found.customers)
    like = int((told["rho"].abs() >= contrast.LIKE).sum())
    features, drawn = len(found.differing), len(found.correlations)
    some = f" among the {drawn} drawn features (of {features}, those with the strongest)" if features > drawn else ""
    pair = " and ".join(words.apart([first["first"], first["second"]], 50))
    text = (
        f"{words.plural(like, 'pair') if like else 'None'} of {len(told):,}{'' if like else ' pairs'}{some} "
        f"{'has' if like < 2 else 'have'} a rank "
        f"correlation of at least {contrast.LIKE:g} in size"
    )
    text += ": what such features share counts twice in the distances" if like else ", so that no two tell the same"
    text += f". The strongest: {pair}, {words.number(first['rho'], 2)}"
    text += f" (95%: {words.number(low, 2)} to {words.number(high, 2)})." if high > low else "."
    return text


def k_line_run(summary: Summary) -> pd.Series:
    """Return the best placed run of the pipeline that is drawn by its number of clusters."""
    standing = summary.k_line["run"].map(summary.runs.set_index("run")["standing"])
    chosen = summary.k_line["run"] == summary.best
    return summary.k_line.loc[chosen.idxmax() if chosen.any() else standing.idxmin()]


def k_line(summary: Summary) -> str:
    """Say how the best run's number of clusters compares with its neighbours'."""
    line, own = summary.k_line, k_line_run(summary)
    if own["run"] == summary.best:
        told = [f"The pipeline of the run told here by its number of clusters (the run: k = {own['k']})."]
    else:
        label = words.clipped(str(summary.run(own["run"])["label"]), 110)
        told = [f"The best placed pipeline with a number of clusters to choose, {label}."]
    for name, label in (("silhouette", "reference silhouette"), ("stability", "stability")):
        values = line.dropna(subset=[name])
        if len(values):
            told.append(f"The {label} is {_highest(values, own, name)}.")
    if line["inertia"].notna().any():
        told.append("Inertia always falls with k: look for the bend.")
    return " ".join([*told, _whichever(summary)])


def _highest(values: pd.DataFrame, own: pd.Series, name: str) -> str:
    """Say at which k a score is highest, and what the run's own k has where that is less."""
    by_k = values.groupby("k")[name].max()
    best = values.loc[values[name].idxmax()]
    if (by_k == by_k.max()).sum() > 1:
        told, digits = words.highest(by_k), 2
    else:
        digits = 2 if words.absent(own[name]) else words.digits_apart(best[name], own[name])
        told = f"highest at k = {best['k']} ({words.number(best[name], digits)}{_between(best, name)})"
    if words.absent(own[name]) or own[name] == best[name]:
        return told
    return f"{told}; at k = {own['k']} it is {words.number(own[name], digits)}{_between(own, name)}"


def _whichever(summary: Summary) -> str:
    """Say which of the pipeline's runs are drawn, and how many of them miss a gate."""
    runs = summary.runs.set_index("run").loc[summary.k_line["run"]]
    missing = int((~runs["eligible"]).sum())
    miss = "none misses a gate" if not missing else f"{missing:,} {'misses' if missing == 1 else 'miss'} a gate"
    return f"{'Both' if len(runs) == 2 else f'All {len(runs):,}'} of its runs that came through are drawn; {miss}."


def _between(row: pd.Series, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    share = "95%" if name == "silhouette" else "90%"
    missing = words.absent(low) or words.absent(high)
    return "" if missing else f", {share}: {words.number(low, 2)} to {words.number(high, 2)}"
