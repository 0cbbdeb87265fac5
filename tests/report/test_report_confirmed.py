from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from segkit.errors import UsageError
from segkit.report import build, confirmed, confirmed_words, sections
from segkit.report.gather import gather
from segkit.report.sections import Table


def told(folder, name: str):
    """A section of a folder's report, by its slug."""
    return next(section for section in sections.sections(gather(folder)) if section.slug == name)


def plots(section) -> dict[str, str]:
    return {block.name: block.caption for block in section.blocks if block.kind == "plot"}


@pytest.fixture(scope="module")
def folder(new_planted, tmp_path_factory):
    return new_planted().write(tmp_path_factory.mktemp("confirmed") / "study")


@pytest.fixture(scope="module")
def summary(folder):
    return gather(folder)


def test_levels_are_the_three_tests_of_each_confirmed_run(summary):
    table = summary.confirmation.levels
    assert len(table) == 2 * 3
    assert table.groupby("level")["ari"].first().to_dict() == {"other seed": 0.99, "refitted": 0.8, "space kept": 0.95}
    assert (table["high"] - table["low"]).to_numpy() == pytest.approx(0.04)
    assert not table["seedless"].any()


def test_a_run_without_a_seed_counts_in_no_median(new_planted, tmp_path):
    study = new_planted()
    for row in study.rows:
        row |= {"stability_ari_seed": 1.0, "stability_seed_status": "no_seed"}
    caption = plots(told(study.write(tmp_path), "trust"))["instability"]
    assert "another seed" not in caption
    assert "Hollow: nothing in the run uses a seed." in caption


def test_excess_is_beside_the_quantiles_of_the_copula_tables(summary):
    table, nulls = summary.confirmation.against_nulls, summary.confirmation.nulls
    for row in table.itertuples():
        values = nulls.loc[(nulls["run"] == row.run) & (nulls["kind"] == "copula"), "silhouette"]
        assert len(values) == 19
        np.testing.assert_allclose([row.low, row.high], np.quantile(values, [0.05, 0.95]))
        assert row.excess == pytest.approx(row.silhouette - values.mean())
    assert table.set_index("run")["holds"].to_dict() == {row.run: row.p_adjusted <= 0.05 for row in table.itertuples()}
    assert (summary.confirmation.tables("copula"), summary.confirmation.tables("permuted")) == (19, 9)


def test_the_line_of_a_confirmed_pipeline_has_every_k_and_its_largest_excess(summary):
    lines = summary.confirmation.lines
    assert lines["k"].tolist() == [2, 3, 4, 5, 6]
    assert lines.loc[lines["best"], "k"].tolist() == [5]
    assert lines["confirmed"].tolist() == [True, False, False, True, False]
    caption = confirmed_words.k_caption(summary)
    assert "k = 5 stands out most from structureless data (excess 0.199, z 17.8)" in caption
    assert "The highest silhouette, 0.450, is at k = 2, where structureless data gives 0.439 (excess 0.011" in caption


def test_a_largest_excess_is_named_only_where_there_is_one(summary):
    from segkit.report.figures import k_excess

    lines = summary.confirmation.lines
    for best in (lines["best"], False):
        legend = k_excess(lines.assign(best=best)).legends[0]
        named = "largest excess" in [text.get_text() for text in legend.get_texts()]
        assert named == np.any(best)


def test_a_loss_within_the_draws_scatter_is_none(summary):
    confirmation = summary.confirmation
    table = confirmation.levels.assign(low=0.5, high=1.0)
    told = confirmed_words.levels_caption(replace(summary, confirmation=replace(confirmation, levels=table)))
    assert "In no run does refitting cost more than the draws scatter." in told
    assert "costs the most" not in told


def test_no_k_stands_out_where_none_is_above_structureless_data(new_planted, tmp_path):
    study = new_planted(p=0.9)
    for row in study.rows:
        row["silhouette_excess"] = -row["n_clusters"] / 100
        row["silhouette_z"] = -1.0
    summary = gather(study.write(tmp_path))
    assert not summary.confirmation.lines["best"].any()
    told_k = confirmed_words.k_caption(summary)
    assert (
        "no k does better than structureless data; the nearest to it is k = 2 (excess \u22120.020, z \u22121.0)"
        in told_k
    )
    assert "stands out" not in told_k
    rows = [row for table in tables(told(tmp_path, "choices")) for row in table.rows]
    assert not any("largest excess" in row for row in rows)


def test_an_excess_that_such_data_would_give_does_not_stand_out(summary):
    confirmation = summary.confirmation
    unsure = replace(summary, confirmation=replace(confirmation, lines=confirmation.lines.assign(p=0.3)))
    told_k = confirmed_words.k_caption(unsure)
    assert "but not one that such data would not give (p 0.3 on its own)" in told_k
    assert "stands out" not in told_k


