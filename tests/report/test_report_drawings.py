"""A figure that was drawn before is found again; one of other numbers is not."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pandas as pd
import pytest

from segkit.report import cache, drawings
from segkit.report.drawings import drawn, to_draw
from segkit.report.gather import Embedding

GRID = pd.DataFrame([[0.1, 0.2], [0.3, None]], index=["power", "robust"], columns=["none", "pca"])


@pytest.fixture
def times(monkeypatch):
    """How often something was really drawn."""
    found = []
    draw = drawings.Drawing.__call__
    monkeypatch.setattr(drawings.Drawing, "__call__", lambda self, **o: found.append(self.name) or draw(self, **o))
    return found


def test_the_same_figure_is_drawn_once(tmp_path, times):
    first = drawn(to_draw("grid", GRID), "grid", ["png", "pdf"], tmp_path)
    again = drawn(to_draw("grid", GRID.copy()), "grid", ["png", "pdf"], tmp_path)
    assert again == first == drawn(to_draw("grid", GRID), "grid", ["png", "pdf"], None)
    assert times == ["grid", "grid"]
    assert first.element.startswith("<svg ")
    assert first.glyphs
    assert first.files["png"].startswith(b"\x89PNG")
    assert first.files["pdf"].startswith(b"%PDF")


def test_other_numbers_names_formats_or_kinds_are_another_figure(tmp_path):
    changed = GRID.copy()
    changed.iloc[0, 0] += 1e-12
    plane = Embedding("umap-1", "umap", "abc", np.zeros((3, 2)), np.array([0, 1, 1]))
    moved = Embedding("umap-1", "umap", "abc", np.eye(3)[:, :2], np.array([0, 1, 1]))
    asked = [
        (to_draw("grid", GRID), "name", ["png"]),
        (to_draw("grid", changed), "name", ["png"]),
        (to_draw("grid", GRID.rename(index={"power": "minmax"})), "name", ["png"]),
        (to_draw("grid", GRID.rename(columns={"pca": "umap"})), "name", ["png"]),
        (to_draw("grid", GRID.astype("Float64")), "name", ["png"]),
        (to_draw("grid", GRID), "name", ["pdf"]),
        (to_draw("grid", GRID), "other", ["png"]),
        (to_draw("variance", GRID), "name", ["png"]),
        (to_draw("embeddings", [plane], {"abc": "x"}), "name", ["png"]),
        (to_draw("embeddings", [moved], {"abc": "x"}), "name", ["png"]),
        (to_draw("embeddings", [plane], {"abc": "y"}), "name", ["png"]),
    ]
    assert len({drawings._key(*one) for one in asked}) == len(asked)


def entry(folder):
    (path,) = folder.iterdir()
    return path


def poisoned(path):
    """Put markup and a file elsewhere into an entry, as whoever can write it but knows nothing of digests."""
    digest, _, content = path.read_bytes().partition(b"\n")
    image = json.loads(content)
    image["element"] += '<meta http-equiv="refresh" content="0;url=https://example.org/">'
    image["files"]["x/../../../victim"] = "cG93bmVk"
    path.write_bytes(digest + b"\n" + json.dumps(image).encode())


def folder_there(path):
    path.unlink()
    path.mkdir()


def cut(path):
    path.write_bytes(path.read_bytes()[:200])


def another_kind(path):
    content = b'{"element": 1, "glyphs": null, "files": {}}'
    path.write_bytes(cache._digest(path.name, content).encode() + b"\n" + content)


@pytest.mark.parametrize("damage", [poisoned, folder_there, cut, another_kind])
def test_whatever_is_in_an_entry_s_place_the_figure_is_drawn_again(tmp_path, times, damage):
    first = drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path)
    damage(entry(tmp_path))
    assert drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path) == first
    assert len(times) == 2


def test_an_entry_in_another_s_place_is_not_taken_for_it(tmp_path, times):
    first = drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path)
    content = entry(tmp_path).read_bytes()
    other = to_draw("grid", GRID.iloc[:1])
    (tmp_path / drawings._key(other, "grid", ["png"])).write_bytes(content)
    assert drawn(other, "grid", ["png"], tmp_path) != first


def test_a_cache_that_cannot_be_written_is_only_missed(tmp_path, times):
    (tmp_path / "figures").write_text("")
    assert cache.own_folder(tmp_path / "figures") is None
    assert drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path / "figures").files
    assert len(times) == 1


def test_a_folder_that_others_may_write_into_is_no_cache(tmp_path):
    assert cache.own_folder(tmp_path / "mine") == tmp_path / "mine"
    (tmp_path / "mine").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path)
    assert cache.own_folder(tmp_path / "mine") is None
    assert cache.own_folder(tmp_path / "link") is None


def test_the_figures_that_were_not_used_for_longest_go_first(tmp_path):
    for age, name in enumerate(["new", "middle", "old"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    cache.trim(tmp_path, 250)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "middle"}


def test_nothing_is_imported_to_draw_what_is_kept(tmp_path, monkeypatch):
    drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path)
    monkeypatch.setitem(sys.modules, "segkit.report.figures", None)
    assert drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path).files
