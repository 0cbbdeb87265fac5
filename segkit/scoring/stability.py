"""Bootstrap stability: how well clustering a resample of the customers finds the same clusters again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np

from segkit.errors import Infeasible
from segkit.scoring.agreement import adjusted_rand_of, contingency, contingency_many
from segkit.scoring.contract import Status

DISSOLVED = 0.5
RECOVERED = 0.75
_LABELS_AT_ONCE = 1_000_000


def draw(identity: str, index: int, n: int, size: int | None = None) -> np.ndarray:
    """Rows of one bootstrap draw: n out of n with replacement, kept unique (about 63%); or `size` without replacement.

    Parameters
    ----------
    identity : str
        What the draws belong to (the data): the same identity and index give the same rows in every
        run.
    index : int
        The number of the draw.
    n : int
        Number of customers.
    size : int, optional
        How many to draw of a table too large to draw n (m out of n; Bickel, Götze and van Zwet
        1997).

    Returns
    -------
    ndarray, int64
        Unique row positions, ascending.
    """
    seed = int.from_bytes(sha256(f"{identity}\0draw\0{index}".encode()).digest()[:16])
    rng = np.random.default_rng(seed)
    if size is not None and size < n:
        return np.sort(rng.choice(n, size, replace=False))
    return np.unique(rng.integers(0, n, size=n, dtype=np.int64))


@dataclass(frozen=True)
class Stability:
    """What B draws say about one partition of k clusters.

    Attributes
    ----------
    ari : ndarray of shape (B,)
        Adjusted Rand index with the original partition, over customers clustered in both; NaN
        without one.
    ari_status : tuple of str, length B
        ``ok``, or why the draw has no ARI; ``not_feasible`` where the draw could not be clustered.
    jaccard : ndarray of shape (B, k)
        The best Jaccard that each original cluster found, in [0, 1]; a row of NaN where not
        feasible.
    noise_jaccard : ndarray of shape (B,)
        Jaccard of the two noise sets; NaN where neither has noise, or where not feasible.
    """

    ari: np.ndarray
    ari_status: tuple[str, ...]
    jaccard: np.ndarray
    noise_jaccard: np.ndarray

    @property
    def status(self) -> Status:
        """``ok`` if any draw has an ARI, else the most frequent reason why not."""
        if Status.OK in self.ari_status:
            return Status.OK
        return (
            Status(Counter(self.ari_status).most_common(1)[0][0])
            if self.ari_status
            else Status.NOT_FEASIBLE
        )

    def summary(self) -> dict[str, Any]:
        """Sum the draws up in plain numbers, None where there is none.

        ARI figures are over the draws that have an ARI (``stability_draws_valid`` of ``draws``; the
        standard deviation needs two), Jaccard figures over those that could be clustered, a draw
        that came out as all noise counting 0 for every cluster. ``dissolved`` and ``recovered``
        count, for each cluster, the draws with a Jaccard of at most 0.5 and above 0.75.
        ``stability_jaccard_min`` is the weakest cluster's mean.
        """
        ari = self.ari[~np.isnan(self.ari)]
        jaccard = self.jaccard[[status != Status.NOT_FEASIBLE for status in self.ari_status]]
        noise = self.noise_jaccard[~np.isnan(self.noise_jaccard)]
        per_cluster = [_mean(column) for column in jaccard.T]
        return {
            "draws": len(self.ari),
            "stability_draws_valid": len(ari),
            "stability_status": str(self.status),
            "stability_ari": _mean(ari),
            "stability_ari_sd": float(ari.std(ddof=1)) if len(ari) > 1 else None,
            "stability_ari_q05": float(np.quantile(ari, 0.05)) if len(ari) else None,
            "stability_ari_q95": float(np.quantile(ari, 0.95)) if len(ari) else None,
            "stability_jaccard": per_cluster,
            "stability_jaccard_min": min(per_cluster) if per_cluster and len(jaccard) else None,
            "stability_noise_jaccard": _mean(noise),
            "dissolved": np.count_nonzero(jaccard <= DISSOLVED, axis=0).tolist(),
            "recovered": np.count_nonzero(jaccard > RECOVERED, axis=0).tolist(),
        }


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def compare_draw(
    original: np.ndarray, rows: np.ndarray, found: np.ndarray
) -> tuple[float, Status, np.ndarray, float]:
    """Compare a partition, cut to the customers of a draw, with what clustering the draw found.

    For each original cluster C, cut to the draw, the largest Jaccard |C & F| / |C | F| over the
    clusters F found; empty against empty is 0. Noise is compared only with noise.

    Parameters
    ----------
    original : array of shape (n,), integers
        Labels 0..k-1 of all customers; -1 is noise.
    rows : array of shape (m,), integers
        Row positions of the draw.
    found : array of shape (m,), integers
        Labels of the draw's customers, numbered on their own; -1 is noise.

    Returns
    -------
    ari : float
        Over the customers clustered in both; NaN unless the status is ``ok``.
    status : Status
        Why there is no ARI.
    jaccard : ndarray of shape (k,)
        In [0, 1]; 0 for a cluster that is empty in the draw, and for all if no cluster was found.
    noise_jaccard : float
        NaN where neither has noise.

    References
    ----------
    Hennig, C. (2007). Cluster-wise assessment of cluster stability. Computational Statistics and
    Data Analysis 52, 258-271.
    """
    original = np.asarray(original)
    return _compared(contingency(original[rows], found, k_a=int(original.max(initial=-1)) + 1))


def _compared(table: np.ndarray) -> tuple[float, Status, np.ndarray, float]:
    """ARI, its status and the Jaccards of `compare_draw`, from the contingency table."""
    ari = adjusted_rand_of(table)
    union = table.sum(axis=1)[:, None] + table.sum(axis=0) - table
    overlap = np.divide(table, union, out=np.zeros(table.shape), where=union > 0)
    return (
        np.nan if ari.value is None else ari.value,
        ari.status,
        overlap[1:, 1:].max(axis=1, initial=0.0),
        float(overlap[0, 0]) if union[0, 0] else np.nan,
    )


def stability_many(
    X: np.ndarray,
    configs: Sequence[Mapping[str, Any]],
    partitions: Sequence[np.ndarray],
    draws: Sequence[np.ndarray],
    share: float | None = None,
) -> list[Stability | Exception]:
    """Recluster every draw of a space with every configuration of a family and compare with the original.

    Parameters
    ----------
    X : array of shape (n, d)
        The space.
    configs : sequence of mappings, length r
        Clusterer configurations of one class, so that they share their work on each draw.
    partitions : sequence of arrays of shape (n,), integers, length r
        What each configuration found on all customers, numbered 0..k-1 with -1 for noise.
    draws : sequence of arrays of row positions, length B
        The customers of each draw.
    share : float, optional
        Where the draws are a small share of a large table: that share, by which sizes that count
        customers shrink.

    Returns
    -------
    list of Stability or Exception, length r
        A configuration that fails in a draw other than by being infeasible has that error in its
        place.
    """
    from segkit.clustering import fit_many, fit_thinned

    fit = fit_many if share is None else partial(fit_thinned, share=share)
    by_draw = [_compare_all(partitions, rows, fit(X[rows], configs)) for rows in draws]
    return [
        collect([outcomes[i] for outcomes in by_draw], labels)
        for i, labels in enumerate(partitions)
    ]


def _compare_all(
    originals: Sequence[np.ndarray], rows: np.ndarray, found: Sequence[Any]
) -> list[tuple[float, Status, np.ndarray, float] | Exception]:
    """Compare partitions, cut to a draw, with what was found there; a failure stays one."""
    good = [i for i, each in enumerate(found) if not isinstance(each, Exception)]
    outcomes: list[Any] = list(found)
    step = max(1, _LABELS_AT_ONCE // max(len(rows), 1))
    for some in (good[start : start + step] for start in range(0, len(good), step)):
        k = [int(np.max(originals[i], initial=-1)) + 1 for i in some]
        tables = contingency_many(
            [originals[i][rows] for i in some], [found[i].labels for i in some], k
        )
        for i, table in zip(some, tables, strict=True):
            outcomes[i] = _compared(table)
    return outcomes


def collect(outcomes: Sequence[tuple | Exception], labels: np.ndarray) -> Stability | Exception:
    """Stack one configuration's draws; infeasible ones have no values."""
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, Infeasible):
            return outcome
    k = int(np.max(labels, initial=-1)) + 1
    nothing = (np.nan, Status.NOT_FEASIBLE, np.full(k, np.nan), np.nan)
    rows = [nothing if isinstance(outcome, Exception) else outcome for outcome in outcomes]
    return Stability(
        ari=np.array([row[0] for row in rows]),
        ari_status=tuple(str(row[1]) for row in rows),
        jaccard=np.array([row[2] for row in rows]).reshape(len(rows), k),
        noise_jaccard=np.array([row[3] for row in rows]),
    )


def join(parts: Sequence[Stability]) -> Stability:
    """Put the draws of one partition together that were computed apart, in the order given."""
    return Stability(
        ari=np.concatenate([part.ari for part in parts]),
        ari_status=tuple(status for part in parts for status in part.ari_status),
        jaccard=np.concatenate([part.jaccard for part in parts]),
        noise_jaccard=np.concatenate([part.noise_jaccard for part in parts]),
    )
