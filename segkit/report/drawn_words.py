"""What was computed on drawn customers instead of all, and which draws were spared: what it means for the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from segkit.report import words
from segkit.study.plan.sampling import Sampling

if TYPE_CHECKING:
    from segkit.report.gather import Summary

# From this share of customers with their own segment on, how the others joined is no question.
SURE = 0.9


def drawn(summary: Summary) -> str:
    """Say which work was done on drawn customers; nothing where all of it was done on everybody."""
    runs, total = summary.ok, summary.n_customers
    parts = []
    placed = runs["projection.fitted_customers"].dropna()
    if len(placed):
        runs_told = words.plural(len(placed), "run")
        parts.append(f"the projections of {runs_told} were fitted on {_sizes(placed)}, the others placed between these")
    joined = runs["fitted_customers"].dropna()
    if len(joined):
        runs_told = words.plural(len(joined), "run")
        parts.append(f"{runs_told} clustered {_sizes(joined)}, and the others joined the nearest of these")
    competed = (summary.study.get("sampling") or {}).get("kmeans")
    if isinstance(competed, int) and total > competed and (runs["clusterer"] == "kmeans").any():
        parts.append(
            f"the initialisations of K-Means compete on {competed:,} drawn customers, the best goes on with all"
        )
    scored = runs["silhouette_customers"].dropna()
    if len(scored):
        parts.append(f"silhouettes are means over {_sizes(scored)}, with 95% intervals")
    size = draw_size(summary)
    if size:
        parts.append(f"the stability compares draws of {size:,} customers")
    if not parts:
        return ""
    return (
        f"Of the {total:,} customers, some stand for all in part of the work: {'; '.join(parts)}. Every customer has a "
        "segment all the same, and profiles are of everybody."
    )


def _sizes(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,} drawn customers" if low == high else f"{low:,} to {high:,} drawn customers"


def draw_size(summary: Summary) -> int | None:
    """Return of how many customers each draw is; None where it is about 63% of them."""
    most = (summary.study.get("sampling") or {}).get("draws")
    return Sampling(draws=most if isinstance(most, int) else None).draw_size(summary.n_customers)


def of_a_draw(summary: Summary) -> str:
    """Say whom a draw has."""
    size = draw_size(summary)
    return f"{size:,} of the customers" if size else "about 63% of the customers"


def definition(summary: Summary) -> str:
    """Say what a draw is in this study, if it is of fewer customers than usual."""
    size = draw_size(summary)
    return f"Here a draw has {size:,} of the {summary.n_customers:,} customers, without replacement." if size else ""


def fidelity(summary: Summary) -> str:
    """Say how well the rule does by which the best run's other customers joined; nothing if all were clustered."""
    if summary.best is None:
        return ""
    run = summary.run(summary.best)
    if words.absent(run["fitted_customers"]) or words.absent(run["fidelity"]):
        return ""
    return (
        f"The best run clustered {words.count(run['fitted_customers'])} drawn customers, and the others joined the "
        "nearest of these. Held against the drawn ones themselves, this rule gives "
        f"{words.percent(run['fidelity'], 1)} of them their own segment"
        f"{'' if run['fidelity'] >= SURE else ': the borders of the segments are uncertain'}."
    )


def placement(summary: Summary) -> str:
    """Say how well customers were placed whose coordinates were not fitted; nothing if all were."""
    runs = summary.ok.dropna(subset=["projection.placement_r2", "projection.fitted_customers"])
    if runs.empty:
        return ""
    by_space = runs.groupby(["features_label", "scaler_label", "projection_label"])["projection.placement_r2"].first()
    low, high = by_space.min(), by_space.max()
    span = words.percent(low) if len(by_space) == 1 else f"{words.percent(low)} to {words.percent(high)}"
    spaces = words.plural(len(by_space), "projected space")
    told = (
        f"{spaces} {'was' if len(by_space) == 1 else 'were'} fitted on {_sizes(runs['projection.fitted_customers'])} "
        "and the others placed between the nearest of these; where the drawn ones are left out in turn, this explains "
        f"{span} of the variance of their coordinates"
    )
    own = None if summary.best is None else summary.run(summary.best)["projection.placement_r2"]
    best = "" if words.absent(own) or len(by_space) == 1 else f"; in the best run's space {words.percent(own)}"
    poor = int((by_space < 0.5).sum())
    lead = f" In {words.plural(poor, 'space')} it is less than half: look at {'its' if poor == 1 else 'their'} picture"
    return f"{told}{best}.{lead + ' with care.' if poor else ''}"


def recall(summary: Summary) -> str:
    """Say which share of their neighbours UMAP and t-SNE were given where these are not exact; nothing if all are."""
    found = summary.ok["projection.neighbours_recall"].dropna()
    if found.empty:
        return ""
    low, high = (words.percent(share, 1) for share in (found.min(), found.max()))
    span = low if low == high else f"{low} to {high}"
    return (
        f"Among {words.count(summary.n_customers)} customers the neighbours of {words.plural(len(found), 'run')} were "
        f"searched approximately: {span} of the exact ones were found, by a check of random customers."
    )


def racing(summary: Summary) -> str:
    """Say how many runs the race spared draws, and what that means."""
    settings = summary.study.get("scoring") or {}
    asked = settings.get("draws")
    if not settings.get("racing") or not isinstance(asked, int) or summary.ok.empty:
        return ""
    runs = summary.ok
    none = runs["stability_status"] == "not_drawn"
    fewer = ~none & (runs["stability_draws"] < asked)
    if not (none | fewer).any():
        return f"Draws were raced, but every run had all {asked}."
    told = []
    if fewer.any():
        counts = runs.loc[fewer, "stability_draws"]
        low, high = int(counts.min()), int(counts.max())
        span = f"{low}" if low == high else f"{low} to {high}"
        told.append(f"{words.plural(int(fewer.sum()), 'run')} stopped after {span} of {asked} draws")
    if none.any():
        one = int(none.sum()) == 1
        told.append(f"{words.plural(int(none.sum()), 'run')} that {'misses' if one else 'miss'} a gate had none")
    confidence = settings.get("racing_confidence")
    sure = f" (at {words.percent(confidence)} confidence)" if isinstance(confidence, float) else ""
    return (
        f"Draws were raced: {words.listed(told)}, as they could not reach the shortlist any more{sure}. Their "
        "stability is less certain or not known; the runs on the shortlist have all draws."
    )
