"""Choosing runs: gates, then the Pareto front, then the share of the weightings won."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from segkit import scoring
from segkit.study.judge.agreement import Agreement

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]

# The scores that choose, all in the primary reference space, and the stability beside them.
CHOOSING_SCORES = ("silhouette", "davies_bouldin")
STABILITY = "stability_ari"
# Weights in steps of 1%: 5,151 weightings of three criteria.
SIMPLEX_STEPS = 100
WEIGHTINGS_AT_ONCE = 256
# Sums of the same ranks in another order differ by rounding, and are a tie.
_TIE = 1e-9


def criteria() -> dict[str, bool]:
    """Return the columns that choose and whether a higher value is better."""
    directions = score_directions()
    return {f"{name}_reference": directions[name] for name in CHOOSING_SCORES} | {STABILITY: True}


def score_directions() -> dict[str, bool]:
    """Return whether a higher value is better, by score."""
    return {definition.name: definition.higher_is_better for definition in scoring.definitions()}


def best_first(runs: pd.DataFrame) -> list[str]:
    """Return the ids of the ok runs: ranked ones first, then by the reference silhouette."""
    ok = runs[runs["status"] == "ok"]
    order = ok.sort_values(["rank", "silhouette_reference"], ascending=[True, False])
    return order["run"].tolist()


def gate_values(runs: pd.DataFrame, gates: Mapping[str, Any]) -> pd.DataFrame:
    """Return which gates each run passes.

    Parameters
    ----------
    runs
        The runs table.
    gates
        ``coverage`` (least share of customers not noise), ``smallest_cluster`` (least share of the
        customers) and ``clusters`` (least and largest number).

    Returns
    -------
    DataFrame
        One boolean column per gate: status, coverage, smallest_cluster, clusters, scores. The last
        is a value in each criterion, and segments that came back in at least half of the draws.
    """
    import pandas as pd

    least, most = gates["clusters"]
    clusters = runs["n_clusters"].astype("Float64")
    passed = {
        "status": runs["status"] == "ok",
        "coverage": 1 - runs["noise_fraction"] >= gates["coverage"],
        "smallest_cluster": runs["smallest_cluster"] >= gates["smallest_cluster"],
        "clusters": clusters.between(least, most),
        "scores": runs[list(criteria())].notna().all(axis=1) & ~_vanished(runs),
    }
    return pd.DataFrame(
        {name: column.fillna(False).astype(bool) for name, column in passed.items()}
    )


def _vanished(runs: pd.DataFrame) -> pd.Series[bool]:
    """Mark the runs whose segments came back in fewer than half of their draws."""
    # The mean over the others flatters them.
    import pandas as pd

    if not {"stability_draws", "stability_draws_valid"} <= set(runs):
        return pd.Series(False, index=runs.index)
    return (2 * runs["stability_draws_valid"] < runs["stability_draws"]).fillna(False).astype(bool)


def pareto_front(values: Matrix) -> Mask:
    """Mark the rows that no other row dominates (at least as good in all columns, better in one).

    Parameters
    ----------
    values
        Shape (n, m), higher is better.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    import numpy as np

    front = np.zeros(len(values), dtype=bool)
    # Best first by the columns in turn: no row is dominated by a later one.
    remaining = np.lexsort(values.T[::-1])[::-1]
    while len(remaining):
        best, remaining = remaining[0], remaining[1:]
        front[best] = True
        others = values[remaining]
        no_better = (others <= values[best]).all(axis=1)
        worse = (others < values[best]).any(axis=1)
        remaining = remaining[~(no_better & worse)]
    return front


@cache
def simplex(dimensions: int, steps: int = SIMPLEX_STEPS) -> Matrix:
    """Return all weightings in multiples of ``1 / steps`` that sum to one.

    Returns
    -------
    ndarray, shape (w, dimensions)
    """
    import numpy as np

    axes = np.meshgrid(*[np.arange(steps + 1)] * (dimensions - 1), indexing="ij")
    heads = np.stack([axis.ravel() for axis in axes], axis=1)
    heads = heads[heads.sum(axis=1) <= steps]
    return np.column_stack([heads, steps - heads.sum(axis=1)]) / steps


