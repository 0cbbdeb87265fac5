"""The settings of a study, checked before anything runs: scoring, engine, report, store, seed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from segkit.errors import UsageError, did_you_mean
from segkit.schema import Settings, as_text, check, must

MAX_SEED = 2**32 - 1
# Fewer customers represent no table.
_LEAST_DRAWN = 100
_MOST_MEGABYTES = 1_000_000

Count = Annotated[int, Field(ge=1, description="a whole number from 1")]
Switch = Annotated[bool, Field(description="true or false")]
Fraction = Annotated[float, Field(gt=0, lt=1, description="a number between 0 and 1")]
Share = Annotated[float, Field(ge=0, le=1, description="a share from 0 to 1")]
Tables = Annotated[int, Field(ge=0, description="a whole number from 0")]
Drawn = Annotated[
    int | None,
    Field(
        ge=_LEAST_DRAWN, description=f"a number of customers from {_LEAST_DRAWN}, or null for all"
    ),
]
_File = Annotated[
    str | None,
    Field(description="a file in PEM format that exists, as the other two of ca, cert and key"),
]


def _is_range(bounds: list[int]) -> bool:
    return len(bounds) == 2 and 1 <= bounds[0] <= bounds[1]


def _are_different(names: list[str]) -> bool:
    return bool(names) and len(set(names)) == len(names) and all(map(str.strip, names))


def _is_amount(amount: float | str | None) -> bool:
    if isinstance(amount, str):
        return bool(re.fullmatch(r"auto|\d+(\.\d+)?\s*([kKMGT]i?)?B?", amount))
    return amount is None or 0 < amount < math.inf


class Gates(Settings):
    """What a run must fulfil to be ranked."""

    coverage: Share
    smallest_cluster: Share
    clusters: Annotated[
        list[int],
        AfterValidator(must(_is_range)),
        Field(description="the fewest and the most clusters, such as [2, 12]"),
    ]


class Nulls(Settings):
    """How many tables without segments of each kind are made."""

    copula: Tables
    permuted: Tables


class Scoring(Settings):
    """How runs are screened, confirmed and chosen."""

    draws: Count
    racing: Switch
    racing_confidence: Fraction
    references: Annotated[
        list[str],
        AfterValidator(must(_are_different)),
        Field(description="a list of different scalers, such as [power, standard]"),
    ]
    gates: Gates
    confirm: Switch
    shortlist: Count
    confirm_draws: Count
    refits: Count
    seeds: Count
    nulls: Nulls
    level: Fraction

    @model_validator(mode="after")
    def _enough_tables(self) -> Scoring:
        """Refuse a level that so few tables cannot reach: the smallest p-value is 1 / (1 + n)."""
        # 1 / 0.05 is 20, up to rounding.
        least = math.ceil(1 / self.level - 1e-9) - 1
        if self.nulls.copula < least:
            raise UsageError(
                f"scoring.nulls.copula={self.nulls.copula}: must be at least {least}, as a test at "
                f"scoring.level={self.level} needs"
            )
        return self


class Tls(Settings):
    """The files that protect the connection to a scheduler: all three or none."""

    ca: _File
    cert: _File
    key: _File


class Engine(Settings):
    """Where and within what limits a study is computed."""

    mode: Annotated[Literal["local", "inline"], Field(description="local or inline")]
    workers: Annotated[
        int | None, Field(ge=1, description="a whole number from 1, or null for one per core")
    ]
    address: Annotated[
        str | None,
        Field(
            pattern=r"^(tcp|tls)://\S+$",
            description="a scheduler's address such as tcp://host:8786, or null",
        ),
    ]
    # Options of one's own may be older than this setting and the last one.
    tls: Tls | None = None
    memory_limit: Annotated[
        int | float | str | None,
        AfterValidator(must(_is_amount)),
        Field(description="an amount per worker such as 4GB, auto, or null for none"),
    ]
    time_limit: Annotated[
        str | None,
        Field(
            pattern=r"^[0-9]*[1-9][0-9]*(\.[0-9]+)?\s*(s|min|h|d)$",
            description="the most that a stage may be estimated to take, such as 90min, 24h or 3d,"
            " or null for any time",
        ),
    ] = None

    @model_validator(mode="after")
    def _files_are_there(self) -> Engine:
        """Refuse a part of the files for TLS, a file that is not there, an address without TLS."""
        if self.tls is None or all(path is None for _, path in self.tls):
            return self
        for name, path in self.tls:
            if path is None or not Path(path).is_file():
                raise UsageError(
                    f"engine.tls.{name}={as_text(path)}: must be"
                    f" {Tls.model_fields[name].description}"
                )
        if self.address is None or not self.address.startswith("tls://"):
            raise UsageError(
                f"engine.address={as_text(self.address)}: must be a scheduler's address such as"
                " tls://host:8786, to go with engine.tls"
            )
        return self

    @model_validator(mode="after")
    def _all_is_used(self) -> Engine:
        """Refuse settings that the chosen way of executing would ignore."""
        inline = "write engine=local"
        if self.mode == "inline" and self.workers not in (None, 1):
            raise UsageError(
                f"engine.workers={self.workers}: with engine=inline one process computes; {inline}"
            )
        if self.address is None:
            return self
        if self.mode == "inline":
            raise UsageError(
                f"engine.address={self.address}: with engine=inline this process computes; {inline}"
            )
        if self.workers is not None:
            raise UsageError(
                f"engine.workers={self.workers}: the scheduler at {self.address} has the workers"
                " that were started for it; leave one of the two out"
            )
        if self.memory_limit not in (None, "auto"):
            raise UsageError(
                f"engine.memory_limit={self.memory_limit}: the workers of the scheduler at"
                f" {self.address} have the limit that they were started with; leave it out"
            )
        return self


class Report(Settings):
    """What the report shows, and in which form."""

    formats: Annotated[
        list[Literal["png", "pdf"]],
        AfterValidator(must(_are_different)),
        Field(description="[png], [pdf] or [png, pdf]"),
    ]
    customers: Switch
    max_mb: Annotated[
        float,
        Field(
            gt=0,
            le=_MOST_MEGABYTES,
            description=f"a number of megabytes above 0, at most {_MOST_MEGABYTES:,}",
        ),
    ]
    shortlist: Count


class Sampling(Settings):
    """The most customers that each kind of work is done on."""

    projection: Drawn
    neighbours: Drawn = None
    clustering: Drawn
    kmeans: Drawn
    scores: Drawn
    draws: Drawn


class Study(Settings):
    """The settings at the top of a study's configuration, without the groups of its runs."""

    similar: ClassVar[tuple[str, ...]] = (
        *("sweep", "data", "features", "scaler", "projection", "clusterer"),
    )

    seed: Annotated[
        int, Field(ge=0, le=MAX_SEED, description=f"a whole number from 0 to {MAX_SEED}")
    ]
    store: Annotated[
        str,
        AfterValidator(must(lambda path: bool(path.strip()))),
        Field(description="a folder's path"),
    ]
    name: Any
    scoring: Scoring
    sampling: Sampling
    engine: Engine
    report: Report


