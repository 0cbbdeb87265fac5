"""t-SNE and UMAP on shared neighbours against the plain estimators."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import openTSNE
import pytest
from sklearn.neighbors import NearestNeighbors

from segkit import projection
from segkit.errors import Infeasible
from segkit.projection.neighbours import search

TSNE = {"_target_": "openTSNE.TSNE", "perplexity": 20, "random_state": 5}
UMAP = {"_target_": "umap.UMAP", "n_neighbors": 12, "min_dist": 0.05, "random_state": 5}


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    """Whole numbers: every way of summing the squared differences gives the same bits."""
    return np.random.default_rng(4).integers(0, 10**6, size=(300, 5)).astype(float)


@pytest.mark.parametrize("changes", [{}, {"perplexity": 9.5, "negative_gradient_method": "fft"}])
def test_tsne_has_the_bits_of_the_plain_estimator(changes, whole):
    arguments = {"perplexity": 20, "random_state": 5, "n_iter": 100, **changes}
    space = projection.project(
        {"_target_": "openTSNE.TSNE", **arguments}, whole, search(whole, 256)
    )
    plain = openTSNE.TSNE(neighbors="exact", n_jobs=1, **arguments).fit(whole)
    assert space.coordinates.tobytes() == np.asarray(plain).tobytes()


@pytest.mark.parametrize("config", [TSNE, UMAP], ids=["tsne", "umap"])
def test_more_neighbours_than_needed_change_nothing(config, whole):
    tight, wide = (projection.project(config, whole, search(whole, size)) for size in (60, 299))
    alone = projection.project(config, whole)
    assert tight.coordinates.tobytes() == wide.coordinates.tobytes() == alone.coordinates.tobytes()


@pytest.mark.parametrize("config", [TSNE, UMAP], ids=["tsne", "umap"])
def test_too_few_neighbours_are_an_error(config, whole):
    with pytest.raises(ValueError, match="are known"):
        projection.project(config, whole, search(whole, 10))


def plain_umap(X: np.ndarray, size: int) -> np.ndarray:
    """Call UMAP alone, with a graph of the given size by scikit-learn."""
    import umap

    distances, indices = (
        NearestNeighbors(n_neighbors=size, algorithm="kd_tree").fit(X).kneighbors(X)
    )
    assert (indices[:, 0] == np.arange(len(X))).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = (indices.astype(np.int32), distances.astype(np.float32), None)
        return umap.UMAP(
            n_neighbors=12, min_dist=0.05, random_state=5, precomputed_knn=graph, n_jobs=1
        ).fit_transform(X)


def test_umap_is_the_plain_estimator_on_the_same_graph(whole):
    space = projection.project(UMAP, whole, search(whole, 128))
    np.testing.assert_array_equal(space.coordinates, plain_umap(whole, 12).astype(np.float64))
    assert not np.allclose(space.coordinates, plain_umap(whole, 60))


@pytest.mark.parametrize("metric", ["manhattan", "cosine"])
def test_other_metrics_are_searched_by_the_estimator(metric, whole):
    config = {**TSNE, "metric": metric, "neighbors": "exact", "n_iter": 50}
    space = projection.project(config, whole, None)
    plain = openTSNE.TSNE(
        perplexity=20, random_state=5, metric=metric, neighbors="exact", n_iter=50, n_jobs=1
    ).fit(whole)
    assert space.coordinates.tobytes() == np.asarray(plain).tobytes()


def test_umap_with_another_metric_differs(whole):
    centred = whole - whole.mean(axis=0)
    spaces = [
        projection.project({**UMAP, "metric": metric}, centred)
        for metric in ("euclidean", "cosine")
    ]
    assert not np.allclose(spaces[0].coordinates, spaces[1].coordinates)


def test_the_seed_matters(whole):
    for config in (TSNE, UMAP):
        one, two = (projection.project({**config, "random_state": seed}, whole) for seed in (1, 2))
        assert not np.allclose(one.coordinates, two.coordinates)


@pytest.mark.parametrize("config", [TSNE, UMAP], ids=["tsne", "umap"])
def test_duplicated_customers_are_projected(config):
    X = np.repeat(np.random.default_rng(0).normal(size=(40, 4)), 5, axis=0)
    assert np.isfinite(projection.project(config, X).coordinates).all()


def test_customers_without_coordinates_are_counted():
    X = np.vstack([np.random.default_rng(0).normal(size=(60, 3)), [[1e3, 1e3, 1e3]]])
    with pytest.raises(Infeasible, match="gave 1 customers no finite coordinates"):
        projection.project({**UMAP, "disconnection_distance": 50.0}, X)


def test_nothing_is_printed(whole, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        projection.project(UMAP, whole)
        projection.project({**TSNE, "n_iter": 50}, whole)
    assert capfd.readouterr() == ("", "")


FRESH = """
import hashlib, numpy as np
from segkit import projection
X = np.random.default_rng(0).normal(size=(400, 6))
config = {config!r}
print(hashlib.sha256(projection.project(config, X).coordinates.tobytes()).hexdigest())
"""


def digest(config: dict, **environment: str) -> str:
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    code = FRESH.format(config=config)
    settings = {**os.environ, **one_thread, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=settings
    ).stdout


@pytest.mark.parametrize(
    "config",
    [TSNE, {"_target_": "sklearn.decomposition.PCA", "n_components": 3}],
    ids=["tsne", "pca"],
)
def test_fresh_processes_agree(config):
    assert digest(config, PYTHONHASHSEED="1") == digest(config, PYTHONHASHSEED="2")


@pytest.mark.slow
def test_fresh_processes_agree_on_umap(tmp_path):
    """Compiled anew, and read from numba's folder of compiled code."""
    compiled, cached = (digest(UMAP, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert compiled == cached == digest(UMAP)


def repeated() -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.normal(size=(200, 4))[rng.integers(0, 200, 700)]


def answers() -> np.ndarray:
    return np.clip(np.round(np.random.default_rng(1).normal(3, 1, size=(900, 4))), 1, 5)


SPECTRAL = {"_target_": "sklearn.manifold.SpectralEmbedding", "random_state": 5}


@pytest.mark.parametrize(
    ("config", "data"),
    [
        (UMAP, repeated),
        ({**UMAP, "n_neighbors": 5}, answers),
        (SPECTRAL, repeated),
        ({**SPECTRAL, "affinity": "rbf"}, answers),
    ],
)
def test_repeated_and_whole_numbers_are_embedded_the_same_each_time(config, data):
    X = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, again = (projection.project(config, X).coordinates for _ in range(2))
    assert first.tobytes() == again.tobytes()


def test_the_eigenvectors_of_others_are_left_alone():
    import scipy.sparse.linalg

    from segkit.projection.compat import repeatable_eigenvectors

    plain = scipy.sparse.linalg.eigsh
    with pytest.raises(KeyError), repeatable_eigenvectors():
        raise KeyError
    assert scipy.sparse.linalg.eigsh is plain
