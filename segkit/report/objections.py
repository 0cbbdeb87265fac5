"""What speaks against the run that was chosen: as a reviewer would put it, and as far as it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segkit.report import gather, words
from segkit.report.confirmed import COPULA
from segkit.report.confirmed_words import PATTERN, SUPPORTED, all_below, density_place

if TYPE_CHECKING:
    from segkit.report.gather import Summary

VALID = 0.75
# Segments that are named one by one.
NAMED = 5


def objections(summary: Summary) -> str:
    """Say in short clauses what speaks against the chosen run; nothing where nothing does or none was chosen."""
    if summary.best is None or not summary.recommendation.get("run"):
        return ""
    run = summary.run(summary.best)
    clauses = [_measures(summary, run), _places(summary, run), _segments(summary), _misplaced(summary)]
    clauses.append(_least(summary, run))
    told = [clause for clause in clauses if clause]
    return f"But: {'; '.join(told)}." if told else ""


def _measures(summary: Summary, run: pd.Series) -> str:
    strength = run["prediction_strength"]
    told = [text for text in [_density(summary, run)] if text]
    if strength < SUPPORTED:
        told.append(f"prediction strength {words.number(strength, 2)}, below {SUPPORTED:g}")
    return (
        f"{'other measures disagree' if len(told) > 1 else 'another measure disagrees'} ({'; '.join(told)})"
        if told
        else ""
    )


def _density(summary: Summary, run: pd.Series) -> str:
    """Object to a DBCV below 0, but where every tested run has one, only to one of the lower half."""
    confirmation, density = summary.confirmation, run["dbcv_reference"]
    if not density < 0:
        return ""
    told = f"DBCV {words.number(density, 2)}, below 0"
    known = confirmation.runs["dbcv_reference"].dropna() if confirmation is not None else pd.Series(dtype=float)
    if len(known) < 2:
        return told
    place = density_place(run, confirmation)
    if not all_below(confirmation):
        return f"{told}, place {place} tested runs"
    better = int((known > density).sum())
    return f"{told} as that of every tested run, place {place}" if better > (len(known) - 1) / 2 else ""


def _places(summary: Summary, run: pd.Series) -> str:
    """Tell the places by silhouette in other reference spaces where these are not among the first."""
    others = list(gather.reference_columns(summary.runs, summary.references))[1:]
    places = {name: run[f"rank_{name}"] for name in others}
    told = [f"{words.count(place)} in the {name} reference" for name, place in places.items() if place > words.TOP]
    among = words.plural(len(gather.scored(summary.runs)), "run")
    return f"by silhouette alone it has place {words.listed(told)}, of {among}" if told else ""


def _segments(summary: Summary) -> str:
    values = summary.jaccard[~np.isnan(summary.jaccard)]
    weak = int((values < VALID).sum())
    if not weak:
        return ""
    verb = "is" if weak == 1 else "are"
    least = f"mean Jaccard {'' if weak == 1 else 'from '}{words.jaccard(values.min())}"
    told = f"{weak} of {words.plural(len(summary.jaccard), 'segment')} {verb} not valid ({least}, valid from {VALID:g})"
    lost = [words.segment(int(i)) for i in np.flatnonzero(summary.jaccard < PATTERN)]
    return f"{told}, and {_named(lost)} not to be trusted at all (below {PATTERN:g})" if lost else told


def _misplaced(summary: Summary) -> str:
    """Tell of the segments whose customers lie nearer to another one on average."""
    if summary.silhouettes.empty:
        return ""
    means = summary.silhouettes.groupby("segment")["silhouette"].mean()
    below = means[means < 0]
    if below.empty:
        return ""
    named = _named([words.segment(int(i)) for i in below.index])
    least = f"mean silhouette {'' if len(below) == 1 else 'from '}{words.short(round(below.min(), 3))}"
    own = "itself" if len(below) == 1 else "themselves"
    return f"{named} on average nearer to another segment than to {own} ({least})"


def _named(segments: list[str]) -> str:
    """Name a few segments, or count many."""
    told = words.listed(segments) if len(segments) <= NAMED else f"{len(segments)} segments"
    return f"{told} {'is' if len(segments) == 1 else 'are'}"


def _least(summary: Summary, run: pd.Series) -> str:
    """Tell where p could not have been smaller, however large the excess."""
    tables = summary.confirmation.tables(COPULA) if summary.confirmation is not None else 0
    if not tables or words.absent(run["p_adjusted"]) or not np.isclose(run["p_adjusted"], 1 / (1 + tables)):
        return ""
    return f"p = {words.p_value(run['p_adjusted'])} is the smallest that {words.plural(tables, 'table')} can give"
