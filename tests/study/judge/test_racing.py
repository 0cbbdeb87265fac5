"""Racing: no run that the whole screen would put on the shortlist is given up while the bounds
hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from segkit.progress import Silent
from segkit.study.compose import compose_study
from segkit.study.judge.racing import at_best, bounds, comes_back, contenders, schedule
from segkit.study.judge.ranking import _vanished, criteria, rank_runs, shortlist
from segkit.study.keep.reader import Study
from segkit.study.reproduce import reproduce
from segkit.study.run.preparation import prepare
from segkit.study.sweep import launch

GATES = {"coverage": 0.5, "smallest_cluster": 0.0, "clusters": [2, 12]}


def table(rng, n, ks=4):
    """A runs table with settled scores and true stabilities."""
    quality = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "run": [f"{i:012x}" for i in range(n)],
            "status": "ok",
            "noise_fraction": 0.0,
            "smallest_cluster": 0.2,
            "n_clusters": rng.integers(2, 2 + ks, n),
            "silhouette_reference": 0.3 + 0.1 * quality + 0.05 * rng.normal(size=n),
            "davies_bouldin_reference": 1.5 - 0.3 * quality + 0.2 * rng.normal(size=n),
            "stability_ari": np.clip(0.6 + 0.2 * quality + 0.2 * rng.normal(size=n), 0, 1),
        }
    )
    # Some runs have the partition of another.
    copies = rng.integers(0, n, n // 10)
    frame.loc[frame.index[-len(copies) :], frame.columns[4:]] = frame.loc[
        copies, frame.columns[4:]
    ].to_numpy()
    frame["partition"] = frame["silhouette_reference"].astype(str) + frame["n_clusters"].astype(str)
    return frame.astype({"n_clusters": int})


def racing_view(frame, width, rng):
    """What is known half way: bounds around the true stability."""
    half = width * rng.random(len(frame))
    view = frame[["partition", "n_clusters"]].copy()
    view["score:silhouette"] = frame["silhouette_reference"].astype(float)
    view["score:davies_bouldin"] = -frame["davies_bouldin_reference"].astype(float)
    view["low"], view["high"] = (
        frame["stability_ari"] - half,
        frame["stability_ari"] + half * rng.random(len(frame)),
    )
    return view


@pytest.mark.parametrize("seed", range(25))
def test_the_shortlist_of_the_whole_screen_is_among_the_contenders(seed):
    rng = np.random.default_rng(seed)
    frame = table(rng, 160, ks=int(rng.integers(1, 6)))
    size = int(rng.integers(1, 25))
    ranked = frame.join(rank_runs(frame, GATES)[["rank", "pareto", "weight_share"]])
    chosen = shortlist(ranked, dict(zip(frame["run"], frame["partition"], strict=True)), size)
    able = contenders(racing_view(frame, rng.choice([0.0, 0.05, 0.3]), rng), size)
    # Of runs with the same partition any may stand for the others.
    partitions = set(frame.loc[able, "partition"])
    assert {frame.set_index("run").loc[run, "partition"] for run in chosen} <= partitions


def test_many_runs_are_given_up_when_bounds_are_narrow():
    rng = np.random.default_rng(0)
    frame = table(rng, 400)
    assert contenders(racing_view(frame, 0.02, rng), 5).mean() < 0.4
    assert contenders(racing_view(frame, 0.0, rng).assign(low=-1.0, high=1.0), 5).all()


def test_a_run_that_nobody_beats_goes_on():
    view = pd.DataFrame(
        {
            "partition": ["a", "b"],
            "n_clusters": [3, 3],
            "score:x": [1.0, 0.0],
            "low": 0.5,
            "high": 0.9,
        }
    )
    assert contenders(view, 1).all()
    view["low"] = [0.95, 0.5]
    view["high"] = [1.0, 0.9]
    assert contenders(view, 1).tolist() == [True, False]
    assert contenders(view, 2).all()


def test_a_copy_of_a_run_does_not_beat_it():
    view = pd.DataFrame(
        {
            "partition": ["a", "a"],
            "n_clusters": 3,
            "score:x": 1.0,
            "low": [0.9, 0.2],
            "high": [1.0, 0.5],
        }
    )
    assert contenders(view, 1).all()


def test_the_bounds_of_runs_that_spread_alike_are_those_of_the_t_test():
    values = np.random.default_rng(1).normal(0.1, 0.1, size=8) + np.array([[0.0], [0.2], [0.5]])
    low, high = bounds(values.mean(axis=1), values.std(axis=1, ddof=1), np.full(3, 8), 0.9)
    for row, one, other in zip(values, low, high, strict=True):
        expected = ttest_1samp(row, 0).confidence_interval(0.9)
        assert (one, other) == pytest.approx((expected.low, expected.high))


def test_one_draw_bounds_nothing():
    low, high = bounds(np.array([0.7, np.nan]), np.array([0.0, np.nan]), np.array([1, 0]), 0.95)
    assert low.tolist() == [-1, -1]
    assert high.tolist() == [1, 1]


def test_draws_that_agree_by_chance_leave_a_run_uncertain():
    low, high = bounds(np.array([0.9, 0.6]), np.array([0.0, 0.1]), np.array([5, 5]), 0.95)
    assert low[0] < 0.9 < high[0]
    assert high[0] - low[0] < high[1] - low[1]
    low, high = bounds(np.array([0.9, 0.6]), np.array([0.0, 0.0]), np.array([5, 5]), 0.95)
    assert low.tolist() == high.tolist() == [0.9, 0.6]


def test_the_race_is_looked_at_after_twice_as_many_draws_each_time():
    assert schedule(20) == [5, 10, 20]
    assert schedule(30) == [5, 10, 20, 30]
    assert schedule(4) == [4]


def test_the_scores_of_the_race_are_those_that_choose():
    assert set(criteria()) == {"silhouette_reference", "davies_bouldin_reference", "stability_ari"}


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The same study without and with a race, each with a store of its own; the race also
    launched again."""
    root = tmp_path_factory.mktemp("racing")

    def study(name, store, *lines):
        places = [
            f"store={root / store}",
            f"hydra.sweep.dir={root / name}",
            "engine=inline",
            "scoring.confirm=false",
        ]
        asked = [
            "data.n=250",
            "scaler=standard,minmax",
            "projection=none,pca",
            "clusterer=kmeans,agglomerative",
        ]
        asked += [
            "clusterer.n_clusters=range(2,9)",
            "scoring.draws=20",
            "scoring.shortlist=4",
            *places,
            *lines,
        ]
        return launch(prepare(compose_study(asked)), ["segkit"], Silent())

    return (
        study("plain", "one"),
        study("race", "two", "scoring.racing=true"),
        study("again", "two", "scoring.racing=true"),
    )


