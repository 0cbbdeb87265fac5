"""Published figures on the real card customers come out of a sweep, to the digits printed."""

from __future__ import annotations

import pandas as pd
import pytest

from segkit.progress import Silent
from segkit.scoring.agreement import adjusted_rand
from segkit.study.compose import compose_study
from segkit.study.run.preparation import prepare
from segkit.study.sweep import launch

# k: within-cluster sum of squares, silhouette, Davies-Bouldin, Calinski-Harabasz
KMEANS = {
    2: (127784.53, 0.2100, 1.9120, 1706.18),
    3: (111975.04, 0.2510, 1.5920, 1605.03),
    4: (99061.94, 0.1977, 1.5748, 1598.08),
    5: (91490.50, 0.1931, 1.5492, 1482.67),
    6: (84826.59, 0.2029, 1.5064, 1419.70),
    7: (79856.16, 0.2077, 1.4918, 1349.35),
    8: (74484.88, 0.2217, 1.3697, 1331.97),
}
SCORES = ["silhouette_native", "davies_bouldin_native", "calinski_harabasz_native"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("published")


@pytest.fixture
def sweep(folder, cc_general_csv, monkeypatch):
    monkeypatch.setenv("SEGKIT_DATA_DIR", str(cc_general_csv.parent))

    def run(*overrides):
        base = [
            "data=cc_general",
            "scoring.draws=1",
            "scoring.confirm=false",
            "scoring.references=[standard]",
            "engine=inline",
        ]
        places = [
            f"store={folder}/store",
            f"hydra.sweep.dir={folder}/{len(list(folder.iterdir()))}",
        ]
        return launch(prepare(compose_study([*base, *places, *overrides])), ["segkit"], Silent())

    return run


def test_kmeans_ward_and_dbscan_on_standardised_customers(sweep):
    runs = sweep("clusterer=kmeans", "clusterer.n_clusters=range(2,9)").runs.set_index(
        "clusterer.n_clusters"
    )
    for k, (inertia, *scores) in KMEANS.items():
        assert runs.loc[k, "inertia"] == pytest.approx(inertia, abs=0.005)
        computed = runs.loc[k, SCORES].tolist()
        assert [round(computed[0], 4), round(computed[1], 4), round(computed[2], 2)] == scores

    finished = sweep("clusterer=kmeans,agglomerative", "clusterer.n_clusters=3")
    kmeans, ward = finished.runs.to_dict("records")
    computed = [ward[name] for name in SCORES]
    assert [round(computed[0], 4), round(computed[1], 4), round(computed[2], 2)] == [
        0.1674,
        1.8496,
        1239.33,
    ]
    partitions = pd.read_parquet(finished.folder / "partitions.parquet")
    agreement = adjusted_rand(
        *(partitions[run["run"]].to_numpy(dtype=int) for run in (kmeans, ward))
    )
    assert round(agreement.value, 4) == 0.3597

    (dbscan,) = sweep(
        "clusterer=dbscan", "clusterer.eps=2.5", "clusterer.min_samples=8"
    ).runs.to_dict("records")
    assert dbscan["n_clusters"] == 1
    assert round(dbscan["noise_fraction"] * 8950) == 369
    assert dbscan["silhouette_native_status"] == "single_cluster"


def test_principal_components_of_standardised_customers(sweep):
    runs = sweep("projection=pca", "projection.n_components=1,2").runs
    shares = runs.set_index("projection.n_components")["projection.explained_variance"]
    assert round(100 * shares[1], 2) == 27.30
    assert round(100 * (shares[2] - shares[1]), 2) == 20.31
