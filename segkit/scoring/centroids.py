"""Centroids of a partition and the spread about them: what Davies-Bouldin and Calinski-Harabasz share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segkit.scoring.contract import Groups
from segkit.scoring.distances import Points


@dataclass(frozen=True)
class Spread:
    """Clusters as centroids and the customers' distances from them.

    Attributes
    ----------
    centroids : ndarray of shape (k, d)
        Means of the clusters.
    codes : ndarray of shape (m,)
        The cluster of each clustered customer.
    squared : ndarray of shape (m,)
        Squared distance of each clustered customer to its own centroid.
    """

    centroids: np.ndarray
    codes: np.ndarray
    squared: np.ndarray


def spread(points: Points, groups: Groups) -> Spread:
    """Compute the centroids and the squared distances to them, over the clustered customers, in O(n d)."""
    clustered = groups.codes >= 0
    codes, members = groups.codes[clustered], points.coordinates[clustered]
    sums = [np.bincount(codes, weights=feature, minlength=groups.n_clusters) for feature in members.T]
    centroids = np.column_stack(sums) / groups.sizes[:, None]
    members -= centroids[codes]
    return Spread(centroids, codes, np.einsum("ij,ij->i", members, members))
