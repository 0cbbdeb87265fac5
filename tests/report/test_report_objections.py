"""What speaks against the chosen run, who else finds its segments, and numbers beside a bar."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from segkit.report import words
from segkit.report.gather import gather
from segkit.report.objections import objections
from segkit.report.sections import sections


def test_all_that_holds_is_told_in_the_verdict(new_planted, tmp_path):
    study = new_planted()
    best = next(row for row in study.rows if row["n_clusters"] == 5)
    next(row for row in study.rows if row["n_clusters"] == 2)["dbcv_reference"] = 0.1
    best |= {"dbcv_reference": -0.8, "prediction_strength": 0.6, "rank_by_standard": 11, "rank_by_quantile": 10}
    best |= {"stability_jaccard_refit": json.dumps([0.9, 0.28, 0.7, 0.8, 0.74])}
    for row in study.rows:
        row |= {"silhouette_standard": 0.1, "silhouette_quantile": 0.1}
    summary = gather(study.write(tmp_path))
    told = (
        "But: other measures disagree (DBCV \u22120.80, below 0, place 2 of 2 tested runs; prediction strength 0.60, "
        "below 0.8); by silhouette alone it has place 11 in the standard reference and 10 in the quantile reference, "
        "of 5 runs; 3 of 5 segments are not valid (mean Jaccard from 0.28, valid from 0.75), and Segment 1 is not to "
        "be trusted at all (below 0.6); its stability is of 7 draws only; p = 0.05 is the smallest that 19 tables can "
        "give."
    )
    assert objections(summary) == told
    assert told in [block.text for block in sections(summary)[0].blocks if block.kind == "text"]


@pytest.mark.parametrize(
    ("other", "told"),
    [(-0.2, "DBCV \u22120.40, below 0 as that of every tested run, place 2 of 2"), (-0.9, "")],
)
def test_a_density_below_0_as_everywhere_is_held_against_the_lower_half_alone(new_planted, tmp_path, other, told):
    study = new_planted(p=0.04)
    for row in study.rows:
        row |= {"dbcv_reference": {5: -0.4, 2: other}.get(row["n_clusters"], np.nan), "prediction_strength": 0.9}
        row |= {"stability_jaccard_refit": json.dumps([0.9] * row["n_clusters"]), "stability_refit_draws": 20}
    found = objections(gather(study.write(tmp_path)))
    assert found == (f"But: another measure disagrees ({told})." if told else "")


def test_a_segment_that_lies_nearer_to_another_one_is_told(new_planted, tmp_path):
    summary = gather(new_planted(p=0.04).write(tmp_path))
    silhouettes = pd.DataFrame({"segment": [0, 0, 1, 1, 2], "silhouette": [0.5, 0.4, 0.1, -0.3, 0.2]})
    told = objections(replace(summary, silhouettes=silhouettes))
    assert "Segment 1 is on average nearer to another segment than to itself (mean silhouette \u22120.1)" in told
    assert "nearer" not in objections(replace(summary, silhouettes=silhouettes.iloc[:2]))


def test_nothing_is_told_where_nothing_speaks_against_the_run(new_planted, tmp_path):
    study = new_planted(p=0.04)
    best = next(row for row in study.rows if row["n_clusters"] == 5)
    best |= {"stability_jaccard_refit": json.dumps([0.9] * 5), "dbcv_reference": 0.1, "prediction_strength": 0.9}
    best["stability_refit_draws"] = 20
    assert objections(gather(study.write(tmp_path))) == ""


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"silhouette_reference": 0.2}, "its silhouette of 0.200 in the power reference is below 0.25"),
        ({"stability_ari_refit": 0.7}, "refitted, its segments come back with a mean ARI of 0.70 only"),
        ({"stability_refit_draws": 3}, "its stability is of 3 draws only"),
        ({"noise_fraction": 0.297}, "its coverage of 70.3% is hardly above the 70.0% asked for"),
        ({"silhouette_z": 0.5}, "the pooled z sets it first, but it has place 2 by its own z, of 2 runs"),
        ({"stability_ari_refit": 0.7496}, "a mean ARI of 0.7496 only"),
        ({"weight_share": 0.25}, "another answer, wins as many weightings"),
    ],
)
def test_what_speaks_against_the_run_is_told(new_planted, tmp_path, changed, told):
    study = new_planted(p=0.04)
    best = next(row for row in study.rows if row["n_clusters"] == 5)
    other = next(row for row in study.rows if row["n_clusters"] == 2)
    other |= {"p_adjusted": 0.04, "weight_share": 0.25, "silhouette_z": 1.0, "silhouette_excess": 0.0}
    other["silhouette_pooled_z"], best["silhouette_pooled_z"] = 1.0, 3.0
    best |= {"stability_jaccard_refit": json.dumps([0.9] * 5), "dbcv_reference": 0.1, "prediction_strength": 0.9}
    best |= {"stability_refit_draws": 20, "silhouette_z": 2.0}
    study.recommendation["null"]["holding_up"] = [best["run"], other["run"]]
    assert told not in objections(gather(study.write(tmp_path / "before")))
    best |= changed
    assert told in objections(gather(study.write(tmp_path / "after")))


def test_pooling_is_held_only_against_a_run_that_it_sets_first(new_planted, tmp_path):
    study = new_planted(p=0.04)
    best, other = (next(row for row in study.rows if row["n_clusters"] == k) for k in (5, 2))
    other |= {"p_adjusted": 0.04, "silhouette_z": 9.0, "silhouette_pooled_z": 9.0, "silhouette_excess": 0.5}
    best |= {"silhouette_z": 2.0, "silhouette_pooled_z": 3.0}
    study.recommendation["null"]["holding_up"] = [best["run"], other["run"]]
    assert "pooled" not in objections(gather(study.write(tmp_path / "second")))
    other["silhouette_pooled_z"] = 1.0
    assert (
        "only the pooled z sets it first: it has place 2 by the excess itself and place 2 by its own z"
        in objections(gather(study.write(tmp_path / "first")))
    )


def test_places_among_few_runs_are_no_objection(new_study, tmp_path):
    study = new_study(n=60)
    told = {"silhouette_reference": 0.4, "silhouette_standard": 0.3, "stability_ari": 0.9}
    runs = [study.add(study.truth % 2, rank=i + 1, rank_by_standard=3 - i, **told) for i in range(3)]
    study.recommend(runs[0])
    assert objections(gather(study.write(tmp_path))) == ""


def test_a_run_that_does_not_come_back_is_recommended_with_doubts(new_planted, tmp_path):
    study = new_planted()
    best = next(row for row in study.rows if row["n_clusters"] == 5)
    best |= {"stability_jaccard_refit": json.dumps([0.9] * 5), "stability_ari_refit": 0.9}
    assert sections(gather(study.write(tmp_path / "well")))[0].title == "Recommended and confirmed"
    best["stability_ari_refit"] = 0.7
    assert sections(gather(study.write(tmp_path / "badly")))[0].title == "Recommended, with doubts about its stability"


def test_a_segment_with_nearly_everybody_is_told(new_planted, tmp_path):
    summary = gather(new_planted(p=0.04).write(tmp_path))
    profile = pd.DataFrame({"segment": [0, 1, -1], "n": [97, 3, 50], "feature": "a", "z": 0.0})
    assert "one segment holds 97% of the customers in a segment" in objections(replace(summary, profile=profile))
    assert "one segment" not in objections(replace(summary, profile=profile.assign(n=[60, 40, 50])))


def test_a_screened_run_is_objected_to_as_well(new_study, tmp_path):
    study = new_study(n=60)
    values = {"silhouette_reference": 0.4, "stability_ari": 0.9, "stability_jaccard": json.dumps([0.9, 0.7])}
    run = study.add(study.truth % 2, rank=1, **values)
    study.recommend(run)
    summary = gather(study.write(tmp_path))
    assert objections(summary) == "But: 1 of 2 segments is not valid (mean Jaccard 0.70, valid from 0.75)."
    assert objections(summary) in [block.text for block in sections(summary)[0].blocks if block.kind == "text"]
    study.recommend(None)
    assert objections(gather(study.write(tmp_path))) == ""


def test_runs_with_the_same_segments_are_tied(new_study, tmp_path):
    study = new_study(n=60)
    shares = [(study.truth, 1.0), (study.truth[:], 1.0), (np.roll(study.truth, 9), 0.2)]
    names = ("silhouette_reference", "stability_ari")
    runs = [
        study.add(labels, rank=i + 1, weight_share=share, **dict.fromkeys(names, 0.9 - i / 10))
        for i, (labels, share) in enumerate(shares)
    ]
    study.recommend(runs[0], runs[2])
    summary = gather(study.write(tmp_path))
    assert words.twins(summary) == [runs[1]]
    told = words.runner_up(summary)
    assert told.startswith(f"Tied with run {runs[1]}, which finds the very same segments. Runner-up: ")
    assert (
        "100% put this run first, or share the first place between it and 1 run with the same segments; the next other "
        "one gets 20% (a weighting that several runs win counts for each)."
    ) in words.why(summary)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.7496, "0.7496"), (0.748, "0.748"), (0.75, "0.75"), (0.5999, "0.5999"), (0.741, "0.74"), (None, words.NONE)],
)
def test_a_jaccard_below_a_bar_does_not_look_like_it(value, shown):
    assert words.jaccard(value) == shown


@pytest.mark.parametrize(
    ("share", "digits", "told"),
    [
        (1.0, 0, "100%"),
        (0.998, 0, "99.8%"),
        (0.996, 1, "99.6%"),
        (0.99998, 1, "99.998%"),
        (1 - 1e-9, 1, "> 99.999%"),
        (0.0001, 0, "< 1%"),
        (0.5, 0, "50%"),
    ],
)
def test_a_share_that_is_not_all_does_not_look_like_all(share, digits, told):
    assert words.percent(share, digits) == told


def test_a_rank_correlation_of_few_different_runs_is_not_told_as_one(new_study, tmp_path):
    study = new_study(n=60)
    for i, (silhouette, ari) in enumerate([(0.1, 0.5), (0.3, 0.6), (0.2, 0.7), (0.4, 0.65), (0.35, 0.4)]):
        study.add(study.truth % 2, rank=i + 1, silhouette_reference=silhouette, stability_ari=ari)
    study.recommend(None)
    told = words.trust_caption(gather(study.write(tmp_path / "few")))
    assert told.startswith("Whether a good silhouette goes with stability cannot be told here (rank correlation 0.00")
    for i in range(60):
        study.add(rank=i + 6, silhouette_reference=i / 100, stability_ari=i / 100 + 0.05 * (i % 3))
    told = words.trust_caption(gather(study.write(tmp_path / "many")))
    assert told.startswith("Runs with a better silhouette tend to be more stable (rank correlation 0.")


def test_few_segments_are_told_one_by_one_and_many_by_the_largest(new_planted, tmp_path):
    summary = gather(new_planted().write(tmp_path))
    answer = next(section.answer for section in sections(summary) if section.slug == "segments")
    assert answer.startswith("5 segments. Segment 0 (")
    for portrait in summary.portraits:
        sides = [("high", portrait.high), ("low", portrait.low)]
        told = ", ".join(f"{side} {traits[0][0]}" for side, traits in sides if traits)
        assert f"{words.segment(portrait.segment)} (" in answer
        assert f"): {told}" in answer
    many = [replace(portrait, segment=i) for i, portrait in enumerate(2 * summary.portraits)]
    answer = next(s.answer for s in sections(replace(summary, portraits=many)) if s.slug == "segments")
    assert answer.startswith("10 segments; the largest holds ")
