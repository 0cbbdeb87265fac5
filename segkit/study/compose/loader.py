"""Hydra's loader over the project's and a user's folders, with errors of one line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.errors import UsageError, did_you_mean
from segkit.study.compose import axes as axis
from segkit.study.compose import paths
from segkit.study.compose.compat import HydraLoader, plain, unresolved
from segkit.study.compose.paths import experiments, options

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig


@contextmanager
def one_line(prefix: str = "") -> Iterator[None]:
    """Raise Hydra's and OmegaConf's errors as usage errors of one line."""
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except MissingConfigException as error:
        raise UsageError(prefix + _no_such_option(error)) from None
    except RecursionError:
        raise UsageError(f"{prefix}an interpolation ${{...}} refers to itself") from None
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise UsageError(prefix + compressed(error)) from None


@contextmanager
def named(prefix: str) -> Iterator[None]:
    """Begin the message of each usage error in the block with a prefix."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{prefix}{error}") from None


def _no_such_option(error: Any) -> str:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if not group or not error.options:
        return compressed(error)
    hint = did_you_mean(option, error.options)
    return f"there is no {group} option '{option}' (there are {', '.join(error.options)}){hint}"


def compressed(error: BaseException) -> str:
    """Return the messages of an error and its cause in one line, without Hydra's noise."""
    texts = [str(error)]
    if error.__cause__ is not None and str(error.__cause__) not in texts[0]:
        texts.append(str(error.__cause__))
    lines = [line.strip().rstrip(".") for text in texts for line in text.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line and not _NOISE.match(line)))


_NOISE = re.compile(
    r"See https|(Config )?[Ss]earch path|provider=|(object|reference)_type|To append|Error parsing"
    r" override"
    r"|full_key:\s*$|\^$"
)


@dataclass(frozen=True)
class Composed:
    """One composition by Hydra: the configuration, its choices, its values unresolved."""

    config: DictConfig
    choices: dict[str, str | None]
    root: dict[str, Any]


class Loader:
    """Hydra's loader over the folders of options, without its global state."""

    def __init__(self, config_dir: Path | str | None) -> None:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from segkit.study.compose.sources import ExperimentFolder, OptionFolder

        self.config_dir = config_dir
        self.options = cache(self._options)
        self.groups = paths.groups(config_dir)
        self._loader = HydraLoader([OptionFolder, ExperimentFolder], _search_path(config_dir))
        self._parser = OverridesParser.create()
        self.self_contained = cache(self._self_contained)

    def _options(self, group: str) -> list[str]:
        if group == "experiment":
            return list(experiments(self.config_dir))
        return options(group, self.config_dir)

    def parse(self, lines: Sequence[str]) -> list[Override]:
        """Parse overrides with Hydra's grammar."""
        return [self._parse(line) for line in lines]

    def _parse(self, line: str) -> Override:
        quoted = (
            "name=value; a value with , ; : { } [ ] ~ spaces or letters beyond a-z is quoted within"
        )
        prefix = (
            f"cannot read the override '{line}' (it must be {quoted}, as in"
            " 'data.separator=\";\"'): "
        )
        with one_line(prefix):
            override = self._parser.parse_overrides([line])[0]
        if not override.key_or_group:
            raise UsageError(f"{prefix}the name is missing")
        return override

    def expand(self, text: str, where: str, group: str | None = None) -> list[Any] | None:
        """Return the values of a sweep such as ``range(2, 11)``; None of a plain value."""
        with one_line(f"{where}: "):
            [override] = self._parser.parse_overrides([f"value={text}"])
        if not override.is_sweep_override():
            return None
        override.input_line = f"{where}={text}"
        return list(axis.sweep_values(override, self.options(group) if group else None))

    def compose(self, lines: Sequence[str]) -> Composed:
        """Compose one configuration; errors are Hydra's, in one line."""
        with one_line():
            config = self._loader.compose(lines)
        root = {str(key): unresolved(config, str(key)) for key in config if key != "hydra"}
        return Composed(config, dict(config.hydra.runtime.choices), root)

    def default_folder(self) -> str | None:
        """Return the study's folder where nothing else is asked for, unresolved."""
        main = self._loader.file("config")
        sweep = plain(main.config).get("hydra", {}).get("sweep", {}) if main else {}
        folder: str | None = sweep.get("dir")
        return folder

    def own_content(self, group: str, option: str) -> dict[str, Any] | None:
        """Return what an option's file holds, unresolved; None if other files matter too."""
        loaded = self._loader.file(f"{group}/{option}")
        if loaded is None or not self.self_contained(group, option) or loaded.defaults_list:
            return None
        return plain(loaded.config)

    def _self_contained(self, group: str, option: str) -> bool:
        """Tell whether an option's file writes to its own group and reads no other."""
        from hydra.core.default_element import ConfigDefault

        with one_line(f"{group}={option}: "):
            loaded = self._loader.file(f"{group}/{option}")
        if loaded is None or loaded.header["package"] not in (None, group, "_group_"):
            return False
        for default in loaded.defaults_list or ():
            name = default.path if isinstance(default, ConfigDefault) else None
            if name is None or default.package or "${" in name:
                return False
            if name != "_self_" and (name.startswith("/") or not self.self_contained(group, name)):
                return False
        return True


def _search_path(config_dir: Path | str | None) -> list[tuple[str, str]]:
    studies = [
        ("experiments", f"segkit-experiments://{path}")
        for path in paths.experiment_folders(config_dir)
    ]
    *user, own = [f"segkit://{path}" for path in paths.option_folders(config_dir)]
    return [*studies, *(("user", path) for path in user), ("main", own)]


def unknown_name(loader: Loader, lines: Sequence[str]) -> str | None:
    """Return what is wrong with the first override of something that is not there, or None."""
    overrides = [
        o for o in loader.parse(lines) if o.key_or_group not in (*loader.groups, "experiment")
    ]
    others = [line for line in lines if line not in {o.input_line for o in overrides}]
    tree = plain(loader.compose(others).config)
    for override in overrides:
        if override.type.name == "CHANGE":
            missing = first_missing(tree, override.key_or_group)
            if missing:
                return f"{override.input_line}: there is no {missing}"
    return None


def first_missing(tree: Mapping[str, Any], key: str) -> str | None:
    """Say which part of a dotted name is not there, and the nearest name; None if all are."""
    node: Any = tree
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(node, Mapping) or part not in node:
            known = [str(name) for name in node] if isinstance(node, Mapping) else []
            where = f" in {'.'.join(parts[:depth])}" if depth else ""
            return (
                f"'{part}'{where} (there are"
                f" {', '.join(known) or 'none'}){did_you_mean(part, known)}"
            )
        node = node[part]
    return None


def resolved_node(config: DictConfig, key: str) -> object:
    """Return one top-level value, resolved, as plain containers; refuse one yet to be given."""
    from omegaconf import OmegaConf

    with one_line(f"{key}: "):
        if OmegaConf.is_missing(config, key):
            raise UsageError(f"{key} must be given; write {key}=...")
        value = config.get(key)
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
