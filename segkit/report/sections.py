"""The report's sections: one function each, from the summary to blocks that know nothing of HTML or Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report import (
    confirmed,
    confirmed_words,
    drawn_words,
    figure_words,
    gather,
    typical,
    words,
)
from segkit.report.blocks import (
    Card,
    Cards,
    Command,
    Listing,
    Notice,
    Plot,
    Section,
    Table,
    Text,
    Tiles,
)
from segkit.report.discreet import discreet, hidden, left_out
from segkit.report.drawings import to_draw
from segkit.report.leaderboard import direction, leaderboard, marked
from segkit.report.objections import objections, unstable
from segkit.report.payload.few import table_columns
from segkit.report.payload.portraits import FEWEST
from segkit.scoring.stability import DISSOLVED, RECOVERED
from segkit.study.judge.bars import HIGHLY_STABLE, PATTERN, VALID

if TYPE_CHECKING:
    from segkit.report.gather import Summary
    from segkit.segments.profiles import Portrait

FACETS = 4
LISTED = 50
# Segments that are told one by one in a sentence.
NAMED = 6


def sections(summary: Summary) -> list[Section]:
    """Tell a study, section by section, in the order a reviewer asks."""
    told = discreet(summary)
    return [section(told) for section in SECTIONS]


# ------------------------------------------------------------------ 1 verdict


def verdict(summary: Summary) -> Section:
    """Say which run, and why; or why none."""
    state = str(summary.recommendation.get("verdict", ""))
    tell = {"recommended": _recommended, "no_structure": _no_structure}.get(state, _screened)
    answer = confirmed_words.headline(summary)
    heading = "unstable" if state == "recommended" and unstable(summary) else state
    return Section("verdict", words.VERDICTS.get(heading, "Verdict"), "Which run, and why?", answer, tell(summary))


def _recommended(summary: Summary) -> list[Any]:
    return [
        *([Tiles(_confirmed_tiles(summary))] if summary.best is not None else []),
        *_texts(confirmed_words.calibrated(summary), objections(summary), words.why(summary)),
        *_texts(confirmed_words.done(summary)),
        *_texts(drawn_words.drawn(summary)),
        *_reasons(summary),
        *_texts(words.runner_up(summary)),
        *_again(summary),
    ]


def _no_structure(summary: Summary) -> list[Any]:
    rows = confirmed_words.rejected(summary)
    head = ["Screen", "Run", "Configuration", "k", "Silhouette", "Null mean", "Excess", "z", "p", "Refitted"]
    head += ["Why it does not count"]
    caption = (
        "The best runs of the screen: reference silhouette, its mean on tables without segments, the excess and p "
        "adjusted for the whole shortlist (max-T), and the stability (ARI) with the whole pipeline refitted. A good "
        "silhouette and a high stability do not count alone: one elongated cloud cut in two has both."
    )
    return [
        *([Table(head, rows, "rmlrrrrrrrl", caption=caption)] if rows else []),
        *_reasons(summary),
        *_texts(confirmed_words.done(summary), drawn_words.drawn(summary)),
    ]


def _screened(summary: Summary) -> list[Any]:
    asked = summary.study.get("scoring", {}).get("confirm") and summary.recommendation.get("run")
    asked = asked and summary.confirmation is None
    blocks: list[Any] = [Tiles(_tiles(summary))] if summary.best is not None else []
    blocks += _texts(objections(summary), words.why(summary))
    if summary.best is not None:
        blocks.append(Notice(words.SCREEN_ONLY))
    blocks += _texts(confirmed_words.UNFINISHED if asked else "", drawn_words.drawn(summary))
    return [*blocks, *_reasons(summary), *_texts(words.runner_up(summary)), *_again(summary)]


def _texts(*told: str) -> list[Text]:
    return [Text(text) for text in told if text]


def _reasons(summary: Summary) -> list[Table]:
    rows = [[r["name"], r["value"], r["bar"], r["outcome"]] for r in words.reasons(summary)]
    head = ["Gate or criterion", "Value", "Bar", "Outcome"]
    return [Table(head, rows, "lrll", caption=words.pooled(summary))] if rows else []


def _again(summary: Summary) -> list[Any]:
    if summary.best is None:
        return []
    return [Text("Recompute this run from the raw data:"), Command(words.reproduce(summary.folder, summary.best))]


def _confirmed_tiles(summary: Summary) -> list[tuple[str, str, str]]:
    run, primary = summary.run(summary.best), summary.references[0]
    weakest = words.jaccard_reading(run["stability_jaccard_min_refit"])
    adjusted = f"p = {words.p_value(run['p_adjusted'])} (max-T)"
    place = _range(run["rank_low"], run["rank_high"], "over resampled refits, all else fixed", 0)
    return [
        ("Run", summary.best, f"of {len(summary.runs):,}; in the screen at place {words.count(run['screen_rank'])}"),
        ("Segments", words.count(run["n_clusters"]), f"smallest {words.percent(run['smallest_cluster'], 1)}"),
        ("Coverage", words.percent(run["coverage"], 1), "customers in a segment"),
        ("Silhouette", words.number(run["silhouette_reference"]), f"in the {primary} reference space{_sampled(run)}"),
        ("Excess", words.number(run["silhouette_excess"]), f"of it over structureless data, {adjusted}"),
        (
            "Stability",
            words.number(run["stability_ari_refit"], 2),
            f"ARI, refitted{_spread(run, 'stability_ari_refit')}",
        ),
        ("Weakest segment", words.jaccard(run["stability_jaccard_min_refit"]), f"Jaccard, refitted: {weakest}"),
        ("Place", words.count(run["rank"]), f"of those above structureless data{place}"),
        *_choice_tiles(summary, run),
    ]


def _tiles(summary: Summary) -> list[tuple[str, str, str]]:
    run, primary = summary.run(summary.best), summary.references[0]
    weakest = words.jaccard_reading(run["stability_jaccard_min"])
    return [
        ("Run", summary.best, f"place {run['standing']} of {len(summary.runs):,}"),
        ("Segments", words.count(run["n_clusters"]), f"smallest {words.percent(run['smallest_cluster'], 1)}"),
        ("Coverage", words.percent(run["coverage"], 1), "customers in a segment"),
        ("Silhouette", words.number(run["silhouette_reference"]), f"in the {primary} reference space{_sampled(run)}"),
        ("Stability", words.number(run["stability_ari"], 2), f"ARI over draws{_spread(run, 'stability_ari')}"),
        ("Weakest segment", words.jaccard(run["stability_jaccard_min"]), f"Jaccard: {weakest}"),
        *_choice_tiles(summary, run),
    ]


def _choice_tiles(summary: Summary, run: pd.Series) -> list[tuple[str, str, str]]:
    tiles = []
    if not words.absent(run["weight_share"]):
        tiles.append(("Weightings won", words.percent(run["weight_share"]), "of all ways to weigh the criteria"))
    if not words.absent(run["truth_ari"]):
        best = summary.runs.loc[summary.runs["eligible"], "truth_ari"].max()
        note = "" if words.absent(best) else f"; the best eligible run has {words.number(best, 2)}"
        tiles.append(("Planted groups", words.number(run["truth_ari"], 2), f"ARI to the truth{note}"))
    return tiles


def _sampled(run: pd.Series) -> str:
    low, high = run["silhouette_reference_low"], run["silhouette_reference_high"]
    return "" if words.absent(low) or words.absent(high) else f", 95% in {low:.3f} to {high:.3f}"


def _spread(run: pd.Series, name: str) -> str:
    return _range(run[f"{name}_q05"], run[f"{name}_q95"])


def _bracketed(run: pd.Series, name: str) -> str:
    told = _spread(run, name).removeprefix(", ")
    return f" ({told})" if told else ""


def _range(low: Any, high: Any, over: str = "", digits: int = 2) -> str:
    if words.absent(low) or words.absent(high):
        return ""
    low, high = (words.number(end, digits) for end in (low, high))
    return f", 90% {f'in {low} to {high}' if low != high else f'at {low}'}{f' {over}' if over else ''}"


# ------------------------------------------------------------------ 2 trust


def trust(summary: Summary) -> Section:
    """Say whether the best run would survive other customers."""
    blocks = [
        *_texts(drawn_words.fidelity(summary)),
        *_levels(summary),
        *_jaccards(summary),
        *_nulls(summary),
        *_answers(summary),
        *_measures(summary),
        *_screen(summary),
        *_agreement(summary),
    ]
    return Section("trust", "Trust", "Would it survive?", _trust_answer(summary), blocks)


def _levels(summary: Summary) -> list[Plot]:
    if summary.confirmation is None or summary.confirmation.levels.empty:
        return []
    table = summary.confirmation.levels
    runs = [run for run in summary.confirmation.runs["run"] if (table["run"] == run).any()]
    draw = to_draw("levels", table, runs, _short_names(summary), list(confirmed.LEVELS.values()))
    alt = (
        "For each tested run, a dot and a line: the mean agreement with its own segments and 90% of the draws, with "
        "another seed, with the space kept and with the whole pipeline refitted"
    )
    return [Plot("instability", draw, alt, confirmed_words.levels_caption(summary))]


def _jaccards(summary: Summary) -> list[Any]:
    table = summary.jaccards
    means = [name for name in confirmed.LEVELS.values() if name in table]
    if not means:
        return []
    names = [words.segment(i) for i in table.index]
    both = "refitted" in means
    caption = confirmed_words.jaccards_caption(summary) if both else words.jaccard_caption(summary)
    draw = to_draw("jaccard", table[means], names)
    bars = f"{PATTERN:g}, {VALID:g} and {HIGHLY_STABLE:g}"
    alt = f"A bar for each segment of the best run: its mean Jaccard over the draws, with lines at {bars}"
    blocks: list[Any] = [Plot("jaccard", draw, alt, caption)]
    counts = [name for name in table if name not in means]
    if counts:
        rows = [
            [name, *(words.jaccard(row[m]) for m in means), *(words.count(row[c]) for c in counts)]
            for name, (_, row) in zip(names, table.iterrows(), strict=True)
        ]
        head = ["Segment", *(f"Jaccard, {m}" for m in means), *(words.sentence(c) for c in counts)]
        told = (
            "Dissolved and recovered: draws in which the segment's Jaccard is at most "
            f"{DISSOLVED:g}, or above {RECOVERED:g}."
        )
        title = "Dissolved and recovered, segment by segment"
        blocks.append(Table(head, rows, "l" + "r" * (len(head) - 1), title=title, caption=told))
    return blocks


def _nulls(summary: Summary) -> list[Plot]:
    if summary.confirmation is None or summary.confirmation.against_nulls.empty:
        return []
    table = summary.confirmation.against_nulls
    draw = to_draw("nulls", table, summary.confirmation.nulls, _short_names(summary))
    alt = (
        "For each tested run, its reference silhouette as a dot beside a strip of those of its pipeline on tables "
        "without segments"
    )
    return [Plot("nulls", draw, alt, confirmed_words.nulls_caption(summary))]


def _answers(summary: Summary) -> list[Any]:
    if summary.confirmation is None or summary.confirmation.answers.empty:
        return []
    rows = [
        [
            words.count(i),
            words.count(row.runs),
            words.count(row.fewest) + ("" if row.fewest == row.most else f" to {words.count(row.most)}"),
            row.first,
            row.label,
            words.count(row.holding_up),
        ]
        for i, row in enumerate(summary.confirmation.answers.itertuples(), start=1)
    ]
    head = ["Answer", "Runs", "Segments", "Best placed", "Configuration", "Above null"]
    return [Text(confirmed_words.answers(summary)), Table(head, rows, "rrrmlr")]


def _measures(summary: Summary) -> list[Any]:
    """Tabulate what else was measured of the confirmed runs, and takes no part in the choice."""
    if summary.confirmation is None:
        return []
    runs, held = summary.confirmation.runs, set(summary.confirmation.holding_up)
    told = runs[["prediction_strength", "dbcv_native", "dbcv_reference"]].notna().any(axis=None)
    if not told:
        return []
    noisy = bool((runs["noise_fraction"] > 0).any() or runs["stability_noise_jaccard"].notna().any())
    rows = [
        [
            words.count(run["standing"]),
            run["run"],
            run["label"],
            words.count(run["n_clusters"]),
            "yes" if run["run"] in held else "no",
            confirmed_words.strength(run),
            *(_or_reason(run, name) for name in ("dbcv_native", "dbcv_reference")),
            *([_noise_cell(run)] if noisy else []),
        ]
        for _, run in runs.head(LISTED).iterrows()
    ]
    head = ["#", "Run", "Configuration", "k", "Above null", "Prediction strength", "DBCV, native", "DBCV, reference"]
    caption = (
        "Above null: its silhouette is above that of structureless data. None of the others takes part in the choice. "
        "Prediction strength: mean ± standard deviation over splits in halves; "
        f"from {confirmed_words.SUPPORTED:g} a number of segments counts as supported. DBCV: by density, -1 to 1; "
        "native values do not compare across spaces."
    )
    caption += " Noise: its share, and its mean Jaccard with that of the screen's draws." if noisy else ""
    head += ["Noise (Jaccard)"] if noisy else []
    align = "rmlrlrrr" + ("r" if noisy else "")
    return [*_texts(confirmed_words.measures(summary)), Table(head, rows, align, caption=caption)]


def _or_reason(run: pd.Series, name: str) -> str:
    return confirmed_words.reason(run, name) if words.absent(run[name]) else words.number(run[name], 2)


def _noise_cell(run: pd.Series) -> str:
    jaccard = run["stability_noise_jaccard"]
    told = "" if words.absent(jaccard) else f" ({words.number(jaccard, 2)})"
    return f"{words.percent(run['noise_fraction'], 1)}{told}"


def _screen(summary: Summary) -> list[Plot]:
    runs = gather.scored(summary.runs)
    if runs.empty:
        return []
    gates = summary.study.get("scoring", {}).get("gates") or {}
    alt = (
        "Two scatters of all runs: reference silhouette against stability, and against coverage; a mark for each "
        "clusterer, rings on the Pareto front, a star on the run told here"
    )
    plot = Plot("trust", to_draw("trust", runs, summary.best, gates), alt, words.trust_caption(summary))
    return [plot, *_texts(drawn_words.racing(summary))]


def _agreement(summary: Summary) -> list[Any]:
    if len(summary.agreement) < 2:
        return []
    runs = summary.runs.set_index("run")
    places = {run: int(runs.loc[run, "standing"]) for run in summary.agreement.index}
    alt = "Heat map: the adjusted Rand index of each pair of the best placed runs, 1 where they agree in everything"
    plot = Plot("agreement", to_draw("agreement", summary.agreement, places), alt, words.agreement_caption(summary))
    rows = [[str(place), run, runs.loc[run, "label"]] for run, place in sorted(places.items(), key=lambda p: p[1])]
    return [plot, Table(["#", "Run", "Configuration"], rows, "rml", title="The runs compared")]


def _trust_answer(summary: Summary) -> str:
    if summary.best is None:
        return "There is no run to ask this of."
    run = summary.run(summary.best)
    if not words.absent(run["stability_ari_refit"]):
        return confirmed_words.trust(summary)
    if words.absent(run["stability_ari"]):
        lacking = words.status(str(run["stability_status"] or "not_measured"))
        return f"Not known: run {summary.best} has no stability ({lacking[:1].lower()}{lacking[1:]})."
    draws = run["stability_draws"] if run["stability_draws"] > 0 else summary.study.get("scoring", {}).get("draws")
    again = f" in {words.plural(int(draws), 'draw')} of {drawn_words.of_a_draw(summary)}" if draws else ""
    weakest = run["stability_jaccard_min"]
    least = f"; the weakest segment's mean Jaccard is {words.jaccard(weakest)} ({words.jaccard_reading(weakest)})"
    return (
        f"Clustered again{again}, with the space kept, the best run's segments come back with a mean ARI of "
        f"{words.number(run['stability_ari'], 2)}{_bracketed(run, 'stability_ari')}"
        f"{'' if words.absent(weakest) else least}."
    )


def _short_names(summary: Summary) -> dict[str, str]:
    return {
        run: f"{place}. {label}"
        for run, place, label in zip(summary.runs["run"], summary.runs["standing"], summary.runs["label"], strict=True)
    }


# ------------------------------------------------------------------ 3 segments


def segments(summary: Summary) -> Section:
    """Say who the segments are."""
    section = Section("segments", "Segments", "Who are they?", _segments_answer(summary))
    if not summary.portraits:
        return section
    features = gather.widest(summary.profile)
    if summary.recommendation.get("verdict") == "no_structure":
        section.blocks.append(Notice(confirmed_words.NOT_SEGMENTS))
    cards = _cards(summary)
    section.blocks.extend([Cards(cards, typical.explained(summary))] if cards else [])
    section.blocks.extend(_hidden(summary))
    if features:
        section.blocks.append(
            Plot(
                "profiles",
                to_draw("profiles", summary.profile, features),
                "Heat map: a row for each feature, a column for each segment, the segment's standardised mean",
                words.profile_caption(summary) + _but_few(summary),
            )
        )
    if summary.plane is not None:
        name = {summary.best: summary.run(summary.best)["label"]}
        section.blocks.append(
            Plot(
                "segments_map",
                to_draw("embeddings", [summary.plane], name),
                "Map of the customers, a dot each, coloured by the best run's segments, which are numbered",
                _map_caption(summary),
            )
        )
    section.blocks.extend([*_silhouettes(summary), *_contrast(summary)])
    section.blocks.extend([_medians(summary, features)] if features else [])
    return section


def _silhouettes(summary: Summary) -> list[Plot]:
    if summary.silhouettes.empty:
        return []
    mean = float(summary.silhouettes["silhouette"].mean())
    alt = "Silhouette plot: for each segment the customers' silhouettes, sorted, as an area around 0, and their mean"
    least = 1 if summary.options.customers else FEWEST
    draw = to_draw("silhouettes", summary.silhouettes, mean, summary.references[0], figure_words.MOST, least)
    caption = figure_words.silhouettes(summary)
    caption += f" Each step is the mean of at least {least} customers.{_but_few(summary)}" if least > 1 else ""
    return [Plot("silhouettes", draw, alt, caption)]


def _but_few(summary: Summary) -> str:
    few = hidden(summary)
    told = "" if len(few) > LISTED else f" ({words.listed([words.segment(p.segment) for p in few])})"
    return f" Segments of fewer than {FEWEST} customers are left out{told}." if few else ""


def _contrast(summary: Summary) -> list[Plot]:
    """Draw the features that tell the segments apart, where the customers' own were kept and may be shown."""
    found = summary.contrast
    if found is None or not summary.options.customers or not (found.labels >= 0).any():
        return []
    plots = []
    if found.pair:
        draw = to_draw("two_features", found.drawn[list(found.pair)], found.labels)
        pair = " and ".join(words.apart(found.pair, 200))
        alt = f"Scatter of the customers by {pair}, a colour and a mark for each segment"
        plots.append(Plot("two_features", draw, alt, figure_words.two_features(summary)))
    draw = to_draw("pairs", found.drawn[found.foremost], found.labels)
    names = ", ".join(words.apart(found.foremost, 200))
    alt = f"Pair plot by segment of {names}: a scatter for each pair, distributions on the diagonal"
    return [*plots, Plot("pairs", draw, alt, figure_words.pairs(summary))]


