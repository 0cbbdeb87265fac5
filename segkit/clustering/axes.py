"""The space turned to its principal axes, so that the first columns separate most pairs."""

from __future__ import annotations

import numpy as np

from segkit.clustering.arrays import Matrix


def principal_axes(X: Matrix) -> Matrix:
    """Centre and rotate a space so that its widest directions come first.

    Distances stay the same, up to rounding.

    Parameters
    ----------
    X : ndarray of shape (n, d)

    Returns
    -------
    ndarray of shape (n, d), C-contiguous
    """
    centred = X - X.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(centred @ axes[:, ::-1])
