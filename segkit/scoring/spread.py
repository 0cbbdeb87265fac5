"""Clusters as centroids and distances from them: the result that centroid scores share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segkit.clustering.arrays import Indices, Matrix, Vector

NEGLIGIBLE = 1e-10  # of the root mean square radius


@dataclass(frozen=True)
class Spread:
    """Clusters as centroids, and the customers' distances from them.

    The unit is any that scores do not depend on.

    Attributes
    ----------
    centroids : ndarray of shape (k, d)
        Means of the clusters.
    rests : ndarray of shape (k, d)
        The rounding errors of the means, which matter for a small cluster far from the origin.
    sizes : ndarray of shape (k,)
        Numbers of customers.
    codes : ndarray of shape (m,)
        The cluster of each clustered customer.
    squared : ndarray of shape (m,)
        Squared distance of each clustered customer to its own centroid.
    """

    centroids: Matrix
    rests: Matrix
    sizes: Indices
    codes: Indices
    squared: Vector

    def seen_from(self, cluster: int) -> Matrix:
        """Return the centroids less that of one cluster, (k, d)."""
        offsets: Matrix = self.centroids - self.centroids[cluster]
        corrections: Matrix = self.rests - self.rests[cluster]
        return offsets + corrections

    @cached_property
    def within(self) -> float:
        """Squared distances to the own centroid, summed over the clustered customers."""
        return float(self.squared.sum())

    @cached_property
    def between(self) -> float:
        """Squared distances of the centroids to the clustered mean, weighted by size and summed."""
        centroids = self.seen_from(0)
        mean = self.sizes @ centroids / self.sizes.sum()
        return float(self.sizes @ np.square(centroids - mean).sum(axis=1))

    @property
    def negligible(self) -> float:
        """Length that counts as zero.

        It is 1e-10 of the clustered customers' root mean square radius, or the rounding of their
        coordinates where that is larger.
        """
        radius = np.sqrt((self.within + self.between) / self.sizes.sum())
        # The largest coordinate of a clustered customer is in [0.5, 1).
        rounding = 4 * np.finfo(float).eps * np.sqrt(self.centroids.shape[1])
        return float(max(NEGLIGIBLE * radius, rounding))
