"""How the report tells of the confirmation: sentences made from its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from segkit.report import drawn_words, gather, words
from segkit.report.confirmed import LEVELS, LOST, NO_SEED, QUALITY, RANDOM
from segkit.study.judge.bars import PATTERN, VALID
from segkit.study.plan.confirmation import COPULA, PERMUTED

if TYPE_CHECKING:
    from segkit.report.confirmed import Confirmation
    from segkit.report.gather import Summary

# Of the ARI: a smaller loss is not worth telling.
LOSS = 0.05
STRUCTURELESS = "no better than structureless data with these margins and correlations"
NOT_SEGMENTS = (
    "These are not segments to act on. They are the groups of the best placed run, which does no better than the same "
    "pipeline on tables that hold no segments at all."
)
UNFINISHED = "The study was to be confirmed as well, but that did not come to its end."

# From here Tibshirani and Walther call a number of clusters supported.
SUPPORTED = 0.8
# A p above this, of one run on its own, is nothing to speak of.
LEVEL = 0.05
QUALITY_NAMES = dict(
    zip(QUALITY, ("Trustworthiness", "Continuity", "Area under R_NX", "Distance correlation", "Triplets"), strict=True)
)

DEFINITIONS = {
    "Excess over structureless data": (
        "A score less its mean over tables without segments that went through the same pipeline, turned so that "
        "positive is better; z is the excess in standard deviations of those."
    ),
    "Copula table": (
        "A table simulated with the data's own margins and rank correlations (t copula, calibrated on Spearman's) and "
        "nothing else: no segments. These decide."
    ),
    "Permuted table": "Every column shuffled on its own, so that nothing depends on anything; easy to beat.",
    "Adjusted p (max-T)": (
        "Share of the tables, this one among them, whose largest standardised silhouette over the whole shortlist is "
        "at least the run's: adjusted for having tried many. Westfall and Young 1993."
    ),
    "Stability: other seed": "Mean ARI to the same pipeline on the same customers with another seed.",
    "Stability: space kept": "Mean ARI over fresh draws that the screen did not see, clustered in the run's own space.",
    "Stability: refitted": "Mean ARI over draws on which the whole pipeline is fitted anew, from the features on.",
    "Prediction strength": (
        "How well one half's segments tell who is together in the other half, for the worst segment; from 0 to 1, "
        "from 0.8 a number of segments counts as supported. Tibshirani and Walther 2005."
    ),
    "DBCV": (
        "Gap between segments over the sparsest place in each, by density; noise counts against it; -1 to 1, and not "
        "comparable across numbers of dimensions. Moulavi et al. 2014."
    ),
    "Noise Jaccard": "Jaccard of the run's noise with a draw's, mean over the screen's draws with noise in either.",
    "Penalised silhouette": "Coverage times the silhouette where that is positive, else the silhouette.",
    "Answer": f"Tested runs whose partitions agree (average ARI of at least {gather.SAME_ANSWER}) give one answer.",
    "Place": (
        "Among runs above structureless data: by the share of all weightings of excess silhouette and Davies-Bouldin "
        "(as pooled z) and refitted stability that each wins, by rank. Its interval: 90% of the places over resampled "
        "refits, all else held fixed."
    ),
    "Trustworthiness, continuity": (
        "Whether the 15 nearest in a projection are near in the scaled features, and the other way round; 1 is all. "
        "Venna and Kaski 2001."
    ),
    "Area under R_NX": (
        "Share of the K nearest kept, rescaled so that 0 is chance, averaged over the logarithm of K. "
        "Lee and Verleysen 2009."
    ),
    "Distance correlation, triplets": (
        "Spearman correlation of all distances; share of random triplets whose nearer one stays the nearer, 0.5 by "
        "chance. Wang et al. 2021."
    ),
    "Random control": "The same figures for a random linear projection to as many dimensions: what no effort gives.",
}


# ------------------------------------------------------------------ verdict


def headline(summary: Summary) -> str:
    """Say the verdict in a sentence, whether the study was confirmed or screened only."""
    verdict = summary.recommendation.get("verdict")
    if summary.best is None or verdict not in ("recommended", "no_structure"):
        return words.headline(summary)
    return _recommended(summary) if verdict == "recommended" else _nothing_recommended(summary)


def _recommended(summary: Summary) -> str:
    confirmation, described = summary.confirmation, words.told(summary.run(summary.best))
    held = _held(summary)
    others = f"the best placed of {len(held)} runs that do" if len(held) > 1 else "the only run that does"
    tried = [f"{words.count(summary.recommendation.get('eligible'))} eligible", f"{len(summary.runs):,} in all"]
    counted = [f"{len(confirmation.runs)} tested", *tried] if confirmation else tried
    return f"{words.sentence(described)}: confirmed, {others} better than structureless data ({', '.join(counted)})."


def _held(summary: Summary) -> list[str]:
    return [str(run) for run in (summary.recommendation.get("null") or {}).get("holding_up") or []]


def _nothing_recommended(summary: Summary) -> str:
    null = summary.recommendation.get("null") or {}
    runs = len(summary.confirmation.runs) if summary.confirmation else 0
    best = {0: "best run", 1: "only tested run"}.get(runs, f"best of {runs} tested runs")
    if not words.absent(null.get("p")) and null["p"] <= (null.get("level") or 0):
        return (
            f"Nothing is recommended. The {best} beats structureless data (p = {words.p_value(null['p'])}), but "
            "no run that does comes back in half of its refits and passes the gates."
        )
    test = "" if words.absent(null.get("p")) else f" (p = {words.p_value(null['p'])} by max-T over the shortlist"
    level = f", level {null['level']:g})" if test and null.get("level") else ")" if test else ""
    return f"Nothing is recommended. The {best} is {STRUCTURELESS}{test}{level}."


def calibrated(summary: Summary) -> str:
    """Say how far the recommended run is above tables without segments."""
    row = _row(summary, summary.best)
    if row is None:
        return ""
    confirmation = summary.confirmation
    told = (
        f"Its reference silhouette is {words.silhouette(summary.run(summary.best))}. The same pipeline gets "
        f"{words.number(row['null_mean'])} on average on {_tables(confirmation, summary, 'table')} without segments "
        f"that {_have(confirmation)} this data's margins and correlations: an excess of {words.number(row['excess'])}"
        f"{'' if words.absent(row['z']) else f' (z = {words.number(row.z, 1)})'}."
    )
    if words.absent(row["p_adjusted"]):
        return told
    return (
        f"{told} Adjusted for the choice among {words.plural(len(confirmation.runs), 'run')} (max-T), "
        f"p = {words.p_value(row['p_adjusted'])}."
    )


def _have(confirmation: Confirmation) -> str:
    return "has" if confirmation.tables(COPULA) == 1 else "have"


def _tables(confirmation: Confirmation, summary: Summary, word: str) -> str:
    known = confirmation.tables(COPULA) or int((summary.recommendation.get("null") or {}).get("tables") or 0)
    return words.plural(known, word) if known else f"{word}s"


def _row(summary: Summary, run: str | None) -> pd.Series | None:
    if summary.confirmation is None:
        return None
    found = summary.confirmation.against_nulls
    found = found[found["run"] == run]
    return None if found.empty else found.iloc[0]


def done(summary: Summary) -> str:
    """Say what was done to confirm."""
    told = repeated(summary)
    return f"What was done to confirm: {told}." if told else ""


def repeated(summary: Summary) -> str:
    """Say on what the confirmed runs were repeated."""
    confirmation = summary.confirmation
    if confirmation is None:
        return ""
    parts = []
    if fresh := confirmation.most("stability_fresh_draws"):
        parts.append(f"{words.plural(fresh, 'fresh draw')} of {drawn_words.of_a_draw(summary)}, in the space they had")
    if refits := confirmation.most("stability_refit_draws"):
        parts.append(f"{words.plural(refits, 'draw')} with the whole pipeline fitted anew")
    if seeds := confirmation.most("stability_seed_draws"):
        none = int((confirmation.runs["stability_seed_status"] == NO_SEED).sum())
        without = f" ({words.plural(none, 'run uses', 'runs use')} none)" if none else ""
        parts.append(f"{words.plural(seeds, 'other seed')}{without}")
    parts += _null_parts(confirmation)
    if not parts:
        return ""
    runs = len(confirmation.runs)
    again = "1 run of the screen was" if runs == 1 else f"{runs} runs of the screen were"
    return f"{again} repeated on {words.listed(parts)}"


def _null_parts(confirmation: Confirmation) -> list[str]:
    copula, permuted = confirmation.tables(COPULA), confirmation.tables(PERMUTED)
    told = [f"{words.plural(copula, 'table')} with the data's margins and correlations but no segments (copula)"]
    shuffled = [f"{words.plural(permuted, 'table')} with every column shuffled on its own (permuted)"]
    return (told if copula else []) + (shuffled if permuted else [])


def rejected(summary: Summary, limit: int = 10) -> list[list[str]]:
    """Tell of the best runs of the screen what they reach, and why that does not count."""
    if summary.confirmation is None:
        return []
    confirmation = summary.confirmation
    table = confirmation.runs.set_index("run").join(
        confirmation.against_nulls.set_index("run")[["null_mean", "excess", "z"]]
    )
    table = table.sort_values(["screen_rank", "standing"], na_position="last", kind="stable").head(limit)
    level = (summary.recommendation.get("null") or {}).get("level")
    return [
        [
            words.count(row.screen_rank),
            str(run),
            row.label,
            words.count(row.n_clusters),
            *(words.number(value) for value in (row.silhouette_reference, row.null_mean, row.excess)),
            words.number(row.z, 1),
            words.p_value(row.p_adjusted),
            words.number(row.stability_ari_refit, 2),
            _why_not(row, level),
        ]
        for run, row in zip(table.index, table.itertuples(index=False), strict=True)
    ]


def _why_not(row: Any, level: float | None) -> str:
    if words.absent(row.p_adjusted):
        return "cannot be set against structureless data"
    if level is not None and row.p_adjusted > level:
        return "below structureless data" if row.excess <= 0 else f"p above {level:g}"
    return "a criterion has no value"


# ------------------------------------------------------------------ trust


def trust(summary: Summary) -> str:
    """Say how the best run stands up to each of the three tests."""
    run = summary.run(summary.best)
    refits = run["stability_refit_draws"]
    again = "Fitted anew from the features on"
    of_whom = drawn_words.of_a_draw(summary)
    again += "" if words.absent(refits) else f", in {words.plural(int(refits), 'draw')} of {of_whom}"
    told = (
        f"{again}, the best run's segments come back with a mean ARI of {words.number(run['stability_ari_refit'], 2)}"
        f"{_between(run, 'refit')}"
    )
    others = []
    if not words.absent(run["stability_ari_fresh"]):
        others.append(
            f"with its space kept it is {words.number(run['stability_ari_fresh'], 2)}{_between(run, 'fresh')}"
        )
    if run["stability_seed_status"] == NO_SEED:
        others.append("nothing in it uses a seed")
    elif not words.absent(run["stability_ari_seed"]):
        others.append(f"with another seed alone {words.number(run['stability_ari_seed'], 2)}{_between(run, 'seed')}")
    weakest = run["stability_jaccard_min_refit"]
    least = f" The weakest segment's mean Jaccard is {words.jaccard(weakest)} ({words.jaccard_reading(weakest)})."
    return f"{'; '.join([told, *others])}.{'' if words.absent(weakest) else least}"


def _between(run: Mapping[str, Any], level: str) -> str:
    low, high = run[f"stability_ari_{level}_q05"], run[f"stability_ari_{level}_q95"]
    if words.absent(low) or words.absent(high):
        return ""
    low, high = words.number(low, 2), words.number(high, 2)
    return f" (90% {f'in {low} to {high}' if low != high else f'at {low}'})"


def levels_caption(summary: Summary) -> str:
    """Say where the confirmed runs lose their stability."""
    confirmation = summary.confirmation
    table = confirmation.levels
    seeded = table[~table["seedless"]]
    medians = seeded.groupby("level")["ari"].median()
    told = [f"{words.number(medians[level], 2)} {name}" for level, name in _LEVEL_WORDS.items() if level in medians]
    runs = words.plural(len(confirmation.runs), "tested run")
    text = f"Median ARI of the {runs}: {words.listed(told)}." if told else ""
    wide = table.pivot_table("ari", "run", "level")
    if {"space kept", "refitted"} <= set(wide):
        loss = (wide["space kept"] - wide["refitted"]).dropna().sort_values(kind="stable")
        beyond = loss[[run for run in loss.index if loss[run] >= LOSS and _apart(table, run)]]
        if len(beyond):
            text += _costs(summary, wide.loc[beyond.index[-1]])
        elif len(loss) and loss.iloc[-1] >= LOSS:
            text += " In no run does refitting cost more than the draws scatter."
        elif len(loss):
            text += f" In no run does refitting cost {LOSS:g} or more."
    hollow = " Hollow: nothing in the run uses a seed." if table["seedless"].any() else ""
    return f"{text} Mean over the draws, with the 5% and 95% quantiles.{hollow}".strip()


def _apart(table: pd.DataFrame, run: str) -> bool:
    """Tell whether the middle 90% of a run's refits lie below those of its draws with the space kept."""
    bounds = table[table["run"] == run].set_index("level")
    return bool(bounds.loc["refitted", "high"] < bounds.loc["space kept", "low"])


