"""Tables without segments: this table's columns, with no groups of customers in them.

Both kinds rearrange the values of each column among the customers and change nothing else, so every
column keeps its values, ties, zeros and number of missing ones exactly. They differ in the
dependence between columns: `permuted` removes it; a `Copula` keeps the rank correlations and the
joint tails, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from segkit.clustering.arrays import Indices, Matrix, Vector

if TYPE_CHECKING:
    import pandas as pd

DEGREES_OF_FREEDOM = (3, 5, 8, 15, 30, None)  # to choose from
ROUNDS = 15  # of simulation and correction of the latent correlations
CUSTOMERS = 1_000_000  # of more, a sample is used
SIMULATED = (10_000, 100_000)  # the fewest and the most customers simulated to calibrate
MASS = 0.05  # the least share of customers at a column's lowest value, and not at it
MISFIT = 0.05  # root mean square of rank correlations, beyond chance
_LIKELIHOOD_TERMS = 2_000_000  # customers times pairs of columns, which bounds the time
_SMALLEST_EIGENVALUE = 1e-6
_FEWEST_PAIRS = 10  # customers; with fewer, a correlation counts as unknown
_SMALLEST_VARIANCE = 1e-12  # of ranks in [0, 1]; below, a column does not vary
_STRONGEST = 0.999  # correlation, for a copula's density to be finite

# The position of each latent variable, by what it decides (value, missing, mass) and the column.
Parts: TypeAlias = Mapping[tuple[str, str], int]
# Independent normals, (n, d), and the factor that makes a t of each row, (n, 1).
Draws: TypeAlias = tuple[Matrix, Matrix | None]


@dataclass(frozen=True)
class Copula:
    """The dependence of a table's columns on each other, pair by pair, with no segments in it.

    Every column that varies has a latent normal (or t) variable, which decides how high a customer
    ranks in it. Every column with some missing values has a second one, which decides whose are
    missing. A third one may decide who is at a column's lowest value (mostly zero), if these are
    not the customers whom the first one would rank lowest.

    Attributes
    ----------
    columns : tuple of str, length p
        The columns that vary.
    missing : tuple of str, length q
        The columns that miss some values but not all.
    masses : tuple of str, length s
        The columns whose lowest value has a latent variable of its own.
    correlation : ndarray of shape (p + q + s, p + q + s)
        Of the latent variables, in the order above. Positive definite.
    degrees_of_freedom : int or None
        Of the t distribution; None is the normal one. The fewer, the more often a customer is
        extreme in many columns.
    error : float
        Root mean square difference between the observed rank correlations and those of the
        customers simulated to find the latent ones.
    """

    columns: tuple[str, ...]
    missing: tuple[str, ...]
    masses: tuple[str, ...]
    correlation: Matrix
    degrees_of_freedom: int | None
    error: float


def permuted(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Shuffle each column on its own; missing values travel with their column.

    Parameters
    ----------
    frame : DataFrame of n rows
        Columns of any type.
    rng : Generator
        The source of the shuffles.

    Returns
    -------
    DataFrame
        Of the same index, columns and types.
    """
    return _rearranged(frame, [rng.permutation(len(frame)) for _ in frame.columns])


