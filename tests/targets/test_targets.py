"""Which classes a configuration may name, and what their parameters may be."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from segkit import targets
from segkit.errors import UsageError

KMEANS = "sklearn.cluster.KMeans"
HEAVY = {"umap.UMAP", "openTSNE.TSNE", "hdbscan.HDBSCAN"}


def message(config: dict, where: str = "clusterer") -> str:
    with pytest.raises(UsageError) as caught:
        targets.check(config, where)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", targets.ALLOWED)
def test_every_allowed_class_is_built_by_its_name(name):
    module, _, attribute = name.rpartition(".")
    made = targets.build({"_target_": name})
    assert type(made) is getattr(sys.modules[module], attribute)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("sklearn.cluster._kmeans.KMeans", KMEANS),
        (KMEANS, KMEANS),
        ("sklearn.mixture._gaussian_mixture.GaussianMixture", "sklearn.mixture.GaussianMixture"),
        ("sklearn.decomposition._pca.PCA", "sklearn.decomposition.PCA"),
        ("openTSNE.tsne.TSNE", "openTSNE.TSNE"),
    ],
)
def test_a_class_has_one_name(alias, name):
    assert targets.class_name({"_target_": alias}) == name


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "builtins.exec",
        "joblib.load",
        "pickle.loads",
        "subprocess.Popen",
        "sklearn.cluster._kmeans.os.system",
        "sklearn.utils._joblib.joblib.load",
        "sklearn.cluster.k_means",
        "sklearn.cluster._kmeans",
        "sklearn.pipeline.Pipeline",
        "sklearn.cluster.KMeans.__init__.__globals__",
        "sklearn.nothing.here",
        "segkit.errors.UsageError",
        "KMeans",
        "..KMeans",
        "",
        None,
        3,
    ],
)
def test_anything_else_is_refused(target):
    config = {"_target_": target, "n_clusters": 3}
    assert message(config).startswith("clusterer: ")
    with pytest.raises(UsageError):
        targets.build(config)


@pytest.mark.parametrize(
    "value",
    [
        {"_target_": "os.system", "command": "true"},
        [{"_target_": "os.system", "command": "true"}],
        {"deep": [{"_target_": "builtins.eval"}]},
        {"_partial_": True, "_target_": KMEANS},
        {"_args_": [3]},
        {"_target_": KMEANS, "n_clusters": {"_target_": "joblib.load"}},
    ],
)
def test_a_nested_target_is_checked_as_well(value):
    config = {"_target_": "sklearn.cluster.Birch", "n_clusters": value}
    assert message(config).startswith("clusterer.n_clusters")
    with pytest.raises(UsageError):
        targets.build(config)


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_recursive_", "_convert_"])
def test_keys_that_steer_the_making_are_refused(key):
    assert f"clusterer.{key}" in message({"_target_": KMEANS, key: [3]})
    with pytest.raises(UsageError, match=key):
        targets.build({"_target_": KMEANS, key: [3]})


def test_a_nested_estimator_is_built():
    nested = {"_target_": KMEANS, "n_clusters": 4, "random_state": 0}
    config = {"_target_": "sklearn.cluster.Birch", "n_clusters": nested}
    targets.check(config, "clusterer")
    assert targets.build(config).n_clusters.get_params()["n_clusters"] == 4


def test_parameters_and_overrides():
    config = {"_target_": KMEANS, "n_clusters": 4, "n_init": 2}
    assert targets.parameters(config) == {"n_clusters": 4, "n_init": 2}
    made = targets.build(config, n_clusters=7)
    assert (made.n_clusters, made.n_init) == (7, 2)


def test_lists_become_tuples_where_the_class_wants_them():
    scaler = targets.build(
        {"_target_": "sklearn.preprocessing.RobustScaler", "quantile_range": [10, 90]}
    )
    assert scaler.quantile_range == (10, 90)
    assert scaler.fit([[0.0], [1.0], [2.0]]).scale_ == pytest.approx(1.6)
    centres = targets.build({"_target_": KMEANS, "n_clusters": 2, "init": [[0.0], [1.0]]}).init
    assert centres == [[0.0], [1.0]]


@pytest.mark.parametrize("key", ["func", "inverse_func"])
def test_a_function_transformer_takes_no_function(key):
    config = {"_target_": "sklearn.preprocessing.FunctionTransformer", key: "numpy.log1p"}
    assert f"scaler.{key} " in message(config, "scaler")
    with pytest.raises(UsageError, match=key):
        targets.build(config)
    targets.check({"_target_": "sklearn.preprocessing.FunctionTransformer", key: None}, "scaler")


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"_target_": "sklearn.cluster.KMean"}, ["clusterer: ", "'sklearn.cluster.KMean'", KMEANS]),
        ({"_target_": KMEANS, "n_cluster": 3}, ["clusterer.n_cluster: ", KMEANS, "'n_clusters'"]),
        ({"_target_": KMEANS, "zzz": 3}, ["clusterer.zzz: ", "allowed: n_clusters, init"]),
        (
            {"_target_": "umap.UMAP", "n_neighbours": 3},
            ["clusterer.n_neighbours: ", "'n_neighbors'"],
        ),
        ({"_target_": "openTSNE.TSNE", "perplexty": 3}, ["clusterer.perplexty: ", "'perplexity'"]),
        (
            {"_target_": "hdbscan.HDBSCAN", "min_cluster": 3},
            ["clusterer.min_cluster: ", "min_cluster_size"],
        ),
    ],
)
def test_unknown_names_get_the_nearest_one(config, parts):
    text = message(config)
    assert all(part in text for part in parts), text


@pytest.mark.parametrize(
    ("name", "parameter", "value", "rule"),
    [
        (KMEANS, "n_clusters", "three", "must be an int in the range [1, inf); given 'three'"),
        (KMEANS, "n_clusters", 0, "given 0"),
        (KMEANS, "n_clusters", 2.5, "given 2.5"),
        (KMEANS, "n_clusters", True, "given true"),
        (KMEANS, "n_clusters", None, "given null"),
        (KMEANS, "init", "best", "'k-means++', 'random' or a list of numbers; given 'best'"),
        (KMEANS, "init", ["a"], "given ['a']"),
        (KMEANS, "random_state", None, "given null"),
        (
            "sklearn.cluster.DBSCAN",
            "eps",
            0.0,
            "must be a float in the range (0.0, inf); given 0.0",
        ),
        ("sklearn.cluster.DBSCAN", "eps", float("nan"), "given nan"),
        ("sklearn.cluster.DBSCAN", "metric", "precomputed", "given 'precomputed'"),
        ("sklearn.cluster.AgglomerativeClustering", "memory", "folder", "must be null"),
        ("sklearn.preprocessing.RobustScaler", "quantile_range", 25, "must be a list; given 25"),
        ("sklearn.preprocessing.RobustScaler", "quantile_range", [75, 25], "increasing"),
        (
            "sklearn.preprocessing.RobustScaler",
            "quantile_range",
            [1, 2, 3],
            "two increasing numbers",
        ),
        (
            "sklearn.preprocessing.MinMaxScaler",
            "feature_range",
            ["a", "b"],
            "two increasing numbers",
        ),
        ("umap.UMAP", "n_neighbors", 1, "must be an int in the range [2, inf); given 1"),
        ("umap.UMAP", "n_neighbors", "many", "given 'many'"),
        ("umap.UMAP", "min_dist", -0.1, "given -0.1"),
        ("umap.UMAP", "metric", "euclid", "'euclidean'"),
        ("umap.UMAP", "precomputed_knn", [1, 2], "must be null"),
        (
            "openTSNE.TSNE",
            "perplexity",
            "thirty",
            "must be a float in the range [1.0, inf); given 'thirty'",
        ),
        ("openTSNE.TSNE", "n_components", 4, "[1, 3]"),
        ("openTSNE.TSNE", "negative_gradient_method", "fast", "'auto', 'bh', 'fft'"),
        ("hdbscan.HDBSCAN", "min_cluster_size", "ten", "given 'ten'"),
        ("hdbscan.HDBSCAN", "cluster_selection_method", "best", "'eom', 'leaf'"),
    ],
)
def test_a_value_of_the_wrong_type_or_range(name, parameter, value, rule):
    text = message({"_target_": name, parameter: value})
    assert text.startswith(f"clusterer.{parameter} ({name}): must be ")
    assert rule in text


@pytest.mark.parametrize("name", targets.ALLOWED)
def test_the_defaults_of_a_class_pass_its_own_check(name):
    """What a class does by itself is allowed, but for a result that nobody could repeat."""
    given = targets.defaults({"_target_": name})
    for parameter, value in given.items():
        if parameter not in ("random_state", "precomputed_knn"):
            plain = list(value) if isinstance(value, tuple) else value
            assert targets.check({"_target_": name, parameter: plain}, "group") is None


@pytest.mark.parametrize("name", sorted(HEAVY))
def test_a_signature_read_from_the_source_is_the_real_one(name):
    import inspect

    found = inspect.signature(type(targets.build({"_target_": name}))).parameters
    named = [key for key, item in found.items() if item.kind is item.POSITIONAL_OR_KEYWORD]
    assert list(targets.defaults({"_target_": name})) == named
    simple = {
        key: found[key].default
        for key in named
        if isinstance(found[key].default, int | float | str)
    }
    assert simple == {key: targets.defaults({"_target_": name})[key] for key in simple}


@pytest.mark.parametrize("name", sorted(HEAVY))
def test_every_parameter_of_the_heavy_classes_has_a_constraint(name):
    assert set(targets._constraints(name)) == set(targets.defaults({"_target_": name}))


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_checking_imports_nothing_heavy():
    code = """
