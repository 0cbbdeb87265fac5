from __future__ import annotations

import json
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.cluster import KMeans

from segkit.errors import Infeasible
from segkit.scoring.contract import Status
from segkit.scoring.prediction_strength import (
    SUPPORTED,
    PredictionStrength,
    predict_pairs,
    prediction_strength_many,
    split,
)


def kmeans(k):
    parameters = {
        "n_init": 3,
        "max_iter": 300,
        "tol": 0.0001,
        "algorithm": "lloyd",
        "random_state": 42,
    }
    return {
        "_target_": "sklearn.cluster.KMeans",
        "n_clusters": k,
        "init": "k-means++",
        **parameters,
    }


def clustered_with(monkeypatch, answer):
    """Let `answer(X, config)` stand in for the clusterers."""

    def fit_many(X, configs):
        labels = [answer(X, config) for config in configs]
        return [
            each if isinstance(each, Exception) else SimpleNamespace(labels=each) for each in labels
        ]

    monkeypatch.setattr("segkit.clustering.fit_many", fit_many)


def shares_by_pairs(train, train_labels, test, test_labels):
    """The definition, pair by pair."""
    centroids = [train[train_labels == c].mean(axis=0) for c in range(train_labels.max() + 1)]
    goes_to = [int(np.argmin([np.linalg.norm(x - c) for c in centroids])) for x in test]
    shares = []
    for cluster in range(test_labels.max() + 1):
        pairs = list(combinations(np.flatnonzero(test_labels == cluster), 2))
        together = sum(goes_to[i] == goes_to[j] for i, j in pairs)
        shares.append(together / len(pairs) if pairs else np.nan)
    return shares


