"""The customers that a study leaves in its folder."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from segkit.data.table import Table
from segkit.study.keep.customers import Customers, customers_frame, drawing_frame, drawn_customers
from segkit.study.run.store import Store


def table(frame: pd.DataFrame, start: int = 0) -> Table:
    return Table(frame, np.arange(start, start + len(frame)))


def test_values_are_as_loaded_and_come_back_from_the_file(tmp_path):
    frame = pd.DataFrame(
        {"a": [1.5, np.nan, 3.0], "row": [1.0, 2.0, 3.0], "plan": ["x", None, "y"]}
    )
    frame["flag"] = [True, False, True]
    written = customers_frame(Customers({"t": table(frame)}), np.arange(3))
    assert written.columns.tolist() == ["id", "a", "row (feature)", "plan", "flag"]
    written.to_parquet(tmp_path / "c.parquet")
    read = pd.read_parquet(tmp_path / "c.parquet")
    assert read["id"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(read["a"], frame["a"])
    assert read["plan"].isna().tolist() == [False, True, False]
    assert read["flag"].tolist() == [True, False, True]


def test_of_drawn_customers_the_row_is_told():
    frame = pd.DataFrame({"a": np.arange(10.0)})
    written = customers_frame(Customers({"t": table(frame, 100)}), np.array([2, 7]))
    assert written.to_dict("list") == {"id": [102, 107], "row": [2, 7], "a": [2.0, 7.0]}


def test_several_tables_are_one_after_another():
    one = pd.DataFrame({"a": [1.0, 2.0], "b": [True, False], "c": ["x", None]})
    two = pd.DataFrame({"b": [0.5], "c": [4.0], "d": ["z"]})
    written = customers_frame(Customers({"1" * 16: table(one), "2" * 16: table(two)}), np.arange(3))
    assert written["id"].tolist() == ["11111111:0", "11111111:1", "22222222:0"]
    np.testing.assert_array_equal(written["a"], [1.0, 2.0, np.nan])
    np.testing.assert_array_equal(written["b"], [1.0, 0.0, 0.5])
    assert written["c"].tolist()[0] == "x"
    assert written["c"].isna().tolist() == [False, True, False]
    assert written["c"].tolist()[2] == "4.0"
    assert written["d"].isna().tolist() == [True, True, False]


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


# a picture where nothing was projected


def scaled(tmp_path, matrix, rows):
    store = Store(tmp_path)
    store.save("scaling-0123456789", {"matrix": matrix}, {}, 0.0)
    store.save("features-0123456789", {"matrix": matrix, "rows": rows}, {}, 0.0)
    stages = {"scaling": "scaling-0123456789", "features": "features-0123456789"}
    return store, SimpleNamespace(
        id="abc", data="one", stages=stages, choices={"features": "all", "scaler": "power"}
    )


def test_the_plane_for_drawing_is_that_of_the_largest_variance(tmp_path):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(60, 4)) @ np.diag([3.0, 2.0, 1.0, 0.5]) + 7
    rows = np.delete(np.arange(80), np.arange(0, 80, 4))
    customers = Customers({"one": table(pd.DataFrame({"a": np.zeros(80)}))})
    store, run = scaled(tmp_path, matrix, rows)
    drawn = np.arange(10, 70)
    frame, index = drawing_frame(run, store, customers, drawn)
    [(name, entry)] = index.items()
    assert entry["label"] == "all > power > principal components, only for drawing"
    assert (entry["runs"], entry["drawn_for"]) == ([], "abc")
    here = np.intersect1d(rows, drawn)
    placed = frame[[f"{name}:x", f"{name}:y"]].to_numpy()
    assert np.flatnonzero(~np.isnan(placed).any(axis=1)).tolist() == here.tolist()
    centred = matrix - matrix.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred)
    np.testing.assert_allclose(entry["variance"], sizes[:2] ** 2 / (sizes**2).sum(), atol=1e-6)
    expected = (centred @ axes[:2].T)[np.isin(rows, here)]
    np.testing.assert_allclose(np.abs(placed[here]), np.abs(expected), atol=1e-8)
    assert list(frame["id"]) == list(customers.ids())


@pytest.mark.parametrize("matrix", [np.arange(20.0)[:, None], np.ones((20, 3))])
def test_there_is_no_plane_of_one_feature_or_without_variance(tmp_path, matrix):
    customers = Customers({"one": table(pd.DataFrame({"a": np.zeros(20)}))})
    store, run = scaled(tmp_path, matrix, np.arange(20))
    frame, index = drawing_frame(run, store, customers, np.arange(20))
    assert (list(frame), index) == (["id"], {})


def test_without_the_scaled_features_there_is_no_plane(tmp_path):
    customers = Customers({"one": table(pd.DataFrame({"a": np.zeros(20)}))})
    store, run = scaled(tmp_path, np.eye(20), np.arange(20))
    store.drop("scaling-0123456789")
    assert drawing_frame(run, store, customers, np.arange(20))[1] == {}
