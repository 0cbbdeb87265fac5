"""What speaks against the run that was chosen: as a reviewer would put it, and as far as it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segkit.report import gather, words
from segkit.report.confirmed_words import SUPPORTED, all_below, density_place
from segkit.study.judge.bars import AGREES, PATTERN, VALID
from segkit.study.plan.confirmation import COPULA

if TYPE_CHECKING:
    from segkit.report.gather import Summary

# Kaufman and Rousseeuw (1990): an average silhouette below it shows no substantial structure.
STRUCTURE = 0.25
# Of few runs these places are no objection.
FIRST = 3
# With fewer draws a spread says little.
DRAWS = 10
# So near to the bar a gate is passed by chance, and with so large a share one segment is nearly everybody.
NEAR, NEARLY_ALL = 0.02, 0.9
# Segments that are named one by one.
NAMED = 5


def objections(summary: Summary) -> str:
    """Say in short clauses what speaks against the chosen run; nothing where nothing does or none was chosen."""
    if summary.best is None or not summary.recommendation.get("run"):
        return ""
    run = summary.run(summary.best)
    clauses = [_level(summary, run), _measures(summary, run), _places(summary, run), _order(summary, run)]
    clauses += [_refitted(run), _segments(summary), _misplaced(summary), _draws(run), _sizes(summary, run)]
    clauses.append(_least(summary, run))
    told = [clause for clause in clauses if clause]
    return f"But: {'; '.join(told)}." if told else ""


def unstable(summary: Summary) -> bool:
    """Tell whether the chosen run's segments do not come back well where the whole pipeline is fitted anew."""
    if summary.best is None:
        return False
    run = summary.run(summary.best)
    return bool(run["stability_ari_refit"] < AGREES or (summary.jaccard < PATTERN).any())


def _level(summary: Summary, run: pd.Series) -> str:
    value = run["silhouette_reference"]
    if not value < STRUCTURE:
        return ""
    told = words.number(value, words.digits_apart(value, STRUCTURE, 3, 6))
    return (
        f"its silhouette of {told} in the {summary.references[0]} reference is below {STRUCTURE:g}, "
        "under which Kaufman and Rousseeuw (1990) see no substantial structure"
    )


def _order(summary: Summary, run: pd.Series) -> str:
    """Tell where the first place hangs on how excesses are compared, or is shared."""
    held = summary.confirmation.holding_up if summary.confirmation is not None else None
    pool = summary.runs[summary.runs["eligible"] if held is None else summary.runs["run"].isin(held)]
    return "; ".join(filter(None, [_by_pooling(pool, run), _tied(pool, run, words.twins(summary))]))


def _by_pooling(pool: pd.DataFrame, run: pd.Series) -> str:
    """Tell of a run that leads in the silhouette only where its standard deviation is that of the whole pipeline."""
    names = {"silhouette_excess": "by the excess itself", "silhouette_z": "by its own z"}
    if not {"silhouette_pooled_z", *names} <= set(pool):
        return ""
    # A run that finds nothing on tables without segments has no excess to compare.
    known = pool[pool["silhouette_z"].notna()]
    if known.empty or not run["silhouette_pooled_z"] >= known["silhouette_pooled_z"].max():
        return ""
    places = {title: int((known[name] > run[name]).sum()) + 1 for name, title in names.items()}
    told = [f"place {place} {title}" for title, place in places.items() if place > 1]
    if not told:
        return ""
    first = "only the pooled z sets it first: it" if len(told) == len(places) else "the pooled z sets it first, but it"
    return f"by the silhouette {first} has {words.listed(told)}, of {words.plural(len(known), 'run')}"


def _tied(pool: pd.DataFrame, run: pd.Series, twins: Sequence[str]) -> str:
    others = pool[~pool["run"].isin([run.name, *twins])]
    others = others[(others["answer"] != run["answer"]) | others["answer"].isna()]
    tied = others[np.isclose(others["weight_share"].astype(float), float(run["weight_share"]))]
    if tied.empty or not run["weight_share"] > 0:
        return ""
    return f"run {tied['run'].iloc[0]}, another answer, wins as many weightings"


def _refitted(run: pd.Series) -> str:
    ari = run["stability_ari_refit"]
    if not ari < AGREES:
        return ""
    told = words.number(ari, words.digits_apart(ari, AGREES, 2, 6))
    return f"refitted, its segments come back with a mean ARI of {told} only"


def _draws(run: pd.Series) -> str:
    """Tell where the stability is of a few draws alone."""
    refits, draws = run["stability_refit_draws"], run["stability_draws"]
    n = draws if words.absent(refits) else refits
    few = not words.absent(n) and 0 < n < DRAWS
    return f"its stability is of {words.plural(int(n), 'draw')} only" if few else ""


def _sizes(summary: Summary, run: pd.Series) -> str:
    """Tell where a gate is hardly passed, or nearly all customers are in one segment."""
    gates = summary.study.get("scoring", {}).get("gates") or {}
    told = []
    for name, title in {"coverage": "coverage", "smallest_cluster": "smallest segment"}.items():
        bar = gates.get(name)
        if isinstance(bar, int | float) and 0 < bar <= run[name] < bar * (1 + NEAR):
            told.append(
                f"its {title} of {words.percent(run[name], 1)} is hardly above the {words.percent(bar, 1)} asked for"
            )
    sizes = summary.profile[summary.profile["segment"] >= 0].groupby("segment")["n"].first()
    if len(sizes) > 1 and sizes.max() >= NEARLY_ALL * sizes.sum():
        told.append(f"one segment holds {words.percent(sizes.max() / sizes.sum())} of the customers in a segment")
    return "; ".join(told)


def _measures(summary: Summary, run: pd.Series) -> str:
    strength = run["prediction_strength"]
    told = [text for text in [_density(summary, run)] if text]
    if strength < SUPPORTED:
        digits = words.digits_apart(strength, SUPPORTED, 2, 6)
        told.append(f"prediction strength {words.number(strength, digits)}, below {SUPPORTED:g}")
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
    runs = len(gather.scored(summary.runs))
    far = max(min(words.TOP, runs / 2), FIRST)
    told = [f"{words.count(place)} in the {name} reference" for name, place in places.items() if place > far]
    return f"by silhouette alone it has place {words.listed(told)}, of {words.plural(runs, 'run')}" if told else ""


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
