from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from segkit.clustering import canonical, fit_many, kmeans, kmeans_kernel


def configs(ks, **given):
    given = {"n_init": 3, "random_state": 42, **given}
    return [{"_target_": "sklearn.cluster.KMeans", "n_clusters": k, **given} for k in ks]


@pytest.fixture
def plain_fits(monkeypatch):
    """The configurations that were left to the plain estimator, as they come."""
    seen, plain = [], kmeans._plain
    monkeypatch.setattr(kmeans, "_plain", lambda X, config: seen.append(config) or plain(X, config))
    return seen


def assert_plain(X, ks, **given):
    """The members' labels are exactly the plain estimator's, the inertias to 1e-9."""
    for config, partition in zip(
        configs(ks, **given), fit_many(X, configs(ks, **given)), strict=True
    ):
        plain = KMeans(**{name: value for name, value in config.items() if name != "_target_"})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            plain.fit(X.copy())  # which copy_x=False lets it spoil
        assert (partition.labels == canonical(plain.labels_)).all()
        assert list(partition.figures) == ["inertia"]
        assert partition.figures["inertia"] == pytest.approx(plain.inertia_, rel=1e-9, abs=1e-20)


def noise(n, d, seed=0):
    return np.random.default_rng(seed).uniform(size=(n, d))


def test_labels_and_inertia_are_the_plain_estimators(X):
    assert_plain(X, range(1, 11))


@pytest.mark.parametrize("seed", [0, 1, 7, 2**32 - 1])
def test_several_seeds(X, seed):
    assert_plain(X, (2, 5, 9), random_state=seed)


@pytest.mark.parametrize(
    "given",
    [
        {"n_init": 1},
        {"n_init": "auto"},
        {"max_iter": 1},
        {"max_iter": 3, "n_init": 10},
        {"tol": 0.0},
        {"tol": 0.05},
        {"tol": 10},
        {"copy_x": False},
        {"algorithm": "elkan"},
        {"algorithm": "elkan", "copy_x": False},
        {"init": "random"},
    ],
    ids=str,
)
def test_options_are_honoured(given):
    space = noise(700, 5)
    assert_plain(space, (1, 2, 3, 6, 10), **given)
    assert (space == noise(700, 5)).all()


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e6, 1e20])
def test_scale_does_not_matter(scale):
    assert_plain(noise(400, 3) * scale + 5 * scale, (2, 4, 8))


@pytest.mark.parametrize("scaling", ["standard", "raw", "minmax", "ranks", "offset"])
def test_card_customers(card_sample, scaling, plain_fits):
    spread = np.geomspace(1e-2, 1e4, card_sample.shape[1])
    X = {
        "standard": card_sample,
        "raw": card_sample * spread,
        "minmax": (card_sample - card_sample.min(0)) / np.ptp(card_sample, 0),
        "ranks": card_sample.argsort(0).argsort(0) / len(card_sample),
        "offset": card_sample + 1e4,
    }[scaling]
    assert_plain(np.ascontiguousarray(X), range(2, 11))
    assert len(plain_fits) <= 1


def test_two_columns_of_the_card_customers(card_sample):
    turned = np.linalg.svd(card_sample, full_matrices=False)
    assert_plain(np.ascontiguousarray(turned[0][:, :2] * turned[1][:2]), range(2, 11), n_init=5)


def test_ties_are_left_to_the_plain_estimator(plain_fits):
    grid = np.stack(np.meshgrid(np.arange(12.0), np.arange(12.0)), axis=-1).reshape(-1, 2)
    assert_plain(grid, range(2, 11))
    assert len(plain_fits) > 4


@pytest.mark.parametrize("n", [300, 3000, 25_000])
def test_ordinary_data_are_the_kernels(n, plain_fits):
    """The largest is beyond the size up to which sums are carried on."""
    assert n < 10_000 or n > kmeans_kernel.MOST_CARRIED
    assert_plain(noise(n, 4), (2, 5, 9), n_init=2)
    assert plain_fits == []


def test_sums_are_taken_anew_or_carried_on_with_the_same_result(monkeypatch):
    carried = fit_many(noise(2000, 6), configs(range(2, 11)))
    monkeypatch.setattr(kmeans_kernel, "MOST_CARRIED", 0)
    for one, other in zip(carried, fit_many(noise(2000, 6), configs(range(2, 11))), strict=True):
        assert (one.labels == other.labels).all()
        assert one.figures == other.figures


def test_hardly_more_customers_than_clusters():
    for n in (1, 2, 3, 7, 11):
        assert_plain(noise(n, 2), range(1, n + 1))


def test_a_lone_far_customer():
    X = np.vstack([noise(300, 3), [[1e5, 0, 0]]])
    assert_plain(X, (2, 3, 5, 8))


def test_other_layouts_and_bad_values_are_the_plain_estimators(plain_fits):
    X = noise(200, 3)
    for given in (np.asfortranarray(X), X.astype(np.float32)):
        assert_plain(given, (2, 3))
    X[5, 1] = np.nan
    assert isinstance(fit_many(X, configs([2]))[0], ValueError)
    assert len(plain_fits) == 5


@pytest.mark.parametrize(
    "given", [{"n_init": 0}, {"tol": -1.0}, {"max_iter": 2.5}, {"random_state": -3}], ids=str
)
def test_impossible_values_fail_as_in_the_plain_estimator(given):
    assert isinstance(fit_many(noise(50, 2), configs([2], **given))[0], ValueError)


def test_the_company_does_not_matter(X):
    alone = fit_many(X, configs([4]))[0]
    together = fit_many(X, configs([7, 4, 2]))[1]
    assert (together.labels == alone.labels).all()
    assert together.figures == alone.figures


def test_a_drawn_subset_is_clustered_like_any_other_space(card_sample):
    rows = np.unique(np.random.default_rng(1).integers(0, 1500, 1500))
    assert_plain(card_sample[rows], (3, 5))


def test_fewer_distinct_customers_than_clusters_give_fewer_clusters():
    X = np.repeat([[0.0], [1.0]], 10, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        partition = fit_many(X, configs([5]))[0]
    assert partition.labels.tolist() == [0] * 10 + [1] * 10


def test_published_inertias(card_customers):
    partitions = fit_many(card_customers, configs((2, 3, 4), n_init=10))
    assert [round(partition.figures["inertia"], 2) for partition in partitions] == [
        127784.53,
        111975.04,
        99061.94,
    ]
