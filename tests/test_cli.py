"""The command line as a user meets it: results, exit codes, and one clear line for everything
that is wrong."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import segkit
from segkit import cli

TINY = ["data.n=120", "scoring.confirm=false", "scoring.draws=2", "engine=inline"]


@pytest.fixture
def invoke(tmp_path, monkeypatch, capsys):
    """Run a command in a folder of its own: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["segkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


def error(result):
    """Return the only line of a wrong usage."""
    code, out, err = result
    assert code == 2, err
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("segkit: error: ")
    return line.removeprefix("segkit: error: ")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished study: one folder for all tests that only read it."""
    folder = tmp_path_factory.mktemp("study")
    command = [
        sys.executable,
        "-m",
        "segkit.cli",
        "sweep",
        *TINY,
        "clusterer=kmeans,dbscan",
        "projection=none,pca",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return folder / done.stdout.splitlines()[-1]


# What works


def test_a_sweep_leaves_the_documented_files_and_prints_its_folder_last(study):
    names = {path.name for path in study.iterdir()}
    assert names >= {
        "study.yaml",
        "provenance.json",
        "runs.parquet",
        "runs.csv",
        "configs.jsonl",
        "partitions.parquet",
        "recommendation.json",
        "report.html",
        "summary.md",
        "figures",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", study.name)


def test_the_runs_table_has_the_documented_columns(study):
    runs = segkit.load_study(study).runs
    assert list(runs.columns[:9]) == [
        "run",
        "status",
        "reason",
        "seed",
        "data",
        "features",
        "scaler",
        "projection",
        "clusterer",
    ]
    wanted = {
        "clusterer.n_clusters",
        "clusterer.eps",
        "projection.n_components",
        "features.missing",
        "data.n",
    }
    wanted |= {
        "n_clusters",
        "noise_fraction",
        "smallest_cluster",
        "inertia",
        "projection.explained_variance",
        "truth_ari",
    }
    for score in ("silhouette", "davies_bouldin", "calinski_harabasz"):
        for space in ("native", "reference", "standard", "quantile"):
            wanted |= {f"{score}_{space}", f"{score}_{space}_status"}
    wanted |= {"stability_ari", "stability_jaccard_min", "confirmed", "seconds"}
    assert wanted <= set(runs.columns)
    assert runs["run"].str.fullmatch("[0-9a-f]{12}").all()
    assert runs["status"].eq("ok").all()


def test_the_best_runs_are_those_of_the_lowest_rank(study):
    runs = segkit.load_study(study).runs
    best = runs.dropna(subset="rank").nsmallest(5, "rank")
    assert best["rank"].tolist() == list(range(1, len(best) + 1))
    assert 0 < len(best) < len(runs)
    assert best["rank"].dtype == "Int64"


def test_partitions_are_by_customer_with_a_nullable_integer_column_for_each_run(study):
    loaded = segkit.load_study(study)
    assert loaded.partitions.columns.tolist() == ["id", *loaded.runs["run"]]
    assert len(loaded.partitions) == 120
    assert all(
        pd.api.types.is_extension_array_dtype(loaded.partitions[run].dtype)
        for run in loaded.runs["run"]
    )
    for _, run in loaded.runs.iterrows():
        labels = loaded.partitions[run["run"]]
        assert labels[labels >= 0].nunique() == run["n_clusters"]
        assert (labels == -1).mean() == pytest.approx(run["noise_fraction"])


def test_csv_and_parquet_say_the_same(study):
    pd.testing.assert_frame_equal(
        pd.read_csv(study / "runs.csv")[
            ["run", "silhouette_reference", "stability_ari"]
        ].convert_dtypes(),
        pd.read_parquet(study / "runs.parquet")[
            ["run", "silhouette_reference", "stability_ari"]
        ].convert_dtypes(),
    )


def test_status_report_and_reproduce_work_on_a_finished_study(study, invoke):
    code, out, _ = invoke("status", study)
    assert code == 0
    assert out.splitlines()[0] == "finished: 4 ok, 4 runs"
    code, out, _ = invoke("status", study, "--json")
    assert json.loads(out)["state"] == "finished"
    (study / "report.html").unlink()
    code, out, _ = invoke("report", study)
    assert code == 0
    assert Path(out.strip()) == study / "report.html"
    assert (study / "report.html").exists()


def test_status_tells_of_a_study_that_has_written_nothing_for_long(study, invoke, tmp_path):
    folder = tmp_path / "killed"
    shutil.copytree(study, folder)
    provenance = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(provenance | {"state": "running"}))
    _, out, _ = invoke("status", folder)
    assert out.splitlines()[0] == "running: 4 ok, 4 runs"
    os.utime(folder / "provenance.json", (time.time() - 7_300,) * 2)
    _, out, _ = invoke("status", folder)
    assert (
        out.splitlines()[0]
        == "running, or stopped without finishing: last written 2 h ago: 4 ok, 4 runs"
    )
    _, out, _ = invoke("status", folder, "--json")
    assert json.loads(out)["state"] == "running"


def test_a_study_leaves_its_customers_and_its_format(study):
    customers = pd.read_parquet(study / "customers.parquet")
    assert customers.columns[0] == "id"
    assert len(customers) == 120
    assert (
        customers["id"].tolist()
        == pd.read_parquet(study / "partitions.parquet", columns=["id"])["id"].tolist()
    )
    assert json.loads((study / "provenance.json").read_text())["format"] == 1
    profiled = set(pd.read_parquet(study / "profiles.parquet")["feature"])
    assert profiled >= {
        name for name in customers.columns[1:] if customers[name].dtype == "float64"
    }


def blocks(page: Path) -> dict[str, int]:
    """Return the names and sizes of the blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return {name: len(data) for name, data in re.findall(r'id="data-(\w+)">([^<]+)<', text)}


def test_options_of_the_report_take_precedence_over_the_study(study, invoke):
    page = study / "report.html"
    assert invoke("report", study)[2] == ""
    assert set(blocks(page)) == {"meta", "runs", "labels", "planes", "values", "ids"}
    code, _, err = invoke("report", study, "--no-customers")
    assert (code, err) == (0, "")
    assert set(blocks(page)) == {"meta", "runs", "labels", "planes"}
    settings = (study / "study.yaml").read_text()
    try:
        (study / "study.yaml").write_text(settings.replace("customers: true", "customers: false"))
        invoke("report", study)
        assert "ids" not in blocks(page)
        invoke("report", study, "--customers")
        assert "ids" in blocks(page)
    finally:
        (study / "study.yaml").write_text(settings)
    code, out, err = invoke("report", study, "--max-mb", "0.01")
    assert code == 0
    assert Path(out.strip()) == page
    (line,) = err.splitlines()
    assert re.match(
        r"segkit: report\.html has \d\.\d+ MB\. Asked to keep to 0\.01 MB, the page holds", line
    )
    assert line.endswith(
        "This is the least that this study's page can have, though 0.01 MB were asked for."
    )
    assert "--max-mb=0.0: must be a number of megabytes above 0" in error(
        invoke("report", study, "--max-mb", "0")
    )
    assert "--max-mb" in error(invoke("report", study, "--max-mb", "large"))


def test_the_report_is_opened_in_the_browser(study, invoke, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert invoke("report", study, "--open")[0] == 0
    assert opened == [(study / "report.html").resolve().as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    code, out, err = invoke("report", study, "--open")
    assert code == 0
    assert err == f"segkit: no browser was found on this machine; open {out.strip()} in one\n"


def test_every_run_is_reproduced_exactly(study, invoke):
    for run in segkit.load_study(study).runs["run"]:
        code, out, _ = invoke("reproduce", study, run[:8], "--json")
        comparison = json.loads(out)
        assert code == 0
        assert comparison["verdict"] == "exact"
        assert {stage["stage"] for stage in comparison["stages"]} >= {
            "features",
            "scaling",
            "clustering",
            "stability",
        }


@pytest.mark.parametrize("place", [[], ["hydra.sweep.dir=mine/study"]])
def test_a_run_is_reproduced_from_any_folder(invoke, tmp_path, monkeypatch, place):
    rows = "".join(f"{number},{number % 5},{number * number % 11}\n" for number in range(60))
    (tmp_path / "plain.csv").write_text(f"id,a,b\n{rows}")
    tiny = ["data=table", "data.path=plain.csv", "data.id=id", *TINY[1:]]
    folder = tmp_path / invoke("sweep", *tiny, *place)[1].splitlines()[-1]
    run = segkit.load_study(folder).runs["run"][0]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert invoke("reproduce", folder, run)[1].splitlines()[-1] == f"run {run}: exact"

    (tmp_path / "plain.csv").rename(tmp_path / "elsewhere" / "hostile.csv")
    assert (
        error(invoke("reproduce", folder, run))
        == "plain.csv: no such file (data.path, as the study had it, relative to where it was"
        " launched); give the file by --data"
    )
    assert (
        error(invoke("reproduce", folder, run, "--data", "nope.csv"))
        == "nope.csv: no such file (--data)"
    )
    assert (
        error(invoke("reproduce", folder, run, "--data", "hostle.csv"))
        == "hostle.csv: no such file (--data); did you mean 'hostile.csv'?"
    )
    assert invoke("reproduce", folder, run, "--data", "hostile.csv")[0] == 0
    kept = (folder / "configs.jsonl").read_text()
    (folder / "configs.jsonl").write_text(kept.replace('"plain.csv"', f'"/{"x" * 300}"'))
    assert error(invoke("reproduce", folder, run)).endswith(
        "xx: no such file (data.path, as the study had it); give the file by --data"
    )


def test_other_labels_are_not_reproduced(study, invoke, tmp_path):
    import shutil

    other = tmp_path / "copy"
    shutil.copytree(study, other)
    lines = [json.loads(line) for line in (other / "configs.jsonl").read_text().splitlines()]
    entry = next(line for line in lines if line["choices"]["clusterer"] == "kmeans")
    entry["groups"]["clusterer"]["n_clusters"] = 2
    (other / "configs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, _ = invoke("reproduce", other, entry["run"])
    assert code == 5
    assert out.splitlines()[-1] == f"run {entry['run']}: different"
    assert re.search(r"^clustering +different +ARI", out, re.MULTILINE)
    assert re.search(r"^scaling +exact$", out, re.MULTILINE)


def test_run_prints_one_configuration(invoke):
    code, out, _ = invoke("run", *TINY, "--json", "--quiet")
    assert code == 0
    row = json.loads(out)
    assert row["clusterer"] == "kmeans"
    assert row["clusterer.n_clusters"] == 5
    assert (Path(row["folder"]) / "report.html").exists()


def test_plan_computes_nothing(invoke, tmp_path):
    code, out, _ = invoke("plan", "experiment=demo", "--json")
    assert code == 0
    assert json.loads(out)["runs"] >= 200
    assert not (tmp_path / "outputs").exists()


def test_cfg_prints_the_configuration_that_hydra_would(invoke):
    code, out, _ = invoke("sweep", "--cfg", "job", "clusterer=dbscan", "clusterer.eps=0.7")
    assert code == 0
    assert "_target_: sklearn.cluster.DBSCAN" in out
    assert "eps: 0.7" in out


def test_help_lists_options_and_experiments(invoke):
    code, out, _ = invoke("sweep", "--help", "experiment=demo")
    assert code == 0
    for name in (
        "kmeans",
        "cc_general",
        "log_standard",
        "behaviour",
        "smoke",
        "segkit sweep [OPTIONS]",
        "--config-dir",
    ):
        assert name in out
    assert "--json" not in out
    assert "--json" in invoke("plan", "-h")[1]


def test_a_failed_run_makes_exit_code_1(invoke, tmp_path):
    options = tmp_path / "mine" / "clusterer"
    options.mkdir(parents=True)
    (options / "broken.yaml").write_text("_target_: sklearn.cluster.OPTICS\nmin_samples: 5000\n")
    code, out, _ = invoke(
        "sweep", *TINY, "--config-dir", tmp_path / "mine", "clusterer=kmeans,broken"
    )
    assert code == 1
    code, out, _ = invoke("status", "latest")
    assert "1 x clustering: ValueError" in out


def test_latest_is_the_study_launched_last(invoke):
    _, first, _ = invoke("sweep", *TINY, "hydra.sweep.dir=outputs/a/1")
    _, second, _ = invoke("sweep", *TINY, "hydra.sweep.dir=outputs/b/1", "clusterer.n_clusters=3")
    _, out, _ = invoke("status", "latest")
    assert out.splitlines()[-1] == second.splitlines()[-1] != first.splitlines()[-1]


def test_help_is_quick_because_it_imports_little():
    code = "import sys; sys.argv = ['segkit', '--help']\nfrom segkit.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    for heavy in ("numpy", "pandas", "sklearn", "umap", "numba", "dask", "matplotlib", "hydra"):
        assert f"'{heavy}'" not in loaded


# What is wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["experiment=cc_genral"], "cc_general"),
        (["clusterer=kmean"], "kmeans"),
        (["clusterr=kmeans"], "clusterer"),
        (["clusterer.n_cluster=3"], "n_clusters"),
        (["clusterer.n_clusters=three"], "clusterer.n_clusters"),
        (["clusterer.n_clusters=0"], "clusterer.n_clusters"),
        (["clusterer=kmeans,dbscan", "clusterer.n_clusters=2,3"], "dbscan"),
        (["experiment=demo", "clusterer.eps=0.5"], "kmeans"),
        (["clusterer=hdbscan", "clusterer.min_cluster_size=x"], "clusterer.min_cluster_size"),
        (["projection=umap", "projection.n_neighbors=1.5"], "projection.n_neighbors"),
        (["projection=tsne", "projection.perplexity=-1"], "projection.perplexity"),
        (["clusterer._target_=os.system"], "os.system"),
        (["clusterer._target_=joblib.load"], "joblib.load"),
        (["clusterer._target_=sklearn.cluster._kmeans.os.system"], "os.system"),
        (["features.missing=medain"], "median"),
        (["features=spending", "data=simulated_profile"], "spending"),
        (["scoring.draws=0"], "scoring.draws"),
        (["scoring.confirm=maybe"], "scoring.confirm"),
        (["scoring.nulls.copula=5"], "scoring.nulls.copula"),
        (["scoring.gates.coverage=1.5"], "scoring.gates.coverage"),
        (["scoring.references=[powr]"], "power"),
        (["scoring.shortlist=0"], "scoring.shortlist"),
        (["engine.workers=0"], "engine.workers"),
        (["data.n=0"], "data.n"),
        (["seed=-1"], "seed"),
        (["data=table"], "data.path"),
        (["data=table", "data.path=nowhere.csv"], "nowhere.csv"),
        (["--config-dir", "nowhere"], "nowhere"),
        (["--cfg", "jobs"], "jobs"),
        (["--resolve"], "--resolve: goes with --cfg"),
        (["--no-such-option"], "--no-such-option"),
        (["clusterer.n_clusters=[1,2"], "clusterer.n_clusters"),
        (["store=/proc/nowhere"], "store"),
        (["hydra.sweep.dir=/proc/nowhere"], "hydra.sweep.dir"),
        (["engine.address=tcp://127.0.0.1:1"], "engine.address"),
        (["engine.address=http://127.0.0.1:1"], "engine.address"),
        (["engine.memory_limit=4"], "engine.memory_limit=4: must be at least 300MB"),
        (["engine.memory_limit=1KB"], "engine.memory_limit=1KB: must be at least 300MB"),
        (["report.max_mb=1e308"], "report.max_mb"),
    ],
)
def test_wrong_usage_is_one_line_that_names_it(invoke, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr("segkit.study.run.scheduler.CONNECT_SECONDS", 1)
    base = (
        []
        if any(argument.startswith(("data", "experiment", "engine")) for argument in arguments)
        else TINY
    )
    assert message in error(invoke("sweep", *base, *arguments))
    assert not list(tmp_path.glob("outputs/*/*/report.html"))


@pytest.mark.parametrize("command", ["status", "report", "reproduce"])
def test_a_study_that_is_not_there_is_named(invoke, tmp_path, command):
    assert "nowhere" in error(invoke(command, "nowhere"))
    (tmp_path / "empty").mkdir()
    line = error(invoke(command, "empty"))
    assert "study.yaml" in line
    assert "empty" in line
    (tmp_path / "empty" / "runs.csv").write_text("run")
    assert "it has no study.yaml; runs.csv can be read without" in error(invoke(command, "empty"))
    assert "no study was found" in error(invoke(command, "latest"))


@pytest.mark.parametrize("command", ["status", "report", "reproduce"])
def test_a_folder_of_a_newer_version_or_with_a_broken_file_is_one_line(invoke, tmp_path, command):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "study.yaml").write_text("seed: 1")
    (folder / "provenance.json").write_text('{"format": 2, "segkit": "7.0"}')
    assert "written by a newer segkit 7.0" in error(invoke(command, folder))
    (folder / "provenance.json").write_text('{"format"')
    assert "provenance.json: is not readable" in error(invoke(command, folder))


def test_a_run_that_is_not_there_is_named(invoke, study):
    assert "'zzz'" in error(invoke("reproduce", study, "zzz"))
    assert "4 runs begin with it" in error(invoke("reproduce", study, ""))


def test_a_command_that_is_not_there_is_named(invoke):
    assert "sweeep" in error(invoke("sweeep"))


def test_no_command_prints_the_help_in_lines(invoke):
    code, out, err = invoke()
    assert (code, out) == (2, "")
    assert "Commands:" in err.splitlines()
    assert "segkit: error" not in err


@pytest.mark.parametrize("size", ["abc", "nan", "0", ""])
def test_a_size_that_is_none_is_told_with_what_is_allowed(invoke, study, size):
    line = error(invoke("report", study, "--max-mb", size))
    given = {"nan": "nan", "0": "0.0"}.get(size, size)
    assert line == f"--max-mb={given}: must be a number of megabytes above 0, at most 1,000,000"


BAD_TABLES = {
    "empty": (b"", "empty"),
    "header": (b"id,a,b\n", "header"),
    "latin": ("id,a,b\n1,2,Zoë\n2,3,x\n".encode("latin-1"), "data.encoding"),
    "ragged": (b"id,a,b\n1,2,3\n2,3,4,5\n3,4,5\n", "row 3"),
    "semicolon": (b"id;a;b\n1;2;3\n2;3;4\n", "data.separator"),
    "comma": (b"id;a;b\n1;2,5;3\n2;3,5;4\n", "data.decimal"),
    "no_id": (b"key,a,b\n1,2,3\n2,3,4\n", "id"),
    "twice": (b"id,a,b\n1,2,3\n1,3,4\n", "1"),
    "blank": (b"id,a,b\n1,2,3\n,3,4\n", "id"),
    "huge": (b"id,a,b\n1,2,3\n2,5,-1e308\n3,4,1e308\n", "row 3, column 'b': -1e+308 is too large"),
    "constant": (b"id,a,b\n1,2,inf\n2,2,3\n", "no usable feature column"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_one_line_that_names_the_file_and_the_place(invoke, tmp_path, name):
    content, message = BAD_TABLES[name]
    (tmp_path / f"{name}.csv").write_bytes(content)
    separator = ['data.separator=";"'] if name == "comma" else []
    for command in ("plan", "sweep"):
        line = error(
            invoke(command, "data=table", f"data.path={name}.csv", "data.id=id", *separator)
        )
        assert f"{name}.csv" in line
        assert message in line
    assert not list(tmp_path.glob("outputs/study"))


def test_text_in_a_numeric_column_is_named_with_its_row_and_value(invoke, tmp_path):
    rows = "".join(f"{number},{number * 1.5},{number % 7}\n" for number in range(40))
    (tmp_path / "t.csv").write_text(f"id,a,b\n{rows}40,oops,3\n")
    line = error(invoke("sweep", "data=table", "data.path=t.csv", "data.id=id"))
    assert all(part in line for part in ("t.csv", "'a'", "42", "oops"))


def test_a_dropped_column_is_a_warning_and_too_few_customers_skip_a_run(invoke, tmp_path):
    rows = "".join(f"{number},{number % 5},{number * number % 11},7\n" for number in range(30))
    (tmp_path / "t.csv").write_text(f"id,a,b,c\n{rows}")
    code, out, err = invoke(
        "sweep",
        "data=table",
        "data.path=t.csv",
        "data.id=id",
        "engine=inline",
        "scoring.draws=2",
        "clusterer.n_clusters=3,31",
    )
    assert code == 0
    assert re.search(r"segkit: warning: .*'?c'?.*constant", err)
    runs = segkit.load_study(out.splitlines()[-1]).runs
    assert runs["status"].tolist() == ["ok", "skipped"]
    assert "31" in runs["reason"][1]


def test_hostile_names_are_guarded_in_the_csv(invoke, tmp_path):
    options = tmp_path / "mine" / "features"
    options.mkdir(parents=True)
    (options / "formula.yaml").write_text(
        "columns: ['=1+1', b]\nexpressions: {}\nmissing: median\nclip: null\n"
    )
    rows = "".join(f"{number},{number % 5},{number * number % 11}\n" for number in range(30))
    (tmp_path / "t.csv").write_text(f"id,=1+1,b\n{rows}")
    code, out, _ = invoke(
        *[
            "sweep",
            "--config-dir",
            tmp_path / "mine",
            "data=table",
            "data.path=t.csv",
            "data.id=id",
        ],
        *["engine=inline", "scoring.draws=2", "scoring.confirm=false", "features=formula"],
    )
    assert code == 0
    text = (Path(out.splitlines()[-1]) / "profiles.csv").read_text()
    assert ",'=1+1," in text
    assert ",=1+1," not in text


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can only be mounted by root")
def test_a_disk_that_fills_up_in_mid_study(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        command = [
            sys.executable,
            "-m",
            "segkit.cli",
            "sweep",
            "data.n=3000",
            "scoring.draws=2",
            "scoring.confirm=false",
            "engine=inline",
        ]
        command += [
            "projection=none,pca",
            "scaler=standard,robust,power",
            f"store={disk}/store",
            "hydra.sweep.dir=study",
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "disk full" in done.stderr.splitlines()[-1]
        resume = shlex.split(
            done.stderr.splitlines()[-1].partition("; make room, then resume with: ")[2]
        )
        assert resume[-len(command[3:]) :] == command[3:]
        assert list(disk.glob("store/*/*/*.json"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert segkit.load_study(tmp_path / "study").runs["status"].eq("ok").all()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_with_files_of_ones_own_is_left_as_it_is(invoke, tmp_path):
    (tmp_path / "paper" / "figures").mkdir(parents=True)
    mine = tmp_path / "paper" / "figures" / "fig1.pdf"
    mine.write_text("mine")
    line = error(invoke("sweep", *TINY, "hydra.sweep.dir=paper"))
    assert "hydra.sweep.dir=paper: holds files but no study" in line
    assert mine.read_text() == "mine"
    assert [path.name for path in (tmp_path / "paper").iterdir()] == ["figures"]


def test_a_store_that_is_a_file_is_named_and_leaves_no_study(invoke, tmp_path):
    (tmp_path / "notes.md").write_text("")
    for command in ("plan", "sweep"):
        assert "store=notes.md: must be a folder" in error(invoke(command, *TINY, "store=notes.md"))
    assert "store" in error(invoke("sweep", *TINY, "store=/proc/nowhere"))
    assert not list(tmp_path.glob("outputs/*/*"))


@pytest.mark.parametrize(
    ("folder", "store"),
    [("a", "a"), ("a", "a/store"), ("a/b/../c", "a"), (".", "store"), ("b/../a", "./a")],
)
def test_a_study_and_the_store_are_kept_apart(invoke, tmp_path, folder, store):
    for command in ("plan", "run", "sweep"):
        line = error(invoke(command, *TINY, f"hydra.sweep.dir={folder}", f"store={store}"))
        assert (
            line
            == f"hydra.sweep.dir={folder} and store={store}: must be two folders, neither of them"
            " inside the other"
        )
    assert not list(tmp_path.iterdir())


def test_a_study_and_the_store_may_be_side_by_side(invoke):
    assert invoke("plan", *TINY)[0] == 0
    assert invoke("plan", *TINY, "hydra.sweep.dir=a/store2", "store=a/store")[0] == 0


DAMAGES = [
    ("configs.jsonl", '{"run": ', "reproduce", "configs.jsonl: line 1: is not readable"),
    (
        "configs.jsonl",
        "[]",
        "reproduce",
        "configs.jsonl: line 1: must hold names and values, holds list",
    ),
    ("configs.jsonl", "{}", "reproduce", "configs.jsonl: line 1: 'run' is missing"),
    ("configs.jsonl", "", "reproduce", "is not in"),
    ("study.yaml", "{}", "reproduce", "study.yaml: 'scoring' is missing"),
    ("study.yaml", "[1]", "reproduce", "study.yaml: must hold names and values, holds list"),
    ("recommendation.json", "null", "reproduce", "recommendation.json: must hold names and values"),
    (
        "recommendation.json",
        '{"run": "abc"}',
        "reproduce",
        "the recommended run abc is not in configs.jsonl",
    ),
    ("provenance.json", "{}", "status", "provenance.json: 'state' is missing"),
    ("provenance.json", "[]", "status", "provenance.json: must hold names and values, holds list"),
]


@pytest.mark.parametrize(("name", "content", "command", "message"), DAMAGES)
def test_a_damaged_study_is_told_in_one_line(
    invoke, tmp_path, study, name, content, command, message
):
    shutil.copytree(study, tmp_path / "study")
    (tmp_path / "study" / name).write_text(content)
    assert message in error(invoke(command, "study"))


def test_a_report_that_cannot_be_written_is_told_in_one_line_and_the_old_figures_stay(
    invoke, tmp_path, study
):
    folder = Path(shutil.copytree(study, tmp_path / "study"))
    before = sorted(path.name for path in (folder / "figures").iterdir())
    (folder / "report.html").unlink()
    (folder / "report.html").mkdir()
    assert "report.html: the report cannot be written" in error(invoke("report", "study"))
    assert sorted(path.name for path in (folder / "figures").iterdir()) == before


def test_a_study_of_impossible_runs_says_that_there_is_nothing_to_compute(invoke):
    code, _out, err = invoke("sweep", *TINY, "data.n=1")
    assert code == 1
    assert "there is nothing to compute" in err
    assert "segkit: warning: no run can be done; the most frequent reason: " in err
    assert "stored already" not in err


@pytest.mark.parametrize("scoring", [["scoring.confirm=true"], ["scoring.racing=true"]])
def test_plan_tells_of_nothing_that_follows_impossible_runs(invoke, scoring):
    possible = invoke("plan", *TINY, *scoring)[1]
    assert re.search(r"^then", possible, re.MULTILINE)
    lines = invoke("plan", *TINY, *scoring, "data.n=1")[1].splitlines()
    assert lines[-1] == "nothing to compute"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_output_that_cannot_be_written_is_one_line_and_no_bug(tmp_path):
    command = [sys.executable, "-m", "segkit.cli", "plan", *TINY]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert (
        done.stderr.splitlines()[-1]
        == "segkit: error: the output cannot be written (No space left on device)"
    )
    assert "Traceback" not in done.stderr


def test_plan_tells_that_a_race_adds_draws(invoke):
    code, out, _ = invoke(
        "plan", *TINY, "scoring.draws=20", "scoring.racing=true", "clusterer=kmeans,dbscan"
    )
    assert code == 0
    assert "then, not in the estimate: a race of 2 runs over up to 20 draws each" in out
    plan = json.loads(invoke("plan", "--json", *TINY, "scoring.draws=20", "scoring.racing=true")[1])
    assert plan["racing"] == {"draws": 20, "runs": 1}


def test_plan_tells_where_neighbours_are_searched_approximately(invoke):
    approximate = invoke("plan", *TINY, "projection=umap", "sampling.neighbours=100")[1]
    assert "searched approximately (sampling.neighbours=null: exactly)" in approximate
    assert "approximately" not in invoke("plan", *TINY, "projection=umap")[1]
