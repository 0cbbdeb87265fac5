"""From a composition to a checked plan, before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
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
from segkit.study.run.settings import EngineSettings, check_memory, scheduler_warnings
from segkit.study.run.stages import KINDS, STAGES
from segkit.study.run.store import Store

if TYPE_CHECKING:
    from segkit.data import TableInfo
    from segkit.study.compose import Composition


# The folder, within a store, for the stores of forced studies.
AGAIN = "again"
_ESTIMATORS = ("scaler", "projection", "clusterer")


@dataclass(frozen=True)
class Prepared:
    """A study that is ready to be computed.

    Attributes
    ----------
    composition
        The study as asked for.
    plan
        Its runs and stages.
    store
        Where results are stored.
    engine
        How it is executed.
    stored
        Keys of the results that the store had.
    folder
        Path of the study's folder.
    warnings
        What the user should know beforehand.
    claimed
        Whether the folder belongs to this launch by now.
    """

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
        shapes = self.plan.planner.shapes
        return sum(cost.task_seconds(task, shapes) for task in tasks)


def prepare(composition: Composition, *, again: bool = False) -> Prepared:
    """Check the configurations and plan the study.

    No result is computed or written. Facts about data files and estimators are remembered for the
    next launch.

    Parameters
    ----------
    composition
        The study as asked for.
    again
        Whether to compute everything anew, in a new store within the study's own. No stored result
        is read or changed.

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
        # The study's files must name this store, or the study could not be resumed.
        composition = replace(composition, study={**composition.study, "store": str(store.root)})
    study = composition.study
    _check_apart(composition, store.root)
    check_estimators(_estimators(composition), user_memo())
    infos = _TableInfos(file_memo())
    _check_features(composition, infos)
    sampling = Sampling.of(study)
    # A race adds its draws to the plan as it goes on.
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
    warnings = (*infos.warnings, *scheduler_warnings(engine))
    return Prepared(composition, plan, store, engine, stored, Path(composition.study_dir), warnings)


def _check_apart(composition: Composition, store: Path) -> None:
    """Check that the study's folder and the store are apart, so that their files do not get mixed.

    Raises
    ------
    UsageError
        If one of the two folders is inside the other.
    """
    folder = Path(composition.study_dir).resolve()
    if store in (folder, *folder.parents) or folder in store.parents:
        raise UsageError(
            f"hydra.sweep.dir={composition.study_dir} and store={composition.study['store']}: "
            "must be two folders, neither of them inside the other"
        )


class _TableInfos:
    """Returns what is known of the table of a resolved ``data`` group; each file is read once."""

    def __init__(self, memo: Path) -> None:
        self.memo = memo
        self.by_config: dict[str, TableInfo] = {}

    def __call__(self, data: Mapping[str, Any]) -> TableInfo:
        text = json.dumps(data, sort_keys=True)
        if text not in self.by_config:
            self.by_config[text] = source(data).info(self.memo)
        return self.by_config[text]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings about all tables, each once."""
        warnings = chain.from_iterable(info.warnings for info in self.by_config.values())
        return tuple(dict.fromkeys(warnings))


def _estimators(composition: Composition) -> list[tuple[str, Mapping[str, Any]]]:
    """Return each distinct configuration of an estimator, with its group."""
    distinct: dict[int, tuple[str, Mapping[str, Any]]] = {}
    for group in _ESTIMATORS:
        for configuration in composition.configurations:
            # Configurations share what they have in common: the same option is the same object.
            config = configuration.groups[group]
            distinct[id(config)] = (group, config)
    return list(distinct.values())


def _check_features(composition: Composition, infos: _TableInfos) -> None:
    """Check that each feature set can be made of the columns of the tables that it is used with.

    Raises
    ------
    UsageError
        If a feature set needs another column.
    """
    pairs = {
        (id(configuration.groups["data"]), id(configuration.groups["features"])): configuration
        for configuration in composition.configurations
    }
    for configuration in pairs.values():
        columns = infos(configuration.groups["data"]).columns
        try:
            features.check(configuration.groups["features"], columns)
        except UsageError as error:
            choices = configuration.choices
            raise UsageError(
                f"features={choices['features']} with data={choices['data']}: {error}"
            ) from error


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
