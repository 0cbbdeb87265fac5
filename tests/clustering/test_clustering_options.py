"""Every option of conf/clusterer is a clusterer, by being there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from segkit import targets
from segkit.clustering import Partition, canonical, fit_many, infeasible

OPTIONS = sorted((Path(__file__).parents[2] / "conf" / "clusterer").glob("*.yaml"))
NEUTRAL = {
    (
        "copy_x compute_distances compute_labels compute_full_tree connectivity memory verbose"
        " verbose_interval n_jobs"
    ),
    (
        "warm_start weights_init means_init precisions_init metric_params leaf_size algorithm"
        " core_dist_n_jobs"
    ),
    "gen_min_span_tree prediction_data branch_detection_data cluster_selection_epsilon_max",
}


def option(path):
    return yaml.safe_load(path.read_text().replace("${seed}", "42"))


@pytest.fixture(params=OPTIONS, ids=lambda path: path.stem)
def config(request):
    return option(request.param)


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(5)
    truth = rng.permutation(np.repeat(np.arange(5), 80))
    centres = 3 * np.array([[0, 0, 0], [1, 1, 0], [-1, 1, 1], [1, -1, -1], [-1, -1, 0.5]])
    return centres[truth] + rng.normal(size=(400, 3)) * 0.25, truth


def test_the_option_finds_clear_groups(config, groups):
    X, truth = groups
    (partition,) = fit_many(X, [config])
    assert isinstance(partition, Partition)
    assert partition.labels.dtype == np.int32
    assert (partition.labels == canonical(partition.labels)).all()
    assert adjusted_rand_score(truth, partition.labels) > 0.9


def test_the_option_is_repeatable(config, groups):
    first, second = fit_many(groups[0], [config, config])
    assert (first.labels == second.labels).all()
    assert first.figures == second.figures


def test_the_option_is_valid_and_feasible(config):
    targets.check(config, "clusterer")
    assert infeasible(config, 1000) is None


def test_the_option_names_every_parameter_that_decides_labels(config):
    neutral = set(" ".join(NEUTRAL).split())
    assert set(targets.defaults(config)) - neutral <= set(config)


def test_seeds_are_the_studys():
    for path in OPTIONS:
        assert ("random_state" in targets.defaults(option(path))) == (
            "random_state: ${seed}" in path.read_text()
        )


def test_a_class_without_a_family_is_fitted_plainly(X):
    partition = fit_many(
        X, [{"_target_": "sklearn.mixture.GaussianMixture", "n_components": 3, "random_state": 0}]
    )[0]
    assert (partition.labels == canonical(GaussianMixture(3, random_state=0).fit_predict(X))).all()
