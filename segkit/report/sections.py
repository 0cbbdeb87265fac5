"""The report's sections: one function each, from the summary to blocks that know nothing of HTML or Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report import figures, gather, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from segkit.report.gather import Summary

FACETS = 6
LISTED = 50


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class Notice:
    """A sentence that must not be missed."""

    text: str
    kind: str = "notice"


@dataclass(frozen=True)
class Command:
    """A line to paste into a terminal."""

    text: str
    kind: str = "command"


@dataclass(frozen=True)
class Tiles:
    """Key figures: label, value, note."""

    tiles: list[tuple[str, str, str]]
    kind: str = "tiles"


@dataclass(frozen=True)
class Table:
    """Rows of text; ``align`` has a letter per column, ``r`` for numbers. A ``title`` folds it away."""

    head: list[str]
    rows: list[list[str]]
    align: str
    title: str = ""
    caption: str = ""
    kind: str = "table"


@dataclass(frozen=True)
class Plot:
    """A figure yet to be drawn, its file's name, what it is, and what to see in it.

    With ``dense`` it goes into the page as pixels: it is nothing but points.
    """

    name: str
    draw: Callable[[], Figure]
    alt: str
    caption: str
    dense: bool = False
    kind: str = "plot"


@dataclass(frozen=True)
class Card:
    """One segment."""

    segment: int
    name: str
    n: str
    share: str
    note: str
    high: list[tuple[str, str, str]]
    low: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Cards:
    """One card per segment."""

    cards: list[Card]
    kind: str = "cards"


@dataclass(frozen=True)
class Cell:
    """One value of the leaderboard: as shown, as sorted, and the length of its bar (0 to 100)."""

    shown: str
    value: str = ""
    bar: int | None = None


@dataclass(frozen=True)
class Column:
    """One column of the leaderboard; ``first`` is the direction in which the best comes first."""

    title: str
    hint: str
    numeric: bool
    first: str


@dataclass(frozen=True)
class Leaderboard:
    """All runs; rows carry whether they are eligible and on the Pareto front."""

    columns: list[Column]
    rows: list[tuple[str, bool, bool, list[Cell]]]
    total: int
    kind: str = "leaderboard"


@dataclass(frozen=True)
class Listing:
    """Text as it was written, folded away."""

    title: str
    text: str
    kind: str = "listing"


@dataclass(frozen=True)
class Section:
    """A question, its answer in a sentence, and what the answer rests on."""

    slug: str
    title: str
    question: str
    answer: str
    blocks: list[Any] = field(default_factory=list)


def sections(summary: Summary) -> list[Section]:
    """Tell a study, section by section, in the order a reviewer asks."""
    return [section(summary) for section in SECTIONS]


# ------------------------------------------------------------------ 1 verdict


def verdict(summary: Summary) -> Section:
    """Say which run, and why."""
    state = str(summary.recommendation.get("verdict", ""))
    blocks: list[Any] = []
    if summary.best is not None:
        blocks.append(Tiles(_tiles(summary)))
    told = words.why(summary)
    blocks += [Text(told)] if told else []
    if state == "screened_only" or (state != "recommended" and summary.best is not None):
        blocks.append(Notice(words.SCREEN_ONLY))
    rows = words.reasons(summary)
    if rows:
        table = [[r["name"], r["value"], r["bar"], r["outcome"]] for r in rows]
        blocks.append(Table(["Gate or criterion", "Value", "Bar", "Outcome"], table, "lrll"))
    runner = words.runner_up(summary)
    blocks += [Text(runner)] if runner else []
    if summary.best is not None:
        blocks += [
            Text("Recompute this run from the raw data:"),
            Command(words.reproduce(summary.folder, summary.best)),
        ]
    title = words.VERDICTS.get(state, "Verdict")
    return Section("verdict", title, "Which run, and why?", words.headline(summary), blocks)


def _tiles(summary: Summary) -> list[tuple[str, str, str]]:
    run, primary = summary.run(summary.best), summary.references[0]
    spread = _range(run["stability_ari_q05"], run["stability_ari_q95"])
    weakest = words.jaccard_reading(run["stability_jaccard_min"])
    tiles = [
        ("Run", summary.best, f"place {run['standing']} of {len(summary.runs):,}"),
        ("Segments", words.count(run["n_clusters"]), f"smallest {words.percent(run['smallest_cluster'], 1)}"),
        ("Coverage", words.percent(run["coverage"], 1), "customers in a segment"),
        ("Silhouette", words.number(run["silhouette_reference"]), f"in the {primary} reference space"),
        ("Stability", words.number(run["stability_ari"], 2), f"ARI over draws{spread}"),
        ("Weakest segment", words.number(run["stability_jaccard_min"], 2), f"Jaccard: {weakest}"),
    ]
    if not words.absent(run["weight_share"]):
        tiles.append(("Weightings won", words.percent(run["weight_share"]), "of all of the criteria"))
    if not words.absent(run["truth_ari"]):
        best = summary.runs.loc[summary.runs["eligible"], "truth_ari"].max()
        note = "" if words.absent(best) else f"; the best eligible run has {words.number(best, 2)}"
        tiles.append(("Planted groups", words.number(run["truth_ari"], 2), f"ARI to the truth{note}"))
    return tiles


def _range(low: Any, high: Any) -> str:
    return "" if words.absent(low) or words.absent(high) else f", 90% in {low:.2f} to {high:.2f}"


# ------------------------------------------------------------------ 2 trust


def trust(summary: Summary) -> Section:
    """Say whether the best run would survive other customers."""
    runs = gather.scored(summary.runs)
    section = Section("trust", "Trust", "Would it survive?", _trust_answer(summary))
    if len(runs):
        gates = summary.study.get("scoring", {}).get("gates") or {}
        section.blocks.append(
            Plot(
                "trust",
                partial(figures.trust, runs, summary.best, gates),
                "Scatter of reference silhouette against stability and against coverage",
                words.trust_caption(summary),
            )
        )
    if len(summary.jaccard):
        names = [words.segment(i) for i in range(len(summary.jaccard))]
        section.blocks.append(
            Plot(
                "jaccard",
                partial(figures.jaccard, summary.jaccard, names),
                "Bars of the clusterwise Jaccard of the best run",
                words.jaccard_caption(summary),
            )
        )
    if len(summary.agreement) > 1:
        names = _short_names(summary)
        section.blocks.append(
            Plot(
                "agreement",
                partial(figures.agreement, summary.agreement, names),
                "Heat map of the adjusted Rand index among the best placed runs",
                words.agreement_caption(summary),
            )
        )
    return section


def _trust_answer(summary: Summary) -> str:
    if summary.best is None:
        return "There is no run to ask this of."
    run = summary.run(summary.best)
    if words.absent(run["stability_ari"]):
        return f"Not known: run {summary.best} has no stability ({run['stability_status'] or 'not measured'})."
    draws = summary.study.get("scoring", {}).get("draws")
    again = f" in {draws} draws of about 63% of the customers" if draws else ""
    weakest = run["stability_jaccard_min"]
    least = f"; the weakest segment's mean Jaccard is {words.number(weakest, 2)} ({words.jaccard_reading(weakest)})"
    return (
        f"Clustered again{again}, with the space kept, the best run's segments come back with a mean ARI of "
        f"{words.number(run['stability_ari'], 2)}{'' if words.absent(weakest) else least}."
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
    section.blocks.append(Cards(_cards(summary)))
    if features:
        section.blocks.append(
            Plot(
                "profiles",
                partial(figures.profiles, summary.profile, features),
                "Heat map of standardised means by segment",
                words.profile_caption(summary),
            )
        )
    if summary.plane is not None:
        name = {summary.best: summary.run(summary.best)["label"]}
        section.blocks.append(
            Plot(
                "segments_map",
                partial(figures.embeddings, [summary.plane], name),
                "Embedding coloured by the best run's segments",
                _map_caption(summary),
                dense=True,
            )
        )
    section.blocks.append(_medians(summary, features))
    return section


def _map_caption(summary: Summary) -> str:
    near = gather.neighbourhood(summary.plane)
    told = f"For {words.percent(near, 1)} of the points in a segment, the nearest other one is of the same segment. "
    told = "" if np.isnan(near) else told
    if summary.plane.name in {plane.name for plane in summary.embeddings if plane.run == summary.best}:
        return f"{told}The segments in the space in which the run clustered ({summary.plane.label})."
    return f"{told}The segments in a picture of the customers in which the run did not cluster ({summary.plane.label})."


def _segments_answer(summary: Summary) -> str:
    if summary.best is None:
        return "No run came through, so there are no segments."
    if not summary.portraits:
        return f"Run {summary.best} has no profile in this folder."
    clusters = [p for p in summary.portraits if p.segment >= 0]
    noise = sum(p.n for p in summary.portraits if p.segment < 0)
    total = sum(p.n for p in summary.portraits)
    told = f" {noise:,} customers ({words.percent(noise / total)}) are noise." if noise else ""
    if not clusters:
        return f"There are no segments: run {summary.best} left every customer out as noise."
    largest = max(clusters, key=lambda p: p.n)
    return (
        f"{words.plural(len(clusters), 'segment')}; the largest holds {words.percent(largest.n / total)} of the "
        f"customers: {largest.words}.{told}"
    )


def _cards(summary: Summary) -> list[Card]:
    medians = summary.profile.drop_duplicates(["segment", "feature"]).set_index(["segment", "feature"])["median"]
    total = sum(p.n for p in summary.portraits)
    cards = []
    for p in summary.portraits:
        sides = [
            [(name, f"{z:+.1f} sd".replace("-", "−"), words.short(medians[p.segment, name])) for name, z in side]
            for side in (p.high, p.low)
        ]
        note = _card_note(summary.jaccard, p.segment)
        cards.append(
            Card(p.segment, words.segment(p.segment), words.count(p.n), words.percent(p.n / total), note, *sides)
        )
    return cards


def _card_note(values: np.ndarray, segment: int) -> str:
    if not 0 <= segment < len(values) or np.isnan(values[segment]):
        return ""
    return f"Jaccard {values[segment]:.2f}, {words.jaccard_reading(values[segment])}"


def _medians(summary: Summary, features: Sequence[str]) -> Table:
    found = summary.profile.drop_duplicates(["segment", "feature"]).set_index(["feature", "segment"])
    order = [p.segment for p in summary.portraits]
    rows = [
        [name, *(_quartiles(found.loc[(name, s)]) if (name, s) in found.index else words.NONE for s in order)]
        for name in features
    ]
    head = ["Feature", *(words.segment(s) for s in order)]
    return Table(
        head,
        rows,
        "l" + "r" * len(order),
        title="Medians and quartiles by segment",
        caption="Median (lower to upper quartile), in the feature's own units.",
    )


def _quartiles(row: pd.Series) -> str:
    if words.absent(row["median"]):
        return words.NONE
    return f"{words.short(row['median'])} ({words.short(row['q25'])} to {words.short(row['q75'])})"


# ------------------------------------------------------------------ 4 compare


def compare(summary: Summary) -> Section:
    """Say what else was tried."""
    section = Section("compare", "Compare", "What else was tried?", _compare_answer(summary))
    if len(summary.runs):
        section.blocks.append(leaderboard(summary))
    told = words.references_caption(summary)
    section.blocks.extend([Text(told)] if told else [])
    if summary.embeddings:
        names = _short_names(summary)
        section.blocks.append(
            Plot(
                "embeddings",
                partial(figures.embeddings, summary.embeddings, names),
                "Small multiples of the embeddings, each coloured by its best run",
                words.embeddings_caption(summary),
                dense=True,
            )
        )
    elif len(summary.ok):
        section.blocks.append(Text("This folder holds no embeddings to draw."))
    return section


def _compare_answer(summary: Summary) -> str:
    runs = gather.scored(summary.runs)
    if runs.empty:
        return f"{words.plural(len(summary.runs), 'run')}, none of them with a reference silhouette."
    scores = runs["silhouette_reference"]
    return (
        f"{words.plural(len(summary.runs), 'run')}, {int(summary.runs['eligible'].sum()):,} eligible. Their reference "
        f"silhouettes go from {words.number(scores.min(), 2)} to {words.number(scores.max(), 2)}, the middle one is "
        f"{words.number(scores.median(), 2)}."
    )


def leaderboard(summary: Summary, limit: int = 2000) -> Leaderboard:
    """Lay out the runs, best first, with every column that matters."""
    runs = summary.runs.head(limit)
    columns, values = [], []
    for column, cells in _leader_columns(summary, runs):
        columns.append(column)
        values.append(cells)
    states = zip(runs["run"], runs["eligible"], runs["pareto"], strict=True)
    rows = [(run, bool(e), bool(p), list(cells)) for (run, e, p), *cells in zip(states, *values, strict=True)]
    return Leaderboard(columns, rows, len(summary.runs))


def _leader_columns(summary: Summary, runs: pd.DataFrame) -> list[tuple[Column, list[Cell]]]:
    primary = summary.references[0]
    laid = [
        (
            Column("#", "Place: by share of weightings won among eligible runs, then by silhouette", True, "asc"),
            _numbers(runs["standing"], words.count),
        ),
        (Column("Run", "The run's id", False, "asc"), _texts(runs["run"])),
        (
            Column("State", "Pareto: no other eligible run is better in every criterion", False, "desc"),
            _texts(_states(runs)),
        ),
    ]
    scores = {score.name: _score_column(score, runs, primary) for score in summary.scores}
    laid += [pair for name, pair in scores.items() if name == "silhouette"]
    laid += [
        (
            Column(
                "Stability",
                "Mean ARI over bootstrap draws with the space kept, and its standard deviation",
                True,
                "desc",
            ),
            _numbers(runs["stability_ari"], words.number, _bars(runs["stability_ari"]), _spans(runs)),
        ),
        (
            Column("Weakest Jaccard", "Mean Jaccard of the least stable segment", True, "desc"),
            _numbers(runs["stability_jaccard_min"], partial(words.number, digits=2)),
        ),
        (Column("k", "Segments found", True, "asc"), _numbers(runs["n_clusters"], words.count)),
        *_truth_column(runs),
        (Column("Coverage", "Share of customers not noise", True, "desc"), _numbers(runs["coverage"], words.percent)),
    ]
    for group in gather.GROUPS:
        if group not in ("data", "features") or gather.varies(runs, f"{group}_label"):
            laid.append((Column(group.capitalize(), "", False, "asc"), _texts(runs[f"{group}_label"])))
    if gather.varies(runs, "seed"):
        laid.append((Column("Seed", "", True, "asc"), _numbers(runs["seed"], words.count)))
    smallest = _numbers(runs["smallest_cluster"], partial(words.percent, digits=1))
    laid.append((Column("Smallest", "Smallest segment, share of customers", True, "desc"), smallest))
    laid += [pair for name, pair in scores.items() if name != "silhouette"]
    ranks = [f"rank_{name}" for name in gather.reference_columns(runs, summary.references)]
    if len(ranks) > 1:
        hint = f"Silhouette ranks in the reference spaces {', '.join(summary.references)}; sorted by the worst"
        worst = runs[ranks].max(axis=1)
        laid.append((Column("Ranks", hint, True, "asc"), _numbers(worst, words.count, shown=_ranks(runs[ranks]))))
    hint = "Silhouette in the space clustered in: not comparable across projections"
    laid += [
        (Column("Native †", hint, True, "desc"), _numbers(runs["silhouette_native"], words.number)),
        (
            Column("Inflation", "Native less reference silhouette", True, "asc"),
            _numbers(runs["inflation"], words.number),
        ),
    ]
    laid.append(
        (
            Column("CPU", "Seconds of the run's stages and its share of shared ones", True, "asc"),
            _numbers(runs["seconds"], words.seconds),
        )
    )
    return laid


def _truth_column(runs: pd.DataFrame) -> list[tuple[Column, list[Cell]]]:
    if runs["truth_ari"].isna().all():
        return []
    column = Column("Truth", "ARI to the planted groups; takes no part in the order", True, "desc")
    return [(column, _numbers(runs["truth_ari"], partial(words.number, digits=2)))]


def _score_column(score: Any, runs: pd.DataFrame, primary: str) -> tuple[Column, list[Cell]]:
    values = runs[f"{score.name}_reference"]
    hint = f"{score.label} in the {primary} reference space; {_direction(score.higher_is_better)}"
    bars = _bars(values) if score.name == "silhouette" else None
    first = "desc" if score.higher_is_better else "asc"
    return Column(score.label, hint, True, first), _numbers(values, _digits(score.name), bars)


def _direction(higher: bool) -> str:
    return f"{'higher' if higher else 'lower'} is better"


def _digits(name: str) -> Callable[[Any], str]:
    return partial(words.number, digits=0 if name == "calinski_harabasz" else 3)


def _states(runs: pd.DataFrame) -> pd.Series:
    told = pd.Series(np.where(runs["eligible"], "eligible", "not eligible"), index=runs.index, dtype="object")
    told[runs["pareto"]] = "Pareto"
    told[runs["confirmed"]] += ", confirmed"
    return told.where(runs["status"] == "ok", runs["status"])


def _texts(values: pd.Series) -> list[Cell]:
    return [Cell(str(value)) for value in values]


def _numbers(
    values: pd.Series,
    write: Callable[[Any], str],
    bars: Sequence[int | None] | None = None,
    shown: Sequence[str] | None = None,
) -> list[Cell]:
    plain = pd.to_numeric(values, errors="coerce").astype(float)
    texts = shown if shown is not None else [write(value) for value in plain]
    keys = ["" if np.isnan(value) else f"{value:.6g}" for value in plain]
    return [Cell(*cell) for cell in zip(texts, keys, bars or [None] * len(plain), strict=True)]


def _bars(values: pd.Series) -> list[int | None]:
    top = values.max()
    return [None if np.isnan(v) or not top > 0 else round(100 * max(v, 0.0) / top) for v in values.astype(float)]


def _spans(runs: pd.DataFrame) -> list[str]:
    rows = zip(runs["stability_ari"], runs["stability_ari_sd"], strict=True)
    return [words.number(ari, 2) + ("" if np.isnan(ari) or np.isnan(sd) else f" ± {sd:.2f}") for ari, sd in rows]


def _ranks(ranks: pd.DataFrame) -> list[str]:
    return [" / ".join(words.count(None if np.isnan(r) else r) for r in row) for row in ranks.to_numpy(float)]


# ------------------------------------------------------------------ 5 choices


def choices(summary: Summary) -> Section:
    """Say which choices mattered."""
    section = Section("choices", "Choices", "What mattered?", words.effects_caption(summary))
    method = words.main_method(summary.k_curves)
    if method:
        spaces = _best_spaces(summary, method)
        section.blocks.append(
            Plot(
                "k_curves",
                partial(figures.k_curves, summary.k_curves, method, spaces),
                "Elbow, reference silhouette and stability against the number of clusters",
                _facets(words.k_caption(summary), summary.k_curves, method),
            )
        )
    if len(summary.effects):
        shown = summary.effects[summary.effects.groupby("axis").cumcount() < 20]
        section.blocks.append(
            Plot(
                "effects",
                partial(figures.effects, shown),
                "Mean, quartiles and best of both scores by choice",
                words.choices_caption(summary),
            )
        )
        section.blocks.append(_explained(summary))
    if summary.grid.size > 1:
        section.blocks.append(
            Plot(
                "grid",
                partial(figures.grid, summary.grid.iloc[:30, :16]),
                "Heat map of the best reference silhouette by scaler and projection",
                words.grid_caption(summary),
            )
        )
    return section


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
    rows = [
        [words.sentence(str(r.axis)), words.percent(r.silhouette), words.percent(r.stability)]
        for r in summary.explained.itertuples()
    ]
    return Table(
        ["Choice", "Reference silhouette", "Stability (ARI)"],
        rows,
        "lrr",
        caption="Share of each score's variance that lies between a choice's values (one-way eta squared).",
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
                partial(figures.inflation, summary.inflation),
                "Strip plot of native less reference silhouette by projection",
                words.flattered_caption(summary),
            )
        )
    return section


# ------------------------------------------------------------------ 7 data


def data(summary: Summary) -> Section:
    """Say whether the input is sane."""
    found = summary.provenance.get("data", {})
    columns = words.plural(len(found.get("columns") or []), "column")
    lead = f"{words.plural(summary.n_customers, 'customer')} with {columns}."
    section = Section("data", "Data", "Is the input sane?", " ".join([lead, *words.data_lines(summary)]))
    warnings = [*words.variance_warnings(summary), *map(str, found.get("warnings") or [])]
    section.blocks.extend([Notice(text) for text in warnings[:LISTED]])
    if len(summary.variance):
        peaks = (
            summary.variance.groupby("feature", sort=False)["share"].max().sort_values(ascending=False, kind="stable")
        )
        drawn = list(peaks.index[: gather.TOP_FEATURES])
        section.blocks.append(
            Plot(
                "variance",
                partial(figures.variance, summary.variance, drawn),
                "Heat map of each feature's share of the variance after scaling",
                _variance_caption(summary, len(peaks)),
            )
        )
    if len(summary.missing_and_skew):
        section.blocks.append(_columns_table(summary.missing_and_skew))
    return section


def _variance_caption(summary: Summary, features: int) -> str:
    highest = summary.variance.sort_values("share", ascending=False).iloc[0]
    name = words.clipped(str(highest["feature"]), 60)
    lead = "One feature decides" if highest["share"] > gather.DECIDES else "No feature decides alone"
    told = (
        f"{lead}: the largest share is {words.percent(highest['share'])}, {name} in {highest['matrix']}. "
        "Distances, and so clusters, follow the features with large shares."
    )
    return told + (
        f" The {gather.TOP_FEATURES} largest of {features} features." if features > gather.TOP_FEATURES else ""
    )


def _columns_table(table: pd.DataFrame) -> Table:
    rows = [
        [str(r.column), words.count(r.missing), words.percent(r.share, 1), words.number(r.skew, 1)]
        for r in table.itertuples()
    ]
    return Table(["Column", "Missing", "Share", "Skew"], rows, "lrrr", title="Missing values and skew by column")


# ------------------------------------------------------------------ 8 failures


def failures(summary: Summary) -> Section:
    """Say what is missing."""
    section = Section("failures", "Failures", "What is missing?", words.failures_caption(summary))
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
        rows = [[str(status), words.count(n)] for status, n in counts.items()]
        caption = "Runs that came through but have no reference silhouette, by its status."
        section.blocks.append(Table(["Status of the score", "Runs"], rows, "lr", caption=caption))
    return section


# ------------------------------------------------------------------ 9 provenance


def provenance(summary: Summary) -> Section:
    """Say how to do it again."""
    found = summary.provenance
    section = Section("provenance", "Provenance", "Can I redo it?", _provenance_answer(found))
    if found.get("command"):
        section.blocks.append(Command(words.command(found["command"])))
    section.blocks.append(Table(["What", "Value"], _facts(summary), "ll"))
    section.blocks.append(_definitions(summary))
    if len(summary.stages):
        rows = [[r.stage, words.seconds(r.seconds), words.percent(r.share)] for r in summary.stages.itertuples()]
        section.blocks.append(Table(["Stage", "CPU time", "Share"], rows, "lrr", title="CPU time by kind of stage"))
    versions = [[str(k), str(v)] for k, v in (found.get("versions") or {}).items()]
    if versions:
        section.blocks.append(Table(["Package", "Version"], versions, "ll", title="Versions"))
    axes = [[str(name), _values(values)] for name, values in (summary.study.get("axes") or {}).items()]
    if axes:
        section.blocks.append(Table(["Axis", "Values"], axes, "ll", title="What was swept"))
    section.blocks.append(Listing("Settings of the study", _yaml(summary.study)))
    return section


def _provenance_answer(found: dict[str, Any]) -> str:
    state = str(found.get("state", "unknown"))
    counts = {name: (found.get("counts") or {}).get(name) for name in ("ok", "failed", "skipped", "waiting")}
    told = words.listed([f"{words.count(n)} {name}" for name, n in counts.items() if n])
    took = f" It took {words.seconds(found.get('wall_seconds'))}." if found.get("wall_seconds") else ""
    done = "The study is finished" if state in ("finished", "done", "complete") else f"The study's state is {state}"
    return f"{done}{': ' + told if told else ''}.{took}"


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
        "Draws": summary.study.get("scoring", {}).get("draws"),
        "Gates": _values(summary.study.get("scoring", {}).get("gates")),
        "Engine": _values(found.get("engine")),
        "Workers": _values(found.get("workers")),
        "Efficiency (CPU time over workers' time)": _efficiency(found.get("efficiency")),
    }
    return [[name, str(value)] for name, value in facts.items() if value not in (None, "")]


def _efficiency(value: Any) -> str:
    return words.percent(value) if isinstance(value, int | float) else _values(value)


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
    rows.append(["Reference and native", native])
    return Table(["Score", "Definition"], rows, "ll", title="How scores are defined")


def _defined(score: Any) -> str:
    if score.name in words.DEFINITIONS:
        return " ".join(words.DEFINITIONS[score.name])
    told = (score.compute_many.__doc__ or "").strip().split("\n")[0]
    return f"{told} {words.sentence(_direction(score.higher_is_better))}.".strip()


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