def _map_caption(summary: Summary) -> str:
    near, plane = gather.neighbourhood(summary.plane), summary.plane
    told = f"For {words.percent(near, 1)} of the points in a segment, the nearest other one in this picture is of the "
    told = "" if np.isnan(near) else f"{told}same segment. "
    if plane.shares:
        return f"{told}{words.only_for_drawing(plane)}"
    members = [other.run for other in summary.embeddings if other.name == plane.name]
    d = words.dimensions(summary.run(members[0])) if members else 0
    some = f"the first two of {d} dimensions of " if d > 2 else ""
    if summary.best not in members:
        where = (
            f"{some}a space in which the run did not cluster" if some else "a picture in which the run did not cluster"
        )
        return f"{told}The segments in {where} ({words.clipped(plane.label, 110)})."
    kept = summary.run(summary.best).get("projection.explained_variance")
    share = f"; all {d} keep {words.percent(kept)} of the variance" if some and not words.absent(kept) else ""
    return (
        f"{told}The segments in {some}the space in which the run clustered ({words.clipped(plane.label, 110)}){share}."
    )


def _segments_answer(summary: Summary) -> str:
    if summary.best is None:
        return "No run came through, so there are no segments."
    if not summary.portraits:
        return f"Run {summary.best} has no profile in this folder."
    clusters = [p for p in summary.portraits if p.segment >= 0]
    noise = sum(p.n for p in summary.portraits if p.segment < 0)
    total = sum(p.n for p in summary.portraits)
    who = words.plural(noise, "customer")
    told = f" {who} ({words.percent(noise / total)}) {'is' if noise == 1 else 'are'} noise." if noise else ""
    if not clusters:
        return f"There are no segments: run {summary.best} left every customer out as noise."
    if 1 < len(clusters) <= NAMED:
        named = "; ".join(
            f"{words.segment(p.segment)} ({words.percent(p.n / total)}): {_foremost(p)}" for p in clusters
        )
        return f"{len(clusters)} segments. {named}.{told}"
    largest = max(clusters, key=lambda p: p.n)
    return (
        f"{words.plural(len(clusters), 'segment')}; the largest holds {words.percent(largest.n / total)} of the "
        f"customers: {words.isolated(largest.words)}.{told}"
    )