def weight_shares(ranks: Matrix) -> Matrix:
    """Return the share of the weightings of the criteria under which each run ranks best.

    Parameters
    ----------
    ranks
        Shape (n, m), 1 is best.

    Returns
    -------
    ndarray, shape (n,)
        A weighting that several runs win counts for each of them, so that runs with the same
        partition do not take from each other.
    """
    import numpy as np

    weightings = simplex(ranks.shape[1])
    wins = np.zeros(len(ranks), dtype=np.int64)
    # In blocks: all at once, thousands of runs would take gigabytes.
    for start in range(0, len(weightings), WEIGHTINGS_AT_ONCE):
        totals = weightings[start : start + WEIGHTINGS_AT_ONCE] @ ranks.T
        wins += (totals <= totals.min(axis=1, keepdims=True) + _TIE).sum(axis=0)
    return wins / len(weightings)


def rank_runs(runs: pd.DataFrame, gates: Mapping[str, Any]) -> pd.DataFrame:
    """Rank the runs that pass the gates by the share of weightings won, then by their mean rank.

    Parameters
    ----------
    runs
        The runs table.
    gates
        As for ``gate_values``.

    Returns
    -------
    DataFrame
        ``eligible``, ``pareto``, ``weight_share`` and ``rank`` (1 is best; missing for runs that
        miss a gate), by the table's index.
    """
    import numpy as np
    import pandas as pd

    eligible = gate_values(runs, gates).all(axis=1)
    ranking = pd.DataFrame({"eligible": eligible, "pareto": False}, index=runs.index)
    ranking["weight_share"] = np.nan
    ranking["rank"] = pd.array([pd.NA] * len(runs), dtype="Int64")
    if not eligible.any():
        return ranking
    chosen = runs.loc[eligible, list(criteria())].astype(float)
    values = chosen * [1 if higher else -1 for higher in criteria().values()]
    ranks = values.rank(ascending=False, method="average").to_numpy()
    front = pareto_front(values.to_numpy())
    shares = np.zeros(len(values))
    # A dominated run never ranks best, whatever the weights.
    shares[front] = weight_shares(ranks[front])
    # By id last, so that ties have the same order whatever else is in the table.
    order = np.lexsort((runs.loc[eligible, "run"], ranks.mean(axis=1), -shares))
    position = np.empty(len(order), dtype=int)
    position[order] = np.arange(1, len(order) + 1)
    ranking.loc[eligible, "pareto"] = front
    ranking.loc[eligible, "weight_share"] = shares
    ranking.loc[eligible, "rank"] = position
    return ranking


def places_by_space(runs: pd.DataFrame, suffixes: Sequence[str]) -> pd.DataFrame:
    """Return each run's place by silhouette in each space; 1 is best, ties share a place.

    Returns
    -------
    DataFrame
        A column ``rank_by_<suffix>`` for each space, by the table's index.
    """
    import pandas as pd

    places = {
        f"rank_by_{suffix}": (
            runs[f"silhouette_{suffix}"].rank(ascending=False, method="min").astype("Int64")
        )
        for suffix in suffixes
    }
    return pd.DataFrame(places, index=runs.index)


def shortlist(runs: pd.DataFrame, partitions: Mapping[str, str], size: int) -> list[str]:
    """Return the runs to confirm, best first.

    The Pareto front comes first, then the best of each number of clusters in turn, since raw
    scores favour few clusters. Of runs with the same partition only the best is taken.

    Parameters
    ----------
    runs
        The runs table with the columns of ``rank_runs``.
    partitions
        By run: a text that two runs share if they have the same partition.
    size
        How many at most.
    """
    ranked = runs[runs["rank"].notna()].sort_values("rank")
    # Ranked best first, so that the first of equal partitions is the best.
    ranked = ranked[~ranked["run"].map(partitions).duplicated()]
    front = ranked.loc[ranked["pareto"], "run"].tolist()
    others = ranked[~ranked["pareto"]]
    turn = others.groupby("n_clusters").cumcount()
    in_turn = others.assign(turn=turn).sort_values(["turn", "rank"])["run"].tolist()
    return [*front, *in_turn][:size]


