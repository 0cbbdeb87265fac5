from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.preprocessing import PowerTransformer
from threadpoolctl import threadpool_limits

from segkit.data import simulate
from segkit.data.simulate import (
    BLOCK,
    CARD_COLUMNS,
    CARD_GROUPS,
    PROFILE_COLUMNS,
    card_usage,
    profiles,
)


@pytest.fixture(scope="module")
def cards():
    return card_usage(20_000, 42)


@pytest.fixture(scope="module")
def people():
    return profiles(20_000, 42)


@pytest.mark.parametrize("make", [card_usage, profiles])
def test_same_seed_gives_same_bytes_and_another_seed_others(make):
    first, again, other = make(500, 7), make(500, 7), make(500, 8)
    assert first.frame.to_numpy().tobytes() == again.frame.to_numpy().tobytes()
    assert first.fingerprint() == again.fingerprint()
    assert not np.array_equal(first.frame.to_numpy(), other.frame.to_numpy(), equal_nan=True)


@pytest.mark.parametrize("make", [card_usage, profiles])
def test_a_larger_table_extends_a_smaller_one_across_blocks(make):
    large = make(BLOCK + 300, 3)
    for n in (1, 250, BLOCK, BLOCK + 1):
        small = make(n, 3)
        np.testing.assert_array_equal(small.frame.to_numpy(), large.frame.to_numpy()[:n])
        np.testing.assert_array_equal(small.ids, large.ids[:n])
        if small.truth is not None:
            np.testing.assert_array_equal(small.truth, large.truth[:n])


def test_blocks_differ_from_each_other():
    large = card_usage(2 * BLOCK, 3).frame["BALANCE"].to_numpy()
    assert not np.array_equal(large[:BLOCK], large[BLOCK:])


def test_seeds_wider_than_a_word_do_not_collide_with_blocks():
    first = simulate._draws(5, 0, 1)[0]
    assert not np.array_equal(first, simulate._draws(5, 2**32, 0)[0])
    assert not np.array_equal(first, simulate._draws(5, 1, 0)[0])


def test_card_values_are_the_recorded_ones():
    # guards the promise that a seed's values never change without a new VERSION
    assert simulate.VERSION == 2
    row = card_usage(1000, 42).frame.iloc[0]
    recorded = [
        989.66,
        0.916667,
        1707.51,
        1707.51,
        0.0,
        0.0,
        0.416667,
        0.416667,
        0.0,
        0.0,
        0.0,
        14.0,
        3900.0,
        1316.42,
        251.12,
        0.333333,
        12.0,
    ]
    np.testing.assert_array_equal(row.to_numpy(), recorded)


def test_card_customers_have_ids_columns_and_float_values(cards):
    assert tuple(cards.frame.columns) == CARD_COLUMNS
    assert set(cards.frame.dtypes.astype(str)) == {"float64"}
    assert cards.ids[0] == "C0000001"
    assert cards.ids[-1] == "C0020000"
    assert len(set(cards.ids.tolist())) == cards.n_customers == 20_000
    assert "truth" not in {name.lower() for name in cards.frame.columns}


def test_card_columns_agree_with_each_other(cards):
    f = cards.frame
    np.testing.assert_allclose(
        f["PURCHASES"], f["ONEOFF_PURCHASES"] + f["INSTALLMENTS_PURCHASES"], atol=0.0051
    )
    frequencies = [
        name for name in CARD_COLUMNS if name.endswith("FREQUENCY") or name == "PRC_FULL_PAYMENT"
    ]
    assert f[frequencies].min().min() >= 0
    assert f[frequencies].max().max() <= 1
    for amount, frequency, count in [
        ("PURCHASES", "PURCHASES_FREQUENCY", "PURCHASES_TRX"),
        ("CASH_ADVANCE", "CASH_ADVANCE_FREQUENCY", "CASH_ADVANCE_TRX"),
    ]:
        np.testing.assert_array_equal(f[amount] > 0, f[frequency] > 0)
        np.testing.assert_array_equal(f[amount] > 0, f[count] > 0)
        np.testing.assert_array_equal(f[count] % 1, 0)
        assert (f[count] >= np.round(f[frequency] * f["TENURE"])).all()
    both = f[["ONEOFF_PURCHASES_FREQUENCY", "PURCHASES_INSTALLMENTS_FREQUENCY"]]
    assert (f["PURCHASES_FREQUENCY"] >= both.max(axis=1)).all()
    assert (f["PURCHASES_FREQUENCY"] <= both.sum(axis=1) + 2e-6).all()
    assert set(f["TENURE"]) == set(range(6, 13))
    assert f["CREDIT_LIMIT"].min() >= 50
    assert f["CREDIT_LIMIT"].max() <= 30_000


