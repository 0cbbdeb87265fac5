"""What all tests share: a cache of their own, the real customers, the independent results."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

# The command sets this too, and numba recompiles after a change.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the cache of the tests apart from the user's own."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def replace_compute(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that replaces how kinds of stages are computed."""
    from segkit.study.run.stages import STAGES

    def replaced(make: Callable[[str, Callable], Callable], *kinds: str) -> None:
        for kind in kinds or tuple(STAGES):
            stage = replace(STAGES[kind], compute=make(kind, STAGES[kind].compute))
            monkeypatch.setitem(STAGES, kind, stage)

    return replaced


SHARED = Path(__file__).resolve().parents[2] / "shared"


def _folder(variable: str, name: str, wanted: str) -> Path:
    folder = Path(os.environ.get(variable) or SHARED / name)
    if not (folder / wanted).is_file():
        reason = f"{wanted} is missing: set {variable} to the folder that holds it"
        if os.environ.get("SEGKIT_REQUIRE_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def cc_general_csv() -> Path:
    """The real customers (8,950 x 18)."""
    return _folder("SEGKIT_DATA_DIR", "data", "cc_general.csv") / "cc_general.csv"


@pytest.fixture(scope="session")
def oracles_dir() -> Path:
    """Results computed in R."""
    return _folder("SEGKIT_ORACLES_DIR", "oracles", "ward_points.csv")
