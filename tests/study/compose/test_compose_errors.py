"""Wrong usage is one line that names what was given, what is allowed and the nearest name."""

from __future__ import annotations

import pytest

from segkit.errors import UsageError
from segkit.study.compose import compose_study, job_config
from segkit.study.compose.paths import conf_dir


def told(overrides, config_dir=None):
    with pytest.raises(UsageError) as caught:
        compose_study(overrides, config_dir)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("overrides", "fragments"),
    [
        # names
        (["experiment=cc_genral"], ["cc_genral", "did you mean 'cc_general'", "smoke"]),
        (["scaler=standrad"], ["scaler", "standrad", "did you mean 'standard'", "quantile"]),
        (["scaler=power,standrad"], ["did you mean 'standard'"]),
        (["engine=inlin"], ["did you mean 'inline'"]),
        (["projection=null"], ["null", "did you mean 'none'"]),
        (["clusterer=5"], ["'5'", "kmeans"]),
        (
            ["clusterer.n_cluster=3"],
            ["clusterer=kmeans", "'n_cluster'", "did you mean 'n_clusters'"],
        ),
        (
            ["clusterer=kmeans,dbscan", "clusterer.n_clusters=2,3"],
            ["clusterer=dbscan", "'n_clusters'", "eps"],
        ),
        (["experiment=cc_general", "clusterer.n_clusters=3"], ["clusterer=dbscan", "'n_clusters'"]),
        (["features.expressions.ratio=A/B"], ["features=all", "'expressions.ratio'"]),
        (["scorin.draws=3"], ["'scorin'", "did you mean 'scoring'"]),
        (["clusterers=kmeans"], ["'clusterers'", "did you mean 'clusterer'"]),
        (["scoring.draw=3"], ["'draw' in scoring", "did you mean 'draws'"]),
        (["hydra.sweep.dirr=x"], ["hydra.sweep.dirr=x", "did you mean 'hydra.sweep.dir'"]),
        (["+scoring.drows=3"], ["scoring.drows", "did you mean 'draws'"]),
        (["experiment=smoke", "scoring.draw=3"], ["did you mean 'draws'"]),
        # syntax
        (["clusterer=["], ["cannot read", "'clusterer=['"]),
        (["kmeans"], ["cannot read", "'kmeans'", "name=value"]),
        ([""], ["cannot read", "name=value"]),
        (["=3"], ["cannot read", "'=3'"]),
        (["clusterer.n_clusters=range(2,"], ["cannot read", "range(2,"]),
        (["clusterer.n_clusters=range(1,3,0)"], ["range(1,3,0)", "step"]),
        (["clusterer.n_clusters=range(5,2)"], ["range(5,2)", "no values"]),
        (["clusterer.n_clusters=range(0,100000000000)"], ["1,000,000"]),
        (["clusterer.n_clusters=interval(1,2)"], ["interval(1,2)", "range"]),
        (["clusterer.n_clusters=glob(*)"], ["glob(*)", "options of a group"]),
        (["clusterer=glob(x*)"], ["glob(x*)", "no clusterer option", "kmeans"]),
        (["clusterer.n_clusters=[range(1,3)]"], ["inside a list"]),
        # what cannot be done
        (["clusterer=[kmeans,dbscan]"], ["clusterer=a,b"]),
        (["+clusterer=dbscan"], ["write clusterer=dbscan"]),
        (["+experiment=smoke"], ["write experiment=smoke"]),
        (["+clusterer.n_init=3"], ["clusterer=kmeans", "write clusterer.n_init=3"]),
        (["~clusterer"], ["cannot be deleted"]),
        (["~seed"], ["cannot be deleted"]),
        (["~clusterer.n_intt"], ["did you mean 'n_init'"]),
        (["~scoring"], ["scoring", "missing"]),
        (["experiment=smoke,demo"], ["one experiment"]),
        (["scoring.draws=1,2"], ["scoring.draws", "one value"]),
        (["engine.workers=range(1,3)"], ["engine.workers", "one value"]),
        (["hydra.sweep.dir=a,b"], ["hydra.sweep.dir", "one value"]),
        # Hydra's own settings, which have no effect on a study
        (["hydra.searchpath=[file:///x]"], ["--config-dir"]),
        (
            ["+hydra.sweeper.params.scaler=power"],
            ["+hydra.sweeper.params.scaler", "clusterer.n_clusters=2,3"],
        ),
        (
            ["hydra.sweeper.params={scaler: power}"],
            ["hydra.sweeper.params", "clusterer.n_clusters=2,3"],
        ),
        (["hydra.sweeper.max_batch_size=3"], ["hydra.sweeper.max_batch_size=3", "engine.workers"]),
        (["hydra/sweeper=optuna"], ["hydra/sweeper=optuna", "sweep:"]),
        (["hydra/launcher=joblib"], ["hydra/launcher=joblib", "engine.workers"]),
        (["hydra.launcher.n_jobs=2"], ["hydra.launcher.n_jobs=2", "engine.workers"]),
        (["hydra.job.chdir=true"], ["hydra.job.chdir=true", "hydra.sweep.dir=FOLDER"]),
        (["hydra.job.name=x"], ["hydra.job.name=x", "name=NAME"]),
        (["+hydra.job.env_set.A=1"], ["+hydra.job.env_set.A=1", "NAME=VALUE segkit"]),
        (["hydra/job_logging=default"], ["hydra/job_logging=default", "--quiet"]),
        (["hydra/hydra_logging=colorlog"], ["hydra/hydra_logging=colorlog", "--quiet"]),
        (["hydra.verbose=true"], ["hydra.verbose=true", "--quiet"]),
        (["+hydra.callbacks.mine={a: 1}"], ["+hydra.callbacks.mine", "calls none"]),
        (["hydra.output_subdir=x"], ["hydra.output_subdir=x", "hydra.sweep.dir=FOLDER"]),
        (["hydra.sweep.subdir=x"], ["hydra.sweep.subdir=x", "hydra.sweep.dir=FOLDER"]),
        (["hydra.run.dir=x"], ["hydra.run.dir=x", "hydra.sweep.dir=FOLDER"]),
        (["hydra.mode=RUN"], ["hydra.mode=RUN", "segkit run"]),
        (["hydra={job: {chdir: true}}"], ["hydra={job", "hydra.sweep.dir"]),
        (["~hydra.sweep.dir"], ["~hydra.sweep.dir", "hydra.sweep.dir=FOLDER"]),
        (
            ["clusterer.n_clusters=range(0,1001)", "data.seed=range(0,1001)"],
            ["1,002,001 configurations"],
        ),
        # interpolations
        (["clusterer.n_clusters=${foo}"], ["clusterer=kmeans", "foo", "not found"]),
        (["clusterer.n_clusters=${clusterer.n_clusters}"], ["clusterer=kmeans", "ecursive"]),
        (["clusterer.n_clusters=${nothing:3}"], ["clusterer=kmeans", "nothing"]),
        (["store=${foo}"], ["store", "foo"]),
        (["data.n=???"], ["data.n must be given", "data=simulated"]),
        (["store=???"], ["store"]),
        # values
        (["seed=-1"], ["seed=-1", "4294967295"]),
        (["seed=4294967296"], ["seed=4294967296"]),
        (["seed=1,x"], ["seed=x"]),
        (["seed=1.0"], ["seed=1.0"]),
        (["seed=true"], ["seed=True"]),
        (["seed=null"], ["seed=null"]),
        (["store=''"], ["store="]),
        (["name=a/b"], ["name=a/b"]),
        (["name=.."], ["name=.."]),
        (["scoring.draws=0"], ["scoring.draws=0", "from 1"]),
        (["scoring.draws=many"], ["scoring.draws=many"]),
        (["scoring.draws='3'"], ["scoring.draws='3'", "a whole number"]),
        ([f"scoring.draws={'x' * 500}"], ["scoring.draws=xxx", "xxx...: must be"]),
        (["engine.memory_limit=4000000000", "engine.address=tcp://a:1"], ["limit=4000000000:"]),
        (["scoring.draws=true"], ["scoring.draws=True"]),
        (["scoring.confirm=1"], ["scoring.confirm=1", "true or false"]),
        (["scoring.references=[pwer]"], ["did you mean 'power'"]),
        (["scoring.references=[]"], ["scoring.references=[]"]),
        (["scoring.references=[power,power]"], ["different"]),
        (["scoring.references=power"], ["a list"]),
        (["scoring.gates.coverage=1.5"], ["scoring.gates.coverage=1.5", "0 to 1"]),
        (["scoring.gates.clusters=[5,2]"], ["scoring.gates.clusters=[5, 2]"]),
        (["scoring.gates.clusters=3"], ["scoring.gates.clusters=3"]),
        (["scoring.gates=3"], ["scoring.gates=3", "coverage"]),
        (["engine.mode=loca"], ["engine.mode=loca", "did you mean 'local'"]),
        (["engine.workers=0"], ["engine.workers=0"]),
        (["engine.workers=two"], ["engine.workers=two"]),
        (["engine.address=localhost"], ["engine.address=localhost", "tcp://"]),
        (["engine.tls=keys"], ["engine.tls=keys", "ca, cert, key"]),
        (["+engine.tls.certificate=a.pem"], ["engine.tls.certificate", "ca, cert, key"]),
        (
            ["engine.tls.ca=none.pem"],
            ["engine.tls.ca=none.pem", "a file in PEM format that exists"],
        ),
        (
            [
                f"engine.tls={{ca: {__file__}, cert: {__file__}, key: {__file__}}}",
                "engine.address=tcp://host:8786",
            ],
            ["engine.address=tcp://host:8786", "such as tls://host:8786"],
        ),
        # what another setting would pass over in silence
        (["engine=inline", "engine.workers=4"], ["engine.workers=4", "engine=local"]),
        (
            ["engine=inline", "engine.address=tcp://a:1"],
            ["engine.address=tcp://a:1", "engine=local"],
        ),
        (["engine.address=tcp://a:1", "engine.workers=4"], ["engine.workers=4", "tcp://a:1"]),
        (
            ["engine.address=tcp://a:1", "engine.memory_limit=4GB"],
            ["engine.memory_limit=4GB", "tcp://a:1"],
        ),
        (["engine.memory_limit=lots"], ["engine.memory_limit=lots", "4GB"]),
        (["engine.time_limit=soon"], ["engine.time_limit=soon", "90min, 24h or 3d, or null"]),
        (["engine.time_limit=0h"], ["engine.time_limit=0h", "90min, 24h or 3d, or null"]),
        (["engine.time_limit=24"], ["engine.time_limit=24", "90min, 24h or 3d, or null"]),
        (["report.formats=[]"], ["report.formats=[]"]),
        (["report.formats=[png,png]"], ["report.formats=['png', 'png']", "[png, pdf]"]),
        (["report.formats=png"], ["report.formats=png"]),
        (["report.formats=[gif]"], ["report.formats", "png"]),
        (["report.customers=maybe"], ["report.customers=maybe", "true or false"]),
        (["report.max_mb=0"], ["report.max_mb=0", "a number of megabytes above 0"]),
        (["report.max_mb=big"], ["report.max_mb=big"]),
        (["report.shortlist=0"], ["report.shortlist=0", "a whole number from 1"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and "=" in str(value) else None,
)
def test_a_wrong_command_line(overrides, fragments):
    text = told(overrides)
    for fragment in fragments:
        assert fragment in text


@pytest.mark.parametrize(
    ("body", "fragments"),
    [
        ("sweep: [1, 2]", ["own.yaml", "sweep", "axes"]),
        ("sweep: 3", ["own.yaml", "sweep", "axes"]),
        ("sweep:", ["own.yaml", "sweep", "axes"]),
        ("sweep: {scalers: [none]}", ["sweep.scalers", "did you mean 'scaler'"]),
        ("sweep: {scoring.draws: [1, 2]}", ["sweep.scoring.draws", "same for all runs"]),
        ("sweep: {feature.missing: [mean]}", ["did you mean 'features.missing'"]),
        ("sweep: {1: [mean]}", ["sweep.1"]),
        ("sweep: {scaler: [standrad]}", ["did you mean 'standard'"]),
        ("sweep: {scaler: []}", ["sweep.scaler", "no entries"]),
        ("sweep: {scaler: 3}", ["sweep.scaler", "list of options"]),
        ("sweep: {scaler: {none: {}}}", ["sweep.scaler", "list of options"]),
        ("sweep: {projection: [null]}", ["did you mean 'none'"]),
        ("sweep: {clusterer: [[kmeans]]}", ["sweep.clusterer", "an entry is"]),
        ("sweep: {clusterer: [{kmeans: null, n_clusters: 3}]}", ["sweep.clusterer", "an entry is"]),
        ("sweep: {clusterer: [{kmeans: 3}]}", ["sweep.clusterer.kmeans", "parameters"]),
        ("sweep: {clusterer: [{kmean: {n_clusters: 3}}]}", ["did you mean 'kmeans'"]),
        (
            "sweep: {clusterer: [{kmeans: {n_cluster: 3}}]}",
            ["sweep.clusterer.kmeans", "did you mean 'n_clusters'"],
        ),
        (
            "sweep: {clusterer: [{kmeans: {n_clusters: []}}]}",
            ["sweep.clusterer.kmeans.n_clusters", "no values"],
        ),
        ("sweep: {clusterer: [{kmeans: {n_clusters: 'range(2, 11'}}]}", None),
        (
            "sweep: {clusterer: [{kmeans: {n_clusters: 'range(2, x)'}}]}",
            ["sweep.clusterer.kmeans.n_clusters"],
        ),
        ("sweep: {clusterer: [{kmeans: {n_clusters: 'interval(2, 3)'}}]}", ["interval"]),
        ("sweep: {clusterer: [kmeans, dbscan], clusterer.eps: [1]}", ["clusterer=kmeans", "'eps'"]),
        ("sweep: {seed: [1, x]}", ["seed=x"]),
        ("sweeps: {scaler: [none]}", ["sweeps", "did you mean 'sweep'"]),
        ("scoring: {drows: 3}", ["scoring.drows", "did you mean 'draws'"]),
        ("seed: x", ["seed=x"]),
        ("scoring: 3", ["scoring=3"]),
        ("clusterer: 3", ["clusterer", "holds 3"]),
        ("defaults:\n  - override /cluster: kmeans", ["own", "cluster"]),
        (
            "defaults:\n  - override /clusterer: kmean",
            ["no clusterer option 'kmean'", "did you mean 'kmeans'"],
        ),
        ("defaults: 3", ["own", "defaults"]),
        ("a: [1\nb: 2", ["own.yaml", "line 2", "YAML"]),
        ("seed: 1\nseed: 2", ["own.yaml", "line 2", "duplicate"]),
        ("- 1\n- 2", ["own.yaml", "a list"]),
        ("seed: ${", ["own.yaml"]),
    ],
)
def test_a_wrong_experiment(body, fragments, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "own.yaml").write_text(body)
    if fragments is None:
        # Not a range, so a value like any other text; the estimator's own check refuses it later.
        assert len(compose_study(["experiment=own"], tmp_path).configurations) == 1
        return
    text = told(["experiment=own"], tmp_path)
    for fragment in fragments:
        assert fragment in text


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"a: [1\nb: 2", ["bad.yaml", "line 2"]),
        (b"a: \xff\xfe", ["bad.yaml", "UTF-8"]),
        (b"a: \x00", ["bad.yaml"]),
        (b"# @package a b\nx: 1", ["bad.yaml"]),
        (b"n: ???\n", ["clusterer.n must be given", "clusterer=bad"]),
        (b"n: {deep: [1, '???']}\n", ["clusterer.n.deep[1] must be given"]),
        (b"n: ${data.path}\n", ["clusterer=bad", "path"]),
        (b"n: ${.m}\nm: ${.n}\n", ["clusterer=bad", "ecursive"]),
        (b"defaults: [absent]\n", ["absent"]),
    ],
)
def test_a_wrong_option_file(content, fragments, tmp_path):
    (tmp_path / "clusterer").mkdir()
    (tmp_path / "clusterer" / "bad.yaml").write_bytes(content)
    text = told(["clusterer=bad"], tmp_path)
    for fragment in fragments:
        assert fragment in text


