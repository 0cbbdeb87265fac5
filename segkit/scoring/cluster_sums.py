"""Sums of distances over the clusters of many partitions at once, each distinct cluster summed once.

A tile holds the distances from some customers (its rows) to others, on a grid on which its sums are
exact. Exact sums do not depend on how they are formed, so all that is shared here leaves every bit
of them as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from segkit.scoring.contract import Groups

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Folding a tile costs about as much as the product of this many clusters with it.
_FOLDING = 10

# Partitions whose customers are folded together once more: fewer have fewer cells, but fold more
# often.
_RUN = 6


class Together:
    """Partitions of few clusters: one matrix product of all their distinct clusters with each tile.

    Three things make it small: a cluster that several partitions have is summed once; customers of
    a tile whom no partition separates are added up first; one cluster of a partition without noise
    is the tile's total less the others.

    Parameters
    ----------
    partitions : sequence of Groups
        Of the same customers.

    Attributes
    ----------
    height : int
        Number of sums for each customer.
    places : list of ndarray of shape (k,)
        For each partition, where among the sums its clusters are.
    """

    def __init__(self, partitions: Sequence[Groups]) -> None:
        numbers = _numbered(partitions)
        complements = _complements(
            numbers, [groups.n_scored == len(groups.codes) for groups in partitions]
        )
        summed = [number for number in dict.fromkeys(_flat(numbers)) if number not in complements]
        place = {number: i for i, number in enumerate([*summed, *complements])}
        self.height = len(place)
        self.places = [np.array([place[number] for number in each]) for each in numbers]
        self._others = [[place[number] for number in others] for others in complements.values()]
        self._summed = len(summed)
        self._separated = _separated(partitions, self.places, len(summed))
        self._runs = _runs(self._separated)

    def prepare(self, columns: np.ndarray) -> _Products:
        """Make ready to add tiles whose rows are these customers."""
        fold, separated = _folded(self._separated[columns], self._summed)
        products = [_product(separated[:, run], clusters) for run, clusters in self._runs]
        return _Products(fold, products, self._summed, self._rest)

    @cached_property
    def _rest(self) -> csr_array | None:
        """Matrix that takes the sums and the total to the clusters that are the total less others."""
        from scipy.sparse import csr_array

        if not self._others:
            return None
        ends = np.cumsum([0] + [1 + len(others) for others in self._others])
        columns = np.concatenate([[self._summed, *others] for others in self._others])
        values = np.full(len(columns), -1.0)
        values[ends[:-1]] = 1.0
        return csr_array((values, columns, ends), shape=(len(self._others), self._summed + 1))


@dataclass(frozen=True)
class _Product:
    """The clusters of a few partitions among a tile's rows, or among the cells that they are folded into."""

    first: int
    fold: csr_array | None
    member: np.ndarray

    def write(self, folded: np.ndarray, part: np.ndarray) -> None:
        """Write the sums over the clusters where they belong among all of them."""
        own = part[self.first : self.first + len(self.member)]
        np.matmul(self.member, folded if self.fold is None else self.fold @ folded, out=own)


@dataclass(frozen=True)
class _Products:
    """The clusters of all partitions among a tile's rows."""

    fold: csr_array | None
    products: list[_Product]
    summed: int
    rest: csr_array | None

    def add(self, tile: np.ndarray, sums: np.ndarray) -> None:
        """Add a tile's share to the sums, (height, customers)."""
        folded = tile if self.fold is None else self.fold @ tile
        part = np.empty((self.summed + 1, tile.shape[1]))
        for product in self.products:
            product.write(folded, part)
        sums[: self.summed] += part[: self.summed]
        if self.rest is not None:
            folded.sum(axis=0, out=part[self.summed])
            sums[self.summed :] += self.rest @ part


def _folded(separated: np.ndarray, clusters: int) -> tuple[csr_array | None, np.ndarray]:
    """Find customers in the same clusters; where it pays, the matrix that adds them up and one row for each cell."""
    first, cell = _unique_rows(separated)
    pays = clusters * (1 - len(first) / len(cell)) > _FOLDING
    return (indicator(cell, len(first)), separated[first]) if pays else (None, separated)


