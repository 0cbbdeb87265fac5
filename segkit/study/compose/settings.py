"""What holds for a whole study (scoring, engine, report, store, seed), checked before anything runs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path

from segkit.errors import UsageError, did_you_mean

_SECTIONS = {
    "scoring": (
        *("draws", "racing", "racing_confidence", "references", "gates", "confirm"),
        *("shortlist", "confirm_draws", "refits", "seeds", "nulls", "level"),
    ),
    "scoring.gates": ("coverage", "smallest_cluster", "clusters"),
    "scoring.nulls": ("copula", "permuted"),
    "engine": ("mode", "workers", "address", "tls", "memory_limit", "time_limit"),
    "report": ("formats", "customers", "max_mb", "shortlist"),
    "sampling": ("projection", "neighbours", "clustering", "kmeans", "scores", "draws"),
}
# What options of one's own from before there was such a setting lack: it is then null.
_MAY_BE_MISSING = ("engine.time_limit", "engine.tls", "sampling.neighbours")
#: The names at the top of a study's configuration, without the groups of its runs.
SETTINGS = ("seed", "store", "name", "scoring", "sampling", "engine", "report")
_FORMATS = ("png", "pdf")
_MODES = ("local", "inline")
_TLS = ("ca", "cert", "key")
_LEAST_DRAWN = 100
_MOST_MEGABYTES = 1_000_000


def check_study(study: Mapping, scalers: Sequence[str]) -> None:
    """Check the settings of a study.

    Parameters
    ----------
    study : mapping
        Resolved: ``seed``, ``store``, ``name``, ``scoring``, ``engine``, ``report``.
    scalers : sequence of str
        The scaler options there are; the reference spaces are among them.

    Raises
    ------
    UsageError
        An unknown name, or a value of the wrong type or out of range.
    """
    _check_names(
        study, SETTINGS, "", ("sweep", "data", "features", "scaler", "projection", "clusterer")
    )
    for section, names in _SECTIONS.items():
        _check_names(_section(study, section), names, section)
    check_seed(study["seed"])
    _require(_is_text(study["store"]), "store", study["store"], "a folder's path")
    _check_scoring(study["scoring"], scalers)
    _check_sampling(study["sampling"])
    _check_engine(study["engine"])
    _check_report(study["report"])


def check_seed(seed: object) -> int:
    """Return a seed that every estimator takes: a whole number from 0 to 2**32 - 1."""
    _require(
        _is_int(seed) and 0 <= seed < 2**32, "seed", seed, f"a whole number from 0 to {2**32 - 1}"
    )
    return seed


def check_name(name: object, experiment: str | None) -> str:
    """Return the study's name, which is a folder's too: as given, else the experiment's, else ``study``."""
    chosen = (experiment or "study") if name is None else name
    fits = isinstance(chosen, str | int) and re.fullmatch(r"[^\s./\\][^/\\]*", str(chosen))
    _require(
        bool(fits),
        "name",
        chosen,
        "a name that can be a folder's, without / and not starting with a dot",
    )
    return str(chosen)


def _check_scoring(scoring: Mapping, scalers: Sequence[str]) -> None:
    for name in ("draws", "shortlist", "confirm_draws", "refits", "seeds"):
        value = scoring[name]
        _require(_is_int(value) and value >= 1, f"scoring.{name}", value, "a whole number from 1")
    for name in ("confirm", "racing"):
        _require(isinstance(scoring[name], bool), f"scoring.{name}", scoring[name], "true or false")
    confidence = scoring["racing_confidence"]
    fits = _is_share(confidence) and 0 < confidence < 1
    _require(fits, "scoring.racing_confidence", confidence, "a number between 0 and 1")
    _check_nulls(scoring["nulls"], scoring["level"])
    _check_references(scoring["references"], scalers)
    gates = scoring["gates"]
    for name in ("coverage", "smallest_cluster"):
        value = gates[name]
        _require(_is_share(value), f"scoring.gates.{name}", value, "a share from 0 to 1")
    clusters = gates["clusters"]
    ordered = _is_list(clusters, _is_int) and len(clusters) == 2 and 1 <= clusters[0] <= clusters[1]
    _require(
        ordered,
        "scoring.gates.clusters",
        clusters,
        "the fewest and the most clusters, such as [2, 12]",
    )


def _check_nulls(nulls: Mapping, level: object) -> None:
    number = isinstance(level, Real) and not isinstance(level, bool)
    _require(number and 0 < level < 1, "scoring.level", level, "a number between 0 and 1")
    for name, count in nulls.items():
        _require(
            _is_int(count) and count >= 0, f"scoring.nulls.{name}", count, "a whole number from 0"
        )
    least = math.ceil(1 / level - 1e-9) - 1
    allowed = f"at least {least}, as a test at scoring.level={level} needs"
    _require(nulls["copula"] >= least, "scoring.nulls.copula", nulls["copula"], allowed)


def _check_references(names: object, scalers: Sequence[str]) -> None:
    fits = _is_list(names, _is_text) and names and len(set(names)) == len(names)
    _require(
        bool(fits),
        "scoring.references",
        names,
        "a list of different scalers, such as [power, standard]",
    )
    for name in names:
        if name not in scalers:
            raise UsageError(
                f"scoring.references: there is no scaler option '{name}' "
                f"(there are {', '.join(scalers)}){did_you_mean(name, scalers)}"
            )


