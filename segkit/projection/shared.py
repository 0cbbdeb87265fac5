"""Share costly parts of projections: UMAP's graph and start, t-SNE's affinities.

A part is remembered under everything that it is computed from, arrays by their content. A random
generator is left as the computation would have left it. So a projection is the same whether it
computes a part or takes it from an earlier one.
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

# In each process, beside what its projections need.
HELD_BYTES = 64 * 1024**2
T = TypeVar("T")


class Memo:
    """The latest results of costly pure functions, up to a number of bytes.

    Parameters
    ----------
    limit : int
        How many bytes of results to hold.
    """

    def __init__(self, limit: int = HELD_BYTES) -> None:
        self.limit = limit
        self._held: OrderedDict[bytes, Any] = OrderedDict()
        self._sizes: dict[bytes, int] = {}

    def remembering(self, function: Callable[..., T]) -> Callable[..., T]:
        """Return a function that calls ``function`` only if its result is not held.

        Parameters
        ----------
        function
            Pure but for ``numpy.random.RandomState`` arguments, which it may draw from. Its
            arguments may be numbers, text, None, arrays, sparse matrices, random states, and
            mappings and sequences of these. A call with any other argument is a plain call.
        """

        @wraps(function)
        def remembered(*positional: Any, **named: Any) -> T:
            names = sorted(named)
            arguments = [*positional, *(named[name] for name in names)]
            try:
                key = _digest([function.__module__, function.__qualname__, names, *arguments])
            except (_Unknown, TypeError):
                return function(*positional, **named)
            generators = [
                argument for argument in arguments if isinstance(argument, np.random.RandomState)
            ]
            result: T
            if key not in self._held:
                result = function(*positional, **named)
                states = [generator.get_state() for generator in generators]
                self._hold(key, (copy.deepcopy(result), states))
                return result
            self._held.move_to_end(key)
            result, states = self._held[key]
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)
            # The caller may change what it gets.
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
    """An argument of a kind whose content cannot be read."""


def _digest(arguments: list[Any]) -> bytes:
    digest = blake2b(digest_size=16)
    _feed(digest, arguments)
    return digest.digest()


def _feed(digest: blake2b, value: Any) -> None:
    """Add the kind and the content of a value to a digest."""
    if value is None or isinstance(value, str | bool | int | float | np.number | np.bool_):
        digest.update(f"{type(value).__name__}:{value!r};".encode())
    elif type(value) is np.ndarray and value.dtype.kind in "biuf":
        digest.update(f"array:{value.dtype.str}{value.shape}{value.flags.c_contiguous};".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif isinstance(value, np.random.RandomState):
        _feed(digest, list(value.get_state()))
    elif hasattr(value, "tocoo"):
        entries = value.tocoo(copy=False)
        digest.update(f"sparse:{value.format}{value.shape};".encode())
        _feed(digest, [entries.row, entries.col, entries.data])
    elif _is_plain_function(value):
        digest.update(f"function:{value.__module__}.{value.__qualname__};".encode())
    elif isinstance(value, Mapping):
        _feed(digest, sorted(value.items()))
    elif isinstance(value, Sequence):
        digest.update(f"{len(value)} of:".encode())
        for part in value:
            _feed(digest, part)
    else:
        raise _Unknown


def _is_plain_function(value: Any) -> bool:
    """Return whether a value is a function that its name alone identifies, compiled or not."""
    plain = getattr(value, "py_func", value)
    # A closure holds values of which the name says nothing.
    return inspect.isroutine(plain) and not getattr(plain, "__closure__", None)


def _bytes(value: Any) -> int:
    """Return about how much memory a value takes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if hasattr(value, "tocoo"):
        # Some formats hold their entries in lists or dictionaries.
        return max(sum(map(_bytes, vars(value).values())), 12 * int(value.nnz))
    if isinstance(value, list | tuple):
        return sum(map(_bytes, value))
    if hasattr(value, "__dict__"):
        return sum(map(_bytes, vars(value).values()))
    return 64
