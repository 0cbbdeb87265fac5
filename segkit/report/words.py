"""How the report speaks: numbers as text, names for people, and sentences made from the data."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report import gather
from segkit.report.columns import REPEATED
from segkit.study.judge.bars import HIGHLY_STABLE, PATTERN, VALID

if TYPE_CHECKING:
    from segkit.report.gather import Embedding, Summary

NONE = "–"
# Characters that turn the direction of a text: marks, embeddings, overrides, isolates. In a name they would turn the
# report's own words as well.
_TURNS = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# What a terminal obeys, as text of the page is pasted into one, and what no file can hold.
_OBEYED = "\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
_HIDDEN = re.compile(f"[{_TURNS}{_OBEYED}]")
TURNED = "\u2423"
# What the report itself sets around a name: first strong isolate, pop directional isolate.
ISOLATE = "\u2068\u2069"
# Characters kept of either end of a long name.
ENDS = 24
# Runs from which a mean is worth naming.
MANY = 5
# A silhouette that is better by more than this looks like another reading of it.
FLATTERED = 0.05
# With fewer customers, or fewer for each column, the input is told with a reservation.
FEW_CUSTOMERS, PER_COLUMN = 50, 10
# The best so many of two orders are compared.
TOP = 10

OPTIONS = {
    "kmeans": "K-Means",
    "agglomerative": "agglomerative clustering",
    "dbscan": "DBSCAN",
    "hdbscan": "HDBSCAN",
    "gaussian_mixture": "a Gaussian mixture",
    "birch": "BIRCH",
    "pca": "PCA",
    "tsne": "t-SNE",
    "umap": "UMAP",
}

GATES = {
    "status": "The run came through",
    "coverage": "Customers in a segment (not noise)",
    "smallest_cluster": "Smallest segment, share of customers",
    "clusters": "Number of segments",
    "scores": "Every criterion has a value",
    "stability_ari": "Stability (ARI over draws)",
    "stability_ari_refit": "Stability, whole pipeline refitted (ARI over draws)",
    "weight_share": "Share of all weightings of the criteria that it wins",
    "p_adjusted": "Adjusted p against structureless data (max-T)",
}

MISSED = {
    "status": "did not come through",
    "coverage": "coverage",
    "smallest_cluster": "smallest segment",
    "clusters": "number of segments",
    "scores": "a score missing or found in less than half of the draws",
}

STATUSES = {
    "single_cluster": "All customers in one segment",
    "all_noise": "All customers are noise",
    "too_many_clusters": "Every customer is a segment",
    "not_feasible": "Cannot be computed on so few customers or segments",
    "coincident_centroids": "Two segments have the same centre",
    "zero_within": "The members of each segment coincide",
}

DEFINITIONS = {
    "silhouette": (
        "Mean over customers of (b - a) / max(a, b): a is the mean distance to the own segment's other members, "
        "b the least mean distance to another segment.",
        "From -1 to 1, higher is better; Rousseeuw 1987.",
    ),
    "davies_bouldin": (
        "Mean over segments of the largest (S_i + S_j) / d(c_i, c_j): S is the mean distance to the centroid, "
        "d the distance between centroids.",
        "From 0 up, lower is better; Davies and Bouldin 1979.",
    ),
    "calinski_harabasz": (
        "Variance between segments over variance within them, (B / (k - 1)) / (W / (n - k)).",
        "From 0 up, higher is better; Calinski and Harabasz 1974.",
    ),
}

COMPARED = {
    "Stability (ARI)": (
        "Adjusted Rand index between the run's partition and one found on a bootstrap draw (n with replacement, "
        "kept unique) in the same space, over the customers that are in a segment in both; mean over the draws. 1 is "
        "the same partition, 0 is chance. Between two runs (agreement, answers, runner-up) noise counts as a group. "
        "Hubert and Arabie 1985."
    ),
    "Clusterwise Jaccard": (
        f"Largest Jaccard of a segment with any segment of a draw, mean over the draws: below {PATTERN:g} not to be trusted, "
        f"from {VALID:g} valid, from {HIGHLY_STABLE:g} highly stable. Hennig 2007."
    ),
}

NATIVE_AND_REFERENCE = (
    "Native is the space a run clustered in, reference is one space for all runs, and runs are ranked in that only; "
    "native less reference is the inflation."
)

READ_ON = (
    "What each score means, and where it misleads, is in docs/scores.md in the project; every column of runs.csv is in "
    "docs/columns.md."
)

VERDICTS = {
    "recommended": "Recommended and confirmed",
    "unstable": "Recommended, with doubts about its stability",
    "screened_only": "Best of the screen, not confirmed",
    "no_structure": "Nothing recommended: no structure found",
    "nothing_eligible": "Nothing eligible",
}

SCREEN_ONLY = (
    "This is a screen only. Nothing here is confirmed: no fresh draws, no refit of the whole pipeline, and no "
    "comparison with structureless data yet. A stable partition with a good silhouette can come from data without "
    "any groups: one elongated cloud cut in two is very stable."
)


# ------------------------------------------------------------------ numbers


def absent(value: object) -> bool:
    """Tell whether there is no value."""
    return value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value))


def number(value: Any, digits: int = 3) -> str:
    """Write a number to so many decimals, with thin thousands; a dash where there is none."""
    if absent(value):
        return NONE
    value = float(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return _signed(f"{value:.{digits}f}")


def _signed(text: str) -> str:
    """Write a minus as one, and none before nothing."""
    return text.replace("-", "−") if text.strip("-0.") else text.lstrip("-")


def short(value: Any) -> str:
    """Write a value of any size in about four significant digits."""
    if absent(value):
        return NONE
    value = float(value)
    if value and not 0.001 <= abs(value) < 1e6:
        return f"{value:.2e}".replace("-", "−")
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}").replace("-", "−")


_MOST_DIGITS = 3


def percent(value: Any, digits: int = 0) -> str:
    """Write a share as a percentage; small ones never as 0, and what is not all hardly as 100."""
    if absent(value):
        return NONE
    value = 100 * float(value)
    if 0 < value < 10**-digits / 2:
        return f"< {10**-digits:g}%"
    while value < 100 and digits < _MOST_DIGITS and float(f"{value:.{digits}f}") == 100:
        digits += 1
    if value < 100 and float(f"{value:.{digits}f}") == 100:
        return f"> {100 - 10**-digits:g}%"
    return f"{value:.{digits}f}%".replace("-", "−")


def p_value(value: Any) -> str:
    """Write a p value in two significant digits."""
    return NONE if absent(value) else f"{float(value):.2g}"


def silhouette(run: Mapping[str, Any]) -> str:
    """Write a run's reference silhouette, with its interval where it was computed on drawn customers."""
    low, high = run["silhouette_reference_low"], run["silhouette_reference_high"]
    if absent(low) or absent(high):
        return number(run["silhouette_reference"])
    return f"{number(run['silhouette_reference'])} (95%: {number(low)} to {number(high)})"


