"""Values that distances cannot be computed with are known before anything is clustered, wherever they come from."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from segkit import clustering, projection
from segkit.data.limits import LARGEST
from segkit.errors import Infeasible, UsageError
from segkit.progress import Silent
from segkit.scaling import scale
from segkit.study.compose import compose_study, options
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


SPACES = {
    "beyond squares": 1e200,
    "at the edge of squares": 1e155,
    "within": 1e139,
    "tiny": 1e-200,
}


def spaces():
    points = np.random.default_rng(0).normal(size=(40, 3))
    named = {name: points * factor for name, factor in SPACES.items()}
    named["constant"] = np.ones((40, 3))
    named["two values"] = np.repeat([[0.0], [1.0]], 20, axis=0) * np.ones(3)
    named["one far away"] = np.where(np.arange(40)[:, None] == 7, 1e130, points)
    return named


def group(name, option):
    composed = compose_study([f"{name}={option}"])
    return composed.configurations[0].groups[name]


def ends(action):
    """Tell how it ends: with a finite result, or with a reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return action()
        except (Infeasible, UsageError, ValueError):
            return None


@pytest.mark.parametrize("name", spaces())
@pytest.mark.parametrize("option", options("clusterer"))
def test_every_clusterer_ends_on_every_space(option, name):
    configs = [group("clusterer", option)]
    if option == "agglomerative":
        configs = [{**configs[0], "linkage": linkage} for linkage in ("ward", "single", "average", "complete")]
    results = ends(lambda: clustering.fit_many(spaces()[name], configs))
    for result in results or ():
        assert isinstance(result, Exception) or len(result.labels) == 40
        if name.endswith("squares"):
            assert isinstance(result, Infeasible)


@pytest.mark.parametrize("name", spaces())
@pytest.mark.parametrize("option", options("scaler"))
def test_every_scaler_gives_a_matrix_that_can_be_clustered_or_a_reason(option, name):
    scaled = ends(lambda: scale(spaces()[name], group("scaler", option), list("xyz")))
    assert scaled is None or np.abs(scaled).max() <= LARGEST


@pytest.mark.parametrize("name", spaces())
@pytest.mark.parametrize("option", [name for name in options("projection") if name not in ("tsne", "umap")])
def test_every_projection_gives_a_space_that_can_be_clustered_or_a_reason(option, name):
    projected_ends(option, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", spaces())
@pytest.mark.parametrize("option", ["tsne", "umap"])
def test_every_slow_projection_gives_a_space_that_can_be_clustered_or_a_reason(option, name):
    projected_ends(option, name)


def projected_ends(option, name):
    config = {**group("projection", option)}
    if option == "tsne":
        config["perplexity"] = 5
    found = ends(lambda: projection.project(config, spaces()[name]))
    assert found is None or np.abs(found.coordinates).max() <= LARGEST


def test_tables_that_cannot_be_made_leave_no_study_that_concludes_for_ever(table, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("segkit.study.record.customers_frame", broken)
    with pytest.raises(ZeroDivisionError):
        study(table, "scaler=standard")
    state = json.loads((table / "study" / "provenance.json").read_text())["state"]
    assert state == "stopped: its tables could not be written"
