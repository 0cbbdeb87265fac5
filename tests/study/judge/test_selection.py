"""Which runs are confirmed and which spaces are drawn, on tables small enough to follow by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from segkit.study.judge.agreement import agreement_of
from segkit.study.judge.ranking import best_first
from segkit.study.judge.selection import MOST_EMBEDDINGS, runs_by_embedding, runs_to_confirm


def labels(*values: int | None) -> pd.Series:
    return pd.Series(values, dtype="Int64")


def ranked(*runs: str) -> pd.DataFrame:
    """Runs in the order of their ranks, all of them on the Pareto front."""
    ranks = pd.array(range(1, len(runs) + 1), dtype="Int64")
    return pd.DataFrame({"run": runs, "rank": ranks, "pareto": True, "n_clusters": 2})


def plan_of(run: str, projection: str | None) -> SimpleNamespace:
    stages = {"scaling": "scaling-1"} | ({"projection": projection} if projection else {})
    return SimpleNamespace(id=run, stages=stages)


def test_of_runs_with_the_same_labels_the_best_is_confirmed():
    partitions = pd.DataFrame(
        {"a": labels(0, 0, 1), "b": labels(0, 0, 1), "c": labels(0, 1, 1), "d": labels(0, 0, None)}
    )
    assert runs_to_confirm(ranked("a", "b", "c", "d"), partitions, 10) == ["a", "c", "d"]
    assert runs_to_confirm(ranked("b", "a", "c", "d"), partitions, 2) == ["b", "c"]


def test_a_run_without_labels_shares_them_with_none():
    partitions = pd.DataFrame({"a": labels(0, 1)})
    assert runs_to_confirm(ranked("a", "b", "c"), partitions, 10) == ["a", "b", "c"]


def test_runs_without_a_rank_are_not_confirmed():
    runs = ranked("a", "b")
    runs.loc[0, "rank"] = pd.NA
    partitions = pd.DataFrame({"a": labels(0, 1), "b": labels(0, 1)})
    assert runs_to_confirm(runs, partitions, 10) == ["b"]


def test_embeddings_come_in_the_order_of_their_best_runs_and_are_limited():
    runs = [
        plan_of("a", "pca-1"),
        plan_of("b", None),
        plan_of("c", "umap-1"),
        plan_of("d", "pca-1"),
    ]
    spaces = runs_by_embedding(runs)
    assert {space: [run.id for run in group] for space, group in spaces.items()} == {
        "pca-1": ["a", "d"],
        "umap-1": ["c"],
    }
    many = [plan_of(f"run{i}", f"pca-{i}") for i in range(MOST_EMBEDDINGS + 5)]
    assert list(runs_by_embedding(many)) == [f"pca-{i}" for i in range(MOST_EMBEDDINGS)]


def test_best_first_is_by_rank_then_by_silhouette_and_of_ok_runs_only():
    runs = pd.DataFrame(
        {
            "run": ["a", "b", "c", "d"],
            "status": ["ok", "ok", "ok", "failed"],
            "rank": pd.array([pd.NA, 1, pd.NA, pd.NA], dtype="Int64"),
            "silhouette_reference": [0.1, 0.2, 0.3, 0.9],
        }
    )
    assert best_first(runs) == ["b", "c", "a"]


def test_agreement_is_over_the_customers_that_both_runs_clustered():
    partitions = pd.DataFrame(
        {
            "a": labels(0, 0, 1, 1, None),
            "b": labels(1, 1, 0, 0, 0),
            "c": labels(None, None, None, None, 0),
        }
    )
    agreement = agreement_of(partitions)
    assert agreement("a", "b") == pytest.approx(1.0)
    assert agreement("a", "c") == 0.0
    assert agreement("a", "missing") == 0.0