def test_a_race_stops_some_runs_early_and_says_after_how_many_draws(studies):
    plain, race, _ = studies
    draws = race.runs.set_index("run")["stability_draws"]
    assert (plain.runs["stability_draws"] == 20).all()
    assert set(draws) <= {0, 5, 10, 20}
    assert (draws == 20).any()
    assert (draws < 20).any()
    assert (
        race.runs.loc[race.runs["stability_draws"] == 0, "stability_status"] == "not_drawn"
    ).all()


def test_a_run_that_ran_to_the_end_has_the_same_stability_as_without_a_race(studies):
    plain, race, _ = (study.runs.set_index("run") for study in studies)
    ended = race.index[race["stability_draws"] == 20]
    columns = [
        name for name in race if name.startswith("stability") or name in ("dissolved", "recovered")
    ]
    pd.testing.assert_frame_equal(race.loc[ended, columns], plain.loc[ended, columns])


def test_the_shortlist_is_of_the_same_runs(studies):
    plain, race, _ = (study.runs for study in studies)
    alone = {run: run for run in plain["run"]}
    # Their order may differ: places count the runs that were given up, by what is known of them.
    assert set(shortlist(plain, alone, 4)) == set(shortlist(race, alone, 4))


def test_a_race_launched_again_computes_nothing(studies):
    _, race, again = studies
    pd.testing.assert_frame_equal(race.runs, again.runs)


def test_a_run_that_was_given_up_is_reproduced_with_the_draws_that_it_had(studies):
    race = studies[1]
    run = race.runs.loc[race.runs["stability_draws"] == 5, "run"].iloc[0]
    assert reproduce(Study(race.folder), run).verdict == "exact"


def test_a_partition_with_a_run_on_the_front_takes_no_turn():
    view = pd.DataFrame(
        [
            ("P", 3, 0.5, 0.95),
            ("P", 3, 0.5, 0.65),
            ("B", 5, 0.5, 0.715),
            ("Q", 3, 0.3, 0.45),
            ("R", 4, 0.1, 0.15),
        ],
        columns=["partition", "n_clusters", "score:x", "stability"],
    )
    view = view.assign(low=view["stability"] - 0.005, high=view["stability"] + 0.005)
    # The shortlist of three: the front's P, then B of five and Q of three clusters in turn.
    assert contenders(view, 3)[3]


def race_of(valid, draws, of=20):
    rows = {
        "stability_draws_valid": valid,
        "stability_draws": draws,
        "stability_ari": [0.9] * len(valid),
    }
    return at_best(pd.DataFrame(rows, dtype="Float64"), of)


def test_a_run_is_not_lost_whose_segments_may_still_come_back_in_half_of_the_draws():
    best = race_of([1, 0, 3, 2, 10], [5, 5, 10, 10, 20])
    assert best["stability_draws_valid"].tolist() == [16, 15, 13, 12, 10]
    assert not _vanished(best).any()
    assert _vanished(race_of([1], [12])).tolist() == [True]
    assert race_of([0], [0])["stability_draws_valid"].tolist() == [20]


def test_a_run_that_may_miss_the_gate_keeps_nobody_from_the_shortlist():
    sure = comes_back(np.array([5, 4, 10, 6, 0, 20]), np.array([5, 5, 10, 10, 0, 20]), 0.95)
    assert sure.tolist() == [True, False, True, False, False, True]
    rng = np.random.default_rng(0)
    for share in (0.3, 0.45, 0.5):
        valid = rng.binomial(10, share, 4000)
        assert comes_back(valid, np.full(4000, 10), 0.95).mean() <= 0.05
