"""What a study is made of: experiments, the command line over them, and where options are found."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections import Counter
from itertools import product

import pytest

import segkit
from segkit.study.compose import compose_study, experiments, help_text, job_config, options, paths
from segkit.study.plan.sampling import Sampling
from segkit.study.run.settings import EngineSettings


def values(composition, group, name):
    return [c.groups[group].get(name) for c in composition.configurations]


def chosen(composition, group):
    return [c.choices[group] for c in composition.configurations]


def test_defaults_are_one_configuration():
    found = compose_study([])
    assert len(found.configurations) == 1
    assert found.axes == {}
    assert found.experiment == found.study["name"] == "study"
    assert found.study_dir.startswith("outputs/study/")
    assert found.configurations[0].choices == {
        "data": "simulated",
        "features": "all",
        "scaler": "standard",
        "projection": "none",
        "clusterer": "kmeans",
    }
    assert (
        found.configurations[0].groups["clusterer"]["random_state"]
        == found.configurations[0].seed
        == 42
    )


def test_cc_general_is_the_1080_runs_of_the_design():
    found = compose_study(["experiment=cc_general"])
    projections = [("none",), ("pca", 2), ("pca", 5), ("umap", 15), ("umap", 50), ("tsne", 30)]
    clusterers = [
        *(("kmeans", k) for k in range(2, 11)),
        *(("agglomerative", k, "ward") for k in range(2, 11)),
        *(("dbscan", eps, 10) for eps in (0.3, 0.5, 0.8, 1.2, 2.0, 3.0)),
        *(("hdbscan", size, 10) for size in (25, 50, 75, 100, 150, 200)),
    ]
    wanted = {
        "none": (),
        "pca": ("n_components",),
        "umap": ("n_neighbors",),
        "tsne": ("perplexity",),
        "kmeans": ("n_clusters",),
        "agglomerative": ("n_clusters", "linkage"),
        "dbscan": ("eps", "min_samples"),
        "hdbscan": ("min_cluster_size", "min_samples"),
    }

    def named(configuration, group):
        option = configuration.choices[group]
        return (option, *(configuration.groups[group][name] for name in wanted[option]))

    runs = [
        (c.choices["features"], c.choices["scaler"], named(c, "projection"), named(c, "clusterer"))
        for c in found.configurations
    ]
    designed = list(
        product(["all", "behaviour"], ["standard", "power", "robust"], projections, clusterers)
    )
    assert runs == designed
    assert len(runs) == 1080
    assert set(chosen(found, "data")) == {"cc_general"}
    assert found.study["scoring"]["draws"] == 20
    assert found.experiment == "cc_general"


def test_demo_has_200_runs_over_all_clusterers_and_projections():
    found = compose_study(["experiment=demo"])
    assert len(found.configurations) >= 200
    assert set(chosen(found, "clusterer")) == {"kmeans", "agglomerative", "dbscan", "hdbscan"}
    assert set(chosen(found, "projection")) == {"none", "pca", "tsne", "umap"}
    spaces = {(c.choices["scaler"], id(c.groups["projection"])) for c in found.configurations}
    slow = Counter(
        c.choices["projection"] for c in found.configurations if c.choices["clusterer"] == "dbscan"
    )
    assert len(spaces) == 10
    assert slow["umap"] == slow["tsne"] == 8


@pytest.mark.parametrize("name", experiments())
def test_every_experiment_composes_and_asks_a_question(name):
    found = compose_study([f"experiment={name}"])
    assert found.configurations
    assert found.study["name"] == name
    assert experiments()[name].endswith(("?", "."))
    text = (paths.experiments_dir() / f"{name}.yaml").read_text()
    assert f"# segkit sweep experiment={name}\n" in text


@pytest.mark.parametrize(
    ("group", "option"),
    [(group, option) for group in paths.RUN_GROUPS for option in options(group)],
)
def test_every_option_composes(group, option):
    [configuration] = compose_study([f"{group}={option}"]).configurations
    assert configuration.choices[group] == option


class TestCommandLineOverAnExperiment:
    def test_an_option_of_the_axis_keeps_its_parameters(self):
        found = compose_study(
            ["experiment=cc_general", "clusterer=dbscan", "projection=none", "scaler=power"]
        )
        assert len(found.configurations) == 2 * 6
        assert set(values(found, "clusterer", "eps")) == {0.3, 0.5, 0.8, 1.2, 2.0, 3.0}
        assert set(values(found, "clusterer", "min_samples")) == {10}

    def test_several_options_of_the_axis(self):
        found = compose_study(["experiment=cc_general", "clusterer=hdbscan,kmeans"])
        assert len(found.configurations) == 36 * (6 + 9)

    def test_an_option_beside_the_axis_comes_with_its_own_defaults(self):
        [plain] = compose_study(["clusterer=birch"]).configurations
        found = compose_study(["experiment=cc_general", "clusterer=birch"])
        assert len(found.configurations) == 36
        assert all(c.groups["clusterer"] == plain.groups["clusterer"] for c in found.configurations)

    def test_a_value_replaces_the_axis_values(self):
        found = compose_study(
            ["experiment=cc_general", "clusterer=kmeans,agglomerative", "clusterer.n_clusters=3"]
        )
        assert len(found.configurations) == 36 * 2
        assert set(values(found, "clusterer", "n_clusters")) == {3}

    def test_a_sweep_replaces_the_axis_values(self):
        found = compose_study(
            ["experiment=cc_general", "clusterer=kmeans", "clusterer.n_clusters=20,30"]
        )
        assert len(found.configurations) == 36 * 2
        assert found.axes["clusterer.n_clusters"] == [20, 30]

    def test_a_parameter_that_all_options_have(self):
        found = compose_study(["experiment=cc_general", "features.missing=mean,knn"])
        assert len(found.configurations) == 1080 * 2

    def test_seeds_multiply(self):
        found = compose_study(["experiment=smoke", "seed=1,2,3"])
        assert len(found.configurations) == 36
        assert Counter(c.seed for c in found.configurations) == {1: 12, 2: 12, 3: 12}
        assert all(
            c.groups["clusterer"]["random_state"] == c.seed
            for c in found.configurations
            if c.choices["clusterer"] == "kmeans"
        )

    def test_settings_of_the_study(self):
        found = compose_study(
            [
                "experiment=smoke",
                "scoring.draws=7",
                "engine=inline",
                "store=/elsewhere",
                "hydra.sweep.dir=/some/path",
            ]
        )
        assert found.study["scoring"]["draws"] == 7
        assert found.study["engine"]["mode"] == "inline"
        assert found.study["store"] == "/elsewhere"
        assert found.study_dir == "/some/path"

    def test_a_name_of_its_own(self):
        found = compose_study(["experiment=smoke", "name=try"])
        assert found.experiment == "try"
        assert found.study_dir.startswith("outputs/try/")


class TestPlainSweeps:
    def test_globs_choose_options(self):
        assert compose_study(["clusterer=glob(*)"]).axes["clusterer"] == options("clusterer")
        found = compose_study(
            ["scaler=glob([p*,r*],exclude=power)", "projection=glob(*,exclude=[none,tsne])"]
        )
        assert chosen(found, "scaler") == ["robust", "robust"]
        assert found.axes == {"projection": ["pca", "umap"]}

    def test_lists_and_quoted_commas_are_values(self):
        [configuration] = compose_study(
            ["features.clip=[0.01,0.99]", "+clusterer.note='a,b'"]
        ).configurations
        assert configuration.groups["features"]["clip"] == [0.01, 0.99]
        assert configuration.groups["clusterer"]["note"] == "a,b"

    def test_the_last_of_two_values_holds(self):
        [configuration] = compose_study(
            ["clusterer.n_clusters=2,3", "clusterer.n_clusters=4"]
        ).configurations
        assert configuration.groups["clusterer"]["n_clusters"] == 4

    def test_deleting_a_parameter(self):
        [configuration] = compose_study(["~clusterer.n_init"]).configurations
        assert "n_init" not in configuration.groups["clusterer"]

    def test_no_experiment(self):
        assert compose_study(["experiment=null"]).experiment == "study"


class TestSweepOfAnExperiment:
    @pytest.fixture
    def composed(self, tmp_path):
        def run(sweep, *overrides):
            folder = tmp_path / "experiments"
            folder.mkdir(exist_ok=True)
            (folder / "own.yaml").write_text(f"sweep:\n{sweep}")
            return compose_study(["experiment=own", *overrides], tmp_path)

        return run

    def test_parameters_and_seeds_as_axes(self, composed):
        found = composed(
            "  features.missing: [mean, 3, null]\n  features.clip: [[0.1, 0.9], null]\n  seed: [1,"
            " 2]\n"
        )
        assert len(found.configurations) == 12
        assert found.axes == {
            "features.missing": ["mean", 3, None],
            "features.clip": [[0.1, 0.9], None],
            "seed": [1, 2],
        }

    def test_ranges_with_a_step_and_within_lists(self, composed):
        found = composed('  clusterer:\n    - kmeans: {n_clusters: ["range(2, 9, 3)", 20]}\n')
        assert values(found, "clusterer", "n_clusters") == [2, 5, 8, 20]

    def test_ranges_that_count_down(self, composed):
        assert values(composed('  data.n: "range(300, 100, -100)"\n'), "data", "n") == [300, 200]

    def test_a_glob_of_options(self, composed):
        assert composed('  scaler: "glob(*)"\n').axes["scaler"] == options("scaler")

    def test_two_entries_of_one_option(self, composed):
        found = composed(
            "  clusterer:\n    - dbscan: {eps: 1, min_samples: 3}\n    - dbscan: {eps: 2,"
            " min_samples: 9}\n"
        )
        pairs = list(
            zip(
                values(found, "clusterer", "eps"),
                values(found, "clusterer", "min_samples"),
                strict=True,
            )
        )
        assert pairs == [(1, 3), (2, 9)]

    def test_the_command_line_replaces_a_parameter_axis(self, composed):
        found = composed(
            "  features.missing: [mean, knn]\n  scaler: [none, power]\n", "features.missing=median"
        )
        assert values(found, "features", "missing") == ["median", "median"]


def test_what_resolves_to_the_same_runs_once():
    found = compose_study(
        ["clusterer.n_clusters=3,5,3", "clusterer.n_init=10,${clusterer.n_clusters}", "seed=1,1"]
    )
    pairs = list(
        zip(
            values(found, "clusterer", "n_clusters"),
            values(found, "clusterer", "n_init"),
            strict=True,
        )
    )
    assert pairs == [(3, 10), (3, 3), (5, 10), (5, 5)]


def test_equal_groups_are_one_object():
    found = compose_study(["experiment=cc_general"])
    for group in paths.RUN_GROUPS:
        objects = {id(c.groups[group]): c.groups[group] for c in found.configurations}
        assert len(objects) == len({repr(value) for value in objects.values()})
    assert len({id(c.groups["clusterer"]) for c in found.configurations}) == 30


def test_references_do_not_follow_the_axes():
    plain = compose_study([]).references
    assert list(plain) == ["power", "standard", "quantile"]
    assert plain["power"]["scaler"]["_target_"].endswith("PowerTransformer")
    assert plain["power"]["features"]["missing"] == "median"
    varied = compose_study(
        ["features=spending", "features.missing=knn", "scaler=power", "scaler.standardize=false"]
    )
    assert varied.references == plain


class TestOneConfiguration:
    def test_is_allowed(self):
        assert (
            len(
                compose_study(["clusterer=dbscan", "clusterer.eps=2.5"], single=True).configurations
            )
            == 1
        )

    @pytest.mark.parametrize(
        ("overrides", "named"),
        [
            (["scaler=power,robust"], "scaler has 2 values"),
            (["experiment=demo"], "scaler has 2 values"),
            (["clusterer.n_clusters=2,3"], "clusterer.n_clusters has 2 values"),
            (["seed=1,2"], "seed has 2 values"),
        ],
    )
    def test_an_axis_with_several_values_is_an_error(self, overrides, named):
        with pytest.raises(segkit.errors.UsageError, match=named):
            compose_study(overrides, single=True)


class TestFolders:
    def test_a_users_options_come_first(self, tmp_path):
        (tmp_path / "clusterer").mkdir()
        (tmp_path / "clusterer" / "kmeans.yaml").write_text(
            "_target_: sklearn.cluster.KMeans\nn_clusters: 77\n"
        )
        (tmp_path / "clusterer" / "mine.yaml").write_text(
            "_target_: sklearn.cluster.KMeans\nn_clusters: 78\n"
        )
        found = compose_study(["clusterer=kmeans,mine"], tmp_path)
        assert values(found, "clusterer", "n_clusters") == [77, 78]
        assert "mine" in options("clusterer", tmp_path)
        assert "mine" in help_text(tmp_path)
        assert "mine" not in help_text()

    @pytest.mark.parametrize("folder", ["experiment", "experiments"])
    def test_a_users_experiments_come_first(self, tmp_path, folder):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "smoke.yaml").write_text(
            "# Is this mine?\nseed: 3\nscoring: {draws: 2}\n"
        )
        found = compose_study(["experiment=smoke"], tmp_path)
        assert [c.seed for c in found.configurations] == [3]
        assert found.study["scoring"]["draws"] == 2
        assert experiments(tmp_path)["smoke"] == "Is this mine?"

    def test_a_relative_folder(self, tmp_path, monkeypatch):
        (tmp_path / "own" / "scaler").mkdir(parents=True)
        (tmp_path / "own" / "scaler" / "mine.yaml").write_text(
            "_target_: sklearn.preprocessing.StandardScaler\n"
        )
        monkeypatch.chdir(tmp_path)
        assert chosen(compose_study(["scaler=mine"], "own"), "scaler") == ["mine"]

    def test_a_wheel_holds_them_inside_the_package(self, tmp_path, monkeypatch):
        for name in ("conf", "experiments"):
            (tmp_path / "segkit" / name).mkdir(parents=True)
            (tmp_path / "segkit" / name / "some.yaml").touch()
        monkeypatch.setattr(segkit, "__file__", str(tmp_path / "segkit" / "__init__.py"))
        assert paths.conf_dir() == tmp_path / "segkit" / "conf"
        assert paths.experiments_dir() == tmp_path / "segkit" / "experiments"


def test_help_lists_everything():
    text = help_text()
    for group in paths.groups():
        assert group in text
        for option in options(group):
            assert option in text
    for name, question in experiments().items():
        assert name in text
        assert question in text


def test_job_config_shows_hydra_apart():
    assert "hydra:" not in job_config(["experiment=demo"], package="job")
    assert job_config(["experiment=demo"], package="hydra").startswith("hydra:")
    shown = job_config(["experiment=demo"], package="all", resolve=True)
    assert "dir: outputs/demo/" in shown
    assert "${" not in shown


class TestManners:
    def test_nothing_is_written_said_or_left_behind(self, tmp_path, monkeypatch, capfd):
        from hydra.core.global_hydra import GlobalHydra

        monkeypatch.chdir(tmp_path)
        handlers = list(logging.getLogger().handlers)
        compose_study(["experiment=smoke"])
        job_config(["experiment=smoke"])
        assert list(tmp_path.iterdir()) == []
        assert capfd.readouterr() == ("", "")
        assert logging.getLogger().handlers == handlers
        assert not GlobalHydra.instance().is_initialized()

    def test_it_works_inside_a_hydra_application(self, tmp_path):
        from hydra import compose, initialize_config_dir

        (tmp_path / "config.yaml").write_text("theirs: 1\n")
        with initialize_config_dir(str(tmp_path), version_base="1.2"):
            assert len(compose_study(["scaler=none,power"]).configurations) == 2
            config = compose("config", return_hydra_config=True)
        assert config.theirs == 1
        assert config.hydra.runtime.version_base == "1.2"

    def test_the_module_itself_is_cheap_to_import(self):
        code = (
            "import sys, segkit.study.compose; print({'hydra', 'omegaconf', 'numpy'} &"
            " set(sys.modules))"
        )
        assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_ten_thousand_configurations_in_seconds():
    code = """
