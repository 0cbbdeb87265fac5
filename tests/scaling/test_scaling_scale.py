"""Each option of conf/scaler against the plain scikit-learn call, and what a scaler may not do."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn import preprocessing
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from segkit.errors import Infeasible, UsageError
from segkit.scaling import LogStandardScaler, scale
from segkit.targets import check

CONF = Path(__file__).resolve().parents[2] / "conf" / "scaler"
OPTIONS = sorted(path.stem for path in CONF.glob("*.yaml"))


def option(name: str) -> dict:
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text.replace("${seed}", "42"))


def _log_standard(X):
    logarithms = np.sign(X) * np.log(1 + np.abs(X))
    spread = logarithms.std(axis=0)
    return (logarithms - logarithms.mean(axis=0)) / np.where(spread > 0, spread, 1)


PLAIN = {
    "none": lambda X: X,
    "standard": preprocessing.StandardScaler().fit_transform,
    "robust": preprocessing.RobustScaler().fit_transform,
    "minmax": preprocessing.MinMaxScaler().fit_transform,
    "power": preprocessing.PowerTransformer().fit_transform,
    "quantile": lambda X: preprocessing.QuantileTransformer(
        n_quantiles=min(1000, len(X)), output_distribution="normal", subsample=None
    ).fit_transform(X),
    "log_standard": _log_standard,
}


def _data(kind: str) -> np.ndarray:
    rng = np.random.default_rng(7)
    if kind == "normal":
        return rng.normal(size=(1200, 4)) * [1, 10, 0.01, 3] + [0, 5, -2, 100]
    if kind == "skewed":
        amounts = rng.lognormal(5, 2, size=(300, 4)) * rng.choice(
            [-1, 1], size=(300, 4), p=[0.2, 0.8]
        )
        return np.where(rng.random((300, 4)) < 0.4, 0.0, amounts)
    almost_constant = np.ones((40, 3))
    almost_constant[0] = [2.0, -50.0, 1 + 1e-9]
    return almost_constant


def test_every_option_is_compared():
    assert set(OPTIONS) >= {
        "none",
        "standard",
        "robust",
        "minmax",
        "power",
        "quantile",
        "log_standard",
    }
    assert set(OPTIONS) == set(PLAIN)


@pytest.mark.parametrize("kind", ["normal", "skewed", "almost constant"])
@pytest.mark.parametrize("name", OPTIONS)
def test_option_equals_the_plain_call(name, kind):
    X = _data(kind)
    before = X.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = scale(X, option(name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = PLAIN[name](X)
    tolerance = {"rtol": 1e-9, "atol": 1e-9} if name == "log_standard" else {"rtol": 0, "atol": 0}
    np.testing.assert_allclose(scaled, expected, **tolerance)
    np.testing.assert_array_equal(X, before)
    assert scaled.dtype == np.float64
    assert scaled.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("name", OPTIONS)
def test_option_is_allowed_and_lists_what_decides(name):
    config = option(name)
    check(config, "scaler")
    target = config.pop("_target_").rpartition(".")[2]
    scaler = LogStandardScaler if target == "LogStandardScaler" else getattr(preprocessing, target)
    unlisted = set(scaler().get_params()) - set(config)
    assert unlisted <= {"copy", "ignore_implicit_zeros"} or target == "FunctionTransformer"


@pytest.mark.parametrize("name", OPTIONS)
def test_memory_order_does_not_matter(name):
    X = _data("skewed")
    np.testing.assert_array_equal(scale(np.asfortranarray(X), option(name)), scale(X, option(name)))


def test_log_standard_is_the_signed_logarithm_standardised():
    X = np.array([[0.0, -1.0], [np.e - 1, 1.0], [np.e**2 - 1, 3.0]])
    scaled = LogStandardScaler().fit_transform(X)
    np.testing.assert_allclose(scaled[:, 0], [-np.sqrt(1.5), 0, np.sqrt(1.5)], atol=1e-15)
    second = np.array([-np.log(2), np.log(2), np.log(4)])
    np.testing.assert_allclose(scaled[:, 1], (second - second.mean()) / second.std(), rtol=1e-14)


def test_log_standard_goes_back_and_maps_new_rows():
    X = _data("skewed")
    scaler = LogStandardScaler().fit(X)
    np.testing.assert_allclose(
        scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-10, atol=1e-10
    )
    np.testing.assert_array_equal(scaler.transform(X[5:9]), scaler.transform(X)[5:9])


def test_log_standard_keeps_scikit_learns_rules():
    with pytest.raises(NotFittedError):
        LogStandardScaler().transform(np.ones((3, 2)))
    scaler = LogStandardScaler().fit(_data("normal"))
    with pytest.raises(ValueError, match="expecting 4 features"):
        scaler.transform(np.ones((3, 2)))
    with pytest.raises(ValueError, match="NaN"):
        LogStandardScaler().fit([[np.nan], [1.0]])
    assert not hasattr(clone(scaler), "standard_")


def test_a_scaler_that_refuses_the_data_is_infeasible():
    config = {"_target_": "sklearn.preprocessing.PowerTransformer", "method": "box-cox"}
    with pytest.raises(
        Infeasible, match=r"scaler: sklearn.*PowerTransformer: .*strictly positive"
    ) as caught:
        scale(_data("normal"), config)
    assert "\n" not in str(caught.value)


def test_values_that_are_not_finite_are_infeasible():
    X = np.array([[1e308], [-1e308], [1e308]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            Infeasible, match=r"StandardScaler 'feature 0' is nan; numbers from|too large"
        ):
            scale(X, option("standard"))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (
            {"_target_": "sklearn.cluster.KMeans", "n_clusters": 2, "n_init": 1},
            "does not return a matrix of the shape",
        ),
        ({"_target_": "sklearn.cluster.DBSCAN"}, "no fit_transform"),
        ({"_target_": "os.system"}, "os.system"),
    ],
)
def test_what_is_no_scaler(config, reason):
    with pytest.raises(UsageError, match=reason):
        scale(_data("normal"), config)


def test_published_principal_components(cc_general_csv):
    """27.30% and 20.31% of the variance: all 17 features, median imputation, standardised."""
    import pandas as pd
    from sklearn.decomposition import PCA

    from segkit.data.table import Table
    from segkit.features import build_features

    frame = pd.read_csv(cc_general_csv)
    ids = frame.pop("CUST_ID").to_numpy()
    table = Table(frame.astype(float), ids, None, (), "cc_general.csv")
    features = build_features(table, {"columns": "all", "missing": "median"})
    space = scale(features.matrix, option("standard"))
    shares = PCA(n_components=2).fit(space).explained_variance_ratio_
    assert [f"{share:.2%}" for share in shares] == ["27.30%", "20.31%"]
