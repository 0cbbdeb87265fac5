"""K-Means as scikit-learn runs it, draw for draw and sum for sum, without most of the distances.

The initial centres come from the same random stream and the same matrix products, so the draws are
the same. In the descent a customer is compared with the centres again only if one of them may have
come nearer than its own: for each rival a bound says how far the two centres may move before that
(Elkan 2003).

Sums are taken over the customers in their order, as in scikit-learn, so the same labels give the
same centres and inertia. In small tables the sums are updated as customers change clusters. They
are taken anew before the rounding of the updates could matter, and for the result. So rounding can
only decide a comparison, and a comparison too close for that ends the fit.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from segkit.clustering.arrays import Indices, Labels, Matrix, Vector
from segkit.clustering.jit import njit

ROUNDING = 1e-9  # relative; inertias and centre shifts that differ by less may change places
DRAW_ROUNDING = 1e-13  # of all squared distances; the draws repeat scikit-learn's own products
# Rounding of a squared distance in squared norms, for each of d + 32 terms: dozens of times what a
# product of d terms can lose.
TERM_ROUNDING = 2e-14
SUM_ROUNDING = 1e-15  # of a centre, in the largest norm, for each customer through updated sums
SINGLE_ROUNDING = 1e-6  # of leads, which are kept in single precision
CHUNK = 1024  # customers whose coordinates are still in the cache when they are summed
# Customers; beyond, sums are taken anew each time, so that ties by rounding stay rare.
MOST_CARRIED = 20_000
# Customers compared with the centres at once; a constant, so that loops over it are vectorised.
BATCH = 64

Leads: TypeAlias = NDArray[np.float32]  # in single precision, to halve the memory
Codes: TypeAlias = NDArray[np.int16]  # at most 100 clusters


class Space(NamedTuple):
    """What all fits on one space share."""

    centred: Matrix  # (n, d)
    norms: Vector  # (n,) squared
    variance: float  # mean over the features
    shares: Vector  # (n,) cumulated, for the first draw
    ones: Matrix  # (n, 1)
    rounding: float  # of a squared distance, in squared norms


def prepare(X: Matrix) -> Space:
    """Centre a space and compute what does not depend on the number of clusters.

    Parameters
    ----------
    X : ndarray of shape (n, d), float64, C-contiguous, finite
        The space.
    """
    n, d = X.shape
    variance = float(np.mean(np.var(X, axis=0)))
    centred = X - X.mean(axis=0)
    shares = np.full(n, 1.0 / n).cumsum()
    shares /= shares[-1]
    norms = np.einsum("ij,ij->i", centred, centred)
    return Space(centred, norms, variance, shares, np.ones((n, 1)), TERM_ROUNDING * (d + 32))


def fit(
    space: Space, n_clusters: int, n_init: int, max_iter: int, tol: float, random_state: int
) -> tuple[Codes, float] | None:
    """Return the labels and the inertia of the best of several initialisations.

    Parameters
    ----------
    space : Space
        As `prepare` returns it.
    n_clusters, n_init, max_iter, tol, random_state
        As for ``sklearn.cluster.KMeans``.

    Returns
    -------
    tuple of (ndarray of shape (n,), int16; float) or None
        Labels in the estimator's own numbering, and inertia; None where rounding might decide: a
        customer as near to one centre as to another, a draw or a stop at its limit, two different
        clusterings equally good, or a cluster that lost all its customers.
    """
    stream = np.random.RandomState(random_state)
    best: tuple[Codes, float] | None = None
    for _ in range(n_init):
        seeds = draw_centres(space, n_clusters, stream)
        fitted = None if seeds is None else descend(space, seeds, max_iter, tol)
        if fitted is None:
            return None
        if best is None:
            best = fitted
            continue
        (labels, inertia), (best_labels, least) = fitted, best
        if inertia >= least * (1 + ROUNDING) or is_same(labels, best_labels, n_clusters):
            continue
        if inertia > least * (1 - ROUNDING):
            return None
        best = fitted
    return best


# the initial centres


def draw_centres(space: Space, k: int, stream: np.random.RandomState) -> Matrix | None:
    """Draw initial centres by greedy k-means++ (Arthur and Vassilvitskii 2007).

    Returns None if rounding might decide a draw.
    """
    trials = 2 + int(np.log(k))
    rows = [int(space.shares.searchsorted(stream.random_sample(), side="right"))]
    nearest = np.full(len(space.norms), np.inf)
    nearest = _to_nearest(space, np.array(rows), nearest)[0]
    potential = nearest @ space.ones[:, 0]
    for _ in range(1, k):
        values = stream.uniform(size=trials) * potential
        candidates = np.empty(trials, dtype=np.int64)
        if not _pick(nearest, values, DRAW_ROUNDING * float(potential), candidates):
            return None
        distances = _to_nearest(space, candidates, nearest)
        potentials = (distances @ space.ones)[:, 0]
        best = potentials.argmin()
        close = potentials <= potentials[best] * (1 + DRAW_ROUNDING)
        if (space.centred[candidates[close]] != space.centred[candidates[best]]).any():
            return None
        potential, nearest = potentials[best], distances[best]
        rows.append(candidates[best])
    return space.centred[rows]


def _to_nearest(space: Space, rows: Indices, nearest: Vector) -> Matrix:
    """Return the squared distances to the nearest centre if a row became one, (rows, n)."""
    chosen = space.centred[rows]
    products: Matrix = chosen @ space.centred.T
    _shorten(products, np.einsum("ij,ij->i", chosen, chosen), space.norms, nearest)
    return products


@njit
def _shorten(products: Matrix, own: Vector, norms: Vector, nearest: Vector) -> None:
    for row in range(len(own)):
        for i in range(len(norms)):
            distance = -2.0 * products[row, i] + own[row] + norms[i]
            distance = distance if distance > 0.0 else 0.0
            products[row, i] = distance if distance < nearest[i] else nearest[i]


@njit
def _pick(nearest: Vector, values: Vector, slack: float, picked: Indices) -> bool:
    """Pick the first row whose cumulated distance reaches each value.

    Return whether all picks are clear, so that rounding by up to `slack` changes none.
    """
    n = len(nearest)
    reached = np.empty(n)
    total = 0.0
    for i in range(n):
        total += nearest[i]
        reached[i] = total
    for trial in range(len(values)):
        i = min(np.searchsorted(reached, values[trial]), n - 1)
        picked[trial] = i
        before = reached[i - 1] if i > 0 else -np.inf
        if not (before + slack < values[trial] < reached[i] - slack):
            return False
    return True


# the descent: from centres to labels and back


class Course(NamedTuple):
    """The state of one initialisation."""

    labels: Codes  # (n,) nearest centre, -1 at first
    # (k, n) a rival centre is farther than the nearest one while their paths sum to less
    leads: Leads
    paths: Vector  # (k,) the length of each centre's way so far
    sums: Matrix  # (k, d)
    counts: Indices  # (k,)


def descend(space: Space, seeds: Matrix, max_iter: int, tol: float) -> tuple[Codes, float] | None:
    """Return the labels and the inertia that given centres lead to.

    Returns None where rounding might decide.

    Parameters
    ----------
    space : Space
        As `prepare` returns it.
    seeds : ndarray of shape (k, d)
        Initial centres, in the centred space.
    max_iter, tol
        As for ``sklearn.cluster.KMeans``.
    """
    n, (k, d) = len(space.norms), seeds.shape
    course = Course(
        labels=np.full(n, -1, dtype=np.int16),
        leads=np.full((k, n), -np.inf, dtype=np.float32),
        paths=np.zeros(k),
        sums=np.zeros((k, d)),
        counts=np.zeros(k, dtype=np.int64),
    )
    tolerance = space.variance * tol if tol else 0.0
    patience = n if n <= MOST_CARRIED else -1
    largest = space.norms.max()
    inertia = _lloyd(
        space.centred,
        space.norms,
        largest,
        seeds,
        max_iter,
        tolerance,
        space.rounding,
        patience,
        course,
    )
    return None if inertia < 0 else (course.labels, inertia)


@njit
def _lloyd(
    X: Matrix,
    norms: Vector,
    reach: float,
    centres: Matrix,
    max_iter: int,
    tolerance: float,
    rounding: float,
    patience: int,
    course: Course,
) -> float:
    """Fill in the labels and return the inertia; -1 where rounding might decide.

    Sums are updated until more than `patience` customers have moved, and then taken anew.
    """
    # By so much may a centre be off through updated sums.
    loss = SUM_ROUNDING * len(X) * np.sqrt(reach) if patience > 0 else 0.0
    unsure = ROUNDING * tolerance + 4.0 * loss * np.sqrt(len(centres) * tolerance)
    updated = np.empty_like(centres)
    since = len(X) + 1
    for _ in range(max_iter):
        moved = _assign(
            X, norms, centres, rounding, rounding * reach, loss, since <= patience, course
        )
        since += moved
        if moved < 0:
            return -1.0
        if moved == 0:
            break
        if since > patience:
            _sum(X, course)
            since = 0
        if _has_empty(course.counts):
            return -1.0
        _average(course, updated)
        shift = _move(centres, updated, course)
        if abs(shift - tolerance) <= unsure:
            return -1.0
        if shift < tolerance:
            break
    return _conclude(X, norms, centres, rounding, rounding * reach, moved == 0, course)


@njit
def _conclude(
    X: Matrix,
    norms: Vector,
    centres: Matrix,
    rounding: float,
    blur: float,
    settled: bool,
    course: Course,
) -> float:
    """Return the inertia about the centres of the last labels; -1 where rounding might decide.

    Unless settled, each customer joins its nearest centre first.
    """
    last = np.empty_like(centres)
    _sum(X, course)
    _average(course, last)
    _move(centres, last, course)
    if not settled and _assign(X, norms, centres, rounding, blur, 0.0, False, course) < 0:
        return -1.0
    course.counts[:] = 0
    for label in course.labels:
        course.counts[label] += 1
    return -1.0 if _has_empty(course.counts) else _inertia(X, centres, course.labels)


@njit
def _has_empty(counts: Indices) -> bool:
    empty = 0
    for count in counts:
        empty += count == 0
    return empty > 0


@njit
def _assign(
    X: Matrix,
    norms: Vector,
    centres: Matrix,
    rounding: float,
    blur: float,
    loss: float,
    carrying: bool,
    course: Course,
) -> int:
    """Give each customer the nearest centre and return how many changed it.

    Returns -1 where rounding might decide.
    """
    n, (k, d) = len(X), centres.shape
    least, doubtful = np.empty(CHUNK, np.float32), np.empty(CHUNK + BATCH, np.int64)
    batch, scores = np.zeros((d, BATCH)), np.empty((k, BATCH))
    best, second = np.empty(BATCH), np.empty(BATCH)
    nearest, own = np.empty(BATCH, np.int64), np.zeros(BATCH)
    squares = _squared_norms(centres)
    limits = _limits(blur, rounding, course.paths)
    moved = 0
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        _least_leads(start, size, least, course)
        m = _doubt(start, size, least, limits, doubtful, course.labels)
        for first in range(0, m, BATCH):
            rows = doubtful[first : first + BATCH]
            _gather(X, norms, rows, batch, own)
            _score(batch, centres, squares, scores)
            _rank(scores, best, second, nearest)
            if _is_contested(own, squares, best, second, nearest, rounding, loss):
                return -1
            moved += _settle(X, rows, nearest, carrying, course)
            _keep_leads(rows, scores, own, best, nearest, blur, course)
    return moved


@njit
def _squared_norms(centres: Matrix) -> Vector:
    squares = np.zeros(len(centres))
    for j in range(len(centres)):
        for f in range(centres.shape[1]):
            squares[j] += centres[j, f] * centres[j, f]
    return squares


@njit
def _limits(blur: float, rounding: float, paths: Vector) -> Leads:
    """Return for each centre the lead below which a customer is compared again.

    The paths, and what single precision blurs.
    """
    longest = 0.0
    for path in paths:
        longest = max(longest, path)
    limits = np.empty(len(paths), np.float32)
    for j in range(len(paths)):
        limits[j] = (
            paths[j] + 2.0 * np.sqrt(blur) + SINGLE_ROUNDING * (np.sqrt(blur / rounding) + longest)
        )
    return limits


@njit
def _least_leads(start: int, size: int, least: Leads, course: Course) -> None:
    least[:] = np.inf
    for j in range(len(course.paths)):
        path = np.float32(course.paths[j])
        leads = course.leads[j, start : start + size]
        for i in range(size):
            lead = leads[i] - path
            least[i] = lead if lead < least[i] else least[i]


@njit
def _doubt(
    start: int, size: int, least: Leads, limits: Leads, doubtful: Indices, labels: Codes
) -> int:
    """List the rows whose nearest centre may have changed since they were last compared.

    The last batch is filled up with the last of them.
    """
    m = 0
    for i in range(size):
        doubtful[m] = start + i
        m += least[i] <= limits[labels[start + i]]
    for left in range(m, m + BATCH):
        doubtful[left] = doubtful[max(m - 1, 0)]
    return m


@njit
def _gather(X: Matrix, norms: Vector, rows: Indices, batch: Matrix, own: Vector) -> None:
    for b in range(BATCH):
        own[b] = norms[np.uint64(rows[b])]
    for f in range(X.shape[1]):
        for b in range(BATCH):
            batch[f, b] = X[np.uint64(rows[b]), f]


@njit
def _score(batch: Matrix, centres: Matrix, squares: Vector, scores: Matrix) -> None:
    """Fill in the squared distances to each centre, less the row's own squared norm."""
    k, d = centres.shape
    for j in range(k):
        scores[j] = squares[j]
        for quarter in range(d // 4):
            f = 4 * quarter
            p, q, r, s = centres[j, f], centres[j, f + 1], centres[j, f + 2], centres[j, f + 3]
            for b in range(BATCH):
                four = (p * batch[f, b] + q * batch[f + 1, b]) + (
                    r * batch[f + 2, b] + s * batch[f + 3, b]
                )
                scores[j, b] -= 2.0 * four
        for f in range(4 * (d // 4), d):
            p = 2.0 * centres[j, f]
            for b in range(BATCH):
                scores[j, b] -= p * batch[f, b]


@njit
def _rank(scores: Matrix, best: Vector, second: Vector, nearest: Indices) -> None:
    best[:] = np.inf
    second[:] = np.inf
    for j in range(len(scores)):
        for b in range(BATCH):
            score, so_far = scores[j, b], best[b]
            larger = so_far if score < so_far else score
            second[b] = larger if larger < second[b] else second[b]
            nearest[b] = j if score < so_far else nearest[b]
            best[b] = score if score < so_far else so_far


@njit
def _is_contested(
    own: Vector,
    squares: Vector,
    best: Vector,
    second: Vector,
    nearest: Indices,
    rounding: float,
    loss: float,
) -> bool:
    """Tell whether one of the rows is as near to another centre, up to rounding."""
    contested = 0
    for b in range(BATCH):
        scale = own[b] + squares[np.uint64(nearest[b])]
        contested += second[b] - best[b] <= rounding * scale + 2.0 * loss * np.sqrt(scale)
    return contested > 0


@njit
def _settle(X: Matrix, rows: Indices, nearest: Indices, carrying: bool, course: Course) -> int:
    """Set the rows' labels and return how many changed."""
    moved = 0
    for b in range(BATCH):
        i, new, old = rows[b], nearest[b], course.labels[rows[b]]
        if new != old:
            moved += 1
            course.labels[i] = new
            if carrying:
                _carry(X, i, old, new, course.sums, course.counts)
    return moved


@njit
def _carry(X: Matrix, i: int, old: int, new: int, sums: Matrix, counts: Indices) -> None:
    counts[old] -= 1
    counts[new] += 1
    for f in range(X.shape[1]):
        sums[old, f] -= X[i, f]
        sums[new, f] += X[i, f]


@njit
def _keep_leads(
    rows: Indices,
    scores: Matrix,
    own: Vector,
    best: Vector,
    nearest: Indices,
    blur: float,
    course: Course,
) -> None:
    """Record how far the centres may move before these rows have to be compared again.

    Distances are blurred to the safe side, as a small one may have lost all its digits.
    """
    near, lead = np.empty(BATCH, np.float32), np.empty(BATCH, np.float32)
    for b in range(BATCH):
        squared = best[b] + own[b]
        squared = squared if squared > 0.0 else 0.0
        near[b] = np.sqrt(squared + blur) - course.paths[np.uint64(nearest[b])]
    for j in range(len(scores)):
        path, row, leads = np.float32(course.paths[j]), scores[j], course.leads[j]
        for b in range(BATCH):
            squared = row[b] + own[b] - blur
            squared = squared if squared > 0.0 else 0.0
            lead[b] = np.sqrt(np.float32(squared)) - near[b] + path
        for b in range(BATCH):
            leads[np.uint64(rows[b])] = lead[b]
    for b in range(BATCH):
        course.leads[nearest[b], rows[b]] = np.inf


@njit
def _sum(X: Matrix, course: Course) -> None:
    """Sum the customers of each cluster in their order, as scikit-learn does."""
    sums, counts = course.sums, course.counts
    sums[:] = 0.0
    counts[:] = 0
    for i in range(len(X)):
        j = course.labels[i]
        counts[j] += 1
        for f in range(X.shape[1]):
            sums[j, f] += X[i, f]


@njit
def _average(course: Course, centres: Matrix) -> None:
    for j in range(len(centres)):
        weight = 1.0 / course.counts[j]
        for f in range(centres.shape[1]):
            centres[j, f] = course.sums[j, f] * weight


@njit
def _move(centres: Matrix, updated: Matrix, course: Course) -> float:
    """Move the centres to their new places and return the squared length of their step."""
    k = len(centres)
    steps = np.empty(k)
    numbers = np.empty(k, np.int16)
    for j in range(k):
        numbers[j] = j
    _own_distances(updated, centres, numbers, steps)
    total = 0.0
    for j in range(k):
        total += steps[j]
        course.paths[j] += np.sqrt(steps[j])
        for f in range(centres.shape[1]):
            centres[j, f] = updated[j, f]
    return total


@njit
def _inertia(X: Matrix, centres: Matrix, labels: Codes) -> float:
    total = 0.0
    own = np.empty(BATCH)
    for start in range(0, len(X), BATCH):
        size = min(BATCH, len(X) - start)
        _own_distances(X[start : start + size], centres, labels[start : start + size], own)
        for b in range(size):
            total += own[b]
    return total


@njit
def _own_distances(X: Matrix, centres: Matrix, labels: Codes, own: Vector) -> None:
    """Fill in the squared distances to the own centres, summed by fours as in scikit-learn."""
    whole = X.shape[1] - X.shape[1] % 4
    own[:] = 0.0
    for f in range(0, whole, 4):
        for b in range(len(X)):
            j = np.uint64(labels[b])
            p, q = X[b, f] - centres[j, f], X[b, f + 1] - centres[j, f + 1]
            r, s = X[b, f + 2] - centres[j, f + 2], X[b, f + 3] - centres[j, f + 3]
            own[b] += p * p + q * q + r * r + s * s
    for f in range(whole, X.shape[1]):
        for b in range(len(X)):
            p = X[b, f] - centres[np.uint64(labels[b]), f]
            own[b] += p * p


@njit
def is_same(labels: Labels, others: Labels, k: int) -> bool:
    """Tell whether two labellings are the same clusters, whatever their numbers."""
    partner = np.full(k, -1, np.int64)
    for i in range(len(labels)):
        if partner[labels[i]] == -1:
            partner[labels[i]] = others[i]
        elif partner[labels[i]] != others[i]:
            return False
    return True
