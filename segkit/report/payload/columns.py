"""The leaderboard as the page holds it: all runs, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segkit.report import gather
from segkit.report.leaderboard import Shown, known, marks, shown_columns, texts
from segkit.report.payload.codec import dictionary, significant

if TYPE_CHECKING:
    from segkit.report.gather import Summary

DIGITS = 6
# The share of the runs that a bar has room for, of scores that have no upper end.
BEYOND = 0.95
FLAGS = ("eligible", "pareto", "confirmed")
# What goes with a column: its spread, and the ends of its interval.
ENDINGS = ("_sd", "_q05", "_q95", "_low", "_high")


def meta_columns(summary: Summary) -> list[dict[str, Any]]:
    """Describe the columns that this study has values for."""
    return [_described(shown, summary.runs) for shown in shown_columns(summary)]


def _described(shown: Shown, runs: pd.DataFrame) -> dict[str, Any]:
    told = {"name": shown.name, "title": shown.title, "hint": shown.hint, "kind": shown.kind, "first": shown.first}
    told |= {"digits": shown.digits, "bar": _bar(shown, runs), "paper": shown.paper}
    told |= {"parts": shown.parts, "joint": shown.joint} if shown.parts else {}
    return told | ({"unit": "%"} if shown.percent else {})


def _bar(shown: Shown, runs: pd.DataFrame) -> list[float] | None:
    """Return where a bar starts and ends: where less is better, few values are far beyond the others."""
    if not shown.bar or shown.ends:
        return shown.ends and list(shown.ends)
    values = pd.to_numeric(runs[shown.name], errors="coerce").astype(float)
    top = float(values.quantile(BEYOND) if shown.first == "asc" else values.max())
    return [0, significant(np.array([top]), 4)[0]] if top > 0 else None


def run_columns(summary: Summary) -> dict[str, list[Any] | dict[str, list[Any]]]:
    """Return all runs in leaderboard order, column by column.

    Returns
    -------
    dict
        ``run``; the columns of :func:`meta_columns`, with ``<name>_sd`` and the other ``ENDINGS`` that the study has,
        and in ``<name>_mark`` what stands behind the numbers; ``status``; the flags ``eligible``, ``pareto`` and
        ``confirmed``; and each choice and parameter in which runs differ, or that only some have, as ``p:<name>``: its
        distinct ``values``, and in ``codes`` the place of each run's among them.
    """
    runs = summary.runs
    found: dict[str, Any] = {"run": runs["run"].tolist()}
    for shown in shown_columns(summary):
        found[shown.name] = _numbers(runs[shown.name]) if shown.numeric else texts(shown, summary)
        beside = [name for name in (f"{shown.name}{ending}" for ending in ENDINGS) if known(runs, name)]
        found |= {name: _numbers(runs[name]) for name in (*shown.parts, *beside)}
        if (behind := marks(shown, summary)) is not None:
            found[f"{shown.name}_mark"] = behind
    found["status"] = runs["status"].tolist()
    found |= {name: runs[name].astype(bool).tolist() for name in FLAGS}
    return found | {f"p:{name}": dictionary(values) for name, values in _parameters(runs)}


def _numbers(values: pd.Series) -> list[float | int | None]:
    return significant(pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan), DIGITS)


def _parameters(runs: pd.DataFrame) -> Iterator[tuple[str, list[Any]]]:
    for group in gather.GROUPS:
        named = [name for name in runs if str(name).startswith(f"{group}.") and name not in gather.NOT_PARAMETERS]
        for name in (group, *named):
            values = [_plain(value) for value in runs[name].tolist()]
            if _differ(values):
                yield name, values


def _differ(values: list[Any]) -> bool:
    """Tell whether a parameter has several values, or is given in some runs and not in others."""
    given = {(type(value).__name__, value) for value in values if value is not None}
    return len(given) > 1 or (len(given) == 1 and None in values)


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | float | str) else str(value)
