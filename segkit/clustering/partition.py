"""A partition of the customers, and the canonical numbering of its clusters."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from segkit.clustering.arrays import Labels

# A resolved clusterer: ``_target_`` and the parameters of its class.
Config: TypeAlias = Mapping[str, Any]

NOISE = -1
# Set for local workers: the bytes that each has.
MEMORY_VARIABLE = "SEGKIT_WORKER_MEMORY"
# Bytes that fitting takes whatever the number of customers, in each family's memory bound.
BASE_BYTES = 1 << 20

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Partition:
    """One label per customer, and what the clusterer says about its fit.

    Attributes
    ----------
    labels : ndarray of shape (n,), int32
        Clusters are 0..k-1 by decreasing size, equal sizes by their first member; -1 is noise.
    figures : dict of str to float
        What belongs to the fit itself, such as the ``inertia`` of K-Means.
    """

    labels: NDArray[np.int32]
    figures: dict[str, float] = field(default_factory=dict)


def room() -> int | None:
    """Return the bytes of memory that this worker has, or None where no limit is known."""
    limit = os.environ.get(MEMORY_VARIABLE, "")
    return int(limit) if limit.isdigit() else None


def canonical(labels: Labels) -> NDArray[np.int32]:
    """Renumber clusters by decreasing size, equal sizes by the row of their first member.

    Parameters
    ----------
    labels : array_like of shape (n,), int
        Any numbering; -1 is noise.

    Returns
    -------
    ndarray of shape (n,), int32
        Clusters 0..k-1 without gaps; noise stays -1. Two labellings of the same partition become
        equal.
    """
    import numpy as np

    labels = np.asarray(labels)
    renumbered = np.full(len(labels), NOISE, dtype=np.int32)
    clustered = np.flatnonzero(labels != NOISE)
    _, first, code, size = np.unique(
        labels[clustered], return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(size), dtype=np.int32)
    rank[np.lexsort((first, -size))] = np.arange(len(size), dtype=np.int32)
    renumbered[clustered] = rank[code]
    return renumbered


def attempt(fit: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | Exception:
    """Return what a fit returns, or the exception that it raises.

    The members of a family are fitted one by one, and one that fails must not stop the others.
    """
    try:
        return fit(*arguments, **options)
    except Exception as failure:
        return failure