def _costs(summary: Summary, worst: pd.Series) -> str:
    screened = summary.run(str(worst.name))["stability_ari"]
    told = (
        f" Refitting costs the most in run {worst.name}: from {words.number(worst['space kept'], 2)} to "
        f"{words.number(worst['refitted'], 2)}, more than the draws scatter"
    )
    seeded = worst.get(LEVELS["seed"])
    if not words.absent(seeded) and worst["space kept"] - seeded >= LOSS:
        told += f"; another seed alone brings it to {words.number(seeded, 2)}"
    if words.absent(screened):
        return f"{told}."
    return f"{told}; the screen, with the space kept, had {words.number(screened, 2)}."


_LEVEL_WORDS = {
    LEVELS["seed"]: "with another seed alone",
    LEVELS["fresh"]: "on other customers with the space kept",
    LEVELS["refit"]: "with the whole pipeline refitted",
}


def jaccards_caption(summary: Summary) -> str:
    """Say which segments come back, with the space kept and refitted."""
    table = summary.jaccards
    told = []
    for level in LEVELS.values():
        if level in table:
            values = table[level]
            weakest = int(values.idxmin()) if values.notna().any() else 0
            told.append(
                f"{level}: {int((values >= VALID).sum())} of {words.plural(len(values), 'segment')} valid (mean Jaccard "
                f"from {VALID:g}), the weakest is {words.segment(weakest)} at {words.jaccard(values[weakest])}, "
                f"{words.jaccard_reading(values[weakest])}"
            )
    return f"{words.sentence('; '.join(told))}."