def count(value: Any) -> str:
    """Write a whole number."""
    return NONE if absent(value) else f"{int(value):,}"


def seconds(value: Any) -> str:
    """Write a duration."""
    if absent(value):
        return NONE
    value = float(value)
    if value < 60:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plural(n: int, word: str, words: str | None = None) -> str:
    """Write a number of things."""
    return f"{n:,} {word if n == 1 else words or word + 's'}"


def sentence(text: str) -> str:
    """Begin with a capital."""
    return text[:1].upper() + text[1:]


def listed(parts: Sequence[str]) -> str:
    """Join with commas and an *and*."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def segment(label: int) -> str:
    """Name a segment by its label in the study's files: numbered from 0, the largest first."""
    return "Noise" if label < 0 else f"Segment {label}"


def visible(text: str, kept: str = "") -> str:
    """Put a mark in place of each character that turns what follows or that a terminal obeys, but for those kept."""
    return _HIDDEN.sub(lambda found: found[0] if found[0] in kept else TURNED, text)


def isolated(name: str) -> str:
    """Keep a name that is read from the right from turning the sentence around it."""
    shown = visible(name)
    turns = not shown.isascii() and any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in shown)
    return f"{ISOLATE[0]}{shown}{ISOLATE[1]}" if turns else shown


def cut(text: str, width: int) -> str:
    """Cut a long text in the middle; both ends tell names apart."""
    tail = min(ENDS, (width - 1) // 2)
    return text if len(text) <= width else f"{text[: width - 1 - tail]}…{text[-tail:]}"


def clipped(name: str, width: int = 80) -> str:
    """Cut a long name in the middle, and make it safe to stand in a sentence."""
    return isolated(cut(name, width))


def apart(names: Sequence[str], width: int = 60) -> list[str]:
    """Cut long names that are shown together so that they stay apart: where the ends are alike, around what differs."""
    shown = {name: clipped(name, width) for name in names}
    alike = [name for name in shown if list(shown.values()).count(shown[name]) > 1]
    if alike:
        first, last = min(alike), max(alike)
        same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        start = max(same - 8, 0)
        shown |= {name: isolated(f"…{name[start : start + width - 2]}…") for name in alike}
    if len(set(shown.values())) < len(shown):
        shown = {name: isolated(name) for name in shown}
    return [shown[name] for name in names]


# ------------------------------------------------------------------ runs


def configuration(run: Mapping[str, Any]) -> str:
    """Tell a run's configuration in words."""
    steps = [_named(run, "clusterer")]
    steps.append("in the scaled features" if run["projection"] == "none" else f"on {_named(run, 'projection')}")
    steps.append("of unscaled features" if run["scaler"] == "none" else f"after {_named(run, 'scaler')} scaling")
    return f"{' '.join(steps)} (feature set {clipped(str(run['features_label']))})"


def _named(run: Mapping[str, Any], group: str) -> str:
    option, label = str(run[group]), str(run[f"{group}_label"])
    parameters = label.removeprefix(option).strip("()")
    name = OPTIONS.get(option, option)
    return isolated(f"{name} with {parameters.replace('=', ' = ')}" if parameters else name)


# From here Hennig calls a cluster so; below the last it is not to be trusted.
JACCARD_BARS = ((HIGHLY_STABLE, "highly stable"), (VALID, "valid"), (PATTERN, "a pattern with doubtful members"))


def jaccard_reading(value: float) -> str:
    """Hennig's reading of a cluster's mean Jaccard."""
    if absent(value):
        return "not known"
    return next((words for bar, words in JACCARD_BARS if value >= bar), "not to be trusted")


def jaccard(value: Any) -> str:
    """Write a mean Jaccard, with as many digits as it takes to show on which side of a bar it is."""
    digits = 2
    while digits < 6 and any(
        not absent(value) and value < bar <= float(f"{value:.{digits}f}") for bar, _ in JACCARD_BARS
    ):
        digits += 1
    return number(value, digits)


def status(name: str) -> str:
    """Tell in words why a score has no value."""
    return STATUSES.get(name, sentence(name.replace("_", " ")))


def command(given: str | Sequence[str]) -> str:
    """Write a command line, given as one or as its words, so that a shell would start one command and no other."""
    try:
        return shlex.join(shlex.split(given) if isinstance(given, str) else map(str, given))
    except ValueError:
        return shlex.quote(given)


def reproduce(folder: Path, run: str) -> str:
    """Return the command that recomputes a run, from where this was called if the folder is below."""
    here = Path.cwd().resolve()
    path = folder.resolve()
    shown = path.relative_to(here) if path.is_relative_to(here) and path != here else folder
    return f"segkit reproduce {shlex.quote(str(shown))} {run}"


def headline(summary: Summary) -> str:
    """Say the verdict in a sentence."""
    total, ok = len(summary.runs), len(summary.ok)
    if not total:
        return "The study has no runs."
    if summary.best is None:
        return f"None of the {plural(total, 'run')} came through, so there is nothing to choose from."
    described = told(summary.run(summary.best))
    if summary.recommendation.get("run"):
        eligible = summary.recommendation.get("eligible")
        if total == 1:
            return f"{sentence(described)}: the only run, and it passes every gate."
        if eligible == 1:
            return f"{sentence(described)}: the only eligible run out of {count(total)}."
        return f"{sentence(described)}: the best placed of {count(eligible)} eligible runs out of {count(total)}."
    if ok == 1:
        return f"The only run that came through does not pass every gate: {described}."
    return f"None of the {plural(ok, 'run')} that came through passes every gate. The nearest is shown: {described}."


def dimensions(run: Mapping[str, Any]) -> int:
    """Return the number of dimensions of a run's projected space; 0 where that is not known."""
    d = pd.to_numeric(run.get("projection.n_components"), errors="coerce")
    return 0 if run["projection"] == "none" or absent(d) else int(d)


def told(run: Mapping[str, Any]) -> str:
    """Tell a run's configuration and how many segments it finds."""
    return f"{configuration(run)}, with {plural(int(0 if absent(run['n_clusters']) else run['n_clusters']), 'segment')}"


def why(summary: Summary) -> str:
    """Say in which criteria the recommended run is ahead, in which it is not, and what beats it there."""
    entries = [e for e in summary.recommendation.get("reasons") or [] if "place" in e and _known(e, summary)]
    placed = [e for e in entries if e["criterion"] != "weight_share"]
    if not summary.recommendation.get("run") or not placed:
        return ""
    if all(entry.get("of") == 1 for entry in placed):
        return "It is the only run to choose from, so that no criterion had to decide."
    ahead = [_ahead(e, summary) for e in placed if e["place"] == 1]
    behind = [_behind(e, summary) for e in placed if e["place"] > 1]
    told = f"It leads in {listed(ahead)}" if ahead else "It leads in no single criterion"
    told += f"{' and is behind in ' if ahead else ': '}{listed(behind)}." if behind else "."
    return " ".join(filter(None, [_won(summary, len(placed)), told, _above(placed, summary)]))


def _pool(summary: Summary) -> pd.DataFrame:
    """Return the runs that the recommended one was chosen from."""
    if summary.recommendation.get("verdict") == "recommended" and summary.confirmation is not None:
        return summary.runs[summary.runs["run"].isin(summary.confirmation.holding_up)]
    return summary.runs[summary.runs["eligible"]]


def _known(entry: Mapping[str, Any], summary: Summary) -> bool:
    return str(entry.get("criterion")) in summary.runs


def _won(summary: Summary, criteria: int) -> str:
    pool = _pool(summary).dropna(subset=["weight_share"])
    same = [summary.best, *twins(summary)]
    others = pool[~pool["run"].isin(same)]["weight_share"]
    shares = pool.loc[pool["run"].isin(same), "weight_share"]
    if len(pool) < 2 or shares.empty:
        return ""
    told = (
        f"Of all ways to weigh the {criteria} criteria against each other, by rank, {percent(shares.max())} put this "
        "run first"
    )
    shared = len(shares) - 1
    if shared:
        told += f", or share the first place between it and {plural(shared, 'run')} with the same segments"
    if others.empty:
        return f"{told}."
    ties = " (a weighting that several runs win counts for each)" if shares.max() + others.sum() > 1 + 1e-9 else ""
    return f"{told}; the next {'other ' if shared else ''}one gets {percent(others.max())}{ties}."


def twins(summary: Summary) -> list[str]:
    """Return the runs to choose from that find the very same segments as the recommended one, best placed first.

    Only among the best placed runs, whose partitions were compared.
    """
    matrix = summary.agreement
    if not summary.recommendation.get("run") or summary.best not in matrix.index:
        return []
    alike = matrix.index[np.isclose(matrix.loc[summary.best], 1.0, rtol=0, atol=1e-12)]
    pool = _pool(summary)
    return [str(run) for run in pool["run"] if run != summary.best and run in set(alike)]


def _ahead(entry: Mapping[str, Any], summary: Summary) -> str:
    values = _pool(summary)[entry["criterion"]]
    others = int((values == entry["value"]).sum()) - 1
    shared = f", shared with {plural(others, 'other run')}" if others > 0 else ""
    return f"{_plain(entry['criterion'], summary)} ({number(entry['value'], _digits(entry['criterion']))}{shared})"


def _behind(entry: Mapping[str, Any], summary: Summary) -> str:
    values = _pool(summary)[entry["criterion"]]
    best = values.max() if _higher(entry["criterion"], summary) else values.min()
    digits = digits_apart(entry["value"], best, _digits(entry["criterion"]), 6)
    return (
        f"{_plain(entry['criterion'], summary)} (place {count(entry['place'])} of {count(entry['of'])}: "
        f"{number(entry['value'], digits)}, the best has {number(best, digits)})"
    )


def _digits(criterion: str) -> int:
    """Return how many decimals of a criterion say something."""
    return 1 if criterion.endswith("_z") else 3


def _above(placed: Sequence[Mapping[str, Any]], summary: Summary) -> str:
    """Tell of the runs that are better in the first criterion where this one is not the best."""
    lost = next((e for e in placed if e["place"] > 1), None)
    kept = next((e for e in placed if e["place"] == 1), None)
    if lost is None or kept is None:
        return ""
    runs, sign = _pool(summary), 1 if _higher(lost["criterion"], summary) else -1
    above = runs[sign * (runs[lost["criterion"]] - lost["value"]) > 0]
    sign = 1 if _higher(kept["criterion"], summary) else -1
    worse = int((sign * (above[kept["criterion"]] - kept["value"]) < 0).sum())
    if not len(above):
        return ""
    among = "" if summary.recommendation.get("verdict") == "recommended" else "eligible "
    values, sizes = above[kept["criterion"]], above["n_clusters"].astype(int)
    nearest = values.max() if sign > 0 else values.min()
    digits = digits_apart(kept["value"], nearest, _digits(kept["criterion"]), 6)
    return (
        f"{_behind_in(len(above), worse, among, _plain(lost['criterion'], summary))} behind in "
        f"{_plain(kept['criterion'], summary)} ({_span(values, lambda value: number(value, digits))}); "
        f"{'it finds' if len(above) == 1 else 'they find'} {_span(sizes, count)} segments."
    )


def _behind_in(above: int, worse: int, among: str, lost: str) -> str:
    if above == 1:
        return f"The one {among}run ahead of it in {lost} {'falls' if worse else 'does not fall'}"
    whole = "both" if above == 2 else "all"
    fall = f"{whole} fall" if worse == above else f"{worse:,} {'falls' if worse == 1 else 'fall'}"
    return f"Of the {above:,} {among}runs ahead of it in {lost}, {fall}"


def _span(values: pd.Series, write: Callable[[Any], str]) -> str:
    low, high = write(values.min()), write(values.max())
    return low if low == high else f"{low} to {high}"


def _higher(name: str, summary: Summary) -> bool:
    if name.endswith("_z"):
        return True
    return next((score.higher_is_better for score in summary.scores if name.startswith(f"{score.name}_")), True)


def missed_gates(summary: Summary) -> str:
    """Say how many runs miss each gate, the most missed first; nothing where all runs pass or no gates are known."""
    missed = gather.missed(summary.runs, summary.study.get("scoring", {}).get("gates") or {})
    lost = int(missed.any(axis=1).sum())
    if not lost:
        return ""
    counts = missed.sum().sort_values(ascending=False, kind="stable")
    told = [f"{MISSED[name]} {count(n)}" for name, n in counts.items() if n]
    several = "; some miss several" if counts.sum() > lost else ""
    runs = plural(len(summary.runs), "run")
    return f"{count(lost)} of {runs} {'misses' if lost == 1 else 'miss'} a gate: {', '.join(told)}{several}."


def _plain(name: str, summary: Summary) -> str:
    label = next((score.label for score in summary.scores if name.startswith(f"{score.name}_")), "stability")
    if name.endswith("_z"):
        pooled = "pooled " if name.endswith("_pooled_z") else ""
        return f"{label.lower() if label == 'Silhouette' else label} excess as {pooled}z"
    if name == "stability_ari_refit":
        return "refitted stability"
    return "reference silhouette" if label == "Silhouette" else label


def reasons(summary: Summary) -> list[dict[str, str]]:
    """Tell the recommendation's gates and criteria, each with its value, its bar and what came of it."""
    return [_reason(entry, summary) for entry in summary.recommendation.get("reasons") or []]


def _reason(entry: Mapping[str, Any], summary: Summary) -> dict[str, str]:
    name = str(entry.get("gate") or entry.get("criterion") or "")
    kind = "gate" if "gate" in entry else "criterion"
    value, bar = entry.get("value"), entry.get("bar")
    if "runs_passing" in entry:
        shown = f"{count(entry['runs_passing'])} of {plural(int(entry['runs']), 'run')}"
        outcome = "no run passes" if not entry["runs_passing"] else ""
    elif "place" in entry:
        shown = _measured(name, value) + _interval(name, summary)
        outcome = f"place {count(entry['place'])} of {count(entry['of'])}"
    else:
        shown = _measured(name, value)
        outcome = {True: "passed", False: "not passed"}.get(entry.get("passed"), "")
    return {"kind": kind, "name": criterion(name, summary), "value": shown, "bar": _bar(name, bar), "outcome": outcome}


def _interval(name: str, summary: Summary) -> str:
    """Write the interval of the recommended run's stability, or of its place beside the share of weightings."""
    if summary.best is None or name not in ("stability_ari", "stability_ari_refit", "weight_share"):
        return ""
    run, of_place = summary.run(summary.best), name == "weight_share"
    low, high = (
        (run[f"{name}_{end}"] for end in ("q05", "q95")) if not of_place else (run["rank_low"], run["rank_high"])
    )
    if absent(low) or absent(high):
        return ""
    span = _span(pd.Series([low, high]), count if of_place else number)
    return f" (90% of resampled refits, all else fixed: place {span})" if of_place else f" (90%: {span})"


def pooled(summary: Summary) -> str:
    """Say what a pooled z is, where one was a criterion."""
    if not any("pooled_z" in str(entry.get("criterion")) for entry in summary.recommendation.get("reasons") or []):
        return ""
    return (
        "Pooled z: the excess in standard deviations of the whole pipeline, over all its numbers of segments; not the "
        "z of the text, which is in those of this run alone."
    )


def criterion(name: str, summary: Summary) -> str:
    """Name a gate or a criterion for people."""
    for score in summary.scores:
        if name.startswith(f"{score.name}_") and name.endswith("_z"):
            return f"{score.label}, excess over structureless data (z{', pooled' if 'pooled' in name else ''})"
        if name.startswith(f"{score.name}_"):
            where = name.removeprefix(f"{score.name}_").replace("reference", f"{summary.references[0]} reference")
            return f"{score.label}, {where} space"
    return GATES.get(name, name)


def _measured(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if name in ("coverage", "smallest_cluster", "weight_share"):
        return percent(value, 1)
    if name == "p_adjusted":
        return p_value(value)
    return count(value) if isinstance(value, int) else number(value, _digits(name))


def _bar(name: str, bar: Any) -> str:
    if isinstance(bar, list | tuple) and len(bar) == 2:
        return f"{bar[0]} to {bar[1]}"
    if name == "p_adjusted" and not absent(bar):
        return f"at most {p_value(bar)}"
    if isinstance(bar, int | float) and not isinstance(bar, bool):
        return f"at least {_measured(name, float(bar)) if name != 'clusters' else bar}"
    return "" if bar is None else str(bar)


def runner_up(summary: Summary) -> str:
    """Say who finds the same segments as the recommended run, who comes second, and whether it gives another answer."""
    return " ".join(filter(None, [_tied(summary), _second(summary)]))


def _tied(summary: Summary, limit: int = 3) -> str:
    same = twins(summary)
    if not same:
        return ""
    named = f"run{'s' if len(same) > 1 else ''} {listed(same)}"
    if len(same) > limit:
        named = f"runs {', '.join(same[:limit])} and {len(same) - limit} more"
    return f"Tied with {named}, which find{'s' if len(same) == 1 else ''} the very same segments."


def _second(summary: Summary) -> str:
    entry = summary.recommendation.get("runner_up")
    if not entry or entry.get("run") not in set(summary.runs["run"]):
        return ""
    ari = entry.get("ari_to_recommended")
    second = summary.run(entry["run"])
    line = f"Runner-up: {told(second)} and a coverage of {percent(second['coverage'])}."
    if absent(ari):
        return line
    if ari >= 1:
        return f"{line} It finds the very same segments as the best run."
    alike = "much the same segments" if ari >= gather.SAME_ANSWER else "partly the same segments, another answer"
    reading = "nearly the same segments" if ari >= 0.9 else alike if ari >= 0.6 else "other segments"
    return f"{line} Its ARI to the best run is {number(ari, 2)}: {reading}."


# ------------------------------------------------------------------ captions


def trust_caption(summary: Summary) -> str:
    """Say what the scatter of silhouette and stability shows."""
    runs = gather.scored(summary.runs)
    both = runs[["silhouette_reference", "stability_ari"]].dropna()
    # The same segments found in several ways are one finding.
    different = both.drop_duplicates()
    front = int(runs["screen_pareto"].sum())
    told = ""
    if len(different) > 3:
        rho = different.corr(method="spearman").iloc[0, 1]
        low, high = _rank_interval(rho, len(different))
        told = f"{_together(rho, low, high)} (rank correlation {number(rho, 2)}, 95%: "
        told += f"{number(low, 2)} to {number(high, 2)}). "
    told += f"{plural(len(both), 'run')} with both scores"
    which = "Pareto front" if summary.confirmation is None else "Pareto front of the screen"
    ringed = f"; {front} on the {which} (ringed), which no other eligible run beats in every criterion."
    told += ringed if front else ", none on a Pareto front." if runs["eligible"].any() else ", none of them eligible."
    noisy = int((runs["coverage"] < 0.7).sum())
    if summary.confirmation is not None:
        told += (
            " All of it as screened; runs that went through the confirmation are boxed, whether they are above "
            "structureless data or not. The leaderboard's front is that of the runs that are."
        )
    if noisy:
        told += f" {plural(noisy, 'run')} left over 30% of the customers out as noise: see the lower panel."
    return told


def _together(rho: float, low: float, high: float) -> str:
    if absent(rho) or low <= 0 <= high:
        return "Whether a good silhouette goes with stability cannot be told here"
    if abs(rho) < 0.3:
        return "A good silhouette says little about stability here"
    return f"Runs with a better silhouette tend to be {'more' if rho > 0 else 'less'} stable"


def _rank_interval(rho: float, n: int) -> tuple[float, float]:
    """Return a 95% interval of a rank correlation of n pairs (Fieller, Hartley and Pearson 1957)."""
    middle, half = np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12)), 1.96 * np.sqrt(1.06 / (n - 3))
    return float(np.tanh(middle - half)), float(np.tanh(middle + half))