def test_lines_are_pipelines_that_differ_in_k_alone():
    rows = [
        {"run": f"{scaler}{k}", "clusterer.n_clusters": k, "scaler_label": scaler, "confirmed": (scaler, k) == ("b", 3)}
        for scaler in "abc"
        for k in ((2, 3) if scaler != "c" else (2,))
    ]
    runs = pd.DataFrame(rows).assign(
        status="ok",
        standing=range(1, 6),
        silhouette_reference=0.5,
        silhouette_null_mean=0.3,
        silhouette_excess=[0.1, 0.2, 0.4, 0.3, 0.5],
        silhouette_z=1.0,
        silhouette_p=0.05,
        p_adjusted=np.nan,
        **dict.fromkeys(("data_label", "features_label", "projection_label", "method_label"), "x"),
    )
    empty = pd.DataFrame({"run": [], "kind": [], "index": [], "silhouette": []})
    found = confirmed.lines(runs, empty)
    assert found["run"].tolist() == ["b2", "b3"]
    assert found["best"].tolist() == [True, False]
    assert found[["low", "high"]].isna().all(axis=None)


def test_answers_are_grouped_best_first():
    runs = pd.DataFrame(
        {
            "run": list("abcd"),
            "label": list("ABCD"),
            "standing": [3, 1, 2, 4],
            "answer": [1.0, 0.0, 1.0, np.nan],
            "n_clusters": [4, 5, 3, 2],
        }
    )
    found = confirmed.answers(runs, ["a"])
    assert found["first"].tolist() == ["b", "c"]
    assert found[["runs", "fewest", "most", "holding_up"]].to_numpy().tolist() == [[1, 5, 5, 0], [2, 3, 4, 1]]


def test_quality_has_a_row_per_space(summary):
    assert summary.quality["space"].tolist() == ["umap"]
    assert summary.quality[list(confirmed.QUALITY)].iloc[0].tolist() == [0.98, 0.97, 0.5, 0.6, 0.7]


def test_jaccards_come_from_fresh_and_refitted_draws_or_else_from_the_screen():
    run = pd.Series(dict.fromkeys(confirmed.TEXTS, "") | {"stability_jaccard": "[0.5, null]"})
    screened = confirmed.jaccards(run)
    assert list(screened) == ["space kept"]
    np.testing.assert_array_equal(screened["space kept"], [0.5, np.nan])
    run["stability_jaccard_refit"], run["dissolved_refit"] = "[0.9, 0.8]", "[0, 3]"
    both = confirmed.jaccards(run)
    assert list(both) == ["space kept", "refitted", "dissolved refitted"]
    assert both["dissolved refitted"].tolist() == [0, 3]
    run["stability_jaccard"] = "not JSON"
    assert list(confirmed.jaccards(run)) == ["refitted", "dissolved refitted"]


def test_the_best_runs_jaccard_is_the_refitted_one(summary):
    np.testing.assert_allclose(summary.jaccard, [0.7, 0.71, 0.72, 0.73, 0.74])


def test_the_verdict_tells_excess_p_interval_and_what_was_done(folder, summary):
    section = told(folder, "verdict")
    row = summary.run(summary.best)
    assert section.title == "Recommended and confirmed"
    assert "confirmed, the only run that does better than structureless data (2 tested, 5 eligible" in section.answer
    text = " ".join(block.text for block in section.blocks if hasattr(block, "text"))
    assert f"an excess of {row['silhouette_excess']:.3f} (z = {row['silhouette_z']:.1f})" in text
    assert "the choice among 2 runs (max-T), p = 0.05" in text
    assert "7 fresh draws of about 63%" in text
    assert "19 tables with the data's margins and correlations" in text
    assert "9 tables with every column shuffled" in text
    tiles = {label: (value, note) for label, value, note in section.blocks[0].tiles}
    assert tiles["Place"] == (
        "1",
        "of those above structureless data, 90% in 1 to 2 over resampled refits, all else fixed",
    )
    rows = {cells[0]: cells[1:] for block in section.blocks if isinstance(block, Table) for cells in block.rows}
    assert rows["Adjusted p against structureless data (max-T)"] == ["0.05", "at most 0.05", "passed"]
    assert rows["Stability, whole pipeline refitted (ARI over draws)"] == [
        "0.800 (90%: 0.770 to 0.810)",
        "",
        "place 1 of 1",
    ]
    share = rows["Share of all weightings of the criteria that it wins"][0]
    assert share.endswith(" (90% of resampled refits, all else fixed: place 1 to 2)")
    caption = next(block.caption for block in section.blocks if isinstance(block, Table))
    assert caption.startswith("Pooled z: ")
    assert "not the z of the text" in caption
    assert not [block for block in section.blocks if block.kind == "notice"]


