from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from segkit.clustering import Partition, canonical, fit_many, infeasible
from segkit.errors import Infeasible, UsageError

KMEANS = {"_target_": "sklearn.cluster.KMeans", "n_clusters": 3, "n_init": 1, "random_state": 42}


def test_clusters_are_numbered_by_size_then_by_first_member():
    assert canonical(np.array([7, 4, 4, -1, 2, 2, 4, 9])).tolist() == [2, 0, 0, -1, 1, 1, 0, 3]


def test_labels_are_small_integers():
    assert canonical([1, 0, 0]).dtype == np.int32


@pytest.mark.parametrize("labels", [[], [-1, -1], [5], [3, 3, -1]])
def test_edges_have_no_gaps(labels):
    renumbered = canonical(np.array(labels, dtype=int))
    assert renumbered.tolist() == [-1 if label == -1 else 0 for label in labels]


def test_numbering_does_not_depend_on_the_given_one():
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 8, 300)
    names = np.append(rng.permutation(8) * 11, -1)
    renumbered = canonical(labels)
    assert (canonical(names[labels]) == renumbered).all()
    assert (canonical(renumbered) == renumbered).all()
    assert adjusted_rand_score(labels, renumbered) == 1.0
    assert (np.diff(np.bincount(renumbered[renumbered >= 0])) <= 0).all()


def test_one_infeasible_member_does_not_stop_the_others():
    X = np.random.default_rng(0).normal(size=(8, 2))
    too_many, enough = fit_many(X, [{**KMEANS, "n_clusters": 12}, KMEANS])
    assert isinstance(too_many, Infeasible)
    assert str(too_many) == "n_clusters=12 needs at least 12 customers, there are 8"
    assert isinstance(enough, Partition)


def test_one_failing_member_does_not_stop_the_others():
    X = np.random.default_rng(0).normal(size=(8, 2))
    failed, partition = fit_many(X, [{**KMEANS, "n_clusters": "three"}, KMEANS])
    assert isinstance(failed, Exception)
    assert "n_clusters" in str(failed)
    assert isinstance(partition, Partition)


@pytest.mark.parametrize(
    ("config", "n", "reason"),
    [
        (KMEANS, 3, None),
        (KMEANS, 2, "n_clusters=3 needs at least 3 customers, there are 2"),
        (
            {"_target_": "sklearn.mixture.GaussianMixture", "n_components": 5},
            4,
            "n_components=5 needs at least 5",
        ),
        (
            {"_target_": "sklearn.cluster.AgglomerativeClustering", "n_clusters": 1},
            1,
            "at least 2 customers",
        ),
        ({"_target_": "sklearn.cluster.DBSCAN", "eps": 1.0, "min_samples": 50}, 3, None),
        ({"_target_": "hdbscan.HDBSCAN", "min_cluster_size": 9, "min_samples": 3}, 9, None),
        (
            {"_target_": "hdbscan.HDBSCAN", "min_cluster_size": 10, "min_samples": 3},
            9,
            "min_cluster_size=10 needs",
        ),
        (
            {"_target_": "hdbscan.HDBSCAN", "min_cluster_size": 5, "min_samples": 9},
            9,
            "min_samples=9 needs at least 10",
        ),
        (
            {"_target_": "hdbscan.HDBSCAN", "min_cluster_size": 9},
            9,
            "min_cluster_size=9 needs at least 10",
        ),
    ],
)
def test_what_cannot_be_done_is_known_beforehand(config, n, reason):
    result = infeasible(config, n)
    assert result is None if reason is None else reason in result


def test_a_family_has_one_class():
    with pytest.raises(ValueError, match="one class"):
        fit_many(np.zeros((5, 1)), [KMEANS, {"_target_": "sklearn.cluster.DBSCAN"}])


def test_a_class_that_is_not_allowed_is_refused():
    with pytest.raises(UsageError, match="not an allowed class"):
        fit_many(np.zeros((5, 1)), [{"_target_": "os.system"}])


def test_planning_imports_no_estimator():
    script = (
        "import sys\n"
        "from segkit.clustering import infeasible\n"
        "for target in ('sklearn.cluster.KMeans', 'sklearn.cluster.AgglomerativeClustering',\n"
        "               'sklearn.cluster.DBSCAN', 'hdbscan.HDBSCAN', 'sklearn.cluster.Birch'):\n"
        "    infeasible({'_target_': target}, 100)\n"
        "print(sorted({'numba', 'sklearn', 'scipy', 'hdbscan', 'numpy'} & set(sys.modules)))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"


def test_no_configuration_gives_no_partition():
    assert fit_many(np.zeros((5, 1)), []) == []
