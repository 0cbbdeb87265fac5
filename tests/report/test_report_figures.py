"""What figures and their sentences are made of, against scipy and by hand; every figure draws whatever it is given."""

from __future__ import annotations

import gzip
import json
import warnings
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kruskal, spearmanr

from segkit.report import contrast as c
from segkit.report import drawn_words, figure_words, gather, words
from segkit.report.sections import sections

HOSTILE = "<script>$x_{1}$ & 'ünïcödé' ‮abc " + "long" * 20


@pytest.fixture
def customers():
    """Three groups: ``a`` and ``b`` tell them apart together, ``double`` tells what ``a`` does, ``noise`` nothing."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 60)
    frame = pd.DataFrame(
        {
            "noise": rng.normal(size=180),
            "a": np.array([0.0, 5, 5])[truth] + rng.normal(size=180),
            "b": np.array([0.0, 0, 9])[truth] + rng.normal(size=180),
            "same": 1.0,
            "text": "x",
        }
    )
    frame.insert(2, "double", np.exp(frame["a"]))
    return frame, pd.Series(truth, dtype="Int16")


@pytest.fixture
def kept(new_study, tmp_path):
    """A study with the customers' features and their silhouettes in its folder; its run, and the folder."""
    study = new_study(n=200)
    values = {"stability_ari": 0.9, "stability_ari_q05": 0.85, "stability_ari_q95": 0.95, "stability_draws": 20}
    runs = {}
    for k in (2, 3, 4, 5):
        labels = study.truth % k
        scores = {"silhouette_reference": 0.1 * k, "silhouette_native": 0.1 * k, "inertia": 100.0 / k}
        runs[k] = study.add(labels, **scores, **values, rank=6 - k, **{"clusterer.n_clusters": k})
    study.recommend(runs[5])
    study.profiled = runs[5]
    folder = study.write(tmp_path / "study")
    pd.DataFrame({"id": study.ids, **study.frame}).to_parquet(folder / "customers.parquet", index=False)
    silhouettes = np.linspace(-0.5, 0.9, 200)
    table = pd.DataFrame({"id": study.ids, "row": np.arange(200), runs[5]: silhouettes})
    table.to_parquet(folder / "silhouettes.parquet", index=False)
    return study, runs[5], folder


# features by segment


def test_differing_is_eta_squared_of_the_ranks(customers):
    frame, labels = customers
    values = frame[["noise", "a", "b"]]
    shares = c.differing(values, labels.to_numpy(int))
    for name in values:
        groups = [values.loc[labels == s, name] for s in range(3)]
        assert shares[name] == pytest.approx(kruskal(*groups).statistic / (len(values) - 1))
    assert list(shares.index)[-1] == "noise"


def test_differing_leaves_out_noise_and_what_is_missing(customers):
    frame, labels = customers
    values, codes = frame[["a"]].copy(), labels.to_numpy(int).copy()
    codes[:10], values.iloc[20:30] = -1, np.nan
    here = np.r_[10:20, 30:180]
    alone = c.differing(values.iloc[here], codes[here])
    # Ranks of others than those in question do not come in.
    assert c.differing(values, codes)["a"] == pytest.approx(alone["a"])


def test_the_telling_pair_is_the_one_that_tells_all_groups_apart(customers):
    frame, labels = customers
    found = c.contrast(frame, labels)
    assert set(found.pair) in ({"a", "b"}, {"double", "b"})
    assert found.told > 0.9
    assert "same" not in found.differing
    assert "text" not in found.differing
    assert len({"a", "double"} & set(found.foremost)) == 1
    assert list(found.drawn) == list(dict.fromkeys([*found.foremost, *found.pair]))


def test_one_segment_or_one_feature_has_no_pair(customers):
    frame, labels = customers
    assert c.contrast(frame[["a"]], labels).pair == ()
    assert c.contrast(frame, labels * 0).pair == ()
    assert c.contrast(frame[["text", "same"]], labels) is None
    assert c.contrast(frame, pd.Series([pd.NA] * len(frame), dtype="Int16")) is None


def test_correlations_are_spearmans_with_like_features_side_by_side(customers):
    frame, _ = customers
    matrix = c.correlations(frame[["noise", "a", "double", "b"]])
    assert abs(list(matrix).index("a") - list(matrix).index("double")) == 1
    for first in matrix:
        for second in matrix:
            assert matrix.loc[first, second] == pytest.approx(spearmanr(frame[first], frame[second]).statistic)
    top = c.strongest(matrix).iloc[0]
    assert {top["first"], top["second"]} == {"a", "double"}
    assert len(c.correlations(frame[["noise", "a", "b"]], most=2)) == 2


