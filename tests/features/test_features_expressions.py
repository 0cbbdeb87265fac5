"""Expressions, against NumPy by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from segkit.errors import UsageError
from segkit.expressions import MAX_DEPTH, parse

NAN = np.nan
A = np.array([-2.0, -1.0, 0.0, 0.5, 3.0, 4.0])
B = np.array([2.0, -4.0, 5.0, 0.25, -3.0, 0.5])
COLUMNS = {
    "a": A,
    "b": B,
    "m": np.array([NAN, 1.0, NAN, 0.0, -1.0, 2.0]),
    "Größe": A,
    "two words": B,
    "class": A,
}


def value(text: str, **columns) -> np.ndarray:
    given = {name: np.atleast_1d(np.asarray(x, dtype=float)) for name, x in columns.items()}
    return parse(text).evaluate(given or COLUMNS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b", A + B),
        ("a - b * 2", A - B * 2),
        ("(a - b) * 2", (A - B) * 2),
        ("a / b", A / B),
        ("-a ** 2", -(A**2)),
        ("a ** 2 + b", A**2 + B),
        ("2 ** a", 2.0**A),
        ("+a - -b", A + B),
        ("1e3 * a + .5", 1000 * A + 0.5),
        ("abs(a)", np.abs(A)),
        ("exp(a)", np.exp(A)),
        ("log(abs(b))", np.log(np.abs(B))),
        ("log1p(abs(a))", np.log1p(np.abs(A))),
        ("sqrt(abs(a))", np.sqrt(np.abs(A))),
        ("min(a, b)", np.minimum(A, B)),
        ("max(a, 0)", np.maximum(A, 0)),
        ("clip(a, -1, 1)", np.clip(A, -1, 1)),
        ("clip(a, min(b, 0), max(b, 0))", np.clip(A, np.minimum(B, 0), np.maximum(B, 0))),
        ("a < b", [1, 0, 1, 0, 0, 0]),
        ("a <= -1", [1, 1, 0, 0, 0, 0]),
        ("a > 0", [0, 0, 0, 1, 1, 1]),
        ("a >= 0", [0, 0, 1, 1, 1, 1]),
        ("a == 0", [0, 0, 1, 0, 0, 0]),
        ("a != 0", [1, 1, 0, 1, 1, 1]),
        ("-1 <= a < 3", [0, 1, 1, 1, 0, 0]),
        ("(a > 0) * (b > 0)", [0, 0, 0, 1, 0, 1]),
        ("where(a > 0, a, -b)", np.where(A > 0, A, -B)),
        ("isnull(m)", [1, 0, 1, 0, 0, 0]),
        ("where(isnull(m), 7, m)", [7, 1, 7, 0, -1, 2]),
        ("Größe + `two words`", A + B),
        ("col('two words') / col(\"two words\")", np.ones(6)),
        ("`class`", A),
        ("a +\n b", A + B),
    ],
)
def test_expression_equals_numpy(text, expected):
    np.testing.assert_array_equal(value(text), expected)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (0, 0, 0),
        (-0.0, 0, 0),
        (3, 0, NAN),
        (-3, 0, NAN),
        (0, 4, 0),
        (NAN, 0, NAN),
        (0, NAN, NAN),
        (6, 4, 1.5),
        (1e300, 1e-300, NAN),
    ],
)
def test_division_table(a, b, expected):
    np.testing.assert_array_equal(value("a / b", a=a, b=b), [expected])


@pytest.mark.parametrize(
    ("text", "a"),
    [
        ("log(a)", 0),
        ("log(a)", -1),
        ("log1p(a)", -1),
        ("log1p(a)", -2),
        ("sqrt(a)", -1e-9),
        ("a ** 0.5", -1),
        ("a ** -1", 0),
        ("exp(a)", 1000),
        ("1 / exp(a)", 1000),
        ("a * a", 1e200),
        ("a + 1", np.inf),
        ("1 / a", -np.inf),
        ("a + 1", NAN),
        ("a ** 0", NAN),
        ("1 ** a", NAN),
        ("a > 0", NAN),
        ("a != a", NAN),
        ("0 < 1 < a", NAN),
        ("min(a, 0)", NAN),
        ("max(0, a)", NAN),
        ("clip(a, 0, 1)", NAN),
        ("where(a, 1, 2)", NAN),
        ("abs(a)", NAN),
    ],
)
def test_no_value(text, a):
    assert np.isnan(value(text, a=a)).all()


def test_the_branch_left_out_may_be_missing():
    np.testing.assert_array_equal(value("where(a > 0, log(a), 0)", a=[0, 1]), [0, 0])


def test_the_columns_named_in_order_of_appearance():
    assert parse("where(b > `x y`, a, b) + col('it''s')").columns == ("b", "x y", "a", "its")
    assert parse("`a\\b` + `quote'd`").columns == ("a\\b", "quote'd")


def test_backticks_inside_quotes_are_text():
    assert parse("col('a`b`c')").columns == ("a`b`c",)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a +", "invalid syntax"),
        ("", "invalid syntax"),
        ("a b", "cannot be read"),
        ("`a", "cannot be read"),
        ("a = 1", "cannot be read"),
        ("a\0", "cannot be read"),
        ("a) + (b", "cannot be read"),
        ("lag(a)", "there is no function 'lag'; did you mean 'log'?"),
        ("__import__('os')", "there is no function '__import__'"),
        ("a.real", "is not allowed"),
        ("a[0]", "is not allowed"),
        ("a and b", "is not allowed"),
        ("not a", "is not allowed"),
        ("a if b else a", "is not allowed"),
        ("lambda: a", "is not allowed"),
        ("[a]", "is not allowed"),
        ("(a, b)", "is not allowed"),
        ("a // b", "is not allowed"),
        ("a % b", "is not allowed"),
        ("a @ b", "is not allowed"),
        ("a in b", "is not allowed"),
        ("a is b", "is not allowed"),
        ("(x := a)", "is not allowed"),
        ("f'{a}'", "is not allowed"),
        ("a.log(a)", "is not allowed"),
        ("log(*a)", "is not allowed"),
        ("(lambda: 0)(a)", "is not allowed"),
        ("a == 'x'", "text 'x' is not allowed"),
        ("a + True", "is not a finite number"),
        ("a + None", "is not a finite number"),
        ("a + 1j", "is not a finite number"),
        ("a + 1e999", "is not a finite number"),
        ("a + ...", "is not a finite number"),
        ("log(a, b)", "log takes 1 unnamed argument, given"),
        ("min(a)", "min takes 2 unnamed arguments, given"),
        ("clip(a, lo=1, hi=2)", "clip takes 3 unnamed arguments, given"),
        ("col(a)", "col takes one column name in quotes"),
        ("col('a', 'b')", "col takes one column name in quotes"),
        ("1 + 2", "names no column"),
        ("a" + "+a" * 5000, "at most 10000 characters"),
        ("a" + "+a" * 500, f"at most {MAX_DEPTH} levels"),
        ("-" * 5000 + "a", "nested too deeply"),
        ("(" * 2000 + "a" + ")" * 2000, "cannot be read"),
        ("a + " + "9" * 5000, "cannot be read"),
    ],
)
def test_what_cannot_be_read_gets_one_line(text, named):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UsageError) as caught:
            parse(text, "features.expressions.x")
    message = str(caught.value)
    assert message.startswith("features.expressions.x: ")
    assert named in message
    assert "\n" not in message
    assert len(message) < 300


def test_a_long_sum_is_within_the_depth():
    names = [f"c{i}" for i in range(50)]
    columns = {name: np.full(2, 1.0) for name in names}
    np.testing.assert_array_equal(parse(" + ".join(names)).evaluate(columns), [50, 50])
