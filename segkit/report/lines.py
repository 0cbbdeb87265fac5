"""What a study found, in three plain lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.report import words
from segkit.report.gather import option_labels
from segkit.study import RUN_GROUPS

if TYPE_CHECKING:
    import pandas as pd

    from segkit.study.keep.reader import Study

_GROUPS = RUN_GROUPS[1:]
# Of the segments, largest first; a line has room for no more.
_MOST_SEGMENTS = 12


def lines(study: Study) -> list[str]:
    """Return the verdict with its figures, the segments, and what was done; each one line without control characters.

    Parameters
    ----------
    study
        A study that ended, with its report.
    """
    runs, recommendation = study.runs, study.recommendation
    chosen = runs[runs["run"] == recommendation["run"]] if recommendation["run"] else runs.iloc[:0]
    texts = [verdict(runs, recommendation)]
    if len(chosen):
        texts.append(segments(study, str(recommendation["run"])))
    texts.append(done(runs, study.folder))
    return [_printable(line) for line in texts]


def verdict(runs: pd.DataFrame, found: Mapping[str, Any]) -> str:
    """Say what is recommended and by which figures, or why nothing is."""
    null = found.get("null") or {}
    p = f"p = {words.p_value(null['p'])}" if not words.absent(null.get("p")) else "no p value"
    match found["verdict"]:
        case "recommended":
            return f"Recommended: {_described(runs, found['run'])}, {p}"
        case "screened_only":
            return f"Best of the screen, not confirmed: {_described(runs, found['run'])}"
        case "no_structure":
            level = f", level {null['level']:g}" if null.get("level") else ""
            return f"Nothing is recommended: the best run is no better than data without segments ({p}{level})"
        case "nothing_eligible" if null:
            return f"Nothing is recommended: no run that beats data without segments ({p}) comes back when fitted anew"
        case _:
            return "Nothing is recommended: no run passes the gates"


def segments(study: Study, run: str) -> str:
    """Say how many segments a run has and how large they are."""
    labels = study.partitions[run].dropna() if run in study.partitions else None
    if labels is None or labels.empty:
        return "its segments are not in partitions.parquet"
    sizes = labels[labels >= 0].value_counts()
    shares = [words.percent(size / len(labels)) for size in sizes.iloc[:_MOST_SEGMENTS]]
    rest = f" and {len(sizes) - _MOST_SEGMENTS} smaller ones" if len(sizes) > _MOST_SEGMENTS else ""
    noise = (labels < 0).mean()
    outside = f"; in none: {words.percent(noise)}" if noise else ""
    customers = words.plural(len(labels), "customer")
    return f"{words.plural(len(sizes), 'segment')}: {', '.join(shares)}{rest} of {customers}{outside}"


def done(runs: pd.DataFrame, folder: Path) -> str:
    """Say what became of the runs, and where the report is."""
    by_status = runs["status"].value_counts()
    counts = [f"{by_status[name]:,} {name}" for name in ("ok", "failed", "skipped") if by_status.get(name)]
    confirmed = int(runs["confirmed"].fillna(False).sum()) if "confirmed" in runs else 0
    counted = f"{words.plural(len(runs), 'run')}: {', '.join(counts)}; {confirmed:,} confirmed"
    page = folder / "report.html"
    return f"{counted}; report: {page}" if page.is_file() else counted


def _described(runs: pd.DataFrame, run: str) -> str:
    """Name a run by its choices, with those parameters that vary in the study, and give its figures."""
    labelled = runs.assign(**{f"{group}_label": option_labels(runs, group) for group in _GROUPS})
    row = labelled[labelled["run"] == run].iloc[0]
    figures = [f"silhouette {words.number(row['silhouette_reference'])}"]
    z = row.get("silhouette_pooled_z")
    figures += [f"pooled z {words.number(z, 1)}"] if not words.absent(z) else []
    return f"{words.configuration(row)}: {', '.join(figures)}"


def _printable(line: str) -> str:
    """Write what would steer a terminal as its code: names come from tables and files of others."""
    line = line.translate(dict.fromkeys(map(ord, words.ISOLATE)))
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line)
