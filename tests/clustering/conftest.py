"""Spaces on which every family is compared with its plain estimator."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def _blobs(rng, n, d):
    return rng.normal(size=(6, d))[rng.integers(0, 6, n)] * 4 + rng.normal(size=(n, d))


def _cloud(rng, n, d):
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d))


def _tied(rng, n, d):
    return np.round(_blobs(rng, n, d) / 2)


def _stretched(rng, n, d):
    return _blobs(rng, n, d) * np.linspace(0.2, 3, d)


def _duplicated(rng, n, d):
    return _blobs(rng, n // 4, d)[rng.integers(0, n // 4, n)]


RECIPES = {
    "blobs-1": (_blobs, 300, 1),
    "blobs-2": (_blobs, 800, 2),
    "blobs-17": (_blobs, 400, 17),
    "cloud-5": (_cloud, 500, 5),
    "cloud-17": (_cloud, 300, 17),
    "tied-1": (_tied, 300, 1),
    "tied-2": (_tied, 400, 2),
    "tied-5": (_tied, 400, 5),
    "tied-17": (_tied, 200, 17),
    "stretched-2": (_stretched, 500, 2),
    "stretched-5": (_stretched, 400, 5),
    "duplicated-2": (_duplicated, 400, 2),
    "duplicated-5": (_duplicated, 300, 5),
}


@pytest.fixture(params=list(RECIPES))
def X(request):
    recipe, n, d = RECIPES[request.param]
    return np.ascontiguousarray(recipe(np.random.default_rng(7), n, d))


@pytest.fixture(scope="session")
def card_customers(cc_general_csv):
    """All 17 features of the real customers, medians for missing values, standardised."""
    import pandas as pd
    from sklearn.preprocessing import StandardScaler

    frame = pd.read_csv(cc_general_csv).drop(columns="CUST_ID")
    return np.ascontiguousarray(StandardScaler().fit_transform(frame.fillna(frame.median())))


@pytest.fixture
def card_sample(card_customers):
    rows = np.random.default_rng(3).choice(len(card_customers), 1500, replace=False)
    return card_customers[np.sort(rows)]