def nulls_caption(summary: Summary) -> str:
    """Say which confirmed runs are above structureless data, and which only look good."""
    confirmation = summary.confirmation
    table = confirmation.against_nulls
    held = table[table["holds"]]
    total = words.plural(len(table), "tested run")
    told = f"{len(held)} of {total} {'does' if len(held) == 1 else 'do'} better than structureless data, adjusted for "
    told += "the whole shortlist (max-T)."
    top = table.loc[table["silhouette"].idxmax()]
    if not top["holds"]:
        which = "is not among them" if len(held) else "does not either"
        told += (
            f" The highest silhouette, {words.number(top['silhouette'])} of run {top['run']}, {which}: without "
            f"segments its pipeline gets {words.number(top['null_mean'])} on average (adjusted p "
            f"{words.p_value(top['p_adjusted'])})."
        )
    else:
        told += f" The highest silhouette, {words.number(top['silhouette'])} of run {top['run']}, is among them."
    strip = "Strips: the silhouettes of the same pipelines on tables without segments, with their middle 90%"
    shuffled = "; the lower strip on permuted columns" if confirmation.tables(PERMUTED) else ""
    return f"{told} {strip}{shuffled}."


def answers(summary: Summary) -> str:
    """Say how many different answers the confirmed runs give."""
    table = summary.confirmation.answers
    if table.empty:
        return ""
    runs = words.plural(int(table["runs"].sum()), "tested run")
    if int(table["runs"].sum()) == 1:
        return "One run was tested, and so there is one answer."
    if len(table) == 1:
        return f"One answer among the {runs}: their partitions agree (average ARI of at least {gather.SAME_ANSWER})."
    held = int((table["holding_up"] > 0).sum())
    return (
        f"{len(table)} different answers among the {runs} (average ARI of at least {gather.SAME_ANSWER} within each); "
        f"{held or 'none'} of them {'is' if held == 1 else 'are'} above structureless data."
    )