def test_the_interval_of_a_correlation_has_its_coverage():
    rng = np.random.default_rng(1)
    rho, n = 0.6, 80
    true = 6 / np.pi * np.arcsin(rho / 2)
    caught = 0
    for _ in range(400):
        pair = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
        low, high = c.interval(spearmanr(*pair.T).statistic, n)
        caught += low <= true <= high
    assert 0.92 <= caught / 400 <= 0.98


def test_customers_are_matched_by_row_and_others_are_not_shown(kept):
    study, run, folder = kept
    some = np.sort(np.random.default_rng(0).choice(200, 120, replace=False))
    table = pd.DataFrame({"id": study.ids[some], "row": some, **study.frame.iloc[some].reset_index(drop=True)})
    table.to_parquet(folder / "customers.parquet", index=False)
    summary = gather.gather(folder)
    assert summary.contrast.customers == 120
    expected = c.differing(study.frame.iloc[some], study.partitions[run][some])
    pd.testing.assert_series_equal(summary.contrast.differing, expected)
    table.assign(id="another").to_parquet(folder / "customers.parquet", index=False)
    assert gather.gather(folder).contrast is None


# sentences


def test_silhouettes_are_told_by_segment(kept):
    _, run, folder = kept
    summary = gather.gather(folder)
    table = summary.silhouettes
    assert len(table) == 200
    told = figure_words.silhouettes(summary)
    assert told.startswith(words.percent((table["silhouette"] < 0).mean()))
    assert f"The mean is {words.number(summary.run(run)['silhouette_reference'])}" in told
    assert "drawn" not in told
    some = replace(summary, silhouettes=table.iloc[::4])
    assert "Of 200 customers, 50 drawn ones are shown." in figure_words.silhouettes(some)


def test_the_best_runs_pipeline_is_followed_by_k(kept):
    _, run, folder = kept
    summary = gather.gather(folder)
    assert summary.k_line["k"].tolist() == [2, 3, 4, 5]
    assert summary.k_line["inertia"].tolist() == pytest.approx([50, 100 / 3, 25, 20])
    assert summary.k_line["stability_low"].tolist() == [0.85] * 4
    assert figure_words.k_line_run(summary)["run"] == run
    assert "(the run: k = 5)" in figure_words.k_line(summary)
    assert "highest at k = 5 (0.50)" in figure_words.k_line(summary)
    assert figure_words.k_line(summary).endswith("All 4 of its runs that came through are drawn; none misses a gate.")
    summary.runs.loc[1:, "eligible"] = False
    assert figure_words.k_line(summary).endswith("drawn; 3 miss a gate.")


def test_a_best_run_without_a_k_leaves_the_line_to_the_best_placed_one_that_has_one(new_study, tmp_path):
    study = new_study(n=60)
    best = study.add(study.truth % 2, silhouette_reference=0.9, rank=1, clusterer="hdbscan")
    placed = [
        study.add(study.truth % k, silhouette_reference=0.3, rank=k, **{"clusterer.n_clusters": k}) for k in (3, 4)
    ]
    study.add(study.truth % 2, silhouette_reference=0.3, rank=2, scaler="standard", **{"clusterer.n_clusters": 2})
    study.recommend(best)
    summary = gather.gather(study.write(tmp_path))
    assert summary.k_line["run"].tolist() == placed
    assert figure_words.k_line(summary).startswith("The best placed pipeline with a number of clusters to choose")


def sampled(folder, **settings) -> gather.Summary:
    summary = gather.gather(folder)
    return replace(summary, study={**summary.study, **settings})


