"""Which runs the report shows customer by customer: the best, and the best of every kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


# Runs that agree in all of these to the last bit have the same partition.
SAME_PARTITION = (
    "n_clusters",
    "noise_fraction",
    "smallest_cluster",
    "silhouette_reference",
    "davies_bouldin_reference",
)


def by_place(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the ok runs, sorted by rank, then by reference silhouette, then by id."""
    ok = runs[runs["status"] == "ok"]
    columns = ["rank", "silhouette_reference", "run"]
    return ok.sort_values(columns, ascending=[True, False, True], na_position="last", kind="stable")


def detailed_runs(
    runs: pd.DataFrame, most: int, best: str | None = None, among: Collection[str] | None = None
) -> list[str]:
    """Choose runs: the best, the best of each pair of projection and clusterer, the next best.

    Pairs may take half of the places, so that a study of many kinds still shows its best runs. A
    run with the scores of a better one, and so its partition, takes no place. A shorter list is
    always part of a longer one.

    Parameters
    ----------
    runs : DataFrame
        With ``run``, ``status``, ``rank``, ``silhouette_reference``, ``projection`` and
        ``clusterer``.
    most : int
        At most so many.
    best : str, optional
        The run that the report is about; it comes first in any case.
    among : collection of str, optional
        Runs to choose from; all ok runs if left out.

    Returns
    -------
    list of str
        Ids, best first.
    """
    placed = by_place(runs)
    if among is not None:
        placed = placed[placed["run"].isin(set(among))]
    order: list[str] = placed["run"].tolist()
    if best is not None and best in order:
        order = [best, *(run for run in order if run != best)]
    ordered = placed.set_index("run").loc[order].reset_index()
    distinct = ordered[~_identity(ordered).duplicated()]
    order = distinct["run"].tolist()
    pairs = distinct.drop_duplicates(["projection", "clusterer"])["run"].tolist()
    first = dict.fromkeys([*order[:1], *pairs[: max(most // 2, 1)], *order])
    chosen = set(list(first)[: max(most, 0)])
    return [run for run in order if run in chosen]


def with_same_scores(runs: pd.DataFrame, chosen: Sequence[str]) -> list[str]:
    """Return the chosen runs and those with the same scores, and so the same partition, by place.

    Parameters
    ----------
    runs : DataFrame
        As for :func:`detailed_runs`.
    chosen : sequence of str
        Ids.
    """
    placed = by_place(runs)
    identity = _identity(placed)
    wanted = set(identity[placed["run"].isin(set(chosen))])
    return placed.loc[identity.isin(wanted), "run"].tolist()


def _identity(runs: pd.DataFrame) -> pd.Series[Any]:
    """Return a text that runs with the same scores share; a run's id where one is missing."""
    if not set(SAME_PARTITION) <= set(runs.columns):
        return runs["run"]
    columns = [runs[name].to_numpy(np.float64, na_value=np.nan) for name in SAME_PARTITION]
    scores = np.column_stack(columns)
    identities = [row.tobytes().hex() for row in scores]
    return runs["run"].where(np.isnan(scores).any(axis=1), identities)
