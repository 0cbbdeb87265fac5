"""What the composition needs from inside Hydra, in one place; known for hydra-core 1.3.8 up to 1.4.

The public way is ``hydra.initialize`` and ``hydra.compose``. It keeps global state, which an
application around segkit may use itself, and takes about 50 ms a configuration, where 10,000 are
composed from a few files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from hydra.plugins.config_source import ConfigResult, ConfigSource
    from omegaconf import DictConfig

#: The versions whose inside is as described here; pyproject.toml allows no others.
VERSIONS = ">=1.3.8,<1.4"


@contextmanager
def hydra_version() -> Iterator[None]:
    """Use Hydra's behaviour as of 1.3, and leave an application around segkit its own.

    Publicly, only ``hydra.initialize(version_base=...)`` sets it, and it does not set it back.
    """
    from hydra import version

    before = version.getbase()
    version.setbase("1.3")
    try:
        yield
    finally:
        version.VersionBase.instance().version_base = before


class HydraLoader:
    """Hydra's configuration loader over some folders, without its global state.

    Parameters
    ----------
    sources
        The classes that read folders, each for the prefix that it names as its scheme.
    search_path
        Provider and address of each folder, the one that takes precedence last.
    """

    def __init__(
        self, sources: Sequence[type[ConfigSource]], search_path: Sequence[tuple[str, str]]
    ) -> None:
        from hydra._internal.config_loader_impl import ConfigLoaderImpl
        from hydra._internal.sources_registry import SourcesRegistry
        from hydra._internal.utils import create_config_search_path
        from hydra.core.utils import JobRuntime, setup_globals

        setup_globals()
        JobRuntime().set("name", "segkit")
        # Publicly, a source is found by being in a package named hydra_plugins.
        for source in sources:
            SourcesRegistry.instance().register(source)
        path = create_config_search_path(None)
        for provider, folder in search_path:
            path.prepend(provider, folder, anchor="schema")
        self._loader = ConfigLoaderImpl(path)

    def compose(self, lines: Sequence[str]) -> DictConfig:
        """Return the configuration that overrides give, as ``hydra.compose`` does."""
        from hydra.types import RunMode

        return self._loader.load_configuration("config", list(lines), RunMode.RUN, from_shell=False)

    def file(self, name: str) -> ConfigResult | None:
        """Return one file as it is, with its header and defaults; None if there is none."""
        return self._loader.repository.load_config(name)


def apply(override: Override, config: DictConfig) -> None:
    """Apply one override to a configuration, as a composition does at its end."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    ConfigLoaderImpl._apply_overrides_to_config([override], config)


def swept_values(override: Override) -> list[Any]:
    """Return the values of a sweep as plain values; ``sweep_iterator`` alone keeps quotes."""
    return [override._convert_value(element) for element in override.sweep_iterator()]


def header_of(source: ConfigSource, text: str) -> dict[str, str | None]:
    """Return the header of a file, such as its ``@package``."""
    return dict(source._get_header_dict(text))


def unresolved(config: DictConfig, key: str) -> Any:
    """Return a value as plain containers, its interpolations as they are written.

    Publicly, only whole containers can be read so (``OmegaConf.to_container``).
    """
    from omegaconf import OmegaConf

    node = config._get_node(key)
    if node is None or OmegaConf.is_config(node):
        return None if node is None else OmegaConf.to_container(cast(Any, node), resolve=False)
    return cast(Any, node)._value()


def plain(config: Any) -> dict[str, Any]:
    """Return a configuration as plain containers, unresolved; empty where it is no mapping."""
    from omegaconf import OmegaConf

    container = OmegaConf.to_container(config, resolve=False)
    return cast("dict[str, Any]", container) if isinstance(container, Mapping) else {}