# ------------------------------------------------------------------ choices


def k_caption(summary: Summary) -> str:
    """Say which number of clusters stands out from structureless data."""
    lines = summary.confirmation.lines
    first = lines[lines["line"] == lines["line"].iloc[0]]
    by_excess, by_silhouette = (first.loc[first[name].idxmax()] for name in ("excess", "silhouette"))
    real = f"k = {by_excess['k']} stands out most from structureless data (excess {_excess(by_excess)})"
    if not by_excess["excess"] > 0:
        real = (
            f"no k does better than structureless data; the nearest to it is k = {by_excess['k']} (excess "
            f"{_excess(by_excess)})"
        )
    elif by_excess["p"] > LEVEL:
        real = (
            f"k = {by_excess['k']} has the largest excess over structureless data ({_excess(by_excess)}), but not one "
            f"that such data would not give (p {words.p_value(by_excess['p'])} on its own)"
        )
    if by_excess["k"] == by_silhouette["k"]:
        highest = words.number(by_silhouette["silhouette"])
        told = f"{real}; k = {by_excess['k']} has the highest silhouette too ({highest})."
    else:
        told = (
            f"{real}. The highest silhouette, {words.number(by_silhouette['silhouette'])}, is at k = "
            f"{by_silhouette['k']}, where structureless data gives {words.number(by_silhouette['null_mean'])} (excess "
            f"{_excess(by_silhouette)})."
        )
    found = lines[lines["best"]].groupby("k").size()
    total = lines["line"].nunique()
    most = f" The largest excess of the {total} pipelines: {_ks(found)}" if total > 1 and len(found) else ""
    none = total - lines.loc[lines["best"], "line"].nunique()
    if total > 1 and none:
        have = f"; {none} {'has' if none == 1 else 'have'}" if most else f" The {total} pipelines have"
        most += f"{have} no k above structureless data"
    most += "." if most else ""
    which = " Drawn: the pipelines of the tested runs, with all their numbers of clusters that were held against such"
    return f"{words.clipped(first['line'].iloc[0], 110)}: {told}{most}{which} data."


