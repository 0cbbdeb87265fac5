from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

import segkit.clustering
from segkit.clustering import canonical, dbscan, fit_many
from segkit.clustering.dbscan_kernel import label_many


def config(eps, min_samples, **given):
    return {"_target_": "sklearn.cluster.DBSCAN", "eps": eps, "min_samples": min_samples, **given}


def labels(X, *pairs):
    return [
        partition.labels.tolist()
        for partition in fit_many(np.array(X, dtype=float), [config(*pair) for pair in pairs])
    ]


def spreads(X):
    """Radii from where hardly anybody has a neighbour to where everybody is everybody's."""
    distances = np.linalg.norm(X[:100, None] - X[None], axis=2)
    inner = np.quantile(distances[distances > 0], [0.001, 0.01, 0.05, 0.2, 0.6])
    return [*map(float, inner), float(distances.max() * 2.1)]


def assert_like_plain(X, pairs, **given):
    expected = {
        pair: DBSCAN(eps=pair[0], min_samples=pair[1], **given).fit(X).labels_ for pair in pairs
    }
    for pair, partition in zip(pairs, fit_many(X, [config(*pair) for pair in pairs]), strict=True):
        assert (partition.labels == canonical(expected[pair])).all(), pair
    numbered = {(eps, least): partition for eps, least, partition in label_many(X, pairs)}
    assert all(
        (numbered[pair] == expected[pair]).all() for pair in pairs
    )  # scikit-learn's own numbers, too


def test_every_radius_and_density_is_the_plain_estimators(X):
    # beyond 15 columns scikit-learn takes distances from a matrix product, which is not exact at
    # ties
    given = {"algorithm": "kd_tree"} if X.shape[1] > 15 else {}
    pairs = [(eps, least) for eps in spreads(X) for least in (1, 2, 5, 10, 30, 1000)]
    assert_like_plain(X, pairs, **given)


def test_distances_of_exactly_the_radius_count(X):
    whole = np.round(X * 2)
    assert_like_plain(whole, [(eps, least) for eps in (1.0, 2.0, 3.0, 5.0) for least in (2, 4, 12)])


def test_a_space_far_from_the_origin(X):
    far = X + 1e6
    assert_like_plain(far, [(eps, 5) for eps in spreads(far)], algorithm="kd_tree")


def test_real_customers(card_sample):
    assert_like_plain(
        card_sample, [(eps, m) for eps in (0.3, 0.5, 0.8, 1.2, 2.0, 3.0) for m in (4, 10)]
    )


def test_a_drawn_subset_is_clustered_like_any_other_space(card_sample):
    rows = np.unique(np.random.default_rng(1).integers(0, 1500, 1500))
    assert_like_plain(card_sample[rows], [(eps, 10) for eps in (0.8, 1.2, 2.0)])


def test_a_border_customer_of_two_clusters_joins_the_first():
    left, right, between = [[-0.3], [-0.2], [-0.1]], [[2.1], [2.2], [2.3]], [[1.0]]
    pair = (1.15, 4)
    assert labels([*left, *right, *between], pair) == [[0, 0, 0, 1, 1, 1, 0]]
    assert labels([*right, *left, *between], pair) == [[0, 0, 0, 1, 1, 1, 0]]
    assert labels([*between, *right, *left], pair) == [[0, 0, 0, 0, 1, 1, 1]]


def test_borders_between_many_clusters(X):
    """Dense lattices of clusters with customers in the gaps, in an order that has nothing to do
    with place."""
    rng = np.random.default_rng(len(X))
    centres = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), -1).reshape(-1, 2)
    dense = np.repeat(centres, 9, axis=0) + rng.normal(size=(324, 2)) * 0.08
    space = rng.permutation(np.vstack([dense, rng.uniform(-1, 6, size=(120, 2))]))
    assert_like_plain(space, [(eps, least) for eps in (0.2, 0.3, 0.4, 0.5) for least in (6, 9, 12)])


