"""Scaling a feature matrix: scikit-learn's scalers by their ``_target_``, and the one that it lacks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from segkit.data.limits import beyond
from segkit.errors import Infeasible, UsageError
from segkit.targets import build, class_name


class LogStandardScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Standardise the signed logarithm of each feature: sign(x) log(1 + |x|), to mean 0 and variance 1.

    For amounts that span orders of magnitude, with zeros and possibly negative values.

    Attributes
    ----------
    standard_ : StandardScaler
        The mean and the scale of the logarithms.
    n_features_in_ : int
        Number of features seen in `fit`.
    """

    def fit(self, X, y=None):  # noqa: ARG002
        """Learn the mean and the scale of the logarithms of `X`, of shape (n, d)."""
        X = validate_data(self, X, dtype=np.float64)
        self.standard_ = StandardScaler().fit(_signed_log(X))
        return self

    def transform(self, X):
        """Scale `X`, of shape (n, d)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.standard_.transform(_signed_log(X))

    def inverse_transform(self, X):
        """Give the values, of shape (n, d), whose scaled values are `X`."""
        check_is_fitted(self)
        logarithms = self.standard_.inverse_transform(X)
        return np.sign(logarithms) * np.expm1(np.abs(logarithms))


def scale(matrix: np.ndarray, config: Mapping, names: Sequence[str] = ()) -> np.ndarray:
    """Fit a scaler to a feature matrix and apply it.

    Parameters
    ----------
    matrix : array of shape (n, d)
        Finite values.
    config : mapping
        The resolved ``scaler`` group: a ``_target_`` and its parameters.
    names : sequence of str
        The d features, for messages; by their number where there are none.

    Returns
    -------
    array of shape (n, d)
        float64, C-contiguous, finite.

    Raises
    ------
    UsageError
        If the class is not one that scales a matrix feature by feature.
    Infeasible
        If the scaler refuses this data, or gives values that are not finite or too large to compute
        with.
    """
    matrix = np.ascontiguousarray(matrix, dtype=np.float64)
    scaled = _fit_transform(build(config), matrix, class_name(config))
    if not isinstance(scaled, np.ndarray) or scaled.shape != matrix.shape:
        raise UsageError(
            f"scaler: {class_name(config)} does not give a matrix of the shape it is given; a "
            "scaler does"
        )
    scaled = np.ascontiguousarray(scaled, dtype=np.float64)
    large = beyond(scaled)
    if large:
        features = names or [f"feature {number}" for number in range(matrix.shape[1])]
        raise Infeasible(f"scaler: by {class_name(config)} {large.describe(features)}")
    return scaled


def _fit_transform(scaler: object, matrix: np.ndarray, name: str):
    if not hasattr(scaler, "fit_transform"):
        raise UsageError(f"scaler: {name} cannot scale, since it has no fit_transform")
    try:
        # what they warn of (fewer customers than quantiles, overflow) is either harmless or not
        # finite
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return scaler.fit_transform(matrix)
    except ValueError as error:
        raise Infeasible(f"scaler: {name}: {' '.join(str(error).split())}") from error


def _signed_log(X: np.ndarray) -> np.ndarray:
    return np.sign(X) * np.log1p(np.abs(X))
