"""What a partition leaves out does not matter to its scores, nor does a far-off customer to the
others'."""

from __future__ import annotations

import numpy as np
import pytest

from segkit.scoring import score_many
from segkit.scoring.contract import Status
from segkit.scoring.dbcv import dbcv
from segkit.scoring.silhouette import compute_sampled, silhouette_samples

NAMES = ("silhouette", "davies_bouldin", "calinski_harabasz")


def distances(X, Y):
    return np.sqrt(sum((X[:, None, j] - Y[None, :, j]) ** 2 for j in range(X.shape[1])))


def exactly(X, labels):
    """Compute scikit-learn's formulas over the clustered customers in extended precision."""
    X, labels = X[labels >= 0].astype(np.longdouble), labels[labels >= 0]
    clusters = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    sizes = np.array([len(rows) for rows in clusters])
    apart = distances(X, X)
    means = np.array([apart[:, rows].sum(axis=1) / len(rows) for rows in clusters])
    own = np.searchsorted(np.unique(labels), labels)
    a = means[own, np.arange(len(X))] * sizes[own] / np.maximum(sizes[own] - 1, 1)
    means[own, np.arange(len(X))] = np.inf
    b = means.min(axis=0)
    silhouettes = np.where((sizes[own] > 1) & (np.maximum(a, b) > 0), (b - a) / np.maximum(a, b), 0)
    centroids = np.array([X[rows].mean(axis=0) for rows in clusters])
    from_own = np.sqrt(((X - centroids[own]) ** 2).sum(axis=1))
    radii = np.array([from_own[rows].mean() for rows in clusters])
    between = distances(centroids, centroids)
    np.fill_diagonal(between, np.inf)
    spread = (sizes * ((centroids - X.mean(axis=0)) ** 2).sum(axis=1)).sum()
    return {
        "silhouette": silhouettes.mean(),
        "davies_bouldin": ((radii[:, None] + radii) / between).max(axis=1).mean(),
        "calinski_harabasz": (
            spread / (len(sizes) - 1) / ((from_own**2).sum() / (len(X) - len(sizes)))
        ),
    }


def blobs(n, d=3, k=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % k)
    return rng.normal(scale=3, size=(k, d))[labels] + rng.normal(size=(n, d)), labels


