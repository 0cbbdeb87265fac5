"""Scale a feature matrix by a scaler of scikit-learn, or by the logarithmic one that it lacks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from segkit.data.limits import beyond
from segkit.errors import Infeasible, UsageError
from segkit.targets import build, class_name


# scikit-learn publishes no types, so that its classes are of any type to mypy.
class LogStandardScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Standardise the signed logarithm sign(x) log(1 + |x|) of each feature to mean 0, variance 1.

    It is for amounts that span orders of magnitude, with zeros and possibly negative values.

    Attributes
    ----------
    standard_ : StandardScaler
        The mean and the scale of the logarithms.
    n_features_in_ : int
        Number of features seen in `fit`.
    """

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Learn the mean and the scale of the logarithms of `X`, of shape (n, d)."""
        values = validate_data(self, X, dtype=np.float64)
        self.standard_ = StandardScaler().fit(_signed_log(values))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scale `X`, of shape (n, d)."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=np.float64, reset=False)
        scaled: NDArray[np.float64] = self.standard_.transform(_signed_log(values))
        return scaled

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the values, of shape (n, d), whose scaled values are `X`."""
        check_is_fitted(self)
        logarithms: NDArray[np.float64] = self.standard_.inverse_transform(X)
        return np.sign(logarithms) * np.expm1(np.abs(logarithms))


def scale(
    matrix: NDArray[np.float64], config: Mapping[str, Any], names: Sequence[str] = ()
) -> NDArray[np.float64]:
    """Fit a scaler to a feature matrix and apply it.

    Parameters
    ----------
    matrix : array of shape (n, d)
        Finite values.
    config : mapping
        The resolved ``scaler`` group: a ``_target_`` and its parameters.
    names : sequence of str
        The d features, for messages; numbered from 0 where they are left out.

    Returns
    -------
    array of shape (n, d)
        float64, C-contiguous, finite.

    Raises
    ------
    UsageError
        If the class is not one that scales a matrix feature by feature.
    Infeasible
        If the scaler refuses this data, or returns values that are not finite or too large to
        compute with.
    """
    matrix = np.ascontiguousarray(matrix, dtype=np.float64)
    scaled = _fit_transform(build(config), matrix, class_name(config))
    if not isinstance(scaled, np.ndarray) or scaled.shape != matrix.shape:
        raise UsageError(
            f"scaler: {class_name(config)} does not return a matrix of the shape it was given, as "
            "a scaler must"
        )
    scaled = np.ascontiguousarray(scaled, dtype=np.float64)
    large = beyond(scaled)
    if large:
        features = names or [f"feature {number}" for number in range(matrix.shape[1])]
        raise Infeasible(f"scaler: by {class_name(config)} {large.describe(features)}")
    return scaled


def _fit_transform(scaler: Any, matrix: NDArray[np.float64], name: str) -> Any:
    if not hasattr(scaler, "fit_transform"):
        raise UsageError(f"scaler: {name} cannot scale, since it has no fit_transform")
    try:
        # Scalers warn of fewer customers than quantiles, which is harmless, and of an overflow,
        # whose result `scale` refuses.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return scaler.fit_transform(matrix)
    except ValueError as error:
        raise Infeasible(f"scaler: {name}: {' '.join(str(error).split())}") from error


def _signed_log(X: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithms: NDArray[np.float64] = np.sign(X) * np.log1p(np.abs(X))
    return logarithms
