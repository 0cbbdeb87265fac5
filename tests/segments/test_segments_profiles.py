from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from segkit.segments.profiles import NOISE, OTHER, describe, profile, shares


@pytest.fixture
def customers() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "spend": rng.lognormal(size=n),
            "visits": rng.integers(0, 30, n),
            "active": rng.random(n) < 0.3,
            "constant": 0.1,
        }
    )
    frame.loc[rng.choice(n, 50, replace=False), "spend"] = np.nan
    return frame, rng.integers(-1, 4, n)


def test_equals_pandas_groupby(customers):
    frame, labels = customers
    summary = profile(frame, labels).set_index(["segment", "feature"])
    groups = frame.astype(float).groupby(labels)
    for column, expected in {
        "mean": groups.mean(),
        "median": groups.median(),
        "q25": groups.quantile(0.25),
        "q75": groups.quantile(0.75),
        "z": ((groups.mean() - frame.mean()) / frame.astype(float).std(ddof=0)).assign(
            constant=0.0
        ),
    }.items():
        wide = summary.pivot_table(index="segment", columns="feature", values=column)[
            list(frame.columns)
        ]
        np.testing.assert_allclose(
            wide.to_numpy(), expected.to_numpy(float), rtol=1e-10, atol=1e-12
        )
    sizes = summary.xs("spend", level="feature")["n"]
    assert sizes.to_dict() == pd.Series(labels).value_counts().to_dict()


def test_categories_become_shares():
    frame = pd.DataFrame({"plan": ["a", "a", "b", None, "b", "b"]})
    summary = profile(frame, [0, 0, 0, 0, 1, 1]).set_index(["segment", "feature"])["mean"]
    assert summary[0, "plan=a"] == pytest.approx(2 / 3)
    assert summary[0, "plan=b"] == pytest.approx(1 / 3)
    assert summary[1, "plan=b"] == 1.0


def test_features_of_zeros_and_ones_are_found_and_no_others(customers):
    frame, labels = customers
    rng = np.random.default_rng(1)
    n = len(frame)
    frame["flag"] = np.where(rng.random(n) < 0.1, np.nan, rng.random(n) < 0.7)
    frame["plan"] = rng.choice(["a", "b", "c"], n)
    frame["nearly"] = np.where(rng.random(n) < 0.02, 0.5, rng.random(n) < 0.5)
    frame["two"] = rng.integers(1, 3, n)
    frame["share"] = rng.random(n)
    by_feature = shares(profile(frame, labels))
    assert set(by_feature) == {"active", "flag", "plan=a", "plan=b", "plan=c"}
    assert by_feature["flag"] == pytest.approx(frame["flag"].mean())
    assert by_feature["plan=b"] == pytest.approx((frame["plan"] == "b").mean())
    assert shares(profile(frame, np.zeros(n, dtype=int))) == {}


def test_many_categories_are_gathered():
    frame = pd.DataFrame({"city": [f"c{i % 40}" for i in range(400)]})
    summary = profile(frame, np.zeros(400, dtype=int))
    assert len(summary) == 13
    assert summary["mean"].sum() == pytest.approx(1.0)
    assert summary["feature"].iloc[-1] == f"city={OTHER}"


def test_missing_labels_are_left_out(customers):
    frame, labels = customers
    nullable = pd.Series(labels, dtype="Int16")
    nullable.iloc[:100] = pd.NA
    pd.testing.assert_frame_equal(profile(frame, nullable), profile(frame.iloc[100:], labels[100:]))


def test_segment_without_any_value_has_none():
    summary = profile(pd.DataFrame({"x": [1.0, 2.0, np.nan, np.nan]}), [0, 0, 1, 1]).set_index(
        "segment"
    )
    assert summary.loc[1, ["mean", "median", "q25", "q75", "z"]].isna().all()
    assert summary.loc[0, "mean"] == 1.5


def test_truth_adds_the_share_of_planted_groups():
    summary = profile(pd.DataFrame({"x": [0.0, 1, 2, 3]}), [0, 0, 1, 1], truth=[5, 5, 5, 7])
    shares = summary[summary["feature"] == "planted group=5"].set_index("segment")["mean"]
    assert shares.to_dict() == {0: 1.0, 1: 0.5}
    assert all("planted" not in p.words for p in describe(summary))


def test_wide_tables_keep_order():
    frame = pd.DataFrame(np.random.default_rng(1).normal(size=(20, 100)))
    summary = profile(frame, [0] * 10 + [1] * 10)
    assert summary["feature"].tolist() == [str(i) for i in range(100)] * 2
    np.testing.assert_allclose(summary["mean"][:100], frame.iloc[:10].mean())


def test_nothing_clustered_gives_no_rows(customers):
    frame, labels = customers
    assert profile(frame, pd.array([None] * len(labels), dtype="Int16")).empty
    assert describe(profile(frame.iloc[:0], [])) == []


def test_wrong_length_is_told(customers):
    with pytest.raises(ValueError, match="400 rows, 3 labels"):
        profile(customers[0], [0, 1, 2])


def test_describe_names_the_furthest_features_and_puts_noise_last():
    labels = np.repeat([0, 1, NOISE], [50, 40, 10])
    frame = pd.DataFrame(
        {
            "rich": np.where(labels == 0, 10.0, 0.0),
            "flat": np.tile([0.0, 1.0], 50),
            "idle": np.where(labels == 1, 1.0, 0.0),
        }
    )
    first, second, noise = describe(profile(frame, labels))
    assert [name for name, _ in first.high] == ["rich"]
    assert [name for name, _ in first.low] == ["idle"]
    assert second.words.startswith("high idle (+")
    assert (noise.segment, noise.n) == (NOISE, 10)
    assert "flat" not in first.words + second.words


def test_describe_of_an_average_segment():
    summary = profile(pd.DataFrame({"x": [0.0, 1.0, 0.0, 1.0]}), [0, 0, 1, 1])
    assert describe(summary)[0].words == "near the average in everything"