def test_drawn_customers_are_told(kept):
    _, run, folder = kept
    summary = sampled(folder, sampling={"draws": 100, "projection": None})
    assert drawn_words.drawn(gather.gather(folder)) == ""
    assert "draws of 100 customers" in drawn_words.drawn(summary)
    assert drawn_words.definition(summary).startswith("Here a draw has 100 of the 200 customers")
    assert drawn_words.of_a_draw(summary) == "100 of the customers"
    assert drawn_words.of_a_draw(gather.gather(folder)) == "about 63% of the customers"
    runs = summary.runs.copy()
    runs[["fitted_customers", "fidelity", "silhouette_customers"]] = [50.0, 0.8, 120.0]
    runs[["silhouette_reference_low", "silhouette_reference_high"]] = [0.4, 0.6]
    runs[["projection.fitted_customers", "projection.placement_r2"]] = [70.0, 0.45]
    drawn = replace(summary, runs=runs)
    told = drawn_words.drawn(drawn)
    assert "Of the 200 customers" in told
    assert "4 runs clustered 50 drawn customers" in told
    assert "silhouettes are means over 120 drawn customers, with 95% intervals" in told
    assert "80.0% of them their own segment: the borders of the segments are uncertain." in drawn_words.fidelity(drawn)
    assert "1 projected space was fitted on 70 drawn customers" in drawn_words.placement(drawn)
    assert "In 1 space it is less than half: look at its picture with care." in drawn_words.placement(drawn)
    assert words.silhouette(drawn.run(run)) == "0.500 (95%: 0.400 to 0.600)"
    assert any("95% in 0.400 to 0.600" in str(block) for section in sections(drawn) for block in section.blocks)


@pytest.mark.parametrize(
    ("found", "told"),
    [([0.99998, 0.9996], "99.96% to 99.998% of"), ([1.0, 0.953], "95.3% to 100.0%"), ([0.9, 0.9], "90.0% of")],
)
def test_the_recall_of_approximate_neighbours_is_told_and_never_as_all_where_it_is_not(kept, found, told):
    _, _, folder = kept
    summary = gather.gather(folder)
    assert drawn_words.recall(summary) == ""
    runs = summary.runs.copy()
    runs["projection.neighbours_recall"] = np.resize(found, len(runs))
    said = drawn_words.recall(replace(summary, runs=runs))
    assert "searched approximately" in said
    assert told in said


def test_a_race_is_told(kept):
    _, _, folder = kept
    scoring = {**gather.gather(folder).study["scoring"], "racing": True, "racing_confidence": 0.95}
    summary = sampled(folder, scoring=scoring)
    assert drawn_words.racing(gather.gather(folder)) == ""
    assert drawn_words.racing(summary) == "Draws were raced, but every run had all 20."
    runs = summary.runs.copy()
    runs.loc[3, ["stability_draws", "stability_status"]] = [0, "not_drawn"]
    runs.loc[2, "stability_draws"] = 5
    told = drawn_words.racing(replace(summary, runs=runs))
    assert "1 run stopped after 5 of 20 draws and 1 run that misses a gate had none" in told
    assert "95% confidence" in told


def test_the_data_section_says_yes_or_what_to_know(kept):
    _, _, folder = kept
    summary = gather.gather(folder)
    assert words.data_answer(summary).startswith(
        "With reservations: 200 customers with 8 columns. 1 column has missing"
    )
    sane = summary.missing_and_skew.assign(missing=0, share=0.0, skew=0.1)
    clean = replace(summary, missing_and_skew=sane, variance=summary.variance.assign(share=0.1))
    assert words.data_answer(clean).startswith("Yes: 200 customers with 8 columns; none has missing values")


@pytest.mark.parametrize(
    ("n", "columns", "reservation"),
    [
        (49, 2, "Fewer than 50 customers are too few to find segments that hold."),
        (50, 6, "There are fewer than 10 customers for each column."),
        (60, 6, ""),
    ],
)
def test_few_customers_are_a_reservation(kept, n, columns, reservation):
    summary = gather.gather(kept[2])
    names = [f"c{i}" for i in range(columns)]
    sane = pd.DataFrame({"column": names, "missing": 0, "share": 0.0, "skew": 0.0})
    provenance = {**summary.provenance, "data": {"n_customers": n}}
    clean = replace(
        summary, provenance=provenance, missing_and_skew=sane, variance=summary.variance.assign(share=0.1), columns=None
    )
    told = words.data_answer(clean)
    if reservation:
        assert told.startswith(f"With reservations: {n} customers with {columns} columns. {reservation}")
    else:
        assert told.startswith("Yes: ")


