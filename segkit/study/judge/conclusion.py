"""The end of a confirmed study: the runs table with what the confirmation adds, and the recommendation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segkit.scoring.calibration import MaxT
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
from segkit.study.plan.confirmation import Confirmation
from segkit.study.plan.planner import RunPlan, space_of
from segkit.study.run.outcome import Outcome
from segkit.study.run.store import Damaged, Store

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Agreement = Callable[[str, str], float]


@dataclass(frozen=True)
class Confirmed:
    """A confirmed study: the runs table, the scores on tables without segments, and the recommendation."""

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
    """Return the runs table with what the confirmation adds, and what it recommends.

    Parameters
    ----------
    confirmation
        What was planned to confirm.
    outcomes
        What became of its stages.
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
    spaces = [space_of(plans[run].stages) if plans[run].stages else "" for run in runs["run"]]
    runs = runs.join(quality_columns(confirmation, outcomes, spaces).set_index(runs.index))
    test = best_against_nulls(runs, confirmation.shortlist, nulls)
    adjusted = dict(zip(confirmation.shortlist, test.adjusted_p("silhouette"), strict=True))
    runs["p_adjusted"] = runs["run"].map(adjusted).astype(float)
    numbers = answers(confirmation.shortlist, agreement)
    runs["answer"] = runs["run"].map(numbers).astype("Int64")
    runs = runs.rename(
        columns={name: f"screen_{name}" for name in ("pareto", "weight_share", "rank")}
    )
    runs = runs.join(_final_ranks(runs, confirmation, store, scoring))
    return Confirmed(
        runs, nulls, _recommendation(runs, confirmation.shortlist, test, scoring, agreement)
    )


def rejudged(
    runs: pd.DataFrame, nulls: pd.DataFrame, scoring: Mapping[str, Any], agreement: Agreement
) -> dict[str, Any]:
    """Return the recommendation of a confirmed study again, from its runs table and its scores without segments."""
    shortlist = runs.loc[runs["confirmed"], "run"].tolist()
    test = best_against_nulls(runs, shortlist, nulls)
    return _recommendation(runs, shortlist, test, scoring, agreement)


def _final_ranks(
    runs: pd.DataFrame,
    confirmation: Confirmation,
    store: Store,
    scoring: Mapping[str, Any],
) -> pd.DataFrame:
    """Place runs that hold up against the tables without segments by what was confirmed, the others behind them."""
    import pandas as pd

    candidates = runs[_holds_up(runs, scoring)]
    names = ("pareto", "weight_share", "rank", "rank_low", "rank_high")
    found = pd.DataFrame(float("nan"), index=runs.index, columns=list(names))
    if len(candidates):
        refits = {
            row.run: _refits(store, confirmation.stages[row.run]["refit"], row)
            for row in candidates.itertuples()
        }
        found.update(rank_confirmed(candidates, refits).astype(float))
    behind = runs.loc[found["rank"].isna() & runs["screen_rank"].notna()]
    order = behind.assign(last=~behind["confirmed"]).sort_values(["last", "screen_rank"]).index
    found.loc[order, "rank"] = range(len(candidates) + 1, len(candidates) + len(order) + 1)
    found["pareto"] = found["pareto"] == 1
    return found.astype({name: "Int64" for name in names if name.startswith("rank")})


def _refits(store: Store, key: str, run: Any) -> np.ndarray:
    """Return a run's ARI in each refitted draw; its mean throughout where the draws cannot be read."""
    import numpy as np

    try:
        return store.arrays(key)["ari"]
    except Damaged:
        return np.full(int(run.stability_refit_draws), float(run.stability_ari_refit))


def _holds_up(runs: pd.DataFrame, scoring: Mapping[str, Any]) -> pd.Series:
    eligible = gate_values(runs, scoring["gates"]).all(axis=1)
    # A mean over the few refits in which the segments came back would hide those in which they
    # vanished.
    came_back = 2 * runs["stability_refit_draws_valid"] >= runs["stability_refit_draws"]
    holds_up = runs[list(NEEDED)].notna().all(axis=1) & came_back.fillna(False).astype(bool)
    return eligible & holds_up & (runs["p_adjusted"] <= scoring["level"])


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
    if (
        len(test.null_maxima) < scoring["nulls"]["copula"]
        and 1 / (1 + len(test.null_maxima)) > scoring["level"]
    ):
        lost = scoring["nulls"]["copula"] - len(test.null_maxima)
        text = (
            f"{lost} of {scoring['nulls']['copula']} tables without segments were lost: too few are"
            " left for a test"
        )
        screened = runs.rename(
            columns={f"screen_{name}": name for name in ("pareto", "weight_share", "rank")}
        )
        screened = screened.loc[:, ~screened.columns.duplicated(keep="first")]
        found = recommend(screened, scoring["gates"], agreement)
        found["reasons"].append(
            {"criterion": "p_adjusted", "value": None, "passed": False, "reason": text}
        )
        return found | {"confirmed": len(shortlist), "null": null}
    if candidates.empty:
        beaten = test.p_value is not None and test.p_value <= scoring["level"]
        text = (
            "the run that beats structureless data does not come back in half of the refits, or"
            " misses a gate"
        )
        if not beaten:
            text = "no better than structureless data with these margins and correlations"
        reason = {
            "criterion": "p_adjusted",
            "value": test.p_value,
            "bar": scoring["level"],
            "passed": beaten,
        }
        verdict = "nothing_eligible" if beaten else "no_structure"
        found = {"run": None, "verdict": verdict, "reasons": [{**reason, "reason": text}]}
        found |= {"runner_up": None, "eligible": eligible, "pareto": []}
        return found | {"confirmed": len(shortlist), "null": null}
    found = recommend(
        candidates, scoring["gates"], agreement, dict.fromkeys(CRITERIA, True), "recommended"
    )
    best = candidates.set_index("run").loc[found["run"]]
    reason = {
        "criterion": "p_adjusted",
        "value": float(best["p_adjusted"]),
        "bar": scoring["level"],
        "passed": True,
    }
    found["reasons"].append(reason)
    return found | {"eligible": eligible, "confirmed": len(shortlist), "null": null}
