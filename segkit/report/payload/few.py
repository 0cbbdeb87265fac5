"""What a page that may leave the house tells of segments: nothing that fewer than five customers have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report.payload.portraits import FEWEST, customers
from segkit.segments.profiles import OTHER, PLANTED

if TYPE_CHECKING:
    from segkit.report.files import Files

# A median is some customer's own value, so that no page which leaves the house has all of its digits.
DIGITS = 3
# A picture of no more features than it has axes is these features, turned at most.
AXES = 2
_SUMMARIES = ["mean", "median", "q25", "q75"]


def coarse(files: Files, found: Mapping[str, pd.DataFrame], data: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Return profiles without what fewer than five customers have, and without exact values.

    Parameters
    ----------
    files : Files
        The study's folder: its customers, if it has them, tell who misses a value.
    found : mapping
        By run: a profile, long.
    data : mapping
        What the study's provenance says of the data.

    Returns
    -------
    dict
        By run: the profile with its summaries to three significant digits and ``z`` to one decimal, all missing where
        not at least five of a segment's customers are known to have a value. A value of a text column that fewer
        customers have is left out, and a run of which nothing is left.
    """
    columns = table_columns(data)
    known = _Known(files, data.get("missing") or {}, columns)
    told = {run: _coarse(profile, known.least(run, profile), columns) for run, profile in found.items()}
    return {run: profile for run, profile in told.items() if len(profile)}


def _coarse(profile: pd.DataFrame, least: pd.Series, columns: Sequence[str]) -> pd.DataFrame:
    told = profile.copy()
    told[_SUMMARIES] = np.vectorize(rounded, otypes=[float])(told[_SUMMARIES].to_numpy(np.float64))
    # A zero without a sign.
    told["z"] = told["z"].round(1) + 0.0
    told.loc[least < FEWEST, [*_SUMMARIES, "z"]] = np.nan
    # The mean of a value of a text column is the share of those who have it.
    having = (profile["mean"] * least).groupby(profile["feature"], sort=False).sum().round(6)
    rare = [name for name in having.index[having < FEWEST] if is_value(name, columns)]
    return told[~told["feature"].isin(rare)].reset_index(drop=True)


def rounded(value: float) -> float:
    """Return a number with three significant digits."""
    return float(f"{value:.{DIGITS}g}")


# ------------------------------------------------------------------ columns and their values


def table_columns(data: Mapping[str, Any]) -> list[str]:
    """Return the columns of the study's tables, as far as its provenance names them."""
    told = [data.get(name) or () for name in ("columns", "missing", "skew")]
    return list(dict.fromkeys(str(column) for names in told for column in names))


def column_of(feature: str, columns: Iterable[str]) -> str | None:
    """Return the column that a feature was made of: itself, or the text column that has the value; None if neither."""
    columns = set(columns)
    if feature in columns:
        return feature
    return max((name for name in columns if feature.startswith(f"{name}=")), key=len, default=None)


def is_value(feature: str, columns: Sequence[str]) -> bool:
    """Tell whether a feature is named by a value that customers have in a text column."""
    if feature.startswith(PLANTED) or feature.endswith(f"={OTHER}") or "=" not in feature:
        return False
    return not columns or column_of(feature, columns) not in (feature, None)


# ------------------------------------------------------------------ how many have a value


@dataclass(frozen=True)
class _Known:
    """Who is known to have a value of what: by the columns' missing values, else by the customers in the folder."""

    files: Files
    missing: Mapping[str, int]
    columns: Sequence[str]

    def least(self, run: str, profile: pd.DataFrame) -> pd.Series:
        """Return for each row of a profile how many of the segment's customers have a value, or fewer."""
        by_feature = {name: self._source(name) for name in profile["feature"].unique()}
        lost = profile["feature"].map({name: self._missing(by_feature[name]) for name in by_feature})
        least = (profile["n"] - lost.astype(float)).clip(lower=0)
        doubtful = (profile["n"] >= FEWEST) & (least < FEWEST)
        if doubtful.any():
            rows = profile[doubtful]
            least[doubtful] = np.maximum(least[doubtful], self._counted(run, rows, rows["feature"].map(by_feature)))
        return least

    def _source(self, feature: str) -> str | None:
        if feature.startswith(PLANTED):
            return feature
        return column_of(feature, self.columns or (() if self.present is None else self.present.columns))

    def _missing(self, column: str | None) -> float:
        if column is not None and column.startswith(PLANTED):
            return 0
        return self.missing.get(column, 0) if column in self.columns else np.inf

    def _counted(self, run: str, rows: pd.DataFrame, columns: pd.Series) -> np.ndarray:
        """Count in the folder's customers, who may be drawn ones, those with a value."""
        stored, present = self.files.columns("partitions.parquet"), self.present
        named = [] if present is None else [name for name in columns.dropna().unique() if name in present]
        if run not in stored or not named or present.index.max() >= self.files.rows("partitions.parquet"):
            return np.zeros(len(rows))
        labels = self.files.table("partitions.parquet", [run])[run].iloc[present.index]
        counts = present[named].groupby(labels.to_numpy(dtype=float, na_value=np.nan)).sum()
        at = (counts.index.get_indexer(rows["segment"].astype(float)), counts.columns.get_indexer(columns))
        found = np.asarray(counts, dtype=float)[at] if len(counts) else np.zeros(len(rows))
        return np.where(np.minimum(*at) < 0, 0, found)

    @cached_property
    def present(self) -> pd.DataFrame | None:
        """Who of the folder's customers has a value of which column, by their rows in the partitions."""
        frame = customers(self.files)
        if frame is None or frame.empty:
            return None
        if "row" in self.files.columns("customers.parquet"):
            return frame.notna().set_axis(self.files.table("customers.parquet", ["row"])["row"].to_numpy(np.int64))
        return frame.notna()


# ------------------------------------------------------------------ pictures


def telling_planes(
    planes: Sequence[tuple[str, str, str]], runs: pd.DataFrame, data: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Return those of some pictures (name, label and run) that show more features than they have axes.

    One of which the number of features is not known is kept.
    """
    shares = data.get("variance_shares") or {}
    matrices = dict(zip(runs["run"], runs["features"] + "/" + runs["scaler"], strict=True))
    return [plane for plane in planes if len(shares.get(matrices[plane[2]], range(AXES + 1))) > AXES]
