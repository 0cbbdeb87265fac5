"""A study's folder, read back: its runs, partitions, recommendation and configurations."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from segkit.errors import UsageError
from segkit.study.keep.untrusted import content, inside, mapping, parsed, read_frame, safe_yaml

if TYPE_CHECKING:
    import pandas as pd

#: The version of what is in a study's folder; raised when an older segkit would read it wrong.
FORMAT = 1
# A value is quoted up to here in a message.
_LONGEST_QUOTE = 60
_UNFINISHED = ("running", "concluding")
_RUN = re.compile("[0-9A-Za-z]{1,64}")
# A study writes its provenance every few seconds, except while a long stage is computed.
_QUIET_MINUTES = 5


@dataclass(frozen=True)
class Kind:
    """What a value of a document must be: in words for a message, and as a test."""

    allowed: str
    fits: Callable[[Any], bool]


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    # A study writes NaN for what it does not know.
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isinf(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _listed(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a test for lists whose values fit."""
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _named(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a test for mappings whose values fit or are missing."""

    def all_fit(value: Any) -> bool:
        return isinstance(value, dict) and all(
            inner is None or fits(inner) for inner in value.values()
        )

    return all_fit


def is_run(value: object) -> bool:
    """Tell whether a value can be a run's id: letters and digits, since commands contain it."""
    return isinstance(value, str) and bool(_RUN.fullmatch(value))


TEXT = Kind("a text", _is_text)
RUN = Kind("a run's id, letters and digits", is_run)
NUMBER = Kind("a number", _is_number)
COUNT = Kind("a whole number from 0", is_count)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
LIST = Kind("a list", lambda value: isinstance(value, list))
TEXTS = Kind("a list of texts", _listed(_is_text))
COMMAND = Kind(
    "a text or a list of texts", lambda value: _is_text(value) or _listed(_is_text)(value)
)
MAPPING = Kind("names and values", lambda value: isinstance(value, dict))
MAPPINGS = Kind("a list of entries with names and values", _listed(MAPPING.fits))
NUMBERS = Kind("names and numbers", _named(_is_number))
COUNTS = Kind("names and whole numbers from 0", _named(is_count))
TEXTS_BY_NAME = Kind("names and texts", _named(_is_text))
NUMBERS_BY_NAMES = Kind("names, each with names and numbers", _named(NUMBERS.fits))
MAPPINGS_BY_NAME = Kind("names, each with names and values", _named(MAPPING.fits))
# What the commands read of a study.
_PROVENANCE = {
    "state": TEXT,
    "counts": COUNTS,
    "failures": TEXTS_BY_NAME,
    "versions": TEXTS_BY_NAME,
}
_STUDY = {
    "scoring": MAPPING,
    "scoring.draws": COUNT,
    "scoring.racing": FLAG,
    "references": MAPPINGS_BY_NAME,
    "overrides": TEXTS,
    "store": TEXT,
}
_CONFIGURATION = {
    "run": RUN,
    "choices": TEXTS_BY_NAME,
    "groups": MAPPINGS_BY_NAME,
    "stages": MAPPINGS_BY_NAME,
    "seed": COUNT,
    "data_identity": TEXT,
}


def require(
    document: Mapping[str, Any], rules: Mapping[str, Kind], where: str, rest: str = ""
) -> None:
    """Check the values of a document, those that it has.

    Parameters
    ----------
    document : mapping
    rules : mapping
        What each value must be, by name. ``scoring.draws`` is a value inside ``scoring``, whose
        own rule comes first.
    where, rest : str
        The beginning and the end of a message.

    Raises
    ------
    UsageError
        For the first value that is something else.
    """
    for name, kind in rules.items():
        value: Any = document
        for part in name.split("."):
            value = None if value is None else value.get(part)
        if value is not None and not kind.fits(value):
            raise UsageError(f"{where}{name}={_quote(value)}: must be {kind.allowed}{rest}")


def _quote(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


@dataclass(frozen=True)
class Study:
    """A finished (or stopped) study, read from its folder."""

    folder: Path

    def _path(self, name: str) -> Path:
        path = inside(self.folder, name)
        if not path.is_file():
            raise UsageError(f"{self.folder}: {name} is not in this study's folder")
        return path

    def _table(self, name: str) -> pd.DataFrame:
        return read_frame(self._path(name))

    def _document(
        self,
        name: str,
        needed: Sequence[str],
        rules: Mapping[str, Kind] = MappingProxyType({}),
        parse: Callable[[str], Any] = json.loads,
    ) -> dict[str, Any]:
        path = self._path(name)
        document = mapping(parsed(path, content(path), parse), path, needed)
        require(document, rules, f"{path}: ")
        return document

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The runs table, one row per run."""
        table = self._table("runs.parquet")
        for name in ("run", "status", "reason"):
            if name not in table:
                raise UsageError(f"{self.folder / 'runs.parquet'}: has no column '{name}'")
        return table

    @cached_property
    def partitions(self) -> pd.DataFrame:
        """Customers by run: labels, -1 is noise, null a customer dropped before clustering."""
        return self._table("partitions.parquet")

    @cached_property
    def nulls(self) -> pd.DataFrame:
        """The scores of the confirmed runs on tables without segments."""
        return self._table("nulls.parquet")

    @cached_property
    def recommendation(self) -> dict[str, Any]:
        """The recommended run and what led there."""
        return self._document("recommendation.json", ["run"], {"run": RUN})

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Command, versions, machine, data, seeds and the state of the study."""
        return self._document("provenance.json", ["state", "counts", "failures"], _PROVENANCE)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What was asked: the study's resolved settings and axes."""
        return self._document("study.yaml", ["scoring", "references", "store"], _STUDY, safe_yaml)

    @cached_property
    def configurations(self) -> dict[str, dict[str, Any]]:
        """Each run's full resolved configuration by its id."""
        path = self._path("configs.jsonl")
        configurations = {}
        for number, line in enumerate(content(path).splitlines(), 1):
            where = f"{path}: line {number}"
            entry = mapping(
                parsed(where, line), where, ["run", "groups", "stages", "seed", "choices"]
            )
            require(entry, _CONFIGURATION, f"{where}: ")
            configurations[entry["run"]] = entry
        return configurations


def load_study(path: str | Path) -> Study:
    """Open a study's folder.

    Parameters
    ----------
    path
        The folder that ``segkit sweep`` printed.

    Raises
    ------
    UsageError
        If it is not the folder of a study.
    """
    folder = Path(path)
    check_folder(folder)
    if not inside(folder, "study.yaml").is_file():
        raise UsageError(f"{folder}: not a study's folder ({_instead(folder)})")
    check_format(folder)
    return Study(folder)


def check_folder(path: Path) -> None:
    """Raise a UsageError if there is no folder of this name."""
    if path.is_file():
        raise UsageError(f"{path}: is a file; a study's folder is wanted")
    if not path.is_dir():
        raise UsageError(f"{path}: no such study folder")


def state_of(folder: Path, state: str) -> str:
    """Return a study's state; one that has been silent for minutes may have been killed."""
    if state not in _UNFINISHED:
        return state
    minutes = int((time.time() - (folder / "provenance.json").stat().st_mtime) / 60)
    if minutes < _QUIET_MINUTES:
        return state
    return f"{state}, or stopped without finishing: last written {_duration(minutes)} ago"


def _duration(minutes: int) -> str:
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 1440:
        return f"{minutes // 60} h"
    return f"{minutes // 1440} d"


def _instead(folder: Path) -> str:
    """Return what a folder without a study.yaml holds instead."""
    if (folder / "study.yaml").is_dir():
        return "its study.yaml is a directory, not a file"
    if not any(folder.iterdir()):
        return "it is empty, study.yaml and all"
    names = ("summary.md", "runs.csv", "runs.parquet", "profiles.csv")
    readable = [name for name in names if (folder / name).is_file()]
    if not readable:
        return "it has no study.yaml"
    return f"it has no study.yaml; {', '.join(readable)} can be read without"


def check_format(folder: Path) -> None:
    """Raise a UsageError if a newer version wrote the folder in another format."""
    path = inside(folder, "provenance.json")
    document = parsed(path, content(path)) if path.is_file() else None
    provenance: dict[str, Any] = document if isinstance(document, dict) else {}
    written = provenance.get("format", FORMAT)
    if not isinstance(written, int) or isinstance(written, bool):
        raise UsageError(
            f"{path}: is not readable (format={_quote(written)}: must be a whole number)"
        )
    if written <= FORMAT:
        return
    version = provenance.get("segkit")
    writer = f"segkit {version}" if isinstance(version, str) else "segkit"
    raise UsageError(
        f"{path}: format={written}: written by a newer {writer}, this one knows format {FORMAT}; "
        "update it, or read report.html, summary.md and runs.csv as they are"
    )


def find_study(name: str, outputs: Path = Path("outputs")) -> Study:
    """Open a study by its folder; ``latest`` is the one launched last under ``outputs``."""
    if name != "latest":
        return load_study(name)
    launched = sorted(outputs.glob("*/*/study.yaml"), key=lambda path: path.stat().st_mtime)
    if not launched:
        raise UsageError(f"latest: no study was found under {outputs}/")
    return load_study(launched[-1].parent)


def find_run(study: Study, prefix: str | None) -> str:
    """Return the id of a run from an unambiguous prefix, or of the recommended run.

    Raises
    ------
    UsageError
        If no run, or several, begin so, or nothing is recommended.
    """
    if prefix is None:
        recommended: str | None = study.recommendation["run"]
        if recommended is None:
            raise UsageError(f"{study.folder}: no run is recommended here; name a run")
        if recommended not in study.configurations:
            raise UsageError(
                f"{study.folder}: the recommended run {recommended} is not in configs.jsonl"
            )
        return recommended
    matches = [run for run in study.configurations if run.startswith(prefix.lower())]
    if len(matches) == 1:
        return matches[0]
    problem = f"{len(matches)} runs begin with it"
    if not matches:
        problem = "no run of this study begins with it"
    raise UsageError(
        f"run '{prefix}': {problem}; give the first digits of one of {study.folder}/runs.csv"
    )
