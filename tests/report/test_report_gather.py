from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from segkit.errors import UsageError
from segkit.report import gather as g
from segkit.report import words


@pytest.fixture(scope="module")
def summary(swept):
    return g.gather(swept[1])


def runs_of(rows: list[dict]) -> pd.DataFrame:
    base = {
        "status": "ok",
        "reason": "",
        "data": "d",
        "features": "all",
        "scaler": "power",
        "projection": "none",
        "clusterer": "kmeans",
        "noise_fraction": 0.0,
        "silhouette_native": np.nan,
        "silhouette_reference": np.nan,
        "stability_ari": np.nan,
        "rank": np.nan,
    }
    return pd.DataFrame([base | {"run": f"r{i}"} | row for i, row in enumerate(rows)])


def test_runs_are_ordered_by_rank_then_reference_silhouette_and_failures_come_last():
    runs = runs_of(
        [
            {"silhouette_reference": 0.9},
            {"status": "failed"},
            {"silhouette_reference": 0.2, "rank": 1},
            {"silhouette_reference": 0.95},
            {},
        ]
    )
    board = g.leaderboard(runs, ["power"])
    assert board["run"].tolist() == ["r2", "r3", "r0", "r4", "r1"]
    assert board["standing"].tolist() == [1, 2, 3, 4, 5]
    assert board["eligible"].tolist() == [True, False, False, False, False]


def test_coverage_inflation_and_reference_ranks():
    runs = runs_of(
        [
            {"noise_fraction": 0.25, "silhouette_native": 0.6, "silhouette_reference": 0.1, "silhouette_standard": 0.3},
            {"silhouette_native": 0.2, "silhouette_reference": 0.2, "silhouette_standard": 0.1},
        ]
    )
    board = g.leaderboard(runs, ["power", "standard"]).set_index("run")
    assert board.loc["r0", "coverage"] == 0.75
    assert board.loc["r0", "inflation"] == pytest.approx(0.5)
    assert board[["rank_power", "rank_standard"]].to_numpy().tolist() == [[1, 2], [2, 1]]


def test_labels_tell_only_the_parameters_that_vary_within_an_option():
    runs = runs_of(
        [
            {"projection": "umap", "projection.n_neighbors": 15.0, "projection.metric": "euclidean"},
            {"projection": "umap", "projection.n_neighbors": 50.0, "projection.metric": "euclidean"},
            {"projection": "none"},
        ]
    )
    labels = g.option_labels(runs, "projection")
    assert labels.tolist() == ["umap(n_neighbors=15)", "umap(n_neighbors=50)", "none"]


def test_agreement_equals_scikit_learn_with_noise_as_a_group_of_its_own():
    rng = np.random.default_rng(0)
    a, b, c = rng.integers(0, 4, 200), rng.integers(-1, 3, 200), rng.integers(0, 2, 200)
    partitions = pd.DataFrame({"a": a, "b": b, "c": c, "a2": a}).astype("Int16")
    partitions.loc[:9, "c"] = pd.NA
    matrix, answers = g.agreement(partitions)
    assert matrix.loc["a", "b"] == pytest.approx(adjusted_rand_score(a, b))
    assert matrix.loc["c", "a"] == pytest.approx(adjusted_rand_score(a[10:], c[10:]))
    assert matrix.loc["a", "a2"] == pytest.approx(1.0)
    assert answers == 3
    assert abs(list(matrix).index("a") - list(matrix).index("a2")) == 1


def test_k_curves_follow_lines_that_differ_in_k_alone():
    rows = [
        {"clusterer.n_clusters": k, "inertia": 100.0 / k, "silhouette_reference": k / 10, "scaler": scaler}
        for scaler in ("power", "robust")
        for k in (2, 3, 4)
    ]
    rows.append({"clusterer.n_clusters": 5, "clusterer": "alone", "silhouette_reference": 0.5})
    rows.append({"clusterer": "dbscan", "silhouette_reference": 0.5})
    found = g.k_curves(
        g.leaderboard(runs_of(rows).assign(inertia=lambda t: t.get("inertia")), ["power"]).assign(
            stability_ari_q05=np.nan, stability_ari_q95=np.nan
        )
    )
    line = found[found["scaler"] == "robust"]
    assert line["k"].tolist() == [2, 3, 4]
    np.testing.assert_allclose(line["inertia_share"], [1, 2 / 3, 1 / 2])
    assert set(found["method"]) == {"kmeans"}