def _ks(found: pd.Series) -> str:
    return words.listed([f"k = {k} in {n}" for k, n in found.sort_values(ascending=False, kind="stable").items()])


def _excess(row: pd.Series) -> str:
    return words.number(row["excess"]) + ("" if words.absent(row["z"]) else f", z {words.number(row['z'], 1)}")


# ------------------------------------------------------------------ projection


def quality_caption(summary: Summary) -> str:
    """Say which space keeps neighbourhoods best, how far above no effort, and where no effort does better."""
    table = summary.quality
    told = [
        _kept(summary, "r_nx_area", "Neighbourhoods are", "area under R_NX"),
        _own_space(summary),
        _kept(summary, "distance_spearman", "The order of distances is", "rank correlation"),
        _against_random(table),
    ]
    if table[[f"{name}{RANDOM}" for name in QUALITY]].notna().any(axis=None):
        told.append("In brackets: a random projection to as many dimensions, which is what no effort gives.")
    told.append("By chance the area under R_NX and the distance correlation are 0 and triplets are 0.5.")
    return " ".join(filter(None, told))


def _kept(summary: Summary, name: str, what: str, figure: str) -> str:
    values = summary.quality[name].dropna()
    if values.empty:
        return ""
    row = summary.quality.loc[values.idxmax()]
    best = ", where the best run clustered" if row["run"] == summary.best else ""
    told = f"{what} kept best in {words.clipped(row['space'], 110)}{best}: {figure} {words.number(row[name], 2)}"
    control = row[f"{name}{RANDOM}"]
    if words.absent(control):
        return f"{told}."
    side = "above" if row[name] >= control else "below"
    return (
        f"{told}, {words.number(abs(row[name] - control), 2)} {side} a random projection to as many dimensions "
        f"({words.number(control, 2)})."
    )


