"""A study whose files were edited is found out: by their digests, and by computing the run again."""

from __future__ import annotations

import contextlib
import json
import shutil

import pandas as pd
import pytest

import segkit.report
from segkit import cli
from segkit.errors import UsageError
from segkit.progress import Silent
from segkit.segments.keep import keep_profiles
from segkit.segments.silhouettes import keep_silhouettes
from segkit.study.compose import compose_study
from segkit.study.folder import load_study
from segkit.study.prepare import prepare
from segkit.study.published import FILES, edited, seal
from segkit.study.reproduce import DIFFERENT, EXACT, reproduce
from segkit.study.sweep import launch

SWEEP = [
    *["data.n=150", "engine=inline", "scoring.draws=3", "scoring.confirm_draws=3", "scoring.refits=2"],
    *["scoring.seeds=1", "scoring.shortlist=2", "scoring.nulls.copula=19", "scoring.nulls.permuted=1"],
    *["scaler=power", "clusterer.n_clusters=4,5", "report.formats=[png]"],
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edited")
    places = [f"store={folder}/store", f"hydra.sweep.dir={folder}/study"]
    finished = launch(prepare(compose_study([*SWEEP, *places])), ["segkit"], Silent())
    keep_profiles(finished)
    keep_silhouettes(finished)
    seal(finished.folder)
    return finished.folder


@pytest.fixture
def folder(written, tmp_path):
    shutil.copytree(written, tmp_path / "study")
    return tmp_path / "study"


def best(folder):
    return load_study(folder).recommendation["run"]


def again(folder, run=None):
    """Reproduce and return the first of the published files that differs, and in what."""
    study = load_study(folder)
    result = reproduce(study, run or study.runs["run"].iloc[-1])
    lost = [(stage.stage, stage.detail) for stage in result.stages if stage.verdict == DIFFERENT]
    return result.verdict, *(lost[0] if lost else ("", ""))


def test_a_study_as_it_was_written_is_exact(written):
    assert again(written) == (EXACT, "", "")
    assert edited(written, load_study(written).provenance) == []
    assert set(json.loads((written / "provenance.json").read_text())["files"]) == set(FILES)


def test_a_report_that_is_made_again_edits_nothing(folder):
    segkit.report.build(folder)
    segkit.report.build(folder, customers=False)
    assert edited(folder, load_study(folder).provenance) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("silhouette_reference", 0.9),
        ("davies_bouldin_native", 0.1),
        ("calinski_harabasz_standard_status", "zero_within"),
        ("stability_ari", 1.0),
        ("n_clusters", 3),
        ("clusterer.n_clusters", 7),
        ("smallest_cluster", 0.3),
        ("seed", 7),
        ("scaler", "none"),
    ],
)
def test_an_edited_row_is_named_by_its_table_run_and_column(folder, column, value):
    runs = pd.read_parquet(folder / "runs.parquet")
    run = runs["run"].iloc[-1]
    runs.loc[runs["run"] == run, column] = value
    runs.to_parquet(folder / "runs.parquet", index=False)
    verdict, name, detail = again(folder, run)
    assert (verdict, name) == (DIFFERENT, "published:runs.parquet")
    assert detail.startswith(f"run {run}, column '{column}': {json.dumps(value)} published, ")


def test_edited_labels_are_named_though_their_digest_is_not_touched(folder):
    labels = pd.read_parquet(folder / "partitions.parquet")
    run = labels.columns[-1]
    labels.loc[:9, run] = 1 - labels.loc[:9, run].clip(0, 1)
    labels.to_parquet(folder / "partitions.parquet", index=False)
    verdict, name, detail = again(folder, run)
    assert (verdict, name) == (DIFFERENT, "published:partitions.parquet")
    assert detail == f"run {run}, the labels of 10 customers are others than published"


