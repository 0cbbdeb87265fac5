"""Bootstrap stability: whether clustering a resample of the customers gives the same clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from segkit.clustering.arrays import Indices, Labels, Matrix, Vector
from segkit.errors import Infeasible
from segkit.scoring.agreement import adjusted_rand_of, contingency, contingency_many
from segkit.scoring.contract import Status
from segkit.scoring.randomness import generator

if TYPE_CHECKING:
    from segkit.clustering import Partition

# A cluster's Jaccard in one draw: at most `DISSOLVED` it is dissolved, above `RECOVERED` recovered
# (Hennig 2007).
DISSOLVED = 0.5
RECOVERED = 0.75
# A cluster's mean Jaccard over the draws, from which it is a pattern whose members are doubtful,
# valid, and highly stable (the manual of the R package fpc, clusterboot).
PATTERN = 0.6
VALID = 0.75
HIGHLY_STABLE = 0.85
# Labels of several partitions that are tabulated in one pass, which bounds its memory.
_LABELS_AT_ONCE = 1_000_000

# ARI, its status, the clusters' Jaccards and that of noise; see `compare_draw`.
Comparison: TypeAlias = tuple[float, Status, Vector, float]


def draw(identity: str, index: int, n: int, size: int | None = None) -> Indices:
    """Return the rows of one bootstrap draw.

    It is n out of n with replacement, each row once (about 63% of them); or `size` without
    replacement.

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
    rng = generator(identity, "draw", index)
    # Without replacement, as repeated customers would be dropped and the draw be smaller.
    if size is not None and size < n:
        return np.sort(rng.choice(n, size, replace=False))
    return np.unique(rng.integers(0, n, size=n, dtype=np.int64))


@dataclass(frozen=True)
class Stability:
    """The stability of one partition of k clusters in B draws.

    Attributes
    ----------
    ari : ndarray of shape (B,)
        Adjusted Rand index with the original partition, over customers clustered in both; NaN
        without one.
    ari_status : tuple of str, length B
        ``ok``, or why the draw has no ARI; ``not_feasible`` where the draw could not be clustered.
    jaccard : ndarray of shape (B, k)
        The best Jaccard of each original cluster, in [0, 1]; a row of NaN where not feasible.
    noise_jaccard : ndarray of shape (B,)
        Jaccard of the two noise sets; NaN where neither has noise, or where not feasible.
    """

    ari: Vector
    ari_status: tuple[str, ...]
    jaccard: Matrix
    noise_jaccard: Vector

    @property
    def status(self) -> Status:
        """``ok`` if any draw has an ARI, else the most frequent reason why not."""
        if Status.OK in self.ari_status:
            return Status.OK
        if not self.ari_status:
            return Status.NOT_FEASIBLE
        return Status(Counter(self.ari_status).most_common(1)[0][0])

    def summary(self) -> dict[str, Any]:
        """Return the draws' summary in plain numbers, None where there is none.

        ARI figures are over the draws that have an ARI (``stability_draws_valid`` of ``draws``; the
        standard deviation needs two). Jaccard figures are over the draws that could be clustered;
        one that is all noise counts 0 for every cluster. ``dissolved`` and ``recovered`` count, for
        each cluster, the draws with a Jaccard of at most `DISSOLVED` and above `RECOVERED`.
        ``stability_jaccard_min`` is the weakest cluster's mean.
        """
        ari = self.ari[~np.isnan(self.ari)]
        jaccard = self.jaccard[[status != Status.NOT_FEASIBLE for status in self.ari_status]]
        noise = self.noise_jaccard[~np.isnan(self.noise_jaccard)]
        per_cluster = [_mean(column) for column in jaccard.T]
        means = [mean for mean in per_cluster if mean is not None]
        return {
            "draws": len(self.ari),
            "stability_draws_valid": len(ari),
            "stability_status": str(self.status),
            "stability_ari": _mean(ari),
            "stability_ari_sd": float(ari.std(ddof=1)) if len(ari) > 1 else None,
            "stability_ari_q05": float(np.quantile(ari, 0.05)) if len(ari) else None,
            "stability_ari_q95": float(np.quantile(ari, 0.95)) if len(ari) else None,
            "stability_jaccard": per_cluster,
            "stability_jaccard_min": min(means, default=None),
            "stability_noise_jaccard": _mean(noise),
            "dissolved": np.count_nonzero(jaccard <= DISSOLVED, axis=0).tolist(),
            "recovered": np.count_nonzero(jaccard > RECOVERED, axis=0).tolist(),
        }


def _mean(values: Vector) -> float | None:
    return float(values.mean()) if len(values) else None


