from __future__ import annotations

import numpy as np
import pandas as pd

from segkit.segments.shortlist import ALIKE, alike, placed, shortlisted


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
    order = placed(runs)
    assert order["run"].tolist()[:19] == [f"r{i:02d}" for i in range(20) if i != 5]
    rest = order.iloc[19:]
    assert rest["silhouette_reference"].is_monotonic_decreasing
    for _, ties in rest.groupby("silhouette_reference"):
        assert ties["run"].is_monotonic_increasing


def test_every_kind_of_run_is_on_it_and_the_order_is_by_place():
    runs = runs_of()
    found = shortlisted(runs, 10)
    kinds = runs.set_index("run").loc[found, ["projection", "clusterer"]].drop_duplicates()
    assert len(kinds) == 3
    assert found[:7] == [f"r{i:02d}" for i in range(7)]
    place = {run: i for i, run in enumerate(placed(runs)["run"])}
    assert found == sorted(found, key=place.get)
    assert len(found) == 10


def test_the_best_run_comes_first_wherever_it_is_placed():
    runs = runs_of()
    assert shortlisted(runs, 5, best="r30")[0] == "r30"
    assert shortlisted(runs, 1, best="r30") == ["r30"]
    assert shortlisted(runs, 5, best="gone")[0] == "r00"


def test_a_shorter_list_is_part_of_a_longer_one():
    for seed in range(5):
        runs = runs_of(60, seed)
        rng = np.random.default_rng(seed)
        runs["clusterer"] = rng.choice(list("abcdefghij"), 60)
        longer = set(runs["run"])
        for most in range(60, -1, -1):
            found = shortlisted(runs, most, best="r07")
            assert len(found) == most
            assert set(found) <= longer
            longer = set(found)


def test_kinds_take_half_of_the_places_at_most():
    runs = runs_of()
    runs["clusterer"] = runs["run"]
    assert shortlisted(runs, 8) == [f"r{i:02d}" for i in range(8)]


def test_only_runs_that_can_be_looked_at():
    runs = runs_of()
    assert shortlisted(runs, 60, among=["r03", "r39", "other"]) == ["r03", "r39"]
    assert shortlisted(runs, 60, among=[]) == []
    assert shortlisted(runs.iloc[:0], 60) == []


def test_runs_with_the_same_scores_take_one_place_and_come_along():
    runs = runs_of()
    for name in ALIKE:
        runs[name] = runs["run"].str[1:].astype(float)
    same = runs["run"].isin(["r02", "r04", "r33"])
    runs.loc[same, list(ALIKE)] = 0.1 + 0.2
    runs.loc[runs["run"].isin(["r05", "r06"]), list(ALIKE)] = np.nan
    found = shortlisted(runs, 9)
    assert [run for run in ("r02", "r04", "r05", "r06") if run in found] == ["r02", "r05", "r06"]
    assert set(alike(runs, found)) - set(found) == {"r04", "r33"}
    runs.loc[runs["run"] == "r04", "smallest_cluster"] = 0.3
    assert "r04" in shortlisted(runs, 9)
