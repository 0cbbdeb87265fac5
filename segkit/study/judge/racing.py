"""Racing: which runs can still reach the shortlist, after some of the draws of the stability screen.

Draws go on only for runs that can. A run is given up when, at the stated confidence, enough runs
stay ahead of it whatever its remaining draws say; which ones follows from how the shortlist is
chosen (`ranking.shortlist`): the Pareto front first, then the best of each number of clusters in
turn. The idea of dropping what has certainly lost is that of Hoeffding races (Maron and Moore
1994); the bounds here are Student's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from segkit.study.judge.ranking import STABILITY, criteria

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from segkit.study.plan.planner import Plan, RunPlan

FIRST_DRAWS = 5


def schedule(draws: int) -> list[int]:
    """Return after how many draws the race is looked at: 5, 10, 20, ... and all of them."""
    steps, step = [], FIRST_DRAWS
    while step < draws:
        steps.append(step)
        step *= 2
    return [*steps, draws]


def bounds(
    mean: np.ndarray, sd: np.ndarray, count: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return between what each mean lies, by Student's t; where there are fewer than two draws, anywhere from -1 to 1.

    A few draws may agree by chance, to the last digit even, so a run's variance counts as no less
    than what it is with one draw more that has the mean variance of all runs.

    Parameters
    ----------
    mean, sd, count : arrays of shape (n,)
        Of each run's adjusted Rand indices over its draws so far.
    confidence : float
        Of each interval, in (0, 1).
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
    plan: Plan, going: Sequence[RunPlan], draws: int, done: Mapping[str, tuple[int, str]]
) -> tuple[Plan, dict[str, tuple[int, str]]]:
    """Let some runs of a plan have more draws.

    Parameters
    ----------
    plan
        The study's plan, with its planner.
    going
        Runs of it.
    draws
        How many draws they shall have.
    done
        By run: how many draws it has, and the key of their stage.

    Returns
    -------
    plan
        With the further stability stages.
    done
        The same for the runs that go on.
    """
    planner = plan.planner
    further = {}
    for run in going:
        world = planner.world(run.groups["data"])
        key = planner.stability(world, run.stages, run.groups, draws, before=done.get(run.id))
        further[run.id] = (draws, key)
    runs = tuple(
        (
            replace(run, stages={**run.stages, "stability": further[run.id][1]})
            if run.id in further
            else run
        )
        for run in plan.runs
    )
    # Only stages of the runs: the planner may know others.
    nodes = {**plan.nodes, **{key: planner.nodes[key] for _, key in further.values()}}
    return replace(plan, runs=runs, nodes=nodes), further


def racing_view(
    runs: pd.DataFrame, partitions: Mapping[str, str], confidence: float
) -> pd.DataFrame:
    """Return what `contenders` looks at, from the runs table and what is the same for runs with the same partition."""
    import pandas as pd

    settled = {name: higher for name, higher in criteria().items() if name != STABILITY}
    view = pd.DataFrame(
        {"partition": runs["run"].map(partitions), "n_clusters": runs["n_clusters"].astype(int)}
    )
    for name, higher in settled.items():
        view[f"score:{name}"] = runs[name].astype(float) * (1 if higher else -1)
    mean, sd = (
        runs[name].to_numpy(float, na_value=float("nan")) for name in (STABILITY, f"{STABILITY}_sd")
    )
    count = runs["stability_draws_valid"].fillna(0).to_numpy(int)
    view["low"], view["high"] = bounds(mean, sd, count, confidence)
    draws = runs["stability_draws"].fillna(0).to_numpy(int)
    # A run that may yet miss the gate of half of the draws may not stay ahead of anybody.
    view["low"] = view["low"].where(comes_back(count, draws, confidence), -1.0)
    return view


def comes_back(valid: np.ndarray, draws: np.ndarray, confidence: float) -> np.ndarray:
    """Tell which runs' segments come back in at least half of all draws, at a confidence (Clopper and Pearson 1934).

    Parameters
    ----------
    valid, draws : arrays of shape (n,)
        In how many of the draws so far each run's segments came back.
    confidence : float
        In (0, 1), one-sided.
    """
    import numpy as np
    from scipy.stats import beta

    least = beta.ppf(1 - confidence, np.maximum(valid, 1), draws - valid + 1)
    return (valid > 0) & (least >= 0.5)


def at_best(runs: pd.DataFrame, draws: int) -> pd.DataFrame:
    """Return a runs table as if all draws that are yet to come had a value: what its gates say then is settled."""
    valid, done = (runs[f"stability_draws{end}"].fillna(0).astype(int) for end in ("_valid", ""))
    told = {"stability_draws": draws, "stability_draws_valid": valid + (draws - done)}
    return runs.assign(stability_ari=runs["stability_ari"].fillna(0.0), **told)


def contenders(runs: pd.DataFrame, size: int) -> np.ndarray:
    """Mark the runs that can still be among the first `size` of the shortlist.

    Parameters
    ----------
    runs
        Runs that pass the gates: ``partition`` (the same for runs with the same partition),
        ``n_clusters``, ``scores`` columns (higher is better) that are settled, and ``low`` and
        ``high``, between what the stability lies.
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

    scores = runs[[name for name in runs if name.startswith("score:")]].to_numpy(float)
    low, high = runs["low"].to_numpy(float), runs["high"].to_numpy(float)
    k = runs["n_clusters"].to_numpy()
    partition = runs["partition"].astype("category").cat.codes.to_numpy()
    dominated = [_beaten(scores, low, high, partition, i) for i in range(len(runs))]
    lost = np.array([len(others) > 0 for others in dominated])
    distinct = {value: len(np.unique(partition[k == value])) for value in np.unique(k)}
    # A partition with a run that may be on the front takes no turn.
    waiting = lost & ~np.isin(partition, partition[~lost])
    found = np.ones(len(runs), dtype=bool)
    for i in np.flatnonzero(lost):
        same = dominated[i][k[dominated[i]] == k[i]]
        ahead = len(np.unique(partition[same]))
        turn = len(np.unique(partition[same[waiting[same]]]))
        ahead += sum(min(turn, count) for value, count in distinct.items() if value != k[i])
        found[i] = ahead < size
    return found


def _beaten(
    scores: np.ndarray, low: np.ndarray, high: np.ndarray, partition: np.ndarray, i: int
) -> np.ndarray:
    """Return the runs of other partitions that certainly dominate run i."""
    import numpy as np

    at_least = (scores >= scores[i]).all(axis=1) & (low >= high[i])
    better = (scores > scores[i]).any(axis=1) | (low > high[i])
    return np.flatnonzero(at_least & better & (partition != partition[i]))
