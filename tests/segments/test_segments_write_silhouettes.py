"""The silhouettes are those of scikit-learn in the reference space, of the runs in the report."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_samples

from segkit.progress import Silent
from segkit.segments.write_silhouettes import write_silhouettes
from segkit.study.compose import compose_study
from segkit.study.run.preparation import prepare
from segkit.study.run.store import Store
from segkit.study.sweep import launch


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("silhouettes")
    lines = [
        "data.n=160",
        "engine=inline",
        "scoring.draws=2",
        "scoring.confirm=false",
        "projection=none",
    ]
    lines += [
        "clusterer=kmeans,agglomerative",
        f"store={root / 'store'}",
        f"hydra.sweep.dir={root / 'study'}",
    ]
    return launch(prepare(compose_study(lines, None)), ["segkit"], Silent())


def written(finished, **options) -> pd.DataFrame:
    write_silhouettes(finished, **options)
    return pd.read_parquet(finished.folder / "silhouettes.parquet")


def test_they_are_the_recommended_runs_and_the_runner_ups(finished):
    recommendation = json.loads((finished.folder / "recommendation.json").read_text("utf-8"))
    table = written(finished)
    assert list(table) == ["id", "row", recommendation["run"], recommendation["runner_up"]["run"]]
    partitions = pd.read_parquet(finished.folder / "partitions.parquet")
    assert (table["id"] == partitions["id"][table["row"]].to_numpy()).all()
    runs = finished.runs.set_index("run")
    for run in list(table)[2:]:
        assert table[run].mean() == pytest.approx(runs.loc[run, "silhouette_reference"], abs=1e-12)
        by_plan = next(plan for plan in finished.plan.runs if plan.id == run)
        key = finished.plan.nodes[by_plan.stages["scoring:power"]].inputs["space"]
        space = Store(finished.folder.parent / "store").arrays(key)["matrix"]
        assert np.allclose(
            table[run], silhouette_samples(space, partitions[run].astype(int)), atol=1e-10
        )


def test_they_are_computed_once_and_again_when_the_stored_ones_are_broken(finished, monkeypatch):
    first = written(finished)
    with monkeypatch.context() as patched:
        patched.setattr("segkit.scoring.silhouette.silhouette_samples", None)
        pd.testing.assert_frame_equal(written(finished), first)
    stored = list((finished.folder.parent / "store" / "silhouettes").rglob("*.npz"))
    assert len(stored) >= 2
    for path in stored:
        path.write_bytes(b"broken")
    pd.testing.assert_frame_equal(written(finished), first)


def test_of_many_customers_some_are_drawn_and_always_the_same(finished):
    first, again = written(finished, most=50), written(finished, most=50)
    pd.testing.assert_frame_equal(first, again)
    assert len(first) == 50
    assert first["row"].is_monotonic_increasing
    assert first["row"].is_unique
    assert first.iloc[:, 2].between(-1, 1).all()


def test_without_a_recommendation_the_best_placed_are_written_and_without_scores_none(finished):
    path = finished.folder / "recommendation.json"
    recommendation = path.read_text("utf-8")
    path.write_text(json.dumps({"run": None, "runner_up": None}), "utf-8")
    ranked = finished.runs.sort_values(["rank", "silhouette_reference"], ascending=[True, False])[
        "run"
    ]
    assert list(written(finished))[2:] == list(ranked[:2])
    nothing = replace(finished, runs=finished.runs.assign(silhouette_reference=np.nan))
    assert list(written(nothing)) == ["id", "row"]
    path.write_text(recommendation, "utf-8")
