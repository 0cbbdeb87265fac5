from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from segkit.errors import Infeasible
from segkit.scoring.contract import Status
from segkit.scoring.stability import Stability, compare_draw, draw, join, stability_many


def clustered_with(monkeypatch, answer):
    """Let `answer(X, config)` stand in for the clusterers."""

    def fit_many(X, configs):
        labels = [answer(X, config) for config in configs]
        return [
            each if isinstance(each, Exception) else SimpleNamespace(labels=each) for each in labels
        ]

    monkeypatch.setattr("segkit.clustering.fit_many", fit_many, raising=False)


def best_jaccard(members, clusters):
    return max(
        (len(members & other) / len(members | other) for other in clusters if members | other),
        default=0,
    )


def by_sets(original, rows, labels):
    """The definition, with Python's sets."""
    kept = {c: {int(r) for r in rows if original[r] == c} for c in range(original.max() + 1)}
    clusters = [
        {int(r) for r, f in zip(rows, labels, strict=True) if f == c} for c in set(labels) - {-1}
    ]
    return [best_jaccard(members, clusters) for members in kept.values()]


def test_draws_are_the_same_for_the_same_identity_and_index_only():
    rows = draw("customers", 3, 5000)
    assert np.array_equal(rows, draw("customers", 3, 5000))
    assert not np.array_equal(rows, draw("customers", 4, 5000))
    assert not np.array_equal(rows, draw("others", 3, 5000))
    assert rows.dtype == np.int64
    assert (np.diff(rows) > 0).all()
    assert 0 <= rows[0] < rows[-1] < 5000


def test_draws_do_not_change_from_one_version_to_the_next():
    assert draw("customers", 0, 12).tolist() == [0, 1, 2, 3, 5, 6, 8, 10, 11]


def test_a_draw_keeps_its_share_of_customers_and_each_equally_often():
    draws = [draw("share", i, 400) for i in range(500)]
    assert np.mean([len(rows) for rows in draws]) / 400 == pytest.approx(
        1 - (1 - 1 / 400) ** 400, abs=0.005
    )
    often = np.bincount(np.concatenate(draws), minlength=400) / 500
    assert 0.55 < often.min() < often.max() < 0.71


@pytest.mark.parametrize("seed", range(30))
def test_a_draw_compared_by_sets_and_by_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    original = rng.integers(-1, 6, 150)
    rows = draw("sets", seed, 150)
    labels = np.where(rng.random(len(rows)) < 0.6, original[rows], rng.integers(-1, 4, len(rows)))
    ari, status, jaccard, noise = compare_draw(original, rows, labels)
    both = (original[rows] >= 0) & (labels >= 0)
    assert ari == pytest.approx(adjusted_rand_score(original[rows][both], labels[both]), rel=1e-12)
    assert status is Status.OK
    assert np.allclose(jaccard, by_sets(original, rows, labels), rtol=1e-15)
    a, b = set(rows[original[rows] < 0]), set(rows[labels < 0])
    assert noise == len(a & b) / len(a | b)


def test_the_numbering_of_what_was_found_does_not_matter():
    original, rows = np.repeat([0, 1, 2], 10), np.arange(0, 30, 2)
    plain, renamed = (
        compare_draw(original, rows, names[original[rows]])
        for names in np.array([[0, 1, 2], [5, 0, 9]])
    )
    assert plain[:2] == renamed[:2] == (1.0, "ok")
    assert plain[2].tolist() == renamed[2].tolist() == [1.0, 1.0, 1.0]


def test_a_cluster_missing_from_the_draw_has_jaccard_zero():
    original = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    ari, status, jaccard, noise = compare_draw(original, np.arange(7), original[:7])
    assert (ari, status, jaccard.tolist()) == (1.0, "ok", [1.0, 1.0, 0.0])
    assert np.isnan(noise)


def test_noise_is_compared_only_with_noise():
    original = np.array([0, 0, 0, 0, -1, -1, -1, -1])
    ari, status, jaccard, noise = compare_draw(
        original, np.arange(8), np.array([-1, -1, -1, -1, 0, 0, 0, 0])
    )
    assert (status, jaccard.tolist(), noise) == ("all_noise", [0.0], 0.0)
    assert np.isnan(ari)


@pytest.mark.parametrize(
    ("original", "labels", "status", "jaccard", "noise"),
    [
        ([0, 0, 0, 0], [0, 0, 0, 0], "single_cluster", [1.0], np.nan),
        ([-1, -1, -1, -1], [-1, -1, -1, -1], "all_noise", [], 1.0),
        ([0, 0, 1, 1], [-1, -1, -1, -1], "all_noise", [0.0, 0.0], 0.0),
        ([-1, -1, -1, -1], [0, 0, 1, 1], "all_noise", [], 0.0),
        ([0, 0, -1, -1], [0, 0, -1, -1], "single_cluster", [1.0], 1.0),
        ([0, 1, 2, 3], [3, 2, 1, 0], "too_many_clusters", [1.0, 1.0, 1.0, 1.0], np.nan),
    ],
)
def test_comparisons_without_an_ari(original, labels, status, jaccard, noise):
    ari, why, per_cluster, of_noise = compare_draw(
        np.array(original), np.arange(4), np.array(labels)
    )
    assert np.isnan(ari)
    assert (why, per_cluster.tolist()) == (status, jaccard)
    assert of_noise == pytest.approx(noise, nan_ok=True)