def test_all_noise_one_cluster_and_everybody_a_core():
    X = [[0.0], [1.0], [2.0], [3.0]]
    assert labels(X, (0.5, 2), (10.0, 4), (0.5, 1), (10.0, 5)) == [
        [-1] * 4,
        [0] * 4,
        [0, 1, 2, 3],
        [-1] * 4,
    ]


def test_coinciding_customers():
    assert labels(np.zeros((6, 3)), (0.1, 6), (1e-300, 3), (0.1, 7)) == [[0] * 6, [0] * 6, [-1] * 6]


def test_one_customer():
    assert labels([[1.0, 2.0]], (1.0, 1), (1.0, 2)) == [[0], [-1]]


def test_the_company_does_not_matter(X):
    pairs = [(eps, least) for eps in spreads(X) for least in (3, 12)]
    together = labels(X, *pairs)
    assert together == [labels(X, pair)[0] for pair in pairs]


def test_many_radii_at_once(X):
    radii = np.linspace(0.05, 1.2, 24) * np.linalg.norm(X.std(axis=0))
    given = {"algorithm": "kd_tree"} if X.shape[1] > 15 else {}
    assert_like_plain(X, [(float(eps), least) for eps in radii for least in (5, 40)], **given)


def test_memory_is_bounded():
    X = np.random.default_rng(0).normal(size=(2000, 5))
    for given in ({}, {"metric": "manhattan"}):
        fit_many(X[:50], [config(9.0, 5, **given)])  # compiled
        tracemalloc.start()
        fit_many(X, [config(9.0, 5, **given)])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak <= dbscan.memory(config(9.0, 5, **given), *X.shape)


@pytest.mark.parametrize(
    "given", [{"metric": "manhattan"}, {"metric": "minkowski", "p": 1.5}, {"metric": "cosine"}]
)
def test_other_metrics_are_the_plain_estimators(X, given):
    partitions = fit_many(X, [config(0.4, 5, **given), config(0.4, 5)])
    assert (
        partitions[0].labels == canonical(DBSCAN(eps=0.4, min_samples=5, **given).fit_predict(X))
    ).all()
    assert (partitions[1].labels == canonical(DBSCAN(eps=0.4, min_samples=5).fit_predict(X))).all()


def test_a_wrong_value_fails_as_the_plain_estimator_does():
    wrong, fine = fit_many(np.zeros((4, 1)), [config(-1.0, 2), config(1.0, 2)])
    assert "eps" in str(wrong)
    assert fine.labels.tolist() == [0] * 4


def test_published_noise(card_customers):
    partition = fit_many(card_customers, [config(2.5, 8)])[0].labels
    assert (partition.max(), (partition == -1).sum()) == (0, 369)


def test_kernels_work_where_nothing_can_be_written(tmp_path):
    """A package in a read-only place, with no home to keep compiled code in."""
    package = Path(segkit.clustering.__file__).parents[1]
    shutil.copytree(package, tmp_path / "segkit", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "segkit" / "clustering" / "__pycache__").write_text("in the way of a folder")
    (tmp_path / "file").touch()
    script = (
        "import numpy as np, segkit\nfrom segkit.clustering.dbscan_kernel import"
        " label_many\nprint(segkit.__file__, [labels.tolist() for *_, labels in"
        " label_many(np.zeros((3, 1)), [(1.0, 2)])])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"HOME": str(tmp_path / "file"), "XDG_CACHE_HOME": str(tmp_path / "file")}
    command = [sys.executable, "-c", script]
    process = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True
    )
    assert process.stdout.strip() == f"{tmp_path / 'segkit' / '__init__.py'} [[0, 0, 0]]"


def test_what_is_usual_is_what_the_class_has():
    assert dbscan._DEFAULTS.items() <= DBSCAN().get_params().items()
    assert set(DBSCAN().get_params()) == {*dbscan._DEFAULTS, *dbscan._FREE}
