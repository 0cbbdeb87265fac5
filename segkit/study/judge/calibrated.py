"""The confirmation's figures of each run, and the test against tables without segments."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from segkit import scoring
from segkit.scoring import calibration
from segkit.study.judge.agreement import Agreement
from segkit.study.judge.bars import SAME_ANSWER
from segkit.study.judge.ranking import (
    CHOOSING_SCORES,
    pareto_front,
    score_directions,
    weight_shares,
)
from segkit.study.plan.confirmation import COPULA, PERMUTED, Confirmation
from segkit.study.run.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

# What the confirmed runs are chosen by; all higher is better. The excess over the null is divided
# by the null's standard deviation: undivided, it favours pipelines whose scores scatter widely on
# tables without segments, such as DBSCAN's. The deviation is pooled over all numbers of clusters
# of a pipeline: that of a single run is too uncertain to choose k.
CRITERIA = ("silhouette_pooled_z", "davies_bouldin_pooled_z", "stability_ari_refit")
# A run without these cannot be recommended.
NEEDED = ("stability_ari_refit",)
# Resampled sets of refits for the interval of a run's place.
RESAMPLES = 200

# A table on which a stage failed, or could not be done, says nothing about the run.
_LOST = ("failed", "skipped")
_STABILITY = ("", "_sd", "_q05", "_q95")
_QUALITY = ("trustworthiness", "continuity", "r_nx_area", "distance_spearman", "triplet_accuracy")


def null_scores(confirmation: Confirmation, outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Return the scores on the tables without segments, each in its own reference space.

    Returns
    -------
    DataFrame
        One row per run, kind (``copula`` or ``permuted``) and table (``index``), ``status`` (of the
        silhouette, or ``failed`` or ``skipped``) and one column per score; missing where a score
        has no value there.
    """
    import pandas as pd

    names = [definition.name for definition in scoring.definitions()]
    rows = []
    for run, kinds in confirmation.nulls.items():
        for kind, keys in kinds.items():
            for index, key in enumerate(keys):
                facts = _facts(outcomes, key)
                values = {name: facts.get(name, {}).get("value") for name in names}
                status = facts["silhouette"]["status"] if facts else _lost(outcomes, key)
                rows.append({"run": run, "kind": kind, "index": index, "status": status, **values})
    frame = pd.DataFrame(rows, columns=["run", "kind", "index", "status", *names])
    return frame.astype(dict.fromkeys(names, float))


def confirmed_columns(
    confirmation: Confirmation,
    outcomes: Mapping[str, Outcome],
    nulls: pd.DataFrame,
    runs: pd.DataFrame,
) -> pd.DataFrame:
    """Return the columns that the confirmation adds to the runs table, by the table's index.

    Parameters
    ----------
    confirmation
        What was planned to confirm.
    outcomes
        The outcomes of its stages by key.
    nulls
        As ``null_scores`` returns them.
    runs
        The runs table of the screen.
    """
    import pandas as pd

    ids = runs["run"]
    cells: dict[str, dict[str, Any]] = {}
    for run, stages in confirmation.stages.items():
        keys = list(stages.values())
        for scores in confirmation.nulls[run].values():
            keys += [key for key in scores if key]
        cells[run] = _stage_cells(stages, outcomes)
        cells[run]["confirm_reason"] = _loss([outcomes[key] for key in keys if key in outcomes])
    # pandas compares texts faster as objects.
    null_by_run = dict(iter(nulls.astype({"kind": object, "status": object}).groupby("run")))
    for row in runs[["run", *(f"{name}_reference" for name in CHOOSING_SCORES)]].to_dict("records"):
        if row["run"] in null_by_run:
            null_cells = _null_cells(row, null_by_run[row["run"]])
            cells.setdefault(row["run"], {}).update(null_cells)
    frame = pd.DataFrame([cells.get(run, {}) for run in ids], index=runs.index)
    frame = frame.join(_pooled(frame, ids.map(confirmation.pipelines)))
    frame["confirmed"] = [run in confirmation.stages for run in ids]
    lists = frame.columns.str.match("(stability_jaccard|dissolved|recovered)_(fresh|refit)$")
    for name in frame.columns[lists]:
        frame[name] = list_texts(frame[name])
    counts = frame.columns[frame.columns.str.match("stability_(fresh|refit|seed)_draws(_valid)?$")]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def list_texts(column: pd.Series[Any]) -> pd.Series[str]:
    """Return a column of lists as JSON text."""
    texts = column.map(lambda value: json.dumps(value) if isinstance(value, list) else None)
    return texts.astype("string")


