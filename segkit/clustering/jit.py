"""Compilation of the kernels: one thread, strict floating point, kept on disk where a folder is writable."""

from __future__ import annotations

from collections.abc import Callable

import numba


def njit(kernel: Callable) -> Callable:
    """Compile a kernel at its first call; without a writable folder it is compiled anew in each process."""
    try:
        return numba.njit(cache=True, nogil=True)(kernel)
    except RuntimeError:  # numba's "cannot cache function"
        return numba.njit(nogil=True)(kernel)
