"""Estimators that were checked before are not checked again; those that are wrong, or may have
changed, are."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from segkit import targets
from segkit.errors import UsageError
from segkit.study.plan import parameter_cache as checked
from segkit.study.plan.parameter_cache import check_estimators

KMEANS = {"_target_": "sklearn.cluster.KMeans", "n_clusters": 5, "random_state": 42}


@pytest.fixture
def seen(monkeypatch):
    """The configurations that were really checked."""
    found = []
    check = targets.check
    monkeypatch.setattr(
        targets, "check", lambda config, group: (found.append(config), check(config, group))
    )
    return found


def test_each_configuration_is_checked_once(tmp_path, seen):
    memo = tmp_path / "checked.json"
    for _ in range(2):
        check_estimators([("clusterer", KMEANS), ("clusterer", KMEANS | {"n_clusters": 6})], memo)
    assert [config["n_clusters"] for config in seen] == [5, 6]
    check_estimators([("projection", KMEANS)], memo)
    assert len(seen) == 3


@pytest.mark.parametrize(
    "wrong", [{"n_clusters": 5.0}, {"n_clusters": True}, {"clusters": 5}, {"random_state": None}]
)
def test_what_is_wrong_is_refused_every_time(tmp_path, wrong):
    check_estimators(
        [("clusterer", KMEANS), ("clusterer", KMEANS | {"n_clusters": 1})], tmp_path / "memo"
    )
    for _ in range(2):
        with pytest.raises(UsageError):
            check_estimators(
                [("clusterer", KMEANS), ("clusterer", KMEANS | wrong)], tmp_path / "memo"
            )


@pytest.mark.parametrize("target", ["os.system", "sklearn.cluster._kmeans.KMeans", None])
def test_only_classes_of_the_list_are_remembered(tmp_path, seen, target):
    for _ in range(2):
        try:
            check_estimators([("clusterer", KMEANS | {"_target_": target})], tmp_path / "memo")
        except UsageError:
            assert target != "sklearn.cluster._kmeans.KMeans"
    assert len(seen) == 2
    assert not (tmp_path / "memo").exists()


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]"])
def test_a_damaged_memo_is_an_empty_one(tmp_path, seen, text):
    (tmp_path / "memo").write_text(text)
    check_estimators([("clusterer", KMEANS)], tmp_path / "memo")
    assert len(seen) == 1


def test_a_memo_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(checked, "_MOST_REMEMBERED", 2)
    memo = tmp_path / "new" / "memo"
    for k in range(1, 5):
        check_estimators([("clusterer", KMEANS | {"n_clusters": k})], memo)
    assert len(json.loads(memo.read_text())) == 1


def test_a_memo_that_cannot_be_written_is_only_missed(tmp_path, seen):
    (tmp_path / "file").write_text("")
    check_estimators([("clusterer", KMEANS)], tmp_path / "file" / "memo")
    assert len(seen) == 1


def test_planning_again_imports_no_estimator(tmp_path):
    code = (
        "import json, sys; from segkit.study.compose import compose_study; from"
        " segkit.study.run.preparation import prepare\nprepare(compose_study(['experiment=smoke',"
        f" 'store={tmp_path}']))\nprint(json.dumps([name in sys.modules for name in ('sklearn',"
        " 'scipy', 'numba', 'matplotlib', 'dask')]))"
    )
    here = os.environ | {
        "XDG_CACHE_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "LOCALAPPDATA": str(tmp_path),
    }
    told = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=here)
        for _ in range(2)
    ]
    assert json.loads(told[0].stdout)[0]
    assert not any(json.loads(told[1].stdout))
