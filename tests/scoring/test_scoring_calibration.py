from __future__ import annotations

import numpy as np
import pytest

from segkit.scoring.calibration import excess, max_t, p_value, spread, z


def test_by_hand_in_both_directions():
    assert p_value(5.0, [1.0, 2.0, 6.0, 3.0], True) == 2 / 5
    assert p_value(5.0, [1.0, 2.0, 6.0, 3.0], False) == 4 / 5
    assert p_value(2.0, [2.0, 2.0, 1.0], True) == 3 / 4  # as good is enough
    assert excess(5.0, [1.0, 2.0, 6.0], True) == 2.0
    assert excess(5.0, [1.0, 2.0, 6.0], False) == -2.0
    assert z(5.0, [1.0, 2.0, 6.0], True) == pytest.approx(2 / np.sqrt(7))
    assert z(5.0, [1.0, 2.0, 6.0], False) == pytest.approx(-2 / np.sqrt(7))


def test_a_table_without_a_score_is_not_as_good_and_has_no_mean():
    null = [None, 1.0, np.nan, 3.0]
    assert p_value(2.0, null, True) == 2 / 5
    assert p_value(2.0, null, False) == 2 / 5
    assert excess(5.0, null, True) == 3.0
    assert z(5.0, null, True) == pytest.approx(3 / np.sqrt(2))


@pytest.mark.parametrize("function", [p_value, excess, z])
@pytest.mark.parametrize("nothing", [None, np.nan])
def test_nothing_observed_is_nothing(function, nothing):
    assert function(nothing, [1.0, 2.0, 3.0], True) is None


def test_what_null_values_cannot_say():
    assert p_value(1.0, [None, None], True) == 1 / 3
    assert excess(1.0, [None, None], True) is None
    assert z(1.0, [2.0], True) is None
    assert excess(1.0, [0.1, 0.1, 0.1], True) == pytest.approx(0.9)
    assert z(1.0, [0.1, 0.1, 0.1], True) is None


def plain_max_t(observed, null):
    """The definition, by loops, for scores of which higher is better."""
    tables = [list(observed), *map(list, null)]
    largest = []
    for i, table in enumerate(tables):
        others = [other for j, other in enumerate(tables) if j != i]
        largest.append(
            max(
                (value - np.mean(rest)) / np.std(rest, ddof=1)
                for value, *rest in zip(table, *others, strict=True)
            )
        )
    return largest, np.mean([value >= largest[0] for value in largest])


@pytest.mark.parametrize("seed", range(5))
def test_max_t_is_the_definition(seed):
    rng = np.random.default_rng(seed)
    observed, null = rng.normal(size=4) + 0.5, rng.normal(size=(9, 4)) * [1, 10, 0.1, 1]
    result = max_t({"silhouette": (observed, null, True)})
    largest, p = plain_max_t(observed, null)
    assert result.p_value == pytest.approx(p)
    assert result.statistic == pytest.approx(largest[0])
    np.testing.assert_allclose(result.null_maxima, largest[1:])
    turned = max_t({"davies_bouldin": (-observed, -null, False)})
    assert (turned.p_value, turned.run, turned.score) == (
        result.p_value,
        result.run,
        "davies_bouldin",
    )


def test_scores_are_tested_jointly():
    rng = np.random.default_rng(3)
    silhouette, davies_bouldin = rng.normal(size=(20, 5)), rng.normal(size=(20, 5))
    davies_bouldin[0, 3] = -9.0
    result = max_t(
        {
            "silhouette": (silhouette[0], silhouette[1:], True),
            "davies_bouldin": (davies_bouldin[0], davies_bouldin[1:], False),
        }
    )
    side_by_side = np.hstack([silhouette, -davies_bouldin])
    largest, p = plain_max_t(side_by_side[0], side_by_side[1:])
    assert (result.score, result.run) == ("davies_bouldin", 3)
    assert (result.p_value, result.statistic) == (pytest.approx(p), pytest.approx(largest[0]))
    np.testing.assert_allclose(result.null_maxima, largest[1:])
    assert result.adjusted_p("davies_bouldin")[3] == result.p_value
    assert (result.adjusted_p("silhouette") >= result.p_value).all()


