"""DBSCAN (Ester, Kriegel, Sander and Xu 1996) for many radii and densities on one space.

Shared: one k-d tree; one search around each customer, which counts the neighbours within all radii
at once and ends when the smallest radius has as many as the largest ``min_samples``; the components
of each ``min_samples``, which only grow with the radius. Parts of the tree that already lie in one
component are skipped, so that large radii cost little.

Memory: 8 n (4 d + 15 + M + E / 2) bytes for M values of ``min_samples`` and E radii; no
neighbourhood is ever held. Outside the family (another metric) the plain estimator holds all
neighbourhoods: up to 24 n^2 bytes.

Labels are those of ``sklearn.cluster.DBSCAN``: a border customer within reach of several clusters
joins the one whose first core customer comes first. Only pairs exactly a radius apart may be judged
differently, where the last digit of scikit-learn's distances differs (those of a matrix product,
for one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering import generic
from segkit.clustering.partition import (
    BASE_BYTES,
    NOISE,
    Config,
    Partition,
    attempt,
    canonical,
)

if TYPE_CHECKING:
    from segkit.clustering.arrays import Indices, Labels, Mask, Matrix
    from segkit.projection.landmarks import Landmarks

# Repeated here, as asking the class would import its library where a study is only planned.
_DEFAULTS: Mapping[str, object] = {
    "eps": 0.5,
    "min_samples": 5,
    "metric": "euclidean",
    "metric_params": None,
}
# What a member of the family may set; the last four decide no label.
_FREE = ("eps", "min_samples", "algorithm", "leaf_size", "n_jobs", "p")
_BYTES_PER_PAIR = 24  # of the plain estimator's neighbourhoods
_QUERIED_AT_ONCE = 8192  # customers


def infeasible(config: Config, n: int) -> str | None:  # noqa: ARG001
    """Return None: every radius and density can be tried on any number of customers."""
    return None


def memory(config: Config, n: int, d: int) -> int:
    """Return a bound on the bytes that fitting n customers in d columns takes beyond the matrix."""
    total = BASE_BYTES + 8 * n * (4 * d + 20)
    return total if _radius_and_density(config) else total + _BYTES_PER_PAIR * n * n


def fit_many(X: Matrix, configs: Sequence[Config]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of ``sklearn.cluster.DBSCAN``."""
    pairs = [_radius_and_density(config) for config in configs]
    shared = attempt(_partitions, X, sorted({pair for pair in pairs if pair}))
    return [
        attempt(generic.fit, X, config) if pair is None else _member(shared, pair)
        for config, pair in zip(configs, pairs, strict=True)
    ]


def fit_drawn(
    X: Matrix, configs: Sequence[Config], landmarks: Landmarks
) -> list[Partition | Exception | None]:
    """Cluster the landmarks of a large space, counting all customers around each (DBSCAN++).

    The others join their nearest landmark that is a core customer within the radius, and are noise
    without one. A configuration outside the family has None in its place.

    References
    ----------
    Jang, J. and Jiang, H. (2019). DBSCAN++: towards fast and scalable density clustering. ICML
    2019, 3019-3029.
    """
    pairs = [_radius_and_density(config) for config in configs]
    shared = attempt(_drawn_partitions, X, sorted({pair for pair in pairs if pair}), landmarks)
    return [None if pair is None else _member(shared, pair) for pair in pairs]


def _drawn_partitions(
    X: Matrix, pairs: Sequence[tuple[float, int]], landmarks: Landmarks
) -> dict[tuple[float, int], Partition]:
    from segkit.clustering.dbscan_kernel import label_drawn

    partitions = {}
    for eps, least, labels, core in label_drawn(X, landmarks.rows, pairs):
        everybody = _reached(X, labels, core & (labels >= 0), eps, landmarks)
        fidelity = float((everybody[landmarks.rows] == labels).mean())
        everybody[landmarks.rows] = labels
        figures = {"fitted_customers": len(labels), "fidelity": fidelity}
        partitions[eps, least] = Partition(canonical(everybody), figures)
    return partitions


def _reached(X: Matrix, labels: Labels, core: Mask, eps: float, landmarks: Landmarks) -> Labels:
    """Return for each customer the label of the nearest core landmark in the radius, or noise."""
    import numpy as np

    near = core[landmarks.indices] & (landmarks.distances <= eps)
    first = near.argmax(axis=1)
    nearest = np.take_along_axis(landmarks.indices, first[:, None], axis=1)[:, 0]
    everybody = np.where(near.any(axis=1), labels[nearest], NOISE)
    # Only some landmarks are known of each customer: all may be near, and none of them core.
    undecided = np.flatnonzero(~near.any(axis=1) & (landmarks.distances[:, -1] <= eps))
    if len(undecided) and core.any():
        everybody[undecided] = _nearest_core(X, landmarks.rows[core], labels[core], eps, undecided)
    return everybody


def _nearest_core(X: Matrix, rows: Indices, labels: Labels, eps: float, queried: Indices) -> Labels:
    import numpy as np
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=1).fit(X[rows])
    joined = np.empty(len(queried), dtype=labels.dtype)
    for start in range(0, len(queried), _QUERIED_AT_ONCE):
        part = slice(start, start + _QUERIED_AT_ONCE)
        distances, nearest = index.kneighbors(X[queried[part]])
        joined[part] = np.where(distances[:, 0] <= eps, labels[nearest[:, 0]], NOISE)
    return joined


def _radius_and_density(config: Config) -> tuple[float, int] | None:
    """Return radius and density of a member of the family, or None for the plain estimator's."""
    given = {**_DEFAULTS, **targets.parameters(config)}
    if any(given[name] != _DEFAULTS.get(name) for name in given if name not in _FREE):
        return None
    eps, least = given["eps"], given["min_samples"]
    if not isinstance(eps, int | float) or not eps > 0:
        return None
    if not isinstance(least, Integral) or isinstance(least, bool) or not int(least) > 0:
        return None
    return float(eps), int(least)


def _member(
    shared: dict[tuple[float, int], Partition] | Exception, pair: tuple[float, int]
) -> Partition | Exception:
    return shared if isinstance(shared, Exception) else shared[pair]


def _partitions(
    X: Matrix, pairs: Sequence[tuple[float, int]]
) -> dict[tuple[float, int], Partition]:
    if not pairs:
        return {}
    from segkit.clustering.dbscan_kernel import label_many

    return {
        (eps, least): Partition(canonical(labels)) for eps, least, labels in label_many(X, pairs)
    }
