"""Which runs are looked at customer by customer: the best, and the best of every kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


# Runs that agree in all of these to the last bit have the same partition.
ALIKE = (
    "n_clusters",
    "noise_fraction",
    "smallest_cluster",
    "silhouette_reference",
    "davies_bouldin_reference",
)


def placed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that came through, by rank, then by reference silhouette, then by id."""
    ok = runs[runs["status"] == "ok"]
    by = ["rank", "silhouette_reference", "run"]
    return ok.sort_values(by, ascending=[True, False, True], na_position="last", kind="stable")


def shortlisted(
    runs: pd.DataFrame, most: int, best: str | None = None, among: Collection[str] | None = None
) -> list[str]:
    """Choose runs to look at: the best, the best of each pair of projection and clusterer, then the next best.

    Pairs may take half of the places, so that a study of many kinds still shows its best runs. A
    run with the scores of a better one, and so its partition, takes no place. Fewer runs are always
    some of those that a larger number gives.

    Parameters
    ----------
    runs : DataFrame
        With ``run``, ``status``, ``rank``, ``silhouette_reference``, ``projection`` and
        ``clusterer``.
    most : int
        At most so many.
    best : str, optional
        The run that is told in depth; it has the first place in any case.
    among : collection of str, optional
        Runs that can be looked at; else all that came through.

    Returns
    -------
    list of str
        Ids, best first.
    """
    able = placed(runs)
    if among is not None:
        able = able[able["run"].isin(set(among))]
    order = [best] if best in set(able["run"]) else []
    order += [run for run in able["run"] if run != best]
    ahead = able.set_index("run").loc[order].reset_index()
    ahead = ahead[~_identity(ahead).duplicated()]
    order = ahead["run"].tolist()
    pairs = ahead.drop_duplicates(["projection", "clusterer"])["run"].tolist()[: max(most // 2, 1)]
    chosen = set(list(dict.fromkeys([*order[:1], *pairs, *order]))[: max(most, 0)])
    return [run for run in order if run in chosen]


def alike(runs: pd.DataFrame, chosen: Sequence[str]) -> list[str]:
    """Return the runs with the scores of a chosen one, and so its partition, the chosen included, best placed first."""
    able = placed(runs)
    identity = _identity(able)
    return able.loc[identity.isin(set(identity[able["run"].isin(set(chosen))])), "run"].tolist()


def _identity(runs: pd.DataFrame) -> pd.Series:
    """Return what is the same for runs with the same scores; a run's own id where one of them is missing."""
    if not set(ALIKE) <= set(runs.columns):
        return runs["run"]
    scores = np.column_stack([runs[name].to_numpy(np.float64, na_value=np.nan) for name in ALIKE])
    told = [row.tobytes().hex() for row in scores]
    return runs["run"].where(np.isnan(scores).any(axis=1), told)