def blobs(n, apart, seed=0):
    rng = np.random.default_rng(seed)
    corners = apart * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])
    return rng.permutation(np.repeat(corners, n // 5, axis=0) + rng.normal(size=(n, 3)))


def test_splits_are_halves_that_belong_to_the_identity_and_the_index():
    first, second = split("customers", 2, 101)
    assert (len(first), len(second)) == (50, 51)
    assert np.array_equal(np.sort(np.r_[first, second]), np.arange(101))
    assert (np.diff(first) > 0).all()
    assert np.array_equal(first, split("customers", 2, 101)[0])
    for other in (split("customers", 3, 101), split("others", 2, 101)):
        assert not np.array_equal(first, other[0])


@pytest.mark.parametrize("seed", range(30))
def test_shares_of_pairs_by_definition(seed):
    rng = np.random.default_rng(seed)
    train, test = rng.normal(size=(40, 3)), rng.normal(size=(35, 3))
    a, b = rng.integers(-1, 4, size=40), rng.integers(-1, 5, size=35)
    a[:4], b[:5] = range(4), range(5)
    assert predict_pairs(train, a, test, b) == pytest.approx(
        shares_by_pairs(train, a, test, b), nan_ok=True
    )


def test_shares_of_pairs_in_closed_form():
    train = np.array([[0.0], [2], [10], [12], [500]])  # centroids 1 and 11; the boundary is at 6
    test = np.array([[0.0], [1], [7], [8], [9], [5], [20], [-900]])
    shares = predict_pairs(
        train, np.array([0, 0, 1, 1, -1]), test, np.array([0, 0, 0, 0, 1, 1, 2, -1])
    )
    assert shares == pytest.approx([2 / 6, 0, np.nan], nan_ok=True)


def test_the_strength_is_the_least_share_each_way_in_each_split():
    X = blobs(90, 3)
    (strength,) = prediction_strength_many(X, [kmeans(4)], "by definition", splits=3)
    expected = np.empty((3, 2))
    for index in range(3):
        halves = [X[rows] for rows in split("by definition", index, 90)]
        a, b = (KMeans(4, n_init=3, random_state=42).fit_predict(half) for half in halves)
        expected[index] = (
            np.nanmin(shares_by_pairs(halves[0], a, halves[1], b)),
            np.nanmin(shares_by_pairs(halves[1], b, halves[0], a)),
        )
    assert np.abs(strength.strengths - expected).max() < 1e-12
    summary = strength.summary()
    assert summary["prediction_strength"] == pytest.approx(expected.mean())
    assert summary["prediction_strength_sd"] == pytest.approx(expected.mean(axis=1).std(ddof=1))


def test_strong_groups_are_predicted_and_a_single_cloud_is_not():
    strong = prediction_strength_many(blobs(400, 20), [kmeans(k) for k in (3, 5, 8)], "groups")
    cloud = prediction_strength_many(blobs(400, 0), [kmeans(5)], "cloud")[0]
    assert strong[1].summary()["prediction_strength"] == 1.0
    assert strong[1].summary()["prediction_strength_sd"] == 0.0
    assert strong[2].summary()["prediction_strength"] < SUPPORTED
    assert cloud.summary()["prediction_strength"] < 0.5
    assert cloud.summary()["prediction_strength_splits_valid"] == 5


def test_a_configuration_has_the_same_strength_alone_and_with_others():
    X = blobs(150, 3)
    together = prediction_strength_many(X, [kmeans(2), kmeans(5), kmeans(3)], "x", splits=2)
    alone = [prediction_strength_many(X, [kmeans(k)], "x", splits=2)[0] for k in (2, 5, 3)]
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.strengths, other.strengths)


def test_noise_is_left_out_on_both_sides():
    X = np.r_[blobs(200, 20), np.random.default_rng(1).uniform(-300, 300, size=(40, 3))]
    tree = {"_target_": "sklearn.cluster.DBSCAN", "eps": 3.0, "min_samples": 8}
    (strength,) = prediction_strength_many(X, [tree], "noise")
    assert strength.summary()["prediction_strength"] == 1.0


@pytest.mark.parametrize(
    ("first", "second", "statuses"),
    [
        ([-1] * 6, [0, 0, 0, 1, 1, 1], ("all_noise", "all_noise")),
        ([0] * 6, [0, 0, 0, 1, 1, 1], ("single_cluster", "ok")),
        ([0] * 6, [0] * 6, ("single_cluster", "single_cluster")),
        ([0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 4, 5], ("too_many_clusters", "ok")),
    ],
)
def test_directions_without_a_value(monkeypatch, first, second, statuses):
    X = np.arange(12.0)[:, None]
    halves = split("s", 0, 12)
    answers = {
        X[rows].tobytes(): np.array(labels)
        for rows, labels in zip(halves, (first, second), strict=True)
    }
    clustered_with(monkeypatch, lambda half, config: answers[half.tobytes()])
    (strength,) = prediction_strength_many(X, [{}], "s", splits=1)
    assert strength.statuses == (statuses,)
    assert np.isnan(strength.strengths[0]).tolist() == [status != "ok" for status in statuses]
    summary = json.loads(json.dumps(strength.summary(), allow_nan=False))
    assert (summary["prediction_strength"] is None) == ("ok" not in statuses)


def test_a_half_that_is_too_small_has_no_value():
    few, many = prediction_strength_many(blobs(30, 20), [kmeans(5), kmeans(16)], "small")
    assert few.status == Status.OK
    assert many.summary() == {
        "prediction_strength": None,
        "prediction_strength_sd": None,
        "prediction_strength_status": "not_feasible",
        "prediction_strength_splits_valid": 0,
    }


def test_another_failure_takes_the_place_of_the_result(monkeypatch):
    failure = ArithmeticError("did not converge")
    answers = {"bad": failure, "small": Infeasible("too few"), "good": np.array([0, 0, 1, 1])}
    clustered_with(monkeypatch, lambda X, config: answers[config["name"]])
    X = np.arange(8.0)[:, None]
    bad, small, good = prediction_strength_many(
        X, [{"name": name} for name in answers], "f", splits=2
    )
    assert bad is failure
    assert (small.status, good.status) == (Status.NOT_FEASIBLE, Status.OK)


def test_the_summary_is_over_the_splits_that_have_a_value():
    none = float("nan")
    statuses = (("ok", "ok"), ("ok", "single_cluster"), ("all_noise", "all_noise"))
    strength = PredictionStrength(np.array([[0.6, 0.8], [0.9, none], [none, none]]), statuses)
    assert strength.per_split == pytest.approx([0.7, 0.9])
    assert strength.summary() == {
        "prediction_strength": pytest.approx(0.8),
        "prediction_strength_sd": pytest.approx(np.sqrt(0.02)),
        "prediction_strength_status": "ok",
        "prediction_strength_splits_valid": 2,
    }


def test_no_split_is_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        prediction_strength_many(blobs(30, 20), [kmeans(2)], "none", splits=0)
