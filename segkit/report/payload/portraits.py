"""The segments of runs in numbers: sizes, standardised means and quartiles, as the page holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report.payload.codec import significant
from segkit.segments.profiles import COLUMNS, NOISE, profile
from segkit.study.keep.customers import FEATURE, OWN

if TYPE_CHECKING:
    from segkit.report.files import Files

# What is told of fewer customers comes close to telling their own values.
FEWEST = 5
HIDDEN = f"hidden: fewer than {FEWEST} customers"
# Of a run with more segments times features, the features that set its segments apart most.
MOST_CELLS = 12_000
LEAST_FEATURES = 5
# Of quartiles where customers may be told.
EXACT_DIGITS = 5
_SUMMARIES = ("median", "q25", "q75")


def kept_profiles(files: Files, runs: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the profiles of runs over all customers: as the study kept them, else made from its customers.

    A run is left out where neither is possible: the study kept no profile, and has more customers than it kept.

    Returns
    -------
    dict
        By run: as :func:`segkit.segments.profiles.profile` returns it.
    """
    found = _stored(files, runs)
    rest = [run for run in runs if run not in found]
    return found | _made(files, rest) if rest else found


def _stored(files: Files, runs: Sequence[str]) -> dict[str, pd.DataFrame]:
    if not files.has("profiles.parquet"):
        return {}
    table = files.table("profiles.parquet")
    table = table[table["run"].astype(str).isin(set(runs))].astype({"feature": "str"})
    return {str(run): part[list(COLUMNS)] for run, part in table.groupby("run", sort=False)}


def _made(files: Files, runs: Sequence[str]) -> dict[str, pd.DataFrame]:
    frame = customers(files)
    stored = set(files.columns("partitions.parquet"))
    runs = [run for run in runs if run in stored]
    if frame is None or len(frame) < files.rows("partitions.parquet") or not runs:
        return {}
    files.missing.pop("profiles.parquet", None)
    partitions = files.table("partitions.parquet", runs)
    return {run: _profile(frame, partitions[run]) for run in runs}


def _profile(frame: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    kept = labels.notna().to_numpy()
    # A column of another table of the study is empty for all of them.
    own = frame[kept].dropna(axis=1, how="all")
    return profile(own, labels[kept].to_numpy(dtype=int))


def customers(files: Files) -> pd.DataFrame | None:
    """Return the features of the customers that the study kept, in their own units; None if it kept none."""
    if not files.has("customers.parquet"):
        return None
    frame = files.table("customers.parquet").drop(columns=list(OWN), errors="ignore")
    own = {f"{name}{FEATURE}": name for name in OWN}
    return frame.rename(columns=own)


def portrait(found: pd.DataFrame, exact: bool, everybody: Mapping[str, float]) -> dict[str, Any]:
    """Lay a profile out by segment and feature, the noise last.

    Parameters
    ----------
    found : DataFrame
        A profile, long.
    exact : bool
        Whether a customer's own value may be among the quartiles: with False these are rounded to three digits, and a
        segment of which nothing is told says so.
    everybody : mapping
        Of features that are 0 or 1, everybody's share of ones.

    Returns
    -------
    dict
        ``segments`` and ``features``, by segment and feature ``z``, ``median``, ``q25`` and ``q75``, and with ``exact``
        of features that are 0 or 1 ``ones``: everybody's share of ones, and each segment's.
    """
    segments = sorted(found["segment"].unique().tolist(), key=lambda s: (s == NOISE, s))
    names = list(dict.fromkeys(found["feature"]))
    cells = {
        name: found[name].to_numpy(np.float64).reshape(-1, len(names))[_order(found, segments, len(names))]
        for name in ("z", *_SUMMARIES)
    }
    sizes = found.groupby("segment")["n"].first().loc[segments].to_numpy()
    chosen = _telling(cells["z"], np.array(segments) != NOISE)
    told: dict[str, Any] = {
        "segments": [
            {"segment": s, "n": int(n), "share": round(float(n / sizes.sum()), 6), "name": _name(s, known or exact)}
            for s, n, known in zip(segments, sizes, (~np.isnan(cells["z"])).any(axis=1), strict=True)
        ],
        "features": [names[i] for i in chosen],
    }
    for name, values in cells.items():
        shown = values[:, chosen]
        digits = 4 if name == "z" else EXACT_DIGITS if exact else 3
        told[name] = [significant(np.round(row, 3) if name == "z" else row, digits) for row in shown]
    if exact and not everybody.keys().isdisjoint(names):
        means = found["mean"].to_numpy(np.float64).reshape(-1, len(names))[_order(found, segments, len(names))]
        told["ones"] = {
            names[i]: {"all": round(everybody[names[i]], 4), "of": significant(means[:, i], 4)}
            for i in chosen
            if names[i] in everybody
        }
    return told


def _name(segment: int, told: bool) -> str:
    from segkit.report import words

    return words.segment(segment) if told else words.sentence(HIDDEN)


def _order(found: pd.DataFrame, segments: Sequence[int], features: int) -> list[int]:
    places = {segment: place for place, segment in enumerate(found["segment"].to_numpy()[::features].tolist())}
    return [places[segment] for segment in segments]


def _telling(z: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Return the features to show, in their order: all, or as many as fit of those that differ most."""
    most = max(MOST_CELLS // max(len(z), 1), LEAST_FEATURES)
    if z.shape[1] <= most:
        return np.arange(z.shape[1])
    known = np.nan_to_num(z[clusters] if clusters.any() else z)
    return np.sort(np.argsort(-np.ptp(known, axis=0), kind="stable")[:most])