def test_trust_says_where_the_highest_silhouette_comes_from(folder):
    section = told(folder, "trust")
    assert section.answer.startswith("Fitted anew from the features on, in 7 draws of about 63% of the customers")
    found = plots(section)
    assert set(found) == {"instability", "jaccard", "nulls", "trust", "agreement"}
    assert "1 of 2 tested runs does better than structureless data" in found["nulls"]
    assert "The highest silhouette, 0.450 of run" in found["nulls"]
    assert "is not among them" in found["nulls"]
    assert (
        "from 0.95 to 0.80, more than the draws scatter; the screen, with the space kept, had 0.97."
        in (found["instability"])
    )
    told_answers = [block.text for block in section.blocks if block.kind == "text"]
    assert told_answers[0].startswith("2 different answers among the 2 tested runs")


def test_the_leaderboard_marks_what_is_confirmed(folder, summary):
    board = told(folder, "compare").blocks[0]
    titles = [column.title for column in board.columns]
    cells = [[cell.shown for cell in row[-1]] for row in board.rows]
    table = pd.DataFrame(cells, columns=titles)
    assert table["State"].tolist() == [
        "above null, Pareto",
        "no better than null",
        *["screened"] * 3,
    ]
    assert table["k"].tolist() == ["5", "2", "3", "4", "6"]
    assert table["Place, 90%"].tolist() == ["1 to 2", "–", "–", "–", "–"]
    assert table["Screen"].tolist() == ["4", "1", "2", "3", "5"]
    assert table["p"].tolist() == ["0.05", "0.6", "–", "–", "–"]
    assert table["Refitted"].tolist() == ["0.80 ± 0.02"] * 2 + ["–"] * 3
    assert "Penalised" not in titles


def test_no_structure_recommends_nothing_and_says_why_the_best_do_not_count(new_planted, tmp_path):
    folder = new_planted(p=0.3).write(tmp_path)
    section = told(folder, "verdict")
    assert section.answer == (
        "Nothing is recommended. The best of 2 tested runs is no better than structureless data with these margins and "
        "correlations (p = 0.3 by max-T over the shortlist, level 0.05)."
    )
    assert not {"command", "tiles"} & {block.kind for block in section.blocks}
    table = section.blocks[0]
    assert [row[0] for row in table.rows] == ["1", "4"]
    assert {row[-1] for row in table.rows} == {"p above 0.05"}
    assert confirmed_words.NOT_SEGMENTS in [block.text for block in told(folder, "segments").blocks[:1]]
    build(folder)
    assert "segkit reproduce" not in (folder / "summary.md").read_text(encoding="utf-8")


def test_a_shortlist_that_beats_the_tables_but_lacks_a_criterion_is_not_called_structureless(new_planted, tmp_path):
    study = new_planted()
    study.conclude(None)
    answer = told(study.write(tmp_path), "verdict").answer
    assert "beats structureless data (p = 0.05), but no run that does comes back in half of its refits" in answer


def test_provenance_tells_the_seconds_of_the_confirmation(folder):
    section = told(folder, "provenance")
    tables = {block.title: block for block in section.blocks if isinstance(block, Table)}
    assert tables["CPU time of the confirmation by kind of stage"].rows == [
        ["refit", "30 s", "75%"],
        ["null", "10 s", "25%"],
    ]
    defined = [row[0] for row in tables["How scores are defined"].rows]
    assert {"Excess over structureless data", "Adjusted p (max-T)", "Prediction strength", "DBCV"} <= set(defined)
    assert any("docs/scores.md" in getattr(block, "text", "") for block in section.blocks)


def test_a_confirmed_study_without_the_optional_columns_builds(new_planted, tmp_path):
    study = new_planted()
    kept = {"confirmed", "p_adjusted", "rank", "run", "status", "stability_ari", "silhouette_reference", "n_clusters"}
    kept |= {"reason", "seed", "data", "features", "scaler", "projection", "clusterer", "noise_fraction"}
    kept |= {"smallest_cluster", "weight_share", "silhouette_native"}
    study.rows = [{name: value for name, value in row.items() if name in kept} for row in study.rows]
    study.nulls = []
    folder = study.write(tmp_path)
    build(folder)
    assert "Recommended and confirmed" in (folder / "summary.md").read_text(encoding="utf-8")
    assert not (folder / "figures" / "nulls.png").exists()
    assert not (folder / "figures" / "k_excess.png").exists()


