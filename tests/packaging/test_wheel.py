"""The wheel, built from a copy of the project and installed apart from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("conf", "experiments", "segkit", "LICENSE", "README.md", "pyproject.toml")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without build isolation as there may be no network."""
    copy, dist = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    run(
        *(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
        ),
        *("--wheel-dir", dist, copy),
        cwd=dist,
    )
    (built,) = dist.glob("segkit-*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel, and sees this one's libraries but not
    its segkit."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    own = Path(
        run(
            python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home
        ).strip()
    )
    (own / "libraries.pth").write_text(
        "".join(f"{sysconfig.get_path(name)}\n" for name in ("purelib", "platlib")),
        encoding="utf-8",
    )
    run(
        *(
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
        ),
        *("--force-reinstall", wheel),
        cwd=home,
    )
    return home / "bin"


def files(folder: str, pattern: str = "*") -> set[str]:
    paths = (ROOT / folder).rglob(pattern)
    return {
        path.relative_to(ROOT).as_posix()
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_every_option_and_every_experiment_is_in_the_wheel(names: set[str]) -> None:
    options = files("conf", "*.yaml")
    experiments = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "experiments").glob("*.yaml")
    }
    assert len(options) > 20
    assert len(experiments) >= 3
    assert {f"segkit/{name}" for name in options | experiments} <= names


def test_the_whole_package_is_in_the_wheel(names: set[str]) -> None:
    assert files("segkit") <= names


def test_the_wheel_says_that_it_is_typed(names: set[str], installed: Path, tmp_path: Path) -> None:
    assert "segkit/py.typed" in names
    code = "import segkit; from importlib.resources import files; print(files(segkit) / 'py.typed')"
    marker = Path(run(installed / "python", "-c", code, cwd=tmp_path).strip())
    assert installed.parent in marker.parents
    assert marker.is_file()


def test_the_licence_is_in_the_wheel_and_nothing_else_is(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"segkit"}
    assert [name for name in sorted(names) if "benchmarks" in name or "tests" in name] == []


def test_an_installed_wheel_finds_its_options_from_any_folder(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "from segkit.study.compose import paths; print(paths.conf_dir(), paths.experiments_dir(),"
        " sep='\\n')"
    )
    conf, experiments = map(
        Path, run(installed / "python", "-c", code, cwd=tmp_path).split("\n")[:2]
    )
    assert installed.parent in conf.parents
    assert {f"conf/{path.relative_to(conf).as_posix()}" for path in conf.rglob("*.yaml")} == files(
        "conf", "*.yaml"
    )
    assert {path.name for path in experiments.glob("*.yaml")} == {
        path.name for path in (ROOT / "experiments").glob("*.yaml")
    }


def test_the_installed_command_plans_from_any_folder(installed: Path, tmp_path: Path) -> None:
    assert "sweep" in run(installed / "segkit", "--help", cwd=tmp_path)
    planned = json.loads(
        run(installed / "segkit", "plan", "experiment=smoke", "--json", cwd=tmp_path)
    )
    assert (planned["runs"], planned["stages"]["clustering"]) == (12, 12)