import time
from segkit.study.compose import compose_study
found = compose_study(["experiment=cc_general", "seed=range(0,10)", "features.missing=median,mean"])
assert len(found.configurations) == 21_600
print(time.process_time())
"""
    seconds = float(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert seconds < 3


def test_options_of_ones_own_may_lack_settings_that_are_new(tmp_path):
    for group, text in (
        ("engine", "mode: inline\nworkers: 1\naddress: null\nmemory_limit: null\n"),
        (
            "sampling",
            "projection: 500\nclustering: null\nkmeans: null\nscores: null\ndraws: null\n",
        ),
    ):
        (tmp_path / group).mkdir()
        (tmp_path / group / "mine.yaml").write_text(text)
    study = compose_study(["engine=mine", "sampling=mine"], tmp_path).study
    assert EngineSettings(**study["engine"]).most_seconds is None
    assert not Sampling.of(study).approximates(10**7)


def params(tmp_path, entries, *overrides, rest=""):
    """Compose an experiment that sweeps in Hydra's way."""
    (tmp_path / "experiment").mkdir(exist_ok=True)
    lines = "".join(f"      {name}: {value}\n" for name, value in entries.items())
    body = f"hydra:\n  sweeper:\n    params:\n{lines}{rest}\n"
    (tmp_path / "experiment" / "own.yaml").write_text(body)
    return compose_study(["experiment=own", *overrides], tmp_path)