def _check_sampling(sampling: Mapping) -> None:
    for name, most in sampling.items():
        fits = most is None or (_is_int(most) and most >= _LEAST_DRAWN)
        _require(
            fits,
            f"sampling.{name}",
            most,
            f"a number of customers from {_LEAST_DRAWN}, or null for all",
        )


def _check_engine(engine: Mapping) -> None:
    mode, workers, address, tls, memory, limit = (engine.get(name) for name in _SECTIONS["engine"])
    if mode not in _MODES:
        raise UsageError(
            f"engine.mode={_shown(mode)}: must be"
            f" {' or '.join(_MODES)}{did_you_mean(str(mode), _MODES)}"
        )
    _require(
        workers is None or (_is_int(workers) and workers >= 1),
        "engine.workers",
        workers,
        "a whole number from 1, or null for one per core",
    )
    _require(
        address is None or (_is_text(address) and bool(re.fullmatch(r"(tcp|tls)://\S+", address))),
        "engine.address",
        address,
        "a scheduler's address such as tcp://host:8786, or null",
    )
    if tls is not None:
        _check_tls(tls, address)
    _check_engine_fits(mode, workers, address, memory)
    positive = isinstance(memory, Real) and not isinstance(memory, bool) and 0 < memory < math.inf
    sized = _is_text(memory) and bool(re.fullmatch(r"auto|\d+(\.\d+)?\s*([kKMGT]i?)?B?", memory))
    _require(
        memory is None or positive or sized,
        "engine.memory_limit",
        memory,
        "an amount per worker such as 4GB, auto, or null for none",
    )
    timed = (
        _is_text(limit)
        and re.fullmatch(r"[0-9]*[1-9][0-9]*(\.[0-9]+)?\s*(s|min|h|d)", limit) is not None
    )
    told = (
        "the most that a stage may be estimated to take, such as 90min, 24h or 3d, or null for any"
        " time"
    )
    _require(limit is None or timed, "engine.time_limit", limit, told)


def _check_tls(tls: object, address: str | None) -> None:
    _check_names(tls, _TLS, "engine.tls")
    if all(tls[name] is None for name in _TLS):
        return
    for name in _TLS:
        _require(
            _is_text(tls[name]) and Path(tls[name]).is_file(),
            f"engine.tls.{name}",
            tls[name],
            "a file in PEM format that exists, as the other two of ca, cert and key",
        )
    secured = address is not None and address.startswith("tls://")
    _require(
        secured,
        "engine.address",
        address,
        "a scheduler's address such as tls://host:8786, to go with engine.tls",
    )


def _check_engine_fits(mode: str, workers: int | None, address: str | None, memory: object) -> None:
    """Refuse what the chosen way of executing would pass over in silence."""
    if mode == "inline" and workers not in (None, 1):
        raise UsageError(
            f"engine.workers={workers}: with engine=inline one process computes; write engine=local"
        )
    if mode == "inline" and address is not None:
        raise UsageError(
            f"engine.address={address}: with engine=inline this process computes; write"
            " engine=local"
        )
    if address is not None and workers is not None:
        told = (
            f"the scheduler at {address} has the workers that were started for it; leave one of the"
            " two out"
        )
        raise UsageError(f"engine.workers={workers}: {told}")
    if address is not None and memory not in (None, "auto"):
        told = (
            f"the workers of the scheduler at {address} have the limit that they were started with;"
            " leave it out"
        )
        raise UsageError(f"engine.memory_limit={_shown(memory)}: {told}")


def _check_report(report: Mapping) -> None:
    formats = report["formats"]
    fits = (
        _is_list(formats, lambda value: value in _FORMATS)
        and formats
        and len(set(formats)) == len(formats)
    )
    _require(
        bool(fits),
        "report.formats",
        formats,
        f"[{'], ['.join(_FORMATS)}] or [{', '.join(_FORMATS)}]",
    )
    customers, size, shortlist = report["customers"], report["max_mb"], report["shortlist"]
    _require(isinstance(customers, bool), "report.customers", customers, "true or false")
    sized = isinstance(size, Real) and not isinstance(size, bool) and 0 < size <= _MOST_MEGABYTES
    _require(
        sized, "report.max_mb", size, f"a number of megabytes above 0, at most {_MOST_MEGABYTES:,}"
    )
    _require(
        _is_int(shortlist) and shortlist >= 1,
        "report.shortlist",
        shortlist,
        "a whole number from 1",
    )


def _section(study: Mapping, path: str) -> object:
    section: object = study
    for name in path.split("."):
        section = section[name]
    return section


def _check_names(
    section: object, names: Sequence[str], path: str, others: Sequence[str] = ()
) -> None:
    if not isinstance(section, Mapping):
        raise UsageError(
            f"{path}={_shown(section)}: must hold settings with values: {', '.join(names)}"
        )
    prefix = f"{path}." if path else ""
    for name in section:
        if name not in names:
            raise UsageError(
                f"{prefix}{name}: there is no such setting (there are {', '.join(names)})"
                f"{did_you_mean(str(name), [*names, *others])}"
            )
    for name in names:
        if f"{prefix}{name}" in _MAY_BE_MISSING and name not in section:
            continue
        if name not in section or section[name] == "???":
            raise UsageError(f"{prefix}{name}: is missing")


def _require(fits: bool, name: str, value: object, allowed: str) -> None:
    if not fits:
        raise UsageError(f"{name}={_shown(value)}: must be {allowed}")


def _shown(value: object) -> str:
    return "null" if value is None else " ".join(str(value).split())


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_share(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= value <= 1


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_list(value: object, element: Callable[[object], bool]) -> bool:
    return isinstance(value, list) and all(map(element, value))
