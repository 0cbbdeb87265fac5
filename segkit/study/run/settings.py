"""How a study is executed: where, on how many workers, and within what memory and time."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from segkit.clustering.partition import MEMORY_VARIABLE
from segkit.errors import UsageError

# What a worker's libraries alone take, rounded up.
LEAST_MEMORY = 300_000_000
# The composition has checked amounts and durations; these take them apart.
_AMOUNT = re.compile(r"([\d.e+]+)\s*([kKMGT]?)(i?)B?")
_PREFIXES = " kMGT"
_DURATION = re.compile(r"([\d.]+)\s*(s|min|h|d)")
_UNIT_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class EngineSettings:
    """How to execute a study.

    The composition checks the values before they come here.

    Attributes
    ----------
    mode
        ``local`` for workers, ``inline`` for this process.
    workers
        Number of local workers; None for one per core.
    address
        Address of a running scheduler, whose workers are used instead of local ones.
    tls
        Files in PEM format by name: ``ca``, ``cert`` and ``key``.
    memory_limit
        Memory of a local worker, such as ``4GB``; ``auto`` for its share of the machine's, None for
        any.
    time_limit
        The longest estimate that a stage may have, such as ``90min``; None for any.
    """

    mode: str = "local"
    workers: int | None = None
    address: str | None = None
    tls: Mapping[str, str | None] | None = None
    memory_limit: str | int | float | None = "auto"
    time_limit: str | None = None

    @property
    def description(self) -> str:
        """Where the study is executed, as a phrase."""
        if self.mode == "inline":
            return "in this process"
        if self.scheduler:
            return f"on the scheduler at {self.address}"
        return f"on {self.n_workers} local workers"

    @property
    def scheduler(self) -> str | None:
        """Address of the scheduler to use; None for local workers or none."""
        return None if self.mode == "inline" else self.address

    @property
    def tls_files(self) -> dict[str, str] | None:
        """Files for TLS by name: ``ca``, ``cert`` and ``key``; None if not given."""
        files = {name: path for name, path in (self.tls or {}).items() if path is not None}
        return files or None

    @property
    def n_workers(self) -> int:
        """Number of local workers: as configured, else the cores that this process may use."""
        if self.mode == "inline":
            return 1
        return self.workers or available_cores()

    @property
    def most_memory(self) -> int | None:
        """Memory of a worker in bytes, the most a stage may take; None if unknown or unlimited."""
        machine = machine_memory()
        if machine is None or self.scheduler:
            return None
        if self.memory_limit is None:
            return machine
        if self.memory_limit == "auto":
            return machine // self.n_workers
        return min(machine, _bytes(self.memory_limit))

    @property
    def most_seconds(self) -> float | None:
        """CPU seconds that a stage may be estimated to take; None for any."""
        if self.time_limit is None:
            return None
        match = _DURATION.fullmatch(self.time_limit)
        if match is None:
            raise ValueError(f"not a duration: {self.time_limit}")
        number, unit = match.groups()
        return float(number) * _UNIT_SECONDS[unit]

    @property
    def memory_variable(self) -> dict[str, str]:
        """The environment variable by which a worker's stages know their memory; empty if any."""
        most = self.most_memory
        return {} if most is None else {MEMORY_VARIABLE: str(most)}


def _bytes(amount: str | float) -> int:
    """Return an amount of memory such as ``4GB``, ``512 MiB`` or 4e9 in bytes."""
    if isinstance(amount, int | float):
        return int(amount)
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise ValueError(f"not an amount of memory: {amount}")
    number, prefix, binary = match.groups()
    base = 1024 if binary else 1000
    power = _PREFIXES.index(prefix.replace("K", "k") or " ")
    return int(float(number) * base**power)


def check_memory(settings: EngineSettings) -> None:
    """Check that each local worker has enough memory to start.

    Raises
    ------
    UsageError
        If not.
    """
    limit, most = settings.memory_limit, settings.most_memory
    if limit is None or most is None or most >= LEAST_MEMORY:
        return
    least = LEAST_MEMORY // 1_000_000
    if limit != "auto":
        raise UsageError(
            f"engine.memory_limit={limit}: must be at least {least}MB, which a worker takes to "
            "start, with its unit, or auto or null"
        )
    # A single worker may try: it has the whole machine.
    if settings.n_workers > 1:
        raise UsageError(
            f"engine.workers={settings.n_workers}: too many; each takes {least} MB to start, and "
            f"has {most / 1e6:.0f} MB of this machine"
        )


def scheduler_warnings(settings: EngineSettings) -> tuple[str, ...]:
    """Return a warning if the scheduler of a study lets everybody in, else nothing."""
    address = settings.scheduler
    if address is None or not address.startswith("tcp://"):
        return ()
    warning = (
        f"engine.address={address} is open: whoever reaches that port can run code on its workers "
        "and here; tls:// lets only owners of a key in"
    )
    return (warning,)


def machine_memory() -> int | None:
    """Return the memory of this machine in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
