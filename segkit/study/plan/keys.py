"""Identities: a hash of what decides a result names it, the same on every machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from segkit.hashing import sha256_hex

RUN_ID_DIGITS = 12
KEY_DIGITS = 24

# An option that is added with a neutral value must not rename older runs.
_NEUTRAL_FEATURES: Mapping[str, Any] = {"missing": "median", "clip": None, "expressions": None}


def canonical(value: Any) -> str:
    """Return the JSON text of a plain value: sorted keys, equal numbers alike (2.0 is 2)."""
    return str(value) if type(value) is int else _encoded(_plain(value))


_encoded = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode
# Asked first: nearly all values are of these types; abstract types are slow to ask for.
_SCALARS = frozenset({str, int, bool, type(None)})


def _plain(value: Any) -> Any:
    if type(value) in _SCALARS:
        return value
    if isinstance(value, dict | Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def digest(*parts: Any, digits: int = 64) -> str:
    """Return the first hex digits of the sha256 of the parts' canonical text."""
    text = "\n".join([part if isinstance(part, str) else canonical(part) for part in parts])
    return sha256_hex(text)[:digits]


def run_id(
    data_identity: str,
    features: Mapping[str, Any],
    scaler: str,
    projection: str,
    clusterer: str,
    seed: int,
    drawn: Mapping[str, int | str] | None = None,
) -> str:
    """Return a run's id: 12 hex digits of the hash of what decides its labels.

    Parameters
    ----------
    data_identity
        The root key of the data: of the file's content or of the recipe, never of a path.
    features
        The resolved feature set; options at their neutral value are left out.
    scaler, projection, clusterer
        The canonical text of each resolved option.
    seed
        The study's seed.
    drawn
        Of a large table: how many drawn customers the projection or the clusterer is fitted on, and
        whether neighbours are searched approximately.
    """
    deciding = {
        name: value for name, value in features.items() if value != _NEUTRAL_FEATURES.get(name, ...)
    }
    if not deciding.get("expressions"):
        deciding.pop("expressions", None)
    parts = [data_identity, deciding, scaler, projection, clusterer, seed]
    if drawn:
        parts.append(drawn)
    return digest("run", *parts, digits=RUN_ID_DIGITS)


def stage_key(kind: str, *parts: Any) -> str:
    """Return ``<kind>-<hash>``, the name of a stage's result in the store."""
    return f"{kind}-{digest(kind, *parts, digits=KEY_DIGITS)}"


def kind_of(key: str) -> str:
    """Return the kind of stage that a key begins with."""
    return key.partition("-")[0]
