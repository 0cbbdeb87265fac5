"""The documents agree with the code: the figure of the imports, and the paths that are named."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ROOT / "outputs" / "README.md",
]
# What CONTRIBUTING tells to write, and what a build or a study leaves.
NOT_YET = {
    "experiments/linkages.yaml",
    "segkit/scoring/explained.py",
    "segkit/study/run/stages/balance.py",
    *(
        f"conf/{name}.yaml"
        for name in (
            "clusterer/bisecting_kmeans",
            "features/credit",
            "projection/isomap",
            "scaler/max_abs",
        )
    ),
}
PATH = re.compile(r"(?<![\w./-])(?:segkit|conf|experiments|requirements|tests|docs)/[\w./-]+")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)")


@pytest.fixture(scope="module")
def figure() -> ModuleType:
    """The script that makes the figure."""
    path = ROOT / "docs" / "architecture.py"
    spec = importlib.util.spec_from_file_location("architecture", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_figure_is_that_of_the_code(figure: ModuleType) -> None:
    page = figure.PAGE.read_text("utf-8")
    assert page.count(figure.BEGIN) == page.count(figure.END) == 1
    assert page == figure.written(page), "run: python docs/architecture.py"


def test_every_package_and_room_is_in_the_figure(figure: ModuleType) -> None:
    packages = {path.parent for path in (ROOT / "segkit").rglob("*.py")} - {ROOT / "segkit"}
    names = {".".join(path.relative_to(ROOT / "segkit").parts) for path in packages}
    assert {name for name in names if figure.box(name) is None} <= {"study"}


def test_what_is_in_no_box_is_named_beside_the_figure(figure: ModuleType) -> None:
    text = figure.PAGE.read_text("utf-8").partition(figure.BEGIN)[0]
    modules = {path.stem for path in (ROOT / "segkit").glob("*.py")} - {"__init__"}
    unboxed = {name for name in modules if figure.box(name) is None}
    assert unboxed == set(re.findall(r"`(\w+)`", text))


def test_an_arrow_that_a_longer_way_implies_is_left_out(figure: ModuleType) -> None:
    assert figure.reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {
        "a": {"b"},
        "b": {"c"},
        "c": set(),
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_path_that_a_document_names_is_there(document: Path) -> None:
    text = document.read_text("utf-8")
    named = {path.rstrip("./") for path in PATH.findall(text)} - NOT_YET
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    linked = {target for target, _ in LINK.findall(text)}
    assert [link for link in sorted(linked) if not (document.parent / link).exists()] == []
