"""Who is in a segment: its size, its typical values, and what sets it apart from all customers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segkit.clustering.partition import NOISE

Matrix = NDArray[np.float64]
Labels = Sequence[int] | NDArray[np.integer[Any]] | pd.Series

OTHER = "(other)"
PLANTED = "planted group="
COLUMNS = ("segment", "feature", "n", "mean", "median", "q25", "q75", "z")
# The rarer values of a text column are one feature together.
_CATEGORIES = 12
# Features that are summarised at once: a wide table is never copied whole.
_BLOCK = 32
# A spread below this share of the mean is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Portrait:
    """The features that are high and low in one segment.

    Attributes
    ----------
    segment : int
        The cluster's number, -1 for noise.
    n : int
        Its customers.
    high, low : tuple of (feature, z)
        The features furthest above and below all customers' mean, in standard deviations, furthest
        first.
    words : str
        The same in one line.
    """

    segment: int
    n: int
    high: tuple[tuple[str, float], ...]
    low: tuple[tuple[str, float], ...]
    words: str


def profile(frame: pd.DataFrame, labels: Labels, truth: Labels | None = None) -> pd.DataFrame:
    """Summarise every feature in every segment, one row for each.

    Parameters
    ----------
    frame : DataFrame of shape (n, d)
        Customers by columns. Numeric columns are taken as they are, booleans as 0 and 1, and any
        other column as one 0/1 feature ``column=value`` per value (the 12 commonest; the rest
        together as ``column=(other)``), so that its mean is the share of that value.
    labels : sequence of int, shape (n,)
        A segment per customer; -1 is noise. Customers without a label, which were dropped before
        clustering, are left out.
    truth : sequence of int, shape (n,), optional
        Planted groups: adds the share of each in each segment, as ``planted group=<g>``.

    Returns
    -------
    DataFrame
        One row per segment and feature: ``segment``, ``feature``, ``n`` (customers in the segment),
        ``mean``, ``median``, ``q25``, ``q75`` over the values present, and ``z``: the segment's
        mean less the mean of all labelled customers, in their standard deviations; 0 for a constant
        feature, missing where a segment has no value. Segments ascend, noise first; features keep
        the frame's order.

    Raises
    ------
    ValueError
        If the labels are not one per row.
    """
    codes, is_labelled = _codes(labels, len(frame))
    segments, member, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    order = np.argsort(member, kind="stable")
    rows = np.flatnonzero(is_labelled)[order]
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    parts: list[Matrix] = []
    names: list[str] = []
    for block_names, matrix in _blocks(feature_columns(frame, truth)):
        names += block_names
        parts.append(_summaries(matrix[rows], bounds))
    if not parts or not len(segments):
        nothing = np.array([], dtype=int)
        return _long(np.empty((0, 5, 0)), nothing, nothing, [])
    return _long(np.concatenate(parts, axis=2), segments, sizes, names)


def describe(profile: pd.DataFrame, top: int = 3, least: float = 0.25) -> list[Portrait]:
    """Return the portrait of each segment of a profile.

    Parameters
    ----------
    profile : DataFrame
        As :func:`profile` returns it, of one partition.
    top : int
        At most this many features on each side.
    least : float
        Features nearer than this many standard deviations to the overall mean are not named.

    Returns
    -------
    list of Portrait
        In ascending order of segment, noise last.
    """
    named = profile[~profile["feature"].str.startswith(PLANTED)]
    portraits = [
        _portrait(int(part["segment"].iloc[0]), part, top, least)
        for _, part in named.groupby("segment", sort=True)
    ]
    return sorted(portraits, key=lambda portrait: (portrait.segment == NOISE, portrait.segment))


def shares(profile: pd.DataFrame) -> dict[str, float]:
    """Return the features that are 0 or 1 for every customer; their means are shares.

    Parameters
    ----------
    profile : DataFrame
        As :func:`profile` returns it, of one partition; not rounded.

    Returns
    -------
    dict
        By feature: the share of 1 among the labelled customers with a value. Features in which no
        two segments differ are left out.
    """
    all_shares = {str(name): _share(part) for name, part in profile.groupby("feature", sort=False)}
    return {name: share for name, share in all_shares.items() if share}


def _share(part: pd.DataFrame) -> float | None:
    """Return the mean of all customers in a feature that is 0 or 1; None for any other.

    Parameters
    ----------
    part
        The feature's rows of a profile. Mean and z of two segments give the mean and the standard
        deviation of all customers; of the features between 0 and 1, only one of zeros and ones
        has the variance p (1 - p).
    """
    known = part.dropna(subset=["z", "mean"]).sort_values("z")
    if len(known) < 2 or not known["mean"].between(0.0, 1.0).all():
        return None
    (low, high), (least, most) = known["mean"].iloc[[0, -1]], known["z"].iloc[[0, -1]]
    if not least < most:
        return None
    spread = (high - low) / (most - least)
    overall = float(high - most * spread)
    if 0 < overall < 1 and np.isclose(spread**2, overall * (1 - overall), rtol=1e-6):
        return overall
    return None


def _portrait(segment: int, part: pd.DataFrame, top: int, least: float) -> Portrait:
    ranked = part.dropna(subset=["z"]).sort_values("z", ascending=False, kind="stable")
    pairs = list(zip(ranked["feature"], ranked["z"].astype(float), strict=True))
    high = tuple(pair for pair in pairs if pair[1] >= least)[:top]
    low = tuple(pair for pair in reversed(pairs) if pair[1] <= -least)[:top]
    return Portrait(segment, int(part["n"].iloc[0]), high, low, _words(high, low))


def _words(high: Sequence[tuple[str, float]], low: Sequence[tuple[str, float]]) -> str:
    sides = []
    for side, pairs in (("high", high), ("low", low)):
        if pairs:
            names = ", ".join(f"{name} ({_signed(z)} sd)" for name, z in pairs)
            sides.append(f"{side} {names}")
    return "; ".join(sides) or "near the average in everything"


def _signed(z: float) -> str:
    return f"{z:+.1f}".replace("-", "−")


def _codes(labels: Labels, n: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the labels that are not missing, and where they are."""
    # pandas' overloads of `array` know no union of what it takes.
    given: Any = labels.array if isinstance(labels, pd.Series) else labels
    values = pd.array(given, dtype="Int64")
    if len(values) != n:
        raise ValueError(f"one label per row is needed: {n} rows, {len(values)} labels")
    is_labelled = ~np.asarray(values.isna())
    return np.asarray(values[is_labelled].to_numpy(dtype=np.int64)), is_labelled