@pytest.mark.parametrize("path", ["run", "verdict", "eligible", "null.p"])
def test_an_edited_recommendation_is_held_against_its_figures(folder, path):
    document = json.loads((folder / "recommendation.json").read_text())
    inner, names = document, path.split(".")
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = {"run": None, "verdict": "screened_only", "eligible": 99, "null.p": 0.001}[path]
    (folder / "recommendation.json").write_text(json.dumps(document))
    verdict, name, detail = again(folder, load_study(folder).runs["run"].iloc[0])
    assert (verdict, name) == (DIFFERENT, "published:recommendation.json")
    assert f"'{path}': " in detail


@pytest.mark.parametrize("name", FILES)
def test_each_file_that_was_edited_is_known_by_its_digest(folder, name):
    with (folder / name).open("ab") as file:
        file.write(b" ")
    assert edited(folder, load_study(folder).provenance) == [name]


def test_an_edited_file_is_told_by_the_report_and_by_reproduce(folder):
    lines = []
    (folder / "profiles.csv").write_text("")
    segkit.report.build(folder, tell=lines.append)
    assert "profiles.csv is not as the study wrote it" in " ".join(lines)
    assert "profiles.csv is not as the study wrote it" in (folder / "report.html").read_text()
    verdict, stage, detail = again(folder)
    assert (verdict, stage) == (DIFFERENT, "published:files")
    assert detail.startswith("profiles.csv is not as")


def test_a_file_that_is_gone_is_not_as_it_was(folder):
    (folder / "nulls.parquet").unlink()
    assert edited(folder, load_study(folder).provenance) == ["nulls.parquet"]


def test_a_study_without_digests_is_not_suspected(folder):
    provenance = json.loads((folder / "provenance.json").read_text())
    del provenance["files"]
    (folder / "provenance.json").write_text(json.dumps(provenance))
    (folder / "runs.csv").write_text("")
    assert edited(folder, provenance) == []
    assert again(folder)[0] == EXACT


def test_a_report_uses_no_store_that_a_study_names(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    asked = (folder / "study.yaml").read_text().splitlines()
    lines = [f"store: {elsewhere}" if line.startswith("store:") else line for line in asked]
    (folder / "study.yaml").write_text("\n".join(lines))
    segkit.report.build(folder)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("name", ["figures", "report.html", "summary.md", "effects.csv"])
def test_a_report_writes_through_no_link_that_leads_out_of_the_study(folder, tmp_path, name):
    outside = tmp_path / "outside"
    if name == "figures":
        outside.mkdir()
    else:
        outside.write_text("mine")
    path = folder / name
    if path.exists():
        shutil.rmtree(path)
    path.symlink_to(outside)
    # A file's link is replaced, a folder's is refused.
    with contextlib.suppress(UsageError):
        segkit.report.build(folder)
    assert list(outside.iterdir()) == [] if outside.is_dir() else outside.read_text() == "mine"


def test_what_a_study_says_cannot_steer_the_terminal_of_who_looks_at_it(folder, capsys, monkeypatch):
    provenance = json.loads((folder / "provenance.json").read_text())
    provenance |= {"state": "fin\x1b[2Jished\nrun 1: exact", "failures": {"a": "\x1b]0;title\x07 text"}}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    monkeypatch.setattr("sys.argv", ["segkit", "status", str(folder)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    output = capsys.readouterr()
    assert ended.value.code == 0
    assert "\x1b" not in output.out + output.err
    assert "\\x1b[2J" in output.out
    assert "run 1: exact" not in output.out.splitlines()


def test_a_class_that_is_not_allowed_is_refused_before_it_is_made(folder, tmp_path):
    lines = [json.loads(line) for line in (folder / "configs.jsonl").read_text().splitlines()]
    target = tmp_path / "made"
    for line in lines:
        line["groups"]["clusterer"] = {"_target_": "pathlib.Path.touch", "self": str(target)}
    (folder / "configs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UsageError, match=r"pathlib\.Path\.touch.*is not an allowed class"):
        again(folder)
    assert not target.exists()
