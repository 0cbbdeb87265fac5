"""What varies in a study: from a ``sweep`` and the command line to one list for each group."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from segkit.errors import UsageError, did_you_mean
from segkit.study import RUN_GROUPS
from segkit.study.compose import hydra_settings
from segkit.study.compose.compat import swept_values

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override, RangeSweep

#: No study is larger than this; a longer one is a slip of the keyboard.
LARGEST_STUDY = 1_000_000

_SWEEP_FUNCTION = re.compile(
    r"\s*(range|choice|glob|interval|sort|shuffle|tag)\s*\(.*\)\s*", re.DOTALL
)

#: From a value that may be a sweep function of Hydra's, and its place, to its values; else None.
Expand = Callable[[str, str], "list[Any] | None"]


@dataclass(frozen=True)
class Parameter:
    """A parameter and its values; ``kind`` is Hydra's: change, add, force_add or delete."""

    key: str
    values: tuple[Any, ...]
    asked: str
    kind: str = "change"

    @property
    def group(self) -> str:
        """The group it belongs to."""
        return root_of(self.key)


@dataclass(frozen=True)
class Entry:
    """One entry of a group's axis: an option with the parameters that vary within it."""

    option: str
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True)
class Patch:
    """One value to be put into a group's configuration."""

    key: str
    value: Any
    asked: str
    kind: str = "change"


@dataclass(frozen=True)
class Spec:
    """One way to fill a group: an option (None: Hydra's default) and patches on it."""

    option: str | None
    patches: tuple[Patch, ...] = ()


@dataclass(frozen=True)
class Axes:
    """What varies, in the order asked: entries by group, parameters of any option, and seeds."""

    entries: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    seeds: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Asked:
    """The command line: options by group, parameters and seeds, and lines that Hydra reads."""

    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    seeds: tuple[Any, ...] | None = None
    passed: tuple[str, ...] = ()


def root_of(key: str) -> str:
    """Return the first part of a dotted name."""
    return re.split(r"[.\[/@]", key, maxsplit=1)[0]


def check_option(option: object, group: str, options: Sequence[str], where: str) -> str:
    """Return an option's name, or raise with the nearest name and the list."""
    if isinstance(option, str) and option in options:
        return option
    name = "none" if option is None and "none" in options else str(option)
    given = "null" if option is None else option
    raise UsageError(
        f"{where}: there is no {group} option '{given}' (there are {', '.join(options)})"
        f"{did_you_mean(name, options)}"
    )


# --- the sweep of an experiment
# ---------------------------------------------------------------------------


def read_sweep(
    sweep: object, options: Callable[[str], Sequence[str]], expand: Expand, where: str = "sweep"
) -> Axes:
    """Read the ``sweep`` of an experiment.

    Parameters
    ----------
    sweep : object
        What the YAML holds: a mapping of axes to lists.
    options : callable
        Gives the option names of a group.
    expand : callable
        Expands ``range(2, 11)`` and its like; called with the text and what to call it in messages.
    where : str
        What to call the sweep in messages.

    Raises
    ------
    UsageError
        An axis that is not a group, a parameter of one or ``seed``; an entry of the wrong shape.
    """
    if sweep is None:
        return Axes()
    if not isinstance(sweep, Mapping):
        raise UsageError(f"{where}: must be axes with their lists, got {_shortened(sweep)}")
    entries, parameters, seeds = {}, [], None
    for name, values in sweep.items():
        label = f"{where}.{name}"
        if name in RUN_GROUPS:
            entries[name] = _entries(values, name, options(name), expand, label)
        elif name == "seed":
            seeds = _values(values, expand, label)
        else:
            _check_axis_name(name, where)
            parameters.append(Parameter(name, _values(values, expand, label), label))
    return Axes(entries, tuple(parameters), seeds)


