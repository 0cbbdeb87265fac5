"""Which characters a figure may have to write, found without drawing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd

# Below are Latin letters, which every font has.
FIRST = 0x250


def uncommon(value: Any) -> frozenset[str]:
    """Return the characters beyond Latin letters in all texts that a figure's arguments hold, however deep."""
    found: set[str] = set()
    for text in _texts(value):
        if not text.isascii():
            found.update(text)
    return frozenset(letter for letter in found if ord(letter) >= FIRST)


def _texts(value: Any) -> set[str]:
    """Return the different texts in a value."""
    if isinstance(value, str):
        return {value}
    if isinstance(value, pd.DataFrame):
        columns = [column for _, column in value.items() if not pd.api.types.is_numeric_dtype(column.dtype)]
        return set().union(_texts(value.index), _texts(value.columns), *map(_texts, columns))
    if isinstance(value, pd.Series | pd.Index | np.ndarray):
        if value.dtype.kind in "biufcmM":
            return set()
        return {item for item in pd.unique(np.asarray(value, dtype=object).ravel()) if isinstance(item, str)}
    if is_dataclass(value):
        return set().union(*(_texts(getattr(value, field.name)) for field in fields(value)))
    if isinstance(value, Mapping):
        return _texts(list(value)) | _texts(list(value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_texts, value))
    return set()
