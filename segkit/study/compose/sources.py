"""Folders of options and experiments as Hydra reads them; imported late, as it imports Hydra."""

from __future__ import annotations

import io
from pathlib import Path

import yaml
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segkit.errors import UsageError
from segkit.study.compose.compat import header_of, plain
from segkit.study.compose.hydra_settings import check_file


class OptionFolder(ConfigSource):
    """A folder with one subfolder per group; its errors name file and line."""

    @staticmethod
    def scheme() -> str:
        """Return the prefix of such a folder in Hydra's search path."""
        return "segkit"

    def available(self) -> bool:
        """Whether the folder is there."""
        return Path(self.path).is_dir()

    def is_group(self, config_path: str) -> bool:
        """Whether the folder holds that group."""
        folder = self._locate(config_path)
        return folder is not None and folder.is_dir()

    def is_config(self, config_path: str) -> bool:
        """Whether the folder holds that option."""
        path = self._locate(self._normalize_file_name(config_path))
        return path is not None and path.is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names in a group: its options, its subgroups or both."""
        folder = self._locate(config_path)
        names: list[str] = []
        for entry in folder.iterdir() if folder is not None else ():
            if entry.suffix == ".yaml" and results_filter is not ObjectType.GROUP:
                names.append(entry.stem)
            elif entry.is_dir() and results_filter is not ObjectType.CONFIG:
                names.append(entry.name)
        return sorted(names)

    def load_config(self, config_path: str) -> ConfigResult:
        """Return an option as Hydra wants it."""
        path = self._locate(self._normalize_file_name(config_path))
        if path is None:
            raise UsageError(f"{self.path}: holds no {config_path}")
        text = _read(path)
        config, header = _parse(text, path), self._header(text, path)
        content = plain(config)
        # The main configuration is the whole by itself.
        package = "_global_" if config_path == "config" else header.get("package")
        defaults = content.get("defaults")
        check_file(content, package, defaults if isinstance(defaults, list) else [], str(path))
        return ConfigResult(
            provider=self.provider, path=self.full_path(), config=config, header=header
        )

    def _locate(self, config_path: str) -> Path | None:
        return Path(self.path, config_path)

    def _header(self, text: str, path: Path) -> dict[str, str | None]:
        try:
            return header_of(self, text[:512])
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from None


class ExperimentFolder(OptionFolder):
    """A folder of experiments, each of the whole study, with or without the header for it."""

    @staticmethod
    def scheme() -> str:
        """Return the prefix of such a folder in Hydra's search path."""
        return "segkit-experiments"

    def _locate(self, config_path: str) -> Path | None:
        group, _, name = config_path.partition("/")
        return Path(self.path, name) if group == "experiment" else None

    def load_config(self, config_path: str) -> ConfigResult:
        """Return an experiment as Hydra wants it; Hydra merges a sweep only if it holds axes."""
        loaded = super().load_config(config_path)
        content = plain(loaded.config)
        # An axis list whose lines are all commented out is null: it is a slip, not a single run.
        if "sweep" in content and not isinstance(content["sweep"], dict):
            raise UsageError(
                f"{self._locate(config_path)}.yaml: sweep must be axes with their lists"
            )
        return loaded

    def _header(self, text: str, path: Path) -> dict[str, str | None]:
        return {**super()._header(text, path), "package": "_global_"}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _parse(text: str, path: Path) -> DictConfig:
    try:
        config = OmegaConf.load(io.StringIO(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise UsageError(
            f"{path}: {line}not valid YAML: {error.problem or error.context}"
        ) from None
    except (yaml.YAMLError, OSError, OmegaConfBaseException, ValueError) as error:
        raise UsageError(
            f"{path}: not a valid option file: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(config, DictConfig):
        raise UsageError(f"{path}: must hold names with values, holds a list")
    return config