def _foremost(portrait: Portrait) -> str:
    """Say in which feature a segment is highest, and in which lowest."""
    sides = {"high": portrait.high, "low": portrait.low}
    told = [f"{side} {words.clipped(traits[0][0], 48)}" for side, traits in sides.items() if traits]
    return ", ".join(told) or words.isolated(portrait.words)


def _cards(summary: Summary) -> list[Card]:
    rows = summary.profile.drop_duplicates(["segment", "feature"]).set_index(["segment", "feature"])
    total = sum(p.n for p in summary.portraits)
    cards = []
    for p in _described(summary):
        sides = [
            [
                (name, f"{z:+.1f} sd".replace("-", "−"), typical.told(summary, name, rows.loc[(p.segment, name)]))
                for name, z in side
            ]
            for side in (p.high, p.low)
        ]
        note = _card_note(summary.jaccard, p.segment, "refitted" in summary.jaccards)
        cards.append(
            Card(p.segment, words.segment(p.segment), words.count(p.n), words.percent(p.n / total), note, *sides)
        )
    return cards


def _described(summary: Summary) -> list[Portrait]:
    told = set(summary.profile["segment"])
    return [portrait for portrait in summary.portraits if portrait.segment in told]


def _hidden(summary: Summary) -> list[Table]:
    """List the segments of which this page may tell no more than their size."""
    total = sum(p.n for p in summary.portraits)
    refitted = "refitted" in summary.jaccards
    rows = [
        [
            words.segment(p.segment),
            words.count(p.n),
            words.percent(p.n / total, 1),
            _card_note(summary.jaccard, p.segment, refitted) or words.NONE,
        ]
        for p in hidden(summary)
    ]
    caption = f"What is typical of these is hidden: fewer than {FEWEST} customers have a value."
    return [Table(["Segment", "Customers", "Share", "Stability"], rows, "lrrl", caption=caption)] if rows else []


