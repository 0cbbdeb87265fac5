"""Every option of conf/projection, principal components, and what is not possible."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA, FastICA
from sklearn.preprocessing import StandardScaler

from segkit import projection, targets
from segkit.errors import Infeasible, UsageError

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "projection"
OPTIONS = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def option(name: str, **changes: object) -> dict:
    """Read an option as it is after composition."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").replace("${seed}", "42")
    return {**yaml.safe_load(text), **changes}


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    return make_blobs(n_samples=240, n_features=6, centers=4, random_state=3)[0]


def test_the_folder_is_seen():
    assert {"none", "pca", "tsne", "umap"} <= set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_projects(name, blobs):
    config = option(name)
    targets.check(config, "projection")
    before = blobs.copy()
    space = projection.project(config, blobs)
    width = blobs.shape[1] if projection.is_identity(config) else config["n_components"]
    assert space.coordinates.shape == (len(blobs), width)
    assert space.coordinates.dtype == np.float64
    assert space.coordinates.flags.c_contiguous
    assert np.isfinite(space.coordinates).all()
    np.testing.assert_array_equal(blobs, before)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_repeats_itself(name, blobs):
    first, second = (projection.project(option(name), blobs) for _ in range(2))
    assert first.coordinates.tobytes() == second.coordinates.tobytes()
    assert first.figures == second.figures


@pytest.mark.parametrize("name", OPTIONS)
def test_warming_an_option_leaves_its_result_as_it_is(name, blobs):
    before = projection.project(option(name), blobs).coordinates
    projection.warm(option(name))
    assert projection.project(option(name), blobs).coordinates.tobytes() == before.tobytes()


@pytest.mark.parametrize("name", OPTIONS)
def test_every_parameter_that_could_decide_the_result_is_in_the_file(name):
    """What is left out is about speed, reporting, new points or labels, or is filled in by the
    project."""
    left_out = {
        "none": set(targets.defaults(option("none"))),
        "pca": {"copy"},
        "tsne": {
            "n_jobs",
            "metric_params",
            "knn_kwargs",
            "callbacks",
            "callbacks_every_iters",
            "verbose",
        },
        "umap": {
            *(
                "metric_kwds",
                "output_metric",
                "output_metric_kwds",
                "low_memory",
                "n_jobs",
                "verbose",
            ),
            *(
                "transform_queue_size",
                "transform_seed",
                "transform_mode",
                "angular_rp_forest",
                "tqdm_kwds",
            ),
            *(
                "target_n_neighbors",
                "target_metric",
                "target_metric_kwds",
                "target_weight",
                "unique",
            ),
            *("force_approximation_algorithm", "output_dens", "precomputed_knn"),
        },
    }
    missing = set(targets.defaults(option(name))) - set(option(name))
    assert missing == left_out.get(name, missing)


@pytest.mark.parametrize("name", ["generic", "pca", "tsne", "umap"])
def test_every_family_answers_the_same_questions(name):
    family = import_module(f"segkit.projection.{name}")
    for question in ("neighbours_needed", "infeasible", "memory", "project"):
        expected = list(signature(getattr(projection.Family, question)).parameters)[1:]
        assert list(signature(getattr(family, question)).parameters) == expected
    assert isinstance(family.SCALES, bool)


def test_no_projection_is_the_matrix_itself(blobs):
    space = projection.project(option("none"), blobs)
    np.testing.assert_array_equal(space.coordinates, blobs)
    assert projection.is_identity(option("none"))
    assert not projection.is_identity(option("pca"))


@pytest.mark.parametrize("components", [1, 3, 6, 0.9])
def test_principal_components_are_those_of_scikit_learn(components, blobs):
    space = projection.project(option("pca", n_components=components), blobs)
    plain = PCA(n_components=components, svd_solver="full").fit(blobs)
    np.testing.assert_array_equal(space.coordinates, plain.fit_transform(blobs))
    values = np.sort(np.linalg.eigvalsh(np.cov(blobs.T)))[::-1]
    share = values[: space.coordinates.shape[1]].sum() / values.sum()
    assert space.figures["explained_variance"] == pytest.approx(share, rel=1e-12)


