"""Folders whose files contradict each other, or hold something else than a study writes."""

from __future__ import annotations

import json
import os
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from segkit.errors import UsageError
from segkit.report import build, render
from segkit.report.gather import gather
from segkit.study.keep.reader import load_study


@pytest.fixture
def small(new_study, tmp_path):
    """A folder of two runs with everything that can be damaged."""
    study = new_study(n=60, columns=("BALANCE", "PURCHASES", "TENURE"))
    told = {"davies_bouldin_reference": 1.0, "stability_ari": 0.8, "silhouette_native": 0.6}
    runs = [study.add(study.truth % k, silhouette_reference=0.1 * k, rank=5 - k, **told) for k in (2, 3)]
    study.recommend(runs[-1], runs[0])
    study.planes = {"pca-1": ("all > pca", study.scaled[:, :2], runs)}
    study.profiled = runs[-1]
    folder = study.write(tmp_path / "study")
    study.frame.assign(id=study.ids).to_parquet(folder / "customers.parquet", index=False)
    silhouettes = {"id": study.ids, "row": np.arange(60), runs[-1]: np.linspace(-0.1, 0.5, 60)}
    pd.DataFrame(silhouettes).to_parquet(folder / "silhouettes.parquet", index=False)
    return SimpleNamespace(folder=folder, best=runs[-1], other=runs[0])


def damage(folder, name, change):
    table = change(pd.read_parquet(folder / name))
    table.to_parquet(folder / name, index=False)


def rewrite(folder, name, **values):
    found = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(found | values))


# ------------------------------------------------------------------ customers are not shown without a word for it


@pytest.mark.parametrize("left", [None, {}, {"formats": ["png"]}, {"customers": None}])
def test_customers_are_not_shown_where_it_is_lost_whether_they_may_be(small, left):
    document = yaml.safe_load((small.folder / "study.yaml").read_text()) | {"report": left}
    (small.folder / "study.yaml").write_text(yaml.safe_dump(document))
    summary = gather(small.folder)
    assert summary.options.customers is False
    assert [line for line in summary.lacking if line.startswith("study.yaml has no report.customers: ")]
    for asked in (True, False):
        summary = gather(small.folder, {"customers": asked})
        assert (summary.options.customers, summary.lacking) == (asked, ())


def test_a_page_of_a_study_that_was_cut_off_names_no_customer(small):
    document = yaml.safe_load((small.folder / "study.yaml").read_text())
    del document["report"]
    (small.folder / "study.yaml").write_text(yaml.safe_dump(document))
    told = []
    page = build(small.folder, tell=told.append).read_text()
    assert "study.yaml has no report.customers" in page
    assert [line for line in told if "report.customers" in line]
    assert 'data-block="ids"' not in page
    assert "C00007" not in page


# ------------------------------------------------------------------ tables that do not go together


def shuffled(table):
    return table.sample(frac=1, random_state=0)


def first_fifty(table):
    return table.iloc[:50]


def without_id(table):
    return table.drop(columns="id")


