"""Clusters as centroids and distances from them: the result that centroid scores share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Clusters as centroids and the customers' distances from them, in a unit that scores do not depend on.

    Attributes
    ----------
    centroids : ndarray of shape (k, d)
        Means of the clusters.
    rests : ndarray of shape (k, d)
        What rounding took from them: a cluster may be small and far from the origin.
    sizes : ndarray of shape (k,)
        Numbers of customers.
    codes : ndarray of shape (m,)
        The cluster of each clustered customer.
    squared : ndarray of shape (m,)
        Squared distance of each clustered customer to its own centroid.
    """

    centroids: np.ndarray
    rests: np.ndarray
    sizes: np.ndarray
    codes: np.ndarray
    squared: np.ndarray

    def seen_from(self, cluster: int) -> np.ndarray:
        """Return the centroids less that of one cluster, (k, d)."""
        return (self.centroids - self.centroids[cluster]) + (self.rests - self.rests[cluster])

    @cached_property
    def within(self) -> float:
        """Squared distances to the own centroid, summed over the clustered customers."""
        return float(self.squared.sum())

    @cached_property
    def between(self) -> float:
        """Squared distances of the centroids to the mean of the clustered customers, times the sizes, summed."""
        centroids = self.seen_from(0)
        mean = self.sizes @ centroids / self.sizes.sum()
        return float(self.sizes @ np.square(centroids - mean).sum(axis=1))

    @property
    def negligible(self) -> float:
        """Length that counts as zero: 1e-10 of the clustered's root mean square radius, or their rounding."""
        radius = np.sqrt((self.within + self.between) / self.sizes.sum())
        # The largest coordinate of a clustered customer is in [0.5, 1).
        rounding = 4 * np.finfo(float).eps * np.sqrt(self.centroids.shape[1])
        return float(max(1e-10 * radius, rounding))
