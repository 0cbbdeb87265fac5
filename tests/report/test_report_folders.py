"""Folders that are not (or not yet) a whole study: what is missing by name, and what is shown all the same."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from segkit.errors import UsageError
from segkit.report import build
from segkit.report.gather import gather

OPTIONAL = (
    *("provenance.json", "recommendation.json", "partitions.parquet"),
    *("embeddings.parquet", "embeddings.json", "profiles.parquet", "customers.parquet", "silhouettes.parquet"),
)


@pytest.fixture
def small(new_study, tmp_path):
    """A folder of three runs, and the runs."""
    study = new_study(n=60)
    scores = {"davies_bouldin_reference": 1.0, "stability_ari": 0.8, "silhouette_native": 0.6}
    runs = [
        study.add(
            study.truth % k, silhouette_reference=0.1 * k, projection="umap", rank=5 - k, weight_share=0.5, **scores
        )
        for k in (2, 3, 4)
    ]
    study.recommend(runs[-1], runs[0])
    study.planes = {"umap-1": ("all > umap", study.scaled[:, :2], runs)}
    study.profiled = runs[-1]
    folder = study.write(tmp_path / "study")
    study.frame.assign(id=study.ids).to_parquet(folder / "customers.parquet", index=False)
    silhouettes = {"id": study.ids, "row": np.arange(60), runs[-1]: np.linspace(-0.1, 0.5, 60)}
    pd.DataFrame(silhouettes).to_parquet(folder / "silhouettes.parquet", index=False)
    return folder, runs


def built(folder) -> list[str]:
    told = []
    page = build(folder, tell=told.append).read_text(encoding="utf-8")
    assert "data-runs" in page
    for line in told:
        assert line.replace("'", "&#39;") in page
        assert line.split(":")[0].replace("_", r"\_") in (folder / "summary.md").read_text(encoding="utf-8")
    return told


def test_a_whole_folder_lacks_nothing(small):
    assert built(small[0]) == []


@pytest.mark.parametrize("name", OPTIONAL)
def test_the_report_is_made_without_a_file_and_says_so(small, name):
    folder, runs = small
    gone = [name, "customers.parquet"] if name == "profiles.parquet" else [name]
    for each in gone:
        (folder / each).unlink()
    told = built(folder)
    assert sorted(line.split(" is missing: ")[0] for line in told) == sorted(gone)
    assert gather(folder).best == runs[-1]


def test_the_report_is_made_from_two_files(small):
    folder, runs = small
    for name in OPTIONAL:
        (folder / name).unlink()
    told = built(folder)
    assert len(told) == 7
    assert not [name for name in OPTIONAL if name not in " ".join(told) and not name.startswith("embeddings")]
    summary = gather(folder)
    assert summary.best == runs[-1]
    assert summary.recommendation["verdict"] == "screened_only"


def test_profiles_are_made_anew_from_the_customers(small):
    folder, _ = small
    kept = gather(folder).profile.reset_index(drop=True)
    (folder / "profiles.parquet").unlink()
    summary = gather(folder)
    assert summary.lacking == ()
    pd.testing.assert_frame_equal(summary.profile.reset_index(drop=True), kept, check_dtype=False)


@pytest.mark.parametrize("state", ["running", "interrupted", "stopped: disk full"])
def test_a_study_that_has_not_ended_is_ranked_by_what_it_has(small, state):
    folder, runs = small
    for name in ("recommendation.json", "partitions.parquet", "embeddings.parquet", "profiles.parquet"):
        (folder / name).unlink()
    provenance = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(provenance | {"state": state, "counts": {"ok": 3, "runs": 40}}))
    table = pd.read_parquet(folder / "runs.parquet").drop(columns=["rank", "pareto", "weight_share"])
    table.to_parquet(folder / "runs.parquet", index=False)
    told = built(folder)
    assert told[0] == f"The study is not finished (its state: {state}): 3 of 40 runs are here."
    summary = gather(folder)
    assert summary.runs["run"].tolist() == runs[::-1]
    assert summary.recommendation["run"] == runs[-1]


def test_a_study_of_which_no_run_has_ended(small):
    folder, _ = small
    pd.read_parquet(folder / "runs.parquet").iloc[:0].to_parquet(folder / "runs.parquet", index=False)
    for name in OPTIONAL:
        (folder / name).unlink()
    assert built(folder)


def test_an_empty_folder(tmp_path):
    with pytest.raises(UsageError, match=r"the folder is empty; study\.yaml and runs\.parquet"):
        gather(tmp_path)


def test_without_the_runs_it_is_said_what_can_be_read(small):
    folder, _ = small
    (folder / "runs.parquet").unlink()
    (folder / "runs.csv").write_text("run\n")
    with pytest.raises(UsageError, match=r"runs\.parquet: missing.*\(runs\.csv, recommendation\.json, configs"):
        gather(folder)


@pytest.mark.parametrize("written", [2, 99])
def test_a_newer_version(small, written):
    folder, _ = small
    (folder / "provenance.json").write_text(json.dumps({"format": written, "segkit": "9.1"}))
    with pytest.raises(UsageError, match=f"format={written}: written by a newer segkit 9.1") as caught:
        gather(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_broken_file_is_named_with_what_can_be_done(small, name):
    folder, _ = small
    (folder / name).write_bytes(b"\xff{")
    with pytest.raises(UsageError, match=name) as caught:
        gather(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"customers": "yes"}, "report.customers=yes: must be true or false"),
        ({"max_mb": 0}, "report.max_mb=0: must be a number of megabytes above 0"),
        ({"max_mb": float("nan")}, "report.max_mb=nan"),
        ({"shortlist": 1.5}, "report.shortlist=1.5: must be a whole number from 1"),
    ],
)
def test_settings_that_are_not_allowed_are_named(new_study, tmp_path, asked, told):
    study = new_study(n=40)
    study.add(np.zeros(40, int))
    study.study["report"] = asked
    with pytest.raises(UsageError, match=told.replace(".", r"\.")):
        gather(study.write(tmp_path))


def test_what_is_given_takes_precedence(small):
    folder, _ = small
    assert gather(folder, {"customers": None, "max_mb": 2}).options.max_mb == 2
    assert gather(folder, {"customers": False}).options.customers is False
    with pytest.raises(UsageError, match="--max-mb=-1: must be a number of megabytes above 0"):
        gather(folder, {"max_mb": -1})


def test_a_study_file_that_was_cut_off_is_told(small):
    folder, _ = small
    text = (folder / "study.yaml").read_text()
    assert gather(folder).lacking == ()
    document = yaml.safe_load(text)
    del document["references"]
    (folder / "study.yaml").write_text(yaml.safe_dump(document))
    (told,) = gather(folder).lacking
    assert told.startswith("study.yaml is not whole, it has no references: ")


def test_missing_and_broken_tables_without_segments_are_told_of_a_confirmed_study(new_planted, small, tmp_path):
    folder = new_planted().write(tmp_path / "confirmed")
    assert not [line for line in gather(folder).lacking if "nulls" in line]
    (folder / "nulls.parquet").write_bytes(b"no")
    with pytest.raises(UsageError, match=r"nulls\.parquet: is not readable.*without this file a report can be made"):
        gather(folder)
    (folder / "nulls.parquet").unlink()
    assert [line for line in gather(folder).lacking if line.startswith("nulls.parquet is missing: what the runs found")]
    assert not [line for line in gather(small[0]).lacking if "nulls" in line]