OTHERS = "has other customers than partitions.parquet, or in another order"


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("embeddings.parquet", shuffled, OTHERS),
        ("embeddings.parquet", first_fifty, "has 50 customers, partitions.parquet 60"),
        ("embeddings.parquet", without_id, "has no column 'id'"),
        ("embeddings.parquet", lambda table: table.astype({"pca-1:x": str}), "has no numbers in its column 'pca-1:x'"),
        ("customers.parquet", shuffled, OTHERS),
        ("customers.parquet", first_fifty, "has 50 customers, partitions.parquet 60"),
        ("customers.parquet", lambda table: table.iloc[:0], "has no customers"),
        ("customers.parquet", without_id, "has no column 'id'"),
        ("customers.parquet", lambda table: table.assign(row=range(1, 61)), "rows in its column 'row' that partitions"),
        ("customers.parquet", lambda table: table.assign(row=0), "each customer's row once in its column 'row'"),
        (
            "customers.parquet",
            lambda table: table.assign(TENURE=np.r_[np.inf, np.ones(59)]),
            "has infinite values in its column 'TENURE'",
        ),
        (
            "customers.parquet",
            lambda table: table.rename(columns={"TENURE": "OTHER"}),
            "has no column for the feature 'TENURE' of profiles.parquet",
        ),
        ("silhouettes.parquet", lambda table: shuffled(table).assign(row=range(60)), OTHERS),
        ("silhouettes.parquet", lambda table: table.assign(row=10**6 + table["row"]), "rows in its column 'row' that"),
        ("silhouettes.parquet", lambda table: table.drop(columns="row"), "has no column 'row'"),
        ("partitions.parquet", without_id, "has no column 'id'"),
        ("partitions.parquet", first_fifty, "has 50 customers, the data in provenance.json 60"),
        ("partitions.parquet", lambda table: table.astype(str), "has no numbers in its column"),
        (
            "partitions.parquet",
            lambda table: table.assign(**{table.columns[1]: 0.5}),
            "has segments that are no whole numbers in its column",
        ),
        ("partitions.parquet", lambda table: table.assign(**{table.columns[1]: -5}), "has segments below -1 in its"),
        ("profiles.parquet", lambda table: table.drop(columns="z"), "has no column 'z'"),
        ("profiles.parquet", lambda table: table.assign(mean="abc"), "has no numbers in its column 'mean'"),
        ("profiles.parquet", lambda table: table.iloc[:-1], "has not each feature of each segment once"),
    ],
)
def test_a_table_that_does_not_go_with_the_others_is_left_out_and_told(small, name, change, told):
    damage(small.folder, name, change)
    summary = gather(small.folder)
    (line,) = [line for line in summary.lacking if line.startswith(f"{name} is left out, it ")]
    assert told in line
    assert summary.best == small.best
    if name == "customers.parquet":
        assert summary.columns is None
        assert summary.contrast is None
    elif name == "silhouettes.parquet":
        assert summary.silhouettes.empty
    elif name == "embeddings.parquet":
        assert summary.plane is None
    elif name == "partitions.parquet":
        assert summary.agreement.empty
    else:
        assert summary.portraits


def test_what_goes_with_the_shuffled_partitions_no_more_is_not_drawn(small):
    damage(small.folder, "partitions.parquet", shuffled)
    told = []
    build(small.folder, tell=told.append)
    gone = ["customers.parquet", "embeddings.parquet", "silhouettes.parquet"]
    assert sorted(line.split(" is left out")[0] for line in told) == gone
    assert all("partitions.parquet" in line for line in told)


def test_drawn_customers_are_found_by_their_rows(small):
    damage(small.folder, "customers.parquet", lambda table: table.assign(row=range(60)).iloc[10:30])
    assert gather(small.folder).lacking == ()
    damage(small.folder, "customers.parquet", lambda table: table.assign(row=table["row"] + 1))
    assert [line for line in gather(small.folder).lacking if OTHERS in line]


def test_a_directory_in_a_files_place_is_not_missing(small):
    (small.folder / "customers.parquet").unlink()
    (small.folder / "customers.parquet").mkdir()
    (line,) = gather(small.folder).lacking
    assert line.startswith("customers.parquet is left out, it is a directory, not a file: ")
    (small.folder / "runs.parquet").unlink()
    (small.folder / "runs.parquet").mkdir()
    with pytest.raises(UsageError, match=r"runs\.parquet: is a directory, not a file; without it no report"):
        gather(small.folder)


def test_planes_that_are_not_in_the_table_are_told(small):
    plane = json.loads((small.folder / "embeddings.json").read_text())["pca-1"]
    (small.folder / "embeddings.json").write_text(json.dumps({"pca-2": plane, "pca-1": plane}))
    summary = gather(small.folder)
    (line,) = summary.lacking
    assert line.startswith("embeddings.json names the plane pca-2, which embeddings.parquet has not")
    assert [plane.name for plane in summary.embeddings] == ["pca-1"]


