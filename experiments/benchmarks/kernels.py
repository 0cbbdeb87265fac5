"""Each shared kernel against the plain calls of the libraries, in CPU time on one thread.

    python experiments/benchmarks/kernels.py
    python experiments/benchmarks/kernels.py --customers 3000 --columns 17

The space is CC GENERAL's (median imputation, standardised), or simulated customers where that file
is missing, and its first principal components. Every kernel is compiled beforehand, and checked
against the plain calls: the same labels up to their numbering, scores to 1e-9.

The plain calls: silhouettes, one `silhouette_score` for each of 100 K-Means partitions (k = 2..11,
ten seeds); Ward, one `AgglomerativeClustering` for each k = 2..10; HDBSCAN, one fit for each of six
`min_cluster_size`; DBSCAN, one fit for each of six radii; K-Means, one fit with ten starts for each
k = 2..10. Only some of the silhouettes are computed the plain way (--silhouettes) and multiplied
up.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Read by the numerical libraries when they are imported.
os.environ.update(
    dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
    )
)

FAMILIES = {
    "Ward, k = 2..10": [
        {"_target_": "sklearn.cluster.AgglomerativeClustering", "n_clusters": k, "linkage": "ward"}
        for k in range(2, 11)
    ],
    "HDBSCAN, 6 sizes": [
        {"_target_": "hdbscan.HDBSCAN", "min_cluster_size": size, "min_samples": 10}
        for size in (25, 50, 75, 100, 150, 200)
    ],
    "DBSCAN, 6 radii": [
        {"_target_": "sklearn.cluster.DBSCAN", "eps": eps, "min_samples": 10}
        for eps in (0.3, 0.5, 0.8, 1.2, 2.0, 3.0)
    ],
    "K-Means, k = 2..10, 10 starts": [
        {"_target_": "sklearn.cluster.KMeans", "n_clusters": k, "n_init": 10, "random_state": 42}
        for k in range(2, 11)
    ],
}


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds that some work takes in this process, and what it returns."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def customers(most: int | None) -> np.ndarray:
    """Return the standardised features of CC GENERAL, or without it of simulated customers."""
    from sklearn.preprocessing import StandardScaler

    from segkit.data import source
    from segkit.errors import UsageError
    from segkit.features import build_features
    from segkit.study.compose import compose_study

    def matrix(data: str) -> np.ndarray:
        groups = compose_study([f"data={data}"]).configurations[0].groups
        return build_features(source(groups["data"]).load(), groups["features"]).matrix

    try:
        features = matrix("cc_general")
    except UsageError as error:
        print(f"simulated customers ({error})")
        features = matrix("simulated")
    return StandardScaler().fit_transform(features[:most])


def family(X: np.ndarray, configs: Sequence[dict]) -> tuple[float, float]:
    """Return the CPU seconds of the plain fits and of the family's, which must agree."""
    import numpy as np

    from segkit.clustering import canonical, fit_many
    from segkit.targets import build

    fit_many(X[:500], configs[:2])
    shared, partitions = seconds(lambda: fit_many(X, configs))
    plain, labels = seconds(lambda: [build(config).fit(X).labels_ for config in configs])
    for config, one, other in zip(configs, partitions, labels, strict=True):
        if not np.array_equal(one.labels, canonical(other)):
            raise SystemExit(f"labels differ: {config}")
    return plain, shared


def silhouettes(X: np.ndarray, plain_calls: int) -> tuple[float, float]:
    """Return the CPU seconds of 100 silhouettes, the plain way (scaled up) and in one pass."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    from segkit.scoring.silhouette import compute_many

    partitions = [
        KMeans(k, n_init=1, random_state=seed).fit_predict(X)
        for seed in range(10)
        for k in range(2, 12)
    ]
    compute_many(X[:500], [partition[:500] for partition in partitions[:2]])
    shared, scores = seconds(lambda: compute_many(X, partitions))
    some = range(0, len(partitions), max(1, len(partitions) // plain_calls))
    plain, values = seconds(lambda: [silhouette_score(X, partitions[i]) for i in some])
    for i, value in zip(some, values, strict=True):
        if abs(scores[i].value - value) > 1e-9:
            raise SystemExit(f"silhouettes differ: {scores[i].value} and {value}")
    return plain * len(partitions) / len(some), shared


def main() -> None:
    """Time every kernel in every number of columns."""
    from sklearn.decomposition import PCA

    asked = _arguments()
    space = customers(asked.customers)
    print(
        f"{'':<32}{'columns':>8}{'plain s':>10}{'shared s':>10}{'ratio':>8}   {len(space):,}"
        " customers"
    )
    for columns in asked.columns:
        X = (
            space
            if columns >= space.shape[1]
            else PCA(columns, random_state=0).fit_transform(space)
        )
        measures = {"silhouettes of 100 partitions": lambda X=X: silhouettes(X, asked.silhouettes)}
        measures |= {
            name: lambda X=X, configs=configs: family(X, configs)
            for name, configs in FAMILIES.items()
        }
        for name, measure in measures.items():
            plain, shared = measure()
            print(
                f"{name:<32}{X.shape[1]:>8}{plain:>10.2f}{shared:>10.3f}{plain / shared:>8.1f}",
                flush=True,
            )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, help="the largest number of customers (all)")
    parser.add_argument(
        "--columns", type=int, nargs="+", default=[17, 5, 2], help="of the spaces (17 5 2)"
    )
    parser.add_argument(
        "--silhouettes", type=int, default=10, help="of the 100, computed the plain way (10)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
