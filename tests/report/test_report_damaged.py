"""Folders whose files contradict each other, or hold something else than a study writes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from segkit.errors import UsageError
from segkit.report import build, render
from segkit.report.gather import gather
from segkit.study.folder import load_study


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


# ------------------------------------------------------------------ nothing is half-written


@pytest.mark.parametrize("name", ["report.html", "summary.md", "effects.csv", "figures/trust.png"])
def test_nothing_is_written_where_one_file_cannot_be(small, name):
    (small.folder / name).mkdir(parents=True)
    before = {path: path.read_bytes() for path in small.folder.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=rf"{name}: is a directory, where the report has a file"):
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