#: The names at the top of a study's configuration.
SETTINGS = tuple(Study.model_fields)


def check_study(study: Mapping[str, Any], scalers: Sequence[str]) -> None:
    """Check the settings of a study.

    Parameters
    ----------
    study
        Resolved: ``seed``, ``store``, ``name``, ``scoring``, ``sampling``, ``engine``, ``report``.
    scalers
        The scaler options there are; the reference spaces are among them.

    Raises
    ------
    UsageError
        For an unknown name, or a value of the wrong type or out of range.
    """
    settings = check(Study, study)
    for name in settings.scoring.references:
        if name not in scalers:
            raise UsageError(
                f"scoring.references: there is no scaler option '{name}' "
                f"(there are {', '.join(scalers)}){did_you_mean(name, scalers)}"
            )


def check_seed(seed: object) -> int:
    """Return a seed that every estimator takes: a whole number from 0 to 2**32 - 1.

    Raises
    ------
    UsageError
        For any other value.
    """
    # Not by the schema: a sweep has thousands of seeds.
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= MAX_SEED:
        return seed
    raise UsageError(f"seed={as_text(seed)}: must be {Study.model_fields['seed'].description}")


def check_name(name: object, experiment: str | None) -> str:
    """Return the name of a study and of its folder: as given, the experiment's, or ``study``.

    Raises
    ------
    UsageError
        For a name that cannot be a folder's.
    """
    chosen = (experiment or "study") if name is None else name
    if isinstance(chosen, str | int) and re.fullmatch(r"[^\s./\\][^/\\]*", str(chosen)):
        return str(chosen)
    raise UsageError(
        f"name={as_text(chosen)}: must be a name that can be a folder's, without / and not starting"
        " with a dot"
    )