def test_a_draw_that_is_not_feasible_has_no_value_and_the_others_count(monkeypatch):
    original = np.repeat([0, 1], 10)
    X = original[:, None] * 1.0

    def answer(X, config):
        return Infeasible("too few customers") if len(X) < config["least"] else X[:, 0].astype(int)

    clustered_with(monkeypatch, answer)
    draws = [np.arange(20), np.arange(5, 12), np.arange(2, 20)]
    always, mostly, never = stability_many(
        X, [{"least": n} for n in (0, 10, 99)], [original] * 3, draws
    )
    assert always.ari_status == ("ok", "ok", "ok")
    assert mostly.ari_status == ("ok", "not_feasible", "ok")
    assert np.isnan(mostly.jaccard[1]).all()
    assert mostly.summary()["stability_jaccard"] == [1.0, 1.0]
    assert mostly.summary()["recovered"] == [2, 2]
    assert (mostly.summary()["draws"], mostly.summary()["stability_draws_valid"]) == (3, 2)
    nothing = never.summary()
    assert (nothing["stability_status"], nothing["stability_ari"]) == ("not_feasible", None)
    assert (nothing["stability_jaccard"], nothing["stability_jaccard_min"]) == ([None, None], None)
    assert (nothing["dissolved"], nothing["recovered"]) == ([0, 0], [0, 0])


def test_another_failure_takes_the_place_of_the_result(monkeypatch):
    original = np.repeat([0, 1], 5)
    failure = ArithmeticError("did not converge")
    clustered_with(monkeypatch, lambda X, fails: failure if fails else X[:, 0].astype(int))
    good, bad = stability_many(
        original[:, None], [False, True], [original] * 2, [np.arange(10), np.arange(8)]
    )
    assert good.ari.tolist() == [1.0, 1.0]
    assert bad is failure


def test_a_draw_that_comes_out_as_noise_counts_zero_for_every_cluster(monkeypatch):
    original = np.repeat([0, 1], 5)
    clustered_with(
        monkeypatch, lambda X, config: np.full(len(X), -1) if len(X) < 9 else X[:, 0].astype(int)
    )
    (stability,) = stability_many(
        original[:, None], [{}], [original], [np.arange(10), np.arange(8)]
    )
    summary = stability.summary()
    assert stability.ari_status == ("ok", "all_noise")
    assert (summary["stability_ari"], summary["stability_ari_sd"]) == (1.0, None)
    assert (summary["stability_jaccard"], summary["dissolved"]) == ([0.5, 0.5], [1, 1])


def test_the_summary_reads_the_draws_by_the_stated_limits():
    stability = Stability(
        ari=np.array([0.2, 0.4, np.nan, 0.9]),
        ari_status=("ok", "ok", "all_noise", "ok"),
        jaccard=np.array([[0.5, 0.9], [0.75, 0.76], [0.0, 0.0], [0.51, 1.0]]),
        noise_jaccard=np.array([0.2, np.nan, 0.4, np.nan]),
    )
    assert stability.summary() == {
        "draws": 4,
        "stability_draws_valid": 3,
        "stability_status": "ok",
        "stability_ari": pytest.approx(0.5),
        "stability_ari_sd": pytest.approx(np.std([0.2, 0.4, 0.9], ddof=1)),
        "stability_ari_q05": pytest.approx(0.22),
        "stability_ari_q95": pytest.approx(0.85),
        "stability_jaccard": [pytest.approx(0.44), pytest.approx(0.665)],
        "stability_jaccard_min": pytest.approx(0.44),
        "stability_noise_jaccard": pytest.approx(0.3),
        "dissolved": [2, 1],
        "recovered": [0, 3],
    }


def test_a_summary_is_plain_json_even_without_clusters_or_draws():
    nothing = Stability(np.array([np.nan]), ("all_noise",), np.zeros((1, 0)), np.array([1.0]))
    no_draws = Stability(np.empty(0), (), np.zeros((0, 2)), np.empty(0))
    for stability in (nothing, no_draws):
        summary = json.loads(json.dumps(stability.summary(), allow_nan=False))
        assert summary["stability_ari"] is summary["stability_jaccard_min"] is None
    assert (nothing.summary()["stability_status"], nothing.summary()["stability_jaccard"]) == (
        "all_noise",
        [],
    )
    assert no_draws.summary()["stability_status"] == "not_feasible"


def test_draws_computed_apart_join_to_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    original = rng.integers(-1, 3, 60)
    clustered_with(
        monkeypatch, lambda X, config: np.where(X[:, 1] < 0.3, X[:, 2], X[:, 0]).astype(int)
    )
    X = np.c_[original, rng.random(60), rng.integers(-1, 3, 60)]
    draws = [draw("join", i, 60) for i in range(5)]
    (together,) = stability_many(X, [{}], [original], draws)
    apart = join([stability_many(X, [{}], [original], part)[0] for part in (draws[:2], draws[2:])])
    assert apart.ari_status == together.ari_status
    for name in ("ari", "jaccard", "noise_jaccard"):
        assert np.array_equal(getattr(apart, name), getattr(together, name), equal_nan=True)
    assert apart.jaccard.shape == (5, 3)
