"""Racing: which runs can still reach the shortlist, after some draws of the stability screen.

Draws go on only for runs that can. A run is given up when, at the stated confidence, enough runs
stay ahead of it whatever its remaining draws say; which ones follows from how the shortlist is
chosen (`ranking.shortlist`): the Pareto front first, then the best of each number of clusters in
turn. The idea of dropping what has certainly lost is that of Hoeffding races (Maron and Moore
1994); the bounds here are Student's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from segkit.study.judge.ranking import STABILITY, criteria, gate_values
from segkit.study.plan.planner import Plan, RunPlan

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Counts = NDArray[np.int64]
    Mask = NDArray[np.bool_]

FIRST_DRAWS = 5


def schedule(draws: int) -> list[int]:
    """Return after how many draws runs may be given up: 5, 10, 20, ... and all of them."""
    steps, step = [], FIRST_DRAWS
    while step < draws:
        steps.append(step)
        step *= 2
    return [*steps, draws]


def bounds(mean: Values, sd: Values, count: Counts, confidence: float) -> tuple[Values, Values]:
    """Return the limits of a confidence interval (Student's t) of each run's mean.

    A few draws may agree by chance, to the last digit even. So a run's variance is taken to be no
    less than with one draw more, whose variance is the mean over all runs.

    Parameters
    ----------
    mean, sd, count : arrays of shape (n,)
        Of each run's adjusted Rand indices over its draws so far.
    confidence : float
        Of each interval, in (0, 1).

    Returns
    -------
    low, high : arrays of shape (n,)
        From -1 to 1, which they are for a run with fewer than two draws.
    """
    import numpy as np
    from scipy.stats import t

    known = count > 1
    own, draws = sd[known] ** 2, count[known]
    variance = np.maximum(own, ((draws - 1) * own + (own.mean() if len(own) else 0.0)) / draws)
    half = np.full(len(mean), np.inf)
    half[known] = t.ppf((1 + confidence) / 2, draws - 1) * np.sqrt(variance / draws)
    middle = np.where(np.isfinite(mean), mean, 0.0)
    return np.clip(middle - half, -1, 1), np.clip(middle + half, -1, 1)


def drawn_further(
    plan: Plan, racing: Sequence[RunPlan], draws: int, done: Mapping[str, tuple[int, str]]
) -> tuple[Plan, dict[str, tuple[int, str]]]:
    """Plan more draws for the runs that are still racing.

    Parameters
    ----------
    plan
        The study's plan, with its planner.
    racing
        Runs of it.
    draws
        How many draws they get in all.
    done
        By run: how many draws it has, and the key of their stage.

    Returns
    -------
    plan
        With the further stability stages.
    done
        The same for the racing runs.
    """
    planner = plan.planner
    further = {}
    for run in racing:
        world = planner.world(run.groups["data"])
        key = planner.stability(world, run.stages, run.groups, draws, before=done.get(run.id))
        further[run.id] = (draws, key)
    runs = []
    for run in plan.runs:
        if run.id in further:
            _, key = further[run.id]
            run = replace(run, stages={**run.stages, "stability": key})
        runs.append(run)
    # Only stages of the runs: the planner may know others.
    nodes = {**plan.nodes, **{key: planner.nodes[key] for _, key in further.values()}}
    return replace(plan, runs=tuple(runs), nodes=nodes), further


def still_racing(
    runs: pd.DataFrame, partition_of: Callable[[str], str], scoring: Mapping[str, Any]
) -> list[str]:
    """Return the ids of the runs that can still reach the shortlist.

    Parameters
    ----------
    runs
        The runs table so far.
    partition_of
        From a run's id to a text that runs with the same partition share.
    scoring
        The study's ``scoring`` settings.
    """
    eligible = gate_values(at_best(runs, scoring["draws"]), scoring["gates"]).all(axis=1)
    runs = runs[eligible]
    partitions = {run: partition_of(run) for run in runs["run"]}
    view = racing_view(runs, partitions, scoring["racing_confidence"])
    return runs.loc[contenders(view, scoring["shortlist"]), "run"].tolist()


def racing_view(
    runs: pd.DataFrame, partitions: Mapping[str, str], confidence: float
) -> pd.DataFrame:
    """Return the table that `contenders` takes.

    Parameters
    ----------
    runs
        Rows of the runs table.
    partitions
        By run: a text that runs with the same partition share.
    confidence
        Of the limits of each run's stability, in (0, 1).
    """
    import pandas as pd

    settled = {name: higher for name, higher in criteria().items() if name != STABILITY}
    view = pd.DataFrame(
        {"partition": runs["run"].map(partitions), "n_clusters": runs["n_clusters"].astype(int)}
    )
    for name, higher in settled.items():
        view[f"score:{name}"] = runs[name].astype(float) * (1 if higher else -1)
    mean = runs[STABILITY].to_numpy(float, na_value=float("nan"))
    sd = runs[f"{STABILITY}_sd"].to_numpy(float, na_value=float("nan"))
    count = runs["stability_draws_valid"].fillna(0).to_numpy(int)
    view["low"], view["high"] = bounds(mean, sd, count, confidence)
    draws = runs["stability_draws"].fillna(0).to_numpy(int)
    # A run that may yet miss the gate of half of the draws may not stay ahead of anybody.
    view["low"] = view["low"].where(comes_back(count, draws, confidence), -1.0)
    return view


def comes_back(valid: Counts, draws: Counts, confidence: float) -> Mask:
    """Mark the runs whose segments certainly come back in at least half of all draws.

    At a confidence, by the limits of Clopper and Pearson (1934).

    Parameters
    ----------
    valid, draws : arrays of shape (n,)
        The number of draws so far in which each run's segments came back, and of all so far.
    confidence : float
        In (0, 1), one-sided.
    """
    import numpy as np
    from scipy.stats import beta

    least = beta.ppf(1 - confidence, np.maximum(valid, 1), draws - valid + 1)
    return (valid > 0) & (least >= 0.5)


def at_best(runs: pd.DataFrame, draws: int) -> pd.DataFrame:
    """Return a runs table as if the segments came back in all draws that are yet to come.

    A run that misses a gate even then is out for good.
    """
    valid = runs["stability_draws_valid"].fillna(0).astype(int)
    done = runs["stability_draws"].fillna(0).astype(int)
    return runs.assign(
        stability_ari=runs["stability_ari"].fillna(0.0),
        stability_draws=draws,
        stability_draws_valid=valid + (draws - done),
    )


def contenders(runs: pd.DataFrame, size: int) -> Mask:
    """Mark the runs that can still be among the first `size` of the shortlist.

    Parameters
    ----------
    runs
        Runs that pass the gates: ``partition`` (a text that runs with the same partition share),
        ``n_clusters``, ``score:<name>`` columns (higher is better) that are settled, and ``low``
        and ``high``, the limits of the stability.
    size
        How many runs are confirmed.

    Returns
    -------
    ndarray of bool, shape (n,)

    Notes
    -----
    A run that another certainly dominates is not on the Pareto front; all runs with its number of
    clusters that certainly dominate it come before it. If t partitions of those are certainly not
    on the front, its turn is at least t, and t runs of every other number of clusters (all, where
    there are fewer) come before it too.
    """
    import numpy as np

    settled = [name for name in runs.columns if name.startswith("score:")]
    scores = runs[settled].to_numpy(float)
    low, high = runs["low"].to_numpy(float), runs["high"].to_numpy(float)
    k = runs["n_clusters"].to_numpy()
    codes = runs["partition"].astype("category").cat.codes
    partition = np.asarray(codes, dtype=np.int64)
    dominated = [_beaten(scores, low, high, partition, i) for i in range(len(runs))]
    lost = np.array([len(others) > 0 for others in dominated])
    distinct = {value: len(np.unique(partition[k == value])) for value in np.unique(k)}
    # A partition with a run that may be on the front takes no turn.
    waiting = lost & ~np.isin(partition, partition[~lost])
    able = np.ones(len(runs), dtype=bool)
    for i in np.flatnonzero(lost):
        same = dominated[i][k[dominated[i]] == k[i]]
        ahead = len(np.unique(partition[same]))
        turn = len(np.unique(partition[same[waiting[same]]]))
        ahead += sum(min(turn, count) for value, count in distinct.items() if value != k[i])
        able[i] = ahead < size
    return able


def _beaten(scores: Values, low: Values, high: Values, partition: Counts, i: int) -> Counts:
    """Return the runs of other partitions that certainly dominate run i."""
    import numpy as np

    at_least = (scores >= scores[i]).all(axis=1) & (low >= high[i])
    better = (scores > scores[i]).any(axis=1) | (low > high[i])
    return np.flatnonzero(at_least & better & (partition != partition[i]))
