"""What stages read: stored arrays and facts, and the customers that a stage is about."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from segkit.projection.landmarks import Landmarks
    from segkit.study.plan.stage import Node
    from segkit.study.run.store import Store

    Matrix = NDArray[np.float64]
    Rows = NDArray[np.int64]
    Labels = NDArray[np.integer[Any]]

# Neighbouring nodes of a task read the same arrays; a worker has room for a few of them.
CACHED_BYTES = 256 * 1024**2


class Inputs:
    """A reader of stored results that holds the latest arrays in memory.

    Parameters
    ----------
    store
        Where the results are.
    impossible
        Keys of inputs without a result.
    limit
        Bytes of arrays to hold.
    """

    def __init__(
        self, store: Store, impossible: Collection[str] = (), limit: int = CACHED_BYTES
    ) -> None:
        self.store = store
        self.impossible = impossible
        self.limit = limit
        self.held: OrderedDict[str, dict[str, NDArray[Any]]] = OrderedDict()

    def arrays(self, key: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a result by name; raise ``Damaged`` where they cannot be read."""
        if key not in self.held:
            self.held[key] = self.store.arrays(key)
            while len(self.held) > 1 and self._bytes() > self.limit:
                self.held.popitem(last=False)
        self.held.move_to_end(key)
        return self.held[key]

    def _bytes(self) -> int:
        return sum(array.nbytes for arrays in self.held.values() for array in arrays.values())

    def matrix(self, key: str) -> Matrix:
        """Return a feature matrix or a space, (n, d)."""
        return self.arrays(key)["matrix"]

    def facts(self, key: str) -> dict[str, Any]:
        """Return the facts of a result; raise ``Damaged`` where they cannot be read."""
        return self.store.facts(key)

    def labels(self, node: Node, role: str = "partition") -> Labels:
        """Return the labels of a partition, (n,)."""
        return self.arrays(node.inputs[role])["labels"]

    def has(self, node: Node, role: str) -> bool:
        """Tell whether an input that may be impossible has a result.

        Raises
        ------
        Damaged
            If it is possible and yet not there: a draw without a value would be another result.
        """
        key = node.inputs.get(role)
        if key is None or key in self.impossible:
            return False
        return "skipped" not in self.facts(key)

    def customers(self, node: Node) -> int:
        """Return how many customers the table has; a run may have dropped some of them."""
        customers: int = self.facts(node.inputs["features"])["customers"]
        return customers

    def positions(self, node: Node, drawn: Rows) -> Rows:
        """Return the positions of drawn customers of the table in a run's space.

        The space lacks the customers that its features dropped.
        """
        import numpy as np

        rows = self.arrays(node.inputs["features"])["rows"]
        if len(rows) == self.customers(node):
            return drawn
        return np.flatnonzero(np.isin(rows, drawn, assume_unique=True))

    def drawn_rows(self, node: Node, count: int | None) -> Rows:
        """Return the positions of the customers that a stage on drawn customers works on."""
        from segkit.scoring.stability import draw

        drawn = draw(node.config["identity"], 0, self.customers(node), count)
        return self.positions(node, drawn)

    def draws(self, node: Node) -> list[Rows]:
        """Return the study's draws of customers, as positions in a run's space."""
        from segkit.scoring.stability import draw

        customers, config = self.customers(node), node.config
        return [
            self.positions(node, draw(config["identity"], index, customers, node.sample))
            for index in range(config["draws"])
        ]

    def landmarks(self, node: Node) -> Landmarks:
        """Return the landmarks that a stage works on."""
        from segkit.projection.landmarks import Landmarks

        return Landmarks(**self.arrays(node.inputs["landmarks"]))

    def scored_space(self, node: Node, customers: int) -> Matrix:
        """Return the space to score a partition of so many customers in.

        A reference space has every customer; a run may have dropped some with missing values.
        """
        space = self.matrix(node.inputs["space"])
        if len(space) == customers:
            return space
        rows = self.arrays(node.inputs["features"])["rows"]
        scored: Matrix = space[rows]
        return scored