def test_null_means_without_the_null_tables_are_drawn(new_planted, tmp_path):
    study = new_planted()
    study.nulls = []
    folder = study.write(tmp_path)
    drawn = next(block for block in told(folder, "trust").blocks if getattr(block, "name", "") == "nulls")
    lines = [list(line.get_xdata()) for line in drawn.draw().axes[0].lines]
    assert gather(folder).confirmation.against_nulls["null_mean"].tolist() in lines


def test_a_confirmed_page_is_inert_and_whole(new_planted, tmp_path):
    from test_report_page import HOSTILE, assert_sound

    study = new_planted()
    for row in study.rows:
        row |= {"scaler": HOSTILE, "projection": f"<b>{HOSTILE}", "silhouette_reference_penalised": 0.25}
    folder = study.write(tmp_path)
    build(folder)
    page = assert_sound(folder)
    assert len(page.all("b")) == len(page.all("article"))
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    assert {"instability", "jaccard", "nulls", "k_excess"} <= drawn
    assert "Coverage times the silhouette" in " ".join(a.get("title", "") for a in page.all("th"))


def test_lists_kept_as_arrays_are_read(new_planted, tmp_path):
    study = new_planted()
    folder = study.write(tmp_path)
    table = pd.read_parquet(folder / "runs.parquet")
    table["stability_jaccard_refit"] = [None if pd.isna(v) else json.loads(v) for v in table["stability_jaccard_refit"]]
    table.to_parquet(folder / "runs.parquet", index=False)
    np.testing.assert_allclose(gather(folder).jaccard, [0.7, 0.71, 0.72, 0.73, 0.74])


def test_nulls_without_a_column_are_named(new_planted, tmp_path):
    folder = new_planted().write(tmp_path)
    pd.read_parquet(folder / "nulls.parquet").drop(columns="kind").to_parquet(folder / "nulls.parquet")
    with pytest.raises(UsageError, match=r"nulls\.parquet: has no column 'kind'"):
        gather(folder)


def tables(section) -> list[Table]:
    return [block for block in section.blocks if block.kind == "table"]


def texts(section) -> str:
    return " ".join(block.text for block in section.blocks if block.kind == "text")


def confirmed_row(study, k: int) -> dict:
    return next(row for row in study.rows if row["n_clusters"] == k)


def test_quality_stands_beside_both_controls(folder):
    section = told(folder, "projection")
    (table,) = tables(section)
    assert table.rows == [
        ["The scaled features themselves (control)", "1.000", "–", "1.000", "1.000", "–"],
        ["umap", "0.980 (0.800)", "0.970", "0.500 (0.200)", "0.600 (0.650)", "0.700"],
    ]
    text = texts(section)
    assert "Neighbourhoods are kept best in umap, where the best run clustered: area under R_NX 0.50, 0.30" in text
    assert "In 1 of 3 figures a random projection does better, by the most in distance correlation of umap (0.6" in text


def test_quality_tells_of_another_best_space_and_of_no_control(new_planted, tmp_path):
    study = new_planted()
    for row in study.rows:
        row |= dict.fromkeys([name for name in row if "_control_" in name])
    confirmed_row(study, 2).update(projection="tsne", r_nx_area=0.9)
    section = told(study.write(tmp_path), "projection")
    assert [row[0] for row in tables(section)[0].rows] == ["tsne", "umap"]
    text = texts(section)
    assert "kept best in tsne: area under R_NX 0.90. The best run's own space has 0.50." in text
    assert "random projection" not in text


def measured(study, k: int, strength=None, dbcv=None, noise=None, status: str = "ok") -> None:
    row = confirmed_row(study, k)
    row |= {"prediction_strength": strength, "prediction_strength_sd": 0.04, "prediction_strength_status": status}
    row |= {"dbcv_native": dbcv, "dbcv_reference": dbcv, "stability_noise_jaccard": noise}
    row |= {"dbcv_native_status": "ok", "dbcv_reference_status": "ok"}