def test_published_shares_of_the_card_customers(cc_general_csv):
    frame = pd.read_csv(cc_general_csv).drop(columns="CUST_ID")
    X = StandardScaler().fit_transform(frame.fillna(frame.median()))
    one, two = (projection.project(option("pca", n_components=k), X).figures for k in (1, 2))
    first = one["explained_variance"]
    assert f"{first:.2%}" == "27.30%"
    assert f"{two['explained_variance'] - first:.2%}" == "20.31%"


def test_any_other_allowed_transformer(blobs):
    config = {"_target_": "sklearn.decomposition.FastICA", "n_components": 2, "random_state": 1}
    space = projection.project(config, blobs)
    expected = FastICA(n_components=2, random_state=1).fit_transform(blobs)
    np.testing.assert_array_equal(space.coordinates, expected)
    assert space.figures == {}
    with pytest.raises(UsageError, match="DBSCAN has no fit_transform"):
        projection.project({"_target_": "sklearn.cluster.DBSCAN"}, blobs)


@pytest.mark.parametrize(
    ("name", "changes", "n", "needed"),
    [
        ("none", {}, 100, None),
        ("pca", {}, 100, None),
        ("umap", {}, 100, 14),
        ("umap", {"n_neighbors": 50}, 8950, 49),
        ("umap", {"metric": "manhattan"}, 100, None),
        ("tsne", {}, 8950, 90),
        ("tsne", {"perplexity": 12.5}, 8950, 37),
        ("tsne", {}, 60, 59),
        ("tsne", {"metric": "cosine"}, 100, None),
    ],
)
def test_neighbours_needed(name, changes, n, needed):
    assert projection.neighbours_needed(option(name, **changes), n) == needed


@pytest.mark.parametrize(
    ("name", "changes", "n", "d", "reason"),
    [
        ("pca", {"n_components": 5}, 100, 4, "n_components = 5 needs at least 5 features"),
        ("pca", {"n_components": 5}, 4, 10, "n_components = 5 needs at least 5 customers"),
        ("pca", {"n_components": 5}, 4, None, "n_components = 5 needs at least 5 customers"),
        (
            "umap",
            {"n_neighbors": 50},
            50,
            4,
            "n_neighbors = 50 needs more than 50 customers; there are 50",
        ),
        ("umap", {"n_neighbors": 2, "n_components": 5}, 6, 9, "needs more than 6 customers"),
        ("umap", {"min_dist": 2.0}, 500, 4, "min_dist = 2 is larger than spread = 1"),
        (
            "umap",
            {"init": "pca", "n_components": 5},
            500,
            4,
            "cannot start from the principal components",
        ),
        ("tsne", {}, 90, 4, "perplexity = 30 needs 90 neighbours; there are 90 customers"),
        ("tsne", {"n_components": 2}, 500, 1, "cannot start from the principal components"),
        ("tsne", {"n_components": 3}, 10_000, 5, "bh"),
    ],
)
def test_what_is_not_possible_says_why(name, changes, n, d, reason):
    config = option(name, **changes)
    assert reason in projection.infeasible(config, n, d)
    if d is not None and n < 1000:
        with pytest.raises(Infeasible):
            projection.project(config, np.random.default_rng(0).normal(size=(n, d)))


@pytest.mark.parametrize(
    ("name", "changes", "n", "d"),
    [
        ("pca", {"n_components": 4}, 5, 4),
        ("pca", {"n_components": 0.5}, 5, 4),
        ("umap", {"n_neighbors": 5}, 6, 3),
        ("umap", {"n_neighbors": 2}, 4, 3),
        ("tsne", {"perplexity": 3}, 10, 3),
        ("tsne", {"n_components": 3, "perplexity": 5}, 60, 3),
    ],
)
def test_the_smallest_data_that_is_possible(name, changes, n, d):
    config = option(name, **changes)
    assert projection.infeasible(config, n, d) is None
    space = projection.project(config, np.random.default_rng(0).normal(size=(n, d)))
    assert len(space.coordinates) == n
