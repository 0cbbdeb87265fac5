"""Hydra's inside is as `compat` expects it; the public composition gives the same."""

from __future__ import annotations

from importlib.metadata import requires, version
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from segkit.study.compose import compat, paths
from segkit.study.compose.sources import ExperimentFolder, OptionFolder

UPGRADED = f"hydra-core {version('hydra-core')} is not as segkit/study/compose/compat.py expects"


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


def test_the_loader_composes_what_hydra_composes(loader):
    lines = ["clusterer=dbscan", "scaler=power", "clusterer.eps=0.7"]
    own = compat.plain(loader.compose(lines))
    with initialize_config_dir(str(paths.conf_dir()), version_base="1.3"):
        public = OmegaConf.to_container(compose("config", lines), resolve=False)
    del own["hydra"]
    assert own == public, UPGRADED


def test_a_file_comes_with_its_header_and_its_defaults(loader):
    file = loader.file("clusterer/kmeans")
    assert file.header["package"] is None, UPGRADED
    assert file.config["_target_"] == "sklearn.cluster.KMeans"
    assert loader.file("config").defaults_list, UPGRADED
    assert loader.file("clusterer/absent") is None


def test_a_header_is_read(tmp_path):
    source = OptionFolder("test", f"segkit://{tmp_path}")
    assert compat.header_of(source, "# @package _global_\nseed: 1\n") == {"package": "_global_"}


def test_one_override_is_applied():
    config = OmegaConf.create({"a": {"b": 1}})
    compat.apply(override("a.b=2"), config)
    assert config.a.b == 2, UPGRADED


def test_swept_values_are_plain():
    assert compat.swept_values(override("a=1,'x y',true")) == [1, "x y", True], UPGRADED


def test_a_value_is_read_with_its_interpolation():
    config = OmegaConf.create({"a": "${b}", "b": {"c": "${d}"}, "d": None})
    values = [compat.unresolved(config, key) for key in ("a", "b", "d", "absent")]
    assert values == ["${b}", {"c": "${d}"}, None, None], UPGRADED


def test_the_version_that_hydra_behaves_as_is_set_back():
    from hydra import version as hydra_version

    before = hydra_version.getbase()
    with compat.hydra_version():
        assert hydra_version.base_at_least("1.3"), UPGRADED
    assert hydra_version.getbase() == before


def test_nothing_else_reaches_into_hydra():
    for path in Path(compat.__file__).parent.glob("*.py"):
        if path.name != "compat.py":
            assert "hydra._internal" not in path.read_text(), path.name
