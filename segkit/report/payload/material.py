"""What can go into the page: the shortlist's partitions and profiles, planes and values, in one order of customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report import gather
from segkit.report.files import Files
from segkit.report.payload.codec import (
    LEFT_OUT,
    NOWHERE,
    hilbert,
    label_codes,
    plane_codes,
    quantile_codes,
    significant,
)
from segkit.report.payload.few import coarse, telling_planes
from segkit.report.payload.portraits import EXACT_DIGITS, customers, kept_profiles, portrait
from segkit.scoring.agreement import partition_agreement
from segkit.segments.detailed_runs import detailed_runs, with_same_scores
from segkit.segments.profiles import feature_columns
from segkit.study.keep.customers import MOST_POINTS, drawn_customers

if TYPE_CHECKING:
    from segkit.report.gather import Summary

# Pairs of partitions times customers up to which their agreement is worked out here; beyond, the page does it.
MOST_COMPARED = 50_000_000
# Runs in the page for each partition that is wanted: those with a partition that is there anyway cost next to nothing.
MOST_ALIKE = 5


@dataclass(frozen=True)
class Plane:
    """A picture: what it is called, which runs clustered in it, and its coordinates as the page has them."""

    name: str
    label: str
    runs: list[str]
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Material:
    """Everything that the page may hold, customers in the order of a Hilbert curve over the first plane.

    Attributes
    ----------
    customers, shown : int
        Of the table, and those in the page.
    best : str or None
    table : DataFrame
        Of the runs: what :func:`segkit.segments.detailed_runs.detailed_runs` needs.
    shortlist : list of str
        Runs with different partitions, best first.
    runs : list of str
        These and the runs with the same partitions, best first.
    places : dict
        By run: the place of its partition.
    codes : list of ndarray of shape (m,)
        The partitions, as bytes or pairs of bytes.
    sizes : list of int
        The number of clusters of each.
    agreement : ndarray of shape (r, r) or None
        Adjusted Rand index of the partitions over all customers; None where that is long in the making.
    planes : list of Plane
        The best run's first.
    features : list of (dict, bytes)
        Name, knots and quartiles, and the quantile codes; those that set the best run's segments apart most come first.
    ids : list of str or None
        None where customers are not to be embedded.
    portraits : dict
        By the place of a partition: its profile.
    """

    customers: int
    shown: int
    best: str | None
    recommended: bool
    table: pd.DataFrame
    shortlist: list[str]
    runs: list[str]
    places: dict[str, int]
    codes: list[np.ndarray]
    sizes: list[int]
    agreement: np.ndarray | None
    planes: list[Plane]
    features: list[tuple[dict[str, Any], bytes]]
    ids: list[str] | None
    portraits: dict[int, Any]

    @cached_property
    def plane_bytes(self) -> list[bytes]:
        """Each plane as the page has it: all x, then all y."""
        return [plane.x.tobytes() + plane.y.tobytes() for plane in self.planes]

    def runs_of(self, most: int) -> list[str]:
        """Return the runs of a shortlist of at most so many, and those with the same partitions."""
        first = detailed_runs(self.table, most, self.best, self.shortlist)
        chosen = {self.places[run] for run in first}
        return [run for run in self.runs if self.places[run] in chosen]

    def labels(self, runs: Sequence[str]) -> tuple[bytes, dict[str, Any]]:
        """Return the partitions of runs one after another, and which run has which."""
        places = list(dict.fromkeys(self.places[run] for run in runs))
        new = {old: place for place, old in enumerate(places)}
        # Those of two bytes first: a page reads them where they lie only from even addresses.
        laid = sorted(places, key=lambda place: -self.codes[place].itemsize)
        ends = np.cumsum([self.codes[place].nbytes for place in laid]).tolist()
        starts = dict(zip(laid, [0, *ends], strict=False))
        told = [
            {"offset": starts[place], "bytes": self.codes[place].itemsize, "clusters": self.sizes[place]}
            for place in places
        ]
        listed = [{"run": run, "labels": new[self.places[run]]} for run in runs]
        return b"".join(self.codes[place].tobytes() for place in laid), {"runs": listed, "partitions": told}

    def planes_of(self, most: int) -> tuple[bytes, list[dict[str, Any]]]:
        """Return the first planes one after another, and what each is."""
        chosen = self.planes[:most]
        told = [
            {"name": plane.name, "label": plane.label, "offset": 4 * self.shown * place, "runs": plane.runs}
            for place, plane in enumerate(chosen)
        ]
        return b"".join(self.plane_bytes[:most]), told

    def values_of(self, most: int) -> tuple[list[dict[str, Any]], bytes]:
        """Return the first features' names, knots and quartiles, and their codes one after another."""
        chosen = self.features[:most]
        return [told for told, _ in chosen], b"".join(codes for _, codes in chosen)

    def portraits_of(self, runs: Sequence[str]) -> dict[str, Any]:
        """Return the profile of each partition of the runs, by the first run that has it."""
        first = {self.places[run]: run for run in reversed(runs)}
        return {run: self.portraits[place] for place, run in sorted(first.items()) if place in self.portraits}

    def agreement_of(self, runs: Sequence[str]) -> dict[str, Any] | None:
        """Return the agreement among the partitions of the runs, each by the first run that has it."""
        first = {self.places[run]: run for run in reversed(runs)}
        at = sorted(first)
        if self.agreement is None or len(at) < 2:
            return None
        rounded = np.round(self.agreement[np.ix_(at, at)], 4)
        told = [[None if value != value else value for value in row] for row in rounded.tolist()]
        return {"runs": [first[place] for place in at], "ari": told}


