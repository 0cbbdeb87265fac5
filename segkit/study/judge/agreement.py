"""How far the partitions of two runs agree."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from segkit.scoring.agreement import partition_agreement

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

#: From the ids of two runs to the adjusted Rand index (ARI) of their partitions.
Agreement = Callable[[str, str], float]


def agreement_of(partitions: pd.DataFrame) -> Agreement:
    """Return a function of two runs: the ARI over the customers that both of them clustered.

    Parameters
    ----------
    partitions
        One column of labels per run, named by its id. A run without one agrees with none: 0.
    """

    def agreement(first: str, second: str) -> float:
        if not {first, second} <= set(partitions.columns):
            return 0.0
        first_labels, first_labelled = labels_of(first)
        second_labels, second_labelled = labels_of(second)
        both = first_labelled & second_labelled
        if not both.any():
            return 0.0
        return partition_agreement(first_labels[both], second_labels[both])

    @cache
    def labels_of(run: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        labels = partitions[run]
        return labels.to_numpy(dtype="int64", na_value=0), labels.notna().to_numpy()

    return agreement