def configurations(composition):
    return [(item.choices, item.groups, item.seed) for item in composition.configurations]


def test_hydras_own_way_to_sweep_in_a_file_is_the_command_line_below_the_command_line(tmp_path):
    swept = {
        "clusterer": "kmeans",
        "clusterer.n_clusters": "range(2,6)",
        "scaler": "standard,power",
        "seed": "1,2",
    }
    lines = [f"{name}={value}" for name, value in swept.items()]
    found = params(tmp_path, {**swept, "scoring.draws": 3, "engine": "inline"})
    assert configurations(found) == configurations(compose_study(lines))
    assert len(found.configurations) == 16
    assert found.study["scoring"]["draws"] == 3
    assert found.study["engine"]["mode"] == "inline"
    over = ["clusterer.n_clusters=7", "scaler=none", "seed=5", "scoring.draws=4", "engine=local"]
    found = params(tmp_path, {**swept, "scoring.draws": 3, "engine": "inline"}, *over)
    assert configurations(found) == configurations(compose_study(over))
    assert found.study["scoring"]["draws"] == 4
    assert found.study["engine"]["mode"] == "local"


def test_hydras_own_way_to_sweep_goes_over_the_sweep_of_the_file(tmp_path):
    rest = "sweep: {scaler: [none], clusterer: [{kmeans: {n_clusters: [2, 3]}}, dbscan]}"
    found = params(tmp_path, {"clusterer": "kmeans", "projection": "none,pca"}, rest=rest)
    assert found.axes == {"projection": ["none", "pca"], "clusterer.n_clusters": [2, 3]}


@pytest.mark.parametrize("override", ["hydra.sweep.dir=here", "++hydra.sweep.dir=here"])
def test_a_folder_is_given_on_the_command_line_or_in_a_file(tmp_path, override):
    assert not compose_study([]).folder_is_given
    assert compose_study([override]).folder_is_given
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text("hydra: {sweep: {dir: here}}")
    found = compose_study(["experiment=own"], tmp_path)
    assert found.folder_is_given
    assert found.study_dir == "here"