def compare_draw(original: Labels, rows: Indices, labels: Labels) -> Comparison:
    """Compare a partition, restricted to the customers of a draw, with the draw's own clustering.

    The Jaccard of an original cluster C, restricted to the draw, is the largest |C & D| / |C | D|
    over the draw's clusters D; empty against empty is 0. Noise is compared only with noise.

    Parameters
    ----------
    original : array of shape (n,), integers
        Labels 0..k-1 of all customers; -1 is noise.
    rows : array of shape (m,), integers
        Row positions of the draw.
    labels : array of shape (m,), integers
        Labels of the draw's own clustering; -1 is noise.

    Returns
    -------
    ari : float
        Over the customers clustered in both; NaN unless the status is ``ok``.
    status : Status
        Why there is no ARI.
    jaccard : ndarray of shape (k,)
        In [0, 1]; 0 for a cluster that is empty in the draw, and for all if the draw has none.
    noise_jaccard : float
        NaN where neither has noise.

    References
    ----------
    Hennig, C. (2007). Cluster-wise assessment of cluster stability. Computational Statistics and
    Data Analysis 52, 258-271.
    """
    original = np.asarray(original)
    return _compared(contingency(original[rows], labels, k_a=_n_clusters(original)))


def _n_clusters(labels: Labels) -> int:
    return int(np.max(labels, initial=-1)) + 1


def _compared(table: Indices) -> Comparison:
    """Return the comparison of `compare_draw`, from the contingency table."""
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
    X: Matrix,
    configs: Sequence[Mapping[str, Any]],
    partitions: Sequence[Labels],
    draws: Sequence[Indices],
    share: float | None = None,
) -> list[Stability | Exception]:
    """Cluster every draw of a space with a family's configurations and compare with the originals.

    Parameters
    ----------
    X : array of shape (n, d)
        The space.
    configs : sequence of mappings, length r
        Clusterer configurations of one class, so that they share their work on each draw.
    partitions : sequence of arrays of shape (n,), integers, length r
        The labels of each configuration on all customers, numbered 0..k-1 with -1 for noise.
    draws : sequence of arrays of row positions, length B
        The customers of each draw.
    share : float, optional
        Where the draws are a small share of a large table: that share. Sizes that count customers
        shrink by it.

    Returns
    -------
    list of Stability or Exception, length r
        A configuration that fails in a draw has the exception in its place, unless it is only
        infeasible there.
    """
    from segkit.clustering import fit_many, fit_thinned

    fit = fit_many if share is None else partial(fit_thinned, share=share)
    by_draw = [_compare_all(partitions, rows, fit(X[rows], configs)) for rows in draws]
    return [
        collect([outcomes[i] for outcomes in by_draw], labels)
        for i, labels in enumerate(partitions)
    ]


def _compare_all(
    originals: Sequence[Labels], rows: Indices, reclustered: Sequence[Partition | Exception]
) -> list[Comparison | Exception]:
    """Compare partitions, restricted to a draw, with the draw's own; a failure stays in place."""
    fitted = {
        i: partition.labels
        for i, partition in enumerate(reclustered)
        if not isinstance(partition, Exception)
    }
    outcomes: list[Any] = list(reclustered)
    step = max(1, _LABELS_AT_ONCE // max(len(rows), 1))
    for start in range(0, len(fitted), step):
        numbers = list(fitted)[start : start + step]
        tables = contingency_many(
            [originals[i][rows] for i in numbers],
            [fitted[i] for i in numbers],
            [_n_clusters(originals[i]) for i in numbers],
        )
        for i, table in zip(numbers, tables, strict=True):
            outcomes[i] = _compared(table)
    return outcomes


def collect(outcomes: Sequence[Comparison | Exception], labels: Labels) -> Stability | Exception:
    """Stack one configuration's draws; infeasible ones have no values."""
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, Infeasible):
            return outcome
    k = _n_clusters(labels)
    nothing: Comparison = (np.nan, Status.NOT_FEASIBLE, np.full(k, np.nan), np.nan)
    rows = [nothing if isinstance(outcome, Exception) else outcome for outcome in outcomes]
    return Stability(
        ari=np.array([row[0] for row in rows]),
        ari_status=tuple(str(row[1]) for row in rows),
        jaccard=np.array([row[2] for row in rows]).reshape(len(rows), k),
        noise_jaccard=np.array([row[3] for row in rows]),
    )


def join(parts: Sequence[Stability]) -> Stability:
    """Join draws of one partition that were computed apart, in the order given."""
    return Stability(
        ari=np.concatenate([part.ari for part in parts]),
        ari_status=tuple(status for part in parts for status in part.ari_status),
        jaccard=np.concatenate([part.jaccard for part in parts]),
        noise_jaccard=np.concatenate([part.noise_jaccard for part in parts]),
    )