def _check_axis_name(name: object, where: str) -> None:
    if isinstance(name, str) and "." in name and root_of(name) in RUN_GROUPS:
        return
    known = [*RUN_GROUPS, "seed"]
    head, _, rest = str(name).partition(".")
    if head in ("scoring", "sampling", "engine", "report", "store"):
        problem, nearest = "is the same for all runs", ""
    else:
        near = [f"{group}.{rest}" for group in known] if rest else known
        problem, nearest = "is not an axis", did_you_mean(str(name), near)
    raise UsageError(
        f"{where}.{name}: {problem}; an axis is one of {', '.join(known)} or a parameter of a"
        f" group, such as features.missing{nearest}"
    )


def _entries(
    values: object, group: str, options: Sequence[str], expand: Expand, where: str
) -> tuple[Entry, ...]:
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, list):
        raise UsageError(f"{where}: must be a list of options, got {_shortened(values)}")
    entries = [entry for value in values for entry in _entry(value, group, options, expand, where)]
    if not entries:
        raise UsageError(f"{where}: has no entries; there are {', '.join(options)}")
    return tuple(entries)


def _entry(
    value: object, group: str, options: Sequence[str], expand: Expand, where: str
) -> list[Entry]:
    if isinstance(value, str):
        names = _expanded(value, expand, where)
        return [Entry(check_option(name, group, options, where)) for name in names]
    if value is None:
        check_option(value, group, options, where)
    if not isinstance(value, Mapping) or len(value) != 1:
        example = options[0] if options else "option"
        raise UsageError(
            f"{where}: an entry is an option's name or one option with its parameters, such as"
            f" {{{example}: {{parameter: [1, 2]}}}}; got {_shortened(value)}"
        )
    [(option, parameters)] = value.items()
    name = check_option(option, group, options, where)
    if parameters is not None and not isinstance(parameters, Mapping):
        raise UsageError(
            f"{where}.{name}: must hold parameters with values, got {_shortened(parameters)}"
        )
    return [Entry(name, _entry_parameters(parameters or {}, group, expand, f"{where}.{name}"))]


def _entry_parameters(
    parameters: Mapping[str, Any], group: str, expand: Expand, where: str
) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(f"{group}.{name}", _values(values, expand, f"{where}.{name}"), f"{where}.{name}")
        for name, values in parameters.items()
    )


def _values(values: object, expand: Expand, where: str) -> tuple[Any, ...]:
    """Return the values of an axis: of a list each element, of anything else itself."""
    expanded: list[Any] = []
    for element in values if isinstance(values, list) else [values]:
        expanded += _expanded(element, expand, where)
    if not expanded:
        raise UsageError(f"{where}: has no values")
    return tuple(expanded)


def _expanded(value: object, expand: Expand, where: str) -> list[Any]:
    if isinstance(value, str) and _SWEEP_FUNCTION.fullmatch(value):
        values = expand(value, where)
        return [value] if values is None else values
    return [value]


def _shortened(value: object) -> str:
    text = "nothing" if value is None else " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


# --- the command line
# -------------------------------------------------------------------------------------


def read_command_line(
    overrides: Iterable[Override], options: Callable[[str], Sequence[str]], groups: Sequence[str]
) -> Asked:
    """Sort overrides by what they are about; refuse those that no composition can accept."""
    chosen: dict[str, tuple[str, ...]] = {}
    parameters: dict[tuple[str, str], Parameter] = {}
    passed: list[str] = []
    seeds = None
    for override in overrides:
        key = override.key_or_group
        if (
            override.package is None
            and key in RUN_GROUPS
            and not isinstance(override.value(), dict)
        ):
            chosen[key] = _options(override, options(key))
        elif override.package is None and root_of(key) in RUN_GROUPS and "/" not in key:
            parameter = _parameter(override)
            if parameter.kind in ("change", "force_add"):
                parameters.pop((key, "change"), None)
            parameters[key, parameter.kind] = parameter
        elif key == "seed":
            _refuse_prefix(override)
            seeds = sweep_values(override)
        else:
            line = _passed(override, options, groups)
            passed.extend([line] if line else [])
    return Asked(chosen, tuple(parameters.values()), seeds, tuple(passed))


