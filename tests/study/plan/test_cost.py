"""Estimates: what was measured counts more and more, and a plan of both parts is what is then
computed."""

from __future__ import annotations

from collections import Counter

import pytest

from segkit.progress import Silent
from segkit.study.compose import compose_study
from segkit.study.forecast import forecast, forecast_text
from segkit.study.plan import cost
from segkit.study.plan.disk import amount, bytes_by_kind
from segkit.study.plan.graph import Task, make_tasks
from segkit.study.plan.planner import Shape
from segkit.study.run.preparation import prepare
from segkit.study.run.stages import KINDS, node_of
from segkit.study.sweep import launch

TINY = [
    *(
        "data.n=150",
        "engine=inline",
        "scoring.draws=2",
        "scoring.confirm_draws=3",
        "scoring.refits=2",
    ),
    *(
        "scoring.seeds=2",
        "scoring.shortlist=3",
        "scoring.nulls.copula=19",
        "scoring.nulls.permuted=2",
    ),
    *("clusterer=kmeans,hdbscan", "seed=1,2", "projection=none,pca", "scaler=power"),
]


def task(kind, target, name="a"):
    config = {"_target_": target} if target else {}
    node = node_of(f"{kind}-{name}", config, {"space": "projection-1"})
    return Task(node.key, (node,), ())


def test_before_anything_is_measured_the_estimates_stand():
    assert cost.Pace().seconds(
        {("projection", "a.B"): 40.0, ("scoring", ""): 2.0}
    ) == pytest.approx(42)


def test_an_unknown_class_is_learned_from_its_first_stages():
    pace = cost.Pace()
    slow, quick = (
        task("projection", f"sklearn.{name}")
        for name in ("manifold.Isomap", "decomposition.FastICA")
    )
    pace.learn(slow, 1.0, 8.0)
    pace.learn(quick, 1.0, 0.5)
    left = {cost.task_class(slow): 10.0, cost.task_class(quick): 10.0}
    # Each by its own pace, not by the mean of both.
    assert pace.seconds({cost.task_class(slow): 10.0}) == pytest.approx(80, rel=0.4)
    assert pace.seconds({cost.task_class(quick): 10.0}) == pytest.approx(5, rel=0.6)
    assert 60 < pace.seconds(left) < 100


def test_what_was_not_measured_goes_by_the_speed_of_the_machine():
    pace = cost.Pace()
    pace.learn(task("scoring", ""), 100.0, 300.0)
    assert pace.seconds({("quality", ""): 10.0}) == pytest.approx(30, rel=0.1)


def test_the_time_left_is_at_least_that_of_the_longest_stage_and_little_is_concluded_at_first():
    assert cost.wall_seconds(100, 5, 0, 0, 2) == pytest.approx(50 / 0.9)
    assert cost.wall_seconds(100, 90, 0, 0, 2) == pytest.approx(90 / 0.9)
    # Half a minute in which only long stages are at work, none of them done.
    assert cost.wall_seconds(100, 40, 0, 30, 2) < 2 * 50 / 0.9
    # Workers that have half a core each.
    assert cost.wall_seconds(10, 1, 1000, 1000, 2) == pytest.approx(10, rel=0.15)


def stored(tmp_path):
    files = (tmp_path / "store").glob("*/*/*.json")
    return Counter(path.parent.parent.name for path in files if path.parent.parent.name in KINDS)


@pytest.fixture(scope="module")
def planned_and_done(tmp_path_factory):
    """Forecasts before the screen and after it, and what then was in the store after each part."""
    tmp_path = tmp_path_factory.mktemp("forecast")

    def prepared(*more):
        place = [f"store={tmp_path / 'store'}", f"hydra.sweep.dir={tmp_path / 'study'}"]
        return prepare(compose_study([*TINY, *place, *more], None))

    before = forecast(prepared())
    launch(prepared("scoring.confirm=false"), ["segkit"], Silent())
    screened = stored(tmp_path)
    between = forecast(prepared())
    launch(prepared(), ["segkit"], Silent())
    return tmp_path, before, screened, between, stored(tmp_path), forecast(prepared())


def test_a_stored_screen_is_followed_by_exactly_the_stages_that_were_foretold(planned_and_done):
    _, _, screened, between, confirmed, after = planned_and_done
    assert between["confirm"]["exact"]
    assert between["confirm"]["to_compute"] == dict(confirmed - screened)
    assert after["confirm"]["to_compute"] == {}
    assert "all stored" in forecast_text(after)


def test_before_the_screen_typical_runs_stand_for_those_to_confirm(planned_and_done):
    _, before, _, between, _, _ = planned_and_done
    assert not before["confirm"]["exact"]
    found, exact = (sum(item["confirm"]["to_compute"].values()) for item in (before, between))
    assert exact / 2 < found < 2 * exact
    # Tables and draws are as many whatever is confirmed.
    for kind in ("copula", "null", "features"):
        assert before["confirm"]["to_compute"][kind] == between["confirm"]["to_compute"][kind]
    assert "confirmed" in forecast_text(before)


def test_the_disk_that_is_foretold_is_what_the_store_takes(planned_and_done):
    tmp_path, before, _, between, _, _ = planned_and_done
    used = Counter()
    for path in (tmp_path / "store").glob("*/*/*"):
        used[path.parent.parent.name] += path.stat().st_blocks * 512
    foretold = Counter(before["disk_bytes"]) + Counter(between["confirm"]["disk_bytes"])
    for kind in KINDS:
        if kind in foretold:
            assert used[kind] / 2 <= foretold[kind] <= 2 * used[kind], kind


def test_the_bytes_of_large_matrices_are_those_of_their_shapes():
    nodes = [
        node_of("scaling-1", {}, {}),
        node_of("neighbours-1", {"count": 128}, {}),
        node_of("clustering-1", {}, {}),
    ]
    shapes = dict.fromkeys([node.key for node in nodes], Shape(1_000_000, 17))
    found = bytes_by_kind(nodes, shapes)
    assert found["scaling"] == pytest.approx(17 * 8e6, rel=0.01)
    assert found["neighbours"] == pytest.approx(128 * 12e6, rel=0.01)
    assert found["clustering"] == pytest.approx(2e6, rel=0.01)


@pytest.mark.parametrize(
    ("size", "text"), [(640e3, "640 kB"), (12.3e6, "12 MB"), (3.44e9, "3.4 GB")]
)
def test_an_amount_of_disk_is_short(size, text):
    assert amount(size) == text


def test_draws_and_tables_count_the_customers_they_have(tmp_path):
    prepared = prepare(
        compose_study([*TINY, f"store={tmp_path / 's'}", f"hydra.sweep.dir={tmp_path / 'd'}"], None)
    )
    planner = prepared.plan.planner
    assert {shape.customers for shape in planner.shapes.values()} == {150}
    world = planner.world(prepared.plan.runs[0].groups["data"])
    drawn = type(world)("r", 95, {**world.config, "draw": {"identity": "i", "index": 0}}, {})
    key = planner.features(drawn, prepared.plan.runs[0].groups["features"])
    assert planner.shapes[key] == Shape(95, 17)
    assert (
        planner.shapes[
            planner.scaling(key, {"_target_": "sklearn.preprocessing.StandardScaler"})
        ].customers
        == 95
    )
    assert make_tasks(prepared.plan.nodes, prepared.plan.leaves, ())
