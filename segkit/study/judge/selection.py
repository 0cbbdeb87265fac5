"""Which runs go on after the screen: those to confirm, and the spaces that are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segkit.study.judge.ranking import best_first, shortlist
from segkit.study.plan.confirmation import (
    Confirmation,
    ConfirmSettings,
    plan_confirmation,
    siblings,
)
from segkit.study.plan.planner import Planner, RunPlan
from segkit.study.run.hashes import content_digest

if TYPE_CHECKING:
    import pandas as pd

# A report with more embeddings is slow to open, and nobody compares so many.
MOST_EMBEDDINGS = 24


def runs_by_embedding(runs: Sequence[RunPlan]) -> dict[str, list[RunPlan]]:
    """Return the runs of each projected space, at most ``MOST_EMBEDDINGS`` spaces.

    Parameters
    ----------
    runs
        Best first: so are the spaces, and the runs of each.
    """
    spaces: dict[str, list[RunPlan]] = {}
    for run in runs:
        space = run.stages.get("projection")
        if space and (space in spaces or len(spaces) < MOST_EMBEDDINGS):
            spaces.setdefault(space, []).append(run)
    return spaces


def runs_to_confirm(runs: pd.DataFrame, partitions: pd.DataFrame, size: int) -> list[str]:
    """Return the ids of the runs to confirm, best first; runs with the same labels take one place.

    Parameters
    ----------
    runs
        The runs table with the columns of ``rank_runs``.
    partitions
        One column of labels per run, named by its id. A run without one shares its labels with
        none.
    size
        How many at most.
    """
    ranked = runs.loc[runs["rank"].notna(), "run"]
    identities = {run: _identity(partitions[run]) if run in partitions else run for run in ranked}
    return shortlist(runs, identities, size)


def _identity(labels: pd.Series) -> str:
    """Return a digest that two columns share if they label the same customers in the same way."""
    labelled = labels.notna().to_numpy()
    numbers = labels.to_numpy(dtype="int64", na_value=0)
    return content_digest({"here": labelled, "labels": numbers}, {})


def confirmation_of(
    chosen: Sequence[str],
    runs: pd.DataFrame,
    plans: Mapping[str, RunPlan],
    planner: Planner,
    scoring: Mapping[str, Any],
) -> Confirmation:
    """Plan the confirmation of the chosen runs.

    Parameters
    ----------
    chosen
        Ids of the runs to confirm, best first.
    runs
        The runs table with the columns of ``rank_runs``.
    plans
        The runs' plans by id.
    planner
        The planner of the study's plan.
    scoring
        The study's ``scoring`` settings.
    """
    shortlisted = [plans[run] for run in chosen]
    embeddings = runs_by_embedding([plans[run] for run in best_first(runs)])
    pictured = [same_space[0] for same_space in embeddings.values()]
    ok = [plans[run] for run in runs.loc[runs["status"] == "ok", "run"]]
    others = siblings(ok, shortlisted)
    return plan_confirmation(planner, shortlisted, others, pictured, ConfirmSettings.of(scoring))