def overridden(in_file: Asked, asked: Asked) -> Asked:
    """Return what a file asks for as a command line would, under the command line itself."""
    options = {**in_file.options, **asked.options}
    keys = {parameter.key for parameter in asked.parameters}
    kept = tuple(
        replace(parameter, asked=f"{hydra_settings.PARAMS}: {parameter.asked}")
        for parameter in in_file.parameters
        if parameter.key not in keys
    )
    said = {line.partition("=")[0].lstrip("+") for line in asked.passed}
    passed = tuple(
        line for line in in_file.passed if line.partition("=")[0].lstrip("+") not in said
    )
    seeds = in_file.seeds if asked.seeds is None else asked.seeds
    return Asked(options, kept + asked.parameters, seeds, passed + asked.passed)


def line_of(override: Override) -> str:
    """Return an override as it was written."""
    return override.input_line or ""


def _refuse_prefix(override: Override) -> None:
    line, key = line_of(override), override.key_or_group
    if override.is_delete():
        raise UsageError(f"{line}: {key} cannot be deleted")
    if override.is_add() or override.is_force_add():
        raise UsageError(f"{line}: {key} is there already; write {line.lstrip('+')}")


def _options(override: Override, options: Sequence[str]) -> tuple[str, ...]:
    _refuse_prefix(override)
    key, line = override.key_or_group, line_of(override)
    values = sweep_values(override, options)
    for value in values:
        if isinstance(value, list):
            raise UsageError(
                f"{line}: a run has one {key} option; to compare several write {key}=a,b"
            )
    if not values:
        raise UsageError(f"{line}: no {key} option matches (there are {', '.join(options)})")
    return tuple(dict.fromkeys(check_option(value, key, options, line) for value in values))


def _parameter(override: Override) -> Parameter:
    kind = override.type.name.lower()
    values = (override.value(),) if override.is_delete() else sweep_values(override)
    if not values:
        raise UsageError(f"{line_of(override)}: has no values")
    kind = {"del": "delete"}.get(kind, kind)
    return Parameter(override.key_or_group, values, line_of(override), kind)


def _passed(override: Override, options: Callable[..., Any], groups: Sequence[str]) -> str | None:
    """Return the line if Hydra is to read it; it holds for the whole study, so it has one value."""
    key, line = override.key_or_group, line_of(override)
    if key == "experiment" and override.value() is None and not override.is_delete():
        return None
    if override.is_sweep_override():
        reason = (
            "a study has one experiment"
            if key == "experiment"
            else f"{key} has one value in a study"
        )
        raise UsageError(
            f"{line}: {reason}; only {', '.join(RUN_GROUPS)}, their parameters and seed can vary"
        )
    if root_of(key) == "hydra":
        hydra_settings.check_override(key, override.value(), line, deleted=override.is_delete())
    if (key in groups or key == "experiment") and not isinstance(override.value(), dict):
        if not override.is_delete() and key in (
            "experiment",
            "scoring",
            "sampling",
            "engine",
            "report",
        ):
            _refuse_prefix(override)
        if not override.is_delete():
            check_option(override.value(), key, options(key), line)
    return line


def sweep_values(override: Override, options: Sequence[str] | None = None) -> tuple[Any, ...]:
    """Return the values that an override asks for, one if it is not a sweep.

    ``options`` are the names that ``glob`` chooses from; without them a glob is refused.
    """
    from hydra.core.override_parser.types import Glob, RangeSweep
    from hydra.errors import HydraException

    line, value = line_of(override), override.value()
    if override.is_interval_sweep():
        raise UsageError(
            f"{line}: an interval has no values to enumerate; give a range with a step or a list"
        )
    if isinstance(value, Glob):
        if options is None:
            raise UsageError(f"{line}: glob chooses among the options of a group, not among values")
        return tuple(value.filter(list(options)))
    if not override.is_sweep_override():
        return (_plain(value, line),)
    if isinstance(value, RangeSweep):
        _check_range(value, line)
    try:
        swept = swept_values(override)
    except (HydraException, ValueError) as error:
        raise UsageError(f"{line}: {' '.join(str(error).split())}") from None
    return tuple(_plain(value, line) for value in swept)


