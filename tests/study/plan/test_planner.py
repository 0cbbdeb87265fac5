"""The graph of a study: unique stages, keys that depend on what decides a result, tasks in a
possible order."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from segkit.data import TableInfo
from segkit.study.compose import compose_study
from segkit.study.plan import graph
from segkit.study.plan.graph import counts
from segkit.study.plan.keys import kind_of
from segkit.study.plan.planner import make_plan
from segkit.study.plan.schedule import priorities
from segkit.study.run.stages import STAGES

DOWNSTREAM = {"scaling", "clustering", "scoring:native", "scoring:power", "stability"}


def make_tasks(plan, settled):
    return graph.make_tasks(plan.nodes, plan.leaves, settled)


def wanted_keys(plan, settled):
    return graph.wanted_keys(plan.nodes, plan.leaves, settled)


def plan_of(*overrides, n=8950, fingerprint="f" * 64):
    composition = compose_study(list(overrides))
    info = TableInfo(fingerprint, n, ("a", "b"), ())
    return make_plan(
        composition.configurations,
        STAGES,
        composition.references,
        composition.study["scoring"]["draws"],
        lambda _data: info,
    )


@pytest.fixture(scope="module")
def cc_general():
    return plan_of("experiment=cc_general")


def test_the_designs_study_has_the_designs_number_of_unique_stages(cc_general):
    assert len(cc_general.runs) == 1080
    spaces = {run.stages.get("projection", run.stages["scaling"]) for run in cc_general.runs}
    assert len(spaces) == 36
    assert len({run.stages["scaling"] for run in cc_general.runs}) == 6
    # Six scaled matrices, and `all` to the quantile reference; `all` has the other two references
    # among its scalers.
    assert counts(cc_general.nodes.values()) == {
        "features": 2,
        "scaling": 7,
        "neighbours": 6,
        "projection": 30,
        "clustering": 1080,
        # The native space of 60 runs is a reference space: `all` under power and standard without a
        # projection.
        "scoring": 4 * 1080 - 60,
        "stability": 1080,
    }


def test_families_make_about_the_designs_number_of_clustering_tasks(cc_general):
    kinds = Counter(task.kind for task in make_tasks(cc_general, set()))
    assert kinds["clustering"] == kinds["stability"] == 144


def test_tasks_hold_every_stage_once_and_come_after_what_they_need(cc_general):
    settled = {key for index, key in enumerate(cc_general.nodes) if index % 3 == 0}
    tasks = make_tasks(cc_general, settled)
    seen: set[str] = set()
    for task in tasks:
        assert len({node.kind for node in task.nodes}) == 1
        assert len(task.nodes) <= task.stage.bundle
        for node in task.nodes:
            assert node.key not in seen
            assert all(key in seen or key in settled for key in node.inputs.values())
        assert set(task.after) <= {other.name for other in tasks}
        seen |= {node.key for node in task.nodes}
    assert seen == wanted_keys(cc_general, settled)


def test_a_finished_study_has_nothing_to_do_even_without_its_neighbour_graphs(cc_general):
    settled = {key for key in cc_general.nodes if kind_of(key) != "neighbours"}
    assert make_tasks(cc_general, settled) == []


def test_a_missing_projection_asks_for_its_neighbours_again(cc_general):
    run = next(run for run in cc_general.runs if run.choices["projection"] == "umap")
    settled = set(cc_general.nodes) - {run.stages["projection"], run.stages["neighbours"]}
    assert wanted_keys(cc_general, settled) == {run.stages["projection"], run.stages["neighbours"]}


def test_other_runs_workers_and_report_options_change_no_key():
    alone = plan_of("clusterer=kmeans", "clusterer.n_clusters=4")
    among = plan_of(
        "clusterer=kmeans",
        "clusterer.n_clusters=3,4,5",
        "scaler=standard,power",
        "engine.workers=7",
        "report.formats=[png,pdf]",
    )
    (run,) = alone.runs
    assert next(other for other in among.runs if other.id == run.id).stages == run.stages


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("scaler=power", DOWNSTREAM),
        ("clusterer.n_clusters=4", DOWNSTREAM - {"scaling"}),
        ("scoring.draws=5", {"stability"}),
        (
            "features.missing=mean",
            DOWNSTREAM | {"features"},
        ),
    ],
)
def test_a_choice_changes_the_keys_that_stand_on_it(override, changed):
    before, after = plan_of().runs[0].stages, plan_of(override).runs[0].stages
    watched = DOWNSTREAM | {"features"}
    assert {role for role in watched if before[role] != after[role]} == changed


def test_the_seed_changes_only_what_uses_it():
    before, after = (plan_of("clusterer=dbscan", f"seed={seed}").runs[0] for seed in (1, 2))
    assert before.id != after.id
    assert before.stages["clustering"] == after.stages["clustering"]
    kmeans = [plan_of(f"seed={seed}").runs[0].stages for seed in (1, 2)]
    assert kmeans[0]["clustering"] != kmeans[1]["clustering"]
    assert kmeans[0]["scaling"] == kmeans[1]["scaling"]


def test_other_data_changes_everything():
    before = plan_of().runs[0]
    after = plan_of(fingerprint="e" * 64).runs[0]
    assert before.id != after.id
    assert not set(before.stages.values()) & set(after.stages.values())


def test_what_the_data_cannot_do_is_skipped_with_a_reason_and_computes_nothing():
    plan = plan_of("clusterer=kmeans", "clusterer.n_clusters=3,40", "projection=none,tsne", n=30)
    reasons = {
        (run.choices["projection"], run.groups["clusterer"]["n_clusters"]): run.reason
        for run in plan.runs
    }
    assert reasons["none", 3] is None
    assert "40" in reasons["none", 40]
    assert "perplexity" in reasons["tsne", 3]
    assert counts(plan.nodes.values())["clustering"] == 1


def test_ten_thousand_configurations_are_one_run_for_each_distinct_one():
    plan = plan_of(
        "clusterer=dbscan",
        "clusterer.eps=range(1,1001)",
        "scaler=standard,power,robust,minmax,none",
        "seed=1,2",
    )
    assert len(plan.runs) == 10_000
    assert counts(plan.nodes.values())["clustering"] == 5_000


def test_spaces_are_made_first_and_then_finished_one_after_another(cc_general):
    tasks = make_tasks(cc_general, set())
    order = priorities(tasks, cc_general.planner.shapes)
    ranked = sorted(tasks, key=lambda task: -order[task.name])
    kinds = [task.kind for task in ranked]
    makes = {"features", "scaling", "neighbours", "projection"}
    assert set(kinds[:45]) == makes
    assert not makes & set(kinds[45:])
    spaces = [
        task.nodes[0].inputs.get("native") or task.nodes[0].inputs["space"] for task in ranked[45:]
    ]
    changes = sum(before != after for before, after in pairwise(spaces))
    assert changes == len(set(spaces)) - 1
    assert kinds.index("neighbours") < kinds.index("projection")