def jaccard_caption(summary: Summary) -> str:
    """Say what the clusterwise Jaccard shows."""
    values = summary.jaccard
    known = values[~np.isnan(values)]
    if not len(known):
        return "The best run has no clusterwise Jaccard."
    weakest = int(np.nanargmin(values))
    solid = int((known >= VALID).sum())
    return (
        f"{solid} of {plural(len(values), 'segment')} are valid (mean Jaccard from {VALID:g}). The weakest is "
        f"{segment(weakest)} at {jaccard(values[weakest])}: {jaccard_reading(values[weakest])}."
    )


def agreement_caption(summary: Summary) -> str:
    """Say how many different answers the top runs give."""
    r = len(summary.agreement)
    if np.isclose(summary.agreement, 1.0, rtol=0, atol=1e-12).all():
        return f"The {r} best placed runs find the very same segments. Noise counts as a group of its own."
    told = "one answer" if summary.answers == 1 else f"{summary.answers} different answers"
    return (
        f"The {r} best placed runs give {told} (groups whose average ARI is at least {gather.SAME_ANSWER}). "
        "Noise counts as a group of its own; similar runs side by side, by their places in the leaderboard."
    )


def references_caption(summary: Summary) -> str:
    """Say whether the order of runs depends on the reference space."""
    columns = gather.reference_columns(summary.runs, summary.references)
    runs = gather.scored(summary.runs)
    if len(columns) < 2 or len(runs) < 4:
        return ""
    (first, primary), *others = columns.items()
    rho = {name: runs[[primary, column]].corr(method="spearman").iloc[0, 1] for name, column in others}
    told = [f"{number(value, 2)} ({name})" for name, value in rho.items()]
    return " ".join(
        filter(
            None,
            [
                _reference_matters(min(rho.values())),
                f"Rank correlation of the silhouette in the {first} reference with the other references: "
                f"{listed(told)}.",
                _tops(runs, columns),
                _places(summary, columns),
            ],
        )
    )


