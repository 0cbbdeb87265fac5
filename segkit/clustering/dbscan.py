"""DBSCAN (Ester, Kriegel, Sander and Xu 1996) for many radii and densities on one space.

Shared: one k-d tree; one search around each customer, which counts the neighbours within all radii
at once and is over when the smallest has as many as the largest ``min_samples``; the components of
each ``min_samples``, which only grow with the radius. Parts of the tree that already lie in one
component are passed over, so that large radii cost little.

Memory: 8 n (4 d + 15 + M + E / 2) bytes for M values of ``min_samples`` and E radii; no
neighbourhood is ever held. Outside the family (another metric) the plain estimator holds all
neighbourhoods: up to 24 n^2 bytes.

Labels are those of ``sklearn.cluster.DBSCAN``: a border customer within reach of several clusters
joins the one whose first core customer comes first. Only pairs exactly a radius apart may be judged
differently, where scikit-learn's distances have another last digit (those of a matrix product, for
one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from segkit import targets
from segkit.clustering import generic
from segkit.clustering.partition import NOISE, Partition, attempt, canonical

if TYPE_CHECKING:
    import numpy as np

    from segkit.projection.landmarks import Landmarks

# Said here, as asking the class would import its library where a study is only planned.
_USUAL: Mapping[str, object] = {
    "eps": 0.5,
    "min_samples": 5,
    "metric": "euclidean",
    "metric_params": None,
}
_FREE = (
    "eps",
    "min_samples",
    "algorithm",
    "leaf_size",
    "n_jobs",
    "p",
)  # the last four decide no label
_BASE = 1 << 20  # bytes; whatever does not grow with the customers
_PER_PAIR = 24  # bytes
_QUERIED = 8192


def infeasible(config: Mapping, n: int) -> str | None:  # noqa: ARG001
    """Return None: every radius and density can be tried on any number of customers."""
    return None


def memory(config: Mapping, n: int, d: int) -> int:
    """Return a bound on the bytes that fitting n customers in d columns takes beyond the matrix."""
    held = _BASE + 8 * n * (4 * d + 20)
    return held if _wanted(config) else held + _PER_PAIR * n * n


def fit_many(X: np.ndarray, configs: Sequence[Mapping]) -> list[Partition | Exception]:
    """Cluster one space with several configurations of ``sklearn.cluster.DBSCAN``."""
    wanted = [_wanted(config) for config in configs]
    shared = attempt(_partitions, X, sorted({pair for pair in wanted if pair}))
    return [
        attempt(generic.fit, X, config) if pair is None else _member(shared, pair)
        for config, pair in zip(configs, wanted, strict=True)
    ]


def fit_drawn(
    X: np.ndarray, configs: Sequence[Mapping], landmarks: Landmarks
) -> list[Partition | Exception | None]:
    """Cluster a large space by its landmarks, everybody being counted around each (Jang and Jiang 2019).

    The others join their nearest landmark that is a core customer within the radius, and are noise
    without one. None for a configuration that is not of the family.
    """
    wanted = [_wanted(config) for config in configs]
    shared = attempt(_drawn_partitions, X, sorted({pair for pair in wanted if pair}), landmarks)
    return [None if pair is None else _member(shared, pair) for pair in wanted]


def _drawn_partitions(
    X: np.ndarray, wanted: Sequence[tuple[float, int]], landmarks: Landmarks
) -> dict[tuple[float, int], Partition]:
    from segkit.clustering.dbscan_kernel import label_drawn

    found = {}
    for eps, least, labels, core in label_drawn(X, landmarks.rows, wanted):
        everybody = _reached(X, labels, core & (labels >= 0), eps, landmarks)
        fidelity = float((everybody[landmarks.rows] == labels).mean())
        everybody[landmarks.rows] = labels
        figures = {"fitted_customers": len(labels), "fidelity": fidelity}
        found[eps, least] = Partition(canonical(everybody), figures)
    return found


def _reached(
    X: np.ndarray, labels: np.ndarray, core: np.ndarray, eps: float, landmarks: Landmarks
) -> np.ndarray:
    """Return everybody's label by their nearest core landmark within the radius, which may be none."""
    import numpy as np

    near = core[landmarks.indices] & (landmarks.distances <= eps)
    first = near.argmax(axis=1)
    nearest = np.take_along_axis(landmarks.indices, first[:, None], axis=1)[:, 0]
    found = np.where(near.any(axis=1), labels[nearest], NOISE)
    # The few landmarks that are known of each customer may all be near and none of them core.
    open_ones = np.flatnonzero(~near.any(axis=1) & (landmarks.distances[:, -1] <= eps))
    if len(open_ones) and core.any():
        found[open_ones] = _nearest_core(X, landmarks.rows[core], labels[core], eps, open_ones)
    return found


def _nearest_core(
    X: np.ndarray, rows: np.ndarray, labels: np.ndarray, eps: float, of: np.ndarray
) -> np.ndarray:
    import numpy as np
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=1).fit(X[rows])
    found = np.empty(len(of), dtype=labels.dtype)
    for start in range(0, len(of), _QUERIED):
        part = slice(start, start + _QUERIED)
        distances, nearest = index.kneighbors(X[of[part]])
        found[part] = np.where(distances[:, 0] <= eps, labels[nearest[:, 0]], NOISE)
    return found


def _wanted(config: Mapping) -> tuple[float, int] | None:
    """Return radius and density of a member of the family; None if the plain estimator has to see to it."""
    given = {**_USUAL, **targets.parameters(config)}
    eps, least = given["eps"], given["min_samples"]
    if any(given[name] != _USUAL.get(name) for name in given if name not in _FREE):
        return None
    numbers = (
        isinstance(eps, int | float) and isinstance(least, Integral) and not isinstance(least, bool)
    )
    return (float(eps), int(least)) if numbers and eps > 0 and least > 0 else None


def _member(shared: dict | Exception, pair: tuple[float, int]) -> Partition | Exception:
    return shared if isinstance(shared, Exception) else shared[pair]


def _partitions(
    X: np.ndarray, wanted: Sequence[tuple[float, int]]
) -> dict[tuple[float, int], Partition]:
    if not wanted:
        return {}
    from segkit.clustering.dbscan_kernel import label_many

    return {
        (eps, least): Partition(canonical(labels)) for eps, least, labels in label_many(X, wanted)
    }