def simulate(copula: Copula, frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Rearrange each column so that the customers are a sample from the copula.

    The customer whose latent variable is the r-th smallest gets the r-th smallest of the column's
    values, so the test is conditional on the margins, as a permutation test is.

    Parameters
    ----------
    copula : Copula
        As `calibrate` returned it for this table.
    frame : DataFrame of n rows
        The table's columns: numbers, booleans or text.
    rng : Generator
        The source of the customers; only normal draws are taken.

    Returns
    -------
    DataFrame
        Of the same index, columns and types.
    """
    draws = _draws(rng, len(frame), len(copula.correlation), copula.degrees_of_freedom)
    latent = _latent(copula.correlation, draws)
    parts = _parts(copula.columns, copula.missing, copula.masses)
    positions = []
    for name in frame.columns:
        codes = _codes(frame[name])
        position = np.empty(len(frame), dtype=np.int64)
        position[_rows(latent, parts, name, codes)] = np.argsort(codes, kind="stable")
        positions.append(position)
    return _rearranged(frame, positions)


def calibrate(
    frame: pd.DataFrame, seed: int | np.random.Generator, masses: Literal["auto", "never"] = "auto"
) -> Copula:
    """Find the t copula under which simulated tables have this table's rank correlations.

    The degrees of freedom are the most likely ones, by the pairs' copula density at ranks with ties
    broken at random. The latent correlations start at 2 sin(pi / 6 rho) for a Spearman correlation
    rho. In each of 15 rounds, customers are simulated from the same draws, with the table's ties
    and gaps, and the error of their rank correlations is subtracted from the latent ones. The
    result is that of the best round.

    Parameters
    ----------
    frame : DataFrame of n rows
        Numbers and booleans; anything else is a category. Categories are ordered from the most to
        the least frequent (ties by text), since a copula needs an order.
    seed : int or Generator
        The source of the draws.
    masses : {"auto", "never"}
        Whether a column's lowest value may get a latent variable of its own. With ``auto`` it does
        where it is held by 5% to 95% of the customers and simulated tables miss the rank
        correlations among the other values, and of who holds it, by more than 0.05 (root mean
        square beyond chance).

    Returns
    -------
    Copula

    Notes
    -----
    Rank correlations are those of average ranks within the column, over the customers who have both
    values. Whether a value is missing counts as a column, so that values missing together stay so.
    So does whether a value is the lowest one, where that has a latent variable of its own; the
    other values are correlated without it then. Of more than 1,000,000 customers, a random sample
    of that many is used. The number of simulated customers is n, but at least 10,000 and at most
    100,000: with fewer, chance in them would move all simulated tables away from the observed one.

    References
    ----------
    Demarta, S. and McNeil, A. J. (2005). The t copula and related copulas. International
    Statistical Review 73, 111-129.
    """
    rng = np.random.default_rng(seed)
    if len(frame) > CUSTOMERS:
        frame = frame.iloc[np.sort(rng.choice(len(frame), CUSTOMERS, replace=False))]
    codes = {name: _codes(frame[name]) for name in frame.columns}
    copula = _calibrated(codes, (), rng)
    candidates: tuple[str, ...] = ()
    if masses == "auto":
        candidates = tuple(name for name in copula.columns if _has_mass(codes[name]))
    apart = _misfits(copula, codes, candidates, rng)
    return _calibrated(codes, apart, rng) if apart else copula


def _calibrated(
    codes: Mapping[str, Indices], masses: tuple[str, ...], rng: np.random.Generator
) -> Copula:
    """Return the copula in which these columns' lowest values have variables of their own."""
    columns = tuple(name for name, code in codes.items() if code.max(initial=-1) > 0)
    missing = tuple(
        name for name, code in codes.items() if code.min(initial=0) < 0 <= code.max(initial=-1)
    )
    parts = _parts(columns, missing, masses)
    degrees = _degrees_of_freedom([_values(codes[name], name in masses) for name in columns], rng)
    correlation, error = _match(codes, parts, degrees, rng)
    return Copula(columns, missing, masses, correlation, degrees, error)


def _has_mass(codes: Indices) -> bool:
    """Tell whether a column's lowest value is common enough for a latent variable of its own."""
    lowest, present = np.count_nonzero(codes == 0), np.count_nonzero(codes >= 0)
    return bool(codes.max() > 1 and MASS <= lowest / present <= 1 - MASS)


def _misfits(
    copula: Copula,
    codes: Mapping[str, Indices],
    candidates: tuple[str, ...],
    rng: np.random.Generator,
) -> tuple[str, ...]:
    """Return the candidates whose lowest values go to other customers than in simulated tables."""
    if not candidates:
        return ()
    finer = _parts(copula.columns, copula.missing, candidates)
    margins = {name: _stretched(code) for name, code in codes.items()}
    size = len(margins[candidates[0]])
    draws = _draws(rng, size, len(copula.correlation), copula.degrees_of_freedom)
    simulated = _simulated_codes(
        margins, _parts(copula.columns, copula.missing, ()), _latent(copula.correlation, draws)
    )
    target, pairs = _spearman(_scores(codes, finer))
    fitted, fitted_pairs = _spearman(_scores(simulated, finer))
    # 1 / n is the variance of a rank correlation by chance.
    beyond_chance = (target - fitted) ** 2 - 1 / pairs - 1 / fitted_pairs
    weights = np.where(np.isnan(beyond_chance), 0.0, pairs)
    np.fill_diagonal(weights, 0.0)
    misfits = []
    for name in candidates:
        rows = [finer["value", name], finer["mass", name]]
        if not weights[rows].any():
            continue
        square = np.average(np.nan_to_num(beyond_chance[rows]), weights=weights[rows])
        if square > MISFIT**2:
            misfits.append(name)
    return tuple(misfits)


# Columns as ordered values


def _codes(column: pd.Series) -> Indices:
    """Return the rank of each value among the column's distinct ones, from 0; -1 is missing."""
    from pandas.api.types import is_numeric_dtype

    if not is_numeric_dtype(column.dtype):
        return _category_codes(column)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    present = ~np.isnan(values)
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[present] = np.unique(values[present], return_inverse=True)[1]
    return codes


def _category_codes(column: pd.Series) -> Indices:
    """Return the codes of categories, from the most to the least frequent, ties by text."""
    codes, categories = column.factorize()
    counts = np.bincount(codes[codes >= 0], minlength=len(categories))
    order = sorted(range(len(categories)), key=lambda code: (-counts[code], str(categories[code])))
    place = np.empty(len(categories) + 1, dtype=np.int64)
    place[order] = np.arange(len(categories))
    place[-1] = -1
    ranks: Indices = place[codes]
    return ranks


def _values(codes: Indices, without_lowest: bool) -> Indices:
    """Return the codes, in which the lowest value may count as missing."""
    return np.maximum(codes - 1, -1) if without_lowest else codes


def _midranks(codes: Indices) -> Vector:
    """Return average ranks as shares of the customers who have a value; NaN where missing."""
    counts = np.bincount(codes[codes >= 0])
    ranks = (np.cumsum(counts) - (counts - 1) / 2) / counts.sum()
    return np.append(ranks, np.nan)[codes]


def _rearranged(frame: pd.DataFrame, positions: Sequence[Indices]) -> pd.DataFrame:
    """Return the table with each column's values taken from its own positions."""
    import pandas as pd

    columns = {
        name: frame[name].take(position).set_axis(frame.index)
        for name, position in zip(frame.columns, positions, strict=True)
    }
    return pd.DataFrame(columns, index=frame.index, columns=frame.columns)


# The latent variables and what they decide about a column


def _parts(columns: Sequence[str], missing: Sequence[str], masses: Sequence[str]) -> Parts:
    """Return the position of each latent variable, by what it decides and the column."""
    named = [("value", name) for name in columns]
    named += [("missing", name) for name in missing]
    named += [("mass", name) for name in masses]
    return {part: i for i, part in enumerate(named)}


def _scores(codes: Mapping[str, Indices], parts: Parts) -> Matrix:
    """Return what a table shows of each latent variable, (n, d).

    Ranks of values, 0 or 1 for missing or lowest ones; NaN where the table shows nothing.
    """
    return np.column_stack(
        [_score(codes[name], kind, ("mass", name) in parts) for kind, name in parts]
    )


def _score(codes: Indices, kind: str, without_lowest: bool) -> Vector:
    if kind == "missing":
        return (codes < 0).astype(np.float64)
    if kind == "mass":
        return np.where(codes < 0, np.nan, (codes == 0).astype(np.float64))
    return _midranks(_values(codes, without_lowest))


def _rows(latent: Matrix, parts: Parts, name: str, codes: Indices) -> Indices:
    """Return the customers in the ascending order of a column.

    First those without a value, then those at the lowest value if that has its own latent variable.
    """
    rows = np.arange(len(latent))
    first = []
    for kind, code in (("missing", -1), ("mass", 0)):
        if (kind, name) in parts:
            rows = rows[np.argsort(-latent[rows, parts[kind, name]])]
            count = np.count_nonzero(codes == code)
            first.append(rows[:count])
            rows = np.sort(rows[count:])
    if ("value", name) in parts:
        rows = rows[np.argsort(latent[rows, parts["value", name]])]
    return np.concatenate([*first, rows])


def _stretched(codes: Indices) -> Indices:
    """Return a column, sorted, for the number of customers that are simulated to calibrate."""
    size = int(np.clip(len(codes), *SIMULATED))
    places = (np.arange(size) + 0.5) * len(codes) / size
    return np.sort(codes)[places.astype(np.int64)]


def _simulated_codes(
    margins: Mapping[str, Indices], parts: Parts, latent: Matrix
) -> dict[str, Indices]:
    """Give the values of sorted columns to customers by their latent variables."""
    simulated = {}
    for name, margin in margins.items():
        codes = np.empty_like(margin)
        codes[_rows(latent, parts, name, margin)] = margin
        simulated[name] = codes
    return simulated


# Simulation


def _draws(rng: np.random.Generator, n: int, d: int, degrees: int | None) -> Draws:
    """Draw independent normals, and the factors that make t variables of them."""
    normals = rng.standard_normal((n, d))
    if degrees is None:
        return normals, None
    squares = np.zeros(n)
    # Chi-squared variables one degree at a time, to save memory.
    for _ in range(degrees):
        squares += rng.standard_normal(n) ** 2
    return normals, np.sqrt(degrees / squares)[:, None]


def _latent(correlation: Matrix, draws: Draws) -> Matrix:
    """Return the latent variables of independent draws, (n, d)."""
    normals, factor = draws
    latent: Matrix = normals @ np.linalg.cholesky(correlation).T
    return latent if factor is None else latent * factor


# Rank correlations


def _match(
    codes: Mapping[str, Indices], parts: Parts, degrees: int | None, rng: np.random.Generator
) -> tuple[Matrix, float]:
    """Return the latent correlation and the remaining error; see `calibrate`."""
    if not parts:
        return np.zeros((0, 0)), 0.0
    target, _ = _spearman(_scores(codes, parts))
    margins = {name: _stretched(codes[name]) for name in dict.fromkeys(name for _, name in parts)}
    margin_scores = _scores(margins, parts)
    draws = _draws(rng, len(margin_scores), len(parts), degrees)
    draws = (_whitened(draws[0]), draws[1])
    correlation = _positive_definite(2 * np.sin(np.pi / 6 * np.nan_to_num(target)))
    best, least = correlation, np.inf
    for _ in range(ROUNDS):
        latent = _latent(correlation, draws)
        scores = np.empty_like(latent)
        for name, margin in margins.items():
            own = np.array([i for (_, column), i in parts.items() if column == name])
            scores[np.ix_(_rows(latent, parts, name, margin), own)] = margin_scores[:, own]
        # Unknown correlations, as of a column with its own missing values, are not corrected.
        lacking = np.nan_to_num(target - _spearman(scores)[0])
        error = float(np.sqrt(np.mean(lacking**2)))
        if error < least:
            best, least = correlation, error
        correlation = _positive_definite(correlation + lacking)
    return best, least


def _spearman(scores: Matrix) -> tuple[Matrix, Matrix]:
    """Correlate columns of ranks over the customers that have both, and count these.

    A correlation is NaN where too few customers have both, or where a column does not vary.
    """
    known_scores = ~np.isnan(scores)
    counts = np.maximum(known_scores.sum(axis=0), 1)
    centred = np.where(known_scores, scores - np.nansum(scores, axis=0) / counts, 0.0)
    present = known_scores.astype(np.float64)
    pairs = np.maximum(present.T @ present, 1)
    sums = centred.T @ present
    variance = (centred**2).T @ present / pairs - (sums / pairs) ** 2
    covariance = centred.T @ centred / pairs - sums * sums.T / pairs**2
    varies = (variance > _SMALLEST_VARIANCE) & (variance.T > _SMALLEST_VARIANCE)
    known = varies & (pairs >= min(_FEWEST_PAIRS, len(scores)))
    correlation = np.full(variance.shape, np.nan)
    correlation[known] = covariance[known] / np.sqrt(variance[known] * variance.T[known])
    return correlation, pairs


def _whitened(normals: Matrix) -> Matrix:
    """Remove the chance correlations of the draws.

    The latent correlation would be corrected for them otherwise.
    """
    centred = normals - normals.mean(axis=0)
    factor = np.linalg.cholesky(centred.T @ centred / len(centred))
    return np.linalg.solve(factor, centred.T).T


def _positive_definite(matrix: Matrix) -> Matrix:
    """Clip the eigenvalues from below and restore the unit diagonal."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    clipped = (vectors * np.maximum(values, _SMALLEST_EIGENVALUE)) @ vectors.T
    scale = 1 / np.sqrt(np.diag(clipped))
    correlation = clipped * scale * scale[:, None]
    np.fill_diagonal(correlation, 1.0)
    symmetric: Matrix = (correlation + correlation.T) / 2
    return symmetric


# Degrees of freedom


def _degrees_of_freedom(codes: Sequence[Indices], rng: np.random.Generator) -> int | None:
    """Return the most likely ones, by the copula's log density over all pairs of columns."""
    d = len(codes)
    if d < 2:
        return None
    n = len(codes[0])
    rows = np.arange(n)
    most = max(_LIKELIHOOD_TERMS // (d * (d - 1) // 2), 100)
    if n > most:
        rows = np.sort(rng.choice(n, most, replace=False))
    uniform = np.column_stack([_randomised_ranks(code[rows], rng) for code in codes])
    correlation = 2 * np.sin(np.pi / 6 * np.nan_to_num(_spearman(uniform)[0]))
    correlation = np.clip(correlation, -_STRONGEST, _STRONGEST)
    return max(
        DEGREES_OF_FREEDOM, key=lambda degrees: _log_likelihood(uniform, correlation, degrees)
    )


def _randomised_ranks(codes: Indices, rng: np.random.Generator) -> Vector:
    """Return ranks in (0, 1), ties broken at random; NaN where missing."""
    order = np.lexsort((rng.random(len(codes)), codes))
    n_missing = np.count_nonzero(codes < 0)
    n = len(codes) - n_missing
    ranks = np.full(len(codes), np.nan)
    ranks[order[n_missing:]] = (np.arange(n) + 0.5) / n
    return ranks


def _log_likelihood(uniform: Matrix, correlation: Matrix, degrees: int | None) -> float:
    """Sum the log density of the copula over all pairs of columns and customers with both."""
    x = _quantiles(uniform, degrees)
    single = _log_kernel(x**2, degrees, 1)
    total = 0.0
    for i in range(x.shape[1] - 1):
        rho = correlation[i, i + 1 :]
        a, b = x[:, i : i + 1], x[:, i + 1 :]
        squares = (a**2 - 2 * rho * a * b + b**2) / (1 - rho**2)
        both = _log_kernel(squares, degrees, 2) - np.log(1 - rho**2) / 2
        total += float(np.nansum(both - single[:, i : i + 1] - single[:, i + 1 :]))
    return total


def _quantiles(uniform: Matrix, degrees: int | None) -> Matrix:
    """Return standard normal or t quantiles, interpolated in a table as fine as the ranks."""
    from scipy.special import ndtri, stdtrit

    levels = (np.arange(len(uniform)) + 0.5) / len(uniform)
    table = ndtri(levels) if degrees is None else stdtrit(degrees, levels)
    return np.interp(uniform, levels, table)


def _log_kernel(squares: Matrix, degrees: int | None, d: int) -> Matrix:
    """Return the log density of a d-variate standard t or normal at squared distances.

    Factors of 2 pi are left out, as they cancel.
    """
    from scipy.special import gammaln

    if degrees is None:
        return -squares / 2
    constant = gammaln((degrees + d) / 2) - gammaln(degrees / 2) - d / 2 * np.log(degrees / 2)
    density: Matrix = constant - (degrees + d) / 2 * np.log1p(squares / degrees)
    return density
