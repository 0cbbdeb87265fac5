"""Values that distances cannot be computed with are known before anything is clustered, wherever they come from."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from segkit.progress import Silent
from segkit.study.compose import compose_study
from segkit.study.prepare import prepare
from segkit.study.sweep import launch

OPTION = """\
# Mine.
columns: [b, c]
expressions:
  steep: {expression}
"""


def study(folder, *overrides):
    places = [f"store={folder}/store", f"hydra.sweep.dir={folder}/study", "engine=inline", "scoring.draws=2"]
    data = ["data=table", f"data.path={folder}/t.csv", "data.id=id", "scoring.confirm=false", "report.formats=[png]"]
    return launch(prepare(compose_study([*data, *places, *overrides], folder / "options")), ["segkit"], Silent())


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    frame["a"] = np.linspace(-1, 12, 60)
    frame.to_csv(tmp_path / "t.csv", index_label="id")
    (tmp_path / "options" / "features").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("exp(50 * a)", "features=steep: 'steep' is "),
        ("exp(20 * a) * exp(20 * a)", "features=steep: 'steep' is "),
    ],
)
def test_a_feature_that_grows_too_large_skips_its_runs_and_no_others(table, expression, message):
    (table / "options" / "features" / "steep.yaml").write_text(OPTION.format(expression=expression))
    finished = study(table, "features=steep,all", "scaler=none", "clusterer=agglomerative,kmeans")
    runs = finished.runs.set_index("features")
    assert set(runs.loc["all", "status"]) == {"ok"}
    assert set(runs.loc["steep", "status"]) == {"skipped"}
    assert runs.loc["steep", "reason"].str.startswith(message).all()
    assert json.loads((table / "study" / "provenance.json").read_text())["state"] == "finished"


def test_a_study_of_nothing_but_skipped_runs_ends_well(table):
    (table / "options" / "features" / "steep.yaml").write_text(OPTION.format(expression="exp(50 * a)"))
    finished = study(table, "features=steep", "scaler=power,quantile")
    assert set(finished.runs["status"]) == {"skipped"}
    assert not finished.complete
    assert json.loads((table / "study" / "provenance.json").read_text())["state"] == "finished"


@pytest.mark.parametrize("expression", ["1 / (a - a)", "log(a - 100)", "(a - 100) ** 0.5"])
def test_what_has_no_value_anywhere_is_a_line_or_a_warning_and_never_a_crash(table, expression):
    (table / "options" / "features" / "steep.yaml").write_text(OPTION.format(expression=expression))
    runs = study(table, "features=steep", "scaler=standard").runs
    assert set(runs["status"]) <= {"ok", "skipped"}


def test_tables_that_cannot_be_made_leave_no_study_that_concludes_for_ever(table, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("segkit.study.record.customers_frame", broken)
    with pytest.raises(ZeroDivisionError):
        study(table, "scaler=standard")
    state = json.loads((table / "study" / "provenance.json").read_text())["state"]
    assert state == "stopped: its tables could not be written"
