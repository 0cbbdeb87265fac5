"""At the first launch one process compiles each kernel, once, and the launch says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from segkit.study.plan.graph import Task
from segkit.study.run import kernels
from segkit.study.run.stages import node_of

KMEANS = {"_target_": "sklearn.cluster.KMeans", "n_clusters": 3, "n_init": 10, "random_state": 1}
HDBSCAN = {"_target_": "hdbscan.HDBSCAN", "min_cluster_size": 10, "min_samples": 5}
CONFIGS = [
    KMEANS,
    HDBSCAN,
    {"_target_": "sklearn.cluster.DBSCAN", "eps": 0.8, "min_samples": 5},
    {"_target_": "sklearn.cluster.AgglomerativeClustering", "n_clusters": 4, "linkage": "ward"},
]


def task(kind, config):
    node = node_of(f"{kind}-{len(str(config))}", config, {"space": "scaling-1"})
    return Task(node.key, (node,), ())


def test_a_task_needs_the_kernels_of_its_class():
    assert kernels.needed_by(task("clustering", KMEANS)) == "sklearn.cluster.KMeans"
    assert kernels.needed_by(task("stability", {"clusterer": HDBSCAN})) == "hdbscan.HDBSCAN"
    assert kernels.needed_by(task("projection", {"_target_": "openTSNE.TSNE"})) is None
    assert kernels.needed_by(task("clustering", {"_target_": "sklearn.cluster.Birch"})) is None
    assert kernels.needed_by(task("scoring", {})) is None


def test_it_is_seen_which_kernels_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    tasks = [task("clustering", HDBSCAN), task("clustering", KMEANS), task("scoring", {})]
    # What takes longest first.
    assert list(kernels.uncompiled(tasks)) == ["sklearn.cluster.KMeans", "hdbscan.HDBSCAN"]
    code = f"from segkit.study.run.kernels import compile_kernels; compile_kernels({HDBSCAN!r})"
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        check=True,
    )
    assert list(kernels.uncompiled(tasks)) == ["sklearn.cluster.KMeans"]


def test_the_longest_kernel_bounds_the_time_from_below():
    everything = list(kernels._KERNELS)
    assert kernels.compile_seconds(everything, 1) > kernels.compile_seconds(everything, 2)
    assert kernels.compile_seconds(everything, 100) == kernels.compile_seconds(["umap.UMAP"], 1)


@pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda config: config["_target_"].rpartition(".")[2]
)
def test_after_it_a_fit_compiles_nothing_more(config):
    code = f"""
import gc, json, numpy as np
from numba.core.dispatcher import Dispatcher
from segkit import clustering
from segkit.study.run.kernels import compile_kernels
def signatures():
    counts = {{}}
    for each in gc.get_objects():
        if isinstance(each, Dispatcher) and "segkit" in each.py_func.__module__:
            counts[each.py_func.__qualname__] = len(each.signatures)
    return counts
compile_kernels({config!r})
before = signatures()
X = np.random.default_rng(1).normal(size=(300, 5))
X[:100] += 5
clustering.fit_many(X, [{config!r}])
print(json.dumps([before, signatures()]))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    before, after = json.loads(done.stdout)
    assert sum(before.values()) > 0
    assert after == before


def test_the_first_launch_says_that_it_compiles_and_the_next_one_does_not(tmp_path):
    code = """
import sys
from segkit.progress import PlainProgress
from segkit.study.compose import compose_study
from segkit.study.run.preparation import prepare
from segkit.study.sweep import launch
launch(prepare(compose_study(sys.argv[1:], None)), ["segkit"], PlainProgress())
"""

    def launch(name, *more):
        tiny = [
            "data.n=120",
            "scoring.confirm=false",
            "scoring.draws=2",
            "clusterer=hdbscan",
            *more,
        ]
        places = [f"hydra.sweep.dir={tmp_path / name}", f"store={tmp_path / 'store'}"]
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        command = [sys.executable, "-c", code, *tiny, *places]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stderr

    first = launch("first", "engine.workers=2")
    assert first.count("compiling the kernels (once per installation), about") == 1
    # By one process: another would have written an index of its own beside.
    assert len(list((tmp_path / "cache").rglob("*.labels_at-*.nbi"))) == 1
    second = launch("second", "data.seed=2", "engine=inline")
    assert "stages to compute" in second
    assert "compiling" not in second
