"""A short run of the fault injections of experiments/benchmarks/faults.py."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "experiments" / "benchmarks" / "faults.py"


@pytest.fixture(scope="module")
def faults():
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize("count", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_a_study_survives_faults_and_its_store_damage(faults, capsys, count):
    """Inject the first cases: kill -9, then signals, lost workers, rivals."""
    assert faults["main"](["--injections", str(count), "--corruptions", "210"]) == 0
    output = capsys.readouterr().out
    assert f"survived {count} of {count} injected" in output
    assert "silent or raised 0 of 210 corruptions" in output
