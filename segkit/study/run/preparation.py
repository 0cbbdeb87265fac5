"""From a composition to a checked plan: all that is known before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit import features
from segkit.data import source
from segkit.errors import UsageError
from segkit.files import unique_suffix
from segkit.study.plan import cost
from segkit.study.plan.graph import Task
from segkit.study.plan.limits import Limits
from segkit.study.plan.parameter_cache import check_estimators, file_memo, user_memo
from segkit.study.plan.planner import Plan, RunPlan, make_plan
from segkit.study.plan.sampling import Sampling
from segkit.study.run.engine import EngineSettings, check_memory, open_scheduler
from segkit.study.run.stages import KINDS, STAGES
from segkit.study.run.store import Store

if TYPE_CHECKING:
    from segkit.study.compose import Composition


# The folder within a store of the stores in which studies were computed anew.
AGAIN = "again"


@dataclass(frozen=True)
class Prepared:
    """All that is known before anything is computed."""

    composition: Composition
    plan: Plan
    store: Store
    engine: EngineSettings
    stored: frozenset[str]
    folder: Path
    warnings: tuple[str, ...] = ()
    claimed: bool = False

    @property
    def folder_is_given(self) -> bool:
        """Whether the user named the study's folder, on the command line or in a file."""
        return self.composition.folder_is_given

    def seconds(self, tasks: Sequence[Task]) -> float:
        """Return the estimated CPU seconds of tasks."""
        return sum(cost.task_seconds(task, self.plan.planner.shapes) for task in tasks)


def prepare(composition: Composition, *, again: bool = False) -> Prepared:
    """Check the configurations and plan the study; nothing is computed, and only memos are written.

    Parameters
    ----------
    composition
        The study as asked.
    again
        Whether to compute everything anew, in a new store within the study's own: nothing that is
        stored is read, and nobody else's results are changed.

    Raises
    ------
    UsageError
        For a configuration or data file that cannot be used.
    """
    store = Store(Path(composition.study["store"]).resolve())
    if store.root.exists() and not store.root.is_dir():
        raise UsageError(f"store={composition.study['store']}: must be a folder, is a file")
    if again:
        store = Store(store.root / AGAIN / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{unique_suffix()}")
        # What is written down of the study names the store that it has, so that it can be resumed.
        composition = replace(composition, study={**composition.study, "store": str(store.root)})
    study = composition.study
    _check_apart(composition, store.root)
    check_estimators(_estimators(composition), user_memo())
    infos = _Infos(file_memo())
    _check_features(composition, infos)
    sampling = Sampling.of(study)
    draws = 0 if study["scoring"]["racing"] else study["scoring"]["draws"]
    engine = EngineSettings(**study["engine"])
    check_memory(engine)
    stored = frozenset(store.keys(KINDS))
    plan = make_plan(
        composition.configurations,
        STAGES,
        composition.references,
        draws,
        infos,
        sampling,
        Limits(engine.most_memory, engine.most_seconds, stored),
    )
    warnings = (*infos.warnings, *open_scheduler(engine))
    return Prepared(composition, plan, store, engine, stored, Path(composition.study_dir), warnings)


def _check_apart(composition: Composition, store: Path) -> None:
    """Raise if the files of the study and those of the store would get mixed."""
    folder = Path(composition.study_dir).resolve()
    if store in (folder, *folder.parents) or folder in store.parents:
        told = f"hydra.sweep.dir={composition.study_dir} and store={composition.study['store']}"
        raise UsageError(f"{told}: must be two folders, neither of them inside the other")


class _Infos:
    """From a resolved ``data`` group to its table's facts; a file is looked at once."""

    def __init__(self, memo: Path):
        self.memo = memo
        self.found: dict[str, Any] = {}

    def __call__(self, data: Mapping[str, Any]) -> Any:
        text = json.dumps(data, sort_keys=True)
        if text not in self.found:
            self.found[text] = source(data).info(self.memo)
        return self.found[text]

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text for info in self.found.values() for text in info.warnings))


def _estimators(composition: Composition) -> list[tuple[str, Mapping[str, Any]]]:
    """Return each distinct configuration of an estimator, with its group."""
    groups = ("scaler", "projection", "clusterer")
    distinct = {
        id(item.groups[group]): (group, item.groups[group])
        for group in groups
        for item in composition.configurations
    }
    return list(distinct.values())


def _check_features(composition: Composition, infos: _Infos) -> None:
    pairs = {
        (id(item.groups["data"]), id(item.groups["features"])): item
        for item in composition.configurations
    }
    for item in pairs.values():
        columns = infos(item.groups["data"]).columns
        try:
            features.check(item.groups["features"], columns)
        except UsageError as error:
            told = f"features={item.choices['features']} with data={item.choices['data']}"
            raise UsageError(f"{told}: {error}") from error


def require_single(prepared: Prepared) -> RunPlan:
    """Return the only run of a study.

    Raises
    ------
    UsageError
        If the configurations are several.
    """
    if len(prepared.plan.runs) != 1:
        raise UsageError(
            f"one configuration is wanted, {len(prepared.plan.runs)} were given: use segkit sweep"
        )
    return prepared.plan.runs[0]