def _reference_matters(least: float) -> str:
    if absent(least):
        return ""
    much = "little" if least >= 0.9 else "somewhat" if least >= 0.7 else "a lot"
    return f"Which reference space ranks the runs matters {much} here."


def _tops(runs: pd.DataFrame, columns: Mapping[str, str]) -> str:
    """Say how many of the best under the primary reference are among the best under the others."""
    if len(runs) < 2 * TOP:
        return ""
    (first, best), *others = ((name, set(runs.nlargest(TOP, column).index)) for name, column in columns.items())
    told = [f"{count(len(best & found))} under {name}" for name, found in others]
    return f"Of the first {TOP} under {first}, so many are among the first {TOP} elsewhere: {listed(told)}."


def _places(summary: Summary, columns: Mapping[str, str]) -> str:
    """Say which place the best run has under each reference."""
    if summary.best is None:
        return ""
    run = summary.run(summary.best)
    told = [f"{count(run[f'rank_{name}'])} under {name}" for name in columns if not absent(run[f"rank_{name}"])]
    among = plural(int(gather.scored(summary.runs).shape[0]), "run")
    return f"By silhouette alone the best run, {summary.best}, has place {listed(told)}, of {among}." if told else ""


def profile_caption(summary: Summary) -> str:
    """Say what sets the segments apart, and what was left out."""
    features = summary.profile["feature"].nunique()
    if not features:
        return ""
    widest = gather.widest(summary.profile)
    told = f"{clipped(widest[0], 60)} sets the segments apart most. " if widest else ""
    told += "Each cell: the segment's mean less all customers' mean, in standard deviations."
    if features > len(widest):
        told += f" The {len(widest)} features with the largest spread, of {features:,}."
    return told


