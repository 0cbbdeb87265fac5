"""The options of the `data` group, which identify a table without loading it, and load it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from segkit.data.fingerprint import Memo, digest_of, file_sha256, is_parquet
from segkit.data.table import TableInfo
from segkit.errors import UsageError

if TYPE_CHECKING:
    from segkit.data.table import Table
    from segkit.data.table_options import TableOptions

CARD_CUSTOMERS = 8_950
# Raise it when reading changes: what a memo knows of tables is then read again.
_READER_VERSION = 2


class Source(Protocol):
    """A table that can be identified and planned for before it is loaded."""

    def identity(self, memo: Path | None = None) -> str:
        """Return a sha256 in hex: the root key of every stage, the same on every machine."""

    def info(self, memo: Path | None = None) -> TableInfo:
        """Return what a plan needs; a memo file spares reading what was read before."""

    def load(self) -> Table:
        """Return the customers."""


@dataclass(frozen=True)
class Simulated:
    """Card usage of simulated customers in five groups (`segkit.data.simulate.card_usage`)."""

    n: int = 1000
    seed: int = 42

    def __post_init__(self) -> None:
        _check_simulation(self.n, self.seed)

    def identity(self, memo: Path | None = None) -> str:  # noqa: ARG002
        """Return the hash of the recipe's name, version and parameters."""
        return _recipe("simulated", self.n, self.seed)

    def info(self, memo: Path | None = None) -> TableInfo:
        """Return size and columns without simulating anything."""
        from segkit.data.simulate import CARD_COLUMNS

        return TableInfo(self.identity(memo), self.n, CARD_COLUMNS)

    def load(self) -> Table:
        """Simulate the customers."""
        from segkit.data.simulate import card_usage

        return card_usage(self.n, self.seed)


@dataclass(frozen=True)
class SimulatedProfile:
    """Profiles of simulated customers without any groups (`segkit.data.simulate.profiles`)."""

    n: int = 1000
    seed: int = 42

    def __post_init__(self) -> None:
        _check_simulation(self.n, self.seed)

    def identity(self, memo: Path | None = None) -> str:  # noqa: ARG002
        """Return the hash of the recipe's name, version and parameters."""
        return _recipe("simulated_profile", self.n, self.seed)

    def info(self, memo: Path | None = None) -> TableInfo:
        """Return size and columns without simulating anything."""
        from segkit.data.simulate import PROFILE_COLUMNS

        return TableInfo(self.identity(memo), self.n, PROFILE_COLUMNS)

    def load(self) -> Table:
        """Simulate the customers."""
        from segkit.data.simulate import profiles

        return profiles(self.n, self.seed)


@dataclass(frozen=True)
class CreditCards:
    """The CC GENERAL data: a year's usage of 8,950 credit cards (`segkit.data.fetch`)."""

    def identity(self, memo: Path | None = None) -> str:  # noqa: ARG002
        """Return the identity of the pinned file, whichever its line ends, without reading it."""
        from segkit.data.fetch import SHA256_LF

        return _file_identity(SHA256_LF, _card_options(), text=True)

    def info(self, memo: Path | None = None) -> TableInfo:
        """Return the known size and columns, after making sure that the genuine file is there."""
        from segkit.data.fetch import cc_general
        from segkit.data.simulate import CARD_COLUMNS

        cc_general()
        return TableInfo(self.identity(memo), CARD_CUSTOMERS, CARD_COLUMNS)

    def load(self) -> Table:
        """Load the file, downloading it where needed."""
        from segkit.data.fetch import cc_general
        from segkit.data.load import load

        return load(cc_general(), _card_options(), source="cc_general")


@dataclass(frozen=True)
class TableFile:
    """Any CSV or Parquet file.

    `segkit.data.table_options.TableOptions` says what the options mean and allow.
    """

    path: str | None = None
    id: str | None = None
    columns: Sequence[str] | None = None
    drop: Sequence[str] | None = None
    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not self.path:
            raise UsageError(
                "data.path: must name a CSV or Parquet file (data.path=customers.csv), got "
                f"{self.path!r}"
            )
        self._options()

    def identity(self, memo: Path | None = None) -> str:
        """Return a hash of the file's content and the options that matter, not of its path."""
        path, remembered = self._file(), Memo(memo)
        # A Parquet file has no line ends, and may hold their bytes by chance.
        text = not is_parquet(path)
        sha256 = remembered.recall(path, "sha256")
        if not isinstance(sha256, str):
            sha256 = file_sha256(path, text=text)
            remembered.remember(path, "sha256", sha256)
        return _file_identity(sha256, self._options(), text=text)

    def info(self, memo: Path | None = None) -> TableInfo:
        """Return size, columns and warnings.

        A file that the memo does not know is loaded, which validates it, and remembered.
        """
        identity = self.identity(memo)
        remembered, key = Memo(memo), f"table-{_READER_VERSION}-{identity}"
        known = _known_info(identity, remembered.recall(self._file(), key))
        if known is not None:
            return known
        table = self.load()
        columns = tuple(table.frame.columns)
        facts = {"n_customers": table.n_customers, "columns": columns, "warnings": table.warnings}
        remembered.remember(self._file(), key, facts)
        return TableInfo(identity, table.n_customers, columns, table.warnings)

    def load(self) -> Table:
        """Load and validate the file."""
        from segkit.data.load import load

        return load(self._file(), self._options(), source=self.path)

    def _file(self) -> Path:
        from segkit.data.load import existing_file

        # `__post_init__` has refused None.
        return existing_file(Path(str(self.path)).expanduser())

    def _options(self) -> TableOptions:
        from segkit.data.table_options import TableOptions
        from segkit.schema import check

        names = ("id", "columns", "drop", "separator", "decimal", "encoding")
        return check(TableOptions, {name: getattr(self, name) for name in names}, "data")


def _check_simulation(n: object, seed: object) -> None:
    from segkit.data.simulate import MAX_CUSTOMERS

    if type(n) is not int or not 1 <= n <= MAX_CUSTOMERS:
        raise UsageError(f"data.n: must be a whole number from 1 to {MAX_CUSTOMERS:,}, got {n!r}")
    if type(seed) is not int or seed < 0:
        raise UsageError(f"data.seed: must be a whole number from 0, got {seed!r}")


def _recipe(name: str, n: int, seed: int) -> str:
    from segkit.data.simulate import VERSION

    return digest_of({"recipe": name, "version": VERSION, "n": n, "seed": seed})


def _card_options() -> TableOptions:
    from segkit.data.table_options import TableOptions

    return TableOptions(id="CUST_ID")


def _file_identity(sha256: str, options: TableOptions, *, text: bool) -> str:
    return digest_of({"file": sha256, "options": options.identity(text=text)})


def _known_info(identity: str, facts: Any) -> TableInfo | None:
    """Return what a memo says of a table; None if it says nothing that can be read."""
    try:
        return TableInfo(
            identity, int(facts["n_customers"]), tuple(facts["columns"]), tuple(facts["warnings"])
        )
    except (TypeError, KeyError, ValueError):
        return None