def _own_space(summary: Summary) -> str:
    """Tell of the best run's own space, where it is not the one that keeps neighbourhoods best."""
    table = summary.quality.dropna(subset=["r_nx_area"])
    own = table[table["run"] == summary.best]
    if own.empty or own.index[0] == table["r_nx_area"].idxmax():
        return ""
    row = own.iloc[0]
    control = row[f"r_nx_area{RANDOM}"]
    random = "" if words.absent(control) else f" (random {words.number(control, 2)})"
    return f"The best run's own space has {words.number(row['r_nx_area'], 2)}{random}."


def _against_random(table: pd.DataFrame) -> str:
    """Say in how many figures a random projection does better, and where by the most."""
    gaps = pd.DataFrame({name: table[name] - table[f"{name}{RANDOM}"] for name in QUALITY})
    known = gaps.notna().to_numpy().sum()
    if not known:
        return ""
    least = gaps.min()
    if least.min() >= 0:
        return "No figure is below that of a random projection."
    name = str(least.idxmin())
    row = table.loc[gaps[name].idxmin()]
    return (
        f"In {(gaps < 0).to_numpy().sum()} of {words.plural(int(known), 'figure')} a random projection does better, by "
        f"the most in {QUALITY_NAMES[name].lower()} of {words.clipped(row['space'], 110)} "
        f"({words.number(row[name], 2)}, random {words.number(row[f'{name}{RANDOM}'], 2)})."
    )


# ------------------------------------------------------------------ other measures


def measures(summary: Summary) -> str:
    """Say where prediction strength, density and noise disagree with the recommendation."""
    confirmation, verdict = summary.confirmation, summary.recommendation.get("verdict")
    found = confirmation.runs[confirmation.runs["run"] == summary.best]
    if verdict == "no_structure":
        return _measures_of_none(confirmation)
    if verdict != "recommended" or found.empty:
        return ""
    run = found.iloc[0]
    told = [_prediction(run), _density(run, confirmation, summary.references[0]), _noise(run)]
    against = [text for text, disagrees in filter(None, told) if disagrees]
    along = [text for text, disagrees in filter(None, told) if not disagrees]
    lead = "Other measures disagree" if against else "No other measure disagrees"
    text = f"{lead} with the recommendation: {'; '.join(against or along)}." if against or along else ""
    return f"{text} In agreement: {'; '.join(along)}." if against and along else text


def _measures_of_none(confirmation: Confirmation) -> str:
    strengths = confirmation.runs["prediction_strength"].dropna()
    supported = int((strengths >= SUPPORTED).sum())
    if not supported:
        return ""
    return (
        f"{supported} of {words.plural(len(confirmation.runs), 'tested run')} "
        f"{'has' if supported == 1 else 'have'} a prediction strength of at least {SUPPORTED:g}, and yet nothing is "
        "recommended: a cut across one long cloud predicts well too."
    )


def _prediction(run: pd.Series) -> tuple[str, bool] | None:
    if words.absent(run["prediction_strength"]):
        return None
    low = run["prediction_strength"] < SUPPORTED
    told = f"its prediction strength is {strength(run)}"
    return (f"{told}, {'below' if low else 'at least'} the {SUPPORTED:g} from which k counts as supported", low)


