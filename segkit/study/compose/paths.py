"""Folders of options and experiments: of a checkout, an install, a wheel, and a user's own."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import segkit
from segkit.errors import UsageError
from segkit.study import RUN_GROUPS


def conf_dir() -> Path:
    """Return the folder of the project's own options."""
    return _project_folder("conf")


def experiments_dir() -> Path:
    """Return the folder of the project's own experiments."""
    return _project_folder("experiments")


def _project_folder(name: str) -> Path:
    """Inside the package where a wheel put it, beside the package in a checkout."""
    package = Path(segkit.__file__).resolve().parent
    candidates = [package / name, package.parent / name]
    for folder in candidates:
        if any(folder.glob("*.yaml")):
            return folder
    raise UsageError(
        f"the installation is incomplete: no {name} folder at {candidates[0]} or {candidates[1]}"
    )


def user_dir(config_dir: Path | str | None) -> Path | None:
    """Return a user's folder of options as an absolute path; UsageError if it is not there."""
    if config_dir is None:
        return None
    folder = Path(config_dir).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(f"--config-dir {config_dir}: there is no such folder")
    return folder


def option_folders(config_dir: Path | str | None = None) -> list[Path]:
    """Return the folders that hold groups, the one that takes precedence first."""
    user = user_dir(config_dir)
    return [conf_dir()] if user is None else [user, conf_dir()]


def experiment_folders(config_dir: Path | str | None = None) -> list[Path]:
    """Return the folders that hold experiments, the one that takes precedence first."""
    user = user_dir(config_dir)
    own = [] if user is None else [user / "experiment", user / "experiments"]
    return [folder for folder in own if folder.is_dir()] + [experiments_dir()]


def groups(config_dir: Path | str | None = None) -> list[str]:
    """Return the names of all groups: those of a run in their order, then the others by name."""
    names = {
        entry.name
        for folder in option_folders(config_dir)
        for entry in folder.iterdir()
        if entry.is_dir() and any(entry.glob("**/*.yaml"))
    } - {"experiment", "experiments", "hydra"}
    return [*RUN_GROUPS, *sorted(names - set(RUN_GROUPS))]


def options(group: str, config_dir: Path | str | None = None) -> list[str]:
    """Return the names of a group's options, a user's own among them, sorted."""
    return sorted(
        {
            name
            for folder in option_folders(config_dir)
            for name in _yaml_names(folder / group, "**/*.yaml")
        }
    )


def experiments(config_dir: Path | str | None = None) -> dict[str, str]:
    """Return each experiment's name with its question, the first comment lines of its file."""
    questions: dict[str, str] = {}
    for folder in experiment_folders(config_dir):
        for name in _yaml_names(folder, "*.yaml"):
            questions.setdefault(name, question(folder / f"{name}.yaml"))
    return dict(sorted(questions.items()))


def _yaml_names(folder: Path, pattern: str) -> list[str]:
    return [path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob(pattern)]


def question(path: Path) -> str:
    """Return the question of an experiment: its first comment, up to the command."""
    text = path.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff")
    comments = takewhile(lambda line: line.startswith("#") or not line.strip(), text.splitlines())
    words = [line.lstrip("# ").rstrip() for line in comments if not re.match(r"#\s*@", line)]
    return " ".join(takewhile(lambda line: not line.startswith("segkit "), filter(None, words)))
