"""No stale result: an own class counts by its source, and all can be computed anew beside what
is stored."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SOURCE = """
import sklearn.cluster

class Own(sklearn.cluster.KMeans):
    def __init__(self, n_clusters=2, random_state=0):
        super().__init__(n_clusters, n_init=1, random_state=random_state)

    def fit_predict(self, X, y=None):
        return super().fit_predict(X) % {modulus}
"""
OVERRIDES = ["data.n=80", "scoring.draws=2", "engine=inline", "clusterer=own"]


@pytest.fixture
def own(tmp_path):
    """A package that brings a clusterer, installed for this test alone, and an option that names
    it."""
    package = tmp_path / "installed"
    (package / "own_package").mkdir(parents=True)
    (package / "own_package" / "__init__.py").write_text("")
    metadata = package / "own_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
    (metadata / "top_level.txt").write_text("own_package\n")
    (metadata / "RECORD").write_text("own_package/__init__.py,,\nown_package/own.py,,\n")
    (metadata / "entry_points.txt").write_text("[segkit.targets]\nown = own_package.own:Own\n")
    options = tmp_path / "options" / "clusterer"
    options.mkdir(parents=True)
    option = "# Mine.\n_target_: own_package.own.Own\nn_clusters: 4\nrandom_state: ${seed}\n"
    (options / "own.yaml").write_text(option)
    edit(tmp_path, 4)
    return tmp_path


def edit(folder, modulus):
    (folder / "installed" / "own_package" / "own.py").write_text(SOURCE.format(modulus=modulus))


def segkit(folder, command, *arguments):
    environment = os.environ | {"PYTHONPATH": str(folder / "installed")}
    line = [
        sys.executable,
        "-m",
        "segkit.cli",
        command,
        "--config-dir",
        "options",
        *OVERRIDES,
        *arguments,
    ]
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def stored(folder):
    return {
        path: path.read_bytes()
        for path in (folder / "outputs" / "store").rglob("*.json")
        if "again" not in path.parts
    }


def test_an_edited_clusterer_is_computed_again_and_an_unchanged_one_is_not(own):
    row = json.loads(segkit(own, "run", "--json"))
    assert row["n_clusters"] == 4
    assert json.loads(segkit(own, "plan", "--json"))["to_compute"] == {}
    edit(own, 2)
    assert set(json.loads(segkit(own, "plan", "--json"))["to_compute"]) == {
        "clustering",
        "scoring",
        "stability",
    }
    again = json.loads(segkit(own, "run", "--json"))
    assert (again["run"], again["n_clusters"]) == (row["run"], 2)


def test_everything_is_computed_anew_in_a_store_of_its_own(own):
    first = json.loads(segkit(own, "run", "--json"))
    before = stored(own)
    again = json.loads(segkit(own, "run", "--json", "--force"))
    assert stored(own) == before
    assert again["efficiency"] is not None
    assert again["silhouette_reference"] == first["silhouette_reference"]
    (anew,) = (own / "outputs" / "store" / "again").iterdir()
    assert f"store: {anew}" in (own / again["folder"] / "study.yaml").read_text()
    resumed = json.loads(
        segkit(own, "run", "--json", f"store={anew}", f"hydra.sweep.dir={again['folder']}")
    )
    assert resumed["efficiency"] is None