def test_k_curves_are_drawn_over_the_runs_that_the_other_choices_are_weighed_over(swept, summary):
    from segkit.report import words

    rows = [
        {"clusterer.n_clusters": k, "silhouette_reference": 1 / k, "scaler": scaler, "rank": k if k < 12 else np.nan}
        for scaler in ("power", "robust")
        for k in range(2, 16)
    ]
    unknown = dict.fromkeys(("inertia", "stability_ari_q05", "stability_ari_q95"), np.nan)
    runs = g.leaderboard(runs_of(rows).assign(**unknown), ["power"])
    assert g.k_curves(runs)["k"].max() == 11
    assert g.k_curves(g.leaderboard(runs.assign(rank=np.nan), ["power"]))["k"].max() == 15
    told = words.k_caption(summary)
    ragged = g.k_points(runs)
    assert len(ragged) == 20
    assert told.endswith(f"Drawn over {words.weighed(summary)}; a point is the mean of those with the same choices.")
    assert f"the {int(summary.runs['eligible'].sum())} eligible runs" in told


def test_numbers_of_clusters_are_compared_over_the_lines_that_have_all_of_them(summary):
    from segkit.report import words

    # At k = 2 the line that lacks the others would win.
    rows = [
        {"clusterer.n_clusters": k, "silhouette_reference": value, "stability_ari": 0.5, "scaler": scaler}
        for scaler, values in {"power": (0.1, 0.2, 0.15), "robust": (0.1, 0.3, 0.2), "none": (0.9,)}.items()
        for k, value in zip((2, 3, 4), values, strict=False)
    ]
    unknown = dict.fromkeys(("inertia", "stability_ari_q05", "stability_ari_q95"), np.nan)
    runs = g.leaderboard(runs_of(rows).assign(**unknown), ["power"])
    told = words.k_caption(replace(summary, runs=runs, k_curves=g.k_curves(runs)))
    assert told.startswith(
        "K-Means: reference silhouette is highest at k = 3 (0.25) and stability is equal at k = 2, 3 and 4 (0.50) "
        "(mean over the 2 choices of features, scaler and projection with every number of clusters, 2 to 4; 1 with "
        "fewer left out). "
    )
    runs = runs[~((runs["clusterer.n_clusters"] == 3) & (runs["scaler"] == "power"))]
    runs = runs[~((runs["clusterer.n_clusters"] == 4) & (runs["scaler"] == "robust"))]
    told = words.k_caption(replace(summary, runs=runs, k_curves=g.k_curves(runs)))
    assert told.startswith("K-Means: no line has every number of clusters, 2 to 4, so that means")


def weighed_runs(*rows: tuple, **more) -> pd.DataFrame:
    """A leaderboard of runs told by scaler, silhouette and place."""
    told = [
        {"scaler": s, "silhouette_reference": v, "stability_ari": 0.5 + v / 10, "n_clusters": 3, "rank": r} | more
        for s, v, r in rows
    ]
    return g.leaderboard(runs_of(told), ["power"])


def test_explained_is_one_way_epsilon_squared():
    found = g.explained(weighed_runs(*[(s, v, np.nan) for s in "ab" for v in (0.1, 0.3, 0.5, 0.7 + (s == "b"))]))
    values = np.array([0.1, 0.3, 0.5, 0.7, 0.1, 0.3, 0.5, 1.7])
    within = 4 * (values[:4].var() + values[4:].var())
    expected = 1 - within / (8 * values.var()) * 7 / 6
    assert found.set_index("axis")["silhouette"].to_dict() == {"scaler": max(expected, 0.0)}
    apart = g.explained(weighed_runs(*[(s, v + (s == "b"), np.nan) for s in "ab" for v in (0.1, 0.2, 0.3, 0.4)]))
    # between: 8 x 0.5^2 = 2; within: 2 x 0.05 = 0.1
    assert apart.loc[0, "silhouette"] == pytest.approx(1 - (0.1 / 2.1) * 7 / 6)