def test_other_measures_are_tabled_and_disagree_where_they_do(new_planted, tmp_path):
    study = new_planted()
    measured(study, 5, 0.7, -0.1, 0.5)
    measured(study, 2, None, 0.4, status="not_feasible")
    confirmed_row(study, 2)["p_adjusted"] = 0.05
    study.conclude(confirmed_row(study, 5)["run"])
    section = told(study.write(tmp_path), "trust")
    table = next(table for table in tables(section) if "Prediction strength" in table.head)
    assert [row[3:] for row in table.rows] == [
        ["5", "yes", "0.70 ± 0.04", "−0.10", "−0.10", "0.0% (0.50)"],
        ["2", "yes", "not feasible", "0.40", "0.40", "0.0%"],
    ]
    assert {len(row) for row in table.rows} == {len(table.head)} == {len(table.align)}
    text = texts(section)
    assert "Other measures disagree with the recommendation: its prediction strength is 0.70 ± 0.04, below the" in text
    assert "is −0.10, below 0" in text
    assert "another answer above structureless data (2 segments), has 0.40" in text
    assert "who is noise in it changes from draw to draw (mean Jaccard 0.50)" in text
    assert "In agreement" not in text


def test_other_measures_that_agree_say_so_and_count_no_noise(new_planted, tmp_path):
    study = new_planted()
    measured(study, 5, 0.9, 0.3)
    measured(study, 2, 0.95, 0.8)
    section = told(study.write(tmp_path), "trust")
    text = texts(section)
    assert "No other measure disagrees with the recommendation: its prediction strength is 0.90 ± 0.04, at" in text
    assert "which no other answer above structureless data exceeds" in text
    assert not any("Noise (Jaccard)" in table.head for table in tables(section))


def test_prediction_strength_of_what_is_not_recommended_is_put_in_its_place(new_planted, tmp_path):
    study = new_planted(p=0.3)
    measured(study, 2, 0.95, 0.8)
    text = texts(told(study.write(tmp_path), "trust"))
    assert "1 of 2 tested runs has a prediction strength of at least 0.8, and yet nothing is recommended" in text


def test_a_stage_of_the_confirmation_that_is_missing_is_told(new_planted, tmp_path):
    study = new_planted()
    assert tables(told(study.write(tmp_path / "whole"), "failures")) == []
    row = confirmed_row(study, 2)
    row["confirm_reason"] = "refit: MemoryError"
    for i, null in enumerate(study.nulls):
        null["status"] = "failed" if i == 0 else "single_cluster" if i == 1 else "ok"
    section = told(study.write(tmp_path / "torn"), "failures")
    assert "A stage of the confirmation is missing for 1 of 2 tested runs." in section.answer
    assert [[cells[0], cells[2]] for cells in tables(section)[0].rows] == [[row["run"], "refit: MemoryError"]]
    expected = f"1 of {len(study.nulls)} scores is missing (1 failed): 1 of run {study.nulls[0]['run']}."
    assert texts(section) == f"On tables without segments {expected}"


def test_provenance_tells_the_draws_that_count(new_planted, tmp_path):
    study = new_planted()
    row = confirmed_row(study, 5)
    for valid, shown in ((20, "20"), (17, f"20, of which 17 have a value for run {row['run']}")):
        row |= {"stability_draws": 20, "stability_draws_valid": valid}
        facts = dict(tables(told(study.write(tmp_path), "provenance"))[0].rows)
        assert facts["Draws"] == shown


def test_what_the_confirmation_says_in_words_of_others_is_inert(new_planted, tmp_path):
    from test_report_page import HOSTILE, assert_sound

    study = new_planted()
    measured(study, 5, None, 0.3, status=f"<i>{HOSTILE}")
    for row in study.rows:
        row |= {"confirm_reason": f"<i>{HOSTILE}", "projection": f"<i>{HOSTILE}"}
    for null in study.nulls:
        null |= {"run": f"<i>{HOSTILE}", "status": "failed"}
    folder = study.write(tmp_path)
    build(folder)
    page = assert_sound(folder)
    assert not page.all("i")
    assert "".join(page.text).count(f"<i>{HOSTILE}") > 4


def test_an_excess_over_nothing_is_marked_as_the_silhouette_itself(new_planted, tmp_path):
    study = new_planted()
    best = next(row for row in study.rows if row["n_clusters"] == 5)
    best |= {"silhouette_null_mean": 0.0, "silhouette_excess": 0.4}
    for row in study.nulls:
        row["silhouette"] = np.nan if row["run"] == best["run"] else row["silhouette"]
    section = told(study.write(tmp_path), "compare")
    board = section.blocks[0]
    at = [column.title for column in board.columns].index("Excess")
    shown = {run: cells[at].shown for run, *_, cells in board.rows}
    assert shown.pop(best["run"]) == "0.400 ‡"
    assert not [text for text in shown.values() if "‡" in text]
    assert "‡ where the run finds nothing on tables without segments: its silhouette itself" in board.columns[at].hint
    assert section.blocks[1].text.startswith("Excess: ‡ where the run finds nothing")
    assert "‡" not in told(new_planted().write(tmp_path / "other"), "compare").blocks[0].columns[at].hint