def test_without_a_projection_there_is_no_picture_to_trust(kept):
    summary = gather.gather(kept[2])
    assert set(summary.inflation["projection"]) == {"none"}
    assert words.inflation_caption(summary).startswith("No run was projected, so that there is no picture to trust")
    projected = replace(summary, inflation=summary.inflation.assign(projection="pca", inflation=-0.1))
    assert words.inflation_caption(projected).startswith("Here it is: ")


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ((1, 1, 1, 1), "1 run was tried; it passes every gate, was tested further and is above structureless data."),
        ((1, 0, 0, 0), "1 run was tried; it misses a gate."),
        ((9, 0, 0, 0), "9 runs were tried; none of them passes every gate."),
        (
            (9, 1, 1, 0),
            "9 runs were tried; 1 of them passes every gate; 1 was tested further, and is not above structureless "
            "data.",
        ),
        (
            (1200, 1100, 20, 17),
            "1,200 runs were tried; 1,100 of them pass every gate; 20 were tested further, 17 are above structureless "
            "data.",
        ),
        (
            (3, 3, 3, 0),
            "3 runs were tried; all of them pass every gate; 3 were tested further, none is above structureless data.",
        ),
        (
            (2, 2, 2, 2),
            "2 runs were tried; both pass every gate; 2 were tested further, both are above structureless data.",
        ),
    ],
)
def test_runs_are_counted_in_whole_sentences(counts, told):
    from segkit.report.sections import _tried

    assert _tried(*counts) == told


def test_a_study_of_one_run_speaks_of_one(new_study, tmp_path):
    study = new_study(n=60)
    study.add(study.truth % 2, silhouette_reference=-0.0004, silhouette_native=0.2)
    study.recommend(None)
    summary = gather.gather(study.write(tmp_path))
    told = {section.slug: section.answer for section in sections(summary)}
    assert told["verdict"].startswith("The only run that came through does not pass every gate: K-Means")
    assert told["compare"] == "1 run was tried; it misses a gate. The only reference silhouette is 0.000."
    assert told["failures"] == "No run: the only one came through."
    assert words.flattered_caption(summary) == "The only run looks better in the space it clustered in."


def test_what_is_equal_is_called_so(kept):
    summary = gather.gather(kept[2])
    line = summary.k_line.assign(silhouette=0.5, silhouette_low=None, silhouette_high=None)
    told = figure_words.k_line(replace(summary, k_line=line))
    assert "The reference silhouette is equal at k = 2, 3, 4 and 5 (0.50)." in told
    line["silhouette"] = [0.501, 0.3, 0.3, 0.499]
    told = figure_words.k_line(replace(summary, k_line=line))
    assert "is highest at k = 2 (0.501); at k = 5 it is 0.499." in told
    same = replace(summary, silhouettes=summary.silhouettes.assign(silhouette=1.0))
    assert ", the same in every segment." in figure_words.silhouettes(same)
    two = replace(summary.contrast, differing=summary.contrast.differing.iloc[:2])
    assert "the most for two of" not in figure_words.two_features(replace(summary, contrast=two))
    assert "the most for two of" in figure_words.two_features(summary)


def test_pairs_are_counted_among_the_features_that_are_drawn(kept):
    summary = gather.gather(kept[2])
    matrix = pd.DataFrame([[1, 0.2, 0.1], [0.2, 1, 0.1], [0.1, 0.1, 1]], list("abc"), list("abc"))
    found = replace(summary.contrast, correlations=matrix, differing=pd.Series([0.5] * 3, list("abc")))
    assert figure_words.correlations(replace(summary, contrast=found)).startswith("None of 3 pairs has a rank corr")
    found = replace(found, differing=pd.Series([0.5] * 200))
    told = figure_words.correlations(replace(summary, contrast=found))
    assert told.startswith("None of 3 pairs among the 3 drawn features (of 200, those with the strongest) has a rank")


def test_runs_without_a_score_are_what_is_missing(new_study, tmp_path):
    study = new_study(n=60)
    study.add(study.truth % 2, silhouette_reference=0.4)
    study.add(np.full(60, -1))
    study.recommend(None)
    summary = gather.gather(study.write(tmp_path))
    assert words.failures_caption(summary) == "The reference silhouette of 1 run; all 2 came through."
    reason = summary.runs.assign(silhouette_reference=np.nan, stability_ari=np.nan, stability_status="all_noise")
    answer = next(s.answer for s in sections(replace(summary, runs=reason)) if s.slug == "trust")
    assert answer.endswith("has no stability (all customers are noise).")


