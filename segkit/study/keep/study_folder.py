"""Takes a study's folder for one launch: makes it, holds it, and checks that it is this study's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from segkit.errors import UsageError
from segkit.files import writable_folder
from segkit.study.keep.lock import locked
from segkit.study.keep.reader import Study
from segkit.study.run.preparation import Prepared

# The option that names a study's folder.
_OPTION = "hydra.sweep.dir"


@contextmanager
def claimed(prepared: Prepared) -> Iterator[Prepared]:
    """Make the study's folder and hold it for this process while the block runs.

    The store is checked first. A study that is claimed already is yielded as it is.

    Raises
    ------
    UsageError
        If the store or the folder cannot be written, the folder is not for this study, or another
        process is at work on it.
    """
    if prepared.claimed:
        yield prepared
        return
    prepared.store.prepare()
    folder = _given_folder(prepared.folder) if prepared.folder_is_given else _new(prepared.folder)
    with locked(folder, _OPTION):
        _check_same_study(prepared, folder)
        yield replace(prepared, folder=folder, claimed=True)


def _given_folder(folder: Path) -> Path:
    """Check a folder that the user named: it is empty, or holds a study."""
    writable_folder(folder, _OPTION)
    files = (path for path in folder.iterdir() if not path.name.startswith("."))
    if not (folder / "study.yaml").exists() and any(files):
        raise UsageError(
            f"{_OPTION}={folder}: holds files but no study; name a folder that is empty, new, or "
            "that of this study"
        )
    return folder


def _new(folder: Path) -> Path:
    """Make a folder of this name, or of the first that is free with a number after it."""
    writable_folder(folder.parent, _OPTION)
    # Two studies may be launched in the same second.
    names = chain([folder.name], (f"{folder.name}_{number}" for number in count(2)))
    return next(path for path in map(folder.with_name, names) if _is_new(path))


def _is_new(folder: Path) -> bool:
    """Make a folder; False if it was there before."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def _check_same_study(prepared: Prepared, folder: Path) -> None:
    if not (folder / "configs.jsonl").exists():
        return
    others = set(Study(folder).configurations) - {run.id for run in prepared.plan.runs}
    if others:
        raise UsageError(
            f"{_OPTION}={folder}: holds another study, with {len(others)} runs that this one has "
            "not; name another folder"
        )