def recommend(
    runs: pd.DataFrame,
    gates: Mapping[str, Any],
    agreement: Agreement,
    chosen_by: Mapping[str, bool] | None = None,
    verdict: str = "screened_only",
) -> dict[str, Any]:
    """Return the recommendation: the run, the verdict and the figures that led there.

    Parameters
    ----------
    runs
        The runs table with the columns of ``rank_runs``; those with a rank may be recommended.
    gates
        As for ``gate_values``.
    agreement
        From two run ids to the ARI of their partitions.
    chosen_by
        The columns that chose and whether higher is better; those of the screen if left out.
    verdict
        What to call it if a run is recommended.

    Returns
    -------
    dict
        ``run`` (id or None), ``verdict`` (as given, or ``nothing_eligible``), ``reasons`` (one per
        gate and criterion, with value and bar), ``runner_up`` (``run`` and ``ari_to_recommended``,
        or None), ``eligible`` (number of runs), ``pareto`` (ids).
    """
    passed = gate_values(runs, gates)
    if not passed.all(axis=1).any():
        reasons = [
            {
                "gate": name,
                "bar": _bar(name, gates),
                "runs_passing": int(passed[name].sum()),
                "runs": len(runs),
            }
            for name in passed.columns
        ]
        return {
            "run": None,
            "verdict": "nothing_eligible",
            "reasons": reasons,
            "runner_up": None,
            "eligible": 0,
            "pareto": [],
        }
    ranked = runs[runs["rank"].notna()].sort_values("rank")
    best = ranked.iloc[0]
    return {
        "run": best["run"],
        "verdict": verdict,
        "reasons": [
            *_gate_reasons(best, gates),
            *_criterion_reasons(best, ranked, chosen_by or criteria()),
        ],
        "runner_up": _runner_up(ranked, agreement),
        "eligible": len(ranked),
        "pareto": ranked.loc[ranked["pareto"], "run"].tolist(),
    }


def _bar(name: str, gates: Mapping[str, Any]) -> Any:
    return {"status": "ok", "scores": "every criterion has a value"}.get(name, gates.get(name))


def _gate_reasons(best: pd.Series[Any], gates: Mapping[str, Any]) -> list[dict[str, Any]]:
    values = {
        "coverage": 1 - float(best["noise_fraction"]),
        "smallest_cluster": float(best["smallest_cluster"]),
        "clusters": int(best["n_clusters"]),
    }
    return [
        {"gate": name, "value": value, "bar": _bar(name, gates), "passed": True}
        for name, value in values.items()
    ]


def _criterion_reasons(
    best: pd.Series[Any], ranked: pd.DataFrame, chosen_by: Mapping[str, bool]
) -> list[dict[str, Any]]:
    reasons: list[dict[str, Any]] = []
    for name, higher in chosen_by.items():
        places = ranked[name].rank(ascending=not higher, method="min", na_option="bottom")
        # A missing value is unequal to itself.
        value = None if best[name] != best[name] else float(best[name])
        place = int(places.loc[ranked.index[0]])
        reasons.append({"criterion": name, "value": value, "place": place, "of": len(ranked)})
    share = {
        "criterion": "weight_share",
        "value": float(best["weight_share"]),
        "place": 1,
        "of": len(ranked),
    }
    return [*reasons, share]


def _runner_up(ranked: pd.DataFrame, agreement: Agreement) -> dict[str, Any] | None:
    """Return the best-ranked run with another partition than the first's."""
    best = ranked["run"].iloc[0]
    # Runs with the same partition are no alternative.
    for other in ranked["run"].iloc[1:]:
        value = agreement(best, other)
        if value < 1:
            return {"run": other, "ari_to_recommended": value}
    return None
