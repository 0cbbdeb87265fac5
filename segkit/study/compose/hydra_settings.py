"""Hydra's own settings: those that a study uses; others are refused, with what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segkit.errors import UsageError, did_you_mean
from segkit.study.compose.compat import plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

FOLDER = "hydra.sweep.dir"
PARAMS = "hydra.sweeper.params"
# What says how it is in any case may be written.
_AS_IT_IS: Mapping[str, tuple[object, ...]] = {
    "hydra.run.dir": ("${hydra.sweep.dir}",),
    "hydra.sweep.subdir": (".",),
    "hydra.output_subdir": (None,),
    "hydra.job.name": ("segkit",),
    "hydra.job.chdir": (False, None),
    "hydra.verbose": (False,),
    "hydra.searchpath": ([],),
    "hydra.sweeper.max_batch_size": (None,),
    "hydra.callbacks": (None, {}),
    "hydra.job_logging": ("none",),
    "hydra.hydra_logging": ("none",),
    "hydra.launcher": ("basic",),
    "hydra.sweeper": ("basic",),
}
_SWEEP = (
    "write what varies as sweep: in an experiment, or on the command line as"
    " clusterer.n_clusters=2,3"
)
_ENGINE = (
    "where and how many stages run at once is engine=local or inline, engine.workers and"
    " engine.address"
)
_LOGS = "progress and warnings go to stderr, and --quiet silences progress"
_PLACE = f"all that a study writes goes to one folder: write {FOLDER}=FOLDER"
# By the beginning of the name, the most special first.
_INSTEAD = {
    PARAMS: _SWEEP,
    "hydra.sweeper.max_batch_size": _ENGINE,
    "hydra.sweeper": f"a study plans its runs itself; {_SWEEP}",
    "hydra.launcher": _ENGINE,
    "hydra.run": _PLACE,
    "hydra.sweep": _PLACE,
    "hydra.output_subdir": _PLACE,
    "hydra.job.chdir": f"segkit stays in the folder that it is called in; {_PLACE}",
    "hydra.job.env_set": "set variables before the command, as in: NAME=VALUE segkit sweep ...",
    "hydra.job.env_copy": "set variables before the command, as in: NAME=VALUE segkit sweep ...",
    "hydra.job.name": "a study's name is name=NAME",
    "hydra.job_logging": _LOGS,
    "hydra.hydra_logging": _LOGS,
    "hydra.verbose": _LOGS,
    "hydra.mode": "segkit sweep does several configurations, segkit run a single one",
    "hydra.callbacks": "a study calls none",
    "hydra.searchpath": "a folder of options is given with --config-dir",
    "hydra.help": "segkit sweep --help lists what can be asked",
    "hydra.hydra_help": "segkit sweep --help lists what can be asked",
}


def check_override(key: str, value: object, line: str, *, deleted: bool = False) -> None:
    """Check an override of a setting of Hydra's on the command line.

    Raises
    ------
    UsageError
        If it has no effect on a study.
    """
    name = key.replace("/", ".").partition("@")[0]
    if not deleted and (name == FOLDER or _says_how_it_is(name, value)):
        return
    raise _refused(name, line)


def check_file(
    content: Mapping[str, Any], package: str | None, defaults: Sequence[Any], where: str
) -> None:
    """Check what an option file, an experiment or the main configuration sets of Hydra's own.

    Parameters
    ----------
    content : mapping
        What the file holds, unresolved.
    package : str or None
        What its header says.
    defaults : sequence
        Its defaults list, as it is written.
    where : str
        The file's path.

    Raises
    ------
    UsageError
        Naming the file and the first setting without an effect on a study.
    """
    for entry in defaults:
        for key, value in entry.items() if isinstance(entry, Mapping) else [(entry, None)]:
            name, _, into = str(key).removeprefix("override ").strip().lstrip("/").partition("@")
            if into.split(".")[0].lstrip("/") == "hydra":
                raise _refused(into, f"{where}: defaults: {key}")
            if name.split("/")[0] == "hydra":
                check_override(name, value, f"{where}: defaults: {key}")
    if package is not None and package.split(".")[0] == "hydra":
        raise _refused(package, f"{where}: @package {package}")
    node = content.get("hydra") if package == "_global_" else None
    for name, value in _leaves(node, "hydra"):
        if name != PARAMS:
            check_override(name, value, f"{where}: {name}")
        elif value is not None and not isinstance(value, Mapping):
            raise UsageError(
                f"{where}: {name}: must be names with sweeps, such as clusterer.n_clusters: 2,3"
            )


def params(hydra: DictConfig) -> list[str]:
    """Return the entries of ``hydra.sweeper.params`` as overrides."""
    from omegaconf import OmegaConf

    node = OmegaConf.select(hydra, "sweeper.params")
    swept = {} if node is None else plain(node)
    for name, value in swept.items():
        if name.lstrip("+~") == "experiment":
            raise UsageError(
                f"{PARAMS}.{name}: an experiment is named on the command line, as"
                f" experiment={value}"
            )
        if isinstance(value, dict):
            raise UsageError(
                f"{PARAMS}.{name}: must be one value or a sweep, such as {name}.NAME: 1,2,3"
            )
    # Text is read as on the command line; YAML's null is not the text None.
    texts = {name: "null" if value is None else value for name, value in swept.items()}
    return [f"{name}={text}" for name, text in texts.items()]


def _says_how_it_is(name: str, value: object) -> bool:
    return any(value is given or value == given for given in _AS_IT_IS.get(name, ()))


def _leaves(node: object, name: str) -> Iterator[tuple[str, object]]:
    if node and isinstance(node, Mapping) and name != PARAMS:
        for key, value in node.items():
            yield from _leaves(value, f"{name}.{key}")
    elif name != "hydra" or node:
        yield name, node


def _refused(name: str, where: str) -> UsageError:
    instead = next(
        (text for begin, text in _INSTEAD.items() if f"{name}.".startswith(f"{begin}.")), None
    )
    misspelt = name.startswith("hydra.sweep") and name not in (FOLDER, PARAMS, *_AS_IT_IS)
    hint = did_you_mean(name, (FOLDER, PARAMS)) if misspelt else ""
    used = f"of Hydra's settings a study uses {FOLDER}, and in a file {PARAMS}"
    return UsageError(f"{where}: has no effect on a study; {instead or used}{hint}")