def only_for_drawing(plane: Embedding) -> str:
    """Say what a plane is in which nothing was clustered."""
    first, second = (percent(share) for share in plane.shares)
    space = clipped(plane.label.rpartition(" > ")[0], 110)
    return (
        "Nothing was projected to two dimensions, so that there is no picture of a space in which a run clustered. "
        "This one is only for drawing; nothing was clustered in it. Its axes are the first two principal components of "
        f"the scaled features ({space}), {first} and {second} of their "
        "variance: segments that lie on each other here may be apart in the rest."
    )


def embeddings_caption(summary: Summary) -> str:
    """Say what the small multiples show."""
    if summary.embeddings[0].shares:
        return only_for_drawing(summary.embeddings[0])
    shown = len(summary.embeddings)
    largest = max((len(e.points) for e in summary.embeddings), default=0)
    coloured = "coloured by the labels of the best placed run that clustered in it"
    found = pd.Series([len(np.unique(e.labels[e.labels >= 0])) for e in summary.embeddings]).value_counts()
    sizes = [f"{plural(k, 'segment')} in {n}" if shown > 1 else plural(k, "segment") for k, n in found.items()]
    told = (
        f"{shown} embeddings, each {coloured} (the best placed first): {listed(sizes)}."
        if shown > 1
        else f"One embedding, {coloured}: {listed(sizes)}."
    )
    if any(dimensions(summary.run(e.run)) > 2 for e in summary.embeddings):
        told += " Of a space with more dimensions the first two are drawn."
    told += (
        " Distances and sizes in such a picture are the projection's own: clear islands prove nothing by themselves."
    )
    if largest >= gather.POINTS:
        told += f" A random sample of {gather.POINTS:,} customers is drawn."
    return told


