from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from segkit.scoring.null import Copula, calibrate, permuted, simulate

MIX = np.array(
    [[1.0, 0.6, -0.4, 0.5], [0.6, 1.0, -0.2, 0.3], [-0.4, -0.2, 1.0, 0.1], [0.5, 0.3, 0.1, 1.0]]
)


def normals(n, seed=0, degrees=None):
    rng = np.random.default_rng(seed)
    values = rng.multivariate_normal(np.zeros(4), MIX, size=n)
    return (
        values
        if degrees is None
        else values / np.sqrt(rng.chisquare(degrees, n) / degrees)[:, None]
    )


def awkward(n=2000, seed=0):
    """Zero-inflated, tied, skewed and heavy columns."""
    z = normals(n, seed)
    columns = {
        "advance": np.where(z[:, 0] < 0.3, 0.0, np.exp(2 * z[:, 0])),
        "months": np.clip(np.round(10 + 2 * z[:, 1]), 0, 12),
        "balance": np.exp(3 * z[:, 2]),
        "ratio": np.where(z[:, 3] > 0, 1.0, np.round(np.exp(z[:, 3]), 1)),
    }
    return pd.DataFrame(columns)


def mixed(n=1500):
    """All types, with values missing together, a constant column and an empty one."""
    z = normals(n, 7)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": z[:, 0], "b": np.exp(z[:, 1]), "member": z[:, 2] > 0.5})
    frame["region"] = pd.Series(
        np.array(["south", "north", "east"])[np.digitize(z[:, 3], [0.2, 1.0])], dtype=object
    )
    frame.loc[rng.random(n) < 0.1, "region"] = None
    frame["constant"] = 3.0
    frame["empty"] = np.nan
    frame.loc[z[:, 0] + rng.normal(size=n) < -1.5, ["b", "constant"]] = np.nan
    return frame.set_axis(np.arange(n) * 2)


def assert_same_margins(simulated, frame):
    assert list(simulated.columns) == list(frame.columns)
    assert simulated.index.equals(frame.index)
    assert (simulated.dtypes == frame.dtypes).all()
    for name in frame:
        pd.testing.assert_series_equal(
            simulated[name].value_counts(dropna=False).sort_index(),
            frame[name].value_counts(dropna=False).sort_index(),
        )


@pytest.mark.parametrize("frame", [awkward(300), mixed(300)])
def test_margins_are_kept_exactly(frame):
    assert_same_margins(permuted(frame, np.random.default_rng(0)), frame)
    assert_same_margins(simulate(calibrate(frame, 0), frame, np.random.default_rng(0)), frame)


def test_permuted_columns_are_independent():
    frame = pd.DataFrame(normals(4000), columns=list("abcd"))
    correlations = permuted(frame, np.random.default_rng(0)).corr("spearman").to_numpy()
    assert np.abs(correlations - np.eye(4)).max() < 4 / np.sqrt(4000)


def mean_spearman(copula, frame, tables=20):
    simulated = [simulate(copula, frame, np.random.default_rng([9, i])) for i in range(tables)]
    return sum(each.corr("spearman") for each in simulated).to_numpy() / tables


@pytest.mark.parametrize("seed", range(3))
def test_rank_correlations_are_matched(seed):
    frame = awkward(seed=seed)
    copula = calibrate(frame, seed)
    assert np.abs(mean_spearman(copula, frame) - frame.corr("spearman").to_numpy()).max() < 0.03
    assert copula.error < 0.002


def test_rank_correlations_are_matched_on_the_customers_who_have_both_values():
    frame = awkward()
    rng = np.random.default_rng(2)
    for name, share in (("advance", 0.1), ("balance", 0.4)):
        frame.loc[rng.random(len(frame)) < share, name] = np.nan
    copula = calibrate(frame, 0)
    assert copula.missing == ("advance", "balance")
    assert np.abs(mean_spearman(copula, frame) - frame.corr("spearman").to_numpy()).max() < 0.03


def test_who_misses_a_value_still_depends_on_the_other_columns():
    frame = mixed()
    copula = calibrate(frame, 0)
    assert set(copula.missing) == {"b", "constant", "region"}

    def facts(table):
        gaps = table["b"].isna()
        return [
            gaps.corr(table["a"], "spearman"),
            (gaps & table["constant"].isna()).mean(),
            gaps.mean(),
        ]

    simulated = [facts(simulate(copula, frame, np.random.default_rng([3, i]))) for i in range(10)]
    np.testing.assert_allclose(np.mean(simulated, axis=0), facts(frame), atol=0.03)