def _card_note(values: np.ndarray, segment: int, refitted: bool) -> str:
    if not 0 <= segment < len(values) or np.isnan(values[segment]):
        return ""
    told = "Jaccard, refitted," if refitted else "Jaccard"
    return f"{told} {words.jaccard(values[segment])}, {words.jaccard_reading(values[segment])}"


def _medians(summary: Summary, features: Sequence[str]) -> Table:
    found = summary.profile.drop_duplicates(["segment", "feature"]).set_index(["feature", "segment"])
    order = [p.segment for p in _described(summary)]
    rows = [
        [
            name,
            *(
                typical.quartiles(summary, name, found.loc[(name, s)]) if (name, s) in found.index else words.NONE
                for s in order
            ),
        ]
        for name in features
    ]
    head = ["Feature", *(words.segment(s) for s in order)]
    caption = "Median (lower to upper quartile), in the feature's own units." + _but_few_values(summary)
    if shared := [name for name in features if name in summary.shares]:
        head.append("All")
        rows = [[*row, words.percent(summary.shares.get(row[0])) if row[0] in shared else ""] for row in rows]
        caption += " Of features that are 0 or 1: the share of the customers that have 1, and last everybody's."
    align = "l" + "r" * (len(head) - 1)
    return Table(head, rows, align, title="Medians and quartiles by segment", caption=caption)


