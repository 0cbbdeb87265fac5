"""Large tables are worked on by drawn customers, and say so; small tables are left alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from segkit.data import TableInfo
from segkit.errors import Infeasible, UsageError
from segkit.progress import Silent
from segkit.scoring.stability import draw
from segkit.study.compose import compose_study
from segkit.study.plan.graph import Task, make_tasks
from segkit.study.plan.keys import kind_of
from segkit.study.plan.limits import Limits
from segkit.study.plan.planner import make_plan
from segkit.study.plan.sampling import Sampling
from segkit.study.run.preparation import prepare
from segkit.study.run.stages import STAGES, node_of
from segkit.study.run.store import Store
from segkit.study.run.task import run_task
from segkit.study.sweep import launch

SWEEP = [
    "+sweep.projection=[none, {pca: {n_components: 2}}, umap]",
    (
        "+sweep.clusterer=[{kmeans: {n_clusters: 5}}, {agglomerative: {n_clusters: 5}}, "
        "{dbscan: {eps: 1.0, min_samples: 20}}, {hdbscan: {min_cluster_size: 60, min_samples: 15}}]"
    ),
]
LIMITS = [
    "sampling.projection=500",
    "sampling.clustering=500",
    "sampling.scores=400",
    "sampling.draws=450",
]


def plan_of(customers, *overrides, sampled=True, memory=None, seconds=None, stored=()):
    composition = compose_study([*SWEEP, *overrides])
    sampling = Sampling.of(composition.study) if sampled else Sampling()
    info = TableInfo("f" * 64, customers, ("a", "b"), ())
    return make_plan(
        composition.configurations,
        STAGES,
        composition.references,
        3,
        lambda _data: info,
        sampling,
        Limits(memory, seconds, stored),
    )


def test_up_to_the_limits_nothing_is_drawn_and_every_key_is_as_without_them():
    limited, unlimited = plan_of(20_000), plan_of(20_000, sampled=False)
    assert set(limited.nodes) == set(unlimited.nodes)
    assert [run.id for run in limited.runs] == [run.id for run in unlimited.runs]
    assert all(node.sample is None for node in limited.nodes.values())


def test_beyond_them_what_grows_faster_than_the_table_is_done_on_drawn_customers():
    plan = plan_of(50_000)
    drawn = {(node.kind, node.sample) for node in plan.nodes.values()}
    assert {
        ("projection", 20_000),
        ("projection", None),
        ("clustering", 20_000),
        ("clustering", None),
    } <= drawn
    assert {("scoring", 20_000), ("stability", 20_000), ("neighbours", 20_000)} <= drawn
    for run in plan.runs:
        node = plan.nodes[run.stages["clustering"]]
        assert node.sample == (None if run.choices["clusterer"] == "kmeans" else 20_000)


def test_a_run_whose_labels_rest_on_drawn_customers_has_an_id_of_its_own():
    few, more = plan_of(50_000), plan_of(50_000, "sampling.clustering=30000")
    ids = [
        {
            run.choices["clusterer"]: run.id
            for run in plan.runs
            if run.choices["projection"] == "pca"
        }
        for plan in (few, more)
    ]
    assert ids[0]["kmeans"] == ids[1]["kmeans"]
    assert ids[0]["agglomerative"] != ids[1]["agglomerative"]


def test_what_cannot_fit_in_memory_is_skipped_and_says_what_it_would_take():
    average = "clusterer=agglomerative", "clusterer.linkage=average"
    plan = plan_of(200_000, "sampling=none", *average, memory=8 << 30)
    reasons = {run.choices["clusterer"]: run.reason for run in plan.runs}
    assert (
        "needs about 320.06 GB of memory for 200,000 customers, a worker has 8.59 GB"
        in reasons["agglomerative"]
    )
    assert "sampling.clustering" in reasons["agglomerative"]
    others = (
        plan_of(200_000, "sampling=none", memory=8 << 30),
        plan_of(200_000, *average, memory=8 << 30),
    )
    assert not any(
        run.reason
        for plan in (*others, plan_of(200_000, "sampling=none", *average))
        for run in plan.runs
    )


def test_draws_that_cannot_fit_in_memory_are_told_before_they_are_tried():
    average = "clusterer=agglomerative", "clusterer.linkage=average"
    plan = plan_of(30_000, "sampling.clustering=5000", *average, memory=10**9)
    told = (
        "needs about 2.88 GB of memory for 18,960 customers, a worker has 1.00 GB; fit it on fewer"
        " (sampling.draws)"
    )
    assert told in {run.choices["clusterer"]: run.reason for run in plan.runs}["agglomerative"]
    plan = plan_of(
        30_000, "sampling.clustering=5000", "sampling.draws=5000", *average, memory=10**9
    )
    assert not any(run.reason for run in plan.runs)


def test_a_projection_that_holds_all_pairs_is_skipped_where_these_have_no_room():
    kernel = "projection=pca", "projection._target_=sklearn.decomposition.KernelPCA"
    plan = plan_of(16_000, *kernel, "+projection.kernel=rbf", memory=10**9)
    assert "KernelPCA needs about 8.19 GB of memory for 16,000 customers" in plan.runs[0].reason
    assert "sampling.projection" in plan.runs[0].reason
    assert not any(
        run.reason
        for run in plan_of(16_000, *kernel, "sampling.projection=3000", memory=10**9).runs
    )


def test_what_would_take_too_long_is_skipped_and_says_how_long():
    plan = plan_of(1_000_000, "sampling=none", seconds=3600)
    reasons = {
        (run.choices["projection"], run.choices["clusterer"]): run.reason for run in plan.runs
    }
    assert reasons["none", "kmeans"] is None
    told = reasons["none", "hdbscan"]
    assert told.startswith(
        "clustering would take about 2:46 h of CPU for 1,000,000 customers, longer than "
    )
    assert told.endswith("engine.time_limit allows; do it on fewer (sampling.clustering)")
    assert "neighbours would take" in reasons["umap", "kmeans"]
    assert reasons["umap", "kmeans"].endswith("(sampling.projection)")
    possible = {key for run in plan.runs for key in run.stages.values()}
    assert possible
    assert possible <= set(plan.nodes)
    assert not {node.kind for node in plan.nodes.values()} & {"neighbours", "projection"} - {
        node.kind for run in plan.runs for key in run.stages.values() for node in [plan.nodes[key]]
    }
    stored = {
        key for run in plan_of(1_000_000, "sampling=none").runs for key in run.stages.values()
    }
    assert not any(
        run.reason for run in plan_of(1_000_000, "sampling=none", seconds=3600, stored=stored).runs
    )
    drawn = plan_of(1_000_000, seconds=3600)
    assert not any(run.reason for run in drawn.runs)
    assert set(drawn.nodes) == set(plan_of(1_000_000).nodes)


def test_neighbours_are_exact_up_to_their_limit_and_a_run_on_approximate_ones_has_its_own_id():
    everybody = "sampling.projection=null"
    few, many = plan_of(200_000, everybody), plan_of(200_001, everybody)
    exact = plan_of(200_001, everybody, "sampling.neighbours=null")
    config = [
        next(node.config for node in plan.nodes.values() if node.kind == "neighbours")
        for plan in (few, many, exact)
    ]
    assert config == [{"count": 128}, {"count": 128, "approximate": True}, {"count": 128}]
    ids = [
        {(run.choices["projection"], run.choices["clusterer"]): run.id for run in p.runs}
        for p in (many, exact)
    ]
    differs = {choices[0] for choices, identity in ids[0].items() if ids[1][choices] != identity}
    assert differs == {"umap"}
    keys = [{node.kind: key for key, node in plan.nodes.items()} for plan in (many, exact)]
    assert keys[0]["neighbours"] != keys[1]["neighbours"]
    # A draw that is small enough is searched exactly.
    assert set(plan_of(300_000).nodes) == set(plan_of(300_000, "sampling.neighbours=null").nodes)


def test_approximate_neighbours_are_told_with_their_recall(tmp_path):
    places = [
        f"store={tmp_path}/store",
        f"hydra.sweep.dir={tmp_path}/study",
        "engine=inline",
        "scoring.confirm=false",
    ]
    sweep = [
        "data.n=700",
        "scoring.draws=2",
        "projection=umap,pca",
        "clusterer=kmeans",
        "sampling.neighbours=500",
    ]
    finished = launch(prepare(compose_study([*sweep, *places])), ["segkit"], Silent())
    runs = finished.runs.set_index("projection")
    assert (runs["status"] == "ok").all(), runs["reason"].tolist()
    assert 0.95 < runs.loc["umap", "projection.neighbours_recall"] <= 1
    assert np.isnan(runs.loc["pca", "projection.neighbours_recall"])


def test_every_task_comes_after_what_it_needs():
    plan = plan_of(50_000)
    done = set()
    for task in make_tasks(plan.nodes, plan.leaves, ()):
        for node in task.nodes:
            assert set(node.inputs.values()) <= done | {node.key for node in task.nodes}
        done |= {node.key for node in task.nodes}


@pytest.mark.parametrize("value", ["99", "0", "some", "True", "1.5"])
def test_a_limit_that_is_no_number_of_customers_is_refused(value):
    with pytest.raises(
        UsageError, match=rf"sampling\.scores={value}: must be a number of customers from 100"
    ):
        compose_study([f"sampling.scores={value}"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sampling")
    places = [f"store={folder}/store", f"hydra.sweep.dir={folder}/study", "engine=inline"]
    study = [
        "data.n=1500",
        "scoring.draws=2",
        "scoring.references=[power]",
        "scoring.confirm_draws=2",
        "scoring.refits=2",
    ]
    study += ["scoring.seeds=1", "scoring.shortlist=2", "scoring.nulls={copula: 19, permuted: 1}"]
    return launch(prepare(compose_study([*SWEEP, *LIMITS, *places, *study])), ["segkit"], Silent())


def test_a_whole_study_of_drawn_customers_ends_well_and_says_what_was_drawn(finished):
    runs = finished.runs.set_index(["projection", "clusterer"])
    assert (runs["status"] == "ok").all(), runs["reason"].tolist()
    assert runs.loc[("none", "agglomerative"), "fitted_customers"] == 500
    assert np.isnan(runs["fitted_customers"].astype(float)[("none", "kmeans")])
    assert (runs["fidelity"].dropna() > 0.7).all()
    assert runs.loc[("umap", "kmeans"), "projection.fitted_customers"] == 500
    assert runs.loc[("umap", "kmeans"), "projection.placement_r2"] > 0.5
    # Of 400 drawn customers, those that are not noise.
    assert runs["silhouette_customers"].between(1, 400).all()
    assert (runs.loc[runs["noise_fraction"] == 0, "silhouette_customers"] == 400).all()
    inside = runs["silhouette_reference"].between(
        runs["silhouette_reference_low"], runs["silhouette_reference_high"]
    )
    assert inside[runs["silhouette_reference"].notna()].all()


def test_it_is_confirmed_on_draws_and_tables_of_that_size(finished):
    told = json.loads((finished.folder / "recommendation.json").read_text())
    assert told["verdict"] in ("recommended", "no_structure")
    assert finished.runs["confirmed"].sum() == 2
    nodes = finished.plan.planner.nodes
    drawn = [node for node in nodes.values() if node.kind == "features" and "draw" in node.config]
    assert {node.config["draw"]["size"] for node in drawn} == {450}
    copula = next(node for node in nodes.values() if kind_of(node.key) == "copula")
    assert copula.config["draw"]["size"] == 450


def test_partitions_have_every_customer(finished):
    import pandas as pd

    partitions = pd.read_parquet(finished.folder / "partitions.parquet")
    assert len(partitions) == 1500
    assert partitions.drop(columns="id").notna().all().all()


def test_sizes_shrink_by_the_share_of_all_customers_that_is_drawn(tmp_path, monkeypatch):
    told = {}

    def share_of(_space, configs, _partitions, draws, share=None):
        told.update(share=share, drawn=np.mean([len(rows) for rows in draws]))
        return [Infeasible("seen enough")] * len(configs)

    monkeypatch.setattr("segkit.scoring.stability.stability_many", share_of)
    store, rng = Store(tmp_path), np.random.default_rng(0)
    rows = np.sort(rng.choice(1000, 300, replace=False))
    store.save("features-aa", {"rows": rows}, {"customers": 1000}, 0.0)
    store.save("scaling-bb", {"matrix": rng.normal(size=(300, 2))}, {}, 0.0)
    store.save("clustering-cc", {"labels": np.zeros(300, np.int16)}, {}, 0.0)
    config = {"draws": 5, "clusterer": {"_target_": "sklearn.cluster.DBSCAN"}, "identity": "x"}
    inputs = {"partition": "clustering-cc", "space": "scaling-bb", "features": "features-aa"}
    run_task(Task("t", (node_of("stability-dd", config, inputs, sample=200),), ()), tmp_path)
    assert told["share"] == 0.2
    assert told["drawn"] / 300 == pytest.approx(0.2, abs=0.03)


def test_a_draw_is_never_more_like_the_whole_than_a_bootstrap_draw_is():
    sampling = Sampling(draws=1000)
    assert [sampling.draw_size(n) for n in (1000, 1001, 1500, 1582, 1583, 100_000)] == [
        None
    ] * 4 + [1000] * 2
    assert Sampling().draw_size(10**9) is None
    for n in (1001, 1500, 1583, 5000):
        rows = draw("x", 0, n, sampling.draw_size(n))
        assert len(rows) < 0.68 * n