def strength(run: Mapping[str, Any]) -> str:
    """Write a prediction strength with its standard deviation, or why there is none."""
    value, spread = run["prediction_strength"], run["prediction_strength_sd"]
    told = words.number(value, 2) + ("" if words.absent(spread) else f" ± {words.number(spread, 2)}")
    return reason(run, "prediction_strength") if words.absent(value) else told


def reason(run: Mapping[str, Any], name: str) -> str:
    """Write why a score has no value; a dash where that is not known either."""
    status = str(run[f"{name}_status"]).replace("_", " ")
    return words.NONE if status in ("", "ok") else status


def _density(run: pd.Series, confirmation: Confirmation, primary: str) -> tuple[str, bool] | None:
    """Compare by density with the runs above structureless data that give another answer."""
    value = run["dbcv_reference"]
    if words.absent(value):
        return None
    others = confirmation.runs[confirmation.runs["run"].isin(confirmation.holding_up)]
    others = others[(others["answer"] != run["answer"]) & (others["dbcv_reference"] > value)]
    told = f"its DBCV in the {primary} reference is {words.number(value, 2)}"
    shared = all_below(confirmation)
    if value < 0:
        told += (
            f", below 0 as that of every tested run (place {density_place(run, confirmation)})"
            if shared
            else ", below 0: the gaps inside its segments are wider than those between them"
        )
    if len(others):
        best = others.loc[others["dbcv_reference"].idxmax()]
        told += (
            f"{';' if value < 0 else ','} run {best['run']}, another answer above structureless data "
            f"({words.plural(int(best['n_clusters']), 'segment')}), has {words.number(best['dbcv_reference'], 2)}"
        )
    elif value >= 0 or shared:
        told += ", which no other answer above structureless data exceeds"
    return told, bool((value < 0 and not shared) or len(others))


def all_below(confirmation: Confirmation) -> bool:
    """Tell whether the DBCV of several tested runs is below 0 for every one, and so tells none apart by its sign."""
    known = confirmation.runs["dbcv_reference"].dropna()
    return len(known) > 1 and bool((known < 0).all())


def density_place(run: Mapping[str, Any], confirmation: Confirmation) -> str:
    """Write a run's place by DBCV among the tested ones."""
    known = confirmation.runs["dbcv_reference"].dropna()
    return f"{int((known > run['dbcv_reference']).sum()) + 1} of {len(known)}"


def _noise(run: pd.Series) -> tuple[str, bool] | None:
    value = run["stability_noise_jaccard"]
    if words.absent(value):
        return None
    changes = value < PATTERN
    told = "who is noise in it changes from draw to draw" if changes else "its noise is much the same in every draw"
    return f"{told} (mean Jaccard {words.number(value, 2)})", changes


# ------------------------------------------------------------------ what is missing


def incomplete(summary: Summary) -> str:
    """Say of how many confirmed runs a stage of the confirmation is missing."""
    if summary.confirmation is None:
        return ""
    runs = summary.confirmation.runs
    lost = int((runs["confirm_reason"] != "").sum())
    if not lost:
        return ""
    return f"A stage of the confirmation is missing for {lost} of {words.plural(len(runs), 'tested run')}."


def lost_tables(summary: Summary, limit: int = 5) -> str:
    """Say which pipelines have no score on tables without segments because they failed or were skipped there."""
    if summary.confirmation is None:
        return ""
    nulls = summary.confirmation.nulls
    lost = nulls[nulls["status"].isin(LOST)]
    if lost.empty:
        return ""
    states = words.listed([f"{n:,} {state}" for state, n in lost["status"].value_counts().items()])
    runs = lost["run"].value_counts(sort=False).sort_values(ascending=False, kind="stable")
    named = [f"{n:,} of run {run}" for run, n in runs.head(limit).items()]
    named += [f"{runs.iloc[limit:].sum():,} of others"] if len(runs) > limit else []
    return (
        f"On tables without segments {len(lost):,} of {words.plural(len(nulls), 'score')} "
        f"{'is' if len(lost) == 1 else 'are'} missing ({states}): {words.listed(named)}."
    )