def read_material(summary: Summary) -> Material:
    """Read what the page may hold."""
    files, asked = Files(summary.folder), summary.options
    stored = files.columns("partitions.parquet")
    shortlist = detailed_runs(summary.runs, asked.shortlist, summary.best, stored[1:])
    again = set(with_same_scores(summary.runs, shortlist)) & set(stored)
    runs = shortlist + [run for run in summary.runs["run"] if run in again and run not in set(shortlist)]
    runs = runs[: MOST_ALIKE * asked.shortlist]
    table = files.table("partitions.parquet", [stored[0], *runs]) if stored else pd.DataFrame({"id": []})
    labels, places = _distinct(table, runs)
    frame = customers(files) if stored and asked.customers else None
    rows = _rows(files, table, labels)
    drawn = _planes(files, summary, rows)
    order = _order(len(rows), drawn[0] if drawn else None, [part[rows] for part in labels])
    rows = rows[order]
    first = {places[run]: run for run in reversed(runs)}
    standing = dict(zip(summary.runs["run"], summary.runs["standing"], strict=True))
    found = kept_profiles(files, list(first.values()))
    found = found if asked.customers else coarse(files, found, _data(summary))
    return Material(
        customers=len(table) or summary.n_customers,
        shown=len(rows),
        best=summary.best,
        recommended=summary.best is not None and summary.recommendation.get("run") == summary.best,
        table=summary.runs[summary.runs["run"].isin(shortlist)],
        shortlist=shortlist,
        runs=sorted(runs, key=lambda run: (run != summary.best, standing[run])),
        places=places,
        codes=[label_codes(part[rows]) for part in labels],
        sizes=[int(part.max(initial=-1)) + 1 for part in labels],
        agreement=_agreement(labels),
        planes=[Plane(p.name, p.label, p.runs, p.x[order], p.y[order]) for p in drawn],
        features=_features(frame, order, summary) if frame is not None and len(frame) == len(rows) else [],
        ids=table[stored[0]].iloc[rows].astype(str).tolist() if stored and asked.customers else None,
        portraits={
            place: portrait(found[run], asked.customers, summary.shares) for place, run in first.items() if run in found
        },
    )


def _data(summary: Summary) -> dict[str, Any]:
    return summary.provenance.get("data") or {}


def _distinct(table: pd.DataFrame, runs: Sequence[str]) -> tuple[list[np.ndarray], dict[str, int]]:
    """Return the different partitions, -2 for customers left out, and the place of each run's."""
    labels: list[np.ndarray] = []
    known: dict[bytes, int] = {}
    places = {}
    for run in runs:
        values = table[run].astype("Int64").fillna(LEFT_OUT).to_numpy(dtype=np.int32)
        content = values.tobytes()
        if content not in known:
            known[content] = len(labels)
            labels.append(values)
        places[run] = known[content]
    return labels, places