def _but_few_values(summary: Summary) -> str:
    rounded = f" Three digits; {words.NONE} where fewer than {FEWEST} customers have a value.{_but_few(summary)}"
    return "" if summary.options.customers else rounded


# ------------------------------------------------------------------ 4 compare


def compare(summary: Summary) -> Section:
    """Say what else was tried."""
    section = Section("compare", "Compare", "What else was tried?", _compare_answer(summary))
    if len(summary.runs):
        section.blocks.append(leaderboard(summary))
    section.blocks.extend(_texts(marked(summary), words.missed_gates(summary), words.references_caption(summary)))
    if summary.embeddings:
        names = _short_names(summary)
        section.blocks.append(
            Plot(
                "embeddings",
                to_draw("embeddings", summary.embeddings, names),
                "Maps of the customers, one for each projected space, coloured by the segments of its best run",
                words.embeddings_caption(summary),
            )
        )
    elif len(summary.ok):
        section.blocks.append(Text("There are no embeddings to draw."))
    return section


def _compare_answer(summary: Summary) -> str:
    runs = gather.scored(summary.runs)
    if runs.empty:
        total = len(summary.runs)
        lacks = "without" if total == 1 else "none of them with"
        return f"{words.plural(total, 'run')} {'was' if total == 1 else 'were'} tried, {lacks} a reference silhouette."
    scores = runs["silhouette_reference"]
    tested = summary.confirmation
    counts = (len(tested.runs), len(tested.holding_up)) if tested else (0, 0)
    told = _tried(len(summary.runs), int(summary.runs["eligible"].sum()), *counts)
    if len(scores) == 1:
        return f"{told} The only reference silhouette is {words.silhouette(runs.iloc[0])}."
    digits = words.digits_apart(scores.min(), scores.max())
    low, middle, high = (words.number(value, digits) for value in (scores.min(), scores.median(), scores.max()))
    if low == high:
        return f"{told} All reference silhouettes are {low}."
    span = f"from {low} to {high}, median {middle}"
    own = None if summary.best is None else summary.run(summary.best)
    if own is None or words.absent(own["silhouette_reference"]):
        return f"{told} Reference silhouettes go {span}."
    place = int((scores > own["silhouette_reference"]).sum()) + 1
    return (
        f"{told} Reference silhouettes go {span}; that of the run told here is {words.silhouette(own)}, place "
        f"{place:,} of {len(scores):,} by this score alone."
    )


def _tried(total: int, eligible: int, tested: int, held: int) -> str:
    """Count the runs, those that pass every gate, those tested further and those of these above structureless data."""
    if total == 1:
        gates = "it passes every gate" if eligible else "it misses a gate"
        more = f", was tested further and is {'' if held else 'not '}above structureless data" if tested else ""
        return f"1 run was tried; {gates}{more}."
    gates = f"{eligible:,} of them {'passes' if eligible == 1 else 'pass'}" if eligible else "none of them passes"
    gates = f"{'both' if total == 2 else 'all of them'} pass" if eligible == total else gates
    more = f"; {tested:,} {'was' if tested == 1 else 'were'} tested further, {_holding(tested, held)}" if tested else ""
    return f"{total:,} runs were tried; {gates} every gate{more}."


def _holding(tested: int, held: int) -> str:
    if tested == 1:
        return f"and is {'' if held else 'not '}above structureless data"
    some = words.plural(held, "is", "are") if held else "none is"
    whole = {tested: "both are" if tested == 2 else "all are"}.get(held, some)
    return f"{whole} above structureless data"


# ------------------------------------------------------------------ 5 choices


def choices(summary: Summary) -> Section:
    """Say which choices mattered."""
    section = Section("choices", "Choices", "What mattered?", words.effects_caption(summary))
    section.blocks.extend([*_k_line(summary), *_k_excess(summary)])
    method = words.main_method(summary.k_curves)
    if method:
        spaces = _best_spaces(summary, method)
        section.blocks.append(
            Plot(
                "k_curves",
                to_draw("k_curves", summary.k_curves, method, spaces),
                "Lines of inertia, reference silhouette and stability against the number of clusters, a panel for each "
                "projected space, a colour for each scaler",
                _facets(words.k_caption(summary), summary.k_curves, method),
            )
        )
    if len(summary.effects):
        shown = summary.effects[summary.effects.groupby("axis").cumcount() < 20]
        section.blocks.append(
            Plot(
                "effects",
                to_draw("effects", shown),
                "For each value of each choice, mean, middle half and best of reference silhouette and stability",
                words.choices_caption(summary),
            )
        )
        section.blocks.append(_explained(summary))
    if summary.grid.size > 1:
        section.blocks.append(
            Plot(
                "grid",
                to_draw("grid", summary.grid.iloc[:30, :16]),
                "Heat map: the best reference silhouette for each pair of scaler (rows) and projection (columns)",
                words.grid_caption(summary),
            )
        )
    return section


def _k_line(summary: Summary) -> list[Plot]:
    if len(summary.k_line) < 2:
        return []
    run = figure_words.k_line_run(summary)
    alt = "Elbow, reference silhouette and stability of one pipeline against its number of clusters, with their bands"
    return [Plot("k_line", to_draw("k_line", summary.k_line, int(run["k"])), alt, figure_words.k_line(summary))]


