"""Checks what a study claims of a run before any of it is computed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from segkit import targets
from segkit.errors import UsageError
from segkit.study import RUN_GROUPS
from segkit.study.keep.kinds import COUNT, MAPPING, NUMBER, TEXT, Kind, is_count, require, value_at

if TYPE_CHECKING:
    from segkit.study.keep.reader import Study

# A draw takes milliseconds at least: more draws would keep a reproduction busy for days.
_MOST_DRAWS = 100_000
_DRAWS = Kind(
    f"a whole number from 1 to {_MOST_DRAWS:,}",
    lambda value: is_count(value) and 0 < value <= _MOST_DRAWS,
)
_SHARE = Kind("a number between 0 and 1", lambda value: NUMBER.fits(value) and 0 < value < 1)
# scikit-learn takes no larger seed.
_SEED = Kind(
    f"a whole number from 0 to {2**32 - 1}", lambda value: is_count(value) and value < 2**32
)
_CLUSTERS = Kind(
    "two whole numbers",
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(is_count, value)),
)
# The values that a run is computed and judged from; each must be there.
_STUDY = {
    "scoring.draws": _DRAWS,
    "scoring.level": _SHARE,
    "scoring.gates": MAPPING,
    "scoring.gates.coverage": NUMBER,
    "scoring.gates.smallest_cluster": NUMBER,
    "scoring.gates.clusters": _CLUSTERS,
    "scoring.nulls": MAPPING,
    "scoring.nulls.copula": COUNT,
}
_ENTRY = {
    "seed": _SEED,
    "data_identity": TEXT,
    **{f"choices.{group}": TEXT for group in RUN_GROUPS},
    **{f"groups.{group}": MAPPING for group in RUN_GROUPS},
    **{
        f"stages.{role}.{name}": TEXT
        for role in ("features", "scaling", "clustering")
        for name in ("key", "digest")
    },
}
# Groups whose ``_target_`` names a class that is called.
_ESTIMATORS = ("scaler", "projection", "clusterer")


def check_claims(study: Study, run: str) -> None:
    """Check that a run's configuration and the study's settings can be computed from.

    Raises
    ------
    UsageError
        In one line, for the first value that is missing or something else, for a class that is
        not allowed, or for a run that the table has more than once.
    """
    entry = study.configurations[run]
    where = f"{study.folder / 'configs.jsonl'}: run {run}: "
    _require_all(entry, _ENTRY, where)
    for role, stage in entry["stages"].items():
        # Stages of other roles are compared as well.
        _require_all(stage or {}, {"key": TEXT, "digest": TEXT}, f"{where}stages.{role}.")
    for group in _ESTIMATORS:
        targets.check(entry["groups"][group], f"{where}{group}")
    where = f"{study.folder / 'study.yaml'}: "
    _require_all(study.settings, _STUDY, where)
    for name, reference in study.settings["references"].items():
        _require_all(
            reference or {}, {"features": MAPPING, "scaler": MAPPING}, f"{where}references.{name}."
        )
        targets.check(reference["scaler"], f"{where}references.{name}.scaler")
    if (study.runs["run"] == run).sum() > 1:
        raise UsageError(f"{study.folder / 'runs.parquet'}: has run {run} more than once")


def _require_all(document: Mapping[str, Any], rules: Mapping[str, Kind], where: str) -> None:
    """Check values as :func:`segkit.study.keep.kinds.require` does; none may be missing."""
    for name, kind in rules.items():
        require(document, {name: kind}, where)
        if value_at(document, name) is None:
            raise UsageError(f"{where}{name}: is missing; must be {kind.allowed}")
