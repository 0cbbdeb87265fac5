"""What is relied on inside other libraries; each failure names what an upgrade has changed."""

from __future__ import annotations

import inspect
import sys
import warnings
from importlib import import_module
from importlib.metadata import version

import numpy as np
import openTSNE
import pytest
import scipy.sparse.linalg
import umap

from segkit import projection
from segkit.projection import compat
from segkit.projection import tsne as tsne_family
from segkit.projection import umap as umap_family
from segkit.projection.neighbours import search
from segkit.projection.shared import Memo

UMAP = {"_target_": "umap.UMAP", "n_neighbors": 10, "n_epochs": 20, "random_state": 2}


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    """Whole numbers, whose distances are exact in whatever way they are summed."""
    return np.random.default_rng(4).integers(0, 10**6, size=(200, 5)).astype(float)


@pytest.fixture
def another_release(monkeypatch):
    """An umap-learn whose inside nobody has looked at."""
    monkeypatch.setattr(compat, "version", lambda name: {"umap-learn": "0.6.0"}[name])
    compat.knows_umap.cache_clear()
    yield
    compat.knows_umap.cache_clear()


def umap_parts() -> list[object]:
    module = import_module(compat.UMAP_MODULE)
    return [getattr(module, part) for part in compat.UMAP_SHARED_PARTS]


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_installed_releases_are_those_whose_inside_is_known():
    known = {"umap-learn": "0.5.", "openTSNE": "1.0.", "scikit-learn": "1.", "scipy": "1."}
    unknown = [name for name, release in known.items() if not version(name).startswith(release)]
    assert not unknown, "compare what segkit/projection/compat.py says of these libraries"
    assert compat.knows_umap()


@pytest.mark.parametrize(
    ("part", "known"),
    [
        ("fuzzy_simplicial_set", ["X", "n_neighbors", "random_state", "metric", "metric_kwds"]),
        ("spectral_layout", ["data", "graph", "dim", "random_state", "metric"]),
        ("tswspectral_layout", ["data", "graph", "dim", "random_state", "metric"]),
    ],
)
def test_the_shared_parts_of_umap_begin_with_the_known_parameters(part, known):
    assert part in compat.UMAP_SHARED_PARTS
    function = getattr(import_module(compat.UMAP_MODULE), part)
    assert parameters(function)[: len(known)] == known


@pytest.mark.parametrize("init", ["spectral", "tswspectral"])
def test_umap_looks_its_parts_up_by_name(init, whole, monkeypatch):
    module = import_module(compat.UMAP_MODULE)
    called = []

    def counting(name, function):
        def count(*positional, **named):
            called.append(name)
            return function(*positional, **named)

        return count

    for part in compat.UMAP_SHARED_PARTS:
        monkeypatch.setattr(module, part, counting(part, getattr(module, part)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        umap.UMAP(n_neighbors=10, n_epochs=2, init=init, random_state=0).fit(whole)
    assert called[:2] == ["fuzzy_simplicial_set", f"{init}_layout"]


def test_the_parts_of_umap_are_put_back():
    before = umap_parts()
    with compat.shared_umap_parts(Memo()):
        assert not set(umap_parts()) & set(before)
    assert umap_parts() == before
    with pytest.raises(KeyError), compat.shared_umap_parts(Memo()):
        raise KeyError
    assert umap_parts() == before


def test_of_another_release_of_umap_nothing_is_shared_and_all_is_the_same(
    whole, monkeypatch, request
):
    monkeypatch.setattr(umap_family, "_MEMO", Memo())
    expected = projection.project(UMAP, whole).coordinates
    request.getfixturevalue("another_release")
    before = umap_parts()
    with compat.shared_umap_parts(Memo()):
        assert umap_parts() == before
    assert projection.project(UMAP, whole).coordinates.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in compat.UMAP_SLOW_TO_COMPILE.items() for name in names],
)
def test_what_umap_compiles_can_be_kept_on_disk(module, name):
    function = getattr(import_module(module), name)
    assert isinstance(function.signatures, list)
    assert callable(function.enable_caching)


def test_umap_takes_neighbours_without_an_index(whole):
    assert "precomputed_knn" in parameters(umap.UMAP)
    nearest = search(whole, 9).first(9)
    graph = umap_family._graph(nearest)
    estimator = umap.UMAP(n_neighbors=10, n_epochs=2, random_state=0, precomputed_knn=graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(whole)
    assert estimator._knn_indices is graph[0]


@pytest.mark.parametrize("perplexity", [20, 9.5])
def test_joint_probabilities_are_those_of_tsne(perplexity, whole):
    plain = openTSNE.TSNE(perplexity=perplexity, neighbors="exact", n_jobs=1)
    expected = plain.prepare_initial(whole).affinities.P
    nearest = search(whole, int(3 * perplexity)).first(int(3 * perplexity))
    shared = compat.joint_probabilities(nearest.indices, nearest.distances, perplexity)
    assert shared.nnz == expected.nnz
    assert (shared != expected).nnz == 0
    assert (shared != compat.as_affinities(shared).P).nnz == 0
    assert "affinities" in parameters(openTSNE.TSNE.fit)


@pytest.mark.parametrize(
    ("family", "estimator"), [(umap_family, umap.UMAP), (tsne_family, openTSNE.TSNE)]
)
def test_every_parameter_of_a_library_has_a_constraint_that_its_default_meets(family, estimator):
    from sklearn.utils._param_validation import make_constraint

    signature = inspect.signature(estimator).parameters
    constraints = family.constraints()
    assert set(constraints) == set(signature)
    # These defaults are replaced: neighbours and the seed are given, and the output is silent.
    replaced = {"random_state", "precomputed_knn"}
    for name in set(signature) - replaced:
        default = signature[name].default
        met = [make_constraint(allowed).is_satisfied_by(default) for allowed in constraints[name]]
        assert any(met), name


def test_eigenvectors_are_seeded_wherever_they_are_asked_for():
    for name in compat.EIGSH_USERS:
        assert import_module(name).eigsh is scipy.sparse.linalg.eigsh, name
    for name in ("sklearn.decomposition", "sklearn.manifold", "umap"):
        import_module(name)
    packages = ("sklearn.decomposition.", "sklearn.manifold.", "umap.", "openTSNE.")
    loaded = {name: module for name, module in sys.modules.items() if name.startswith(packages)}
    users = {name for name, module in loaded.items() if hasattr(module, "eigsh")}
    assert users <= set(compat.EIGSH_USERS)
    with compat.repeatable_eigenvectors():
        seeded = {import_module(name).eigsh for name in compat.EIGSH_USERS}
    if "rng" in parameters(scipy.sparse.linalg.eigsh):
        assert len(seeded) == 1
        assert scipy.sparse.linalg.eigsh not in seeded
