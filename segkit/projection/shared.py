"""What projections of one matrix have in common, made once in a process: UMAP's graph and start, t-SNE's affinities.

A result is found by everything that it is made of, arrays by their content, and a random generator
is left as making it would have left it. So a projection is the same whether a part of it was found
or made.
"""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np

HELD_BYTES = 64 * 1024**2
T = TypeVar("T")


class Memo:
    """The latest results of costly pure functions, up to a number of bytes."""

    def __init__(self, limit: int = HELD_BYTES):
        self.limit = limit
        self._held: OrderedDict[bytes, Any] = OrderedDict()
        self._sizes: dict[bytes, int] = {}

    def remembering(self, function: Callable[..., T]) -> Callable[..., T]:
        """Return a function that gives what ``function`` gives, and calls it only for what is not held.

        Parameters
        ----------
        function
            Pure but for ``numpy.random.RandomState`` arguments, which it may draw from. Its
            arguments may be numbers, text, None, arrays, sparse matrices, random states, and
            mappings and sequences of these; what it is given of any other kind makes the call a
            plain one.
        """

        @wraps(function)
        def remembered(*given: Any, **named: Any) -> T:
            names = sorted(named)
            arguments = [*given, *(named[name] for name in names)]
            try:
                key = _digest([function.__module__, function.__qualname__, names, *arguments])
            except (_Unknown, TypeError):
                return function(*given, **named)
            states = [item for item in arguments if isinstance(item, np.random.RandomState)]
            if key not in self._held:
                result = function(*given, **named)
                self._hold(key, (copy.deepcopy(result), [state.get_state() for state in states]))
                return result
            self._held.move_to_end(key)
            result, after = self._held[key]
            for state, reached in zip(states, after, strict=True):
                state.set_state(reached)
            return copy.deepcopy(result)

        return remembered

    def _hold(self, key: bytes, value: Any) -> None:
        size = _bytes(value)
        if size > self.limit:
            return
        self._held[key], self._sizes[key] = value, size
        while sum(self._sizes.values()) > self.limit:
            oldest, _ = self._held.popitem(last=False)
            del self._sizes[oldest]


class _Unknown(Exception):
    """An argument of a kind whose content cannot be told."""


def _digest(arguments: Any) -> bytes:
    digest = blake2b(digest_size=16)
    _feed(digest, arguments)
    return digest.digest()


def _feed(digest: Any, item: Any) -> None:
    if item is None or isinstance(item, str | bool | int | float | np.number | np.bool_):
        digest.update(f"{type(item).__name__}:{item!r};".encode())
    elif type(item) is np.ndarray and item.dtype.kind in "biuf":
        digest.update(f"array:{item.dtype.str}{item.shape}{item.flags.c_contiguous};".encode())
        digest.update(np.ascontiguousarray(item))
    elif isinstance(item, np.random.RandomState):
        _feed(digest, list(item.get_state()))
    elif hasattr(item, "tocoo"):
        entries = item.tocoo(copy=False)
        digest.update(f"sparse:{item.format}{item.shape};".encode())
        _feed(digest, [entries.row, entries.col, entries.data])
    elif inspect.isroutine(plain := getattr(item, "py_func", item)) and not getattr(
        plain, "__closure__", None
    ):
        digest.update(f"function:{item.__module__}.{item.__qualname__};".encode())
    elif isinstance(item, Mapping):
        _feed(digest, sorted(item.items()))
    elif isinstance(item, Sequence):
        digest.update(f"{len(item)} of:".encode())
        for part in item:
            _feed(digest, part)
    else:
        raise _Unknown


def _bytes(item: Any) -> int:
    if isinstance(item, np.ndarray):
        return item.nbytes
    if hasattr(item, "tocoo"):
        return max(sum(map(_bytes, vars(item).values())), 12 * item.nnz)
    if isinstance(item, list | tuple):
        return sum(map(_bytes, item))
    if hasattr(item, "__dict__"):
        return sum(map(_bytes, vars(item).values()))
    return 64
