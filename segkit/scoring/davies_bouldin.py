"""Davies-Bouldin: each cluster's spread against the distance to the most similar one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segkit.clustering.arrays import Labels, Matrix, Vector
from segkit.scoring.centroids import compute_each
from segkit.scoring.contract import Groups, Score, ScoreDefinition, Status
from segkit.scoring.spread import Spread


def compute_many(X: Matrix, partitions: Sequence[Labels]) -> list[Score]:
    """Compute the Davies-Bouldin index of all partitions of one space.

    With S_i the mean distance of cluster i's members to its centroid c_i, the mean over i of the
    largest (S_i + S_j) / |c_i - c_j| over j != i. Range [0, inf), lower is better. Noise is left
    out.

    Parameters
    ----------
    X : array of shape (n, d)
        The space.
    partitions : sequence of arrays of shape (n,), integers
        One label per customer; negative is noise.

    Returns
    -------
    list of Score
        In the order given; no value with status ``all_noise``, ``single_cluster``,
        ``too_many_clusters``, or ``coincident_centroids``: two centroids nearer than 1e-10 of the
        clustered customers' root mean square radius (or than the rounding of their coordinates),
        where the ratio is not defined.

    References
    ----------
    Davies, D. L. and Bouldin, D. W. (1979). A cluster separation measure. IEEE Transactions on
    Pattern Analysis and Machine Intelligence 1, 224-227.
    """
    return [score for (score,) in compute_each(X, partitions, [of_spread])]


def of_spread(groups: Groups, clusters: Spread) -> Score:
    """Score one partition, of 2 <= k <= n - 1 clusters, as `compute_many` does."""
    radii = np.bincount(clusters.codes, weights=np.sqrt(clusters.squared)) / groups.sizes
    worst = _worst_ratios(clusters, radii)
    if worst is None:
        return groups.no_score(Status.COINCIDENT_CENTROIDS)
    return groups.score(float(worst.mean()))


def _worst_ratios(clusters: Spread, radii: Vector) -> Vector | None:
    """Return each cluster's largest ratio, or None if two centroids coincide.

    One row of centroid distances is held at a time.
    """
    negligible = clusters.negligible
    worst = np.empty(len(radii))
    for i in range(len(radii)):
        distances = np.sqrt(np.square(clusters.seen_from(i)).sum(axis=1))
        distances[i] = np.inf
        if distances.min() <= negligible:
            return None
        worst[i] = ((radii[i] + radii) / distances).max()
    return worst


SCORE = ScoreDefinition(
    name="davies_bouldin",
    label="Davies-Bouldin",
    higher_is_better=False,
    order=20,
    compute_many=compute_many,
    of_spread=of_spread,
)