def test_zeros_that_are_not_low_values_are_simulated_apart():
    rng = np.random.default_rng(0)
    values = np.exp(normals(3000)) * (rng.random((3000, 4)) < [0.5, 0.6, 0.7, 1.0])
    frame = pd.DataFrame(values, columns=list("abcd"))
    copula, plain = calibrate(frame, 0), calibrate(frame, 0, masses="never")
    assert (copula.masses, plain.masses) == (("a", "b", "c"), ())

    def worst(copula):
        wanted = frame.where(frame > 0).corr("spearman")
        tables = [simulate(copula, frame, np.random.default_rng([8, i])) for i in range(10)]
        correlations = sum(table.where(table > 0).corr("spearman") for table in tables) / 10
        zeros = sum((table == 0).corr() for table in tables) / 10 - (frame == 0).corr()
        return np.nanmax(np.abs(correlations - wanted)), np.nanmax(np.abs(zeros))

    assert max(worst(copula)) < 0.03
    assert max(worst(plain)) > 0.2
    assert_same_margins(simulate(copula, frame, np.random.default_rng(0)), frame)


def test_zeros_that_are_low_values_are_not():
    frame = pd.DataFrame(np.maximum(normals(1000), [-0.5, 0.0, 0.3, 1.0]), columns=list("abcd"))
    copula = calibrate(frame, 0)
    assert copula.masses == ()
    assert np.abs(mean_spearman(copula, frame) - frame.corr("spearman").to_numpy()).max() < 0.03


def test_text_keeps_its_dependence_in_order_of_frequency():
    frame = mixed()
    order = {"south": 0, "north": 1, "east": 2}
    assert frame["region"].value_counts().index.tolist() == list(order)
    copula = calibrate(frame, 0)

    def correlation(table):
        return table["region"].map(order).astype(float).corr(table["a"], "spearman")

    simulated = [
        correlation(simulate(copula, frame, np.random.default_rng([4, i]))) for i in range(10)
    ]
    assert np.mean(simulated) == pytest.approx(correlation(frame), abs=0.03)
    assert correlation(frame) > 0.3


def test_the_latent_correlation_is_that_of_the_data():
    frame = pd.DataFrame(np.exp(normals(8000, 5)), columns=list("abcd"))
    copula = calibrate(frame, 0)
    assert np.abs(copula.correlation - MIX).max() < 0.03


@pytest.mark.parametrize("seed", range(3))
def test_degrees_of_freedom_are_those_of_the_data(seed):
    names = list("abcd")
    assert calibrate(pd.DataFrame(normals(2000, seed), columns=names), 0).degrees_of_freedom in {
        30,
        None,
    }
    assert calibrate(pd.DataFrame(normals(2000, seed, 3), columns=names), 0).degrees_of_freedom == 3
    assert calibrate(
        pd.DataFrame(np.exp(normals(2000, seed, 8)), columns=names), 0
    ).degrees_of_freedom in {5, 8, 15}


def test_joint_extremes_are_kept():
    frame = pd.DataFrame(normals(3000, 1, 3), columns=list("abcd"))
    copula = calibrate(frame, 0)

    def extreme(table):  # the share of customers in the outer 5% of all four columns
        ranks = table.rank(pct=True).to_numpy()
        return (np.abs(ranks - 0.5) > 0.475).all(axis=1).mean()

    def mean_extreme(copula):
        return np.mean(
            [extreme(simulate(copula, frame, np.random.default_rng([6, i]))) for i in range(10)]
        )

    normal = replace(copula, degrees_of_freedom=None)
    assert mean_extreme(copula) == pytest.approx(extreme(frame), abs=0.004)
    assert mean_extreme(normal) < extreme(frame) / 3


def test_the_same_seed_gives_the_same_bytes():
    frame = mixed(400)
    first, again, other = calibrate(frame, 5), calibrate(frame, 5), calibrate(frame, 6)
    assert first.correlation.tobytes() == again.correlation.tobytes()
    assert first.degrees_of_freedom == again.degrees_of_freedom
    assert first.correlation.tobytes() != other.correlation.tobytes()
    tables = [simulate(first, frame, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    assert not tables[0].equals(tables[2])


def test_it_can_be_stored():
    copula = calibrate(mixed(300), 0)
    facts = asdict(copula)
    matrix = facts.pop("correlation")
    facts = json.loads(json.dumps(facts, allow_nan=False))
    restored = Copula(**facts, correlation=matrix)
    frame = mixed(300)
    tables = [simulate(each, frame, np.random.default_rng(0)) for each in (copula, restored)]
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"constant": [2.0] * 6, "empty": [np.nan] * 6}),
        pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}),
        pd.DataFrame({"a": np.arange(6.0), "copy": np.arange(6.0), "gaps": [1.0, np.nan] * 3}),
    ],
)
def test_degenerate_tables_are_simulated(frame):
    copula = calibrate(frame, 0)
    assert_same_margins(simulate(copula, frame, np.random.default_rng(0)), frame)
    if "copy" in frame:
        table = simulate(copula, frame, np.random.default_rng(0))
        assert table["a"].corr(table["copy"], "spearman") > 0.9
