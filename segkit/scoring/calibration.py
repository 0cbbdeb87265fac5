"""Scores calibrated by those of tables without segments: p value, excess, and a max-T test.

Scores are numbers; None or NaN stands for a run that has no score on a table (its status is not
``ok``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from segkit.clustering.arrays import Matrix, Vector

Values: TypeAlias = Sequence[float | None] | Vector


@dataclass(frozen=True)
class MaxT:
    """A test of the best of r runs against M tables without segments.

    Attributes
    ----------
    p_value : float or None
        In [1 / (1 + M), 1]; None if the observed table has no standardised score for any run.
    run : int or None
        Position of the run whose standardised score is the largest.
    score : str or None
        Name of the score in which it is the largest.
    statistics : dict of str to ndarray of shape (r,)
        For each score, the runs' standardised scores on the observed table, larger is better; NaN
        where there is none.
    null_maxima : ndarray of shape (M,)
        The largest standardised score on each table without segments, over runs and scores; -inf if
        it has none.
    """

    p_value: float | None
    run: int | None
    score: str | None
    statistics: dict[str, Vector]
    null_maxima: Vector

    @property
    def statistic(self) -> float | None:
        """The largest standardised score on the observed table."""
        return None if self.score is None else float(self.statistics[self.score][self.run])

    def adjusted_p(self, score: str) -> Vector:
        """Return the p values of the r runs by one score, adjusted for all runs and scores.

        NaN where a run has no standardised score.
        """
        statistics = self.statistics[score]
        p_values = _rank_p(statistics, self.null_maxima[:, None])
        return np.where(np.isnan(statistics), np.nan, p_values)


def p_value(observed: float | None, null: Values, higher_is_better: bool) -> float | None:
    """Return the p value of one run's score: (1 + null values at least as good) / (1 + M).

    Parameters
    ----------
    observed : float or None
        The score on the observed table.
    null : sequence of float or None, length M
        The score on each table without segments. A table without a score counts, as not as good.
    higher_is_better : bool
        The direction of the score.

    Returns
    -------
    float or None
        In [1 / (1 + M), 1]; None if nothing was observed.

    References
    ----------
    Davison, A. C. and Hinkley, D. V. (1997). Bootstrap Methods and their Application. Cambridge,
    chapter 4.
    """
    value, values = _oriented(observed, higher_is_better), _oriented(null, higher_is_better)
    return None if np.isnan(value) else float(_rank_p(value, values))


def excess(observed: float | None, null: Values, higher_is_better: bool) -> float | None:
    """Return by how much a score is better than its mean over the tables without segments.

    Positive is better, whatever the direction of the score; in the score's units. Tables without a
    score do not count. None if nothing was observed or no table has a score. Parameters are those
    of `p_value`.
    """
    value, values = _oriented(observed, higher_is_better), _present(null, higher_is_better)
    return None if np.isnan(value) or not len(values) else float(value - values.mean())


def z(observed: float | None, null: Values, higher_is_better: bool) -> float | None:
    """Return the excess in standard deviations (n - 1) of the null values.

    None where there is no excess, where fewer than half of the tables (or than two) have a value,
    and where these are all the same. Parameters are those of `p_value`.
    """
    over, sd = excess(observed, null, higher_is_better), spread(null)
    return over / sd if over is not None and sd else None


def spread(null: Values) -> float | None:
    """Return the standard deviation (n - 1) of the null values, 0 if they are all the same.

    None where fewer than half of the tables (or than two) have a value: by chance, the standard
    deviation of few values is too often small.
    """
    values = _present(null, True)
    if len(values) < _enough(len(null)):
        return None
    return 0.0 if values.min() == values.max() else float(values.std(ddof=1))


def max_t(scores: Mapping[str, tuple[Values, Matrix, bool]]) -> MaxT:
    """Test the best of all runs and scores against the best on each table without segments.

    The observed table and the M others are M + 1 tables that are alike if there are no segments. On
    each, every run's score is standardised by the mean and standard deviation of that run on the
    other M, and the largest is taken; p is the share of the tables whose largest is at least the
    observed one. The treatment is the same for all tables, so that the level is exact whatever the
    runs' scales and correlations.

    Parameters
    ----------
    scores : mapping of str to (observed, null, higher_is_better)
        For each score: its r values on the observed table; its values on the others, shape (M, r);
        its direction. All scores have the same runs in the same order, and the same tables.

    Returns
    -------
    MaxT
        Without a p value where there are no tables.

    Raises
    ------
    ValueError
        If the shapes do not agree.

    Notes
    -----
    Where a run has no score on a table it has no standardised one there, and takes no part in that
    table's largest. Nor does it where fewer than half of the other tables (or than two) have one:
    by chance, the standard deviation of few values would give large scores, which would hide those
    of the other runs. Where the others' scores are all the same, as for a clusterer that finds
    nothing on any other table, a score that differs counts M / sqrt(M + 1).

    References
    ----------
    Westfall, P. H. and Young, S. S. (1993). Resampling-Based Multiple Testing. Wiley.
    """
    tables = {
        name: _stacked(observed, null, higher_is_better)
        for name, (observed, null, higher_is_better) in scores.items()
    }
    if len({values.shape for values in tables.values()}) != 1:
        raise ValueError(f"scores must be of the same runs and tables: {_shapes(tables)}")
    if next(len(values) for values in tables.values()) == 1:
        nothing = {name: np.full(values.shape[1], np.nan) for name, values in tables.items()}
        return MaxT(None, None, None, nothing, np.empty(0))
    standardised = {name: _standardised(values) for name, values in tables.items()}
    # (1 + M, scores, r)
    cells = np.nan_to_num(np.stack(list(standardised.values()), axis=1), nan=-np.inf)
    maxima = cells.max(axis=(1, 2), initial=-np.inf)
    statistics = {name: values[0] for name, values in standardised.items()}
    # No run has a standardised score on the observed table.
    if maxima[0] == -np.inf:
        return MaxT(None, None, None, statistics, maxima[1:])
    score, run = np.unravel_index(np.argmax(cells[0]), cells[0].shape)
    p = float(_rank_p(maxima[0], maxima[1:]))
    return MaxT(p, int(run), list(scores)[score], statistics, maxima[1:])


def _rank_p(values: Vector, null: Matrix) -> Vector:
    """Rank each value among the null ones, which lie along the first axis."""
    p_values: Vector = (1 + np.count_nonzero(null >= values, axis=0)) / (1 + len(null))
    return p_values


def _oriented(scores: Values | Matrix | float | None, higher_is_better: bool) -> Matrix:
    """Return scores so that larger is better; NaN for none."""
    values = np.asarray(scores, dtype=np.float64)
    return values if higher_is_better else -values


def _present(scores: Values, higher_is_better: bool) -> Vector:
    values = _oriented(scores, higher_is_better)
    return values[~np.isnan(values)]


def _enough(tables: int) -> float:
    """Return the number of tables that must have a score for its standard deviation to count."""
    return max(2, tables / 2)


def _stacked(observed: Values, null: Matrix, higher_is_better: bool) -> Matrix:
    """Put the observed table's scores above those of the others: (1 + M, r)."""
    observed, null = _oriented(observed, higher_is_better), _oriented(null, higher_is_better)
    if observed.ndim != 1 or null.ndim != 2 or null.shape[1] != len(observed):
        raise ValueError(f"{null.shape} null values do not fit {observed.shape} observed ones")
    return np.vstack([observed, null])


