"""Read and check how a feature set is declared, before anything is loaded.

A feature set is declared by four keys:

``columns``
    ``all``, or the names of the columns that are taken as they are. A boolean column becomes 0 and
    1. A categorical one becomes one column of 0 and 1 per category, named ``COLUMN=category`` and
    sorted by category. A customer without a category is 0 in all of them, which does not count as
    missing.
``expressions``
    Derived features, each with a name and an expression (see `segkit.expressions`).
``missing``
    ``median`` (the default) or ``mean`` of the feature; ``knn``, the mean of the 5 nearest
    customers with a value, on standardised features; a number; or ``drop``, which leaves out the
    customers with a missing value.
``clip``
    None, or two quantiles, to which the values beyond them are moved. They are quantiles of the
    values that are not missing. Boolean and categorical features, which are 0 or 1, are left alone:
    a category of a few customers would vanish.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from segkit.errors import UsageError, did_you_mean
from segkit.expressions import Expression, parse, quoted

METHODS = ("median", "mean", "knn", "drop")
_KEYS = ("columns", "expressions", "missing", "clip")


@dataclass(frozen=True)
class FeatureSet:
    """A checked declaration.

    Attributes
    ----------
    columns : tuple of str, or None
        The columns taken as they are; None for all of the table.
    expressions : mapping of str to Expression
        The derived features.
    missing : str or float
        One of `METHODS`, or a number.
    clip : tuple of two floats, or None
        The quantiles to clip to.
    """

    columns: tuple[str, ...] | None
    expressions: Mapping[str, Expression]
    missing: str | float
    clip: tuple[float, float] | None


def read(config: Mapping[str, Any]) -> FeatureSet:
    """Read the resolved ``features`` group.

    Raises
    ------
    UsageError
        If it has an unknown key, a wrong value or an expression that cannot be parsed.
    """
    for key in config:
        if key not in _KEYS:
            raise UsageError(
                f"features: there is no key '{key}'{did_you_mean(key, _KEYS)} (keys: "
                f"{', '.join(_KEYS)})"
            )
    columns = _read_columns(config.get("columns"))
    expressions = _read_expressions(config.get("expressions"))
    if columns == () and not expressions:
        raise UsageError(
            "features: names neither columns nor expressions; columns is 'all' or a list of names"
        )
    return FeatureSet(
        columns,
        expressions,
        _read_missing(config.get("missing", "median")),
        _read_clip(config.get("clip")),
    )


def _read_columns(given: object) -> tuple[str, ...] | None:
    if given is None:
        return ()
    if given == "all":
        return None
    if not isinstance(given, list | tuple):
        raise UsageError(
            f"features.columns: 'all' or a list of column names is allowed, given {quoted(given)}"
        )
    for name in given:
        if not isinstance(name, str):
            raise UsageError(
                f"features.columns: column names are text, given {quoted(name)}; put it in quotes"
            )
    return tuple(given)


def _read_expressions(given: object) -> dict[str, Expression]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageError(
            "features.expressions: names with one expression each are allowed, given "
            f"{quoted(given)}"
        )
    for name, text in given.items():
        if not isinstance(name, str) or not name.strip():
            raise UsageError(
                f"features.expressions: the name of a feature is text, given {quoted(name)}"
            )
        if not isinstance(text, str):
            raise UsageError(
                f"features.expressions.{name}: an expression is text, given {quoted(text)}"
            )
    return {name: parse(text, f"features.expressions.{name}") for name, text in given.items()}


def _read_missing(given: object) -> str | float:
    if isinstance(given, str) and given in METHODS:
        return given
    if _is_number(given):
        return float(given)
    hint = did_you_mean(given, METHODS) if isinstance(given, str) else ""
    raise UsageError(
        f"features.missing: {', '.join(METHODS)} or a number is allowed, given "
        f"{quoted(given)}{hint}"
    )


def _read_clip(given: object) -> tuple[float, float] | None:
    if given is None:
        return None
    if isinstance(given, list | tuple) and len(given) == 2 and all(map(_is_number, given)):
        low, high = given
        if 0 <= low < high <= 1:
            return float(low), float(high)
    raise UsageError(
        "features.clip: null or two quantiles in ascending order between 0 and 1 are allowed, "
        f"given {quoted(given)}"
    )


def _is_number(value: object) -> TypeGuard[int | float]:
    # Python counts True and False as whole numbers.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def check_columns(feature_set: FeatureSet, available: tuple[str, ...]) -> None:
    """Raise a UsageError if a feature set names an unknown column, or two features alike."""
    for name in feature_set.columns or ():
        _check_column("features.columns", name, available)
    for name, expression in feature_set.expressions.items():
        for column in expression.columns:
            _check_column(f"features.expressions.{name}", column, available)
    columns = available if feature_set.columns is None else feature_set.columns
    check_unique([*columns, *feature_set.expressions])


def _check_column(where: str, name: str, available: tuple[str, ...]) -> None:
    if name not in available:
        hint = did_you_mean(name, available)
        raise UsageError(
            f"{where}: the table has no column '{name}'{hint} ({listed('its columns', available)})"
        )


def check_unique(names: Sequence[str]) -> None:
    """Raise a UsageError if two features have the same name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UsageError(
                f"features: two features are named '{name}'; each name is allowed once"
            )
        seen.add(name)


def listed(what: str, names: Sequence[str], most: int = 12) -> str:
    """Return the first names for a message, and how many more there are."""
    text = f"{what}: {', '.join(map(str, names[:most]))}"
    return text if len(names) <= most else f"{text}, and {len(names) - most} more"