def quality_columns(
    confirmation: Confirmation, outcomes: Mapping[str, Outcome], spaces: Sequence[str]
) -> pd.DataFrame:
    """Return the embedding quality of each run's space, one row per space in the same order.

    Parameters
    ----------
    confirmation, outcomes
        As for ``confirmed_columns``.
    spaces
        The key of each run's space; one that was not projected has no values.
    """
    import pandas as pd

    ends = {"picture": "", "random_projection": "_control_random", "identity": "_control_identity"}
    rows = []
    for space in spaces:
        facts = _facts(outcomes, confirmation.qualities.get(space))
        row: dict[str, Any] = {}
        for part, end in ends.items():
            row |= {f"{name}{end}": facts.get(part, {}).get(name) for name in _QUALITY}
        rows.append(row)
    return pd.DataFrame(rows).astype(float)


def _facts(outcomes: Mapping[str, Outcome], key: str | None) -> Mapping[str, Any]:
    outcome = outcomes.get(key) if key else None
    return outcome.record["facts"] if outcome and outcome.status == "ok" else {}


def _loss(outcomes: Sequence[Outcome]) -> str:
    """Return why the first stage without a result has none, and how many have none."""
    lost = [outcome.reason for outcome in outcomes if outcome.status != "ok"]
    return f"{lost[0]} ({len(lost)} of {len(outcomes)} stages)" if lost else ""


def _lost(outcomes: Mapping[str, Outcome], key: str | None) -> str:
    return "skipped" if key is None or key not in outcomes else outcomes[key].status


def _silhouettes(nulls: pd.DataFrame) -> pd.Series[float]:
    """Return silhouettes to compare with: 0 where a table has no segments, missing if lost."""
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


def _null_cells(row: Mapping[Hashable, Any], nulls: pd.DataFrame) -> dict[str, Any]:
    """Return p, z and excess of the choosing scores against each kind of table.

    Parameters
    ----------
    row
        A run's choosing scores in the primary reference space, by column.
    nulls
        Its rows of ``null_scores``.
    """
    directions = score_directions()
    cells: dict[str, Any] = {}
    kinds, is_valid = nulls["kind"].to_numpy(), ~nulls["status"].isin(_LOST).to_numpy()
    for name in CHOOSING_SCORES:
        observed = _number(row[f"{name}_reference"])
        compared = _silhouettes(nulls) if name == "silhouette" else nulls[name]
        for kind, prefix in ((COPULA, name), (PERMUTED, f"{name}_permuted")):
            if not (kinds == kind).any():
                continue
            chosen = (kinds == kind) & is_valid
            values = compared.to_numpy(dtype=float)[chosen]
            scores = nulls[name].to_numpy(dtype=float)[chosen]
            cells |= _calibrated_cells(prefix, observed, values, scores, directions[name])
    return cells


def _calibrated_cells(
    prefix: str, observed: float | None, values: Matrix, scores: Matrix, higher: bool
) -> dict[str, Any]:
    """Compare an observed score with those on tables without segments.

    Parameters
    ----------
    prefix
        What the names of the cells begin with.
    observed
        The run's score; None if it has none.
    values
        What the tables count in the test, 0 where the run finds no segments.
    scores
        Their scores; NaN where the run finds no segments.
    higher
        Whether a higher score is better.
    """
    has_score = ~np.isnan(scores)
    # The excess is over the tables on which the run finds segments, if there are any: it says by
    # how much its own are better.
    baseline = scores[has_score] if has_score.any() else values
    is_unknown = np.isnan(baseline).all()
    return {
        f"{prefix}_null_mean": None if is_unknown else float(np.nanmean(baseline)),
        f"{prefix}_null_sd": calibration.spread(values),
        f"{prefix}_excess": calibration.excess(observed, baseline, higher),
        f"{prefix}_z": calibration.z(observed, values, higher),
        f"{prefix}_p": calibration.p_value(observed, values, higher) if len(values) else None,
    }


def _pooled(frame: pd.DataFrame, pipelines: pd.Series[str]) -> pd.DataFrame:
    """Return each choosing score's z, with the null's deviation pooled over a pipeline's runs.

    A run that finds segments on hardly any table has no z. It then counts what it would in the
    test if no table is as good, M / sqrt(M + 1) for M tables, and less if some are.
    """
    import pandas as pd

    columns: dict[str, pd.Series[float]] = {}
    for name in CHOOSING_SCORES:
        if f"{name}_null_sd" in frame:
            variance = frame[f"{name}_null_sd"].astype(float) ** 2
            pooled = variance.groupby(pipelines).transform("mean")
            z, p = frame[f"{name}_z"].astype(float), frame[f"{name}_p"].astype(float)
            without_z: pd.Series[float] = (1 - p) / np.sqrt(p)
            columns[f"{name}_pooled_z"] = (z * np.sqrt(variance / pooled)).fillna(without_z)
    return pd.DataFrame(columns, index=frame.index)


