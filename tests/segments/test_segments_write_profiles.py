from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from segkit.data.table import Table
from segkit.segments.profiles import profile
from segkit.segments.write_profiles import write_profiles
from segkit.study.keep.customers import Customers
from segkit.study.run.store import Store


@pytest.fixture
def finished(tmp_path):
    """A study of 20 runs over two tables, as it is when its profiles are written."""
    rng = np.random.default_rng(0)
    frames = {"one": pd.DataFrame(rng.normal(size=(80, 3)), columns=list("abc"))}
    frames["two"] = pd.DataFrame(rng.normal(size=(50, 2)), columns=["b", "d"])
    tables = {name: Table(frame, np.arange(len(frame))) for name, frame in frames.items()}
    runs, columns, plans = [], {"id": [str(i) for i in range(130)]}, []
    for i in range(20):
        data = "two" if i == 3 else "one"
        labels = pd.array([pd.NA] * 130, dtype="Int16")
        where = slice(80, 130) if data == "two" else slice(0, 80)
        labels[where] = rng.integers(-1, 3, 130)[where]
        run = f"{i:012d}"
        columns[run] = columns[f"{0:012d}"] if i == 5 else labels
        runs.append({"run": run, "status": "ok", "rank": i + 1, "silhouette_reference": 0.1})
        stages = {"features": f"features-{data}", "clustering": f"clustering-{0 if i == 5 else i}"}
        plans.append(SimpleNamespace(id=run, data=data, stages=stages))
    table = pd.DataFrame(runs).assign(projection="none", clusterer="kmeans")
    pd.DataFrame(columns).to_parquet(tmp_path / "partitions.parquet", index=False)
    (tmp_path / "recommendation.json").write_text('{"run": null}')
    settings = {
        "report": {"shortlist": 16},
        "scoring": {},
        "references": {},
        "store": str(tmp_path / "store"),
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(settings))
    plan = SimpleNamespace(runs=plans)
    known = {
        "runs": table,
        "customers": Customers(tables),
        "plan": plan,
        "store": Store(tmp_path / "store"),
    }
    return SimpleNamespace(folder=tmp_path, frames=frames, **known)


def written(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "profiles.parquet")


def test_the_shortlist_is_profiled_and_a_partition_once(finished):
    write_profiles(finished)
    profiles = written(finished.folder)
    assert profiles["run"].unique().tolist() == [f"{i:012d}" for i in range(16) if i != 5]
    partitions = pd.read_parquet(finished.folder / "partitions.parquet")
    labels = partitions[f"{3:012d}"][80:]
    true = profile(finished.frames["two"], labels.reset_index(drop=True))
    mine = profiles[profiles["run"] == f"{3:012d}"].drop(columns="run").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, true, check_dtype=False)
    assert set(mine["feature"]) == {"b", "d"}
    assert len(pd.read_csv(finished.folder / "profiles.csv")) == len(profiles)


def test_too_many_rows_leave_the_later_runs_out_but_never_the_first_twelve(finished):
    write_profiles(finished, most_rows=10)
    assert written(finished.folder)["run"].nunique() == 12
    write_profiles(finished, most=3)
    assert written(finished.folder)["run"].nunique() == 3


def test_a_profile_is_found_in_the_store_the_next_time_and_computed_again_where_it_is_damaged(
    finished, monkeypatch
):
    finished.frames["one"]["d"] = np.nan
    write_profiles(finished)
    first = written(finished.folder)
    computed = []

    def counted(frame, labels):
        computed.append(labels)
        return profile(frame, labels)

    monkeypatch.setattr("segkit.segments.write_profiles.profile", counted)
    write_profiles(finished)
    pd.testing.assert_frame_equal(written(finished.folder), first)
    assert not computed
    damaged = sorted((finished.folder / "store" / "profiles").rglob("*.npz"))[0]
    damaged.write_bytes(b"no archive")
    write_profiles(finished)
    pd.testing.assert_frame_equal(written(finished.folder), first)
    assert len(computed) == 1