def k_caption(summary: Summary) -> str:
    """Say which number of clusters each score prefers."""
    method = main_method(summary.k_curves)
    return f"{_by_k(summary, method)}Drawn over {weighed(summary)}; a point is the mean of those with the same choices."


def _by_k(summary: Summary, method: str) -> str:
    """Compare the numbers of clusters over the lines that have all of them: others would change what is averaged."""
    points = gather.k_points(summary.runs)
    points = points[points["method"] == method]
    scores = {"silhouette": "reference silhouette", "stability": "stability"}
    known = [score for score in scores if points[score].notna().any()]
    if points.empty or not known:
        return ""
    complete = points.dropna(subset=known)
    whole = complete[complete.groupby(gather.LINE)["k"].transform("size") == points["k"].nunique()]
    kept, total = (table.groupby(gather.LINE).ngroups for table in (whole, points))
    spaces = points["space"].nunique()
    lead = _method(method) + {1: "", 2: " over both spaces"}.get(spaces, f" over all {spaces} spaces")
    ks = f"every number of clusters, {_span(points['k'], count)}"
    if whole.empty:
        return f"{lead}: no line has {ks}, so that means over the lines do not tell which number is best. "
    told = [f"{scores[score]} is {highest(whole.groupby('k')[score].mean())}" for score in known]
    left = total - kept
    over = (
        ""
        if total == 1
        else f" (mean over the {plural(kept, 'choice')} of features, scaler and projection with {ks}"
        f"{f'; {left:,} with fewer left out' if left else ''})"
    )
    return f"{lead}: {listed(told)}{over}. "


