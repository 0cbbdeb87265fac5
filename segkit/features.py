"""Turn a table of customers into a named numeric matrix, as a feature set declares it.

`segkit.feature_set` explains how one is declared. The order is: expressions on the raw columns,
then missing values, then clipping. A feature that has no value, or the same value for all
customers, is dropped with a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segkit.data.limits import beyond
from segkit.errors import Infeasible, UsageError
from segkit.feature_set import FeatureSet, check_columns, check_unique, listed, read

if TYPE_CHECKING:
    import pandas as pd

    from segkit.data.table import Table

# A missing value is filled in by the mean of so many nearest customers.
NEIGHBOURS = 5
# Each becomes a column of its own.
MAX_CATEGORIES = 1000
# A feature that is missing for more customers than this share gets a warning.
_MOST_MISSING = 0.5


@dataclass(frozen=True)
class Features:
    """A feature set of a table.

    Parameters
    ----------
    matrix : array of shape (n_kept, d)
        float64, C-contiguous, finite.
    names : tuple of str
        The d features.
    rows : array of shape (n_kept,)
        int64 positions, in the table, of the customers that were kept: all of them unless
        ``missing`` is ``drop``.
    warnings : tuple of str
        Which features were dropped, and which were mostly filled in.
    """

    matrix: NDArray[np.float64]
    names: tuple[str, ...]
    rows: NDArray[np.int64]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Feature:
    name: str
    values: NDArray[np.float64]
    indicator: bool = False


def check(config: Mapping[str, Any], columns: Sequence[str]) -> None:
    """Check a feature set against a table's columns before the table is loaded.

    Parameters
    ----------
    config : mapping
        The resolved ``features`` group.
    columns : sequence of str
        The table's feature columns.

    Raises
    ------
    UsageError
        If the declaration has an unknown key, a wrong value, an expression that cannot be parsed, a
        column that the table lacks, or two features of one name.
    """
    check_columns(read(config), tuple(columns))


def build_features(table: Table, config: Mapping[str, Any]) -> Features:
    """Compute a feature set of a table.

    Parameters
    ----------
    table : Table
        The customers.
    config : mapping
        The resolved ``features`` group.

    Returns
    -------
    Features

    Raises
    ------
    UsageError
        As `check` does, or if an expression uses a column of text, or a column has too many
        categories.
    Infeasible
        If no feature is left, if ``missing`` is ``drop`` and fewer than two customers have all
        values, or if a feature has values too large to compute with after imputation and clipping.
    """
    feature_set = read(config)
    check_columns(feature_set, tuple(table.frame.columns))
    features = [*_columns(feature_set, table.frame), *_expressions(feature_set, table.frame)]
    check_unique([feature.name for feature in features])
    features, empty = _without_empty(features)
    rows = _kept_rows(features, feature_set.missing, len(table.frame))
    matrix = _stack(features, rows)
    filled = _mostly_filled(features, matrix, feature_set.missing)
    indicators = np.array([feature.indicator for feature in features], dtype=bool)
    # Of the observed values: the quantiles must not depend on what is filled in.
    low, high = _bounds(matrix, feature_set.clip, indicators)
    names = [feature.name for feature in features]
    matrix = np.clip(_impute(matrix, feature_set.missing, names), low, high)
    large = beyond(matrix)
    if large:
        raise Infeasible(
            f"{large.describe(names)}; clip it (features.clip), or take its logarithm in an "
            "expression"
        )
    return _without_constant(matrix, features, rows, (*empty, *filled))


def variance_shares(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each column's share of the total variance.

    Parameters
    ----------
    matrix : array of shape (n, d)
        Finite values.

    Returns
    -------
    array of shape (d,)
        Shares between 0 and 1 that sum to 1, or zeros where no column varies.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    largest = np.abs(matrix).max(initial=0.0)
    if largest == 0:
        return np.zeros(matrix.shape[1])
    variances = np.zeros(matrix.shape[1])
    for j, column in enumerate(matrix.T):
        # The variance of equal numbers may differ from 0 by rounding.
        if column.min() != column.max():
            # Relative to the largest value, so that squares do not overflow.
            variances[j] = np.var(column / largest)
    total = variances.sum()
    return variances / total if total > 0 else np.zeros(matrix.shape[1])


def dominant(
    names: Sequence[str], shares: NDArray[np.float64], threshold: float = 0.5
) -> str | None:
    """Return a warning if one of several features carries more than `threshold` of the variance.

    Parameters
    ----------
    names : sequence of str
        The d features.
    shares : array of shape (d,)
        Their shares of the variance, as `variance_shares` returns them.
    threshold : float
        The share above which a feature dominates.

    Returns
    -------
    str or None
        The warning; None where no feature dominates, or there is only one.
    """
    if len(names) < 2:
        return None
    first = int(np.argmax(shares))
    if not shares[first] > threshold:
        return None
    return (
        f"{names[first]} alone carries {100 * shares[first]:.0f}% of the variance of {len(names)} "
        "features, so distances, and clusters with them, mostly follow this one feature"
    )


# Features from the table, with their missing values


def _columns(feature_set: FeatureSet, frame: pd.DataFrame) -> Iterable[_Feature]:
    names = tuple(frame.columns) if feature_set.columns is None else feature_set.columns
    for name in names:
        column = frame[name]
        if column.dtype.kind in "iuf":
            yield _Feature(name, _numbers(column))
        elif column.dtype.kind == "b":
            yield _Feature(name, _numbers(column), indicator=True)
        else:
            yield from _one_hot(name, column)


def _numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _one_hot(name: str, column: pd.Series[Any]) -> Iterable[_Feature]:
    codes, categories = column.factorize()
    if len(categories) > MAX_CATEGORIES:
        raise UsageError(
            f"features.columns: '{name}' has {len(categories)} categories, at most "
            f"{MAX_CATEGORIES} are allowed; leave it out of features.columns or name it in "
            "data.drop"
        )
    for code in sorted(range(len(categories)), key=lambda code: str(categories[code])):
        values = (codes == code).astype(np.float64)
        yield _Feature(f"{name}={categories[code]}", values, indicator=True)


def _expressions(feature_set: FeatureSet, frame: pd.DataFrame) -> Iterable[_Feature]:
    for name, expression in feature_set.expressions.items():
        for column in expression.columns:
            if frame[column].dtype.kind not in "biuf":
                raise UsageError(
                    f"features.expressions.{name}: column '{column}' holds text; only numeric and "
                    "boolean columns are allowed in an expression"
                )
        columns = {column: _numbers(frame[column]) for column in expression.columns}
        yield _Feature(name, expression.evaluate(columns))


def _without_empty(features: Sequence[_Feature]) -> tuple[list[_Feature], list[str]]:
    usable, warnings = [], []
    for feature in features:
        if np.isnan(feature.values).all():
            warnings.append(
                f"feature '{feature.name}' has no value for any customer and was dropped"
            )
        else:
            usable.append(feature)
    if not usable:
        names = [feature.name for feature in features]
        raise Infeasible(
            f"features: none is left, since {listed('no customer has a value of', names)}"
        )
    return usable, warnings


def _kept_rows(features: Sequence[_Feature], missing: str | float, n: int) -> NDArray[np.int64]:
    if missing != "drop":
        return np.arange(n, dtype=np.int64)
    holes = [np.isnan(feature.values) for feature in features]
    rows = np.flatnonzero(~np.logical_or.reduce(holes))
    if len(rows) < 2:
        counts = [int(hole.sum()) for hole in holes]
        worst = int(np.argmax(counts))
        raise Infeasible(
            f"features.missing=drop leaves {len(rows)} of {n} customers: "
            f"'{features[worst].name}' alone is missing in {counts[worst]}"
        )
    return rows.astype(np.int64)


def _stack(features: Sequence[_Feature], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    matrix = np.empty((len(rows), len(features)))
    for j, feature in enumerate(features):
        matrix[:, j] = feature.values[rows]
    return matrix


# Missing values and extremes


def _mostly_filled(
    features: Sequence[_Feature], matrix: NDArray[np.float64], missing: str | float
) -> list[str]:
    """Return a warning for each feature that is missing for most customers."""
    shares = np.isnan(matrix).mean(axis=0)
    method = missing if isinstance(missing, str) else f"{missing:g}"
    return [
        f"feature '{feature.name}' was missing for {100 * share:.0f}% of the customers and filled "
        f"in (features.missing={method})"
        for feature, share in zip(features, shares, strict=True)
        if share > _MOST_MISSING
    ]


def _bounds(
    matrix: NDArray[np.float64], clip: tuple[float, float] | None, indicators: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and the upper bound of each column."""
    low, high = np.full((2, matrix.shape[1]), [[-np.inf], [np.inf]])
    if clip is not None:
        for j in np.flatnonzero(~indicators):
            low[j], high[j] = np.nanquantile(matrix[:, j], clip)
    return low, high


