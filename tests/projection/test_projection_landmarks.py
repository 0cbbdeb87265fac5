"""Landmarks: the nearest of each customer, placing customers between them and joining them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs

from segkit.projection.landmarks import NEAREST, joined, nearest, placed


@pytest.fixture(params=[2, 12], ids=["tree", "brute"])
def space(request):
    return np.random.default_rng(0).normal(size=(400, request.param))


@pytest.fixture
def rows():
    return np.sort(np.random.default_rng(1).choice(400, 60, replace=False))


def test_the_nearest_landmarks_are_those_of_the_whole_distance_matrix(space, rows):
    landmarks = nearest(space, rows)
    distances = cdist(space, space[rows])
    distances[rows, np.arange(len(rows))] = np.inf
    expected = np.argsort(distances, axis=1)[:, :NEAREST]
    assert np.array_equal(landmarks.indices, expected)
    assert np.allclose(landmarks.distances, np.take_along_axis(distances, expected, 1), rtol=1e-5)


def test_a_landmark_is_not_its_own_neighbour_even_among_duplicates():
    space = np.repeat(np.arange(5.0), 8)[:, None]
    rows = np.arange(0, 40, 2)
    landmarks = nearest(space, rows)
    assert (landmarks.indices[rows] != np.arange(len(rows))[:, None]).all()
    assert (landmarks.distances[:, 0] == 0).all()


def test_two_landmarks_are_enough():
    landmarks = nearest(np.arange(6.0)[:, None], np.array([0, 5]))
    assert landmarks.indices[:, 0].tolist() == [1, 0, 0, 1, 1, 0]


def test_everybody_is_placed_by_inverse_distance_and_landmarks_stay(space, rows):
    coordinates = np.random.default_rng(2).normal(size=(len(rows), 3))
    landmarks = nearest(space, rows)
    everybody, _ = placed(coordinates, landmarks)
    assert np.array_equal(everybody[rows], coordinates)
    other = np.setdiff1d(np.arange(400), rows)[7]
    weights = 1 / landmarks.distances[other].astype(float)
    expected = weights @ coordinates[landmarks.indices[other]] / weights.sum()
    assert np.allclose(everybody[other], expected, rtol=1e-5)


def test_one_who_coincides_with_landmarks_is_placed_on_them():
    space = np.array([0.0, 0.0, 0.0, 1.0, 2.0])[:, None]
    everybody, _ = placed(np.array([[1.0], [3.0], [9.0]]), nearest(space, np.array([0, 1, 4])))
    assert everybody[2, 0] == pytest.approx(2.0)


def test_placing_is_judged_by_leaving_landmarks_out():
    rng = np.random.default_rng(3)
    line = np.linspace(0, 1, 500)[:, None]
    rows = np.arange(0, 500, 5)
    smooth, noise = (
        placed(line[rows] ** 2, nearest(line, rows))[1],
        placed(rng.normal(size=(100, 1)), nearest(line, rows))[1],
    )
    assert smooth > 0.99
    assert noise < 0.2


def test_everybody_joins_the_nearest_landmark(space, rows):
    labels = np.random.default_rng(4).integers(-1, 3, len(rows))
    everybody, _ = joined(labels, nearest(space, rows))
    expected = labels[cdist(space, space[rows]).argmin(axis=1)]
    assert np.array_equal(everybody, expected)


def test_joining_is_judged_by_leaving_landmarks_out():
    space, truth = make_blobs(600, centers=[[0, 0], [20, 0], [0, 20]], random_state=0)
    rows = np.arange(0, 600, 4)
    landmarks = nearest(space, rows)
    labels, agreement = joined(truth[rows], landmarks)
    assert agreement == 1.0
    assert np.array_equal(labels, truth)
    shuffled = np.random.default_rng(0).integers(0, 3, len(rows))
    assert joined(shuffled, landmarks)[1] < 0.5
