from __future__ import annotations

import numpy as np
import pandas as pd

from segkit.segments.detailed_runs import (
    SAME_PARTITION,
    by_place,
    detailed_runs,
    with_same_scores,
)


def runs_of(n: int = 40, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    runs = pd.DataFrame(
        {
            "run": [f"r{i:02d}" for i in range(n)],
            "status": "ok",
            "rank": pd.array([*range(1, n // 2 + 1), *[pd.NA] * (n - n // 2)], dtype="Int64"),
            "silhouette_reference": rng.normal(size=n).round(1),
            "projection": "none",
            "clusterer": "kmeans",
        }
    )
    runs.loc[[n - 1, n - 2], "projection"] = "umap"
    runs.loc[[n - 3], "clusterer"] = "dbscan"
    return runs.sample(frac=1, random_state=seed)


def test_runs_are_placed_by_rank_then_silhouette_then_id():
    runs = runs_of()
    runs.loc[runs["run"] == "r05", "status"] = "failed"
    order = by_place(runs)
    assert order["run"].tolist()[:19] == [f"r{i:02d}" for i in range(20) if i != 5]
    rest = order.iloc[19:]
    assert rest["silhouette_reference"].is_monotonic_decreasing
    for _, ties in rest.groupby("silhouette_reference"):
        assert ties["run"].is_monotonic_increasing


def test_every_kind_of_run_is_on_it_and_the_order_is_by_place():
    runs = runs_of()
    chosen = detailed_runs(runs, 10)
    kinds = runs.set_index("run").loc[chosen, ["projection", "clusterer"]].drop_duplicates()
    assert len(kinds) == 3
    assert chosen[:7] == [f"r{i:02d}" for i in range(7)]
    place = {run: i for i, run in enumerate(by_place(runs)["run"])}
    assert chosen == sorted(chosen, key=place.get)
    assert len(chosen) == 10


def test_the_best_run_comes_first_wherever_it_is_placed():
    runs = runs_of()
    assert detailed_runs(runs, 5, best="r30")[0] == "r30"
    assert detailed_runs(runs, 1, best="r30") == ["r30"]
    assert detailed_runs(runs, 5, best="gone")[0] == "r00"


def test_a_shorter_list_is_part_of_a_longer_one():
    for seed in range(5):
        runs = runs_of(60, seed)
        rng = np.random.default_rng(seed)
        runs["clusterer"] = rng.choice(list("abcdefghij"), 60)
        longer = set(runs["run"])
        for most in range(60, -1, -1):
            chosen = detailed_runs(runs, most, best="r07")
            assert len(chosen) == most
            assert set(chosen) <= longer
            longer = set(chosen)


def test_kinds_take_half_of_the_places_at_most():
    runs = runs_of()
    runs["clusterer"] = runs["run"]
    assert detailed_runs(runs, 8) == [f"r{i:02d}" for i in range(8)]


def test_runs_are_chosen_among_those_given():
    runs = runs_of()
    assert detailed_runs(runs, 60, among=["r03", "r39", "other"]) == ["r03", "r39"]
    assert detailed_runs(runs, 60, among=[]) == []
    assert detailed_runs(runs.iloc[:0], 60) == []


def test_runs_with_the_same_scores_take_one_place_and_come_along():
    runs = runs_of()
    for name in SAME_PARTITION:
        runs[name] = runs["run"].str[1:].astype(float)
    same = runs["run"].isin(["r02", "r04", "r33"])
    runs.loc[same, list(SAME_PARTITION)] = 0.1 + 0.2
    runs.loc[runs["run"].isin(["r05", "r06"]), list(SAME_PARTITION)] = np.nan
    chosen = detailed_runs(runs, 9)
    assert [run for run in ("r02", "r04", "r05", "r06") if run in chosen] == ["r02", "r05", "r06"]
    assert set(with_same_scores(runs, chosen)) - set(chosen) == {"r04", "r33"}
    runs.loc[runs["run"] == "r04", "smallest_cluster"] = 0.3
    assert "r04" in detailed_runs(runs, 9)
