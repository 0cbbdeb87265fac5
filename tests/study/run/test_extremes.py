"""Every option ends on extreme numbers, and so does a study of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segkit.data.limits import LARGEST, beyond
from segkit.progress import Silent
from segkit.study.compose import compose_study
from segkit.study.run.preparation import prepare
from segkit.study.sweep import launch

# Each option of three groups on matrices that it may not be able to do; a line for each: what
# became of it.
GRID = r"""
import faulthandler, sys, warnings
from pathlib import Path
import numpy as np
from segkit import clustering, projection
from segkit.data.limits import LARGEST, beyond
from segkit.errors import Infeasible
from segkit.scaling import scale
from segkit.study.compose import compose_study

LINES = {
    "clusterer": [
        [],
        ["clusterer.linkage=single"],
        ["clusterer.linkage=complete"],
        ["clusterer.min_cluster_size=10"],
    ],
    "projection": [
        [],
        ["projection.perplexity=10"],
        ["projection.n_components=2", "projection.whiten=true"],
    ],
    "scaler": [[]],
}

def outcome(group, config, X):
    if group == "clusterer":
        (found,) = clustering.fit_many(X, [config])
        if isinstance(found, Exception):
            raise found
        return f"{found.labels.max() + 1} clusters"
    if group == "projection":
        matrix = projection.project(config, X).coordinates
    else:
        matrix = scale(X, config, "abc")
    assert beyond(matrix) is None
    return "a matrix"

plain = np.random.default_rng(0).normal(size=(60, 3)) + np.repeat([[0], [5]], 30, axis=0)
far = np.where(np.arange(60)[:, None] == 7, 1, 0)
spaces = {f"{unit:g}": plain * unit for unit in (1e200, 1e155, LARGEST / 10, 1e30, 1e-200, 1e-310)}
spaces |= {"constant": np.full((60, 3), 3.3), "two values": np.sign(plain - 2)}
spaces |= {f"one at {at:g}": np.where(far, at, plain) for at in (1e12, 1e100, 1e139, 1e160)}
faulthandler.enable()
for group, variants in LINES.items():
    for option in sorted(path.stem for path in (Path(sys.argv[1]) / group).glob("*.yaml")):
        for overrides in variants:
            try:
                composition = compose_study([f"{group}={option}", *overrides])
                config = composition.configurations[0].groups[group]
            except Exception:
                continue  # it has no such parameter
            for name, X in spaces.items():
                faulthandler.dump_traceback_later(20, exit=True)
                print(f"{group}={option} {overrides} {name}: ", end="", flush=True)
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        matrix = np.ascontiguousarray(X, dtype=float)
                        print(outcome(group, config, matrix), flush=True)
                except Exception as error:
                    print(type(error).__name__, " ".join(str(error).split()), flush=True)
"""


def test_every_option_ends_on_extreme_numbers():
    conf = Path(__file__).resolve().parents[3] / "conf"
    command = [sys.executable, "-c", GRID, str(conf)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr[-2000:]
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    options = [
        f"{group}={path.stem} "
        for group in ("clusterer", "projection", "scaler")
        for path in conf.glob(f"{group}/*")
    ]
    assert all(any(line.startswith(option) for line in told) for option in options)
    for line, outcome in told.items():
        too_large = any(line.endswith(unit) for unit in (" 1e+200", " 1e+155", "one at 1e+160"))
        if too_large and not line.startswith("scaler"):
            assert outcome.startswith("Infeasible "), line
        # The mixture alone has a refusal of its own.
        allowed = (
            ("Infeasible ", "ValueError Fitting the mixture")
            if "gaussian" in line
            else ("Infeasible ",)
        )
        assert outcome.endswith((" clusters", "a matrix")) or outcome.startswith(allowed), (
            line,
            outcome,
        )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.1e140, -1e300])
def test_what_is_beyond_is_found_where_it_is(value):
    matrix = np.zeros((5, 3))
    assert (
        beyond(matrix)
        is beyond(matrix + LARGEST)
        is beyond(matrix - LARGEST)
        is beyond(matrix[:0])
        is None
    )
    matrix[3, 1] = value
    assert beyond(matrix).column == 1
    assert beyond(matrix).value == pytest.approx(value, nan_ok=True)


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": rng.normal(size=60) + 5 * (np.arange(60) % 2), "b": rng.normal(size=60)}
    )
    frame["c"] = np.where(
        np.arange(60) == 30, 1e138, np.where(np.arange(60) % 3, 1e-9, 0) * frame["b"]
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "own" / "features").mkdir(parents=True)
    expressions = {"huge": {"big": "exp(99 * a)"}, "wide": {"c": "c"}, "fine": {"c": "b"}}
    for name, items in expressions.items():
        text = f"columns: [a, b]\nexpressions: {json.dumps(items)}\nmissing: median\nclip: null\n"
        (tmp_path / "own" / "features" / f"{name}.yaml").write_text(text)
    return tmp_path


def launched(folder, *overrides, name="study"):
    lines = [
        "data=table",
        f"data.path={folder / 't.csv'}",
        "engine=inline",
        "scoring.draws=2",
        "scoring.confirm=false",
    ]
    lines += ["clusterer=kmeans", "clusterer.n_clusters=2", f"store={folder / 'store'}"]
    prepared = prepare(
        compose_study([*lines, f"hydra.sweep.dir={folder / name}", *overrides], folder / "own")
    )
    return launch(prepared, ["segkit"], Silent())


def state(folder):
    return json.loads((folder / "provenance.json").read_text())["state"]


def test_runs_on_features_out_of_range_are_skipped_with_their_names_and_the_others_go_on(table):
    finished = launched(table, "features=huge,wide,fine", "scaler=robust,log_standard")
    runs = finished.runs.set_index(["features", "scaler"])
    big = r"^features=huge: 'big' is \S+e\+\d+; numbers from -1e\+140 to 1e\+140 can be clustered"
    assert runs.loc["huge", "reason"].str.match(big).all()
    scaled = r"^features=wide scaler=robust: by sklearn\S+RobustScaler 'c' is \S+e\+14\d; numbers"
    assert pd.Series(runs.loc[("wide", "robust"), "reason"]).str.match(scaled).all()
    skipped = [("huge", "robust"), ("huge", "log_standard"), ("wide", "robust")]
    ok = [("wide", "log_standard"), ("fine", "robust"), ("fine", "log_standard")]
    assert runs["status"].to_dict() == dict.fromkeys(skipped, "skipped") | dict.fromkeys(ok, "ok")


def test_a_study_of_which_every_run_is_skipped_ends_well(table):
    finished = launched(table, "features=huge", "scaler=none,standard")
    assert finished.runs["status"].tolist() == ["skipped"] * 2
    assert state(finished.folder) == "finished"
    assert json.loads((finished.folder / "recommendation.json").read_text())["run"] is None


def test_what_fails_while_a_study_concludes_is_its_state(table, monkeypatch):
    def failing(*_):
        raise RuntimeError("no picture")

    with monkeypatch.context() as patched:
        patched.setattr("segkit.study.keep.customers.drawing_frame", failing)
        with pytest.raises(RuntimeError, match="no picture"):
            launched(table, "features=fine")
    assert state(table / "study") == "stopped: its tables could not be written"
    assert len(pd.read_parquet(table / "study" / "runs.parquet")) == 1
    assert state(launched(table, "features=fine").folder) == "finished"
