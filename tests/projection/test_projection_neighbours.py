"""The shared neighbour search against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from segkit.projection import neighbours as module
from segkit.projection.neighbours import Neighbours, descend, ladder, search


def brute_force(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole-number points: every squared distance is exact, so is the order."""
    squared = ((X[:, None, :].astype(np.int64) - X[None, :, :].astype(np.int64)) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.iinfo(np.int64).max)
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return order, np.sqrt(np.take_along_axis(squared, order, axis=1))


def points(kind: str) -> np.ndarray:
    rng = np.random.default_rng(7)
    whole = {
        "scattered": rng.integers(-1000, 1000, size=(600, 6)),
        "far from the origin": rng.integers(0, 50, size=(600, 6)) + 10_000_000,
        "many ties": rng.integers(0, 3, size=(600, 3)),
        "four places": rng.integers(0, 2, size=(600, 2)),
        "identical rows": np.repeat(rng.integers(0, 100, size=(3, 5)), 200, axis=0),
        "one place": np.ones((300, 4), dtype=int),
        "an outlier": np.vstack([rng.integers(0, 5, size=(500, 4)), [[10**7] * 4]]),
        "few": rng.integers(0, 9, size=(40, 3)),
        "two": np.array([[0, 1], [5, 5]]),
    }
    return whole[kind].astype(float)


KINDS = [
    "scattered",
    "far from the origin",
    "many ties",
    "four places",
    "identical rows",
    "one place",
    "an outlier",
    "few",
    "two",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 30, 128])
def test_the_search_is_exact(kind, k):
    X = points(kind)
    neighbours = search(X, k)
    indices, distances = brute_force(X, min(k, len(X) - 1))
    np.testing.assert_array_equal(neighbours.indices, indices)
    np.testing.assert_array_equal(neighbours.distances, distances)
    assert neighbours.indices.dtype == np.int32
    assert neighbours.distances.dtype == np.float64


@pytest.mark.parametrize("kind", ["scattered", "many ties", "identical rows"])
def test_the_tree_gives_the_same(kind, monkeypatch):
    X = points(kind)
    expected = search(X, 60)
    monkeypatch.setattr(module, "_KD_TREE_ROWS", 10)
    monkeypatch.setattr(module, "KD_TREE_COLUMNS", 10)
    monkeypatch.setattr(module, "_CHUNK_ROWS", 77)
    monkeypatch.setattr(module, "_CHUNK_CELLS", 1000)
    neighbours = search(X, 60)
    np.testing.assert_array_equal(neighbours.indices, expected.indices)
    np.testing.assert_array_equal(neighbours.distances, expected.distances)


def test_the_same_as_scikit_learn():
    X = np.random.default_rng(0).normal(size=(500, 4))
    distances, indices = NearestNeighbors(n_neighbors=50, algorithm="kd_tree").fit(X).kneighbors()
    neighbours = search(X, 50)
    np.testing.assert_array_equal(neighbours.indices, indices)
    np.testing.assert_allclose(neighbours.distances, distances, rtol=1e-14)


@pytest.mark.parametrize("copies", [1, 30])
def test_a_slice_does_not_depend_on_the_size_of_the_search(copies):
    X = np.repeat(np.random.default_rng(1).normal(size=(900 // copies, 17)), copies, axis=0)
    small, large, everything = (search(X, size) for size in (128, 512, 10_000))
    assert everything.k == 899
    for wider in (large, everything):
        np.testing.assert_array_equal(wider.first(128).indices, small.indices)
        np.testing.assert_array_equal(wider.first(128).distances, small.distances)


def test_duplicates_are_at_distance_zero_and_nobody_is_their_own_neighbour():
    X = np.repeat(np.random.default_rng(2).normal(size=(20, 17)) * 1e3, 10, axis=0)
    neighbours = search(X, 30)
    assert (neighbours.distances[:, :9] == 0).all()
    assert (neighbours.distances[:, 9:] > 0).all()
    assert (neighbours.indices != np.arange(200)[:, None]).all()
    assert (neighbours.indices[:, :9] // 10 == np.arange(200)[:, None] // 10).all()


@pytest.mark.parametrize(
    ("k", "size"), [(1, 128), (128, 128), (129, 256), (256, 256), (300, 512), (5000, 8192)]
)
def test_ladder(k, size):
    assert ladder(k) == size


def test_neighbours_check_themselves():
    known = search(points("few"), 5)
    with pytest.raises(ValueError, match="6 neighbours are needed and 5 are known"):
        known.first(6)
    with pytest.raises(ValueError, match="one shape"):
        Neighbours(known.indices, known.distances[:, :3])


@pytest.mark.parametrize(
    "kind", ["normal", "far away", "repeated", "extreme", "tiny", "huge", "equal"]
)
def test_a_descent_finds_nearly_all_neighbours_with_exact_distances_and_estimates_its_recall(kind):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(3000, 8))
    match kind:
        case "far away":
            X = X + 1e7
        case "repeated":
            X = X[rng.integers(0, 1500, 3000)]
        case "extreme":
            X[7, 3] = 1e14
        case "tiny":
            X = X * 1e-25
        case "huge":
            X[:, 2] = X[:, 2] * 1e60
        case "equal":
            X[:] = 3.5
    exact = search(X, 40)
    neighbours, recall = descend(X, 40)
    assert neighbours.indices.shape == (3000, 40)
    assert not (neighbours.indices == np.arange(3000)[:, None]).any()
    assert (np.sort(neighbours.indices)[:, 1:] != np.sort(neighbours.indices)[:, :-1]).all()
    true = np.sqrt(((X[:, None] - X[neighbours.indices]) ** 2).sum(axis=2))
    assert np.allclose(neighbours.distances, true, rtol=1e-9, atol=1e-40)
    share = (neighbours.distances <= exact.distances[:, -1:]).mean()
    assert share > 0.98
    assert abs(recall - share) < 0.01
    again, _ = descend(X, 40)
    assert (again.indices == neighbours.indices).all()


def test_the_recall_of_a_poor_descent_is_poor(monkeypatch):
    from pynndescent import NNDescent

    class Poor:
        def __init__(self, X, n_neighbors, **options):
            wide = NNDescent(X, n_neighbors=2 * n_neighbors, **options).neighbor_graph
            # Every second one only; a quarter of the rows not even that.
            indices = wide[0][:, ::2].copy()
            indices[::4, -3:] = -1
            self.neighbor_graph = indices, None

    monkeypatch.setattr("pynndescent.NNDescent", Poor)
    X = np.random.default_rng(7).normal(size=(2000, 7))
    neighbours, recall = descend(X, 30)
    exact = search(X, 30)
    assert (neighbours.indices[::4] == exact.indices[::4]).all()
    share = (neighbours.distances <= exact.distances[:, -1:]).mean()
    assert 0.4 < share < 0.75
    assert abs(recall - share) < 0.04