def test_a_program_with_changes_cannot_be_had_again(kept):
    summary = gather.gather(kept[2])
    changed = replace(summary, provenance=summary.provenance | {"commit": "0123abc+changes"})
    told = {s.slug: s.answer for s in sections(changed)}
    assert told["provenance"].startswith("Not exactly: the program had changes that its commit does not hold.")
    assert {s.slug: s.answer for s in sections(summary)}["provenance"].startswith("Yes: ")


# figures


def test_every_section_answers_and_every_figure_is_described_labelled_and_narrow(kept):
    _, _, folder = kept
    told = sections(gather.gather(folder))
    plots = [block for section in told for block in section.blocks if block.kind == "plot"]
    names = {plot.name for plot in plots}
    assert {"silhouettes", "two_features", "pairs", "correlations", "k_line", "k_curves", "profiles", "trust"} <= names
    assert all(section.answer.endswith(".") for section in told)
    for plot in plots:
        figure = plot.draw()
        assert figure.get_figwidth() <= 5.4
        assert len(plot.alt) > 40
        assert plot.caption.endswith(".")
        shown = [ax for ax in figure.axes if ax.axison and ax.get_label() != "<colorbar>"]
        labelled = [ax for ax in shown if ax.get_xlabel() or ax.get_ylabel() or not ax.has_data()]
        assert labelled or plot.name in {"variance", "correlations", "embeddings", "segments_map"}, plot.name


def test_a_page_that_may_leave_the_house_shows_no_customers_values(kept):
    _, _, folder = kept
    told = sections(gather.gather(folder, {"customers": False}))
    names = {block.name for section in told for block in section.blocks if block.kind == "plot"}
    assert not {"two_features", "pairs"} & names
    assert "correlations" in names


