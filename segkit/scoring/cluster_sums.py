"""Sums of distances over the clusters of many partitions, each distinct cluster summed once.

A tile holds the distances from some customers (its rows) to others, on a grid on which its sums are
exact. Exact sums do not depend on how they are formed, so sharing work changes no bit of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from segkit.clustering.arrays import Indices, Matrix
from segkit.hashing import array_digest
from segkit.scoring.contract import Groups

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Folding a tile costs about as much as the product of this many clusters with it.
_FOLDING = 10
# Partitions whose customers are folded together once more: fewer partitions have fewer cells, but
# fold more often.
_RUN = 6

Places: TypeAlias = NDArray[np.int16]  # where among the sums a customer's clusters are, or -1


class Together:
    """Partitions of few clusters: one matrix product of all their distinct clusters with each tile.

    Three things make it small. A cluster that several partitions have is summed once. Customers of
    a tile whom no partition separates are added up first. One cluster of a partition without noise
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
        For each partition, the positions of its clusters among the sums.
    """

    def __init__(self, partitions: Sequence[Groups]) -> None:
        numbers = _numbered(partitions)
        complements = _complements(
            numbers, [groups.n_scored == len(groups.codes) for groups in partitions]
        )
        summed = [number for number in dict.fromkeys(_flat(numbers)) if number not in complements]
        place = {number: i for i, number in enumerate([*summed, *complements])}
        self.height = len(place)
        self.places = [np.array([place[number] for number in own]) for own in numbers]
        self._others = [[place[number] for number in others] for others in complements.values()]
        self._summed = len(summed)
        self._separated = _separated(partitions, self.places, len(summed))
        self._runs = _runs(self._separated)

    def prepare(self, columns: Indices) -> _Products:
        """Return what adds tiles whose rows are these customers."""
        fold, separated = _folded(self._separated[columns], self._summed)
        products = [_product(separated[:, run], clusters) for run, clusters in self._runs]
        return _Products(fold, products, self._summed, self._rest)

    @cached_property
    def _rest(self) -> csr_array | None:
        """The matrix from the sums and the total to the clusters that are the total less others."""
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
    """The clusters of a run of partitions among a tile's rows, or among their cells."""

    first: int
    fold: csr_array | None
    member: Matrix

    def write(self, folded: Matrix, part: Matrix) -> None:
        """Write the sums over these clusters to their places among all sums."""
        own = part[self.first : self.first + len(self.member)]
        np.matmul(self.member, folded if self.fold is None else self.fold @ folded, out=own)


@dataclass(frozen=True)
class _Products:
    """The clusters of all partitions among a tile's rows."""

    fold: csr_array | None
    products: list[_Product]
    summed: int
    rest: csr_array | None

    def add(self, tile: Matrix, sums: Matrix) -> None:
        """Add a tile's share to the sums, (height, customers)."""
        folded = tile if self.fold is None else self.fold @ tile
        part = np.empty((self.summed + 1, tile.shape[1]))
        for product in self.products:
            product.write(folded, part)
        sums[: self.summed] += part[: self.summed]
        if self.rest is not None:
            folded.sum(axis=0, out=part[self.summed])
            sums[self.summed :] += self.rest @ part


def _folded(separated: Places, clusters: int) -> tuple[csr_array | None, Places]:
    """Fold customers in the same clusters into one cell, where that pays.

    Returns the matrix that adds them up, or None, and a row for each cell.
    """
    first, cell = _unique_rows(separated)
    if clusters * (1 - len(first) / len(cell)) <= _FOLDING:
        return None, separated
    return indicator(cell, len(first)), separated[first]


def _product(separated: Places, clusters: range) -> _Product:
    """Return the product for a run of partitions with these clusters."""
    fold, separated = _folded(separated, len(clusters))
    member = np.zeros((len(clusters), len(separated)))
    cells, of = np.nonzero(separated >= 0)
    member[separated[cells, of] - clusters.start, cells] = 1
    return _Product(clusters.start, fold, member)


