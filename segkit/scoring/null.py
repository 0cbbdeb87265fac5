"""Customers without segments: tables with this table's columns, in which nothing holds customers together.

Both kinds rearrange the values of each column among the customers and change nothing else, so every
column keeps its values, ties, zeros and number of missing ones exactly. They differ in what becomes
of the dependence between columns: `permuted` removes it; a `Copula` keeps the rank correlations and
the joint tails, but no more than those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

DEGREES_OF_FREEDOM = (3, 5, 8, 15, 30, None)
ROUNDS = 15
CUSTOMERS = 1_000_000
SIMULATED = (10_000, 100_000)
MASS = 0.05
MISFIT = 0.05
_LIKELIHOOD_TERMS = 2_000_000
_SMALLEST_EIGENVALUE = 1e-6
_FEWEST_PAIRS = 10


@dataclass(frozen=True)
class Copula:
    """How the columns of a table depend on each other, by pairs, with no segments in it.

    Behind every column that varies stands a latent normal (or t) variable, which says how high a
    customer ranks in it; behind every column that misses some values a second one, which says who
    misses them. Where the customers at a column's lowest value (mostly zero) are not those who
    would come lowest by the rest of the column, another one says who they are.

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
    correlation: np.ndarray
    degrees_of_freedom: int | None
    error: float