@pytest.mark.parametrize("k", [1, 2, 40])
def test_figures_of_the_customers_draw_whatever_there_is(k):
    from segkit.report import figures

    rng = np.random.default_rng(0)
    n = 300
    labels = np.sort(rng.integers(-1, k, n))
    frame = pd.DataFrame({HOSTILE: rng.lognormal(sigma=3, size=n), "b": rng.integers(0, 2, n).astype(float)})
    frame["holes"] = np.where(rng.random(n) < 0.5, np.nan, -rng.lognormal(sigma=2, size=n))
    frame["tiny"] = 1e-12 * rng.normal(size=n)
    table = pd.DataFrame({"segment": labels, "silhouette": rng.uniform(-1, 1, n)})
    line = gather.k_line(pd.DataFrame({"run": []}), None).reindex(range(2)).assign(k=[2, 3], silhouette=[0.1, 0.2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="Glyph")
        drawn = [
            figures.pairs(frame, labels),
            figures.pairs(frame[["b"]], labels),
            figures.two_features(frame[[HOSTILE, "holes"]], labels),
            figures.silhouettes(table[table["segment"] >= 0], 0.1, HOSTILE, 30),
            figures.correlations(c.correlations(frame)),
            figures.k_line(line, 2),
        ]
        assert all(figures.to_png(figure).startswith(b"\x89PNG") for figure in drawn)


def test_a_skewed_axis_keeps_its_units_and_its_ends():
    from segkit.report.figures.segments import Scale

    values = pd.Series(np.r_[np.zeros(50), np.random.default_rng(0).lognormal(5, 2, 500)])
    scale = Scale(values)
    assert scale.skewed
    assert scale.backward(scale.forward(123.0)) == pytest.approx(123.0)
    assert scale.low < 0 < values.quantile(0.995) <= scale.high
    assert not Scale(pd.Series([1.0, 2.0, 3.0])).skewed
    tenure = Scale(pd.Series([6.0] * 5 + [12.0] * 200))
    assert not tenure.skewed
    assert tenure.low < 6 < 12 < tenure.high
    assert Scale(pd.Series([np.nan, np.nan])).high > 0


def test_a_map_says_which_dimensions_it_shows_of_how_many(new_study, tmp_path):
    study = new_study(n=60)
    pca = {"projection": "pca", "silhouette_reference": 0.4, "projection.explained_variance": 0.83}
    deep = study.add(study.truth, rank=1, **pca, **{"projection.n_components": 5})
    flat = study.add(study.truth, rank=2, **pca, **{"projection.n_components": 2})
    study.planes = {
        "deep": ("all > power > pca(n_components=5)", study.scaled[:, :2], [deep]),
        "flat": ("all > power > pca(n_components=2)", study.scaled[:, :2], [flat]),
    }
    study.profiled = deep
    study.recommend(deep)
    told = {p.name: p for s in sections(gather.gather(study.write(tmp_path))) for p in s.blocks if p.kind == "plot"}
    caption = told["segments_map"].caption
    assert (
        "the nearest other one in this picture is of the same segment. The segments in the first two of 5 " in caption
    )
    assert caption.endswith("(all > power > pca(n_components=5)); all 5 keep 83% of the variance.")
    assert "Of a space with more dimensions the first two are drawn." in told["embeddings"].caption
    for name, axis in (
        ("segments_map", "pca(n_components=5), first axis"),
        ("embeddings", "pca(n_components=2), first"),
    ):
        panels = told[name].draw().axes
        assert any(ax.get_xlabel().startswith(axis) for ax in panels)
        assert {ax.get_ylabel() for ax in panels} <= {"second axis", ""}
    study.profiled = flat
    study.recommend(flat)
    told = {p.name: p for s in sections(gather.gather(study.write(tmp_path))) for p in s.blocks if p.kind == "plot"}
    assert told["segments_map"].caption.endswith(
        "The segments in the space in which the run clustered (all > power > pca(n_components=2))."
    )


def test_the_screens_front_is_called_so_where_runs_were_confirmed(new_planted, kept, tmp_path):
    from segkit.report import figures
    from segkit.report.leaderboard import leaderboard

    study = new_planted()
    for row in study.rows:
        row["screen_pareto"] = True
    for folder, name, front in (
        (study.write(tmp_path / "planted"), "Pareto front of the screen", "run above structureless data"),
        (kept[2], "Pareto front", "eligible run"),
    ):
        summary = gather.gather(folder)
        summary.runs["screen_pareto"] = True
        assert f" on the {name} (ringed)" in words.trust_caption(summary)
        drawn = figures.trust(gather.scored(summary.runs), summary.best, {})
        assert name in [text.get_text() for text in drawn.legends[0].get_texts()]
        state = next(column for column in leaderboard(summary).columns if column.title == "State")
        assert f"no other {front}" in state.hint


def test_heat_maps_name_their_quantity():
    from segkit.report import figures

    grid = pd.DataFrame([[0.1, 0.2]], index=["power"], columns=["none", "pca"])
    assert [ax.get_ylabel() for ax in figures.grid(grid).axes][1:] == ["Best reference silhouette"]
    shares = pd.DataFrame([("a/b", "x", 0.7), ("a/b", "y", 0.3)], columns=["matrix", "feature", "share"])
    assert [ax.get_ylabel() for ax in figures.variance(shares, ["x", "y"]).axes][1:] == ["Share of the variance"]


# where nothing was projected


@pytest.fixture
def unprojected(new_study, tmp_path):
    """A study whose folder holds a plane that is only for drawing."""
    study = new_study(n=120)
    runs = [study.add(study.truth % k, silhouette_reference=0.3, silhouette_native=0.3, rank=k) for k in (2, 3)]
    study.recommend(runs[1])
    study.profiled = runs[1]
    label = "all > power > principal components, only for drawing"
    study.planes = {"drawing-1": (label, study.scaled[:, :2], [])}
    names = list(study.frame)
    study.provenance["data"]["variance_shares"] = {"all/power": dict.fromkeys(names, 1 / len(names))}
    folder = study.write(tmp_path / "study")
    told = {"label": label, "runs": [], "drawn_for": runs[1], "variance": [0.31, 0.12]}
    (folder / "embeddings.json").write_text(json.dumps({"drawing-1": told}), encoding="utf-8")
    return study, runs, folder


def test_without_a_projection_a_plane_for_drawing_is_shown_and_called_so(unprojected):
    from segkit.report.payload import payload

    _, runs, folder = unprojected
    summary = gather.gather(folder)
    assert [plane.run for plane in summary.embeddings] == [runs[1]]
    plots = {block.name: block for s in sections(summary) for block in s.blocks if block.kind == "plot"}
    for name in ("segments_map", "embeddings"):
        caption = plots[name].caption
        assert "only for drawing; nothing was clustered in it" in caption
        assert "(all > power), 31% and 12% of their variance" in caption
        [ax] = plots[name].draw().axes
        assert ax.get_xlabel() == "first principal component: 31% of the variance"
        assert ax.get_ylabel() == "second principal component: 12% of the variance"
    text = [block.text for s in sections(summary) for block in s.blocks if block.kind == "text"]
    assert "There are no embeddings to draw." not in text
    [plane] = json.loads(gzip.decompress(b64decode(payload(summary)[0]["meta"])))["planes"]
    assert plane["label"].endswith("only for drawing")
    assert plane["runs"] == []


def test_without_customers_a_plane_of_two_features_is_not_shown(unprojected):
    _, _, folder = unprojected
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    for names, shown in (("abc", True), ("ab", False)):
        provenance["data"]["variance_shares"] = {"all/power": dict.fromkeys(names, 0.5)}
        (folder / "provenance.json").write_text(json.dumps(provenance), encoding="utf-8")
        told = sections(gather.gather(folder, {"customers": False}))
        plots = {block.name for s in told for block in s.blocks if block.kind == "plot"}
        assert ("segments_map" in plots, "embeddings" in plots) == (shown, shown)


def test_a_plane_for_drawing_whose_run_is_gone_is_not_shown(unprojected):
    _, _, folder = unprojected
    told = json.loads((folder / "embeddings.json").read_text(encoding="utf-8"))
    told["drawing-1"]["drawn_for"] = "another"
    (folder / "embeddings.json").write_text(json.dumps(told), encoding="utf-8")
    assert gather.gather(folder).embeddings == []


# names and axes that can be told apart


def test_names_that_differ_stay_different_in_figures():
    from segkit.report.figures.data import distributions
    from segkit.report.figures.segments import pairs
    from segkit.report.figures.style import apart, clipped, wrapped

    names = [f"A_long_descriptive_feature_name_number_{i:03}" for i in range(24)]
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 24)), columns=names)
    titles = [ax.get_title(loc="left") for ax in distributions(values).axes]
    assert len(set(titles)) == 24
    assert all(title.endswith(name[-3:]) for title, name in zip(titles, names, strict=True))
    labels = [ax.get_xlabel() for ax in pairs(values.iloc[:, :3], np.arange(50) % 2).axes]
    assert len(set(filter(None, labels))) == 3
    assert all(line.count("\n") <= 1 for line in [wrapped(name * 3, 19, 2) for name in names])
    inside = [f"{'same ' * 9}{i}{' alike' * 9}" for i in range(3)]
    assert len({clipped(name) for name in inside}) == 1
    assert len(set(apart(inside, clipped))) == 3


