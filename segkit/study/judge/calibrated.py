"""What the confirmation says: figures of each confirmed run, and whether the best beats tables without segments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from segkit import scoring
from segkit.scoring import calibration
from segkit.study.judge.ranking import CHOOSING_SCORES, pareto_front, weight_shares
from segkit.study.plan.confirmation import COPULA, PERMUTED, Confirmation
from segkit.study.run.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

# What the confirmed runs are chosen by; all higher is better. The excess counts in standard
# deviations of the null: as it is, it favours pipelines whose scores scatter widely on tables
# without segments, such as DBSCAN's. They are the pipeline's, the same for all its numbers of
# clusters: those of single runs are too uncertain to choose k.
CRITERIA = ("silhouette_pooled_z", "davies_bouldin_pooled_z", "stability_ari_refit")
# Without it a run cannot be recommended.
NEEDED = ("stability_ari_refit",)
SAME_ANSWER = 0.8
RESAMPLES = 200

# A table on which a stage failed, or could not be done, says nothing about the run.
_LOST = ("failed", "skipped")
_STABILITY = ("", "_sd", "_q05", "_q95")
_QUALITY = ("trustworthiness", "continuity", "r_nx_area", "distance_spearman", "triplet_accuracy")


def null_scores(confirmation: Confirmation, outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Return the scores on the tables without segments, in the primary reference space fitted on each.

    Returns
    -------
    DataFrame
        One row per run, kind (``copula`` or ``permuted``) and table (``index``), ``status`` (of the
        silhouette, or ``failed`` or ``skipped``) and one column per score; missing where a score
        has no value there.
    """
    import pandas as pd

    rows = []
    for run, kinds in confirmation.nulls.items():
        for kind, keys in kinds.items():
            for index, key in enumerate(keys):
                facts = _facts(outcomes, key)
                values = {
                    item.name: facts.get(item.name, {}).get("value")
                    for item in scoring.definitions()
                }
                status = facts["silhouette"]["status"] if facts else _lost(outcomes, key)
                rows.append({"run": run, "kind": kind, "index": index, "status": status, **values})
    columns = ["run", "kind", "index", "status", *(item.name for item in scoring.definitions())]
    return pd.DataFrame(rows, columns=columns).astype(
        {item.name: float for item in scoring.definitions()}
    )


def confirmed_columns(
    confirmation: Confirmation,
    outcomes: Mapping[str, Outcome],
    nulls: pd.DataFrame,
    runs: pd.DataFrame,
) -> pd.DataFrame:
    """Return what the confirmation adds to the runs table, by the table's index."""
    import pandas as pd

    ids = runs["run"]
    cells = {run: _stage_cells(stages, outcomes) for run, stages in confirmation.stages.items()}
    for run, stages in confirmation.stages.items():
        keys = [
            *stages.values(),
            *(key for scores in confirmation.nulls[run].values() for key in scores if key),
        ]
        cells[run]["confirm_reason"] = _what_was_lost(
            [outcomes[key] for key in keys if key in outcomes]
        )
    # Texts are compared faster as objects.
    null_by_run = dict(iter(nulls.astype({"kind": object, "status": object}).groupby("run")))
    observed = runs[[f"{name}_reference" for name in CHOOSING_SCORES]]
    for index, run in ids.items():
        if run in null_by_run:
            cells.setdefault(run, {}).update(_null_cells(observed.loc[index], null_by_run[run]))
    frame = pd.DataFrame([cells.get(run, {}) for run in ids], index=runs.index)
    frame = frame.join(_pooled(frame, ids.map(confirmation.pipelines)))
    frame["confirmed"] = [run in confirmation.stages for run in ids]
    for name in frame.columns[
        frame.columns.str.match("(stability_jaccard|dissolved|recovered)_(fresh|refit)$")
    ]:
        frame[name] = list_texts(frame[name])
    counts = frame.columns[frame.columns.str.match("stability_(fresh|refit|seed)_draws(_valid)?$")]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def list_texts(column: pd.Series) -> pd.Series:
    """Return a column of lists as JSON text."""
    return column.map(lambda value: json.dumps(value) if isinstance(value, list) else None).astype(
        "string"
    )


def quality_columns(
    confirmation: Confirmation, outcomes: Mapping[str, Outcome], spaces: Sequence[str]
) -> pd.DataFrame:
    """Return the embedding quality of each run's space (its key; any other has none), as columns in the same order."""
    import pandas as pd

    found = [_facts(outcomes, confirmation.qualities.get(space)) for space in spaces]
    ends = {"picture": "", "random_projection": "_control_random", "identity": "_control_identity"}
    rows = [
        {
            f"{name}{end}": item.get(part, {}).get(name)
            for part, end in ends.items()
            for name in _QUALITY
        }
        for item in found
    ]
    return pd.DataFrame(rows).astype(float)