def _k_excess(summary: Summary) -> list[Any]:
    if summary.confirmation is None or summary.confirmation.lines.empty:
        return []
    lines = summary.confirmation.lines
    names = list(dict.fromkeys(lines["line"]))
    shown = lines[lines["line"].isin(names[:FACETS])]
    alt = "Reference silhouette, its mean on tables without segments and the excess against the number of clusters"
    caption = confirmed_words.k_caption(summary)
    caption += f" The first {FACETS} of {len(names)} pipelines are drawn." if len(names) > FACETS else ""
    blocks: list[Any] = [Plot("k_excess", to_draw("k_excess", shown), alt, caption)]
    blocks.append(_k_table(lines[lines["line"] == names[0]], ""))
    if len(names) > 1:
        blocks.append(_k_table(lines[lines["line"] != names[0]], "The other tested pipelines by number of clusters"))
    return blocks


def _k_table(lines: pd.DataFrame, title: str) -> Table:
    rows = [
        [
            *([row.line] if title else []),
            words.count(row.k),
            *(words.number(value) for value in (row.silhouette, row.null_mean, row.excess)),
            words.number(row.z, 1),
            words.p_value(row.p),
            "largest excess" if row.best else "",
        ]
        for row in lines.itertuples()
    ]
    head = [*(["Pipeline"] if title else []), "k", "Silhouette", "Null mean", "Excess", "z", "p", ""]
    caption = "" if title else f"{lines['line'].iloc[0]}. p of each row on its own, not adjusted."
    return Table(head, rows[: 4 * LISTED], ("l" if title else "") + "rrrrrrl", title=title, caption=caption)


def _best_spaces(summary: Summary, method: str) -> list[str]:
    curves = summary.k_curves[summary.k_curves["method"] == method]
    best = curves.groupby("space")["silhouette"].max().sort_values(ascending=False, kind="stable")
    return sorted(best.index[:FACETS])


def _facets(caption: str, curves: pd.DataFrame, method: str) -> str:
    spaces = curves.loc[curves["method"] == method, "space"].nunique()
    return caption + (
        f" The {FACETS} of {spaces} spaces with the best silhouette are drawn." if spaces > FACETS else ""
    )


def _explained(summary: Summary) -> Table:
    primary, *others = gather.reference_columns(summary.runs, summary.references)
    names = {"silhouette": f"Silhouette, {primary}"}
    names |= {f"silhouette_{name}": f"Silhouette, {name}" for name in others} | {"stability": "Stability (ARI)"}
    rows = [
        [words.sentence(str(row["axis"])), *(words.percent(row[name]) for name in names)]
        for _, row in summary.explained.iterrows()
    ]
    return Table(
        ["Choice", *names.values()],
        rows,
        "l" + "r" * len(names),
        caption=f"Share of each score's variance over {words.weighed(summary)} that lies between a choice's values. "
        "Estimator: one-way epsilon squared (Kelley 1935: eta squared adjusted for the number of values, not below 0), "
        f"each choice on its own; {words.NONE} where there are not {gather.TO_SPARE} runs more than values. The "
        "stability is the screen's.",
    )


# ------------------------------------------------------------------ 6 projection


def projection(summary: Summary) -> Section:
    """Say whether the picture is honest."""
    told = words.inflation_caption(summary)
    answer = told or "No run has both a native and a reference silhouette."
    section = Section("projection", "Projection", "Is the picture honest?", answer)
    if told:
        section.blocks.append(
            Plot(
                "inflation",
                to_draw("inflation", summary.inflation),
                "For each projection a strip of all runs: native less reference silhouette, its median and middle half",
                words.flattered_caption(summary),
            )
        )
    section.blocks.extend(_texts(drawn_words.placement(summary), drawn_words.recall(summary)))
    section.blocks.extend(_quality(summary))
    return section


def _quality(summary: Summary) -> list[Any]:
    table = summary.quality
    if table.empty:
        return []
    rows = [[str(row["space"]), *_qualities(row)] for _, row in table.head(LISTED).iterrows()]
    best = table[[f"{name}{confirmed.IDENTITY}" for name in confirmed.QUALITY]].median()
    if best.notna().any():
        rows.insert(0, ["The scaled features themselves (control)", *(words.number(value) for value in best)])
    head = ["Space", *confirmed_words.QUALITY_NAMES.values()]
    return [Text(confirmed_words.quality_caption(summary)), Table(head, rows, "lrrrrr")]


def _qualities(row: pd.Series) -> list[str]:
    controls = [row[f"{name}{confirmed.RANDOM}"] for name in confirmed.QUALITY]
    return [
        words.number(row[name]) + ("" if words.absent(control) else f" ({words.number(control)})")
        for name, control in zip(confirmed.QUALITY, controls, strict=True)
    ]


# ------------------------------------------------------------------ 7 data


def data(summary: Summary) -> Section:
    """Say whether the input is sane."""
    found = summary.provenance.get("data", {})
    section = Section("data", "Data", "Is the input sane?", words.data_answer(summary))
    section.blocks.extend([Notice(text) for text in [left_out(summary)] if text])
    warnings = [*words.variance_warnings(summary), *(words.isolated(str(w)) for w in found.get("warnings") or [])]
    section.blocks.extend([Notice(text) for text in warnings[:LISTED]])
    if len(summary.variance):
        table = gather.by_column(summary.variance, table_columns(found))
        peaks = table.groupby("feature", sort=False)["share"].max().sort_values(ascending=False, kind="stable")
        drawn = list(peaks.index[: gather.TOP_FEATURES])
        section.blocks.append(
            Plot(
                "variance",
                to_draw("variance", table, drawn),
                "Heat map: each feature's share (rows) of the variance in each scaled table (columns)",
                _variance_caption(table, len(peaks), len(table) < len(summary.variance)),
            )
        )
    section.blocks.extend(_correlations(summary))
    section.blocks.extend(_distributions(summary))
    if len(summary.missing_and_skew):
        section.blocks.append(_columns_table(summary))
    return section


def _distributions(summary: Summary) -> list[Plot]:
    if summary.columns is None or summary.columns.drawn.empty:
        return []
    drawn = figure_words.drawn_columns(summary.columns)
    alt = "Small histograms, one for each column of the table that holds numbers: shares of the customers"
    caption = figure_words.distributions(summary)
    return [Plot("distributions", to_draw("distributions", summary.columns.drawn[drawn]), alt, caption)]


