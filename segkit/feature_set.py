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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat

from segkit.errors import UsageError, did_you_mean
from segkit.expressions import Expression, parse, quoted
from segkit.schema import Settings, as_tuple, check, must

Method: TypeAlias = Literal["median", "mean", "knn", "drop"]
METHODS: tuple[str, ...] = get_args(Method)

_Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
_Quantiles: TypeAlias = Annotated[tuple[float, float], BeforeValidator(as_tuple)]


def _ascending(quantiles: tuple[float, float]) -> bool:
    low, high = quantiles
    return 0 <= low < high <= 1


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


class Declaration(Settings):
    """The four keys, with what each may be; a field's description completes a message."""

    columns: Literal["all"] | _Names | None = Field(
        default=None, description="'all' or a list of column names (a number in quotes)"
    )
    expressions: dict[Any, Any] | None = Field(
        default=None, description="names with one expression each, such as {ratio: A / B}"
    )
    missing: Method | FiniteFloat = Field(
        default="median", description=f"{', '.join(METHODS)} or a number"
    )
    clip: Annotated[_Quantiles, AfterValidator(must(_ascending))] | None = Field(
        default=None, description="null or two quantiles in ascending order between 0 and 1"
    )


def read(config: Mapping[str, Any]) -> FeatureSet:
    """Read the resolved ``features`` group.

    Raises
    ------
    UsageError
        If it has an unknown key, a wrong value or an expression that cannot be parsed.
    """
    declaration = check(Declaration, dict(config), "features")
    columns = None if declaration.columns == "all" else declaration.columns or ()
    expressions = _parsed(declaration.expressions or {})
    if columns == () and not expressions:
        raise UsageError(
            "features: names neither columns nor expressions; columns is 'all' or a list of names"
        )
    missing = declaration.missing
    return FeatureSet(columns, expressions, missing, declaration.clip)


def _parsed(expressions: Mapping[Any, Any]) -> dict[str, Expression]:
    for name, text in expressions.items():
        if not isinstance(name, str) or not name.strip():
            raise UsageError(
                f"features.expressions: the name of a feature is text, given {quoted(name)}"
            )
        if not isinstance(text, str):
            raise UsageError(
                f"features.expressions.{name}: an expression is text, given {quoted(text)}"
            )
    return {name: parse(text, f"features.expressions.{name}") for name, text in expressions.items()}


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
