"""The benchmark of planning compares like with like."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from segkit.study.compose import paths


@pytest.fixture(scope="module")
def planning():
    path = paths.experiments_dir() / "benchmarks" / "planning.py"
    spec = importlib.util.spec_from_file_location("benchmark_planning", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_jobs_are_the_sweep_one_by_one(planning, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        planning, "AXES", {**planning.AXES, "scaler": ["power"], "clusterer.n_clusters": [2, 5]}
    )
    varied = planning.axes(9)
    jobs = planning.as_jobs(varied)
    assert len(jobs) == 16
    assert varied["seed"] == [0, 1]
    composition, seconds = planning.compose_here(planning.as_sweep(varied))
    assert len(composition.configurations) == 16
    assert seconds > 0
    stock, _ = planning.compose_by_hydra([jobs[2], jobs[13]])
    assert planning.differing(composition, [2, 13], stock) == []
    assert planning.differing(composition, [3, 13], stock) == [3]
    stages, _ = planning.plan_here(composition)
    assert stages > 3 * 16


def test_ten_thousand_configurations_are_asked_for(planning):
    assert len(planning.as_jobs(planning.axes(10_000))) == 10_000
