"""A figure that was drawn before is found again; one of other numbers is not."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from segkit.report import drawings
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
    assert len({drawings._path(tmp_path, *one) for one in asked}) == len(asked)


def test_a_damaged_figure_is_drawn_again(tmp_path, times):
    first = drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path)
    [kept] = tmp_path.glob("figures/*/*.json")
    kept.write_text(kept.read_text()[:100])
    assert drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path) == first
    assert len(times) == 2


def test_a_store_that_cannot_be_written_is_only_missed(tmp_path, times):
    (tmp_path / "figures").write_text("")
    assert drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path).files
    assert len(times) == 1


def test_nothing_is_imported_to_draw_what_is_kept(tmp_path, monkeypatch):
    drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path)
    monkeypatch.setitem(sys.modules, "segkit.report.figures", None)
    assert drawn(to_draw("grid", GRID), "grid", ["png"], tmp_path).files
