"""Confirming: fresh draws, other seeds, whole refits and tables without segments, as stages of
the same graph."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.preprocessing import PowerTransformer, StandardScaler

from segkit.errors import UsageError
from segkit.hashing import seed_of
from segkit.progress import Silent
from segkit.scoring.null import permuted
from segkit.scoring.stability import draw
from segkit.study.compose import compose_study
from segkit.study.judge.calibrated import _pooled, best_against_nulls
from segkit.study.judge.ranking import CHOOSING_SCORES, shortlist
from segkit.study.plan.graph import Task
from segkit.study.plan.keys import kind_of
from segkit.study.run.preparation import prepare
from segkit.study.run.stages import node_of
from segkit.study.run.store import Store
from segkit.study.run.tables import SEED_BYTES
from segkit.study.run.task import run_task
from segkit.study.sweep import launch

SWEEP = [
    *[
        "data.n=200",
        "engine=inline",
        "scoring.draws=3",
        "scoring.confirm_draws=4",
        "scoring.refits=3",
    ],
    *[
        "scoring.seeds=2",
        "scoring.shortlist=3",
        "scoring.nulls.copula=19",
        "scoring.nulls.permuted=2",
    ],
    *["clusterer=kmeans", "clusterer.n_clusters=range(2,7)", "projection=none,pca"],
]


def study(folder, *overrides, name="study"):
    places = [f"store={folder}/store", f"hydra.sweep.dir={folder}/{name}"]
    return prepare(compose_study([*SWEEP, *places, *overrides]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("confirm")


@pytest.fixture(scope="module")
def finished(folder):
    return launch(study(folder), ["segkit"], Silent())


@pytest.fixture(scope="module")
def table(finished):
    (table,) = finished.customers.tables.values()
    return table


def scaled(frame, scaler):
    return scaler.fit_transform(frame.fillna(frame.median()))


def kmeans(matrix, k, seed=42):
    return KMeans(n_clusters=k, n_init=10, random_state=seed).fit_predict(matrix)


def confirmed(finished, projection="none"):
    runs = finished.runs
    return runs[runs["confirmed"] & (runs["projection"] == projection)].iloc[0]


def test_only_the_shortlist_is_confirmed(finished):
    runs = finished.runs
    assert runs["confirmed"].sum() == 3
    assert runs.loc[runs["confirmed"], "stability_ari_refit"].notna().all()
    assert runs.loc[~runs["confirmed"], "stability_ari_refit"].isna().all()


def test_fresh_draws_are_other_draws_than_the_screens_and_equal_plain_calls(finished, table):
    run = confirmed(finished)
    space = scaled(table.frame, StandardScaler())
    whole = kmeans(space, run["n_clusters"])
    expected = []
    for index in range(4):
        rows = draw(run_data(finished) + "/fresh", index, 200)
        assert not np.array_equal(rows, draw(run_data(finished), index, 200))
        expected.append(adjusted_rand_score(whole[rows], kmeans(space[rows], run["n_clusters"])))
    assert run["stability_ari_fresh"] == pytest.approx(np.mean(expected), abs=1e-12)


def run_data(finished):
    return finished.plan.runs[0].data


def test_a_refit_scales_each_draw_anew_and_equals_plain_calls(finished, table):
    run = confirmed(finished)
    whole = kmeans(scaled(table.frame, StandardScaler()), run["n_clusters"])
    expected = []
    for index in range(3):
        rows = draw(run_data(finished) + "/refit", index, 200)
        found = kmeans(scaled(table.frame.iloc[rows], StandardScaler()), run["n_clusters"])
        expected.append(adjusted_rand_score(whole[rows], found))
    assert run["stability_ari_refit"] == pytest.approx(np.mean(expected), abs=1e-12)


def test_other_seeds_equal_plain_calls_with_those_seeds(finished, table):
    from segkit.study.plan.confirmation import _other_seed

    run = confirmed(finished)
    space = scaled(table.frame, StandardScaler())
    k = run["n_clusters"]
    others = [kmeans(space, k, _other_seed(42, index)) for index in range(2)]
    expected = np.mean([adjusted_rand_score(kmeans(space, k), found) for found in others])
    assert run["stability_ari_seed"] == pytest.approx(expected, abs=1e-12)


def test_a_table_without_segments_goes_through_the_whole_pipeline(finished, folder, table):
    run = confirmed(finished)
    nulls = pd.read_parquet(folder / "study" / "nulls.parquet").set_index(["run", "kind", "index"])
    nodes = finished.plan.planner.nodes.values()
    made = next(
        n.key
        for n in nodes
        if n.kind == "null" and (n.config["kind"], n.config["index"]) == ("permuted", 0)
    )
    frame = permuted(table.frame, np.random.default_rng(seed_of(made, SEED_BYTES)))
    labels = kmeans(scaled(frame, StandardScaler()), run["n_clusters"])
    expected = silhouette_score(scaled(frame, PowerTransformer()), labels)
    assert nulls.loc[(run["run"], "permuted", 0), "silhouette"] == pytest.approx(expected, abs=1e-9)


def test_p_and_excess_follow_from_the_kept_null_scores(finished, folder):
    nulls = pd.read_parquet(folder / "study" / "nulls.parquet")
    for _, run in finished.runs[finished.runs["confirmed"]].iterrows():
        values = nulls.query("run == @run.run and kind == 'copula'")["silhouette"].to_numpy()
        assert len(values) == 19
        observed = run["silhouette_reference"]
        assert run["silhouette_p"] == pytest.approx((1 + (values >= observed).sum()) / 20)
        assert run["silhouette_excess"] == pytest.approx(observed - values.mean())
        assert run["silhouette_z"] == pytest.approx((observed - values.mean()) / values.std(ddof=1))
        assert run["silhouette_null_sd"] == pytest.approx(values.std(ddof=1))


def test_the_criteria_are_excesses_in_standard_deviations_of_the_whole_pipeline(finished, folder):
    kept = pd.read_parquet(folder / "study" / "nulls.parquet").query("kind == 'copula'")
    runs = finished.runs.set_index("run")
    kept = kept.assign(projection=kept["run"].map(runs["projection"]))
    for score, sign in (("silhouette", 1), ("davies_bouldin", -1)):
        by_run = kept.groupby(["projection", "run"])[score]
        pooled = np.sqrt(by_run.var(ddof=1).groupby("projection").mean())
        for (projection, run), mean in by_run.mean().items():
            expected = sign * (runs.loc[run, f"{score}_reference"] - mean) / pooled[projection]
            assert runs.loc[run, f"{score}_pooled_z"] == pytest.approx(expected)
    assert kept.groupby("projection")["run"].nunique().min() > 1


def test_every_number_of_clusters_of_a_confirmed_pipeline_has_an_excess(finished):
    runs = finished.runs
    pipelines = runs.loc[runs["confirmed"], "projection"].unique()
    wanted = runs[runs["projection"].isin(pipelines)]
    assert len(wanted) >= 5
    assert wanted["silhouette_excess"].notna().all()


def test_the_recommendation_tells_the_test_and_its_bar(finished, folder):
    found = json.loads((folder / "study" / "recommendation.json").read_text())
    assert found["verdict"] in ("recommended", "no_structure")
    assert found["null"]["tables"] == 19
    assert found["null"]["level"] == 0.05
    assert set(found["null"]["holding_up"]) <= set(found["null"]["shortlist"])
    if found["verdict"] == "recommended":
        best = finished.runs.set_index("run").loc[found["run"]]
        assert best["rank"] == 1
        assert best["p_adjusted"] <= 0.05
        assert best["rank_low"] <= 1 <= best["rank_high"]


def test_independent_columns_are_not_recommended(folder):
    finished = launch(
        study(folder, "data=simulated_profile", "data.n=300", name="profile"), ["segkit"], Silent()
    )
    found = json.loads((finished.folder / "recommendation.json").read_text())
    assert found["verdict"] == "no_structure"
    assert found["run"] is None
    assert found["null"]["p"] > 0.05


def test_a_second_launch_confirms_from_the_store_and_more_tables_add_only_themselves(
    folder, finished, replace_compute
):
    done: list[str] = []

    def counting(_kind, compute):
        def wrapped(nodes, inputs):
            done.extend(kind_of(node.key) for node in nodes)
            return compute(nodes, inputs)

        return wrapped

    replace_compute(counting)
    again = launch(study(folder), ["segkit"], Silent())
    assert done == []
    pd.testing.assert_frame_equal(again.runs, finished.runs)
    launch(study(folder, "scoring.nulls.permuted=3"), ["segkit"], Silent())
    assert done.count("null") == 1
    assert "copula" not in done
    assert "stability" not in done


def test_nothing_to_confirm_is_a_stated_result(tmp_path):
    places = [f"store={tmp_path}/store", f"hydra.sweep.dir={tmp_path}/study"]
    only_noise = ["data.n=100", "engine=inline", "clusterer=dbscan", "clusterer.eps=0.0001"]
    finished = launch(prepare(compose_study([*only_noise, *places])), ["segkit"], Silent())
    found = json.loads((finished.folder / "recommendation.json").read_text())
    assert found["verdict"] == "nothing_eligible"
    assert not finished.runs["confirmed"].any()


def test_the_shortlist_takes_the_front_then_each_number_of_clusters_and_no_partition_twice():
    runs = pd.DataFrame(
        {
            "run": list("abcdefg"),
            "rank": [1, 2, 3, 4, 5, 6, None],
            "pareto": [True, False, False, False, False, False, False],
            "n_clusters": [2, 2, 2, 2, 3, 4, 3],
        }
    )
    partitions = dict(zip("abcdefg", ["p", "p", "q", "r", "s", "t", "u"], strict=True))
    assert shortlist(runs, partitions, 10) == ["a", "c", "e", "f", "d"]
    assert shortlist(runs, partitions, 2) == ["a", "c"]


def test_a_run_that_rightly_finds_nothing_in_tables_without_segments_can_still_win():
    rng = np.random.default_rng(5)
    always = pd.DataFrame({"silhouette": rng.normal(0.2, 0.02, 39), "status": "ok"})
    seldom = pd.DataFrame(
        {"silhouette": [0.2] * 5 + [np.nan] * 34, "status": ["ok"] * 5 + ["single_cluster"] * 34}
    )
    parts = {"a": always, "b": seldom}
    nulls = pd.concat(
        [part.assign(run=run, kind="copula", index=range(39)) for run, part in parts.items()]
    )
    runs = pd.DataFrame({"run": ["a", "b"], "silhouette_reference": [0.21, 0.6]})
    found = best_against_nulls(runs, ["a", "b"], nulls)
    assert found.adjusted_p("silhouette").tolist()[1] == 1 / 40
    assert found.run == 1
    weak = best_against_nulls(runs.assign(silhouette_reference=[0.21, 0.2]), ["a", "b"], nulls)
    assert weak.adjusted_p("silhouette")[1] > 0.05


def test_clusterers_without_a_seed_that_find_nothing_without_structure_are_recommended(tmp_path):
    from sklearn.datasets import make_blobs

    import segkit.report

    points, _ = make_blobs(300, centers=5, n_features=8, cluster_std=0.6, random_state=3)
    pd.DataFrame(points, columns=[f"c{i}" for i in range(8)]).to_csv(
        tmp_path / "blobs.csv", index_label="id"
    )
    lines = [line for line in SWEEP if not line.startswith(("data", "clusterer", "projection"))]
    lines += ["data=table", f"data.path={tmp_path}/blobs.csv", "data.id=id", "clusterer=hdbscan"]
    lines += [
        "clusterer.min_cluster_size=20,30",
        f"store={tmp_path}/store",
        f"hydra.sweep.dir={tmp_path}/study",
    ]
    finished = launch(prepare(compose_study(lines)), ["segkit"], Silent())
    found = json.loads((finished.folder / "recommendation.json").read_text())
    assert found["verdict"] == "recommended"
    assert finished.runs.set_index("run").loc[found["run"], "n_clusters"] == 5
    assert segkit.report.build(finished.folder).exists()


def test_lost_tables_are_left_out_told_and_never_called_structureless(tmp_path, replace_compute):
    def losing(_kind, compute):
        def wrapped(nodes, inputs):
            if nodes[0].config.get("kind") == "copula" and nodes[0].config["index"] < 5:
                raise RuntimeError("lost")
            return compute(nodes, inputs)

        return wrapped

    replace_compute(losing, "null")
    finished = launch(study(tmp_path), ["segkit"], Silent())
    found = json.loads((finished.folder / "recommendation.json").read_text())
    assert found["verdict"] == "screened_only"
    assert "5 of 19 tables" in found["reasons"][-1]["reason"]
    assert found["null"]["tables"] == 14
    assert not finished.complete
    told = finished.runs.loc[finished.runs["confirmed"], "confirm_reason"]
    assert told.str.contains("RuntimeError: lost").all()


def test_an_impossible_refit_is_one_draw_without_a_value(tmp_path):
    # One customer alone has a third category: a draw without it has one feature less, too few for
    # as many components.
    rng = np.random.default_rng(0)
    kind = np.where(np.arange(80) == 7, "rare", np.where(rng.random(80) < 0.5, "a", "b"))
    pd.DataFrame(rng.normal(size=(80, 3)), columns=list("xyz")).assign(kind=kind).to_csv(
        tmp_path / "t.csv", index_label="id"
    )
    lines = [line for line in SWEEP if not line.startswith(("data", "clusterer.", "projection"))]
    lines += [
        "data=table",
        f"data.path={tmp_path}/t.csv",
        "data.id=id",
        "projection=pca",
        "projection.n_components=6",
    ]
    lines += [
        "clusterer.n_clusters=3",
        "scoring.refits=12",
        f"store={tmp_path}/store",
        f"hydra.sweep.dir={tmp_path}/study",
    ]
    (run,) = launch(prepare(compose_study(lines)), ["segkit"], Silent()).runs.to_dict("records")
    assert run["stability_refit_draws"] == 12
    assert 0 < run["stability_refit_draws_valid"] < 12
    assert run["stability_ari_refit"] == run["stability_ari_refit"]


def test_another_seed_that_cannot_be_clustered_is_a_draw_without_a_value(tmp_path):
    store = Store(tmp_path)
    store.save("clustering-aa", {"labels": np.repeat([0, 1], 20).astype(np.int16)}, {}, 0.0)
    store.save("clustering-bb", {"labels": np.repeat([1, 0], 20).astype(np.int16)}, {}, 0.0)
    store.save("clustering-cc", {}, {"skipped": "projection: no finite coordinates"}, 0.0)
    inputs = {
        "partition": "clustering-aa",
        "partition:0": "clustering-bb",
        "partition:1": "clustering-cc",
    }
    (outcome,) = run_task(Task("t", (node_of("reseed-dd", {"seeds": 2}, inputs),), ()), tmp_path)
    facts = outcome.record["facts"]
    assert (outcome.status, facts["draws"], facts["stability_draws_valid"]) == ("ok", 2, 1)
    assert store.intact("clustering-cc")


def test_a_study_whose_tables_without_segments_are_all_lost_ends_with_what_was_screened(
    tmp_path, replace_compute
):
    def broken(_nodes, _inputs):
        raise MemoryError("no room for a copula")

    replace_compute(lambda _kind, _compute: broken, "copula")
    finished = launch(study(tmp_path), ["segkit"], Silent())
    told = json.loads((tmp_path / "study" / "recommendation.json").read_text())
    assert (finished.state, finished.complete) == ("finished", False)
    assert told["verdict"] == "screened_only"
    assert "19 of 19 tables without segments were lost" in told["reasons"][-1]["reason"]
    assert finished.runs["stability_ari_fresh"].notna().sum() == 3


def test_a_run_that_finds_nothing_without_segments_counts_what_it_does_in_the_test():
    frame = pd.DataFrame(
        {
            **{
                f"{name}_{part}": [1.0, np.nan, np.nan]
                for name in CHOOSING_SCORES
                for part in ("z", "null_sd")
            },
            **{f"{name}_p": [0.05, 1 / 20, 0.5] for name in CHOOSING_SCORES},
        }
    )
    found = _pooled(frame, pd.Series(["a", "b", "c"]))["silhouette_pooled_z"]
    assert found.tolist() == pytest.approx([1.0, 19 / np.sqrt(20), 0.5 / np.sqrt(0.5)])


def test_the_verdict_is_derived_again_from_the_folder_alone(finished, tmp_path):
    from segkit.report.gather import gather

    kept = json.loads((finished.folder / "recommendation.json").read_text())
    copy = shutil.copytree(finished.folder, tmp_path / "study")
    (copy / "recommendation.json").unlink()
    found = gather(copy)
    assert "derived again" in " ".join(found.lacking)
    for told in (kept, found.recommendation):
        told["null"]["shortlist"] = sorted(told["null"]["shortlist"])
    assert found.recommendation == kept
    (copy / "nulls.parquet").unlink()
    screen = gather(copy)
    assert screen.recommendation["verdict"] == "screened_only"
    assert "nulls.parquet is missing: the verdict is that of the screen" in " ".join(screen.lacking)
    best = screen.runs.set_index("run").loc[screen.recommendation["run"]]
    assert best["rank"] == best["screen_rank"] == 1


def test_a_recommendation_of_another_study_is_refused(finished, tmp_path):
    from segkit.report.gather import gather

    copy = shutil.copytree(finished.folder, tmp_path / "study")
    (copy / "recommendation.json").write_text(
        json.dumps({"run": "f" * 12, "verdict": "recommended"})
    )
    with pytest.raises(
        UsageError, match=r"recommendation\.json: names the run 'f+', which runs\.parquet has not"
    ):
        gather(copy)