def test_what_matters_is_told_for_every_reference(new_study, tmp_path):
    study = new_study(n=60)
    for i in range(12):
        values = {"scaler": "power" if i % 2 else "standard", "features": "all" if i % 3 else "few"}
        told = {"silhouette_reference": 0.3 + 0.1 * (i % 2) + i / 1000, "silhouette_standard": 0.2 + 0.1 * (i % 3 > 0)}
        study.add(study.truth % 2, rank=i + 1, stability_ari=0.9, **values, **told)
    study.recommend(None)
    summary = g.gather(study.write(tmp_path))
    shares = summary.explained.set_index("axis")
    assert shares.loc["scaler", "silhouette"] > 0.9 > shares.loc["features", "silhouette"]
    assert shares.loc["features", "silhouette_standard"] > 0.9 > shares.loc["scaler", "silhouette_standard"]
    said = words.effects_caption(summary)
    assert said.startswith("The silhouette in the power reference depends most on the scaler: ")
    assert ", in the standard one on the features (100%)" in said
    assert "The power reference is scaled as the runs with power scaling are, and favours these." in words.grid_caption(
        summary
    )


def test_a_choice_with_nearly_as_many_values_as_runs_explains_nothing():
    runs = weighed_runs(("a", 0.1, np.nan), ("b", 0.9, np.nan))
    assert g.explained(runs)["silhouette"].isna().all()
    assert g.explained(runs)["axis"].tolist() == ["scaler"]


def test_choices_are_weighed_over_the_eligible_runs_where_there_are_enough():
    eligible = [("a", 0.1 + i / 100, i + 1.0) for i in range(6)] + [("b", 0.5 + i / 100, i + 7.0) for i in range(6)]
    ineligible = [("c", -0.9, np.nan)] * 20
    runs = weighed_runs(*eligible, *ineligible)
    assert set(g.effects(runs)["value"]) == {"a", "b"}
    assert g.effects(runs)["runs"].sum() == 12
    assert g.explained(runs).loc[0, "silhouette"] == pytest.approx(
        g.explained(weighed_runs(*eligible)).loc[0, "silhouette"]
    )
    assert set(g.effects(weighed_runs(*eligible[:9], *ineligible))["value"]) == {"a", "b", "c"}


def test_effects_average_by_value(summary):
    weighed = summary.runs[summary.runs["eligible"]].dropna(subset=["silhouette_reference"])
    assert len(weighed) < len(summary.ok.dropna(subset=["silhouette_reference"]))
    found = summary.effects.set_index(["axis", "value"])
    means = weighed.groupby("clusterer")["silhouette_reference"].mean()
    for clusterer, mean in means.items():
        assert found.loc[("clusterer", clusterer), "silhouette"] == pytest.approx(mean)
    assert found.loc["clusterer"]["runs"].sum() == len(weighed)


def test_the_report_says_over_which_runs_choices_are_weighed(swept, summary):
    from segkit.report import sections, words

    eligible = int(summary.runs["eligible"].sum())
    assert f"of its variance over the {eligible} eligible runs lies between" in words.effects_caption(summary)
    assert f"The {eligible} eligible runs, grouped by each choice in turn" in words.choices_caption(summary)
    section = next(section for section in sections.sections(summary) if section.slug == "choices")
    caption = next(block.caption for block in section.blocks if block.kind == "table")
    assert f"over the {eligible} eligible runs" in caption
    assert "epsilon squared (Kelley 1935" in caption