def _number(value: Any) -> float | None:
    import pandas as pd

    return None if pd.isna(value) else float(value)


def best_against_nulls(
    runs: pd.DataFrame, shortlist: Sequence[str], nulls: pd.DataFrame
) -> calibration.MaxT:
    """Test the shortlist's best reference silhouette against the best on each copula table.

    A run that finds no segments on a table has the silhouette 0 there, which is what the absence of
    structure is worth. A table that is lost for one run of the shortlist is left out for all.

    Parameters
    ----------
    runs
        The runs table.
    shortlist
        Ids of the confirmed runs.
    nulls
        As ``null_scores`` returns them.

    Returns
    -------
    MaxT
        The max-T test.
    """
    silhouettes = runs.set_index("run").loc[list(shortlist), "silhouette_reference"]
    observed = silhouettes.to_numpy(dtype=float)
    copula = nulls[nulls["kind"] == COPULA]
    copula = copula.assign(silhouette=_silhouettes(copula))
    table = copula.pivot_table(index="index", columns="run", values="silhouette", dropna=False)
    table = table.reindex(columns=list(shortlist)).dropna()
    return calibration.max_t({"silhouette": (observed, table.to_numpy(dtype=float), True)})


def answers(shortlist: Sequence[str], agreement: Agreement) -> dict[str, int]:
    """Return the number of each run's answer: runs with the same one find much the same segments.

    Answers are clusters of average linkage of 1 - ARI, cut at ``1 - SAME_ANSWER``.

    Parameters
    ----------
    shortlist
        Ids of the confirmed runs, best first; so are the answers.
    agreement
        From two run ids to the ARI of their partitions.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(shortlist) < 2:
        return dict.fromkeys(shortlist, 0)
    distances = [1 - agreement(first, second) for first, second in combinations(shortlist, 2)]
    tree = linkage(np.clip(distances, 0, None), "average")
    groups = fcluster(tree, 1 - SAME_ANSWER, "distance")
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return {run: numbers[group] for run, group in zip(shortlist, groups, strict=True)}


def rank_confirmed(confirmed: pd.DataFrame, refits: Mapping[str, Matrix]) -> pd.DataFrame:
    """Rank confirmed runs by the share of weightings won, with an interval of each place.

    Parameters
    ----------
    confirmed
        Rows of the runs table that may be recommended.
    refits
        By run, its ARI in each refitted draw: the draws are resampled for the interval.

    Returns
    -------
    DataFrame
        ``pareto``, ``weight_share``, ``rank``, ``rank_low`` and ``rank_high`` (5% and 95% of the
        places), by index.
    """
    import pandas as pd

    # No value: the last place in that criterion.
    values = confirmed[list(CRITERIA)].astype(float).fillna(-np.inf).to_numpy()
    ranks = _ranks(values)
    shares = weight_shares(ranks)
    ranking = pd.DataFrame(
        {"pareto": pareto_front(values), "weight_share": shares}, index=confirmed.index
    )
    ranking["rank"] = _places(ranks, shares)
    places = _resampled_places(values, np.stack([refits[run] for run in confirmed["run"]]))
    limits = np.quantile(places, [0.05, 0.95], axis=0, method="nearest").astype(int)
    ranking["rank_low"], ranking["rank_high"] = limits
    return ranking


def _ranks(values: Matrix) -> Matrix:
    """Return each run's rank in each criterion: 1 is best, ties share their mean."""
    import pandas as pd

    return pd.DataFrame(values).rank(ascending=False, method="average").to_numpy()


def _places(ranks: Matrix, shares: Matrix) -> NDArray[np.int64]:
    order = np.lexsort((ranks.mean(axis=1), -shares))
    places = np.empty(len(order), dtype=int)
    places[order] = np.arange(1, len(order) + 1)
    return places


def _resampled_places(values: Matrix, refits: Matrix) -> NDArray[np.int64]:
    """Return the runs' places in each resample of the refitted draws, shape (RESAMPLES, n)."""
    # A fixed seed: the interval is part of the result.
    rng = np.random.default_rng(0)
    draws = refits.shape[1]
    places = []
    for _ in range(RESAMPLES):
        means = _row_means(refits[:, rng.integers(0, draws, draws)])
        resampled = values.copy()
        # An ARI is at least -1: a run without any value comes last.
        resampled[:, CRITERIA.index("stability_ari_refit")] = np.nan_to_num(means, nan=-1.0)
        ranks = _ranks(resampled)
        places.append(_places(ranks, weight_shares(ranks)))
    return np.array(places)


def _row_means(values: Matrix) -> Matrix:
    counts = (~np.isnan(values)).sum(axis=1)
    return np.where(counts, np.nansum(values, axis=1) / np.maximum(counts, 1), np.nan)
