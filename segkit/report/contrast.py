"""The customers' own features by segment, and their silhouettes: what tells the segments apart, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from segkit.report.files import Files

# More customers than this draw no other picture.
LOOKED_AT = 20_000
DRAWN = 2_500
PAIRED = 4
COMPARED = 8
CORRELATED = 25
LIKE = 0.8
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Contrast:
    """Features of some customers by the best run's segments.

    Attributes
    ----------
    customers : int
        How many of a run's customers were looked at.
    differing : Series
        By feature: the share (0 to 1) of its ranks' variance that lies between the segments, the largest first.
    foremost : list of str
        The first four of these, without those that tell the same as one before them.
    pair : tuple of str
        The two features in which most customers are nearest to the middle of their own segment.
    told : float
        Share (0 to 1) of a segment's customers for which that holds, mean over the segments.
    correlations : DataFrame
        Spearman's of up to 25 features, like ones side by side.
    drawn : DataFrame
        Up to 2,500 of the customers: the foremost features, and those of the pair.
    labels : ndarray
        Their segments; -1 is noise.
    """

    customers: int
    differing: pd.Series
    foremost: list[str]
    pair: tuple[str, ...]
    told: float
    correlations: pd.DataFrame
    drawn: pd.DataFrame
    labels: np.ndarray


def contrast(customers: pd.DataFrame, labels: pd.Series) -> Contrast | None:
    """Compare the segments feature by feature; None where no feature is a number that varies.

    Parameters
    ----------
    customers : DataFrame
        One row per customer, the features in their own units; only numbers are looked at.
    labels : Series
        A segment per customer; -1 is noise, a missing label a customer dropped before clustering.
    """
    here = labels.notna().to_numpy()
    values, segments = customers[here], labels[here].to_numpy(dtype=np.int64)
    if len(values) > LOOKED_AT:
        some = np.sort(np.random.default_rng(0).choice(len(values), LOOKED_AT, replace=False))
        values, segments = values.iloc[some], segments[some]
    values = _varying(values)
    if values.empty:
        return None
    shares = differing(values, segments)
    pair, told = telling_pair(values, segments, list(shares.index[:COMPARED]))
    first = foremost(values[shares.index])
    some = np.random.default_rng(0).permutation(len(values))[:DRAWN]
    drawn = values[list(dict.fromkeys([*first, *pair]))].iloc[some].reset_index(drop=True)
    return Contrast(len(values), shares, first, pair, told, correlations(values), drawn, segments[some])


def _varying(values: pd.DataFrame) -> pd.DataFrame:
    numeric = values.select_dtypes(include=["number", "bool", "boolean"]).astype("float64")
    return numeric.loc[:, numeric.max() > numeric.min()]


def differing(values: pd.DataFrame, labels: np.ndarray) -> pd.Series:
    """Share of each feature's rank variance between the segments (eta squared of Kruskal and Wallis), largest first.

    Noise is left out, and for each feature the customers that miss it.
    """
    kept = labels >= 0
    ranks, groups = values[kept].rank(), labels[kept]
    centred = ranks - ranks.mean()
    means = centred.groupby(groups).transform("mean").where(centred.notna())
    total = (centred**2).sum()
    shares = ((means**2).sum() / total.where(total > 0)).fillna(0.0)
    return shares.sort_values(ascending=False, kind="stable")


def foremost(values: pd.DataFrame, most: int = PAIRED) -> list[str]:
    """Return the first features, without those whose rank correlation with one before them is at least 0.8 in size.

    A feature's ranks are among all customers that have it.
    """
    ranks = values.rank()
    chosen: list[str] = []
    for name in ranks:
        rho = ranks[chosen].corrwith(ranks[name]).abs() if chosen else pd.Series(dtype=float)
        if not (rho >= LIKE).any():
            chosen.append(name)
        if len(chosen) == most:
            break
    return chosen


def telling_pair(values: pd.DataFrame, labels: np.ndarray, features: Sequence[str]) -> tuple[tuple[str, ...], float]:
    """Find the two features that tell the segments apart best, each feature by its ranks.

    Returns
    -------
    pair : tuple of str
        Empty with fewer than two features or segments.
    told : float
        Share (0 to 1) of a segment's customers that are nearest to its own mean, mean over the segments.
    """
    kept = labels >= 0
    groups = np.unique(labels[kept], return_inverse=True)[1]
    if len(features) < 2 or not len(groups) or groups.max() == 0:
        return (), float("nan")
    ranks = values.loc[kept, list(features)].rank(pct=True).fillna(0.5).to_numpy()
    sizes = np.bincount(groups)
    means = np.stack([np.bincount(groups, column) / sizes for column in ranks.T], axis=1)
    gaps = [(ranks[:, [i]] - means[:, i]) ** 2 for i in range(len(features))]
    told = {(i, j): _own_nearest(gaps[i] + gaps[j], groups, sizes) for i, j in combinations(range(len(features)), 2)}
    i, j = max(told, key=told.__getitem__)
    return (features[i], features[j]), told[i, j]


def _own_nearest(distances: np.ndarray, groups: np.ndarray, sizes: np.ndarray) -> float:
    right = distances.argmin(axis=1) == groups
    return float((np.bincount(groups[right], minlength=len(sizes)) / sizes).mean())


def correlations(values: pd.DataFrame, most: int = CORRELATED) -> pd.DataFrame:
    """Spearman's rank correlation of each pair of features, like ones side by side.

    Of more than ``most`` features, those with the strongest correlations. A feature's ranks are among all customers
    that have it.
    """
    if values.shape[1] < 2:
        return pd.DataFrame()
    matrix = values.rank().corr(min_periods=3)
    others = matrix.abs().where(~np.eye(len(matrix), dtype=bool))
    kept = list(others.max().sort_values(ascending=False, kind="stable").index[:most])
    matrix = matrix.loc[kept, kept]
    return matrix.iloc[(order := _like_first(matrix)), order]


def _like_first(matrix: pd.DataFrame) -> np.ndarray:
    from scipy.cluster.hierarchy import average, leaves_list
    from scipy.spatial.distance import squareform

    distances = 1.0 - matrix.abs().fillna(0.0).to_numpy()
    np.fill_diagonal(distances, 0.0)
    return leaves_list(average(squareform(np.maximum((distances + distances.T) / 2, 0.0), checks=False)))


def strongest(matrix: pd.DataFrame) -> pd.DataFrame:
    """List the pairs of features by the strength of their correlation: ``first``, ``second``, ``rho``."""
    above = np.triu_indices(len(matrix), 1)
    rho = matrix.to_numpy()[above] if len(matrix) else np.empty(0)
    names = matrix.index.to_numpy()
    table = pd.DataFrame({"first": names[above[0]], "second": names[above[1]], "rho": rho}).dropna()
    return table.sort_values("rho", key=np.abs, ascending=False, kind="stable").reset_index(drop=True)


def interval(rho: float, n: int) -> tuple[float, float]:
    """Return between what Spearman's rho of everybody lies (95%), from n drawn customers (Bonett and Wright 2000)."""
    if n < 4 or abs(rho) >= 1:
        return rho, rho
    half = _NORMAL_95 * np.sqrt((1 + rho**2 / 2) / (n - 3))
    return float(np.tanh(np.arctanh(rho) - half)), float(np.tanh(np.arctanh(rho) + half))


