from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans

from segkit.clustering import canonical, fit_many


def configs(ks, **given):
    given = {"n_init": 3, "random_state": 42, **given}
    return [{"_target_": "sklearn.cluster.KMeans", "n_clusters": k, **given} for k in ks]


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_labels_and_inertia_are_the_plain_estimators(X):
    for k, found in zip(range(2, 7), fit_many(X, configs(range(2, 7))), strict=True):
        plain = KMeans(k, n_init=3, random_state=42).fit(X)
        assert (found.labels == canonical(plain.labels_)).all()
        assert found.figures == {"inertia": plain.inertia_}


def test_the_company_does_not_matter(X):
    alone = fit_many(X, configs([4]))[0]
    assert (fit_many(X, configs([7, 4, 2]))[1].labels == alone.labels).all()


def test_a_drawn_subset_is_clustered_like_any_other_space(card_sample):
    rows = np.unique(np.random.default_rng(1).integers(0, 1500, 1500))
    for k, found in zip((3, 5), fit_many(card_sample[rows], configs((3, 5))), strict=True):
        plain = KMeans(k, n_init=3, random_state=42).fit(card_sample[rows])
        assert (found.labels == canonical(plain.labels_)).all()


def test_fewer_distinct_customers_than_clusters_give_fewer_clusters():
    X = np.repeat([[0.0], [1.0]], 10, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_many(X, configs([5]))[0]
    assert found.labels.tolist() == [0] * 10 + [1] * 10


def test_published_inertias(card_customers):
    found = fit_many(card_customers, configs((2, 3, 4), n_init=10))
    assert [round(partition.figures["inertia"], 2) for partition in found] == [127784.53, 111975.04, 99061.94]
