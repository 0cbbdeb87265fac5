from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from segkit.scoring import definitions, score_many
from segkit.scoring.contract import Score, Status, group


def test_a_score_has_a_value_exactly_when_it_is_ok():
    assert Score(0.5, Status.OK, 10, 1.0).value == 0.5
    with pytest.raises(ValueError, match="if and only if"):
        Score(1.0, Status.SINGLE_CLUSTER, 10, 1.0)
    with pytest.raises(ValueError, match="if and only if"):
        Score(None, Status.OK, 10, 1.0)
    with pytest.raises(ValueError, match="finite"):
        Score(float("nan"), Status.OK, 10, 1.0)


def test_an_interval_is_around_a_value():
    assert Score(0.5, Status.OK, 10, 1.0, interval=(0.5, 0.6)).interval == (0.5, 0.6)
    for value, status in ((0.4, Status.OK), (None, Status.NOT_FEASIBLE)):
        with pytest.raises(ValueError, match="around a value"):
            Score(value, status, 10, 1.0, interval=(0.5, 0.6))


def test_definitions_are_the_modules_that_have_a_score_in_order():
    scores = [(score.name, score.higher_is_better) for score in definitions()]
    assert scores[:3] == [
        ("silhouette", True),
        ("davies_bouldin", False),
        ("calinski_harabasz", True),
    ]
    assert len({score.order for score in definitions()}) == len(scores)


@pytest.mark.parametrize(
    ("labels", "codes", "sizes"),
    [
        ([5, 5, 2, -1, 2, 5], [1, 1, 0, -1, 0, 1], [2, 3]),
        ([10**12, -1, 7, 7], [1, -1, 0, 0], [2, 1]),
        ([-1, -1], [-1, -1], []),
        ([0, 3, -2], [0, 1, -1], [1, 1]),
    ],
)
def test_groups_are_renumbered_without_gaps(labels, codes, sizes):
    groups = group(np.array(labels))
    assert groups.codes.tolist() == codes
    assert groups.sizes.tolist() == sizes


@pytest.mark.parametrize("labels", [[0.0, 1.0], [], [[0, 1]], ["a", "b"]])
def test_labels_that_are_no_partition_are_refused(labels):
    with pytest.raises(ValueError, match="labels must be"):
        group(np.array(labels))


@pytest.mark.parametrize(
    ("labels", "status", "n_scored"),
    [
        ([-1] * 6, Status.ALL_NOISE, 0),
        ([0] * 6, Status.SINGLE_CLUSTER, 6),
        ([0, 0, 0, -1, -1, -1], Status.SINGLE_CLUSTER, 3),
        ([0, -1, -1, -1, -1, -1], Status.SINGLE_CLUSTER, 1),
        ([0, 1, 2, 3, 4, 5], Status.TOO_MANY_CLUSTERS, 6),
        ([0, 1, 2, -1, -1, -1], Status.TOO_MANY_CLUSTERS, 3),
    ],
)
@pytest.mark.parametrize("name", [score.name for score in definitions()])
def test_partitions_without_a_score_get_a_status_and_no_value(name, labels, status, n_scored):
    X = np.random.default_rng(0).normal(size=(6, 2))
    score = score_many(X, [np.array(labels)])[0][name]
    assert (score.value, score.status, score.n_scored, score.coverage) == (
        None,
        status,
        n_scored,
        n_scored / 6,
    )


@pytest.mark.parametrize("name", [score.name for score in definitions()])
def test_the_bounds_of_k_are_two_and_n_minus_one(name):
    X = np.random.default_rng(0).normal(size=(6, 2))
    two, most = score_many(X, [np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 4, 4])])
    assert two[name].status is most[name].status is Status.OK


def test_score_many_keeps_the_order_and_checks_the_shapes():
    X = np.random.default_rng(0).normal(size=(30, 3))
    partitions = [np.arange(30) % k for k in (3, 1, 2)]
    scores = score_many(X, partitions)
    assert [each["silhouette"].status for each in scores] == ["ok", "single_cluster", "ok"]
    assert scores[2] == score_many(X, partitions[2:])[0]
    assert score_many(X, []) == []
    with pytest.raises(ValueError, match="partition 1 labels 29 customers, the space has 30"):
        score_many(X, [partitions[0], partitions[0][1:]])
    with pytest.raises(ValueError, match="finite"):
        score_many(np.where(X > 1, np.nan, X), partitions)


def test_importing_the_scores_needs_numpy_only():
    code = (
        "import sys, segkit.scoring as s; s.definitions();"
        "import segkit.scoring.stability, segkit.scoring.agreement;"
        "heavy = {'scipy', 'sklearn', 'pandas', 'numba', 'hdbscan', 'dask'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
