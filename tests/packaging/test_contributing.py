"""The examples in CONTRIBUTING.md work as they stand."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = {
    re.sub(r"^# (\S+)\n.*", r"\1", text, flags=re.DOTALL): text
    for text in re.findall(
        r"^```(?:yaml|python)\n(.*?)^```",
        (ROOT / "CONTRIBUTING.md").read_text("utf-8"),
        re.M | re.S,
    )
}
STAGE = "segkit/study/run/stages/balance.py"
OPTIONS = [name for name in BLOCKS if name.startswith("conf/")]


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A folder of options and experiments as a user would keep it."""
    for name, text in BLOCKS.items():
        if name.endswith(".yaml"):
            path = tmp_path / name.removeprefix("conf/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return tmp_path


def test_there_is_an_example_of_each() -> None:
    kinds = {name.rpartition("/")[0] for name in BLOCKS}
    assert kinds == {
        *(f"conf/{group}" for group in ("scaler", "projection", "clusterer", "features")),
        *("experiments", "segkit/scoring", "segkit/report", "segkit/study/run/stages"),
    }


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_can_be_used(name: str, own_folder: Path) -> None:
    from segkit import features, targets
    from segkit.data.simulate import CARD_COLUMNS
    from segkit.study.compose import compose_study

    _, group, option = Path(name).with_suffix("").parts
    (configuration,) = compose_study([f"{group}={option}"], own_folder).configurations
    config = configuration.groups[group]
    if group == "features":
        features.check(config, CARD_COLUMNS)
    else:
        targets.check(config, group)
        assert targets.build(config).get_params()


def test_the_experiment_sweeps_what_it_says(own_folder: Path) -> None:
    from segkit.study.compose import compose_study

    configurations = compose_study(["experiment=linkages"], own_folder).configurations
    assert len(configurations) == 2 * 7 * 3


def test_the_score_is_the_share_of_variance_between_clusters() -> None:
    from segkit.scoring.contract import Status

    defined: dict = {"__name__": "explained"}
    exec(BLOCKS["segkit/scoring/explained.py"], defined)
    X = np.array([[0.0], [2.0], [10.0], [12.0], [500.0]])
    two, one = defined["SCORE"].compute_many(
        X, [np.array([0, 0, 1, 1, -1]), np.zeros(5, dtype=int)]
    )
    assert two.value == pytest.approx(100 / 104)
    assert one.status is Status.SINGLE_CLUSTER


def test_the_stage_fills_a_column_of_the_runs_table(tmp_path: Path) -> None:
    copy, study = tmp_path / "copy", tmp_path / "study"
    for name in ("conf", "experiments", "segkit"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / STAGE).write_text(BLOCKS[STAGE], encoding="utf-8")
    command = [
        *(sys.executable, "-m", "segkit.cli", "sweep", "data.n=300", "engine.workers=1"),
        *("clusterer=kmeans", "clusterer.n_clusters=2,3", "scoring.draws=2"),
        *("scoring.confirm=false", f"hydra.sweep.dir={study}", f"store={tmp_path / 'store'}"),
    ]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    runs = pd.read_parquet(study / "runs.parquet").set_index("run")
    partitions = pd.read_parquet(study / "partitions.parquet")
    assert len(runs) == 2
    for run, balance in runs["balance"].items():
        sizes = partitions[run].value_counts()
        assert balance == pytest.approx(entropy(sizes, base=len(sizes)))
    assert len(list((tmp_path / "store" / "balance").rglob("*.json"))) == 2
    again = [sys.executable, "-m", "segkit.cli", "reproduce", study, runs.index[0]]
    done = subprocess.run(again, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "exact" in done.stdout


def test_the_section_is_one() -> None:
    from segkit.report import sections

    defined = dict(vars(sections))
    exec("from __future__ import annotations\n" + BLOCKS["segkit/report/sections.py"], defined)
    runs = pd.DataFrame({"run": ["a", "b"], "label": ["first", "second"], "seconds": [1.0, 60.0]})
    section = defined["slowest"](SimpleNamespace(runs=runs))
    assert [row[0] for row in section.blocks[0].rows] == ["second", "first"]


def test_the_entry_point_is_of_the_group_that_is_read() -> None:
    from segkit import targets

    (text,) = re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.M | re.S
    )
    assert set(tomllib.loads(text)["project"]["entry-points"]) == {targets.ENTRY_POINT_GROUP}