def test_logarithmic_axes_say_so_and_have_three_ticks():
    from segkit.report.figures.data import distributions
    from segkit.report.figures.segments import two_features

    rng = np.random.default_rng(0)
    values = pd.DataFrame({"skewed": rng.lognormal(3, 2, 400), "even": rng.normal(size=400)})
    skewed, even = distributions(values).axes[:2]
    assert (skewed.get_title(loc="left"), even.get_title(loc="left")) == ("skewed (log)", "even")
    ax = two_features(values, np.arange(400) % 2).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("skewed (log)", "even")
    for each in (skewed, ax):
        assert len(each.get_xticks()) >= 3


def test_axes_of_equal_scores_end_where_the_scores_do():
    from segkit.report.figures.choices import k_line

    columns = ["inertia", "refitted", "refitted_low", "refitted_high", "silhouette_low", "stability_low"]
    columns += ["silhouette_high", "stability_high"]
    line = pd.DataFrame({"k": [2, 3], "silhouette": 1.0, "stability": 1.0, **dict.fromkeys(columns, np.nan)})
    figure = k_line(line, 2)
    for ax in figure.axes:
        assert 1 < ax.get_ylim()[1] <= 1.03
        assert all(tick <= 1 for tick in ax.get_yticks() if tick < ax.get_ylim()[1])
    assert "run told here" in [text.get_text() for text in figure.legends[0].get_texts()]


# what a figure is of


def test_the_silhouette_plot_names_its_space(kept):
    summary = gather.gather(kept[2])
    plot = next(b for s in sections(summary) for b in s.blocks if getattr(b, "name", "") == "silhouettes")
    assert plot.draw().axes[0].get_xlabel().startswith(f"Silhouette in the {summary.references[0]} reference space\n")


def test_legends_are_read_row_by_row():
    from matplotlib.lines import Line2D

    from segkit.report.figures.style import legend_below, new_figure

    figure = new_figure(2)
    names = [f"segment {i}" for i in range(5)]
    legend_below(figure, [Line2D([], [], label=name) for name in names])
    figure.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in figure.legends[0].get_texts()}
    assert len({round(box.y0) for box in boxes.values()}) == 2
    assert sorted(boxes, key=lambda name: (-round(boxes[name].y0), boxes[name].x0)) == names


