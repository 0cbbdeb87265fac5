"""The same rows from every engine; failures stay where they happen; nothing is computed twice."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from itertools import chain

import numpy as np
import pandas as pd
import pytest

from segkit.errors import UsageError
from segkit.files import DiskFull
from segkit.progress import Silent
from segkit.study.compose import compose_study
from segkit.study.keep import writer as record
from segkit.study.plan import schedule
from segkit.study.plan.graph import Task, make_tasks
from segkit.study.plan.schedule import bundles
from segkit.study.plan.stage import Result
from segkit.study.run import engine, rounds, settings, store, workers
from segkit.study.run import task as task_module
from segkit.study.run.outcome import Outcome
from segkit.study.run.preparation import prepare
from segkit.study.run.stages import node_of
from segkit.study.run.task import run_task
from segkit.study.sweep import launch

BROKEN = "_target_: sklearn.cluster.OPTICS\nmin_samples: 5000\n"
SWEEP = [
    "data.n=150",
    "scoring.confirm=false",
    "scoring.draws=3",
    "projection=none,pca",
    "clusterer=kmeans,agglomerative,dbscan,hdbscan",
]


def study(folder, *overrides, config_dir=None, engine="engine=inline", name="study"):
    lines = [
        *SWEEP,
        engine,
        f"store={folder / 'store'}",
        f"hydra.sweep.dir={folder / name}",
        *overrides,
    ]
    return prepare(compose_study(lines, config_dir))


def rows(finished):
    return finished.runs.drop(columns="seconds").set_index("run").sort_index()


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    return launch(study(tmp_path_factory.mktemp("inline")), ["segkit"], Silent())


@pytest.fixture
def counted(replace_compute):
    """Count the nodes that are computed in this process, by kind."""
    done: dict[str, int] = {}

    def counting(kind, compute):
        def wrapped(nodes, inputs):
            done[kind] = done.get(kind, 0) + len(nodes)
            return compute(nodes, inputs)

        return wrapped

    replace_compute(counting)
    return done


def test_local_workers_give_the_same_rows(tmp_path, inline):
    finished = launch(
        study(tmp_path, "engine.workers=2", engine="engine=local"), ["segkit"], Silent()
    )
    spent = finished.work["overhead_seconds"]
    assert set(spent) == {"starting", "workers", "scheduler"}
    assert 0 < spent["starting"] < 60
    assert spent["workers"] >= 0
    pd.testing.assert_frame_equal(rows(finished), rows(inline))


def test_a_scheduler_and_workers_of_their_own_give_the_same_rows(tmp_path, inline):
    contact = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "distributed.cli"]
    scheduler = [
        "dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        contact,
    ]
    worker = [
        "dask_worker",
        "--scheduler-file",
        contact,
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
    ]
    processes = []
    try:
        for name, *arguments in (scheduler, worker, worker):
            module = [*command[:2], f"{command[2]}.{name}"]
            processes.append(
                subprocess.Popen([*module, *map(str, arguments)], cwd=tmp_path, **quiet)
            )
            deadline = time.monotonic() + 60
            while not (contact.exists() and contact.stat().st_size) and time.monotonic() < deadline:
                time.sleep(0.1)
        address = json.loads(contact.read_text())["address"]
        finished = launch(
            study(tmp_path, f"engine.address={address}", engine="engine=local"),
            ["segkit"],
            Silent(),
        )
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
    pd.testing.assert_frame_equal(rows(finished), rows(inline))


def test_a_second_launch_computes_nothing_and_gives_the_same_rows(tmp_path, counted):
    first = launch(study(tmp_path), ["segkit"], Silent())
    assert counted["clustering"] == 8
    counted.clear()
    again = launch(study(tmp_path), ["segkit"], Silent())
    assert counted == {}
    pd.testing.assert_frame_equal(again.runs, first.runs)


def test_a_wider_sweep_computes_only_what_is_new(tmp_path, counted):
    launch(study(tmp_path), ["segkit"], Silent())
    counted.clear()
    launch(
        study(tmp_path, "clusterer=kmeans", "clusterer.n_clusters=5,6", name="wider"),
        ["segkit"],
        Silent(),
    )
    # Five clusters were there; without a projection the native space is the standard reference.
    assert counted == {"clustering": 2, "scoring": 3 + 4, "stability": 2}


def test_a_failure_stays_where_it_happens_and_is_tried_again(tmp_path, counted, inline):
    options = tmp_path / "mine" / "clusterer"
    options.mkdir(parents=True)
    (options / "broken.yaml").write_text(BROKEN)
    wide = "clusterer=kmeans,agglomerative,dbscan,hdbscan,broken"
    finished = launch(study(tmp_path, wide, config_dir=tmp_path / "mine"), ["segkit"], Silent())
    by_status = finished.runs.groupby("status")["clusterer"].unique()
    assert by_status["failed"].tolist() == ["broken"]
    failed = finished.runs[finished.runs["status"] == "failed"]
    assert failed["reason"].str.startswith("clustering: ValueError:").all()
    assert failed["silhouette_reference"].isna().all()
    # What the others found is what they find without it; only their places among the runs may
    # change.
    own = rows(inline).columns.drop(["rank", "pareto", "weight_share"])
    whole = rows(finished).loc[rows(inline).index]
    pd.testing.assert_frame_equal(whole[own], rows(inline)[own], check_dtype=False)
    provenance = json.loads((finished.folder / "provenance.json").read_text())
    assert any("Traceback" in text for text in provenance["failures"].values())
    counted.clear()
    launch(study(tmp_path, wide, config_dir=tmp_path / "mine"), ["segkit"], Silent())
    assert counted == {"clustering": len(failed)}


def test_a_run_found_impossible_while_running_is_skipped_and_not_tried_again(tmp_path, counted):
    # 17 features: 25 components cannot be had, which the plan does not know before the features are
    # made.
    wide = ["projection=pca", "projection.n_components=2,25", "clusterer=kmeans"]
    finished = launch(study(tmp_path, *wide), ["segkit"], Silent())
    skipped = finished.runs[finished.runs["status"] == "skipped"]
    assert skipped["projection.n_components"].tolist() == [25]
    assert "n_components = 25" in skipped["reason"].item()
    counted.clear()
    again = launch(study(tmp_path, *wide), ["segkit"], Silent())
    assert counted == {}
    pd.testing.assert_frame_equal(again.runs, finished.runs)


def test_a_full_disk_stops_the_study_keeps_what_is_done_and_the_next_launch_goes_on(
    tmp_path, monkeypatch, counted
):
    class Filling(store.Store):
        def save(self, key, *rest):
            if key.startswith("stability"):
                raise DiskFull("store: No space left on device; what was finished is kept")
            return super().save(key, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(task_module, "Store", Filling)
        with pytest.raises(DiskFull):
            launch(study(tmp_path), ["segkit"], Silent())
    state = json.loads((tmp_path / "study" / "provenance.json").read_text())["state"]
    assert state == "stopped: disk full"
    counted.clear()
    finished = launch(study(tmp_path), ["segkit"], Silent())
    assert set(counted) == {"stability"}
    assert (finished.runs["status"] == "ok").all()


def test_customers_dropped_for_missing_values_are_null_in_the_partitions(tmp_path):
    finished = launch(
        study(tmp_path, "features.missing=drop", "clusterer=kmeans"), ["segkit"], Silent()
    )
    partitions = pd.read_parquet(finished.folder / "partitions.parquet")
    (table,) = finished.customers.tables.values()
    missing = table.frame.isna().any(axis=1).to_numpy()
    assert missing.any()
    assert (finished.runs["status"] == "ok").all()
    for run in finished.runs["run"]:
        assert (partitions[run].isna() == missing).all()
    assert partitions["id"].tolist() == table.ids.tolist()


@pytest.mark.parametrize("engine", ["inline", "local"])
def test_an_interrupt_keeps_what_was_finished(tmp_path, engine):
    # A process group of its own, as a terminal makes: Ctrl-C reaches the workers as well.
    command = [
        sys.executable,
        "-m",
        "segkit.cli",
        "sweep",
        *SWEEP,
        f"engine={engine}",
        "data.n=4000",
        "scoring.draws=40",
    ]
    process = subprocess.Popen(
        [*command, "clusterer=agglomerative,kmeans,dbscan", "projection=none"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background job starts with Ctrl-C ignored, and what it starts inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 90
    while (
        not list((tmp_path / "outputs").glob("store/clustering/*/*.json"))
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    (folder,) = (tmp_path / "outputs").glob("study/*")
    place = folder.relative_to(tmp_path)
    message, _, resume = errors.strip().splitlines()[-1].partition("; resume with: ")
    assert message == f"segkit: error: interrupted; what was finished is kept for {place}"
    assert shlex.split(resume)[-1] == f"hydra.sweep.dir={place}"
    assert json.loads((folder / "provenance.json").read_text())["state"] == "interrupted"
    assert (folder / "runs.csv").exists()


def test_a_named_folder_that_holds_another_study_is_not_overwritten(tmp_path):
    launch(study(tmp_path, "clusterer=kmeans"), ["segkit"], Silent())
    before = (tmp_path / "study" / "runs.csv").read_bytes()
    with pytest.raises(
        UsageError, match=r"^hydra\.sweep\.dir=.*: holds another study, with 2 runs"
    ):
        launch(study(tmp_path, "clusterer=dbscan"), ["segkit"], Silent())
    assert (tmp_path / "study" / "runs.csv").read_bytes() == before
    wider = launch(study(tmp_path, "clusterer=kmeans,dbscan"), ["segkit"], Silent())
    assert len(wider.runs) == 4


def test_two_studies_of_the_same_second_have_a_folder_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [*SWEEP, "engine=inline", "clusterer=kmeans", "projection=none"]
    prepared = prepare(compose_study(lines))
    folders = [launch(prepared, ["segkit"], Silent()).folder for _ in range(2)]
    assert folders[1].name == f"{folders[0].name}_2"


def test_data_that_change_while_a_study_runs_are_not_stored_under_the_old_name(tmp_path):
    table = tmp_path / "table.csv"
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    frame.to_csv(table, index_label="id")
    places = [f"store={tmp_path}/store", f"hydra.sweep.dir={tmp_path}/study", "engine=inline"]
    places.append("scoring.confirm=false")
    prepared = prepare(compose_study(["data=table", f"data.path={table}", "data.id=id", *places]))

    class Changing(Silent):
        def start(self, *arguments):
            super().start(*arguments)
            (frame + rng.normal(size=(60, 3))).to_csv(table, index_label="id")

    finished = launch(prepared, ["segkit"], Changing())
    assert finished.runs["status"].tolist() == ["failed"]
    assert "the data changed after the study was planned" in finished.runs["reason"].item()
    assert not list((tmp_path / "store" / "features").glob("*/*.json"))


def test_what_this_launch_computed_is_kept_and_what_was_stored_does_not_count(tmp_path):
    first = launch(study(tmp_path), ["segkit"], Silent())
    provenance = json.loads((first.folder / "provenance.json").read_text())
    assert 0 < provenance["efficiency"] <= 1
    available = provenance["execution_seconds"] * provenance["workers"]
    assert sum(provenance["computed_seconds"].values()) / available == pytest.approx(
        provenance["efficiency"], rel=0.05
    )
    assert provenance["computed_seconds"] == pytest.approx(provenance["seconds"], abs=0.002)
    peaks, growths = provenance["peak_memory"], provenance["memory_growth"]
    assert set(peaks) == set(growths) == set(provenance["seconds"])
    assert all(peaks[kind] > growth for kind, growth in growths.items())
    assert provenance["overhead_seconds"] == {}
    again = json.loads(
        (launch(study(tmp_path), ["segkit"], Silent()).folder / "provenance.json").read_text()
    )
    assert again["efficiency"] is None
    assert again["computed_seconds"] == {}
    assert again["seconds"] == provenance["seconds"]


def random_tasks(rng, count):
    names = [f"features-{index:03}" for index in range(count)]
    for index, name in enumerate(names):
        after = (
            rng.choice(names[:index], size=min(index, rng.integers(0, 4)), replace=False)
            if index
            else ()
        )
        yield Task(name, (node_of(name, {}, {}),), tuple(map(str, after)))


@pytest.mark.parametrize("seed", range(20))
def test_bundles_hold_every_task_once_after_what_it_needs_and_are_small(seed):
    rng = np.random.default_rng(seed)
    tasks = list(random_tasks(rng, 120))
    seconds = {task.name: float(rng.choice([0.01, 0.1, 2.0])) for task in tasks}
    bundled = bundles(tasks, seconds, 2)
    done = set()
    for bundle in bundled:
        for task in bundle:
            assert set(task.after) <= done
            done.add(task.name)
        assert len(bundle) == 1 or sum(seconds[task.name] for task in bundle) <= 0.5
    assert len(done) == len(tasks) == sum(map(len, bundled))
    assert len(bundled) < len(tasks)


def test_large_tasks_are_not_bundled_and_little_work_is_still_spread():
    tasks = [
        Task(f"features-{index}", (node_of(f"features-{index}", {}, {}),), ())
        for index in range(100)
    ]
    large = bundles(tasks, {task.name: 1.0 for task in tasks}, 2)
    assert len(large) == 100
    little = bundles(tasks, {task.name: 0.002 for task in tasks}, 2)
    assert 40 <= len(little) <= 60


def test_a_task_that_no_worker_survives_does_not_take_its_bundle_with_it(tmp_path, monkeypatch):
    prepared = study(
        tmp_path, "projection=none", "clusterer=kmeans", "scoring.references=[standard]"
    )
    tasks = make_tasks(prepared.plan.nodes, prepared.plan.leaves, set())
    run_bundle = rounds.run_bundle

    def dying(bundle, *rest, **compiled):
        if any(task.kind == "clustering" for task in bundle):
            os._exit(1)
        return run_bundle(bundle, *rest, **compiled)

    monkeypatch.setattr(rounds, "run_bundle", dying)
    monkeypatch.setattr(workers, "LOST_WORKER_RETRIES", 0)
    # All in one bundle.
    monkeypatch.setattr(schedule, "_BUNDLES_EACH", 0.1)
    small = dict.fromkeys((task.name for task in tasks), 0.01)
    assert len(bundles(tasks, small, 1)) == 1
    prepared.store.prepare()
    with engine.Engine(settings.EngineSettings(workers=1), str(prepared.store.root)) as running:
        outcomes_of = {task.kind: outcomes for task, outcomes in running.run(tasks, small, small)}
    statuses = {kind: {outcome.status for outcome in outcomes_of[kind]} for kind in outcomes_of}
    assert statuses == {
        "features": {"ok"},
        "scaling": {"ok"},
        "clustering": {"failed"},
        "scoring": {"failed"},
        "stability": {"failed"},
    }
    assert "the worker was lost" in outcomes_of["clustering"][0].reason


def test_who_only_waited_for_a_worker_that_was_lost_does_not_fail_with_it(tmp_path, monkeypatch):
    prepared = study(
        tmp_path, "projection=none", "clusterer=kmeans,dbscan", "scoring.references=[standard]"
    )
    tasks = make_tasks(prepared.plan.nodes, prepared.plan.leaves, set())
    run_bundle = rounds.run_bundle

    def dying(bundle, *rest, **compiled):
        nodes = chain.from_iterable(task.nodes for task in bundle)
        configs = [node.config.get("clusterer", node.config) for node in nodes]
        if any(config.get("_target_") == "sklearn.cluster.DBSCAN" for config in configs):
            # The others are queued behind it by then.
            time.sleep(0.5)
            os._exit(1)
        return run_bundle(bundle, *rest, **compiled)

    monkeypatch.setattr(rounds, "run_bundle", dying)
    monkeypatch.setattr(workers, "LOST_WORKER_RETRIES", 0)
    prepared.store.prepare()
    with engine.Engine(settings.EngineSettings(workers=1), str(prepared.store.root)) as running:
        outcomes_of = {
            task.name: outcomes
            for task, outcomes in running.run(tasks, {task.name: 0.0 for task in tasks})
        }
    assert set(outcomes_of) == {task.name for task in tasks}
    kmeans, dbscan = (
        {run.stages[role] for role in ("clustering", "stability")} for run in prepared.plan.runs
    )
    outcomes = chain.from_iterable(outcomes_of.values())
    status = {outcome.key: outcome.status for outcome in outcomes}
    assert {status[key] for key in kmeans} == {"ok"}
    assert {status[key] for key in dbscan} == {"failed"}


def test_a_result_that_cannot_be_written_fails_its_stage_and_names_the_store(
    tmp_path, monkeypatch, replace_compute
):
    def refused(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store.Store, "save", refused)
    node = node_of("null-aa", {}, {})
    replace_compute(lambda _kind, _compute: lambda _nodes, _inputs: [Result({}, {})], "null")
    (outcome,) = run_task(Task("t", (node,), ()), tmp_path)
    assert outcome.status == "failed"
    assert (
        outcome.reason
        == f"null: store={tmp_path}: the result cannot be written (Permission denied)"
    )


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("auto", 8_000),
        ("3kB", 3_000),
        ("2 KiB", 2_048),
        (5_000, 5_000),
        ("1.5M", 16_000),
        (None, 16_000),
    ],
)
def test_a_stage_may_take_the_memory_of_a_worker(monkeypatch, limit, expected):
    monkeypatch.setattr(settings, "machine_memory", lambda: 16_000)
    assert settings.EngineSettings(workers=2, memory_limit=limit).most_memory == expected
    alone = 16_000 if limit == "auto" else expected
    assert (
        settings.EngineSettings(mode="inline", workers=2, memory_limit=limit).most_memory == alone
    )


def test_who_has_no_room_is_skipped_with_all_that_needs_it_and_tried_again_where_there_is_more(
    tmp_path, monkeypatch
):
    grid = pd.DataFrame(np.argwhere(np.ones((20, 20))), columns=["across", "down"])
    grid.to_csv(tmp_path / "grid.csv", index=False)
    sweep = [
        "data=table",
        f"data.path={tmp_path / 'grid.csv'}",
        "data.id=null",
        "scaler=standard",
        "projection=none",
    ]
    sweep += [
        "clusterer=agglomerative,kmeans",
        "clusterer.n_clusters=5",
        "scoring.draws=3",
        "scoring.confirm=false",
    ]
    sweep += ["engine=inline", f"store={tmp_path}/store"]
    before = os.environ.get("SEGKIT_WORKER_MEMORY")
    monkeypatch.setattr(settings, "machine_memory", lambda: 500_500_000)
    first = launch(
        prepare(compose_study([*sweep, f"hydra.sweep.dir={tmp_path}/first"])), ["segkit"], Silent()
    )
    runs = first.runs.set_index("clusterer")
    assert runs["status"].to_dict() == {"agglomerative": "skipped", "kmeans": "ok"}
    assert "merges tie" in runs.loc["agglomerative", "reason"]
    monkeypatch.setattr(settings, "machine_memory", lambda: 10**9)
    second = launch(
        prepare(compose_study([*sweep, f"hydra.sweep.dir={tmp_path}/second"])), ["segkit"], Silent()
    )
    assert (second.runs["status"] == "ok").all(), second.runs["reason"].tolist()
    assert os.environ.get("SEGKIT_WORKER_MEMORY") == before


def test_a_draw_that_this_worker_has_no_room_for_stops_what_stands_on_all_draws(tmp_path):
    keys = {"clustering-aa": "ok", "clustering-bb": "skipped"}
    node = node_of(
        "refit-cc", {"draws": 2}, {"partition": "clustering-aa", "partition:0": "clustering-bb"}
    )
    for again, status in ((True, "skipped"), (False, "failed")):
        outcomes = [
            Outcome(key, status_of_input, "no room", again=again and status_of_input != "ok")
            for key, status_of_input in keys.items()
        ]
        (outcome,) = run_task(Task("t", (node,), ()), tmp_path, outcomes)
        # Without an input in the store the stage itself fails: it was tried.
        assert (outcome.status, outcome.again) == (status, True)
    assert not store.Store(tmp_path).keys(("refit",))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(None, None), ("90min", 5400), ("24h", 86_400), ("1.5 d", 129_600), ("30s", 30)],
)
def test_a_stage_may_be_estimated_to_take_a_time(limit, expected):
    assert settings.EngineSettings(time_limit=limit).most_seconds == expected


def test_pictures_of_one_matrix_are_judged_together_as_each_by_itself(tmp_path):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 6))
    nodes = []
    for name in ("aa", "bb", "cc"):
        inputs = {"scaling": "scaling-00", "space": f"projection-{name}"}
        nodes.append(node_of(f"quality-{name}", {"identity": "x"}, inputs))
    spaces = dict(
        zip(
            [node.inputs["space"] for node in nodes],
            (X[:, :2], X[:, :2] ** 3, X[:, 2:5]),
            strict=True,
        )
    )
    others = {"scaling-00": X, **spaces}
    (together,) = make_tasks(
        {node.key: node for node in nodes}, [node.key for node in nodes], others
    )
    assert [node.key for node in together.nodes] == [node.key for node in nodes]
    stores = [store.Store(tmp_path / name) for name in ("together", "alone")]
    for results in stores:
        for key, matrix in others.items():
            results.save(key, {"matrix": matrix}, {}, 0.0)
    run_task(together, stores[0].root)
    for node in nodes:
        run_task(Task(node.key, (node,), ()), stores[1].root)
        both = [results.record(node.key)["facts"] for results in stores]
        assert both[0] == both[1]
        arrays = [results.arrays(node.key) for results in stores]
        assert all((arrays[0][name] == arrays[1][name]).all() for name in arrays[0])


def test_one_picture_that_cannot_be_read_does_not_take_the_others_with_it(tmp_path):
    X = np.random.default_rng(4).normal(size=(200, 5))
    results = store.Store(tmp_path)
    for key, matrix in (
        ("scaling-00", X),
        ("projection-aa", X[:, :2]),
        ("projection-bb", X[:, 1:3]),
    ):
        results.save(key, {"matrix": matrix}, {}, 0.0)
    nodes = [
        node_of(
            f"quality-{name}",
            {"identity": "x"},
            {"scaling": "scaling-00", "space": f"projection-{name}"},
        )
        for name in ("aa", "lost", "bb")
    ]
    outcomes = run_task(Task("t", tuple(nodes), ()), tmp_path)
    assert [outcome.status for outcome in outcomes] == ["ok", "failed", "ok"]


def test_exact_neighbours_tell_no_recall_and_a_poor_descent_is_replaced_by_them(
    tmp_path, monkeypatch
):
    X = np.random.default_rng(5).normal(size=(300, 7))
    results = store.Store(tmp_path)
    results.save("scaling-00", {"matrix": X}, {}, 0.0)
    poor = []

    def descend(matrix, count):
        poor.append(count)
        return None, 0.5

    monkeypatch.setattr("segkit.projection.neighbours.descend", descend)
    for name, config in (("aa", {"count": 20}), ("bb", {"count": 20, "approximate": True})):
        node = node_of(f"neighbours-{name}", config, {"scaling": "scaling-00"})
        run_task(Task("t", (node,), ()), tmp_path)
    records = [results.record(f"neighbours-{name}") for name in ("aa", "bb")]
    assert [list(result["facts"]) for result in records] == [["sketch"], ["sketch"]]
    assert records[0]["digest"] == records[1]["digest"]
    assert poor == [20]


@pytest.mark.parametrize("stored", [False, True])
def test_finished_rows_are_kept_where_the_partitions_cannot_be_written(
    tmp_path, monkeypatch, stored
):
    if stored:
        launch(study(tmp_path), ["segkit"], Silent())
    plain = record.write_table

    def full(frame, path):
        if path.name == "partitions.parquet":
            raise DiskFull("no place")
        plain(frame, path)

    monkeypatch.setattr(record, "write_table", full)
    with pytest.raises(DiskFull):
        launch(study(tmp_path, name="other"), ["segkit"], Silent())
    runs = pd.read_parquet(tmp_path / "other" / "runs.parquet")
    assert (runs["status"] == "ok").sum() == 8
