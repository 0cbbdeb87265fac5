"""Edited files of a study are detected: by their digests, and by computing the run again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil

import pandas as pd
import pytest
import yaml

import segkit.report
from segkit import cli
from segkit.errors import UsageError
from segkit.progress import Silent
from segkit.segments.write_profiles import write_profiles
from segkit.segments.write_silhouettes import write_silhouettes
from segkit.study.compose import compose_study
from segkit.study.keep.published import FILES, edited, seal
from segkit.study.keep.reader import load_study
from segkit.study.reproduce import DIFFERENT, EXACT, reproduce
from segkit.study.run.preparation import prepare
from segkit.study.sweep import launch

SWEEP = [
    *[
        "data.n=150",
        "engine=inline",
        "scoring.draws=3",
        "scoring.confirm_draws=3",
        "scoring.refits=2",
    ],
    *[
        "scoring.seeds=1",
        "scoring.shortlist=2",
        "scoring.nulls.copula=19",
        "scoring.nulls.permuted=1",
    ],
    *["scaler=power", "clusterer.n_clusters=4,5", "report.formats=[png]"],
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edited")
    places = [f"store={folder}/store", f"hydra.sweep.dir={folder}/study"]
    finished = launch(prepare(compose_study([*SWEEP, *places])), ["segkit"], Silent())
    write_profiles(finished)
    write_silhouettes(finished)
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
    assert detail == f"run {run}, the labels of 10 customers differ from the published ones"


@pytest.mark.parametrize("path", ["run", "verdict", "eligible", "null.p"])
def test_an_edited_recommendation_is_held_against_its_figures(folder, path):
    document = json.loads((folder / "recommendation.json").read_text())
    inner, names = document, path.split(".")
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = {"run": None, "verdict": "screened_only", "eligible": 99, "null.p": 0.001}[
        path
    ]
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


def test_what_a_study_says_cannot_steer_the_terminal_of_who_looks_at_it(
    folder, capsys, monkeypatch
):
    provenance = json.loads((folder / "provenance.json").read_text())
    provenance |= {
        "state": "fin\x1b[2Jished\nrun 1: exact",
        "failures": {"a": "\x1b]0;title\x07 text"},
    }
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


def edit_table(folder, name, change):
    change(pd.read_parquet(folder / name)).to_parquet(folder / name, index=False)
    # As somebody who knows of digests.
    seal(folder)


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        (
            "partitions",
            lambda table: table.assign(id=table["id"].to_numpy()[::-1]),
            "the ids of 150 customers are",
        ),
        ("partitions", lambda table: table.drop(columns="id"), "column 'id' is missing"),
        ("partitions", lambda table: table.iloc[:100], "100 customers published, the data has 150"),
        (
            "partitions",
            lambda table: table.astype(str),
            "its labels are stored as str, not as whole numbers",
        ),
        ("partitions", lambda table: table.iloc[:, :1], "its labels are missing"),
        (
            "runs",
            lambda table: table.drop(columns="davies_bouldin_native"),
            "'davies_bouldin_native' is missing",
        ),
        (
            "nulls",
            lambda table: table.drop(columns="kind"),
            "it cannot be derived from runs.parquet, nulls.parquet",
        ),
    ],
)
def test_what_was_edited_with_its_digest_is_found_by_computing_it_again(folder, name, change, text):
    edit_table(folder, f"{name}.parquet", change)
    assert edited(folder, load_study(folder).provenance) == []
    verdict, place, detail = again(folder)
    expected = "recommendation.json" if name == "nulls" else f"{name}.parquet"
    assert (verdict, place) == (DIFFERENT, f"published:{expected}")
    assert text in detail


@pytest.mark.parametrize("digests", [["runs.parquet"], {}, "x"])
def test_a_study_lacks_no_digest_of_a_file_that_is_there(folder, digests):
    provenance = json.loads((folder / "provenance.json").read_text()) | {"files": digests}
    assert edited(folder, provenance) == list(FILES)


def test_a_study_without_digests_is_called_unverified(folder):
    provenance = json.loads((folder / "provenance.json").read_text())
    del provenance["files"]
    (folder / "provenance.json").write_text(json.dumps(provenance))
    study = load_study(folder)
    (stage,) = (s for s in reproduce(study, best(folder)).stages if s.stage == "published:files")
    assert stage.verdict == "unverified"


def change_entries(change):
    def changed(folder):
        lines = [json.loads(line) for line in (folder / "configs.jsonl").read_text().splitlines()]
        for line in lines:
            change(line)
        (folder / "configs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    return changed


def change_settings(change):
    def changed(folder):
        settings = yaml.safe_load((folder / "study.yaml").read_text())
        change(settings)
        (folder / "study.yaml").write_text(yaml.safe_dump(settings))

    return changed


def repeat_rows(folder):
    edit_table(folder, "runs.parquet", lambda table: pd.concat([table, table]))


def link_to_itself(folder):
    (folder / "runs.parquet").unlink()
    (folder / "runs.parquet").symlink_to("runs.parquet")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            change_entries(lambda line: line.update(seed=10**40)),
            "seed=1000.*: must be a whole number from 0 to 429",
        ),
        (
            change_entries(lambda line: line["groups"].pop("data")),
            r"groups\.data: is missing; must be names and",
        ),
        (
            change_entries(lambda line: line["choices"].clear()),
            r"choices\.data: is missing; must be a text",
        ),
        (change_entries(lambda line: line["stages"].clear()), r"stages\.features\.key: is missing"),
        (
            change_entries(lambda line: line["stages"]["stability"].pop("digest")),
            r"stages\.stability\.digest: is mis",
        ),
        (change_entries(lambda line: line.pop("data_identity")), "data_identity: is missing"),
        (
            change_settings(lambda study: study["scoring"].update(draws=10**9)),
            r"draws=1000000000: must be a whole num",
        ),
        (
            change_settings(lambda study: study["scoring"].update(gates=None)),
            r"scoring\.gates: is missing",
        ),
        (
            change_settings(lambda study: study["scoring"].update(level="low")),
            'scoring.level="low": must be a number',
        ),
        (
            change_settings(lambda study: study["scoring"]["gates"].update(clusters=[2])),
            "must be two whole numbers",
        ),
        (
            change_settings(lambda study: study["references"]["power"].pop("features")),
            r"power\.features: is missing",
        ),
        (repeat_rows, "has run .* more than once"),
        (link_to_itself, "is not readable"),
    ],
)
def test_what_cannot_be_computed_is_one_line_before_anything_is(folder, change, text, monkeypatch):
    run = best(folder)
    change(folder)
    monkeypatch.setattr(
        "segkit.study.reproduce.Engine", lambda *_, **__: pytest.fail("something was computed")
    )
    with pytest.raises(UsageError, match=text) as raised:
        reproduce(load_study(folder), run)
    assert "\n" not in str(raised.value)


def test_a_file_that_a_study_names_is_not_read_unless_it_was_made_of_it(folder, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("root:hidden:0\nroot:hidden:1\n")
    data = {"_target_": "segkit.data.sources.TableFile", "path": str(secret), "id": "id"}
    run = best(folder)
    change_entries(lambda line: line["groups"].update(data=data))(folder)
    result = reproduce(load_study(folder), run)
    assert result.verdict == DIFFERENT
    assert "hidden" not in repr(result)
    assert "give the data by --data" in result.stages[0].detail


@pytest.mark.parametrize("place", ["pipe", "folder"])
def test_what_is_no_file_is_not_waited_for(folder, tmp_path, place):
    path = tmp_path / place
    os.mkfifo(path) if place == "pipe" else path.mkdir()
    data = {"_target_": "segkit.data.sources.TableFile", "path": str(path), "id": "id"}
    run = best(folder)
    change_entries(lambda line: line["groups"].update(data=data))(folder)
    with pytest.raises(UsageError, match="no such file"):
        reproduce(load_study(folder), run)