def _facts(outcomes: Mapping[str, Outcome], key: str | None) -> Mapping[str, Any]:
    outcome = outcomes.get(key) if key else None
    return outcome.record["facts"] if outcome and outcome.status == "ok" else {}


def _what_was_lost(outcomes: Sequence[Outcome]) -> str:
    """Return the first reason for which a stage has no result, and how many have none."""
    lost = [outcome.reason for outcome in outcomes if outcome.status != "ok"]
    return f"{lost[0]} ({len(lost)} of {len(outcomes)} stages)" if lost else ""


def _lost(outcomes: Mapping[str, Outcome], key: str | None) -> str:
    return outcomes[key].status if key in outcomes else "skipped"


def _silhouettes(nulls: pd.DataFrame) -> pd.Series:
    """Return null silhouettes for comparison: 0 where no segments were found, missing where a stage failed."""
    return nulls["silhouette"].where(nulls["silhouette"].notna() | nulls["status"].isin(_LOST), 0.0)


def _stage_cells(stages: Mapping[str, str], outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for role, suffix in {"stability": "fresh", "refit": "refit", "reseed": "seed"}.items():
        facts = _facts(outcomes, stages.get(role))
        cells |= {
            f"stability_ari_{suffix}{end}": facts.get(f"stability_ari{end}") for end in _STABILITY
        }
        cells[f"stability_{suffix}_status"] = facts.get("stability_status")
        cells[f"stability_{suffix}_draws"] = facts.get("draws")
        cells[f"stability_{suffix}_draws_valid"] = facts.get("stability_draws_valid")
        if suffix != "seed":
            for name in ("stability_jaccard", "stability_jaccard_min", "dissolved", "recovered"):
                cells[f"{name}_{suffix}"] = facts.get(name)
    if "reseed" not in stages:
        cells |= {"stability_ari_seed": 1.0, "stability_seed_status": "no_seed"}
    prediction = _facts(outcomes, stages["prediction"])
    cells |= {
        name: prediction.get(name) for name in ("prediction_strength", "prediction_strength_sd")
    }
    cells["prediction_strength_status"] = prediction.get("prediction_strength_status")
    for space in ("native", "reference"):
        score = _facts(outcomes, stages[f"density:{space}"])
        cells |= {f"dbcv_{space}": score.get("value"), f"dbcv_{space}_status": score.get("status")}
    return cells


def _null_cells(run: pd.Series, nulls: pd.DataFrame) -> dict[str, Any]:
    """Return p, z and excess of the choosing scores against each kind of table."""
    directions = {item.name: item.higher_is_better for item in scoring.definitions()}
    cells: dict[str, Any] = {}
    kinds, kept = nulls["kind"].to_numpy(), ~nulls["status"].isin(_LOST).to_numpy()
    for name in CHOOSING_SCORES:
        observed, higher = _number(run[f"{name}_reference"]), directions[name]
        compared = _silhouettes(nulls) if name == "silhouette" else nulls[name]
        for kind, prefix in ((COPULA, name), (PERMUTED, f"{name}_permuted")):
            own = kinds == kind
            if not own.any():
                continue
            values, found = (
                column.to_numpy(dtype=float)[own & kept] for column in (compared, nulls[name])
            )
            # The excess is over the tables on which the run finds something: what its segments are
            # better by.
            found = values if np.isnan(found).all() else found[~np.isnan(found)]
            cells[f"{prefix}_null_mean"] = (
                float(np.nanmean(found)) if not np.isnan(found).all() else None
            )
            cells[f"{prefix}_null_sd"] = calibration.spread(values)
            cells[f"{prefix}_excess"] = calibration.excess(observed, found, higher)
            cells[f"{prefix}_z"] = calibration.z(observed, values, higher)
            cells[f"{prefix}_p"] = (
                calibration.p_value(observed, values, higher) if len(values) else None
            )
    return cells


def _pooled(frame: pd.DataFrame, pipelines: pd.Series) -> pd.DataFrame:
    """Return each choosing score's z with the standard deviation pooled over the runs of a pipeline.

    A run that finds segments on hardly any table has no z. It counts what it does in the test if no
    table is as good, M / sqrt(M + 1) for M tables, and less if some are.
    """
    import pandas as pd

    found = {}
    for name in CHOOSING_SCORES:
        if f"{name}_null_sd" in frame:
            variance = frame[f"{name}_null_sd"].astype(float) ** 2
            pooled = variance.groupby(pipelines).transform("mean")
            z, p = frame[f"{name}_z"].astype(float), frame[f"{name}_p"].astype(float)
            found[f"{name}_pooled_z"] = (z * np.sqrt(variance / pooled)).fillna(
                (1 - p) / np.sqrt(p)
            )
    return pd.DataFrame(found, index=frame.index)


def _number(value: Any) -> float | None:
    import pandas as pd

    return None if pd.isna(value) else float(value)


def best_against_nulls(
    runs: pd.DataFrame, shortlist: Sequence[str], nulls: pd.DataFrame
) -> calibration.MaxT:
    """Test the best reference silhouette of the shortlist against the best on each copula table (max-T).

    A run that finds no segments on a table has the silhouette 0 there, which is what the absence of
    structure is worth. A table that is lost for one run of the shortlist is left out for all.
    """
    observed = (
        runs.set_index("run").loc[list(shortlist), "silhouette_reference"].to_numpy(dtype=float)
    )
    copula = nulls[nulls["kind"] == COPULA]
    copula = copula.assign(silhouette=_silhouettes(copula))
    table = copula.pivot_table(index="index", columns="run", values="silhouette", dropna=False)
    table = table.reindex(columns=list(shortlist)).dropna()
    return calibration.max_t({"silhouette": (observed, table.to_numpy(dtype=float), True)})


def answers(shortlist: Sequence[str], agreement: Callable[[str, str], float]) -> dict[str, int]:
    """Return the number of each run's answer, best first: average linkage of 1 - ARI, cut at ``1 - SAME_ANSWER``."""
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(shortlist) < 2:
        return dict.fromkeys(shortlist, 0)
    pairs = [1 - agreement(a, b) for i, a in enumerate(shortlist) for b in shortlist[i + 1 :]]
    groups = fcluster(linkage(np.clip(pairs, 0, None), "average"), 1 - SAME_ANSWER, "distance")
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return {run: numbers[group] for run, group in zip(shortlist, groups, strict=True)}


def rank_confirmed(confirmed: pd.DataFrame, refits: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Rank confirmed runs by their criteria: Pareto front, share of the weightings won, place and its interval.

    Parameters
    ----------
    confirmed
        Rows of the runs table that may be recommended.
    refits
        By run, its ARI in each refitted draw: places are found again on resampled draws, for the
        interval.

    Returns
    -------
    DataFrame
        ``pareto``, ``weight_share``, ``rank``, ``rank_low`` and ``rank_high`` (5% and 95% of the
        places), by index.
    """
    import pandas as pd

    # No value: the last place in that criterion.
    values = confirmed[list(CRITERIA)].astype(float).fillna(-np.inf).to_numpy()
    ranks = pd.DataFrame(values).rank(ascending=False, method="average").to_numpy()
    shares = weight_shares(ranks)
    found = pd.DataFrame(
        {"pareto": pareto_front(values), "weight_share": shares}, index=confirmed.index
    )
    found["rank"] = _places(ranks, shares)
    places = _resampled_places(values, np.stack([refits[run] for run in confirmed["run"]]))
    found["rank_low"], found["rank_high"] = np.quantile(
        places, [0.05, 0.95], axis=0, method="nearest"
    ).astype(int)
    return found


def _places(ranks: np.ndarray, shares: np.ndarray) -> np.ndarray:
    order = np.lexsort((ranks.mean(axis=1), -shares))
    places = np.empty(len(order), dtype=int)
    places[order] = np.arange(1, len(order) + 1)
    return places


def _resampled_places(values: np.ndarray, refits: np.ndarray) -> np.ndarray:
    import pandas as pd

    rng = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        picked = refits[:, rng.integers(0, refits.shape[1], refits.shape[1])]
        again = values.copy()
        again[:, CRITERIA.index("stability_ari_refit")] = np.nan_to_num(
            _row_means(picked), nan=-1.0
        )
        ranks = pd.DataFrame(again).rank(ascending=False, method="average").to_numpy()
        found.append(_places(ranks, weight_shares(ranks)))
    return np.array(found)


def _row_means(values: np.ndarray) -> np.ndarray:
    counts = (~np.isnan(values)).sum(axis=1)
    return np.where(counts, np.nansum(values, axis=1) / np.maximum(counts, 1), np.nan)