def permuted(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Shuffle each column on its own; missing values travel with their column.

    Parameters
    ----------
    frame : DataFrame of n rows
        Columns of any type.
    rng : Generator
        Where the shuffles come from.

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
        As `calibrate` found it on this table.
    frame : DataFrame of n rows
        The table's columns: numbers, booleans or text.
    rng : Generator
        Where the customers come from; only normal draws are taken.

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
    rho; 15 times, customers are simulated from always the same draws, with the table's ties and
    gaps, and what their rank correlations lack is added to the latent ones. The best round is kept.

    Parameters
    ----------
    frame : DataFrame of n rows
        Numbers and booleans; anything else is a category. Categories are ordered from the most to
        the least frequent (ties by text), since a copula needs an order.
    seed : int or Generator
        Where the draws come from.
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
    values. Whether a value is missing counts as a column, so that values missing together stay so;
    likewise whether it is the lowest one, where that has a latent variable of its own, and then the
    others are correlated without it. Of more than 1,000,000 customers, a random sample of that many
    is looked at. Here n customers are simulated, but at least 10,000 and at most 100,000: with
    fewer, the chance in them would move all simulated tables away from the observed one.

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
    candidates = (
        tuple(name for name in copula.columns if _has_mass(codes[name])) if masses == "auto" else ()
    )
    apart = _misfits(copula, codes, candidates, rng)
    return _calibrated(codes, apart, rng) if apart else copula


def _calibrated(
    codes: Mapping[str, np.ndarray], masses: tuple[str, ...], rng: np.random.Generator
) -> Copula:
    columns = tuple(name for name, code in codes.items() if code.max(initial=-1) > 0)
    missing = tuple(
        name for name, code in codes.items() if code.min(initial=0) < 0 <= code.max(initial=-1)
    )
    parts = _parts(columns, missing, masses)
    degrees = _degrees_of_freedom([_values(codes[name], name in masses) for name in columns], rng)
    correlation, error = _match(codes, parts, degrees, rng)
    return Copula(columns, missing, masses, correlation, degrees, error)


def _has_mass(codes: np.ndarray) -> bool:
    lowest, present = np.count_nonzero(codes == 0), np.count_nonzero(codes >= 0)
    return codes.max() > 1 and MASS <= lowest / present <= 1 - MASS


def _misfits(
    copula: Copula,
    codes: Mapping[str, np.ndarray],
    candidates: tuple[str, ...],
    rng: np.random.Generator,
) -> tuple[str, ...]:
    """Find the columns of which simulated customers hold the lowest value in another way than the observed ones."""
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
    found, found_pairs = _spearman(_scores(simulated, finer))
    beyond_chance = (target - found) ** 2 - 1 / pairs - 1 / found_pairs
    weights = np.where(np.isnan(beyond_chance), 0.0, pairs)
    np.fill_diagonal(weights, 0.0)
    misfit = {
        name: np.average(np.nan_to_num(beyond_chance[rows]), weights=weights[rows])
        for name in candidates
        if weights[rows := [finer["value", name], finer["mass", name]]].any()
    }
    return tuple(name for name, square in misfit.items() if square > MISFIT**2)


# Columns as ordered values


def _codes(column: pd.Series) -> np.ndarray:
    """Give each value its place among the distinct ones of the column, from 0; -1 is missing."""
    from pandas.api.types import is_numeric_dtype

    if not is_numeric_dtype(column.dtype):
        return _category_codes(column)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    present = ~np.isnan(values)
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[present] = np.unique(values[present], return_inverse=True)[1]
    return codes


def _category_codes(column: pd.Series) -> np.ndarray:
    codes, categories = column.factorize()
    counts = np.bincount(codes[codes >= 0], minlength=len(categories))
    order = sorted(range(len(categories)), key=lambda code: (-counts[code], str(categories[code])))
    place = np.empty(len(categories) + 1, dtype=np.int64)
    place[order] = np.arange(len(categories))
    place[-1] = -1
    return place[codes]


def _values(codes: np.ndarray, without_lowest: bool) -> np.ndarray:
    """Let the lowest value count as missing, if wanted."""
    return np.maximum(codes - 1, -1) if without_lowest else codes


def _midranks(codes: np.ndarray) -> np.ndarray:
    """Average ranks as shares of the customers who have a value; NaN where missing."""
    counts = np.bincount(codes[codes >= 0])
    ranks = (np.cumsum(counts) - (counts - 1) / 2) / counts.sum()
    return np.append(ranks, np.nan)[codes]


def _rearranged(frame: pd.DataFrame, positions: Sequence[np.ndarray]) -> pd.DataFrame:
    import pandas as pd

    columns = {
        name: frame[name].take(position).set_axis(frame.index)
        for name, position in zip(frame.columns, positions, strict=True)
    }
    return pd.DataFrame(columns, index=frame.index, columns=frame.columns)


# The latent variables and what they say about a column

Parts = Mapping[tuple[str, str], int]


def _parts(columns: Sequence[str], missing: Sequence[str], masses: Sequence[str]) -> Parts:
    """Give the position of each latent variable, by what it decides and the column."""
    named = [("value", name) for name in columns]
    named += [("missing", name) for name in missing] + [("mass", name) for name in masses]
    return {part: i for i, part in enumerate(named)}


def _scores(codes: Mapping[str, np.ndarray], parts: Parts) -> np.ndarray:
    """Show what is seen of each latent variable, (n, d): ranks of values, 0 or 1 for gaps; NaN where nothing is."""
    return np.column_stack(
        [_score(codes[name], kind, ("mass", name) in parts) for kind, name in parts]
    )


def _score(codes: np.ndarray, kind: str, without_lowest: bool) -> np.ndarray:
    if kind == "missing":
        return (codes < 0) * 1.0
    if kind == "mass":
        return np.where(codes < 0, np.nan, (codes == 0) * 1.0)
    return _midranks(_values(codes, without_lowest))


def _rows(latent: np.ndarray, parts: Parts, name: str, codes: np.ndarray) -> np.ndarray:
    """Order the customers in a column: those who miss it, those at its lowest value if that is apart, and upwards."""
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


def _stretched(codes: np.ndarray) -> np.ndarray:
    """Bring a column, sorted, to the number of customers that are simulated to calibrate."""
    size = int(np.clip(len(codes), *SIMULATED))
    places = (np.arange(size) + 0.5) * len(codes) / size
    return np.sort(codes)[places.astype(np.int64)]


def _simulated_codes(
    margins: Mapping[str, np.ndarray], parts: Parts, latent: np.ndarray
) -> dict[str, np.ndarray]:
    simulated = {}
    for name, margin in margins.items():
        codes = np.empty_like(margin)
        codes[_rows(latent, parts, name, margin)] = margin
        simulated[name] = codes
    return simulated


# Simulation


def _draws(
    rng: np.random.Generator, n: int, d: int, degrees: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw independent normals, (n, d), and the factor that makes a t of each row, (n, 1)."""
    normals = rng.standard_normal((n, d))
    if degrees is None:
        return normals, None
    squares = np.zeros(n)
    for _ in range(degrees):  # a chi-squared one draw at a time, to save memory
        squares += rng.standard_normal(n) ** 2
    return normals, np.sqrt(degrees / squares)[:, None]


def _latent(correlation: np.ndarray, draws: tuple[np.ndarray, np.ndarray | None]) -> np.ndarray:
    normals, factor = draws
    latent = normals @ np.linalg.cholesky(correlation).T
    return latent if factor is None else latent * factor


# Rank correlations


def _match(
    codes: Mapping[str, np.ndarray], parts: Parts, degrees: int | None, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Find the latent correlation, and the error that is left."""
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
            own = [i for (_, column), i in parts.items() if column == name]
            scores[np.ix_(_rows(latent, parts, name, margin), own)] = margin_scores[:, own]
        lacking = np.nan_to_num(
            target - _spearman(scores)[0]
        )  # nothing is known of a column and its own gaps
        error = float(np.sqrt(np.mean(lacking**2)))
        if error < least:
            best, least = correlation, error
        correlation = _positive_definite(correlation + lacking)
    return best, least


def _spearman(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlate columns of ranks over the customers that have both, and count these; NaN where little is known."""
    present = ~np.isnan(scores)
    counts = np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, scores - np.nansum(scores, axis=0) / counts, 0.0)
    present = present.astype(np.float64)
    pairs = np.maximum(present.T @ present, 1)
    sums = centred.T @ present
    spread = (centred**2).T @ present / pairs - (sums / pairs) ** 2
    covariance = centred.T @ centred / pairs - sums * sums.T / pairs**2
    known = (spread > 1e-12) & (spread.T > 1e-12) & (pairs >= min(_FEWEST_PAIRS, len(scores)))
    correlation = np.full(spread.shape, np.nan)
    correlation[known] = covariance[known] / np.sqrt(spread[known] * spread.T[known])
    return correlation, pairs


def _whitened(normals: np.ndarray) -> np.ndarray:
    """Take the chance correlations out of the draws, which the latent correlation would otherwise make up for."""
    centred = normals - normals.mean(axis=0)
    factor = np.linalg.cholesky(centred.T @ centred / len(centred))
    return np.linalg.solve(factor, centred.T).T


def _positive_definite(matrix: np.ndarray) -> np.ndarray:
    """Clip the eigenvalues from below and restore the unit diagonal."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    clipped = (vectors * np.maximum(values, _SMALLEST_EIGENVALUE)) @ vectors.T
    scale = 1 / np.sqrt(np.diag(clipped))
    correlation = clipped * scale * scale[:, None]
    np.fill_diagonal(correlation, 1.0)
    return (correlation + correlation.T) / 2


# Degrees of freedom


def _degrees_of_freedom(codes: Sequence[np.ndarray], rng: np.random.Generator) -> int | None:
    """Choose the likeliest ones, summing the log density of the copula over all pairs of columns."""
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
    correlation = np.clip(correlation, -0.999, 0.999)
    return max(
        DEGREES_OF_FREEDOM, key=lambda degrees: _log_likelihood(uniform, correlation, degrees)
    )


def _randomised_ranks(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ranks in (0, 1), ties broken at random; NaN where missing."""
    order = np.lexsort((rng.random(len(codes)), codes))
    n_missing = np.count_nonzero(codes < 0)
    n = len(codes) - n_missing
    ranks = np.full(len(codes), np.nan)
    ranks[order[n_missing:]] = (np.arange(n) + 0.5) / n
    return ranks


def _log_likelihood(uniform: np.ndarray, correlation: np.ndarray, degrees: int | None) -> float:
    x = _quantiles(uniform, degrees)
    single = _log_kernel(x**2, degrees, 1)
    total = 0.0
    for i in range(x.shape[1] - 1):
        rho = correlation[i, i + 1 :]
        a, b = x[:, i : i + 1], x[:, i + 1 :]
        both = (
            _log_kernel((a**2 - 2 * rho * a * b + b**2) / (1 - rho**2), degrees, 2)
            - np.log(1 - rho**2) / 2
        )
        total += float(np.nansum(both - single[:, i : i + 1] - single[:, i + 1 :]))
    return total


def _quantiles(uniform: np.ndarray, degrees: int | None) -> np.ndarray:
    from scipy.special import ndtri, stdtrit

    levels = (np.arange(len(uniform)) + 0.5) / len(uniform)
    table = ndtri(levels) if degrees is None else stdtrit(degrees, levels)
    return np.interp(uniform, levels, table)


def _log_kernel(squares: np.ndarray, degrees: int | None, d: int) -> np.ndarray:
    """Log density of a d-variate standard t (or normal) at the squared distance, but for factors of 2 pi."""
    from scipy.special import gammaln

    if degrees is None:
        return -squares / 2
    constant = gammaln((degrees + d) / 2) - gammaln(degrees / 2) - d / 2 * np.log(degrees / 2)
    return constant - (degrees + d) / 2 * np.log1p(squares / degrees)