def highest(values: pd.Series) -> str:
    """Say at which number of clusters values, by that number, are highest, and how high; equal ones together."""
    best = values.max()
    tied = [str(k) for k in values.index[np.isclose(values, best, rtol=0, atol=1e-12)]]
    if len(tied) == 1:
        return f"highest at k = {tied[0]} ({number(best, 2)})"
    return f"equal at k = {listed(tied)}{'' if len(tied) == len(values) else ', and highest there'} ({number(best, 2)})"


def digits_apart(first: float, second: float, digits: int = 2, most: int = 4) -> int:
    """Return with how many digits two different numbers look different."""
    while digits < most and first != second and number(first, digits) == number(second, digits):
        digits += 1
    return digits


def _method(label: str) -> str:
    option, bracket, rest = label.partition("(")
    return f"{sentence(OPTIONS.get(option, option))}{bracket}{rest}"


def main_method(curves: pd.DataFrame) -> str:
    """Return the method whose k curves are drawn: one with an inertia if there is one, with the most points."""
    if curves.empty:
        return ""
    weight = curves.groupby("method").agg(elbow=("inertia_share", "count"), points=("k", "size"))
    return str(weight.sort_values(["elbow", "points"], ascending=False, kind="stable").index[0])


def weighed(summary: Summary) -> str:
    """Say over which runs choices are weighed."""
    runs = gather.weighed(summary.runs)
    kind = "eligible" if len(runs) and runs["eligible"].all() else "scored"
    return f"the {plural(len(runs), f'{kind} run')}"


def effects_caption(summary: Summary) -> str:
    """Say which choice moved the scores most."""
    if summary.explained.empty:
        few = {0: "No run has a score, so that no choice can be weighed.", 1: "There is one run only: nothing varies."}
        return few.get(len(gather.weighed(summary.runs)), f"Nothing varies among {weighed(summary)}.")
    table = summary.explained.dropna(subset=["silhouette"])
    if table.empty:
        return _nothing_explained(summary)
    first = table.iloc[0]
    if not first["silhouette"] > 0:
        told = f"No choice by itself tells more of the reference silhouette than chance does, over {weighed(summary)}"
    else:
        told = (
            f"The silhouette in the {summary.references[0]} reference depends most on the {first['axis']}: "
            f"{percent(first['silhouette'])} of its variance over {weighed(summary)} lies between its values"
            f"{_elsewhere(summary)}"
        )
    stable = summary.explained.dropna(subset=["stability"])
    if len(stable) and stable["stability"].max() > 0:
        most = stable.loc[stable["stability"].idxmax()]
        told += f"; the stability depends most on the {most['axis']} ({percent(most['stability'])})"
    return f"{told}. Each choice is looked at on its own, so that shares overlap and need not add up."


def _elsewhere(summary: Summary) -> str:
    """Say on which choice the silhouette depends most in the other references: each favours its own scaler."""
    told, first = [], summary.explained["axis"].iloc[0]
    for name in list(gather.reference_columns(summary.runs, summary.references))[1:]:
        shares = summary.explained.set_index("axis")[f"silhouette_{name}"].dropna()
        if len(shares) and shares.max() > 0:
            on = "on it too" if shares.idxmax() == first else f"on the {shares.idxmax()}"
            told.append(f"in the {name} one {on} ({percent(shares.max())})")
    return f", {listed(told)}" if told else ""


def _nothing_explained(summary: Summary) -> str:
    runs = gather.weighed(summary.runs)
    if len(runs) > 1 and np.ptp(runs["silhouette_reference"]) == 0:
        return f"Nothing: {weighed(summary)} all have the same reference silhouette."
    return (
        f"Too few runs to say: a choice's share of the variance needs {gather.TO_SPARE} runs more than the choice has "
        f"values, and {weighed(summary)} {'is' if len(runs) == 1 else 'are'} not enough for any."
    )


def choices_caption(summary: Summary) -> str:
    """Say which value of each choice scores best on average."""
    told = []
    for score, name in (("silhouette", "reference silhouette"), ("stability", "stability")):
        table = summary.effects.dropna(subset=[score])
        table = table[table["runs"] >= MANY]
        tops = table.loc[table.groupby("axis", sort=False)[score].idxmax()]
        best = [f"{row.axis} {clipped(row.value, 60)} ({number(getattr(row, score), 2)})" for row in tops.itertuples()]
        told += [f"Highest mean {name}: {', '.join(best)}."] if best else []
    least = f"Values with fewer than {MANY} runs are drawn, but not named here."
    few = [least] if told and (summary.effects["runs"] < MANY).any() else []
    over = f"{sentence(weighed(summary))}, grouped by each choice in turn; number of runs in brackets."
    return " ".join([*told, *few, over])


def grid_caption(summary: Summary) -> str:
    """Say which pair of scaler and projection holds the best run."""
    if not summary.grid.notna().any(axis=None):
        return ""
    best = summary.grid.max().max()
    projection = summary.grid.max().idxmax()
    scaler = summary.grid[projection].idxmax()
    among = "eligible runs" if summary.runs["eligible"].any() else "all scored runs, as none is eligible"
    return (
        f"Highest reference silhouette: {scaler} scaling {space(projection)}, {number(best)}. Each cell: the best "
        f"reference silhouette of the {among}.{favoured(summary)}"
    )


def favoured(summary: Summary) -> str:
    """Say which scaler the reference space favours, where runs differ in it: the one that it is scaled with itself."""
    own = summary.references[0]
    if own not in set(summary.runs["scaler"]) or not gather.varies(summary.runs, "scaler"):
        return ""
    return f" The {own} reference is scaled as the runs with {own} scaling are, and favours these."


