"""The customers: loading, validating, fingerprinting, simulating and fetching them.

`source(config)` turns a resolved `data` configuration into an object with `identity`, `info` and
`load`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from segkit.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from segkit.data.sources import Source
    from segkit.data.table import Table, TableInfo

__all__ = ["Table", "TableInfo", "source"]

_TARGETS = {
    f"segkit.data.sources.{name}": name
    for name in ("Simulated", "SimulatedProfile", "CreditCards", "TableFile")
}


def source(config: Mapping[str, Any]) -> Source:
    """Return the source of customers that a resolved `data` configuration names.

    Parameters
    ----------
    config : Mapping
        `_target_`, one of the four of `segkit.data.sources`, and its parameters.

    Raises
    ------
    UsageError
        For another target, an unknown parameter, or a value that is not allowed.
    """
    from dataclasses import fields

    from segkit.data import sources

    target = config.get("_target_")
    if not isinstance(target, str) or target not in _TARGETS:
        near = did_you_mean(str(target), _TARGETS)
        raise UsageError(
            f"data._target_: must be one of {', '.join(_TARGETS)}, got {target!r}{near}"
        )
    source_class = getattr(sources, _TARGETS[target])
    parameters = {name: value for name, value in config.items() if name != "_target_"}
    allowed = [field.name for field in fields(source_class)]
    for name in parameters:
        if name not in allowed:
            options = ", ".join(f"data.{parameter}" for parameter in allowed) or "none"
            raise UsageError(
                f"data.{name}: no such parameter of {_TARGETS[target]}; allowed: "
                f"{options}{did_you_mean(name, allowed)}"
            )
    customers: Source = source_class(**parameters)
    return customers


def __getattr__(name: str) -> object:
    # These two need NumPy, which a command that loads no table does without.
    if name in ("Table", "TableInfo"):
        from segkit.data import table

        return getattr(table, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