def feature_columns(
    frame: pd.DataFrame, truth: Labels | None = None
) -> Iterator[tuple[str, Matrix]]:
    """Yield the names and values of the features that :func:`profile` summarises, in its order."""
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        if pd.api.types.is_numeric_dtype(column.dtype):
            yield str(name), column.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            yield from _indicators(str(name), column)
    if truth is not None:
        groups = np.asarray(truth)
        yield from ((f"{PLANTED}{g}", (groups == g).astype(np.float64)) for g in np.unique(groups))


def _indicators(name: str, column: pd.Series[Any]) -> Iterator[tuple[str, Matrix]]:
    """Yield a feature of zeros and ones for each of the commonest values, NaN where missing."""
    codes, values = pd.factorize(column.astype("object"), sort=False)
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    common = np.argsort(-counts, kind="stable")[:_CATEGORIES]
    missing = np.where(codes < 0, np.nan, 0.0)
    for code in common:
        yield f"{name}={values[code]}", missing + (codes == code)
    if len(values) > _CATEGORIES:
        yield f"{name}={OTHER}", missing + ~np.isin(codes, [*common, -1])


def _blocks(columns: Iterator[tuple[str, Matrix]]) -> Iterator[tuple[list[str], Matrix]]:
    """Yield columns in matrices of at most ``_BLOCK``, with their names."""
    names: list[str] = []
    arrays: list[Matrix] = []
    for name, values in columns:
        names.append(name)
        arrays.append(values)
        if len(names) == _BLOCK:
            yield names, np.column_stack(arrays)
            names, arrays = [], []
    if names:
        yield names, np.column_stack(arrays)


def _summaries(matrix: Matrix, bounds: NDArray[np.int64]) -> Matrix:
    """Return mean, median, q25, q75 and z of rows that are sorted by segment.

    Parameters
    ----------
    matrix
        Shape (n, d).
    bounds
        The first row of each segment, and n.

    Returns
    -------
    ndarray of shape (segments, 5, d)
    """
    centre, spread = _moments(matrix)
    out = np.empty((len(bounds) - 1, 5, matrix.shape[1]))
    for i, (start, stop) in enumerate(pairwise(bounds)):
        block = matrix[start:stop]
        out[i, 0] = _moments(block)[0]
        out[i, 1:4] = _quantiles(block, (0.5, 0.25, 0.75))
        gap = out[i, 0] - centre
        out[i, 4] = np.divide(
            gap, spread, out=np.where(np.isnan(gap), np.nan, 0.0), where=spread > 0
        )
    return out


def _moments(block: Matrix) -> tuple[Matrix, Matrix]:
    """Return the mean and the population standard deviation of each column's present values."""
    present = ~np.isnan(block)
    counts = present.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(present, block, 0.0).sum(axis=0) / counts
        sd = np.sqrt((np.where(present, block - mean, 0.0) ** 2).sum(axis=0) / counts)
    return mean, np.where(sd > _ROUNDING * np.abs(mean), sd, 0.0)


def _quantiles(block: Matrix, levels: Sequence[float]) -> Matrix:
    """Return linear quantiles of each column's present values, shape (levels, d)."""
    # Missing values are sorted last and never read.
    ordered = np.sort(block, axis=0)
    counts = (~np.isnan(block)).sum(axis=0)
    at = np.multiply.outer(np.asarray(levels), np.maximum(counts - 1, 0))
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(counts - 1, 0))
    columns = np.arange(block.shape[1])
    below, above = ordered[low, columns], ordered[high, columns]
    quantiles: Matrix = below + (at - low) * (above - below)
    return quantiles


def _long(
    values: Matrix, segments: NDArray[np.int64], sizes: NDArray[np.int64], names: list[str]
) -> pd.DataFrame:
    """Return a profile from its values, shape (segments, 5, d)."""
    d = len(names)
    mean, median, q25, q75, z = (values[:, i, :].ravel() for i in range(5))
    return pd.DataFrame(
        {
            "segment": np.repeat(segments, d).astype(np.int64),
            "feature": pd.Series(names * len(segments), dtype="str"),
            "n": np.repeat(sizes, d).astype(np.int64),
            "mean": mean,
            "median": median,
            "q25": q25,
            "q75": q75,
            "z": z,
        },
        columns=list(COLUMNS),
    )
