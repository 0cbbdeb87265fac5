"""Damage in the store costs time alone: a study has the same tables and says what it dropped."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from segkit.progress import Silent
from segkit.study.compose import compose_study
from segkit.study.run.preparation import prepare
from segkit.study.sweep import launch

SWEEP = [
    *[
        "data.n=150",
        "engine=inline",
        "scoring.draws=3",
        "scoring.confirm_draws=3",
        "scoring.refits=3",
    ],
    *[
        "scoring.seeds=2",
        "scoring.shortlist=2",
        "scoring.nulls.copula=19",
        "scoring.nulls.permuted=1",
    ],
    *["clusterer=kmeans,agglomerative", "clusterer.n_clusters=2,3", "projection=none,pca"],
]
TABLES = ("runs", "partitions", "nulls", "embeddings", "customers")
# Arrays that later stages read, and those stages.
READ_LATER = {
    "features": ("scaling", "stability", "refit"),
    "scaling": ("clustering", "scoring", "density"),
    "projection": ("clustering", "quality", "prediction"),
    "clustering": ("scoring", "stability", "reseed", "refit"),
    "copula": ("null", "features", "scaling", "projection", "clustering", "scoring"),
    "null": ("features", "scaling", "projection", "clustering", "scoring"),
}


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


def study(folder, *overrides):
    places = [f"store={folder}/store", f"hydra.sweep.dir={folder}/study"]
    return prepare(compose_study([*SWEEP, *places, *overrides]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damage")


@pytest.fixture(scope="module")
def reference(folder):
    launch(study(folder), ["segkit"], Silent())
    return results(folder)


@pytest.fixture
def copied(folder, reference, tmp_path):
    shutil.copytree(folder / "store", tmp_path / "store")
    return tmp_path


def results(folder):
    frames = {name: pd.read_parquet(folder / "study" / f"{name}.parquet") for name in TABLES}
    frames["runs"] = frames["runs"].drop(columns="seconds")
    return frames, json.loads((folder / "study" / "recommendation.json").read_text())


def same(results_now, reference):
    for name in TABLES:
        pd.testing.assert_frame_equal(results_now[0][name], reference[0][name], check_exact=True)
    assert results_now[1] == reference[1]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "kind",
    [name if name in ("features", "clustering", "null") else slow(name) for name in READ_LATER],
)
def test_arrays_that_a_stage_finds_damaged_are_made_again_in_the_same_launch(
    copied, reference, kind
):
    damaged = list((copied / "store" / kind).rglob("*.npz"))
    for path in damaged:
        flip(path)
    for later in READ_LATER[kind]:
        shutil.rmtree(copied / "store" / later)
    finished = launch(study(copied), ["segkit"], Silent())
    assert finished.complete
    assert 0 < finished.damaged[kind] <= len(damaged)
    same(results(copied), reference)
    assert launch(study(copied), ["segkit"], Silent()).damaged == {}


@pytest.mark.parametrize("kind", ["clustering", "refit", slow("features"), slow("projection")])
def test_arrays_that_only_the_tables_are_made_of_are_made_again(copied, reference, kind):
    damaged = list((copied / "store" / kind).rglob("*.npz"))
    for path in damaged:
        flip(path)
    finished = launch(study(copied), ["segkit"], Silent())
    assert finished.complete
    assert finished.damaged[kind]
    provenance = json.loads((copied / "study" / "provenance.json").read_text())
    assert provenance["damaged"] == finished.damaged
    same(results(copied), reference)


@pytest.mark.parametrize("seed", [0, slow(1), slow(2)])
def test_a_store_damaged_everywhere_costs_time_and_nothing_else(copied, reference, seed):
    rng = np.random.default_rng(seed)
    paths = sorted(path for path in (copied / "store").rglob("*-*") if path.is_file())
    for path in rng.choice(paths, len(paths) // 3, replace=False):
        match rng.integers(5):
            case 0:
                flip(path)
            case 1:
                path.write_bytes(path.read_bytes()[: rng.integers(path.stat().st_size)])
            case 2:
                path.unlink()
                path.mkdir()
            case 3:
                path.unlink()
            case _:
                like = [
                    other
                    for other in path.parent.parent.rglob(f"*{path.suffix}")
                    if other.is_file()
                ]
                path.write_bytes(like[rng.integers(len(like))].read_bytes())
    finished = launch(study(copied), ["segkit"], Silent())
    assert finished.complete
    assert finished.damaged
    same(results(copied), reference)


def test_a_race_finds_what_it_reads_damaged(copied):
    racing = ("scoring.racing=true", "scoring.draws=20", f"hydra.sweep.dir={copied}/race")
    first = launch(study(copied, *racing), ["segkit"], Silent())
    for path in (copied / "store" / "clustering").rglob("*.npz"):
        flip(path)
    shutil.rmtree(copied / "store" / "stability")
    second = launch(study(copied, *racing), ["segkit"], Silent())
    assert second.damaged["clustering"]
    columns = [name for name in first.runs if name != "seconds"]
    pd.testing.assert_frame_equal(second.runs[columns], first.runs[columns], check_exact=True)


def test_labels_that_are_damaged_again_and_again_fail_their_run(copied, monkeypatch):
    plan = study(copied)
    key = plan.plan.runs[0].stages["clustering"]
    save = type(plan.store).save

    def spoiled(store, name, *arguments):
        record = save(store, name, *arguments)
        if name == key:
            flip(next((copied / "store" / "clustering").rglob(f"{key}.npz")))
        return record

    flip(next((copied / "store" / "clustering").rglob(f"{key}.npz")))
    monkeypatch.setattr(type(plan.store), "save", spoiled)
    finished = launch(study(copied), ["segkit"], Silent())
    row = finished.runs.set_index("run").loc[plan.plan.runs[0].id]
    assert row["status"] == "failed"
    assert "was damaged and was dropped; launch again" in row["reason"]