def test_a_list_in_a_planes_place(small):
    (small.folder / "embeddings.json").write_text(json.dumps({"pca-1": [1]}))
    with pytest.raises(UsageError, match=r"embeddings\.json: pca-1: must hold names and values, holds list; without"):
        gather(small.folder)


def test_configurations_that_are_missing_or_cut_off_are_told(small):
    path = small.folder / "configs.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    (line,) = gather(small.folder).lacking
    assert line.startswith(f"configs.jsonl is not whole, it has not that of run {small.best}: ")
    path.unlink()
    (line,) = gather(small.folder).lacking
    assert line == "configs.jsonl is missing: segkit reproduce cannot make a run again."


# ------------------------------------------------------------------ the runs, and what contradicts them


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.drop(columns=["n_clusters", "seed"]), "has no column 'seed', 'n_clusters'"),
        (lambda table: table.drop(columns="rank"), "has no column 'rank'"),
        (
            lambda table: table.assign(silhouette_reference="abc"),
            "'silhouette_reference' must hold numbers, holds 'abc",
        ),
        (lambda table: table.assign(silhouette_standard="abc"), "'silhouette_standard' must hold numbers, holds 'abc"),
        (lambda table: table.assign(seconds="long"), "'seconds' must hold numbers, holds 'long'"),
        (lambda table: table.assign(silhouette_reference=np.inf), "'silhouette_reference' must hold finite numbers"),
        (lambda table: table.assign(status="weird"), "status=weird: must be one of ok, failed, skipped"),
        (lambda table: pd.concat([table, table]), "more than once"),
        (
            lambda table: table.assign(run=range(len(table))),
            "column 'run' must hold a run's id, letters and digits, holds 0",
        ),
    ],
)
def test_a_table_of_runs_that_cannot_be_right_is_named(small, change, told):
    damage(small.folder, "runs.parquet", change)
    with pytest.raises(UsageError, match=r"runs\.parquet: ") as caught:
        gather(small.folder)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_that_failed_is_not_recommended(small):
    damage(small.folder, "runs.parquet", lambda table: table.assign(status=["ok", "failed"], reason=["", "x"]))
    with pytest.raises(UsageError, match=r"recommendation\.json: recommends the run '\w+', whose status .* is failed"):
        gather(small.folder)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("run", [1], "run=[1]: must be a text"),
        ("reasons", "none", 'reasons="none": must be a list of entries with names and values'),
        ("reasons", [{"gate": 1}], "reasons[0].gate=1: must be a text"),
        ("reasons", [{"criterion": "stability_ari", "place": 1}], "reasons[0] has a place and no 'of'"),
        ("runner_up", "x", 'runner_up="x": must be names and values'),
        ("eligible", "two", 'eligible="two": must be a whole number from 0'),
        ("null", [1], "null=[1]: must be names and values"),
        ("null", {"holding_up": 3}, "null.holding_up=3: must be a list of texts"),
    ],
)
def test_a_recommendation_of_another_kind_is_named(small, name, value, told):
    rewrite(small.folder, "recommendation.json", **{name: value})
    with pytest.raises(UsageError, match=r"recommendation\.json: .*without this file a report can be made") as caught:
        gather(small.folder)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, [1, "x"]) for name in ("wall_seconds", "seconds", "computed_seconds", "confirm_seconds", "counts")),
        *((name, [1, "x"]) for name in ("versions", "data", "command", "state", "peak_memory")),
        ("data", {"missing": ["BALANCE"]}),
        ("data", {"n_customers": "many"}),
        ("data", {"variance_shares": {"all/none": [1]}}),
        ("seconds", {"clustering": "long"}),
    ],
)
def test_a_provenance_of_another_kind_is_named(small, name, value):
    rewrite(small.folder, "provenance.json", **{name: value})
    with pytest.raises(
        UsageError, match=rf"provenance\.json: {name}.*must be .*without this file a report can be made"
    ):
        gather(small.folder)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"scoring": "dra"}, 'scoring="dra": must be names and values'),
        ({"report": "for"}, 'report="for": must be names and values'),
        ({"scoring": {"references": "power"}}, 'scoring.references="power": must be a list of texts'),
        ({"scoring": {"gates": {"coverage": 0.7}}}, "must be coverage, smallest_cluster and clusters"),
    ],
)
def test_a_study_file_of_another_kind_is_named(small, values, told):
    document = yaml.safe_load((small.folder / "study.yaml").read_text()) | values
    (small.folder / "study.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(UsageError, match=r"study\.yaml: ") as caught:
        gather(small.folder)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", ["scoring", "sampling", "axes"])
def test_a_study_file_that_ends_after_a_name(small, name):
    document = yaml.safe_load((small.folder / "study.yaml").read_text()) | {name: None}
    (small.folder / "study.yaml").write_text(yaml.safe_dump(document))
    assert bool(gather(small.folder).lacking) == (name == "scoring")


# ------------------------------------------------------------------ nothing is half-written


@pytest.mark.parametrize("name", ["report.html", "summary.md", "effects.csv", "figures/trust.png"])
def test_nothing_is_written_where_one_file_cannot_be(small, name):
    (small.folder / name).mkdir(parents=True)
    before = {path: path.read_bytes() for path in small.folder.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=rf"{name}: the report cannot be written \(it is a directory"):
        build(small.folder)
    assert {path: path.read_bytes() for path in small.folder.rglob("*") if path.is_file()} == before


def test_nothing_is_written_where_the_page_cannot_be_made(small, monkeypatch):
    def fails(*_):
        raise RuntimeError("of ours")

    monkeypatch.setattr(render, "payload", fails)
    before = sorted(small.folder.rglob("*"))
    with pytest.raises(RuntimeError, match="of ours"):
        build(small.folder)
    assert sorted(small.folder.rglob("*")) == before


# ------------------------------------------------------------------ the folder itself


@pytest.mark.parametrize(("written", "told"), [("null", "null"), ("1.5", "1.5"), ('"1"', '"1"'), ("true", "true")])
def test_a_format_that_is_no_number_is_not_newer(small, written, told):
    (small.folder / "provenance.json").write_text(f'{{"format": {written}, "segkit": "0.1.0"}}')
    with pytest.raises(UsageError) as caught:
        gather(small.folder)
    assert str(caught.value).endswith(f"is not readable (format={told}: must be a whole number)")


def test_counts_of_another_kind_are_named(small):
    rewrite(small.folder, "provenance.json", failures={}, counts=[1, "x"])
    with pytest.raises(UsageError, match=r"provenance\.json: counts=.*must be names and whole numbers from 0"):
        _ = load_study(small.folder).provenance


@pytest.mark.parametrize("opened", [load_study, gather])
def test_a_file_in_a_folders_place(small, opened):
    with pytest.raises(UsageError, match=r"study\.yaml: is a file; a study's folder is wanted"):
        opened(small.folder / "study.yaml")


@pytest.mark.parametrize(("minutes", "ago"), [(1, ""), (12, "12 min"), (150, "2 h"), (3000, "2 d")])
def test_a_study_that_has_written_nothing_for_long_may_have_been_killed(small, minutes, ago):
    rewrite(small.folder, "provenance.json", state="running")
    then = time.time() - 60 * minutes - 5
    os.utime(small.folder / "provenance.json", (then, then))
    told = f", or stopped without finishing: last written {ago} ago" if ago else ""
    assert f"(its state: running{told})" in gather(small.folder).lacking[0]


def test_a_number_that_the_study_did_not_know_is_no_damage(small):
    rewrite(small.folder, "provenance.json", seconds={"clustering": float("nan")})
    assert gather(small.folder).lacking == ()