def _correlations(summary: Summary) -> list[Plot]:
    if summary.contrast is None or len(summary.contrast.correlations) < 2:
        return []
    draw = to_draw("correlations", summary.contrast.correlations)
    alt = "Heat map: Spearman's rank correlation of each pair of features, those that are alike side by side"
    return [Plot("correlations", draw, alt, figure_words.correlations(summary))]


def _variance_caption(table: pd.DataFrame, features: int, together: bool) -> str:
    highest = table.sort_values("share", ascending=False).iloc[0]
    name = words.clipped(str(highest["feature"]), 60)
    lead = "One feature decides" if highest["share"] > gather.DECIDES else "No feature decides alone"
    told = (
        f"{lead}: the largest share of a scaled table's variance is {words.percent(highest['share'])}, {name} in "
        f"{words.clipped(str(highest['matrix']))}. "
        "Distances, and so clusters, follow the features with large shares."
    )
    told += " The values of a text column are one row." if together else ""
    return told + (
        f" The {gather.TOP_FEATURES} largest of {features} features." if features > gather.TOP_FEATURES else ""
    )


def _columns_table(summary: Summary) -> Table:
    rows = [
        [str(r.column), words.count(r.missing), words.percent(r.share, 1), words.number(r.skew, 1)]
        for r in summary.missing_and_skew.itertuples()
    ]
    head, align = ["Column", "Missing", "Share", "Skew"], "lrrr"
    if summary.columns is None:
        return Table(head, rows, align, title="Missing values and skew by column")
    told = summary.columns.table
    texts = bool(told["commonest"].notna().any())
    for row in rows:
        row.extend(_column_cells(told.loc[row[0]] if row[0] in told.index else None, texts))
    head = [*head, "Distinct", "Zero", "Mean", "SD", "5%", "Median", "95%", *(["Commonest value"] if texts else [])]
    caption = figure_words.looked_at(summary)
    return Table(head, rows, f"{align}rrrrrrr{'l' * texts}", title="Every column in figures", caption=caption)


def _column_cells(told: pd.Series | None, texts: bool) -> list[str]:
    if told is None:
        return [""] * (7 + texts)
    zeros = "" if words.absent(told["zeros"]) else words.percent(told["zeros"])
    numbers = (told[name] for name in ("mean", "sd", "low", "median", "high"))
    cells = [
        words.count(told["distinct"]),
        zeros,
        *("" if words.absent(value) else words.short(value) for value in numbers),
    ]
    if not texts:
        return cells
    share = told["commonest_share"]
    return [*cells, "" if words.absent(share) else f"{words.clipped(told['commonest'], 40)} ({words.percent(share)})"]


# ------------------------------------------------------------------ 8 failures


def failures(summary: Summary) -> Section:
    """Say what is missing."""
    answer = " ".join(filter(None, [words.failures_caption(summary), confirmed_words.incomplete(summary)]))
    section = Section("failures", "Failures", "What is missing?", answer)
    table = summary.failures
    if len(table):
        rows = [
            [r.status, r.reason or "no reason given", words.count(r.runs), r.example, r.label]
            for r in table.itertuples()
        ]
        more = f"The {LISTED} commonest of {len(rows):,} reasons." if len(rows) > LISTED else ""
        head = ["Status", "Reason", "Runs", "For example", "Configuration"]
        section.blocks.append(Table(head, rows[:LISTED], "llrll", caption=more))
    unscored = summary.ok[summary.ok["silhouette_reference"].isna()]
    if len(unscored):
        column = next((c for c in ("silhouette_reference_status", "stability_status") if c in unscored), None)
        counts = unscored[column].value_counts() if column else pd.Series(dtype=int)
        rows = [[words.status(str(status)), words.count(n)] for status, n in counts.items()]
        caption = "Runs that came through but have no reference silhouette, by why it has no value."
        section.blocks.append(Table(["Why", "Runs"], rows, "lr", caption=caption))
    section.blocks.extend(_unconfirmed(summary))
    return section


def _unconfirmed(summary: Summary) -> list[Any]:
    """List the confirmed runs of which a stage of the confirmation failed or was skipped."""
    if summary.confirmation is None:
        return []
    runs = summary.confirmation.runs
    lost = runs[runs["confirm_reason"] != ""]
    rows = [[row.run, row.label, row.confirm_reason] for row in lost.head(LISTED).itertuples()]
    caption = "Tested runs of which a stage of the confirmation failed or was skipped: the first reason of each."
    blocks = [Table(["Run", "Configuration", "Reason"], rows, "mll", caption=caption)] if rows else []
    return [*blocks, *_texts(confirmed_words.lost_tables(summary))]


# ------------------------------------------------------------------ 9 provenance


def provenance(summary: Summary) -> Section:
    """Say how to do it again."""
    found = summary.provenance
    section = Section("provenance", "Provenance", "Can I redo it?", _provenance_answer(summary))
    told = words.command(found.get("command") or "")
    # Whoever reads the page may paste it: what another program is called with is not offered.
    if told.startswith("segkit "):
        section.blocks.append(Command(told))
    section.blocks.append(Table(["What", "Value"], _facts(summary), "ll"))
    section.blocks.append(_definitions(summary))
    section.blocks.append(Text(words.READ_ON))
    if len(summary.stages):
        section.blocks.append(_stage_table(summary.stages, "CPU time by kind of stage"))
    if len(summary.confirm_stages):
        section.blocks.append(_stage_table(summary.confirm_stages, "CPU time of the confirmation by kind of stage"))
    versions = [[str(k), str(v)] for k, v in (found.get("versions") or {}).items()]
    if versions:
        section.blocks.append(Table(["Package", "Version"], versions, "ll", title="Versions"))
    axes = [[str(name), _values(values)] for name, values in (summary.study.get("axes") or {}).items()]
    if axes:
        section.blocks.append(Table(["Axis", "Values"], axes, "ll", title="What was swept"))
    section.blocks.append(Listing("Settings of the study", _yaml(summary.study)))
    return section