def _product(separated: np.ndarray, clusters: range) -> _Product:
    """Make the product of a run of partitions with their clusters."""
    fold, separated = _folded(separated, len(clusters))
    member = np.zeros((len(clusters), len(separated)))
    cells, of = np.nonzero(separated >= 0)
    member[separated[cells, of] - clusters.start, cells] = 1
    return _Product(clusters.start, fold, member)


class Alone:
    """A partition of many clusters: at a cost that their number does not raise. Attributes are `Together`'s."""

    def __init__(self, groups: Groups) -> None:
        self.height = groups.n_clusters
        self.places = [np.arange(groups.n_clusters)]
        self._codes = groups.codes

    def prepare(self, columns: np.ndarray) -> _Scatter:
        """Make ready to add tiles whose rows are these customers."""
        present, cell = np.unique(self._codes[columns], return_inverse=True)
        noise = np.count_nonzero(present < 0)
        return _Scatter(indicator(cell, len(present))[noise:], present[noise:])


@dataclass(frozen=True)
class _Scatter:
    """The clusters that have customers among a tile's rows, and the sums over them."""

    fold: csr_array
    present: np.ndarray

    def add(self, tile: np.ndarray, sums: np.ndarray) -> None:
        """Add a tile's share to the sums, (height, customers)."""
        sums[self.present] += self.fold @ tile


def _flat(numbers: list[list[int]]) -> list[int]:
    return [number for each in numbers for number in each]


def _numbered(partitions: Sequence[Groups]) -> list[list[int]]:
    """Give each distinct cluster of all partitions a number; their members tell them apart."""
    found: dict[bytes, int] = {}
    numbers = []
    for groups in partitions:
        order = np.argsort(groups.codes.astype(np.int16), kind="stable")
        members = np.split(
            order, len(order) - groups.n_scored + np.r_[0, np.cumsum(groups.sizes)[:-1]]
        )[1:]
        numbers.append(
            [found.setdefault(sha256(each.tobytes()).digest(), len(found)) for each in members]
        )
    return numbers


def _complements(numbers: list[list[int]], noise_free: list[bool]) -> dict[int, list[int]]:
    """Choose clusters that need no sum of their own: everybody less the others of a partition, which are summed."""
    often = Counter(_flat(numbers))
    chosen: dict[int, list[int]] = {}
    needed: set[int] = set()
    for each in (each for each, free in zip(numbers, noise_free, strict=True) if free):
        rarest = min(each, key=often.__getitem__)
        others = [number for number in each if number != rarest]
        if rarest not in needed and chosen.keys().isdisjoint(each):
            chosen[rarest] = others
            needed.update(others)
    return chosen


def _separated(partitions: Sequence[Groups], places: list[np.ndarray], summed: int) -> np.ndarray:
    """Return each customer's cluster in each partition, -1 where it is not summed or an earlier partition has it."""
    seen: set[int] = set()
    columns = []
    for groups, where in zip(partitions, places, strict=True):
        own = np.array(
            [place if place < summed and place not in seen else -1 for place in where] + [-1]
        )
        seen.update(where.tolist())
        if own.max() >= 0:
            columns.append(own[groups.codes].astype(np.int16))
    return np.ascontiguousarray(np.array(columns).T)


def _runs(separated: np.ndarray) -> list[tuple[slice, range]]:
    """Cut the partitions into runs of a few, and find their clusters, which have consecutive places."""
    lowest = [int(column[column >= 0].min()) for column in separated.T]
    ends = [*lowest[_RUN::_RUN], int(separated.max()) + 1]
    starts = range(0, len(lowest), _RUN)
    return [
        (slice(i, i + _RUN), range(lowest[i], end)) for i, end in zip(starts, ends, strict=True)
    ]


def _unique_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of one of each distinct row, and for each row which of them it is."""
    rows = (
        np.ascontiguousarray(matrix)
        .view(np.dtype((np.void, matrix.itemsize * matrix.shape[1])))
        .ravel()
    )
    _, first, which = np.unique(rows, return_index=True, return_inverse=True)
    return first, which


def indicator(cell: np.ndarray, cells: int) -> csr_array:
    """Return the matrix that adds up the rows of each cell, (cells, len(cell))."""
    from scipy.sparse import csr_array

    ends = np.r_[0, np.cumsum(np.bincount(cell, minlength=cells))]
    return csr_array(
        (np.ones(len(cell)), np.argsort(cell, kind="stable"), ends), shape=(cells, len(cell))
    )
