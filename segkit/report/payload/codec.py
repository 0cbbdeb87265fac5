"""Arrays as the page holds them: small whole numbers, in an order that compresses well, gzip and base64."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np

LEFT_OUT = -2
NOISE = -1
# Clusters that one byte can number: its two highest values stand for noise and for customers left out.
ONE_BYTE = 254
KNOTS = 255
MISSING = 255
GRID = 65_534
NOWHERE = 65_535
_BITS = 16


def packed(data: bytes) -> bytes:
    """Compress; the same bytes always give the same."""
    return gzip.compress(data, 7, mtime=0)


def block(data: bytes) -> str:
    """Compress and write as text."""
    return b64encode(packed(data)).decode("ascii")


def text_size(data: bytes) -> int:
    """Return how many characters a block of the data has."""
    return -(-len(packed(data)) // 3) * 4


def as_json(value: Any) -> bytes:
    """Write JSON without spaces; numbers that are none as null must have been replaced."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def significant(values: np.ndarray, digits: int) -> list[float | int | None]:
    """Round to significant digits; whole numbers as such, None where there is no number."""
    found = []
    for value in np.asarray(values, dtype=np.float64).tolist():
        if value != value or value in (float("inf"), float("-inf")):
            found.append(None)
            continue
        rounded = float(f"{value:.{digits}g}")
        found.append(int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded)
    return found


def hilbert(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how far along a Hilbert curve points lie: neighbours on it are neighbours in the plane.

    Parameters
    ----------
    x, y : ndarray of shape (m,)
        Whole numbers from 0 to 65,535.

    Returns
    -------
    ndarray of shape (m,), int64

    References
    ----------
    Hilbert, D. (1891). Über die stetige Abbildung einer Linie auf ein Flächenstück. Mathematische Annalen 38, 459-460.
    """
    x, y = x.astype(np.int64), y.astype(np.int64)
    along = np.zeros(len(x), dtype=np.int64)
    for bit in reversed(range(_BITS)):
        side = 1 << bit
        right, up = (x & side) > 0, (y & side) > 0
        along += side * side * ((3 * right) ^ up)
        turned = ~up & right
        x, y = np.where(turned, 2**_BITS - 1 - x, x), np.where(turned, 2**_BITS - 1 - y, y)
        x, y = np.where(up, x, y), np.where(up, y, x)
    return along


def plane_codes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale a plane to whole numbers from 0 to 65,534, the same scale on both axes, the shorter one in the middle.

    Parameters
    ----------
    points : ndarray of shape (m, 2)
        Coordinates, missing where either is.

    Returns
    -------
    x, y : ndarray of shape (m,), uint16
        65,535 where missing.
    """
    here = np.isfinite(points).all(axis=1)
    codes = np.full(points.shape, NOWHERE, dtype="<u2")
    if here.any():
        low, high = points[here].min(axis=0), points[here].max(axis=0)
        # Halves first: the range of coordinates near the largest number would overflow.
        half = (high / 2 - low / 2).max()
        scale = GRID / 2 / half if half > 0 else 0.0
        middle = low / 2 + high / 2
        codes[here] = np.clip(np.rint((points[here] - middle) * scale + GRID / 2), 0, GRID).astype("<u2")
    return codes[:, 0], codes[:, 1]


def label_codes(labels: np.ndarray) -> np.ndarray:
    """Write labels (-1 noise, -2 left out) as bytes, or as two bytes each where a byte cannot number the clusters."""
    top, kind = (255, "u1") if labels.max(initial=-1) < ONE_BYTE else (65_535, "<u2")
    if labels.max(initial=-1) >= top - 1:
        raise ValueError(f"at most {top - 1} clusters can be numbered, not {labels.max() + 1}")
    return np.where(labels == NOISE, top, np.where(labels == LEFT_OUT, top - 1, labels)).astype(kind)


def quantile_codes(values: np.ndarray) -> tuple[np.ndarray, list[float | int] | None]:
    """Write a feature's values as 255 steps of about as many customers each; every step is one of the values.

    A value that many customers share has a step of its own, and so has every value of a feature with at most 255 of
    them: these are exact.

    Parameters
    ----------
    values : ndarray of shape (m,)
        Float, nan where missing.

    Returns
    -------
    codes : ndarray of shape (m,), uint8
        255 where missing.
    knots : list of 255 numbers, or None
        The value of each code, ascending, the last one repeated; None if all are missing.
    """
    here = np.isfinite(values)
    codes = np.full(len(values), MISSING, dtype=np.uint8)
    if not here.any():
        return codes, None
    distinct, counts = np.unique(values[here], return_counts=True)
    steps = _steps(distinct, counts)
    codes[here] = _nearest(steps, values[here])
    knots = significant(steps, 17)
    return codes, knots + [knots[-1]] * (KNOTS - len(knots))


def _steps(distinct: np.ndarray, counts: np.ndarray) -> np.ndarray:
    if len(distinct) <= KNOTS:
        return distinct
    # At most 249 can be so common, which with both ends leaves steps for the rest.
    own = counts * 250 > counts.sum()
    own[[0, -1]] = True
    rest = np.cumsum(np.where(own, 0, counts))
    room = KNOTS - int(own.sum())
    targets = (np.arange(room) + 0.5) / room * rest[-1]
    others = np.minimum(np.searchsorted(rest, targets, side="right"), len(distinct) - 1)
    return distinct[np.union1d(np.flatnonzero(own), others)]


def _nearest(steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    above = np.clip(np.searchsorted(steps, values), 1, max(len(steps) - 1, 1))
    if len(steps) == 1:
        return np.zeros(len(values), dtype=np.uint8)
    nearer = values - steps[above - 1] <= steps[above] - values
    return (above - nearer).astype(np.uint8)


def dictionary(values: list[Any]) -> dict[str, list[Any]]:
    """Write a column as its distinct values, in the order of appearance, and the place of each row's among them."""
    places: Mapping[Any, int] = {}
    codes = [places.setdefault((type(value).__name__, value), len(places)) for value in values]
    return {"values": [value for _, value in places], "codes": codes}