def _rows(files: Files, table: pd.DataFrame, labels: Sequence[np.ndarray]) -> np.ndarray:
    """Return the rows of the customers in the page: those that the study drew, else all or some drawn here."""
    if "row" in (files.columns("customers.parquet") if files.has("customers.parquet") else []):
        return files.table("customers.parquet", ["row"])["row"].to_numpy(np.int64)
    if len(table) <= MOST_POINTS:
        return np.arange(len(table))
    # An older study kept the coordinates of as many, drawn from all alike.
    axes = [name for name in files.columns("embeddings.parquet") if name.endswith((":x", ":y"))]
    if axes:
        placed = np.flatnonzero(files.table("embeddings.parquet", axes).notna().any(axis=1).to_numpy())
        if 0 < len(placed) <= MOST_POINTS:
            return placed
    return drawn_customers(labels[0] if labels else np.zeros(len(table), dtype=np.int64))


def _planes(files: Files, summary: Summary, rows: np.ndarray) -> list[Plane]:
    """Read the planes, that of the best run (or the one most like it) first."""
    if not len(rows):
        return []
    listed = gather.listed_planes(files, summary.runs, summary.best)
    if not summary.options.customers:
        listed = telling_planes(listed, summary.runs, _data(summary))
    first = summary.plane.name if summary.plane else None
    listed = sorted(listed, key=lambda plane: plane[0] != first)
    described = files.mapping("embeddings.json") if listed else {}
    axes = [f"{name}:{axis}" for name, _, _ in listed for axis in "xy"]
    points = files.table("embeddings.parquet", axes).iloc[rows] if listed else None
    known = set(summary.runs["run"])
    return [
        Plane(
            name,
            label,
            [str(run) for run in described[name].get("runs", []) if run in known],
            *plane_codes(points[[f"{name}:x", f"{name}:y"]].to_numpy(np.float64)),
        )
        for name, label, _ in listed
    ]


def _order(n: int, plane: Plane | None, labels: Sequence[np.ndarray]) -> np.ndarray:
    """Return the order of the customers: along a Hilbert curve over the first plane, those not in it last.

    Neighbours in a picture are mostly of one segment, so that labels come in long runs, which compress well. Without a
    picture customers are ordered by their segments.
    """
    if plane is not None:
        missing = plane.x == NOWHERE
        return np.lexsort((hilbert(plane.x, plane.y), missing))
    return np.lexsort(labels[7::-1]) if len(labels) else np.arange(n)


def _agreement(labels: Sequence[np.ndarray]) -> np.ndarray | None:
    """Return the adjusted Rand index of partitions, noise as a group of its own, over the customers that both have."""
    r = len(labels)
    if r and r * (r - 1) // 2 * len(labels[0]) > MOST_COMPARED:
        return None
    matrix = np.eye(r)
    here = [part != LEFT_OUT for part in labels]
    for i, j in combinations(range(r), 2):
        both = here[i] & here[j]
        value = partition_agreement(labels[i][both], labels[j][both]) if both.any() else np.nan
        matrix[i, j] = matrix[j, i] = value
    return matrix


def _features(frame: pd.DataFrame, order: np.ndarray, summary: Summary) -> list[tuple[dict[str, Any], bytes]]:
    """Return what is told of each feature and its codes, those first that set the best run's segments apart most."""
    found = {name: _feature(name, values, order) for name, values in feature_columns(frame)}
    apart = {name: place for place, name in enumerate(gather.widest(summary.profile, len(found)))}
    return [found[name] for name in sorted(found, key=lambda name: apart.get(name, len(apart)))]


def _feature(name: str, values: np.ndarray, order: np.ndarray) -> tuple[dict[str, Any], bytes]:
    codes, knots = quantile_codes(values)
    told: dict[str, Any] = {"name": name, "knots": knots}
    if knots is not None:
        # Of the values themselves: beside a segment's own, those of the steps would look wrong.
        told["quartiles"] = significant(np.quantile(values[np.isfinite(values)], (0.25, 0.5, 0.75)), EXACT_DIGITS)
    return told, codes[order].tobytes()
