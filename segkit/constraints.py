"""Constraints on parameters in scikit-learn's own terms.

Made of the private classes in ``sklearn.utils._param_validation``, known for scikit-learn 1.6 to
1.x, which scikit-learn's estimators declare their parameters with. There is no public way.
"""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral, Real
from typing import Any, Literal


def interval(
    kind: type, low: float | None, high: float | None, closed: Literal["left", "both", "neither"]
) -> Any:
    """Return scikit-learn's constraint on a number; None is no bound."""
    from sklearn.utils._param_validation import Interval

    return Interval(kind, low, high, closed=closed)


def number_from(least: float) -> Any:
    """Return scikit-learn's constraint on a number of at least `least`."""
    return interval(Real, least, None, "left")


def positive() -> Any:
    """Return scikit-learn's constraint on a number above zero."""
    return interval(Real, 0, None, "neither")


def count_from(least: int) -> Any:
    """Return scikit-learn's constraint on an integer of at least `least`."""
    return interval(Integral, least, None, "left")


def choices(options: Collection[str]) -> Any:
    """Return scikit-learn's constraint on one of several words."""
    from sklearn.utils._param_validation import StrOptions

    return StrOptions(set(options))


def never() -> Any:
    """Return scikit-learn's constraint on a switch that has to be off."""
    from sklearn.utils._param_validation import Options

    return Options(bool, {False})


def is_interval(constraint: object) -> bool:
    """Tell whether a constraint is one on numbers."""
    from sklearn.utils._param_validation import Interval

    return isinstance(constraint, Interval)


def options_of(constraint: object) -> Collection[object] | None:
    """Return the values that a constraint lists; None if it lists none."""
    from sklearn.utils._param_validation import Options

    return constraint.options if isinstance(constraint, Options) else None


def is_hidden(constraint: object) -> bool:
    """Tell whether scikit-learn leaves a constraint out of its messages."""
    from sklearn.utils._param_validation import Hidden

    return isinstance(constraint, Hidden)


def is_satisfied(constraint: Any, value: object) -> bool:
    """Tell whether a value meets a constraint."""
    from sklearn.utils._param_validation import make_constraint

    return bool(make_constraint(constraint).is_satisfied_by(value))
