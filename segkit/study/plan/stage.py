"""A kind of stage, and one stage of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The number of customers at which all costs were measured: those of CC GENERAL.
REFERENCE_CUSTOMERS = 8950

Config = Mapping[str, Any]


class Shape(NamedTuple):
    """How many customers (rows) and columns a stage works on, or about how many; an estimate."""

    customers: int
    columns: int


class Growth(NamedTuple):
    """CPU seconds on one core at 8,950 customers, the power of n they grow with, a fixed part."""

    seconds: float
    power: float
    fixed: float = 0.0

    def at(self, customers: float, *, times: float = 1.0, more: float = 0.0) -> float:
        """Return the seconds at a number of customers.

        ``times`` multiplies the part that grows, ``more`` is added to the fixed part.
        """
        scale: float = (customers / REFERENCE_CUSTOMERS) ** self.power
        return self.fixed + more + self.seconds * times * scale


@dataclass(frozen=True, slots=True)
class Node:
    """One stage of a graph.

    Attributes
    ----------
    stage
        Its kind.
    key
        The name of its result in the store.
    config
        Its own resolved parameters.
    inputs
        The keys of the stages it reads, by role.
    sample
        How many drawn customers it works on; None: all.
    """

    stage: Stage
    key: str
    config: Config
    inputs: Mapping[str, str]
    sample: int | None = None

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return self.stage.kind

    def stops(self, role: str, *, again: bool) -> bool:
        """Tell whether the stage cannot be computed without an input that failed or was skipped.

        A draw that is impossible (``partition:3`` of a refit) is one draw without a value. One that
        is tried ``again`` at the next launch is waited for.
        """
        return again or ":" not in role


@dataclass(frozen=True)
class Result:
    """What a stage computed: arrays, kept in the store, and small plain facts, also passed on."""

    arrays: Mapping[str, NDArray[np.generic]]
    facts: Mapping[str, Any]


# The reader of stored results is `segkit.study.run.inputs.Inputs`, which imports this module.
Compute = Callable[[Sequence[Node], Any], "Sequence[Result | Exception]"]


def alone(node: Node) -> tuple[str, ...]:
    """Return a group that no other stage belongs to."""
    return (node.key,)


def no_arrays(_node: Node, _shape: Shape) -> int:
    """Return the bytes of a result that is facts alone."""
    return 0


@dataclass(frozen=True, eq=False)
class Stage:
    """A kind of stage: everything that is known of it, in one record.

    Attributes
    ----------
    kind
        Its name: the folder of its results in the store, and the beginning of their keys.
    order
        Its place in the flow of data; stages of lower order are computed first.
    version
        To be raised when the code changes what it returns: older results are then not used.
    inputs
        By role, the kinds of stages it may read. ``partition:0``, ``partition:1`` and so on are
        inputs of the role ``partition``.
    compute
        From the nodes of one task and a reader of stored results to one result a node, or the
        exception that one node failed with.
    seconds
        From a node, a number of customers and whether another node of the task has done the shared
        work to the estimated CPU seconds.
    memory
        From a configuration, a number of customers and one of columns to the bytes it needs, None
        where they do not matter.
    size
        From a node and its shape to the estimated bytes of its arrays on disk.
    bundle
        The most nodes of one task: enough to share a family's work, few enough to spread a wide
        sweep over the workers.
    group
        What nodes have in common that share work; the nodes of a task are of one group.
    sampling
        From a configuration to the ``sampling`` setting that puts it on fewer customers.
    before_space
        Whether spaces are made from it. The longest chain of such stages is begun first.
    compiles
        Whether it needs the compiled kernels of its class.
    per_run
        Whether every run has one. Its roles are then ``partition``, ``space``, ``features`` or
        ``scaling``, and it has no parameters.
    columns
        Of a stage ``per_run``: the facts that become columns of the runs table.
    """

    kind: str
    order: int
    version: int
    inputs: Mapping[str, tuple[str, ...]]
    compute: Compute
    seconds: Callable[[Node, int, bool], float]
    memory: Callable[[Config, int, int], float] | None = None
    size: Callable[[Node, Shape], int] = no_arrays
    bundle: int = 1
    group: Callable[[Node], tuple[str, ...]] = alone
    sampling: Callable[[Config], str] | None = None
    before_space: bool = False
    compiles: bool = False
    per_run: bool = False
    columns: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Callable[[str], Stage], tuple[str]]:
        # Functions cannot travel to a worker; the name of their module can.
        return _of_module, (self.compute.__module__,)


def _of_module(name: str) -> Stage:
    stage: Stage = import_module(name).STAGE
    return stage


def worked_on(node: Node, customers: int) -> int:
    """Return how many of so many customers a stage works on."""
    return min(customers, node.sample or customers)


def grows(growth: Growth) -> Callable[[Node, int, bool], float]:
    """Return the ``seconds`` of a kind of stage whose cost depends on nothing but customers."""

    def seconds(node: Node, customers: int, _further: bool) -> float:
        return growth.at(worked_on(node, customers))

    return seconds
