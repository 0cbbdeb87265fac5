"""Gates, Pareto front and weightings against small cases worked out by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from segkit.study.judge.ranking import (
    gate_values,
    pareto_front,
    rank_runs,
    recommend,
    simplex,
    weight_shares,
)

GATES = {"coverage": 0.7, "smallest_cluster": 0.01, "clusters": [2, 12]}


def runs(**columns):
    size = len(next(iter(columns.values())))
    plain = {
        "run": [f"{index:012x}" for index in range(size)],
        "status": ["ok"] * size,
        "n_clusters": [3] * size,
        "noise_fraction": [0.0] * size,
        "smallest_cluster": [0.2] * size,
        "silhouette_reference": np.linspace(0.1, 0.2, size),
        "davies_bouldin_reference": [1.0] * size,
        "stability_ari": [0.9] * size,
    }
    return pd.DataFrame(plain | columns)


def test_each_gate_turns_away_what_misses_its_bar():
    table = runs(
        status=["ok", "failed", "ok", "ok", "ok", "ok", "ok"],
        noise_fraction=[0.3, 0.0, 0.31, 0.0, 0.0, 0.0, 0.0],
        smallest_cluster=[0.01, 0.2, 0.2, 0.0099, 0.2, 0.2, 0.2],
        n_clusters=[12, 3, 3, 3, 13, 1, 3],
        stability_ari=[0.9, 0.9, 0.9, 0.9, 0.9, 0.9, np.nan],
    )
    passed = gate_values(table, GATES)
    assert passed.all(axis=1).tolist() == [True] + [False] * 6
    failing = {
        1: "status",
        2: "coverage",
        3: "smallest_cluster",
        4: "clusters",
        5: "clusters",
        6: "scores",
    }
    assert {row: passed.columns[~passed.loc[row]].item() for row in failing} == failing


def test_pareto_front_against_the_definition():
    values = np.random.default_rng(3).integers(0, 5, size=(60, 3)).astype(float)
    expected = [
        not any((other >= row).all() and (other > row).any() for other in values) for row in values
    ]
    assert pareto_front(values).tolist() == expected


@pytest.mark.parametrize("steps", [2, 4, 1000])
def test_pareto_front_with_equal_rows_and_missing_values(steps):
    rng = np.random.default_rng(steps)
    values = np.round(rng.random((120, 2)) * steps) / steps
    values[rng.random(values.shape) < 0.05] = np.nan
    values = np.vstack([values, values[:20]])
    expected = [
        not any((other >= row).all() and (other > row).any() for other in values) for row in values
    ]
    assert pareto_front(values).tolist() == expected
    assert len(pareto_front(values[:0])) == 0


def test_the_simplex_is_even_and_complete():
    lattice = simplex(3, steps=10)
    assert len(lattice) == 66
    np.testing.assert_allclose(lattice.sum(axis=1), 1)
    np.testing.assert_allclose(lattice.mean(axis=0), 1 / 3)


def test_weight_shares_against_one_weighting_at_a_time():
    ranks = pd.DataFrame(np.random.default_rng(5).integers(0, 9, size=(40, 3))).rank().to_numpy()
    wins = [
        np.isclose(totals, totals.min(), rtol=0, atol=1e-9)
        for totals in (ranks @ w for w in simplex(3))
    ]
    np.testing.assert_array_equal(weight_shares(ranks), np.mean(wins, axis=0))


def test_weight_shares_of_two_criteria_have_a_closed_form():
    # Weight w on the first: run 0 totals w + 3(1 - w), run 1 totals 2, run 2 totals 3w + (1 - w):
    # all tie at 1/2.
    shares = weight_shares(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]))
    np.testing.assert_allclose(shares, [51 / 101, 1 / 101, 51 / 101])


def test_runs_with_the_same_partition_do_not_take_from_each_other():
    alone = weight_shares(np.array([[1.0, 2.0], [2.0, 1.0]]))
    twice = weight_shares(np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0]]))
    assert alone.tolist() == [51 / 101, 51 / 101]
    assert twice.tolist() == [51 / 101, 51 / 101, 51 / 101]


def test_a_dominating_run_wins_every_weighting():
    table = runs(
        silhouette_reference=[0.1, 0.5, 0.2],
        davies_bouldin_reference=[2.0, 0.5, 1.0],
        stability_ari=[0.5, 0.9, 0.6],
    )
    ranked = rank_runs(table, GATES)
    assert ranked["weight_share"].tolist() == [0, 1, 0]
    assert ranked["rank"].tolist() == [3, 1, 2]
    assert ranked["pareto"].tolist() == [False, True, False]


def test_the_recommendation_says_value_bar_and_place_and_finds_another_answer_as_runner_up():
    table = runs(silhouette_reference=[0.5, 0.4, 0.3], davies_bouldin_reference=[0.5, 1.0, 2.0])
    table = table.join(rank_runs(table, GATES))
    agreement = {(table["run"][0], table["run"][1]): 1.0, (table["run"][0], table["run"][2]): 0.4}
    recommendation = recommend(table, GATES, lambda a, b: agreement[a, b])
    assert recommendation["run"] == table["run"][0]
    assert recommendation["verdict"] == "screened_only"
    assert recommendation["runner_up"] == {"run": table["run"][2], "ari_to_recommended": 0.4}
    assert {"gate": "coverage", "value": 1.0, "bar": 0.7, "passed": True} in recommendation[
        "reasons"
    ]
    assert {
        "criterion": "silhouette_reference",
        "value": 0.5,
        "place": 1,
        "of": 3,
    } in recommendation["reasons"]


@pytest.mark.parametrize(
    "table", [runs(n_clusters=[1, 1]), runs(status=["failed"] * 2), runs(n_clusters=[3]).iloc[:0]]
)
def test_nothing_eligible_recommends_nothing(table):
    table = table.join(rank_runs(table, GATES))
    recommendation = recommend(table, GATES, lambda a, b: 1.0)
    assert recommendation["run"] is None
    assert recommendation["verdict"] == "nothing_eligible"


def test_a_run_whose_segments_vanish_in_most_draws_is_not_eligible_however_well_the_others_agree():
    table = runs(stability_draws=[20, 20, 20, None], stability_draws_valid=[20, 10, 9, None])
    assert gate_values(table, GATES)["scores"].tolist() == [True, True, False, True]