def test_too_few_runs_name_no_choice(new_study, tmp_path):
    from segkit.report import words

    study = new_study(n=40)
    for k, value in ((2, 0.3), (3, 0.5)):
        study.add(np.arange(40) % k, silhouette_reference=value, **{"clusterer.n_clusters": k})
    study.recommend(None)
    found = g.gather(study.write(tmp_path))
    assert words.effects_caption(found).startswith("Too few runs to say: ")
    assert words.choices_caption(found) == (
        "The 2 scored runs, grouped by each choice in turn; number of runs in brackets."
    )


def test_grid_holds_the_best_eligible_run(summary):
    eligible = summary.runs[summary.runs["eligible"]]
    part = eligible[(eligible["scaler"] == "power") & (eligible["projection"] == "pca")]
    assert summary.grid.loc["power", "pca"] == part["silhouette_reference"].max()


def test_failures_are_grouped_by_reason():
    runs = runs_of(
        [{"status": "skipped", "reason": "few customers"}] * 3 + [{"status": "failed", "reason": "|broken|"}, {}]
    )
    found = g.failures(g.leaderboard(runs, ["power"]))
    assert found[["status", "reason", "runs"]].to_numpy().tolist() == [
        ["skipped", "few customers", 3],
        ["failed", "|broken|", 1],
    ]
    assert found["example"].tolist() == ["r0", "r3"]


def test_failures_that_differ_by_a_number_are_one():
    reasons = ["4 clusters of 12 customers", "400 clusters of 12 customers", "5 clusters of 12 customers", "x1 lost"]
    runs = runs_of([{"status": "skipped", "reason": reason} for reason in [*reasons, "x2 lost", ""]])
    found = g.failures(g.leaderboard(runs, ["power"]))
    assert found[["reason", "runs"]].to_numpy().tolist() == [
        ["4 to 400 clusters of 12 customers", 3],
        ["", 1],
        ["x1 lost", 1],
        ["x2 lost", 1],
    ]


def test_runs_are_counted_by_the_gate_they_miss(new_study, tmp_path):
    from segkit.report import sections, words

    study = new_study(n=60)
    scores = {"silhouette_reference": 0.3, "davies_bouldin_reference": 1.0, "stability_ari": 0.9}
    best = study.add(study.truth % 3, rank=1, **scores)
    study.add(np.where(np.arange(60) < 30, -1, study.truth % 3), **scores)
    study.add(np.arange(60) % 20, **scores)
    study.add(np.where(np.arange(60) < 40, -1, np.arange(60) % 20), **scores)
    study.add(status="failed", reason="no")
    study.recommend(best)
    summary = g.gather(study.write(tmp_path))
    told = words.missed_gates(summary)
    assert told == (
        "4 of 5 runs miss a gate: coverage 2, number of segments 2, did not come through 1; some miss several."
    )
    section = next(section for section in sections.sections(summary) if section.slug == "compare")
    assert told in [block.text for block in section.blocks if block.kind == "text"]
    summary.runs["eligible"] = True
    assert words.missed_gates(summary) == ""


def test_a_score_without_a_value_is_told_in_words():
    from segkit.report import words
    from segkit.scoring.contract import Status

    assert set(words.STATUSES) == set(Status) - {Status.OK}
    assert words.status("single_cluster") == "All customers in one segment"
    assert words.status("something_new") == "Something new"


def test_one_feature_that_decides_is_found(summary):
    decided = g.decided(summary.variance)
    assert decided[["matrix", "feature", "share"]].to_numpy().tolist() == [["all/none", "BALANCE", 0.9]]


def test_best_run_jaccard_profile_and_embeddings(swept, summary):
    study, _ = swept
    assert summary.best == study.recommendation["run"]
    row = next(row for row in study.rows if row["run"] == summary.best)
    assert summary.jaccard.min() == pytest.approx(row["stability_jaccard_min"], abs=1e-4)
    sizes = np.bincount(study.partitions[summary.best])
    assert [p.n for p in summary.portraits] == sizes.tolist()
    assert len(summary.embeddings) == g.GALLERY
    plane = summary.embeddings[0]
    np.testing.assert_array_equal(plane.labels, study.partitions[plane.run])
    members = study.planes[plane.name][2]
    assert summary.run(plane.run)["standing"] == min(summary.run(run)["standing"] for run in members)
    np.testing.assert_array_equal(summary.plane.labels, study.partitions[summary.best])