@pytest.mark.parametrize(
    ("body", "fragments"),
    [
        (
            "hydra: {sweeper: {max_batch_size: 3}}",
            ["own.yaml", "hydra.sweeper.max_batch_size", "engine.workers"],
        ),
        ("hydra: {job: {chdir: true}}", ["own.yaml", "hydra.job.chdir", "hydra.sweep.dir=FOLDER"]),
        (
            "hydra: {callbacks: {mine: {_target_: os.system}}}",
            ["own.yaml", "hydra.callbacks.mine", "calls none"],
        ),
        ("hydra: {run: {dir: x}}", ["own.yaml", "hydra.run.dir", "hydra.sweep.dir=FOLDER"]),
        ("hydra: 3", ["own.yaml: hydra:", "hydra.sweep.dir"]),
        (
            "defaults: [{override /hydra/launcher: joblib}]",
            ["own.yaml", "/hydra/launcher", "engine.workers"],
        ),
        (
            "defaults: [{override hydra/job_logging: colorlog}]",
            ["own.yaml", "hydra/job_logging", "--quiet"],
        ),
        ("defaults: [{/scaler@hydra.job: power}]", ["own.yaml", "/scaler@hydra.job"]),
        (
            "hydra: {sweeper: {params: [1]}}",
            ["own.yaml", "hydra.sweeper.params", "n_clusters: 2,3"],
        ),
        (
            "hydra: {sweeper: {params: {clusterer: {n_clusters: 3}}}}",
            ["hydra.sweeper.params.clusterer"],
        ),
        (
            "hydra: {sweeper: {params: {scaler: standrad}}}",
            ["hydra.sweeper.params", "did you mean 'standard'"],
        ),
        (
            "hydra: {sweeper: {params: {clusterer.n_cluster: 3}}}",
            ["hydra.sweeper.params", "'n_clusters'"],
        ),
        (
            "hydra: {sweeper: {params: {scoring.draws: '2,3'}}}",
            ["hydra.sweeper.params", "one value"],
        ),
        (
            "hydra: {sweeper: {params: {hydra.job.chdir: true}}}",
            ["hydra.sweeper.params", "hydra.job.chdir"],
        ),
        (
            "hydra: {sweeper: {params: {experiment: demo}}}",
            ["hydra.sweeper.params.experiment", "experiment=demo"],
        ),
    ],
)
def test_what_a_study_does_not_heed_in_an_experiment(body, fragments, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text(body)
    text = told(["experiment=own"], tmp_path)
    for fragment in fragments:
        assert fragment in text


def test_what_a_study_does_not_heed_in_a_main_configuration_and_in_an_option(tmp_path):
    main = (conf_dir() / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(main)
    compose_study([], tmp_path)
    (tmp_path / "config.yaml").write_text(main.replace("chdir: false", "chdir: true"))
    assert "config.yaml: hydra.job.chdir" in told([], tmp_path)
    (tmp_path / "config.yaml").unlink()
    (tmp_path / "scaler").mkdir()
    (tmp_path / "scaler" / "loud.yaml").write_text("# @package hydra.job\nchdir: true\n")
    assert "loud.yaml: @package hydra.job" in told(["scaler=loud"], tmp_path)


def test_a_folder_of_options_that_is_not_there(tmp_path):
    assert "no such folder" in told([], tmp_path / "absent")
    (tmp_path / "file").touch()
    assert "no such folder" in told([], tmp_path / "file")


def test_an_unknown_package():
    with pytest.raises(UsageError, match="job, hydra or all"):
        job_config([], package="jobs")