# ------------------------------------------------------------------ files


def read_contrast(files: Files, best: str | None) -> Contrast | None:
    """Compare the best run's segments by the customers' features that the study kept; None where it kept none."""
    if best not in files.columns("partitions.parquet") or not files.has("customers.parquet"):
        return None
    told = files.table("customers.parquet")
    labels = _labels_of(told, files.table("partitions.parquet", ["id", best]), best)
    return None if labels is None else contrast(told.drop(columns=["id", "row"], errors="ignore"), labels)


def read_silhouettes(files: Files, best: str | None) -> pd.DataFrame:
    """Return ``segment`` and ``silhouette`` of the customers in a segment of the best run; empty where not kept."""
    empty = pd.DataFrame({"segment": np.empty(0, dtype=np.int64), "silhouette": np.empty(0)})
    if best not in files.columns("silhouettes.parquet") or best not in files.columns("partitions.parquet"):
        return empty
    told = files.table("silhouettes.parquet", ["id", "row", best])
    labels = _labels_of(told, files.table("partitions.parquet", ["id", best]), best)
    if labels is None:
        return empty
    table = pd.DataFrame({"segment": labels, "silhouette": told[best].astype("float64")}).dropna()
    table = table[table["segment"] >= 0].astype({"segment": "int64"})
    return table.reset_index(drop=True)


def _labels_of(told: pd.DataFrame, partition: pd.DataFrame, run: str) -> pd.Series | None:
    """Return a run's labels of some customers, by their rows where these are told; None if they are others."""
    rows = told["row"].to_numpy(dtype=np.int64) if "row" in told else np.arange(len(told))
    if len(rows) and rows.max() >= len(partition):
        return None
    same = partition["id"].to_numpy()[rows] == told["id"].to_numpy()
    return partition[run].iloc[rows].reset_index(drop=True) if np.all(same) else None
