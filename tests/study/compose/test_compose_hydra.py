"""The fast composition gives what Hydra itself gives, job by job."""

from __future__ import annotations

import json
import random
import shutil
from itertools import chain, product

import pytest
import yaml

from segkit.study import compose
from segkit.study.compose import paths

GROUPS = ("data", "features", "scaler", "projection", "clusterer")

OPTIONS = {
    "data": {"simulated": {"n": [200, 500], "seed": [1, "${seed}"]}, "simulated_profile": {}},
    "features": {
        "all": {"missing": ["mean", 0, "knn"], "clip": [None, [0.01, 0.99]]},
        "spending": {},
    },
    "scaler": {"standard": {"with_mean": [True, False]}, "power": {}, "none": {}},
    "projection": {"none": {}, "pca": {"n_components": [2, 5, 0.9], "whiten": [True]}, "tsne": {}},
    "clusterer": {
        "kmeans": {"n_clusters": [2, 3, "${seed}"], "tol": [1e-4, 0.01], "init": ["random"]},
        "agglomerative": {"n_clusters": [2, 7], "linkage": ["ward", "complete"]},
        "dbscan": {"eps": [0.5, 1.0], "min_samples": [5]},
    },
}

#: A user's options that reach beyond their group, or refer to another one.
USER_OPTIONS = {
    "clusterer/derived.yaml": "defaults: [kmeans, _self_]\nn_init: 3\n",
    "clusterer/far.yaml": (
        "# @package _global_\nclusterer: {_target_: a.Far, n_clusters: 4, k: '${seed}'}\nscaler:"
        " {extra: 1}\n"
    ),
    "clusterer/chooses.yaml": (
        "defaults:\n  - /projection@inner: pca\n  - _self_\n_target_: a.Nested\n"
    ),
    "projection/linked.yaml": (
        "_target_: a.Linked\nwidth: '${clusterer.n_clusters}'\nname: 'p-${.width}-${seed}'\n"
        "home: '${oc.env:SEGKIT_TEST_HOME,nowhere}'\n"
    ),
    "scaler/echo.yaml": (
        "_target_: a.Echo\nstore: '${store}'\nplain: '\\${seed}'\nlist: ['${seed}', {deep:"
        " '${seed}'}]\n"
    ),
    "experiment/mine.yaml": (
        "# @package _global_\n# Does a user's experiment win?\n"
        "defaults:\n  - override /scaler: robust\n  - override /clusterer: derived\n"
        "scaler: {quantile_range: [10, 90]}\nseed: 5\n"
        "sweep:\n  clusterer: [derived, {far: {n_clusters: [6, 7]}}]\n  projection: [linked]\n"
    ),
}


@pytest.fixture
def user_dir(tmp_path):
    for name, text in USER_OPTIONS.items():
        path = tmp_path / "user" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "user"


@pytest.fixture
def stock(tmp_path):
    """A function that composes one job with stock Hydra over one folder that holds everything."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    folder = tmp_path / "merged"
    shutil.copytree(paths.conf_dir(), folder)
    shutil.copytree(
        paths.experiments_dir(), folder / "experiment", ignore=shutil.ignore_patterns("benchmarks")
    )
    if (tmp_path / "user").exists():
        shutil.copytree(tmp_path / "user", folder, dirs_exist_ok=True)

    def run(overrides):
        with initialize_config_dir(str(folder), version_base="1.3"):
            config = hydra_compose("config", overrides=list(overrides))
        # The study's name is derived by segkit, and a reference to it would not be Hydra's own.
        tree = OmegaConf.to_container(config, resolve=True)
        return {group: tree[group] for group in GROUPS}, tree["seed"]

    return run


def written(value) -> str:
    """A value in Hydra's grammar."""
    return json.dumps(value) if not isinstance(value, str) else value


def as_found(composition):
    return [(c.groups, c.seed) for c in composition.configurations]


def each_once(jobs):
    return [job for index, job in enumerate(jobs) if job not in jobs[:index]]


def random_entries(rng, group, most=2):
    options = rng.sample(sorted(OPTIONS[group]), rng.randint(1, most))
    return [
        {
            option: {
                name: rng.sample(values, rng.randint(1, min(2, len(values))))
                for name, values in OPTIONS[group][option].items()
                if rng.random() < 0.5
            }
        }
        for option in options
    ]


def jobs_of(sweep):
    """Every job of a sweep as a list of overrides, written by brute force."""
    per_group = [
        [
            [
                f"{group}={option}",
                *(f"{group}.{n}={written(v)}" for n, v in zip(parameters, values, strict=True)),
            ]
            for entry in sweep[group]
            for option, parameters in entry.items()
            for values in product(*parameters.values())
        ]
        for group in GROUPS
        if group in sweep
    ]
    seeds = [[f"seed={seed}"] for seed in sweep.get("seed", ())] or [[]]
    return [list(chain(*parts)) for parts in product(*per_group, seeds)]