class Alone:
    """A partition of many clusters, at a cost that does not grow with their number.

    Attributes are those of `Together`.
    """

    def __init__(self, groups: Groups) -> None:
        self.height = groups.n_clusters
        self.places = [np.arange(groups.n_clusters)]
        self._codes = groups.codes

    def prepare(self, columns: Indices) -> _Scatter:
        """Return what adds tiles whose rows are these customers."""
        present, cell = np.unique(self._codes[columns], return_inverse=True)
        noise = int(np.count_nonzero(present < 0))
        return _Scatter(indicator(cell, len(present))[noise:], present[noise:])


@dataclass(frozen=True)
class _Scatter:
    """The clusters that have customers among a tile's rows, and the sums over them."""

    fold: csr_array
    present: Indices

    def add(self, tile: Matrix, sums: Matrix) -> None:
        """Add a tile's share to the sums, (height, customers)."""
        sums[self.present] += self.fold @ tile


def _flat(numbers: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(numbers))


def _numbered(partitions: Sequence[Groups]) -> list[list[int]]:
    """Give each distinct cluster of all partitions a number; equal members, equal cluster."""
    number_of: dict[bytes, int] = {}
    numbers = []
    for groups in partitions:
        # Noise comes first; stable, so that members are in the order of the customers.
        order = np.argsort(groups.codes.astype(np.int16), kind="stable")
        starts = len(order) - groups.n_scored + np.r_[0, np.cumsum(groups.sizes)[:-1]]
        clusters = np.split(order, starts)[1:]
        digests = [array_digest(members) for members in clusters]
        numbers.append([number_of.setdefault(digest, len(number_of)) for digest in digests])
    return numbers


def _complements(numbers: list[list[int]], noise_free: list[bool]) -> dict[int, list[int]]:
    """Choose clusters that need no sum of their own, with the others of a partition for each.

    The sum of such a cluster is the total less the sums of the others. A partition with noise has
    none.
    """
    frequency = Counter(_flat(numbers))
    chosen: dict[int, list[int]] = {}
    needed: set[int] = set()
    for own, free in zip(numbers, noise_free, strict=True):
        if not free:
            continue
        rarest = min(own, key=frequency.__getitem__)
        others = [number for number in own if number != rarest]
        if rarest not in needed and chosen.keys().isdisjoint(own):
            chosen[rarest] = others
            needed.update(others)
    return chosen


def _separated(partitions: Sequence[Groups], places: list[Indices], summed: int) -> Places:
    """Return the place of each customer's cluster in each partition, (n, partitions).

    It is -1 where the cluster is not summed, or where an earlier partition has it.
    """
    seen: set[int] = set()
    columns = []
    for groups, own_places in zip(partitions, places, strict=True):
        new = [-1 if place >= summed or place in seen else place for place in own_places.tolist()]
        seen.update(own_places.tolist())
        if max(new) >= 0:
            # The last one is for noise, whose code is -1.
            columns.append(np.array([*new, -1])[groups.codes].astype(np.int16))
    return np.ascontiguousarray(np.array(columns).T)


def _runs(separated: Places) -> list[tuple[slice, range]]:
    """Cut the partitions into runs, each with its clusters, which have consecutive places."""
    lowest = [int(column[column >= 0].min()) for column in separated.T]
    ends = [*lowest[_RUN::_RUN], int(separated.max()) + 1]
    starts = range(0, len(lowest), _RUN)
    return [
        (slice(i, i + _RUN), range(lowest[i], end)) for i, end in zip(starts, ends, strict=True)
    ]


def _unique_rows(matrix: Places) -> tuple[Indices, Indices]:
    """Return the position of one of each distinct row, and the number of each row's own."""
    # As bytes: much faster than comparing column by column.
    whole_row = np.dtype((np.void, matrix.itemsize * matrix.shape[1]))
    rows = np.ascontiguousarray(matrix).view(whole_row).ravel()
    _, first, which = np.unique(rows, return_index=True, return_inverse=True)
    return first, which


def indicator(cell: Indices, cells: int) -> csr_array:
    """Return the matrix that adds up the rows of each cell, (cells, len(cell))."""
    from scipy.sparse import csr_array

    ends = np.r_[0, np.cumsum(np.bincount(cell, minlength=cells))]
    return csr_array(
        (np.ones(len(cell)), np.argsort(cell, kind="stable"), ends), shape=(cells, len(cell))
    )
