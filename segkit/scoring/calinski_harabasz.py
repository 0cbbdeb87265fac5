"""Calinski-Harabasz: the spread between the clusters over that within, per degree of freedom."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.clustering.arrays import Labels, Matrix
from segkit.scoring.centroids import compute_each
from segkit.scoring.contract import Groups, Score, ScoreDefinition, Status
from segkit.scoring.spread import Spread


def compute_many(X: Matrix, partitions: Sequence[Labels]) -> list[Score]:
    """Compute the Calinski-Harabasz index of all partitions of one space.

    (B / (k - 1)) / (W / (n - k)) over the n clustered customers, with W the squared distances to
    the own centroid and B those of the centroids to the mean of the clustered, times the sizes.
    Range [0, inf), higher is better. Noise is left out.

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
        ``too_many_clusters``, or ``zero_within``: a root mean square distance to the centroids
        below 1e-10 of the clustered customers' root mean square radius (or below the rounding of
        their coordinates), where the ratio is not defined.

    References
    ----------
    Calinski, T. and Harabasz, J. (1974). A dendrite method for cluster analysis. Communications in
    Statistics 3, 1-27.
    """
    return [score for (score,) in compute_each(X, partitions, [of_spread])]


def of_spread(groups: Groups, clusters: Spread) -> Score:
    """Score one partition, of 2 <= k <= n - 1 clusters, as `compute_many` does."""
    n, k = groups.n_scored, groups.n_clusters
    if clusters.within <= n * clusters.negligible**2:
        return groups.no_score(Status.ZERO_WITHIN)
    return groups.score((clusters.between / (k - 1)) / (clusters.within / (n - k)))


SCORE = ScoreDefinition(
    name="calinski_harabasz",
    label="Calinski-Harabasz",
    higher_is_better=True,
    order=30,
    compute_many=compute_many,
    of_spread=of_spread,
)
