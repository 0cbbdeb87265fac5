"""The scores against what R computed, and against published figures on real customers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.preprocessing import StandardScaler

from segkit.clustering import canonical, fit_many
from segkit.scoring import score_many
from segkit.scoring.agreement import adjusted_rand
from segkit.scoring.silhouette import silhouette_samples
from segkit.scoring.stability import stability_many

WARD = {"_target_": "sklearn.cluster.AgglomerativeClustering", "n_clusters": 3, "linkage": "ward"}
# Both libraries count the point itself among its neighbours: MinPts is min_samples.
DBSCAN = {"_target_": "sklearn.cluster.DBSCAN", "eps": 0.55, "min_samples": 8}


class Oracle:
    """One R result, its labels made 0-based with -1 for the class of noise."""

    def __init__(self, folder, name, noise=None):
        def read(what):
            return pd.read_csv(folder / f"{name}_{what}.csv").to_numpy()

        self.X = read("points")
        self.labels = read("partition").ravel() - 1
        self.labels[self.labels == (noise or 0) - 1] = -1
        self.jaccard = read("jaccard")
        self.draws = [row[~np.isnan(row)].astype(int) for row in read("draws")]

    def columns(self, labels):
        """R's column of each of our clusters."""
        return [self.labels[labels == cluster][0] for cluster in range(labels.max() + 1)]


def test_ward_stability_equals_clusterboot(oracles_dir):
    oracle = Oracle(oracles_dir, "ward")
    (partition,) = fit_many(oracle.X, [WARD])
    assert np.array_equal(partition.labels, canonical(oracle.labels))
    (stability,) = stability_many(oracle.X, [WARD], [partition.labels], oracle.draws)
    assert stability.jaccard.shape == (50, 3)
    assert (
        np.abs(stability.jaccard - oracle.jaccard[:, oracle.columns(partition.labels)]).max()
        < 1e-12
    )
    assert np.isnan(stability.noise_jaccard).all()


def test_dbscan_stability_equals_clusterboot(oracles_dir):
    oracle = Oracle(oracles_dir, "dbscan", noise=5)
    (partition,) = fit_many(oracle.X, [DBSCAN])
    assert np.array_equal(partition.labels, canonical(oracle.labels))
    assert (partition.labels == -1).sum() == 63
    (stability,) = stability_many(oracle.X, [DBSCAN], [partition.labels], oracle.draws)
    assert (
        np.abs(stability.jaccard - oracle.jaccard[:, oracle.columns(partition.labels)]).max()
        < 1e-12
    )
    assert np.abs(stability.noise_jaccard - oracle.jaccard[:, 4]).max() < 1e-12


def test_silhouettes_and_calinski_harabasz_equal_r(oracles_dir):
    oracle = Oracle(oracles_dir, "ward")
    expected = pd.read_csv(oracles_dir / "ward_silhouette.csv").to_numpy(dtype=float).ravel()
    assert np.abs(silhouette_samples(oracle.X, oracle.labels) - expected).max() < 1e-12
    (scores,) = score_many(oracle.X, [oracle.labels])
    assert scores["silhouette"].value == pytest.approx(0.566739884537381, abs=1e-12)
    assert scores["calinski_harabasz"].value == pytest.approx(551.279849940024, rel=1e-12)


KMEANS_PUBLISHED = {
    2: ("0.2100", "1.9120", "1706.18"),
    3: ("0.2510", "1.5920", "1605.03"),
    5: ("0.1931", "1.5492", "1482.67"),
    8: ("0.2217", "1.3697", "1331.97"),
}
WARD_PUBLISHED = ("0.1674", "1.8496", "1239.33")


@pytest.fixture(scope="module")
def customers(cc_general_csv):
    table = pd.read_csv(cc_general_csv).drop(columns="CUST_ID")
    return StandardScaler().fit_transform(table.fillna(table.median()))


def test_published_figures_on_card_customers(customers):
    kmeans = [
        KMeans(k, random_state=42, n_init=10).fit_predict(customers) for k in KMEANS_PUBLISHED
    ]
    ward = AgglomerativeClustering(3).fit_predict(customers)
    printed = [
        (
            f"{scores['silhouette'].value:.4f}",
            f"{scores['davies_bouldin'].value:.4f}",
            f"{scores['calinski_harabasz'].value:.2f}",
        )
        for scores in score_many(customers, [*kmeans, ward])
    ]
    assert printed == [*KMEANS_PUBLISHED.values(), WARD_PUBLISHED]
    assert f"{adjusted_rand(ward, kmeans[1]).value:.4f}" == "0.3597"