def _standardised(values: Matrix) -> Matrix:
    """Standardise each row by the others; (tables, runs)."""
    return np.array([_against(row, np.delete(values, i, axis=0)) for i, row in enumerate(values)])


def _against(row: Vector, others: Matrix) -> Vector:
    """Standardise a table's scores by those of the other tables."""
    present = ~np.isnan(others)
    counts = present.sum(axis=0)
    mean = np.where(present, others, 0.0).sum(axis=0) / np.maximum(counts, 1)
    squares = np.where(present, (others - mean) ** 2, 0.0).sum(axis=0)
    low = np.where(present, others, np.inf).min(axis=0)
    high = np.where(present, others, -np.inf).max(axis=0)
    enough = counts >= _enough(len(others))
    sd = np.sqrt(squares / np.maximum(counts - 1, 1))
    standardised: Vector = np.divide(
        row - mean, sd, out=np.full(len(row), np.nan), where=enough & (low < high)
    )
    # The only one that differs from the others, which are all the same: the most that a
    # standardised score of so many can be.
    alone = enough & (low == high) & (row != low) & ~np.isnan(row)
    most = np.sign(row - low) * len(others) / np.sqrt(len(others) + 1)
    return np.where(alone, most, standardised)


def _shapes(tables: Mapping[str, Matrix]) -> str:
    shapes = [
        f"{name} {values.shape[0] - 1} x {values.shape[1]}" for name, values in tables.items()
    ]
    return ", ".join(shapes) or "none"