def _check_range(sweep: RangeSweep, line: str) -> None:
    if sweep.start is None or sweep.stop is None or not sweep.step:
        raise UsageError(f"{line}: a range needs a start, a stop and a step that is not 0")
    if (sweep.stop - sweep.start) / sweep.step > LARGEST_STUDY:
        raise UsageError(f"{line}: more than {LARGEST_STUDY:,} values")


def _plain(value: object, line: str) -> object:
    """Return a value as it is; a sweep within a list or mapping is refused."""
    if isinstance(value, list):
        return [_plain(element, line) for element in value]
    if isinstance(value, dict):
        return {key: _plain(element, line) for key, element in value.items()}
    if value is not None and not isinstance(value, str | int | float | bool):
        raise UsageError(f"{line}: a sweep cannot stand inside a list or mapping")
    return value


# --- both together
# ----------------------------------------------------------------------------------------


def merge(axes: Axes, asked: Asked) -> Axes:
    """Return an experiment's axes under a command line.

    An option that the axis lists keeps its entries there; one that it does not list comes with its
    own defaults. A parameter's value replaces the axis's wherever that parameter is listed.
    """
    entries = {group: axes.entries.get(group, ()) for group in (*axes.entries, *asked.options)}
    for group, names in asked.options.items():
        entries[group] = tuple(entry for name in names for entry in _listed(entries[group], name))
    replaced = {p.key for p in asked.parameters if p.kind in ("change", "force_add")}
    entries = {
        group: tuple(_without(e, replaced) for e in listed) for group, listed in entries.items()
    }
    kept = tuple(p for p in axes.parameters if p.key not in replaced)
    return Axes(entries, kept + asked.parameters, asked.seeds or axes.seeds)


def _listed(entries: Sequence[Entry], name: str) -> list[Entry]:
    return [entry for entry in entries if entry.option == name] or [Entry(name)]


def _without(entry: Entry, keys: set[str]) -> Entry:
    return replace(entry, parameters=tuple(p for p in entry.parameters if p.key not in keys))


def specs(axes: Axes, group: str) -> list[Spec]:
    """Return every way that the axes fill a group, the last parameter varying fastest."""
    common = tuple(p for p in axes.parameters if p.group == group)
    entries: list[tuple[str | None, tuple[Parameter, ...]]] = [
        (entry.option, entry.parameters + common) for entry in axes.entries.get(group, ())
    ]
    if not entries:
        entries = [(None, common)]
    count = sum(prod(len(p.values) for p in parameters) for _, parameters in entries)
    if count > LARGEST_STUDY:
        raise UsageError(
            f"{group} alone has {count:,} variants; a study has at most {LARGEST_STUDY:,} runs"
        )
    return [
        Spec(option, patches)
        for option, parameters in entries
        for patches in product(*map(_patches, parameters))
    ]


def _patches(parameter: Parameter) -> list[Patch]:
    return [
        Patch(parameter.key, value, parameter.asked, parameter.kind) for value in parameter.values
    ]


def varied(by_group: Mapping[str, Sequence[Spec]], seeds: Sequence[Any]) -> dict[str, list[Any]]:
    """Return what takes more than one value, by name: options by group, parameters, seeds."""
    # By their text, since lists and mappings cannot be keys.
    by_name: dict[str, dict[str, Any]] = {}
    for group, listed in by_group.items():
        for spec in listed:
            by_name.setdefault(group, {})[repr(spec.option)] = spec.option
            for patch in spec.patches:
                if patch.kind != "delete":
                    by_name.setdefault(patch.key, {})[repr(patch.value)] = patch.value
    by_name["seed"] = {repr(seed): seed for seed in seeds}
    return {name: list(values.values()) for name, values in by_name.items() if len(values) > 1}
