"""The customers' columns one by one: their figures, their histograms, and what a page without customers keeps."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from segkit.report import columns as c
from segkit.report import figure_words, gather, words
from segkit.report.discreet import discreet
from segkit.report.figures import distributions
from segkit.report.sections import data


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    told = pd.DataFrame({"even": rng.uniform(size=200), "empty": 0.0, "spent": np.exp(rng.normal(0, 3, 200))})
    told.loc[:59, "empty"] = 7.0
    told.loc[:9, "spent"] = np.nan
    told["town"] = ["Ghent"] * 120 + [f"village {i}" for i in range(79)] + [None]
    return pd.concat([told, told.iloc[[3, 3, 150]]], ignore_index=True)


def test_each_column_is_told_as_pandas_tells_it(frame):
    found = c.columns(frame)
    assert (found.customers, found.repeated) == (203, 3)
    told, known = found.table.loc["spent"], frame["spent"].dropna()
    assert told["n"] == len(known)
    assert told["distinct"] == known.nunique()
    wanted = [known.mean(), known.std(ddof=0), *known.quantile([0.05, 0.5, 0.95])]
    assert told[["mean", "sd", "low", "median", "high"]].tolist() == pytest.approx(wanted)
    assert found.table.loc["empty", "zeros"] == pytest.approx((frame["empty"] == 0).mean())
    town = found.table.loc["town"]
    assert (town["distinct"], town["commonest"]) == (80, "Ghent")
    assert town["commonest_share"] == pytest.approx(122 / 202)
    assert np.isnan(town["mean"])
    assert list(found.drawn) == ["even", "empty", "spent"]


@pytest.mark.parametrize("values", [[], [np.nan] * 6, [5.0] * 6])
def test_columns_with_nothing_in_them_are_told_and_not_drawn(values):
    found = c.columns(pd.DataFrame({"a": pd.Series(values, dtype="float64"), "b": pd.Series([None] * len(values))}))
    assert list(found.table.index) == ["a", "b"]
    assert found.drawn.shape[1] == 0


def test_what_few_customers_have_stays_in_the_house(swept, frame):
    frame["rare"] = [f"customer {i}" for i in range(len(frame))]
    frame["seldom"] = [1.25] * 3 + [np.nan] * (len(frame) - 3)
    summary = gather.gather(swept[1], {"customers": False})
    found = discreet(replace(summary, columns=c.columns(frame))).columns
    assert found.drawn.empty
    assert pd.isna(found.table.loc["rare", "commonest"])
    assert found.table.loc["town", "commonest"] == "Ghent"
    assert found.table.loc["seldom", ["mean", "median", "zeros"]].isna().all()
    median = found.table.loc["spent", "median"]
    assert found.table.loc["spent", ["low", "high"]].notna().all()
    few = discreet(replace(summary, columns=c.columns(frame[:99]))).columns.table.loc["even"]
    assert few[["low", "high"]].isna().all()
    assert not np.isnan(few["median"])
    assert median == float(f"{frame['spent'].median():.3g}") != frame["spent"].median()


def test_only_the_most_skewed_of_many_columns_are_drawn():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f"c{i:02d}": np.exp(rng.normal(0, 0.05 * i, 400)) for i in range(1, 41)})
    found = c.columns(frame)
    chosen = figure_words.drawn_columns(found)
    assert len(chosen) == c.DRAWN
    skew = frame.skew().abs()
    assert skew[chosen].min() >= skew.drop(chosen).max()
    assert chosen == sorted(chosen)


def test_a_histogram_sums_to_the_customers_within_its_axis(frame):
    figure = distributions(frame[["even", "spent"]])
    for ax, name in zip(figure.axes, ["even", "spent"], strict=True):
        assert ax.get_title(loc="left").removesuffix(" (log)") == name
        known = frame[name].dropna()
        low, high = ax.get_xlim()
        shares = ax.patches[0].get_data().values
        assert shares.sum() == pytest.approx(known.between(low, high).mean())


def test_the_section_tells_every_column(swept, tmp_path):
    study, folder = swept[0], shutil.copytree(swept[1], tmp_path / "study")
    study.frame.assign(id=study.ids).to_parquet(folder / "customers.parquet", index=False)
    section = data(gather.gather(folder))
    table = next(block for block in section.blocks if getattr(block, "title", "") == "Every column in figures")
    assert [row[0] for row in table.rows] == list(study.frame.columns)
    assert all(len(row) == len(table.head) == len(table.align) for row in table.rows)
    assert "none have the values of another" in table.caption
    plot = next(block for block in section.blocks if getattr(block, "name", "") == "distributions")
    assert "No column is zero for most customers." in plot.caption


def test_customers_that_are_there_twice_are_a_reservation(swept, frame):
    summary = gather.gather(swept[1])
    once, twice = c.columns(frame.drop_duplicates()), c.columns(pd.concat([frame, frame.iloc[:50]]))
    told = "21% of the customers have the values of another in every column"
    assert told in words.data_answer(replace(summary, columns=twice))
    assert "of another" not in words.data_answer(replace(summary, columns=once))
