"""What a study, or whoever builds its report, asks of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from segkit.errors import UsageError

FORMATS = ("png", "pdf")
MEGABYTE = 1_000_000
MOST_MEGABYTES = 1_000_000


@dataclass(frozen=True)
class Options:
    """The settings under ``report``.

    Attributes
    ----------
    formats : list of str
        File formats of ``figures/``.
    customers : bool
        Whether the page holds the customers' ids and values.
    max_mb : float
        How large the page may be, in millions of bytes; reached by leaving out segments, then figures, never runs.
    shortlist : int
        Of how many runs the page holds each customer's segment.
    """

    formats: tuple[str, ...] = ("png",)
    customers: bool = True
    max_mb: float = 5.0
    shortlist: int = 60

    @property
    def most_bytes(self) -> int:
        """The size that the page may have, in bytes."""
        return int(self.max_mb * MEGABYTE)


def options(asked: Mapping[str, Any], where: str = "", given: Mapping[str, Any] | None = None) -> Options:
    """Check what was asked of a report.

    Parameters
    ----------
    asked : mapping
        A study's settings under ``report``; those of an older study may lack some. No customers are shown where it is
        not in them that they may be.
    where : str
        What to call their source in messages.
    given : mapping, optional
        Takes precedence; None in it stands for what was asked.

    Raises
    ------
    UsageError
        For a value that is not allowed.
    """
    known = {item.name: item.default for item in fields(Options)}
    # A page that goes out with customers cannot be called back: without a word for it they are not shown.
    merged = known | {name: asked[name] for name in known if name in asked}
    merged["customers"] = False if lost(asked) else asked["customers"]
    told = {name: f"{where}report.{name}" for name in known}
    for name, value in (given or {}).items():
        if value is not None:
            merged[name], told[name] = value, f"--{name.replace('_', '-')}"
    formats = merged["formats"]
    listed = isinstance(formats, list | tuple) and formats and set(map(str, formats)) <= set(FORMATS)
    _require(bool(listed), told["formats"], formats, f"a list of {' and '.join(FORMATS)}")
    _require(isinstance(merged["customers"], bool), told["customers"], merged["customers"], "true or false")
    allowed = f"a number of megabytes above 0, at most {MOST_MEGABYTES:,}"
    _require(is_size(merged["max_mb"]), told["max_mb"], merged["max_mb"], allowed)
    _require(is_count(merged["shortlist"]), told["shortlist"], merged["shortlist"], "a whole number from 1")
    return Options(**{**merged, "formats": tuple(dict.fromkeys(formats)), "max_mb": float(merged["max_mb"])})


def lost(asked: Mapping[str, Any]) -> bool:
    """Tell whether it is not known that customers may be shown: the study's file was cut off, or is an older one."""
    return asked.get("customers") is None


def is_size(value: object) -> bool:
    """Tell whether a value is a number of megabytes above 0 that can be told in bytes."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MOST_MEGABYTES


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number from 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _require(fits: bool, name: str, value: object, allowed: str) -> None:
    if not fits:
        raise UsageError(f"{name}={value}: must be {allowed}")