def with_noise(X, labels, noise, seed=1):
    """Put customers that belong to no cluster in between."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X) + len(noise))
    return np.concatenate([X, noise])[order], np.r_[labels, np.full(len(noise), -1)][order]


@pytest.mark.parametrize("far", [1e3, 1e11, 1e12, 1e13, 1e16, 1e100, 1e150, 1e-150])
def test_five_customers_of_whom_one_is_noise_by_hand(far):
    X, labels = np.array([[0.0], [1], [10], [11], [far]]), np.array([0, 0, 1, 1, -1])
    (scores,) = score_many(X, [labels])
    expected = {"silhouette": 359 / 399, "davies_bouldin": 0.1, "calinski_harabasz": 200}
    assert {name: score.value for name, score in scores.items()} == pytest.approx(
        expected, rel=1e-14
    )
    assert {str(score.status) for score in scores.values()} == {"ok"}
    assert silhouette_samples(X, labels)[:4] == pytest.approx(
        [1 - 2 / 21, 1 - 2 / 19, 1 - 2 / 19, 1 - 2 / 21]
    )


def noises():
    """Noise of many kinds: beside, around, far off, tight, most of the customers, of another
    unit altogether."""
    yield "near", lambda rng, d: rng.normal(scale=6, size=(90, d))
    yield "most", lambda rng, d: rng.normal(scale=6, size=(2600, d))
    yield "most of all far off and tight", lambda rng, d: 1e4 + rng.normal(size=(2600, d))
    yield "most of all in one place", lambda rng, d: np.full((2600, d), 1e5 / 3)
    for far in (1e2, 1e6, 1e9, 1e13, 1e30, 1e150):
        yield f"at {far:g}", lambda rng, d, far=far: far * rng.normal(size=(3, d))
    yield (
        "at every distance",
        lambda rng, d: np.exp(rng.uniform(-40, 300, size=(300, 1))) * rng.normal(size=(300, d)),
    )


NOISES = dict(noises())


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize(
    ("n", "d", "unit", "origin"),
    [(40, 3, 1, 0), (900, 3, 1, 0), (900, 1, 1e-30, 0), (700, 9, 1, 1e7)],
)
def test_scores_with_noise_are_those_without_its_rows(kind, n, d, unit, origin):
    X, labels = blobs(n, d)
    X = X * unit + origin
    noisy, noisy_labels = with_noise(X, labels, NOISES[kind](np.random.default_rng(2), d))
    rows = np.flatnonzero(noisy_labels >= 0)
    others = np.where(np.random.default_rng(3).random(len(noisy)) < 0.5, noisy_labels, -1)
    (_, score), (alone,) = (
        score_many(noisy, [others, noisy_labels]),
        score_many(noisy[rows], [noisy_labels[rows]]),
    )
    for name in NAMES:
        assert score[name].status is alone[name].status is Status.OK
        assert score[name].value == pytest.approx(alone[name].value, rel=1e-12), name
    samples = silhouette_samples(noisy, noisy_labels)
    assert np.allclose(
        samples[rows], silhouette_samples(noisy[rows], noisy_labels[rows]), rtol=0, atol=1e-11
    )
    assert np.isnan(np.delete(samples, rows)).all()


@pytest.mark.parametrize("kind", NOISES)
def test_drawn_customers_are_scored_without_the_noise(kind):
    X, labels = blobs(900)
    noisy, noisy_labels = with_noise(X, labels, NOISES[kind](np.random.default_rng(2), 3))
    drawn = np.random.default_rng(4).permutation(len(noisy))[: len(noisy) * 4 // 5]
    rows = np.flatnonzero(noisy_labels >= 0)
    (score,) = compute_sampled(noisy, [noisy_labels], drawn)
    (alone,) = compute_sampled(
        noisy[rows], [noisy_labels[rows]], np.flatnonzero(np.isin(rows, drawn))
    )
    assert score.value == pytest.approx(alone.value, rel=1e-12)
    assert score.interval == pytest.approx(alone.interval, rel=0.01)
    assert (score.n_used, score.n_scored) == (alone.n_used, alone.n_scored)


@pytest.mark.parametrize("kind", NOISES)
def test_noise_counts_in_density_validity_by_its_number_only(kind):
    X, labels = blobs(60, d=2, k=3)
    noisy, noisy_labels = with_noise(X, labels, NOISES[kind](np.random.default_rng(2), 2)[:90])
    rows = np.flatnonzero(noisy_labels >= 0)
    score, alone = dbcv(noisy, noisy_labels), dbcv(noisy[rows], noisy_labels[rows])
    assert score.value == pytest.approx(alone.value * len(rows) / len(noisy), rel=1e-12)


def far_off(n, far, where):
    """Put one customer far off, in a cluster of its own, of two, or in one of the others."""
    X, labels = blobs(n)
    X[0] = far
    labels[0] = {"alone": 4, "with another": 4, "in a large one": labels[0]}[where]
    labels[1] = 4 if where == "with another" else labels[1]
    return X, labels


@pytest.mark.parametrize("where", ["alone", "with another", "in a large one"])
@pytest.mark.parametrize("far", [1e3, 1e6, 1e8, 1e9, 1e10, 1e12])
@pytest.mark.parametrize("n", [20, 900])
def test_one_far_customer_in_a_cluster_leaves_the_scores_exact_or_without_a_value(n, far, where):
    X, labels = far_off(n, far, where)
    exact = exactly(X, labels)
    noise = np.where(np.random.default_rng(0).random(n) < 0.2, -1, labels)
    for score, truth in zip(
        score_many(X, [labels, noise]), (exact, exactly(X, noise)), strict=True
    ):
        assert score["silhouette"].value == pytest.approx(float(truth["silhouette"]), rel=1e-9)
        for name in ("davies_bouldin", "calinski_harabasz"):
            if score[name].status is Status.OK:
                assert score[name].value == pytest.approx(float(truth[name]), rel=1e-9), name
        assert (
            far > 1e8
            or score["davies_bouldin"].status is score["calinski_harabasz"].status is Status.OK
        )


def test_clusters_far_from_each_other_keep_the_digits_of_their_spread():
    X, labels = blobs(600, k=6)
    X += np.array([0, 0, 1e9, 1e9, -1e9, 1e6])[labels, None]
    (score,), truth = score_many(X, [labels]), exactly(X, labels)
    for name in ("davies_bouldin", "calinski_harabasz"):
        assert score[name].value == pytest.approx(float(truth[name]), rel=1e-12), name
    assert score["silhouette"].value == pytest.approx(float(truth["silhouette"]), rel=1e-6)


@pytest.mark.parametrize("d", [1, 2, 17])
def test_the_oracle_is_scikit_learn(d):
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

    X, labels = blobs(200, d)
    plain = [
        silhouette_score(X, labels),
        davies_bouldin_score(X, labels),
        calinski_harabasz_score(X, labels),
    ]
    assert [float(value) for value in exactly(X, labels).values()] == pytest.approx(
        plain, rel=1e-12
    )