def _impute(
    matrix: NDArray[np.float64], missing: str | float, names: Sequence[str]
) -> NDArray[np.float64]:
    holes = np.isnan(matrix)
    if not holes.any():
        return matrix
    # What overflows here is refused below, by name.
    with np.errstate(all="ignore"):
        filled = np.where(holes, _fill(matrix, missing), matrix)
    finite = np.isfinite(filled).all(axis=0)
    if not finite.all():
        column = int(np.argmin(finite))
        largest = np.nanmax(np.abs(matrix[:, column]))
        raise Infeasible(
            f"'{names[column]}' is {largest:g}: too large to be imputed "
            f"(features.missing={missing})"
        )
    return filled


def _fill(matrix: NDArray[np.float64], missing: str | float) -> NDArray[np.float64] | float:
    """Return what stands for missing values, of a shape that broadcasts to the matrix."""
    match missing:
        case "median":
            medians: NDArray[np.float64] = np.nanmedian(matrix, axis=0)
            return medians
        case "mean":
            means: NDArray[np.float64] = np.nanmean(matrix, axis=0)
            return means
        case "knn":
            return _nearest(matrix)
    return float(missing)


def _nearest(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of the nearest customers with a value, on standardised features."""
    from sklearn.impute import KNNImputer

    mean, spread = np.nanmean(matrix, axis=0), np.nanstd(matrix, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    standardised = (matrix - mean) / spread
    imputed: NDArray[np.float64] = KNNImputer(n_neighbors=NEIGHBOURS).fit_transform(standardised)
    nearest: NDArray[np.float64] = imputed * spread + mean
    return nearest


def _without_constant(
    matrix: NDArray[np.float64],
    features: Sequence[_Feature],
    rows: NDArray[np.int64],
    warnings: tuple[str, ...],
) -> Features:
    # A filled-in mean may differ from a constant by rounding.
    tolerance = 16 * np.finfo(np.float64).eps * np.abs(matrix).max(axis=0)
    varies = matrix.max(axis=0) > matrix.min(axis=0) + tolerance
    names = np.array([feature.name for feature in features], dtype=object)
    if not varies.any():
        raise Infeasible(
            f"features: none is left, since {listed('the same for all customers are', list(names))}"
        )
    dropped = tuple(
        f"feature '{name}' is the same for all customers and was dropped" for name in names[~varies]
    )
    return Features(
        np.ascontiguousarray(matrix[:, varies]), tuple(names[varies]), rows, (*warnings, *dropped)
    )
