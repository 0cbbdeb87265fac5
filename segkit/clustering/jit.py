"""Compilation of the kernels: one thread, strict floating point, cached on disk where possible.

numba notices a change of a kernel's own file only. So a kernel calls no compiled function of
another file: its cached machine code would outlive a change there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def njit(kernel: Callable[P, R]) -> Callable[P, R]:
    """Compile a kernel at its first call.

    The machine code is kept beside the source or in numba's own folder. Where neither can be
    written, each process compiles anew.
    """
    compiled: Callable[P, R]
    try:
        compiled = numba.njit(cache=True, nogil=True)(kernel)
    except RuntimeError:  # numba's "cannot cache function"
        compiled = numba.njit(nogil=True)(kernel)
    return compiled