def rejections(replications, shift, missing=0.0):
    """Share of tests at 0.05, 19 null tables and 10 correlated runs of different scales, that
    reject."""
    rng = np.random.default_rng(11)
    mixing = rng.normal(size=(10, 10)) + 1.5
    count = 0
    for _ in range(replications):
        values = rng.normal(size=(20, 10)) @ mixing * 10.0 ** np.arange(-5, 5)
        values[0] += shift * np.linalg.norm(mixing, axis=0) * 10.0 ** np.arange(-5, 5)
        values[rng.random(values.shape) < missing] = np.nan
        p = max_t({"silhouette": (values[0], values[1:], True)}).p_value
        count += p is not None and p <= 0.05
    return count / replications


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_level_is_exact(missing):
    assert rejections(1000, np.zeros(10), missing) == pytest.approx(
        0.05, abs=3 * np.sqrt(0.05 * 0.95 / 1000)
    )


def test_one_strong_run_among_many_is_found():
    assert rejections(200, 6.0 * (np.arange(10) == 4)) > 0.95


def test_runs_without_scores_take_no_part():
    null = np.column_stack([np.arange(19.0), np.full(19, np.nan), np.zeros(19), np.arange(19.0)])
    null[4:, 3] = np.nan
    result = max_t({"silhouette": ([30.0, 5.0, None, None], null, True)})
    assert (result.run, result.score, result.p_value) == (0, "silhouette", 1 / 20)
    assert np.isnan(result.statistics["silhouette"]).tolist() == [False, True, True, True]
    assert np.isnan(result.adjusted_p("silhouette")).tolist() == [False, True, True, True]


def test_a_run_that_differs_from_tables_that_are_all_alike_counts_the_most_there_can_be():
    null = np.full((19, 1), 0.1)
    result = max_t({"silhouette": ([0.3], null, True)})
    assert result.p_value == 1 / 20
    assert result.statistic == 19 / np.sqrt(20)
    assert max_t({"silhouette": ([0.1], null, True)}).p_value is None
    assert max_t({"silhouette": ([0.0], null, True)}).p_value == 1.0


def test_null_tables_without_any_score_do_not_beat_the_observed():
    null = np.vstack([np.full((5, 2), np.nan), np.arange(28.0).reshape(14, 2) % 5])
    result = max_t({"silhouette": ([1.0, 1.0], null, True)})
    assert np.isneginf(result.null_maxima).tolist() == [True] * 5 + [False] * 14
    assert result.p_value == (1 + np.count_nonzero(result.null_maxima >= result.statistic)) / 20


def test_a_run_with_few_null_scores_hides_no_other():
    rng = np.random.default_rng(5)
    null = rng.normal(size=(19, 2))
    null[3:, 1] = np.nan
    null[0, 1] = null[1, 1] + 1e-9  # against these two, any third is far out
    result = max_t({"silhouette": ([9.0, 0.0], null, True)})
    assert (result.run, result.p_value) == (0, 1 / 20)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="do not fit"):
        max_t({"silhouette": ([1.0, 2.0], np.zeros((5, 3)), True)})
    with pytest.raises(ValueError, match="same runs and tables"):
        max_t({"a": ([1.0], np.zeros((5, 1)), True), "b": ([1.0], np.zeros((6, 1)), True)})
    with pytest.raises(ValueError, match="none"):
        max_t({})


def test_without_tables_there_is_no_test():
    result = max_t({"silhouette": ([0.3, 0.2], np.empty((0, 2)), True)})
    assert (result.p_value, result.run, result.statistic, len(result.null_maxima)) == (
        None,
        None,
        None,
        0,
    )
    assert np.isnan(result.adjusted_p("silhouette")).all()


def test_a_few_null_values_have_no_spread_worth_dividing_by():
    few = [None] * 37 + [1.20, 1.21]
    assert spread(few) is None
    assert z(0.5, few, False) is None
    assert z(0.5, [1.20, 1.21], False) == pytest.approx(0.705 / np.std([1.20, 1.21], ddof=1))
