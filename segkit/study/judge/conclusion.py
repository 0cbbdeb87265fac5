"""The end of a confirmed study: the confirmed runs table and the recommendation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segkit.scoring.calibration import MaxT
from segkit.study.judge.agreement import Agreement
from segkit.study.judge.calibrated import (
    CRITERIA,
    NEEDED,
    answers,
    best_against_nulls,
    confirmed_columns,
    null_scores,
    quality_columns,
    rank_confirmed,
)
from segkit.study.judge.ranking import gate_values, recommend
from segkit.study.plan.confirmation import COPULA, Confirmation
from segkit.study.plan.planner import RunPlan, space_of
from segkit.study.run.outcome import Outcome
from segkit.study.run.store import Damaged, Store

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

# What ranks a run. Before a confirmed run is ranked anew, those of the screen get a prefix.
_RANKING = ("pareto", "weight_share", "rank")
_SCREEN = "screen_"


@dataclass(frozen=True)
class Confirmed:
    """A confirmed study.

    Attributes
    ----------
    runs : DataFrame
        The runs table with what the confirmation adds.
    nulls : DataFrame
        The scores on the tables without segments.
    recommendation : mapping
        The recommended run and what led there.
    """

    runs: pd.DataFrame
    nulls: pd.DataFrame
    recommendation: Mapping[str, Any]


def conclude(
    confirmation: Confirmation,
    outcomes: Mapping[str, Outcome],
    store: Store,
    runs: pd.DataFrame,
    plans: Mapping[str, RunPlan],
    scoring: Mapping[str, Any],
    agreement: Agreement,
) -> Confirmed:
    """Return a confirmed study's runs table and recommendation.

    Parameters
    ----------
    confirmation
        What was planned to confirm.
    outcomes
        The outcomes of its stages by key.
    store
        Where the results are.
    runs
        The runs table of the screen, with ranks.
    plans
        The runs' plans by id.
    scoring
        The study's ``scoring`` settings.
    agreement
        From two run ids to the ARI of their partitions.
    """
    nulls = null_scores(confirmation, outcomes)
    runs = runs.drop(columns="confirmed").join(
        confirmed_columns(confirmation, outcomes, nulls, runs)
    )
    # A skipped run has no stages, and so no space.
    spaces = [space_of(plans[run].stages) if plans[run].stages else "" for run in runs["run"]]
    runs = runs.join(quality_columns(confirmation, outcomes, spaces).set_index(runs.index))
    test = best_against_nulls(runs, confirmation.shortlist, nulls)
    # In the order of the shortlist; runs beside it were not tested.
    adjusted = dict(zip(confirmation.shortlist, test.adjusted_p("silhouette"), strict=True))
    runs["p_adjusted"] = runs["run"].map(adjusted).astype(float)
    numbers = answers(confirmation.shortlist, agreement)
    runs["answer"] = runs["run"].map(numbers).astype("Int64")
    runs = runs.rename(columns={name: f"{_SCREEN}{name}" for name in _RANKING})
    runs = runs.join(_final_ranks(runs, confirmation, store, scoring))
    recommendation = _recommendation(runs, confirmation.shortlist, test, scoring, agreement)
    return Confirmed(runs, nulls, recommendation)


def rejudged(
    runs: pd.DataFrame, nulls: pd.DataFrame, scoring: Mapping[str, Any], agreement: Agreement
) -> dict[str, Any]:
    """Return the recommendation that a confirmed study's own tables lead to.

    Parameters
    ----------
    runs
        The runs table of the confirmed study.
    nulls
        Its scores on the tables without segments.
    scoring
        Its ``scoring`` settings.
    agreement
        From two run ids to the ARI of their partitions.
    """
    shortlist = runs.loc[runs["confirmed"], "run"].tolist()
    test = best_against_nulls(runs, shortlist, nulls)
    return _recommendation(runs, shortlist, test, scoring, agreement)


def _final_ranks(
    runs: pd.DataFrame,
    confirmation: Confirmation,
    store: Store,
    scoring: Mapping[str, Any],
) -> pd.DataFrame:
    """Rank the runs that hold up by what was confirmed, and all others behind them."""
    import pandas as pd

    candidates = runs[_holds_up(runs, scoring)]
    names = ("pareto", "weight_share", "rank", "rank_low", "rank_high")
    ranking = pd.DataFrame(float("nan"), index=runs.index, columns=list(names))
    if len(candidates):
        refits = {
            run: _refits(store, confirmation.stages[run]["refit"], int(draws), float(ari))
            for run, draws, ari in zip(
                candidates["run"],
                candidates["stability_refit_draws"],
                candidates["stability_ari_refit"],
                strict=True,
            )
        }
        ranking.update(rank_confirmed(candidates, refits).astype(float))
    # Behind them what the screen ranked: first the confirmed runs that do not hold up.
    behind = runs.loc[ranking["rank"].isna() & runs["screen_rank"].notna()]
    order = behind.assign(last=~behind["confirmed"]).sort_values(["last", "screen_rank"]).index
    ranking.loc[order, "rank"] = range(len(candidates) + 1, len(candidates) + len(order) + 1)
    # It held 1.0, 0.0 or NaN for the runs that were not compared.
    ranking["pareto"] = ranking["pareto"] == 1
    return ranking.astype({name: "Int64" for name in names if name.startswith("rank")})


def _refits(store: Store, key: str, draws: int, mean: float) -> NDArray[np.float64]:
    """Return a run's ARI in each refitted draw; its mean in all of them if they are damaged."""
    import numpy as np

    try:
        return store.arrays(key)["ari"]
    except Damaged:
        return np.full(draws, mean)