def test_card_margins_are_like_the_real_ones(cards, cc_general_csv):
    import pandas as pd

    real = pd.read_csv(cc_general_csv)[list(CARD_COLUMNS)]
    zero = (cards.frame == 0).mean() - (real == 0).mean()
    assert zero.abs().max() < 0.12
    missing = cards.frame.isna().mean() - real.isna().mean()
    assert missing.abs().max() < 0.01
    amounts = [
        "BALANCE",
        "CREDIT_LIMIT",
        "PAYMENTS",
        "MINIMUM_PAYMENTS",
        "PURCHASES",
        "CASH_ADVANCE",
    ]
    for quantile in (0.75, 0.95):
        ratio = cards.frame[amounts].quantile(quantile) / real[amounts].quantile(quantile)
        assert ratio.between(0.5, 2).all(), ratio


def test_card_groups_have_their_shares(cards):
    shares = [group.share for group in CARD_GROUPS]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    assert stats.chisquare(np.bincount(cards.truth), np.array(shares) * 20_000).pvalue > 1e-4


def _power_space(table):
    return PowerTransformer().fit_transform(table.frame.fillna(table.frame.median()))


def test_card_groups_are_recoverable_but_overlap():
    table = card_usage(1000, 42)
    space = _power_space(table)
    with threadpool_limits(1):
        labels = {k: KMeans(k, n_init=10, random_state=42).fit_predict(space) for k in range(2, 8)}
    assert 0.8 < adjusted_rand_score(table.truth, labels[5]) < 0.95
    silhouettes = {k: silhouette_score(space, cut) for k, cut in labels.items()}
    assert max(silhouettes, key=silhouettes.get) == 5


def test_profiles_have_their_columns_and_no_truth(people):
    assert tuple(people.frame.columns) == PROFILE_COLUMNS
    assert people.truth is None
    assert not people.frame.isna().any().any()
    assert people.frame["Age"].between(18, 85).all()
    assert people.frame["Credit_Utilization"].between(0, 1).all()
    assert people.frame["Days_Since_Last_Purchase"].between(0, 180).all()
    assert set(people.frame["Response_to_Offers"]) <= {k / 10 for k in range(11)}


def test_profile_columns_are_independent(people):
    correlations = people.frame.corr("spearman").to_numpy() - np.eye(len(PROFILE_COLUMNS))
    assert np.abs(correlations).max() < 4.5 / np.sqrt(20_000)
    # products of deviations from the median catch dependence that ranks do not show
    spread = (people.frame - people.frame.median()).abs().corr("spearman").to_numpy() - np.eye(
        len(PROFILE_COLUMNS)
    )
    assert np.abs(spread).max() < 4.5 / np.sqrt(20_000)


def test_profile_margins_follow_their_closed_forms(people):
    f = people.frame
    utilisation = stats.kstest(f["Credit_Utilization"], lambda x: 1 - (1 - x**1.5) ** 3)
    assert utilisation.pvalue > 1e-4
    assert stats.kstest(f["Annual_Income"], stats.lognorm(0.45, scale=48_000).cdf).pvalue > 1e-4
    delays = np.bincount(f["Payment_Delays"].astype(int), minlength=5)[:5] / 20_000
    np.testing.assert_allclose(delays, stats.poisson(1.2).pmf(range(5)), atol=0.015)
    answers = np.bincount(np.round(10 * f["Response_to_Offers"]).astype(int), minlength=11) / 20_000
    np.testing.assert_allclose(answers, stats.binom(10, 0.3).pmf(range(11)), atol=0.015)


def test_the_largest_ids_stay_unique_and_in_order():
    ids = simulate._customer_ids(70_000)
    assert (ids[1:] > ids[:-1]).all()
