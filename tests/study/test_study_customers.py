"""The customers that a study leaves in its folder."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from segkit.data.table import Table
from segkit.study.outputs import Customers, customers_frame, drawn_customers


def table(frame: pd.DataFrame, start: int = 0) -> Table:
    return Table(frame, np.arange(start, start + len(frame)))


def test_values_are_as_loaded_and_come_back_from_the_file(tmp_path):
    frame = pd.DataFrame({"a": [1.5, np.nan, 3.0], "row": [1.0, 2.0, 3.0], "plan": ["x", None, "y"]})
    frame["flag"] = [True, False, True]
    found = customers_frame(Customers({"t": table(frame)}), np.arange(3))
    assert found.columns.tolist() == ["id", "a", "row (feature)", "plan", "flag"]
    found.to_parquet(tmp_path / "c.parquet")
    read = pd.read_parquet(tmp_path / "c.parquet")
    assert read["id"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(read["a"], frame["a"])
    assert read["plan"].isna().tolist() == [False, True, False]
    assert read["flag"].tolist() == [True, False, True]


def test_of_drawn_customers_the_row_is_told():
    frame = pd.DataFrame({"a": np.arange(10.0)})
    found = customers_frame(Customers({"t": table(frame, 100)}), np.array([2, 7]))
    assert found.to_dict("list") == {"id": [102, 107], "row": [2, 7], "a": [2.0, 7.0]}


def test_several_tables_are_one_after_another():
    one = pd.DataFrame({"a": [1.0, 2.0], "b": [True, False], "c": ["x", None]})
    two = pd.DataFrame({"b": [0.5], "c": [4.0], "d": ["z"]})
    found = customers_frame(Customers({"1" * 16: table(one), "2" * 16: table(two)}), np.arange(3))
    assert found["id"].tolist() == ["11111111:0", "11111111:1", "22222222:0"]
    np.testing.assert_array_equal(found["a"], [1.0, 2.0, np.nan])
    np.testing.assert_array_equal(found["b"], [1.0, 0.0, 0.5])
    assert found["c"].tolist()[0] == "x"
    assert found["c"].isna().tolist() == [False, True, False]
    assert found["c"].tolist()[2] == "4.0"
    assert found["d"].isna().tolist() == [True, True, False]


def test_everybody_is_drawn_of_a_table_that_is_small_enough():
    assert drawn_customers(np.zeros(50, int), 50).tolist() == list(range(50))


@pytest.mark.parametrize("most", [100, 1_000, 5_000])
def test_segments_are_drawn_by_their_size_and_small_ones_are_there(most):
    labels = np.repeat([0, 1, 2, -1], [60_000, 30_000, 9_990, 10])
    rng = np.random.default_rng(0)
    labels = labels[rng.permutation(len(labels))]
    rows = drawn_customers(labels, most)
    assert most - 4 <= len(rows) <= most
    assert len(np.unique(rows)) == len(rows)
    assert (np.diff(rows) > 0).all()
    share = np.array([(labels[rows] == k).mean() for k in (0, 1, 2)])
    np.testing.assert_allclose(share, [0.6, 0.3, 0.1], atol=0.025)
    assert (labels[rows] == -1).sum() == min(10, most // 80)
    np.testing.assert_array_equal(rows, drawn_customers(labels, most))


def test_more_segments_than_places():
    rows = drawn_customers(np.arange(1_000), 10)
    assert len(rows) <= 10