def _holds_up(runs: pd.DataFrame, scoring: Mapping[str, Any]) -> pd.Series[bool]:
    """Mark the runs that pass the gates, come back in refits and beat tables without segments."""
    eligible = gate_values(runs, scoring["gates"]).all(axis=1)
    # A mean over the few refits in which the segments came back would hide those in which they
    # vanished.
    came_back = 2 * runs["stability_refit_draws_valid"] >= runs["stability_refit_draws"]
    holds_up = runs[list(NEEDED)].notna().all(axis=1) & came_back.fillna(False).astype(bool)
    beats_nulls: pd.Series[bool] = runs["p_adjusted"] <= scoring["level"]
    return eligible & holds_up & beats_nulls


def _recommendation(
    runs: pd.DataFrame,
    shortlist: Sequence[str],
    test: MaxT,
    scoring: Mapping[str, Any],
    agreement: Agreement,
) -> dict[str, Any]:
    candidates = runs[_holds_up(runs, scoring)]
    null = {
        "test": "max-T of the reference silhouette over the shortlist against copula tables",
        "p": test.p_value,
        "level": scoring["level"],
        "statistic": test.statistic,
        "tables": len(test.null_maxima),
        "shortlist": list(shortlist),
        "holding_up": candidates["run"].tolist(),
    }
    eligible = int(runs["screen_rank"].notna().sum())
    if _is_untested(test, scoring):
        recommendation = _screened(runs, test, scoring, agreement)
    elif candidates.empty:
        recommendation = _none(test, scoring, eligible)
    else:
        recommendation = _confirmed(candidates, scoring, agreement) | {"eligible": eligible}
    return recommendation | {"confirmed": len(shortlist), "null": null}


def _is_untested(test: MaxT, scoring: Mapping[str, Any]) -> bool:
    """Return whether so many tables were lost that no run could have a p below the level."""
    tables = len(test.null_maxima)
    return bool(tables < scoring["nulls"][COPULA] and 1 / (1 + tables) > scoring["level"])


def _screened(
    runs: pd.DataFrame, test: MaxT, scoring: Mapping[str, Any], agreement: Agreement
) -> dict[str, Any]:
    """Return the recommendation of the screen, with the reason why nothing was tested."""
    screened = runs.rename(columns={f"{_SCREEN}{name}": name for name in _RANKING})
    # The final ranks have the same names, and stand behind.
    screened = screened.loc[:, ~screened.columns.duplicated(keep="first")]
    recommendation = recommend(screened, scoring["gates"], agreement)
    asked = scoring["nulls"][COPULA]
    reason = (
        f"{asked - len(test.null_maxima)} of {asked} tables without segments were lost: too few "
        "are left for a test"
    )
    recommendation["reasons"].append(
        {"criterion": "p_adjusted", "value": None, "passed": False, "reason": reason}
    )
    return recommendation


def _none(test: MaxT, scoring: Mapping[str, Any], eligible: int) -> dict[str, Any]:
    """Return the recommendation of no run, with its reason."""
    beaten = test.p_value is not None and test.p_value <= scoring["level"]
    reason = "no better than structureless data with these margins and correlations"
    if beaten:
        reason = (
            "the run that beats structureless data does not come back in half of the refits, or "
            "misses a gate"
        )
    entry = {
        "criterion": "p_adjusted",
        "value": test.p_value,
        "bar": scoring["level"],
        "passed": beaten,
        "reason": reason,
    }
    return {
        "run": None,
        "verdict": "nothing_eligible" if beaten else "no_structure",
        "reasons": [entry],
        "runner_up": None,
        "eligible": eligible,
        "pareto": [],
    }


def _confirmed(
    candidates: pd.DataFrame, scoring: Mapping[str, Any], agreement: Agreement
) -> dict[str, Any]:
    """Return the recommendation of the best run that holds up."""
    chosen_by = dict.fromkeys(CRITERIA, True)
    recommendation = recommend(candidates, scoring["gates"], agreement, chosen_by, "recommended")
    best = candidates.loc[candidates["run"] == recommendation["run"]].iloc[0]
    recommendation["reasons"].append(
        {
            "criterion": "p_adjusted",
            "value": float(best["p_adjusted"]),
            "bar": scoring["level"],
            "passed": True,
        }
    )
    return recommendation
