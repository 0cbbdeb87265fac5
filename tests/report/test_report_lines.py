"""What a study found, in three lines for a terminal."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from segkit.report.lines import lines

NULL = {"p": 0.025, "level": 0.05}


@pytest.fixture
def study(tmp_path):
    """Return a study of three runs with the verdict and the feature set's name that are asked for."""
    (tmp_path / "report.html").write_text("", encoding="utf-8")

    def make(verdict, run="a", null=NULL, features="all"):
        runs = pd.DataFrame(
            {
                "run": ["a", "b", "c"],
                "status": ["ok", "ok", "skipped"],
                "features": features,
                "scaler": "power",
                "projection": "none",
                "clusterer": "kmeans",
                "clusterer.n_clusters": [3, 2, 4],
                "silhouette_reference": [0.2424, 0.1, None],
                "silhouette_pooled_z": [23.04, None, None],
                "confirmed": [True, False, False],
            }
        )
        partitions = pd.DataFrame({"id": range(1000), "a": [0] * 500 + [1] * 300 + [2] * 150 + [-1] * 50})
        recommendation = {"run": run, "verdict": verdict, "null": null}
        return SimpleNamespace(runs=runs, partitions=partitions, recommendation=recommendation, folder=tmp_path)

    return make


def test_a_recommended_run_is_told_with_its_figures_its_segments_and_what_was_done(study, tmp_path):
    first, second, third = lines(study("recommended"))
    assert first == (
        "Recommended: K-Means with n_clusters = 3 in the scaled features after power scaling (feature set all): "
        "silhouette 0.242, pooled z 23.0, p = 0.025"
    )
    assert second == "3 segments: 50%, 30%, 15% of 1,000 customers; in none: 5%"
    assert third == f"3 runs: 2 ok, 1 skipped; 1 confirmed; report: {tmp_path / 'report.html'}"


@pytest.mark.parametrize(
    ("verdict", "run", "null", "beginning"),
    [
        ("screened_only", "a", None, "Best of the screen, not confirmed: K-Means with n_clusters = 3"),
        ("no_structure", None, NULL, "Nothing is recommended: the best run is no better than data without segments (p"),
        ("nothing_eligible", None, NULL, "Nothing is recommended: no run that beats data without segments (p = 0.025)"),
        ("nothing_eligible", None, None, "Nothing is recommended: no run passes the gates"),
    ],
)
def test_each_verdict_has_its_words(study, verdict, run, null, beginning):
    told = lines(study(verdict, run, null))
    assert told[0].startswith(beginning)
    assert len(told) == (3 if run else 2)


def test_names_of_others_do_not_steer_the_terminal(study):
    told = lines(study("recommended", features="\x1b[2J\nall\u202e"))
    assert all(line.isprintable() for line in told)
    assert "[2J" in told[0]


def test_many_segments_are_not_all_listed(study):
    made = study("recommended")
    made.partitions["a"] = [number % 40 for number in range(1000)]
    assert lines(made)[1].endswith("2% and 28 smaller ones of 1,000 customers")


def test_a_run_whose_labels_were_lost_is_no_error(study):
    made = study("recommended")
    made.partitions = made.partitions[["id"]]
    assert lines(made)[1] == "its segments are not in partitions.parquet"