def test_dropped_customers_are_not_drawn(new_study, tmp_path):
    study = new_study(n=60)
    labels = pd.array(study.truth, dtype="Int16")
    labels[:10] = pd.NA
    run = study.add(study.truth, silhouette_reference=0.5)
    study.partitions[run] = labels
    study.recommend(None)
    study.planes = {"pca-1": ("all > pca", study.scaled[:, :2], [run])}
    plane = g.gather(study.write(tmp_path)).embeddings[0]
    np.testing.assert_array_equal(plane.points, study.scaled[10:, :2])
    np.testing.assert_array_equal(plane.labels, study.truth[10:])


@pytest.mark.parametrize("name", ["study.yaml", "runs.parquet"])
def test_a_missing_file_is_named(new_study, tmp_path, name):
    study = new_study(n=40)
    study.add(study.truth, silhouette_reference=0.5)
    study.recommend(None)
    (study.write(tmp_path) / name).unlink()
    with pytest.raises(UsageError, match=f"{name}: missing"):
        g.gather(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"), [("provenance.json", "{"), ("study.yaml", "a: [1"), ("study.yaml", "- 1"), ("runs.parquet", "no")]
)
def test_a_broken_file_is_named_in_one_line(new_study, tmp_path, name, text):
    study = new_study(n=40)
    study.add(study.truth, silhouette_reference=0.5)
    study.recommend(None)
    (study.write(tmp_path) / name).write_text(text)
    with pytest.raises(UsageError, match=name) as caught:
        g.gather(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_folder(tmp_path):
    with pytest.raises(UsageError, match="no such study folder"):
        g.gather(tmp_path / "nowhere")


def test_neighbourhood_counts_points_whose_nearest_has_their_label():
    points = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [5.0, 0.0], [5.5, 0.0], [0.4, 0.0]])
    labels = np.array([0, 0, 1, 1, 1, -1])
    plane = g.Embedding("p", "p", "r", points, labels)
    assert g.neighbourhood(plane) == pytest.approx(4 / 5)
    assert np.isnan(g.neighbourhood(g.Embedding("p", "p", "r", points[:2], np.array([-1, 0]))))


def test_places_by_reference_are_beside_each_other_and_weighed(swept):
    from segkit.report import sections, words

    summary = g.gather(swept[1])
    section = next(section for section in sections.sections(summary) if section.slug == "compare")
    board = section.blocks[0]
    column = [column.title for column in board.columns].index("By reference")
    names = ["silhouette_reference", "silhouette_standard", "silhouette_quantile"]
    ranks = summary.runs.set_index("run")[names].rank(ascending=False, method="min")
    for run, *_, cells in board.rows:
        known = ["–" if np.isnan(rank) else f"{rank:.0f}" for rank in ranks.loc[run]]
        assert cells[column].shown == " / ".join(known)
    first, *others = ({*summary.runs.nlargest(10, name)["run"]} for name in names)
    caption = words.references_caption(summary)
    shared = [len(first & other) for other in others]
    assert f"elsewhere: {shared[0]} under standard and {shared[1]} under quantile." in caption
    best = [f"{rank:.0f}" for rank in ranks.loc[summary.best]]
    places = f"{best[0]} under power, {best[1]} under standard and {best[2]} under quantile"
    assert f"the best run, {summary.best}, has place {places}, of {ranks.iloc[:, 0].count()} runs." in caption


@pytest.mark.parametrize(("least", "much"), [(0.95, "little"), (0.7, "somewhat"), (-0.2, "a lot")])
def test_how_much_the_reference_matters(least, much):
    from segkit.report import words

    assert words._reference_matters(least) == f"Which reference space ranks the runs matters {much} here."