def _stage_table(stages: pd.DataFrame, title: str) -> Table:
    rows = [[r.stage, words.seconds(r.seconds), words.percent(r.share)] for r in stages.itertuples()]
    return Table(["Stage", "CPU time", "Share"], rows, "lrr", title=title)


def _provenance_answer(summary: Summary) -> str:
    found = summary.provenance
    told = [_again_answer(found)]
    state = str(found.get("state", "unknown"))
    counts = {name: (found.get("counts") or {}).get(name) for name in ("ok", "failed", "skipped", "waiting")}
    listed = words.listed([f"{words.count(n)} {name}" for name, n in counts.items() if n])
    done = "the study is finished" if state in ("finished", "done", "complete") else f"the study's state is {state}"
    told.append(words.sentence(f"{done}{f' ({listed})' if listed else ''}."))
    if found.get("wall_seconds"):
        spent = sum(float(summary_of["seconds"].sum()) for summary_of in (summary.stages, summary.confirm_stages))
        stored = "computed_seconds" in found and sum((found["computed_seconds"] or {}).values()) < spent / 2
        told.append(f"This launch took {words.seconds(found['wall_seconds'])}{_stored(stored, spent)}.")
    return " ".join(told)


def _stored(stored: bool, spent: float) -> str:
    known = f"; results that take {words.seconds(spent)} of CPU time were found in the store, or most of them"
    return known if stored else f", its results {words.seconds(spent)} of CPU time" if spent else ""


def _again_answer(found: dict[str, Any]) -> str:
    """Say whether all that decides a result is known."""
    data = found.get("data") or {}
    kept = {"data": data.get("fingerprint"), "seeds": found.get("seeds"), "versions": found.get("versions")}
    lost = [name for name, value in kept.items() if not value]
    if lost:
        return f"Not with certainty: nothing is known of the {words.listed(lost)}."
    changed = str(found.get("commit") or "").endswith("+changes")
    if changed:
        return (
            "Not exactly: the program had changes that its commit does not hold. The data's fingerprint, all settings, "
            "seeds and versions are below."
        )
    return "Yes: the data's fingerprint, all settings, seeds and versions are below."


def _facts(summary: Summary) -> list[list[str]]:
    found = summary.provenance
    table = found.get("data", {})
    facts = {
        "Experiment": summary.study.get("experiment"),
        "Started, finished": " to ".join(str(found[k]) for k in ("started", "finished") if found.get(k)),
        "segkit, commit": ", ".join(str(found[k]) for k in ("segkit", "commit") if found.get(k)),
        "Python": found.get("python"),
        "Machine": _values(found.get("machine")),
        "Data": table.get("source"),
        "Data fingerprint (sha256)": _values(table.get("fingerprint")),
        "Seeds": _values(found.get("seeds")) or _values(summary.study.get("seed")),
        "Reference spaces": ", ".join(summary.references),
        "Draws": _draws(summary),
        "Gates": _values(summary.study.get("scoring", {}).get("gates")),
        "Confirmation": words.sentence(confirmed_words.repeated(summary)),
        "CPU time of screen, confirmation": _cpu(summary),
        "Engine": _values(found.get("engine")),
        "Workers": _values(found.get("workers")),
        "Efficiency (CPU time over workers' time)": _efficiency(found.get("efficiency")),
        "Peak memory of a worker": _peak(found.get("peak_memory")),
        "Drawn customers": _values({k: v for k, v in (summary.study.get("sampling") or {}).items() if v}),
    }
    return [[name, str(value)] for name, value in facts.items() if value not in (None, "")]


def _draws(summary: Summary) -> str:
    """Tell how many draws were asked for, and how many of them count for the best run if not all do."""
    asked = summary.study.get("scoring", {}).get("draws")
    run = None if summary.best is None else summary.run(summary.best)
    if run is None or words.absent(run["stability_draws_valid"]):
        return _values(asked)
    total = asked if words.absent(run["stability_draws"]) else int(run["stability_draws"])
    valid = int(run["stability_draws_valid"])
    if not isinstance(total, int) or valid >= total:
        return _values(asked)
    return f"{total:,}, of which {valid:,} {'has' if valid == 1 else 'have'} a value for run {summary.best}"


def _cpu(summary: Summary) -> str:
    spent = [summary.stages["seconds"].sum(), summary.confirm_stages["seconds"].sum()]
    return ", ".join(map(words.seconds, spent)) if spent[1] else ""


def _efficiency(value: Any) -> str:
    return words.percent(value) if isinstance(value, int | float) else _values(value)


def _peak(value: Any) -> str:
    """Tell the most memory that a worker had, and while it did what."""
    if not isinstance(value, dict) or not value:
        return ""
    kind = max(value, key=value.__getitem__)
    return f"{value[kind]:,.0f} MiB, libraries included ({kind})"


def _values(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_values(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_values, value))
    return "" if value is None else str(value)


def _yaml(document: dict[str, Any]) -> str:
    import yaml

    plain = json.loads(json.dumps(document, default=str))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)[:60_000]


def _definitions(summary: Summary) -> Table:
    rows = [[score.label, _defined(score)] for score in summary.scores]
    native = f"{words.NATIVE_AND_REFERENCE} All numeric features after {summary.references[0]} scaling here."
    rows += [[name, text] for name, text in words.COMPARED.items()]
    rows += [[name, text] for name, text in confirmed_words.DEFINITIONS.items()] if summary.confirmation else []
    rows.append(["Reference and native", native])
    rows += [["Draw", text] for text in [drawn_words.definition(summary)] if text]
    return Table(["Score", "Definition"], rows, "ll", title="How scores are defined")


def _defined(score: Any) -> str:
    if score.name in words.DEFINITIONS:
        return " ".join(words.DEFINITIONS[score.name])
    told = (score.compute_many.__doc__ or "").strip().split("\n")[0]
    return f"{told} {words.sentence(direction(score.higher_is_better))}.".strip()


SECTIONS: tuple[Callable[[Summary], Section], ...] = (
    verdict,
    trust,
    segments,
    compare,
    choices,
    projection,
    data,
    failures,
    provenance,
)
