"""Hydra's inside is as `compat` expects it; the public composition gives the same."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import requires, version
from inspect import signature
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from segkit.study.compose import compat, paths
from segkit.study.compose.sources import ExperimentFolder, OptionFolder

UPGRADED = f"hydra-core {version('hydra-core')} is not as segkit/study/compose/compat.py expects"

#: Each part of Hydra that compat uses and no documentation promises, with the parameters passed.
INSIDE = {
    "hydra._internal.config_loader_impl:ConfigLoaderImpl": ("config_search_path",),
    "hydra._internal.config_loader_impl:ConfigLoaderImpl.load_configuration": (
        *("config_name", "overrides", "run_mode", "from_shell"),
    ),
    "hydra._internal.config_loader_impl:ConfigLoaderImpl._apply_overrides_to_config": (
        *("overrides", "cfg"),
    ),
    "hydra._internal.config_repository:ConfigRepository.load_config": ("config_path",),
    "hydra._internal.sources_registry:SourcesRegistry.register": ("type_",),
    "hydra._internal.utils:create_config_search_path": ("search_path_dir",),
    "hydra.core.utils:setup_globals": (),
    "hydra.core.utils:JobRuntime.set": ("key", "value"),
    "hydra.core.override_parser.types:Override._convert_value": ("value",),
    "hydra.plugins.config_source:ConfigSource._get_header_dict": ("config_text",),
    "hydra.version:VersionBase.instance": (),
}


@pytest.fixture
def loader():
    folders = [("main", f"segkit://{paths.conf_dir()}")]
    with compat.hydra_version():
        yield compat.HydraLoader([OptionFolder, ExperimentFolder], folders)


def override(line):
    return OverridesParser.create().parse_overrides([line])[0]


def test_the_installed_version_is_one_that_is_known():
    specifiers = pytest.importorskip("packaging.specifiers")
    assert version("hydra-core") in specifiers.SpecifierSet(compat.VERSIONS), UPGRADED
    wanted = next(line for line in requires("segkit") or () if line.startswith("hydra-core"))
    assert sorted(wanted.removeprefix("hydra-core").split(",")) == sorted(
        compat.VERSIONS.split(",")
    )


def publicly(lines):
    """Compose with Hydra's public functions."""
    with initialize_config_dir(str(paths.conf_dir()), version_base="1.3"):
        return OmegaConf.to_container(compose("config", lines), resolve=False)


def without_hydra(config):
    tree = compat.plain(config)
    del tree["hydra"]
    return tree


@pytest.mark.parametrize("name", INSIDE)
def test_each_part_is_there(name):
    module, _, path = name.partition(":")
    part = import_module(module)
    for attribute in path.split("."):
        assert hasattr(part, attribute), f"{UPGRADED}: there is no {name}"
        part = getattr(part, attribute)
    missing = [each for each in INSIDE[name] if each not in signature(part).parameters]
    assert missing == [], f"{UPGRADED}: parameters of {name}"


def test_the_loader_composes_what_hydra_composes(loader):
    lines = ["clusterer=dbscan", "scaler=power", "clusterer.eps=0.7"]
    assert without_hydra(loader.compose(lines)) == publicly(lines), UPGRADED


def test_a_composition_has_hydras_own_node(loader):
    hydra = loader.compose(["scaler=power"]).hydra
    assert hydra.runtime.choices.scaler == "power", UPGRADED
    assert hydra.job.name == "segkit", UPGRADED


def test_a_file_comes_with_its_header_and_its_defaults(loader):
    file = loader.file("clusterer/kmeans")
    assert file.header["package"] is None, UPGRADED
    assert file.config["_target_"] == "sklearn.cluster.KMeans"
    assert loader.file("config").defaults_list, UPGRADED
    assert loader.file("clusterer/absent") is None


def test_a_header_is_read(tmp_path):
    source = OptionFolder("test", f"segkit://{tmp_path}")
    assert compat.header_of(source, "# @package _global_\nseed: 1\n") == {"package": "_global_"}
    assert compat.header_of(source, "seed: 1\n") == {"package": None}, UPGRADED
    with pytest.raises(ValueError, match="Too many components"):
        compat.header_of(source, "# @package a b\n")


def test_one_override_is_applied():
    config = OmegaConf.create({"a": {"b": 1}})
    compat.apply(override("a.b=2"), config)
    assert config.a.b == 2, UPGRADED


def struct_config(loader):
    """Return a composed configuration that no unknown name can be set in."""
    config = OmegaConf.create(without_hydra(loader.compose([])))
    OmegaConf.set_struct(config, True)
    return config


@pytest.mark.parametrize(
    "line",
    [
        "seed=4",
        "scoring.references=[power]",
        "+clusterer.new=1",
        "++clusterer.n_clusters=2",
        "~clusterer.n_init",
        "scoring.nulls={copula: 99}",
    ],
)
def test_an_override_of_each_kind_is_applied_as_hydra_applies_it(loader, line):
    config = struct_config(loader)
    compat.apply(override(line), config)
    assert compat.plain(config) == publicly([line]), UPGRADED


@pytest.mark.parametrize(
    "line", ["seeds=4", "+seed=4", "~clusterer.n_intt", "clusterer.n_cluster=1"]
)
def test_an_override_that_hydra_refuses_is_refused(loader, line):
    with pytest.raises(HydraException):
        compat.apply(override(line), struct_config(loader))
    with pytest.raises(HydraException):
        publicly([line])


def test_quotes_go_at_any_depth():
    texts = ["'x y'", '[1,"b"]', "{c: 'd'}", "e"]
    values = compat.swept_values(override(f"a={','.join(texts)}"))
    assert values == [override(f"a={text}").value() for text in texts], UPGRADED


def test_swept_values_are_plain():
    assert compat.swept_values(override("a=1,'x y',true")) == [1, "x y", True], UPGRADED


def test_a_value_is_read_with_its_interpolation():
    config = OmegaConf.create({"a": "${b}", "b": {"c": "${d}"}, "d": None})
    values = [compat.unresolved(config, key) for key in ("a", "b", "d", "absent")]
    assert values == ["${b}", {"c": "${d}"}, None, None], UPGRADED


@pytest.mark.parametrize("outer", [None, "1.2", "1.3"])
def test_the_version_that_hydra_behaves_as_is_set_back(outer):
    from hydra import version as hydra_version

    before = hydra_version.getbase()
    try:
        if outer is not None:
            hydra_version.setbase(outer)
        base = hydra_version.getbase()
        with compat.hydra_version():
            assert str(hydra_version.getbase()) == "1.3", UPGRADED
        assert hydra_version.getbase() is base, UPGRADED
    finally:
        hydra_version.VersionBase.instance().version_base = before


def test_nothing_else_reaches_into_hydra():
    for path in Path(compat.__file__).parent.glob("*.py"):
        if path.name != "compat.py":
            assert "hydra._internal" not in path.read_text(), path.name
