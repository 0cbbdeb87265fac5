"""What holds for every kind of stage: one file, complete, as it is planned."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import segkit.study.run.stages as package
from segkit.data import TableInfo
from segkit.study.compose import compose_study
from segkit.study.plan.confirmation import ConfirmSettings, plan_confirmation, siblings
from segkit.study.plan.graph import make_tasks
from segkit.study.plan.planner import make_plan
from segkit.study.plan.sampling import Sampling
from segkit.study.plan.stage import Shape
from segkit.study.run.stages import KINDS, STAGES

CUSTOMERS = 30_000


def planned(*overrides):
    """All nodes of a study and of the confirmation of two of its runs."""
    composition = compose_study(["experiment=cc_general", *overrides])
    info = TableInfo("f" * 64, CUSTOMERS, ("a", "b", "c"), ())
    sampling = Sampling.of(composition.study)
    plan = make_plan(
        composition.configurations, STAGES, composition.references, 3, lambda _data: info, sampling
    )
    shortlist = [run for run in plan.runs if run.choices["projection"] == "umap"][:2]
    settings = ConfirmSettings(draws=3, refits=2, seeds=2, nulls={"copula": 2, "permuted": 1})
    others = siblings(plan.runs, shortlist)
    return plan, plan_confirmation(plan.planner, shortlist, others, shortlist, settings)


@pytest.fixture(scope="module", params=[(), ("sampling.projection=5000", "sampling.kmeans=5000")])
def nodes(request):
    _, confirmation = planned(*request.param)
    return confirmation.nodes


def test_every_file_is_a_kind_by_its_own_name():
    files = {path.stem for path in Path(package.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(STAGES)
    assert all(kind == stage.kind for kind, stage in STAGES.items())


def test_the_order_of_kinds_is_the_flow_of_data():
    orders = [stage.order for stage in STAGES.values()]
    assert orders == sorted(set(orders))
    for stage in STAGES.values():
        for role, kinds in stage.inputs.items():
            # The landmarks of a projection, and the draws that come after others, come later.
            behind = {kind for kind in kinds if STAGES[kind].order < stage.order}
            assert behind or role == "before", (stage.kind, role)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_complete_and_travels_to_a_worker_by_name(kind):
    stage = STAGES[kind]
    assert stage.version >= 1
    assert stage.bundle >= 1
    assert pickle.loads(pickle.dumps(stage)) is stage
    assert len(pickle.dumps(stage)) < 200


def test_every_kind_is_planned_and_reads_what_it_declares(nodes):
    assert {node.kind for node in nodes.values()} == set(KINDS)
    for node in nodes.values():
        for role, key in node.inputs.items():
            kinds = node.stage.inputs[role.partition(":")[0]]
            assert nodes[key].kind in kinds, (node.kind, role)


def test_costs_are_positive_grow_with_customers_and_sharing_never_costs(nodes):
    for node in nodes.values():
        cost = node.stage.seconds
        assert 0 <= cost(node, 1_000, True) <= cost(node, 1_000, False) <= cost(node, 4_000, False)
        assert node.stage.size(node, Shape(1_000, 3)) <= node.stage.size(node, Shape(4_000, 3))


def test_tasks_hold_one_kind_and_come_after_what_they_read(nodes):
    tasks = make_tasks(nodes, nodes, ())
    done: set[str] = set()
    for task in tasks:
        assert {node.kind for node in task.nodes} == {task.kind}
        assert len(task.nodes) <= task.stage.bundle
        assert len({node.stage.group(node) for node in task.nodes}) == 1
        assert all(key in done for node in task.nodes for key in node.inputs.values())
        done |= {node.key for node in task.nodes}
    assert done == set(nodes)