@pytest.mark.parametrize("case", range(5))
def test_random_experiments_equal_hydra(case, tmp_path, stock):
    rng = random.Random(case)
    sweep = {group: random_entries(rng, group) for group in GROUPS if rng.random() < 0.7}
    if rng.random() < 0.5:
        sweep["seed"] = rng.sample(range(100), 2)
    folder = tmp_path / "own" / "experiments"
    folder.mkdir(parents=True)
    (folder / "random.yaml").write_text(yaml.safe_dump({"sweep": sweep}))

    found = as_found(compose.compose_study(["experiment=random"], tmp_path / "own"))

    jobs = jobs_of(sweep)
    for index in rng.sample(range(len(jobs)), min(6, len(jobs))):
        assert stock(jobs[index]) in found
    assert stock(jobs[0]) == found[0]
    assert len(found) <= len(jobs)


@pytest.mark.parametrize(
    "swept",
    [
        [
            "scaler=standard,power",
            "clusterer=agglomerative",
            "clusterer.n_clusters=range(2,4)",
            "seed=1,2",
        ],
        ["features=all,spending", "features.missing=mean,3", "features.clip=null,[0.1,0.9]"],
        [
            "projection=pca",
            "projection.n_components=2,0.9",
            "clusterer.n_clusters=${projection.n_components}",
        ],
        [
            "clusterer=dbscan",
            "+clusterer.note='a,b'",
            "++clusterer.p=3",
            "+clusterer.more={a:1}",
            "~clusterer.metric",
            "clusterer.eps=range(0.5,2,0.5)",
        ],
        ["data.n=100,200", "data.seed=${seed},7", "seed=3,4", "data=simulated"],
    ],
)
def test_plain_sweeps_equal_hydra(swept, stock):
    values = {
        "range(2,4)": ["2", "3"],
        "null,[0.1,0.9]": ["null", "[0.1,0.9]"],
        "range(0.5,2,0.5)": ["0.5", "1.0", "1.5"],
        "'a,b'": ["'a,b'"],
    }
    split = [line.partition("=") for line in swept]
    choices = [
        [
            f"{key}{equals}{one}"
            for one in values.get(value, [value] if not equals else value.split(","))
        ]
        for key, equals, value in split
    ]
    expected = [stock(job) for job in product(*choices)]
    found = as_found(compose.compose_study(swept))
    assert len(found) == len(expected)
    assert all(job in found for job in expected)


@pytest.mark.parametrize(
    ("swept", "jobs"),
    [
        (
            ["clusterer=derived,far", "scaler=standard,echo"],
            [
                [f"clusterer={c}", f"scaler={s}"]
                for s in ("standard", "echo")
                for c in ("derived", "far")
            ],
        ),
        (
            [
                "projection=linked",
                "clusterer=kmeans,derived",
                "clusterer.n_clusters=2,3",
                "seed=1,2",
            ],
            [
                ["projection=linked", f"clusterer={c}", f"clusterer.n_clusters={k}", f"seed={s}"]
                for c, k, s in product(("kmeans", "derived"), (2, 3), (1, 2))
            ],
        ),
        (
            ["clusterer=chooses,kmeans", "projection=none,pca"],
            [
                [f"projection={p}", f"clusterer={c}"]
                for p in ("none", "pca")
                for c in ("chooses", "kmeans")
            ],
        ),
        (
            ["experiment=mine"],
            [
                ["experiment=mine", "projection=linked", *rest]
                for rest in (
                    ["clusterer=derived"],
                    ["clusterer=far", "clusterer.n_clusters=6"],
                    ["clusterer=far", "clusterer.n_clusters=7"],
                )
            ],
        ),
        (
            [
                "experiment=mine",
                "clusterer=kmeans,far",
                "clusterer.n_clusters=8",
                "store=elsewhere",
            ],
            [
                ["experiment=mine", "projection=linked", f"clusterer={c}", "clusterer.n_clusters=8"]
                for c in ("kmeans", "far")
            ],
        ),
    ],
)
def test_options_beyond_their_group_equal_hydra(swept, jobs, user_dir, stock):
    found = as_found(compose.compose_study(swept, user_dir))
    assert found == each_once([stock(job) for job in jobs])


def test_an_option_that_chooses_for_another_group(user_dir, stock, tmp_path):
    text = (
        "# @package _global_\ndefaults:\n  - override /scaler: robust\nclusterer: {_target_:"
        " a.Bossy}\n"
    )
    for folder in (user_dir, tmp_path / "merged"):
        (folder / "clusterer" / "bossy.yaml").write_text(text)
    free = compose.compose_study(["clusterer=bossy,kmeans"], user_dir)
    assert as_found(free) == [stock(["clusterer=bossy"]), stock(["clusterer=kmeans"])]
    assert [c.choices["scaler"] for c in free.configurations] == ["robust", "standard"]
    told = compose.compose_study(["clusterer=bossy", "scaler=power"], user_dir)
    assert as_found(told) == [stock(["clusterer=bossy", "scaler=power"])]


def test_job_config_equals_hydra(stock):
    shown = yaml.safe_load(
        compose.job_config(["experiment=smoke", "clusterer=dbscan", "seed=9"], resolve=True)
    )
    groups, seed = stock(
        [
            "experiment=smoke",
            "data.n=250",
            "clusterer=dbscan",
            "clusterer.eps=1.0",
            "clusterer.min_samples=5",
            "seed=9",
        ]
    )
    assert {group: shown[group] for group in GROUPS} == groups
    assert shown["seed"] == seed
    assert "hydra" not in shown