def inflation_caption(summary: Summary) -> str:
    """Say how much each projection flatters."""
    medians = summary.inflation.groupby("space")["inflation"].median()
    if medians.empty:
        return ""
    if (summary.inflation["projection"] == "none").all():
        return (
            "No run was projected, so that there is no picture to trust or not: all clustered in the scaled features."
        )
    flattered, calm = medians.idxmax(), medians.idxmin()
    honest = "Not by itself: native" if medians.max() > FLATTERED else "Here it is: native"
    if medians.max() <= 0:
        return (
            "Here it is: native silhouettes, of the space a run clustered in, are not above the reference ones "
            f"(median {number(medians.max(), 2)} at most). Native values rank nothing all the same."
        )
    told = (
        f"{honest} silhouettes, of the space a run clustered in, are above the reference ones by "
        f"{number(medians.max(), 2)} (median) {space(flattered)}"
    )
    if calm != flattered:
        told += f", by {number(medians.min(), 2)} {space(calm)}"
    return f"{told}. A projection can part what is one cloud, so that native values rank nothing."


def flattered_caption(summary: Summary) -> str:
    """Say how many runs look better in their own space."""
    values = summary.inflation["inflation"]
    better = int((values > 0).sum())
    if len(values) == 1:
        return f"The only run looks {'better' if better else 'no better'} in the space it clustered in."
    return (
        f"{count(better)} of {plural(len(values), 'run')} {'looks' if better == 1 else 'look'} better in the space "
        "clustered in than in the reference space that all runs share: right of the dashed line."
    )


def space(label: str) -> str:
    """Say in which projection, from its label."""
    option, bracket, rest = str(label).partition("(")
    return "without projection" if option == "none" else f"with {OPTIONS.get(option, option)}{bracket}{rest}"


def data_answer(summary: Summary) -> str:
    """Say whether the input is sane, and what to know of it."""
    table = summary.missing_and_skew
    size = plural(summary.n_customers, "customer")
    if table.empty:
        return f"{size}; nothing is known of the columns."
    lines = [*_few(summary, len(table)), *_missing(table), *_skewed(table), *_repeated(summary), *_deciding(summary)]
    size = f"{size} with {plural(len(table), 'column')}"
    if not lines:
        return f"Yes: {size}; none has missing values, none is strongly skewed, and none decides the distances alone."
    holes = "" if (table["missing"] > 0).any() else " No column has missing values."
    return f"With reservations: {size}. {sentence(listed(lines))}.{holes}"


def _few(summary: Summary, columns: int) -> list[str]:
    """Say where there are too few customers for what follows to be worth much."""
    n = summary.n_customers
    if 0 < n < FEW_CUSTOMERS:
        return [f"fewer than {FEW_CUSTOMERS} customers are too few to find segments that hold"]
    per_column = n / columns
    return [f"there are fewer than {PER_COLUMN} customers for each column"] if 0 < per_column < PER_COLUMN else []


def _missing(table: pd.DataFrame) -> list[str]:
    holes = table[table["missing"] > 0].sort_values("missing", ascending=False)
    if holes.empty:
        return []
    most = holes.iloc[0]
    told = f"{clipped(str(most['column']), 60)}{' the most' if len(holes) > 1 else ''}: {count(most['missing'])}"
    have = f"{plural(len(holes), 'column has', 'columns have')} missing values"
    return [f"{have} ({told}, {percent(most['share'], 1)})"]


def _skewed(table: pd.DataFrame) -> list[str]:
    skewed = int((table["skew"].abs() > 2).sum())
    return [f"{plural(skewed, 'column is', 'columns are')} strongly skewed (|skew| above 2)"] if skewed else []


def _repeated(summary: Summary) -> list[str]:
    found = summary.columns
    if found is None or found.repeated <= REPEATED * found.customers:
        return []
    return [f"{percent(found.repeated / found.customers)} of the customers have the values of another in every column"]


def _deciding(summary: Summary) -> list[str]:
    decided = gather.decided(summary.variance)["matrix"].nunique()
    total = summary.variance["matrix"].nunique()
    return [f"in {decided} of {plural(total, 'scaled table')} one feature decides the distances"] if decided else []


def variance_warnings(summary: Summary) -> list[str]:
    """Name the scaled matrices in which one feature decides."""
    return [
        f"In {clipped(str(row.matrix))}, {clipped(row.feature, 60)} alone carries {percent(row.share)} of the variance "
        "and so decides the distances."
        for row in gather.decided(summary.variance).itertuples()
    ]


def failures_caption(summary: Summary) -> str:
    """Say what is missing."""
    states = summary.runs["status"].value_counts()
    lost = {name: int(states.get(name, 0)) for name in ("failed", "skipped")}
    total, unscored = len(summary.runs), int(summary.ok["silhouette_reference"].isna().sum())
    told = f"No run: {'the only one' if total == 1 else f'all {count(total)}'} came through."
    if sum(lost.values()):
        states = listed([f"{n:,} {name}" for name, n in lost.items() if n])
        told = f"{sentence(states)} of {plural(total, 'run')}, for {plural(len(summary.failures), 'reason')}."
    if not unscored:
        return told
    if total == 1:
        return "The reference silhouette of the only run, which came through."
    if not sum(lost.values()):
        lacking = "every run" if unscored == total else plural(unscored, "run")
        return f"The reference silhouette of {lacking}; all {count(total)} came through."
    have = "has" if unscored == 1 else "have"
    return f"{told} {unscored:,} of those that came through {have} no reference silhouette."
