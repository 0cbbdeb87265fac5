"""What speaks against the run that was chosen: as a reviewer would put it, and as far as it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segkit.report import gather, words
from segkit.report.confirmed import COPULA
from segkit.report.confirmed_words import SUPPORTED

if TYPE_CHECKING:
    from segkit.report.gather import Summary

VALID = 0.75


def objections(summary: Summary) -> str:
    """Say in short clauses what speaks against the chosen run; nothing where nothing does or none was chosen."""
    if summary.best is None or not summary.recommendation.get("run"):
        return ""
    run = summary.run(summary.best)
    clauses = [_measures(run), _places(summary, run), _segments(summary), _least(summary, run)]
    told = [clause for clause in clauses if clause]
    return f"But: {'; '.join(told)}." if told else ""


def _measures(run: pd.Series) -> str:
    density, strength = run["dbcv_reference"], run["prediction_strength"]
    told = [f"DBCV {words.number(density, 2)}, below 0"] if density < 0 else []
    if strength < SUPPORTED:
        told.append(f"prediction strength {words.number(strength, 2)}, below {SUPPORTED:g}")
    return (
        f"{'other measures disagree' if len(told) > 1 else 'another measure disagrees'} ({'; '.join(told)})"
        if told
        else ""
    )


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
    return f"{weak} of {words.plural(len(summary.jaccard), 'segment')} {verb} not valid ({least}, valid from {VALID:g})"


def _least(summary: Summary, run: pd.Series) -> str:
    """Tell where p could not have been smaller, however large the excess."""
    tables = summary.confirmation.tables(COPULA) if summary.confirmation is not None else 0
    if not tables or words.absent(run["p_adjusted"]) or not np.isclose(run["p_adjusted"], 1 / (1 + tables)):
        return ""
    return f"p = {words.p_value(run['p_adjusted'])} is the smallest that {words.plural(tables, 'table')} can give"