def test_pictures_of_spaces_name_every_step_and_cut_parameters_first():
    from segkit.report.figures.spaces import embeddings

    points, labels = np.zeros((3, 2)), np.arange(3)
    spaces = ["behaviour > robust > umap(n_neighbors=50, min_dist=0.1, metric=euclidean, n_components=12)"] * 2
    planes = [gather.Embedding("a", space, run, points, labels) for space, run in zip(spaces, "xy", strict=True)]
    clusterer = "hdbscan(min_cluster_size=150, min_samples=20, cluster_selection_method=leaf)"
    names = {"x": f"17. {spaces[0].replace(' > ', ' · ')} · {clusterer}", "y": f"3. all · power · tsne · {clusterer}"}
    here, elsewhere = (ax.get_title(loc="left").replace("\n", " ") for ax in embeddings(planes, names).axes)
    assert here.startswith("behaviour > robust > umap (n_")
    assert here.count("umap") == 1
    assert " 17. hdbscan (min_" in here
    assert "3. all · power · tsne · hdbscan (min_" in elsewhere
    assert all(told.endswith("leaf)") for told in (here, elsewhere))


def test_the_front_is_drawn_over_smaller_boxes_of_tested_runs(kept):
    from segkit.report import figures

    runs = gather.scored(gather.gather(kept[2]).runs).assign(screen_pareto=True, confirmed=True)
    hollow = [c for c in figures.trust(runs, None, {}).axes[0].collections if not len(c.get_facecolor())]
    box, *rings = sorted(hollow, key=lambda c: c.get_zorder())
    assert len(rings) == 2
    for ring in rings:
        assert ring.get_sizes()[0] > 1.5 * box.get_sizes()[0]
        assert ring.get_linewidth()[0] > box.get_linewidth()[0]


def excess_lines(*names: str) -> pd.DataFrame:
    columns = {"silhouette": 0.3, "null_mean": 0.2, "low": 0.1, "high": 0.25, "excess": 0.1, "z": 3.0, "best": False}
    return pd.DataFrame([{"line": name, "k": k} | columns for name in names for k in (2, 3)])


def test_panels_of_different_feature_sets_or_tables_say_so():
    from segkit.report.figures.choices import k_excess

    def titles(*names: str) -> list[str]:
        return [ax.get_title(loc="left") for ax in k_excess(excess_lines(*names)).axes[: len(names)]]

    first, second = "all · power · none · kmeans", "rfm · power · none · kmeans"
    assert titles(first, second) == ["features: all\npower\nnone\nkmeans", "features: rfm\npower\nnone\nkmeans"]
    assert titles(first, "all · robust · none · kmeans") == ["power\nnone\nkmeans", "robust\nnone\nkmeans"]
    assert titles(first) == ["power\nnone\nkmeans"]
    assert titles(f"{first} · seed 1", f"{second} · seed 2") == [
        "features: all\npower\nnone\nkmeans\nseed 1",
        "features: rfm\npower\nnone\nkmeans\nseed 2",
    ]
    assert titles(f"a · {first}", f"b · {first}") == [f"{own}\nfeatures: all\npower\nnone\nkmeans" for own in "ab"]


@pytest.mark.parametrize("width", [0.3, 0.003])
def test_a_middle_half_without_width_is_drawn(width):
    from segkit.report import figures

    scores = {"_q25": [1.0, 1 - width], "_q75": [1.0, 1 - width / 2], "_best": [1.0, 1.0], "": [0.95, 0.9]}
    values = {f"{score}{end}": told for score in ("silhouette", "stability") for end, told in scores.items()}
    table = pd.DataFrame({"axis": "clusterer", "value": ["dbscan", "kmeans"], "runs": 9} | values)
    for ax in figures.effects(table).axes:
        bands = [path.vertices[:, 0].tolist() for path in ax.collections[0].get_paths()]
        squares = [line for line in ax.lines if line.get_marker() == "s"]
        assert bands == [[1 - width, 1 - width / 2]]
        assert [line.get_xdata().tolist() for line in squares] == [[1.0]]
    assert figures.effects(table.assign(**dict.fromkeys(values, np.nan))).axes
