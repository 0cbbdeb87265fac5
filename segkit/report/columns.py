"""The customers' columns one by one: what is typical, what is rare, how they are spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segkit.report.contrast import LOOKED_AT
from segkit.study.keep.customers import FEATURE, OWN

if TYPE_CHECKING:
    from segkit.report.files import Files

DRAWN = 24
MOSTLY = 0.5
TAIL = 0.05
REPEATED = 0.01
NUMBERS = ("mean", "sd", "low", "median", "high")
COMMONEST = ("commonest", "commonest_share")


@dataclass(frozen=True)
class Columns:
    """What the columns of a table hold.

    Attributes
    ----------
    customers : int
        How many the study kept, all or drawn.
    repeated : int
        How many of them have the same values as one before them, in every column.
    table : DataFrame
        By column: ``n`` (customers with a value), ``distinct`` values, ``zeros`` (share from 0 to 1 of the values),
        ``mean``, ``sd``, ``low``, ``median`` and ``high`` (the 5%, 50% and 95% quantiles) of a number, all missing for
        other columns; ``commonest`` (text) and ``commonest_share`` of these.
    drawn : DataFrame
        The numbers that vary, of at most 20,000 customers.
    """

    customers: int
    repeated: int
    table: pd.DataFrame
    drawn: pd.DataFrame


def columns(frame: pd.DataFrame) -> Columns:
    """Summarise each column of a table.

    Parameters
    ----------
    frame : DataFrame of shape (n, d)
        One row per customer, columns in their own units.
    """
    told = [_number(frame[name]) if _is_number(frame[name]) else _other(frame[name]) for name in frame]
    named = pd.DataFrame(told, index=frame.columns, columns=["n", "distinct", "zeros", *NUMBERS, *COMMONEST])
    some = np.random.default_rng(0).permutation(len(frame))[:LOOKED_AT]
    numbers = frame[[name for name in frame if _is_number(frame[name])]].astype("float64")
    varying = numbers.loc[:, numbers.max() > numbers.min()].iloc[np.sort(some)].reset_index(drop=True)
    return Columns(len(frame), int(frame.duplicated().sum()), named, varying)


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)


def _number(column: pd.Series) -> dict[str, object]:
    values = column.dropna().to_numpy(np.float64)
    told = {"n": len(values), "distinct": len(np.unique(values))}
    if len(values):
        low, median, high = np.quantile(values, [TAIL, 0.5, 1 - TAIL])
        told |= {"zeros": float((values == 0).mean()), "mean": values.mean(), "sd": values.std()}
        told |= {"low": low, "median": median, "high": high}
    return told


def _other(column: pd.Series) -> dict[str, object]:
    counts = column.dropna().astype(str).value_counts()
    told: dict[str, object] = {"n": int(counts.sum()), "distinct": len(counts)}
    if len(counts):
        told |= {"commonest": str(counts.index[0]), "commonest_share": counts.iloc[0] / counts.sum()}
    return told


def read_columns(files: Files) -> Columns | None:
    """Summarise the columns of the customers that the study kept; None where it kept none."""
    if not files.has("customers.parquet"):
        return None
    told = files.table("customers.parquet").drop(columns=list(OWN), errors="ignore")
    renamed = {f"{name}{FEATURE}": name for name in OWN}
    return columns(told.rename(columns=renamed)) if len(told) else None
