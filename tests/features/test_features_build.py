"""Feature sets against pandas and scikit-learn."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.preprocessing import StandardScaler

from segkit.data.table import Table
from segkit.errors import Infeasible, UsageError
from segkit.features import MAX_CATEGORIES, build_features, check, dominant, variance_shares

CONF = Path(__file__).resolve().parents[2] / "conf" / "features"
OPTIONS = sorted(path.stem for path in CONF.glob("*.yaml"))
NAN = np.nan


def option(name: str) -> dict:
    return yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))


def table(frame: pd.DataFrame | dict) -> Table:
    frame = pd.DataFrame(frame)
    return Table(frame, np.arange(len(frame)))


def build(frame, **config):
    return build_features(table(frame), config or {"columns": "all"})


@pytest.fixture
def holes() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(60, 3)) @ [[1, 0.5, 0], [0, 1, 0.5], [0, 0, 20]] + [0, 5, 100]
    values[rng.random((60, 3)) < 0.1] = NAN
    assert np.isnan(values).sum() > 8
    return pd.DataFrame(values, columns=["a", "b", "c"])


@pytest.fixture(scope="session")
def card_customers(cc_general_csv) -> pd.DataFrame:
    return pd.read_csv(cc_general_csv).drop(columns="CUST_ID").astype(float)


# columns


def test_columns_in_the_order_asked_for():
    features = build({"a": [1.0, 2], "b": [3.0, 5], "c": [0.0, 9]}, columns=["c", "a"])
    assert features.names == ("c", "a")
    np.testing.assert_array_equal(features.matrix, [[0, 1], [9, 2]])
    np.testing.assert_array_equal(features.rows, [0, 1])
    assert features.rows.dtype == np.int64
    assert features.warnings == ()


def test_all_columns_then_expressions():
    features = build({"a": [1.0, 2], "b": [3.0, 8]}, columns="all", expressions={"ratio": "b / a"})
    assert features.names == ("a", "b", "ratio")
    np.testing.assert_array_equal(features.matrix, [[1, 3, 3], [2, 8, 4]])
    assert features.matrix.flags["C_CONTIGUOUS"]
    assert features.matrix.dtype == np.float64


def test_an_expression_may_take_the_name_of_a_column_left_out():
    features = build({"a": [1.0, 4], "b": [0.0, 1]}, expressions={"a": "sqrt(a)"})
    assert features.names == ("a",)
    np.testing.assert_array_equal(features.matrix, [[1], [2]])


def test_boolean_and_categorical_columns():
    frame = pd.DataFrame(
        {"vip": [True, False, True], "city": ["Ulm", None, "Aachen"], "n": [1.0, 2, 3]}
    )
    for text in ("object", "string", "category"):
        features = build(frame.astype({"city": text}))
        assert features.names == ("vip", "city=Aachen", "city=Ulm", "n")
        np.testing.assert_array_equal(features.matrix, [[1, 0, 1, 1], [0, 0, 0, 2], [1, 1, 0, 3]])


def test_one_hot_equals_get_dummies():
    city = pd.Series(
        np.random.default_rng(0).choice(["x", "Y", "ä", "10", "9"], size=50), name="city"
    )
    dummies = pd.get_dummies(city, prefix="city", prefix_sep="=", dtype=float)
    features = build({"city": city})
    assert list(features.names) == list(dummies.columns)
    np.testing.assert_array_equal(features.matrix, dummies)


def test_boolean_in_an_expression_counts_as_0_or_1():
    features = build({"vip": [True, False], "n": [3.0, 4]}, expressions={"x": "n * vip"})
    np.testing.assert_array_equal(features.matrix, [[3], [0]])


def test_a_missing_category_is_kept_by_drop():
    features = build({"city": ["A", None, "B"], "n": [1.0, 2, NAN]}, columns="all", missing="drop")
    np.testing.assert_array_equal(features.rows, [0, 1])


def test_infinite_values_count_as_missing():
    features = build(
        {"a": [1.0, np.inf, 3, 8], "b": [1.0, 2, -np.inf, 0]}, columns="all", missing="median"
    )
    np.testing.assert_array_equal(features.matrix, [[1, 1], [3, 2], [3, 1], [8, 0]])


# missing values


@pytest.mark.parametrize("method", ["median", "mean"])
def test_missing_as_scikit_learns_simple_imputer(holes, method):
    features = build(holes, columns="all", missing=method)
    np.testing.assert_allclose(
        features.matrix, SimpleImputer(strategy=method).fit_transform(holes), rtol=1e-15
    )


@pytest.mark.parametrize("number", [0, -7.5])
def test_missing_as_a_number(holes, number):
    np.testing.assert_array_equal(
        build(holes, columns="all", missing=number).matrix, holes.fillna(number)
    )


def test_missing_by_neighbours_as_scikit_learns_knn_imputer(holes):
    standard = StandardScaler().fit(holes)
    filled = KNNImputer(n_neighbors=5).fit_transform(standard.transform(holes))
    features = build(holes, columns="all", missing="knn")
    np.testing.assert_allclose(features.matrix, standard.inverse_transform(filled), rtol=1e-12)
    known = holes.notna().to_numpy()
    np.testing.assert_array_equal(features.matrix[known], holes.to_numpy()[known])


def test_missing_by_neighbours_follows_the_nearest():
    near, far = np.arange(6) / 100, 10 + np.arange(6) / 100
    frame = {"x": [*near, *far], "y": [*[1.0] * 5, NAN, *[9.0] * 6]}
    assert build(frame, columns="all", missing="knn").matrix[5, 1] == pytest.approx(1.0, abs=1e-12)


def test_missing_drop_keeps_the_complete_customers(holes):
    features = build(holes, columns="all", missing="drop")
    complete = holes.dropna()
    np.testing.assert_array_equal(features.rows, complete.index)
    np.testing.assert_array_equal(features.matrix, complete)


def test_missing_drop_looks_at_the_features_only(holes):
    features = build(holes, columns=["a"], missing="drop")
    np.testing.assert_array_equal(features.rows, holes["a"].dropna().index)


def test_median_is_the_default(holes):
    np.testing.assert_array_equal(build(holes, columns="all").matrix, holes.fillna(holes.median()))


def test_imputed_after_the_expressions_not_before():
    features = build({"a": [8.0, NAN, 2.0], "b": [2.0, 5.0, 1.0]}, expressions={"ratio": "a / b"})
    np.testing.assert_array_equal(features.matrix.ravel(), [4, 3, 2])


def test_nothing_left_by_drop_is_infeasible():
    frame = {"a": [1.0, NAN, NAN, NAN], "b": [NAN, 2.0, 3.0, 4.0]}
    with pytest.raises(
        Infeasible, match=r"drop leaves 0 of 4 customers: 'a' alone is missing in 3"
    ):
        build(frame, columns="all", missing="drop")


def test_mostly_filled_features_are_named():
    features = build(
        {"a": [1.0, NAN, NAN, 4.0, NAN], "b": [1.0, 2, 3, NAN, NAN]}, columns="all", missing=0
    )
    assert features.warnings == (
        "feature 'a' was missing for 60% of the customers and filled in (features.missing=0)",
    )


def test_values_too_large_to_impute():
    with pytest.raises(
        Infeasible, match=r"^'b' is 1.7e\+308: too large to be imputed \(features.missing=mean\)$"
    ):
        build({"a": [1.0, 2.0, NAN], "b": [1.7e308, 1.7e308, NAN]}, columns="all", missing="mean")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"expressions": {"big": "exp(200 * a)"}}, "5.22147e+173"),
        ({"expressions": {"big": "-a ** 500"}}, "-3.27339e+150"),
        ({"expressions": {"big": "1 / (a * 1e-200)"}}, "1e+200"),
        ({"expressions": {"big": "a * 1e145"}}, "1e+145"),
        ({"expressions": {"big": "where(a > 1.5, a, a / 0)"}, "missing": 1e150}, "1e+150"),
    ],
)
def test_ranges_are_those_after_expressions_and_imputation(given, value):
    frame = {"a": [1.0, 2.0, 2.0, 1.0], "b": [0.0, 1.0, 2.0, 3.0]}
    with pytest.raises(
        Infeasible, match=rf"^'big' is {re.escape(value)}; numbers from -1e\+140 to 1e\+140"
    ):
        build(frame, columns=["b"], **given)


def test_extremes_that_are_clipped_are_in_range():
    frame = {"a": np.arange(100.0)}
    clipped = {"clip": [0.0, 0.5], "missing": "median"}
    largest = build(frame, columns=[], expressions={"big": "exp(6 * a)"}, **clipped).matrix.max()
    assert np.exp(6 * 49) < largest < np.exp(6 * 50)
    with pytest.raises(Infeasible, match="'big' is"):
        build(frame, columns=[], expressions={"big": "exp(6 * a)"})


def test_of_what_overflows_nothing_is_left_but_missing_values():
    frame = {"a": [-2.0, -1.0, 1.0, 900.0], "b": [0.0, 1.0, 2.0, 3.0]}
    features = build(
        frame,
        columns=["b"],
        expressions={"odd": "exp(a)", "log": "log(a)", "power": "(a * 1e150) ** 3"},
    )
    assert np.isfinite(features.matrix).all()
    assert features.names == ("b", "odd", "log")


# clipping


def test_clip_to_the_quantiles_of_what_was_observed(holes):
    features = build(holes, columns="all", missing=-1000, clip=[0.1, 0.8])
    low, high = holes.quantile(0.1), holes.quantile(0.8)
    np.testing.assert_allclose(
        features.matrix, holes.fillna(-1000).clip(low, high, axis=1), rtol=1e-14
    )


def test_clip_after_dropping_rows(holes):
    features = build(holes, columns="all", missing="drop", clip=(0, 0.5))
    complete = holes.dropna()
    np.testing.assert_allclose(
        features.matrix, complete.clip(upper=complete.median(), axis=1), rtol=1e-14
    )


def test_clip_leaves_rare_categories_alone():
    city = ["A"] * 199 + ["B"]
    vip = [True] + [False] * 199
    features = build(
        {"city": city, "vip": vip, "n": np.arange(200.0)}, columns="all", clip=[0.01, 0.99]
    )
    assert features.names == ("city=A", "city=B", "vip", "n")
    np.testing.assert_array_equal(features.matrix.sum(axis=0)[:3], [199, 1, 1])
    assert features.matrix[:, 3].max() == pytest.approx(0.99 * 199)


# features that are dropped


def test_constant_and_empty_features_are_dropped_with_a_warning():
    frame = {"a": [1.0, 2, 3], "same": [0.1, NAN, 0.1], "none": [NAN] * 3, "city": ["A", "A", "A"]}
    for method in ("median", "mean", "knn"):
        features = build(frame, columns="all", missing=method)
        assert features.names == ("a",)
        assert [text.split("'")[1] for text in features.warnings] == ["none", "same", "city=A"]


def test_an_empty_feature_drops_no_customer():
    features = build({"a": [1.0, 2, 3], "none": [NAN] * 3}, columns="all", missing="drop")
    assert len(features.rows) == 3


def test_small_differences_are_not_constant():
    features = build({"a": [1e9, 1e9 + 1e-3], "b": [0.0, 1e-300]}, columns="all")
    assert features.names == ("a", "b")


@pytest.mark.parametrize(
    "frame", [{"a": [1.0, 1.0]}, {"a": [NAN, NAN]}, {"a": [5.0]}, {"c": [None, None]}]
)
def test_no_feature_left(frame):
    with pytest.raises(Infeasible, match=r"^features: none is left"):
        build(frame, columns="all")


# bad input, before and after the table is known


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"columns": "al"}, "features.columns=al: must be 'all' or a list of column names"),
        ({"columns": 3}, "features.columns=3: must be 'all' or a list of column names"),
        (
            {"columns": ["PURCHASE"]},
            "features.columns: the table has no column 'PURCHASE'; did you mean 'PURCHASES'?",
        ),
        (
            {"columns": [2020]},
            "features.columns=[2020]: must be 'all' or a list of column names (a number in quotes)",
        ),
        ({"columns": ["PURCHASES", "PURCHASES"]}, "two features are named 'PURCHASES'"),
        (
            {"columns": "all", "expressions": {"TENURE": "TENURE + 1"}},
            "two features are named 'TENURE'",
        ),
        ({}, "names neither columns nor expressions"),
        ({"columns": [], "expressions": {}}, "names neither columns nor expressions"),
        (
            {"column": "all"},
            "features.column: there is no such setting (there are columns, expressions, missing, "
            "clip); did you mean 'columns'?",
        ),
        (
            {"columns": "all", "missing": "medain"},
            "features.missing=medain: must be median, mean, knn, drop or a number; did you mean "
            "'median'?",
        ),
        (
            {"columns": "all", "missing": None},
            "features.missing=null: must be median, mean, knn, drop or a number",
        ),
        ({"columns": "all", "missing": True}, "features.missing=True: must be median"),
        ({"columns": "all", "missing": NAN}, "features.missing=nan: must be median"),
        ({"columns": "all", "missing": ["mean"]}, "features.missing=['mean']: must be median"),
        (
            {"columns": "all", "clip": 0.01},
            "features.clip=0.01: must be null or two quantiles in ascending order between 0 and 1",
        ),
        ({"columns": "all", "clip": [0.01]}, "features.clip=[0.01]: must be null or two"),
        ({"columns": "all", "clip": [0.9, 0.1]}, "features.clip=[0.9, 0.1]: must be null or two"),
        ({"columns": "all", "clip": [1, 99]}, "features.clip=[1, 99]: must be null or two"),
        ({"columns": "all", "clip": [-0.1, 0.9]}, "features.clip=[-0.1, 0.9]: must be null or two"),
        ({"columns": "all", "clip": ["a", "b"]}, "features.clip=['a', 'b']: must be null or two"),
        ({"columns": "all", "clip": [0.1, NAN]}, "features.clip=[0.1, nan]: must be null or two"),
        ({"columns": "all", "clip": [True, 1]}, "features.clip=[True, 1]: must be null or two"),
        (
            {"expressions": ["PURCHASES"]},
            "features.expressions=['PURCHASES']: must be names with one expression each",
        ),
        ({"expressions": {"x": 3}}, "features.expressions.x: an expression is text, given 3"),
        ({"expressions": {"x": None}}, "features.expressions.x: an expression is text, given None"),
        ({"expressions": {1: "PURCHASES"}}, "the name of a feature is text, given 1"),
        (
            {"expressions": {"x": "PURCHASES /"}},
            "features.expressions.x: 'PURCHASES /' cannot be read",
        ),
        (
            {"expressions": {"x": "PURCHASES / TENUR"}},
            (
                "features.expressions.x: the table has no column 'TENUR'; did you mean 'TENURE'? "
                "(its columns: PURCHASES, TENURE, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, and 5 "
                "more)"
            ),
        ),
    ],
)
def test_bad_declarations_get_one_line_before_anything_runs(config, named):
    columns = ["PURCHASES", "TENURE", *[f"c{i}" for i in range(15)]]
    frame = pd.DataFrame(np.eye(17), columns=columns)
    for call in (lambda: check(config, columns), lambda: build_features(table(frame), config)):
        with pytest.raises(UsageError) as caught:
            call()
        assert named in str(caught.value)
        assert "\n" not in str(caught.value)


def test_text_in_an_expression():
    with pytest.raises(UsageError, match=r"features\.expressions\.x: column 'city' holds text"):
        build({"city": ["A", "B"], "n": [1.0, 2]}, expressions={"x": "n * city"})


def test_a_category_named_like_another_feature():
    with pytest.raises(UsageError, match="two features are named 'city=A'"):
        build({"city": ["A", "B"], "city=A": [1.0, 2]})


def test_too_many_categories():
    names = [f"customer {i}" for i in range(MAX_CATEGORIES + 1)]
    with pytest.raises(UsageError, match=r"'name' has 1001 categories, at most 1000"):
        build({"name": names})


# the options


@pytest.mark.parametrize("name", OPTIONS)
def test_option_declares_its_four_keys(name):
    assert list(option(name)) == ["columns", "expressions", "missing", "clip"]


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "engagement"])
def test_option_runs_on_the_card_customers(name, card_customers):
    check(option(name), list(card_customers.columns))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features = build_features(table(card_customers), option(name))
    assert features.matrix.shape == (8950, {"all": 17, "behaviour": 11, "spending": 8}[name])
    assert np.isfinite(features.matrix).all()
    assert features.warnings == ()


def test_option_runs_on_the_simulated_customers():
    from segkit.data.simulate import card_usage, profiles

    cards, people = card_usage(300, 1), profiles(300, 1)
    for name in OPTIONS:
        features = build_features(people if name == "engagement" else cards, option(name))
        assert features.warnings == ()
        assert len(features.matrix) == 300


def test_behaviour_equals_pandas(card_customers):
    c = card_customers
    names, matrix = _named(build_features(table(c), option("behaviour")))
    known = (c.PURCHASES_TRX > 0) | (c.PURCHASES == 0)
    average = (c.PURCHASES / c.PURCHASES_TRX).where(c.PURCHASES != 0, 0.0).where(known)
    assert (~known).sum() == 3
    spent = c.CASH_ADVANCE + c.PURCHASES
    instalments = c.INSTALLMENTS_PURCHASES / (c.ONEOFF_PURCHASES + c.INSTALLMENTS_PURCHASES)
    expected = {
        "average_purchase": average.fillna(average.median()),
        "purchases_per_month": c.PURCHASES / c.TENURE,
        "instalment_share": instalments.fillna(0),
        "cash_advance_share": (c.CASH_ADVANCE / spent).fillna(0),
        "utilisation": (c.BALANCE / c.CREDIT_LIMIT).fillna((c.BALANCE / c.CREDIT_LIMIT).median()),
        "full_payment_share": c.PRC_FULL_PAYMENT,
    }
    for name, column in expected.items():
        np.testing.assert_allclose(matrix[:, names.index(name)], column, rtol=1e-14, err_msg=name)


def test_shares_of_the_card_customers_are_shares(card_customers):
    names, matrix = _named(build_features(table(card_customers), option("behaviour")))
    for name in names:
        if not name.endswith(("_share", "purchase_frequency")):
            continue
        column = matrix[:, names.index(name)]
        assert 0 <= column.min() < column.max() <= 1, name


def _named(features):
    return list(features.names), features.matrix


def test_engagement_score_is_between_0_and_1():
    from segkit.data.simulate import profiles

    names, matrix = _named(build_features(profiles(500, 2), option("engagement")))
    score = matrix[:, names.index("engagement_score")]
    assert 0 <= score.min() < score.max() <= 1


def test_reading_the_module_imports_nothing_heavy():
    code = (
        "import sys, segkit.features; from segkit.features import check; check({'columns': 'all'}, "
        "['a']); print([name for name in ('sklearn', 'pandas', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# variance


def test_variance_shares_in_closed_form():
    matrix = np.array([[1.0, 0, 5], [-1.0, 3, 5]]) * [1, 2, 1]  # variances 1, 9, 0
    np.testing.assert_allclose(variance_shares(matrix), [0.1, 0.9, 0], rtol=1e-15)


def test_variance_shares_of_large_and_small_values():
    matrix = np.array([[1.0, 0], [-1.0, 2]])
    for factor in (1e300, 1e-300):
        np.testing.assert_allclose(variance_shares(matrix * factor), [0.5, 0.5], rtol=1e-14)


def test_variance_shares_where_nothing_varies():
    np.testing.assert_array_equal(variance_shares(np.full((7, 2), 0.1)), [0, 0])
    np.testing.assert_array_equal(variance_shares(np.zeros((7, 3))), [0, 0, 0])


def test_standardised_features_share_equally(holes):
    matrix = StandardScaler().fit_transform(holes.dropna())
    np.testing.assert_allclose(variance_shares(matrix), [1 / 3] * 3, rtol=1e-12)


def test_dominant():
    assert dominant(("a", "b"), np.array([0.5, 0.5])) is None
    assert dominant(("a",), np.array([1.0])) is None
    assert dominant(("a", "b"), np.array([0.0, 0.0])) is None
    assert dominant(("a", "b", "c"), np.array([0.3, 0.3, 0.4]), threshold=0.35).startswith(
        "c alone carries 40%"
    )
    assert dominant(("a", "b", "c"), np.array([0.1, 0.86, 0.04])).startswith(
        "b alone carries 86% of the variance of 3 features"
    )
