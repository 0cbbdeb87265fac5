"""What values of a document must be: rules that are checked where a study's folder is read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from segkit.errors import UsageError

# A value is quoted up to here in a message.
_LONGEST_QUOTE = 60
_RUN = re.compile("[0-9A-Za-z]{1,64}")


@dataclass(frozen=True)
class Kind:
    """What a value of a document must be: in words for a message, and as a test."""

    allowed: str
    fits: Callable[[Any], bool]


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    # A study writes NaN for what it does not know.
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isinf(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _listed(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a test for lists whose values fit."""
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _named(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a test for mappings whose values fit or are missing."""

    def all_fit(value: Any) -> bool:
        return isinstance(value, dict) and all(
            inner is None or fits(inner) for inner in value.values()
        )

    return all_fit


def is_run(value: object) -> bool:
    """Tell whether a value can be a run's id: letters and digits, since commands contain it."""
    return isinstance(value, str) and bool(_RUN.fullmatch(value))


TEXT = Kind("a text", _is_text)
RUN = Kind("a run's id, letters and digits", is_run)
NUMBER = Kind("a number", _is_number)
COUNT = Kind("a whole number from 0", is_count)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
LIST = Kind("a list", lambda value: isinstance(value, list))
TEXTS = Kind("a list of texts", _listed(_is_text))
COMMAND = Kind(
    "a text or a list of texts", lambda value: _is_text(value) or _listed(_is_text)(value)
)
MAPPING = Kind("names and values", lambda value: isinstance(value, dict))
MAPPINGS = Kind("a list of entries with names and values", _listed(MAPPING.fits))
NUMBERS = Kind("names and numbers", _named(_is_number))
COUNTS = Kind("names and whole numbers from 0", _named(is_count))
TEXTS_BY_NAME = Kind("names and texts", _named(_is_text))
NUMBERS_BY_NAMES = Kind("names, each with names and numbers", _named(NUMBERS.fits))
MAPPINGS_BY_NAME = Kind("names, each with names and values", _named(MAPPING.fits))


def require(
    document: Mapping[str, Any], rules: Mapping[str, Kind], where: str, rest: str = ""
) -> None:
    """Check the values of a document, those that it has.

    Parameters
    ----------
    document : mapping
    rules : mapping
        What each value must be, by name. ``scoring.draws`` is a value inside ``scoring``, whose
        own rule comes first.
    where, rest : str
        The beginning and the end of a message.

    Raises
    ------
    UsageError
        For the first value that is something else.
    """
    for name, kind in rules.items():
        value = value_at(document, name)
        if value is not None and not kind.fits(value):
            raise UsageError(f"{where}{name}={quote(value)}: must be {kind.allowed}{rest}")


def value_at(document: Mapping[str, Any], name: str) -> Any:
    """Return a value by its name, dots between the levels; None if it or a level is missing."""
    value: Any = document
    for part in name.split("."):
        value = None if value is None else value.get(part)
    return value


def quote(value: object) -> str:
    """Return a value as JSON, shortened for a message."""
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."