import sys
from segkit import targets
assert not {"sklearn", "numpy", "scipy", "pandas"} & set(sys.modules)
targets.check({"_target_": "umap.UMAP", "n_neighbors": 15, "min_dist": 0.1}, "projection")
targets.check({"_target_": "openTSNE.TSNE", "perplexity": 30}, "projection")
targets.check({"_target_": "hdbscan.HDBSCAN", "min_samples": 10}, "clusterer")
print(sorted({"umap", "hdbscan", "openTSNE", "numba", "pynndescent"} & set(sys.modules)))
"""
    assert run(code).strip() == "[]"


def test_only_an_entry_point_extends_the_list(monkeypatch):
    config = {"_target_": "sklearn.cluster.FeatureAgglomeration", "n_clusters": 2}
    assert "not an allowed class" in message(config)
    entry = EntryPoint("mine", "sklearn.cluster:FeatureAgglomeration", targets.ENTRY_POINT_GROUP)
    monkeypatch.setattr(
        targets, "entry_points", lambda group: [entry] * (group == "segkit.targets")
    )
    targets._extensions.cache_clear()
    try:
        targets.check(config, "clusterer")
        assert type(targets.build(config)).__name__ == "FeatureAgglomeration"
        assert "must be an int" in message({**config, "n_clusters": "two"})
    finally:
        monkeypatch.undo()
        targets._extensions.cache_clear()
    assert "not an allowed class" in message(config)


def test_a_class_that_draws_random_numbers_needs_a_seed():
    with pytest.raises(
        UsageError, match=r"^clusterer\.random_state \(sklearn\.cluster\.KMeans\): is missing"
    ):
        targets.check_seeded({"_target_": "sklearn.cluster.KMeans", "n_clusters": 3}, "clusterer")
    for config in (
        {"_target_": "sklearn.cluster.KMeans", "random_state": 1},
        {"_target_": "sklearn.cluster.DBSCAN"},
    ):
        assert targets.check_seeded(config, "clusterer") is None
