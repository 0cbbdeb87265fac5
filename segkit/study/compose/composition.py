"""Compose a study: from Hydra overrides to resolved configurations.

A group's subtree depends on its own option alone if that option's file neither pulls in nor writes
to other groups. So the k-th options of all groups are composed together and their subtrees mixed;
parameters are patched in afterwards, and each distinct subtree is resolved once. Options that reach
beyond their group cost one composition for each set of choices that they are in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product, zip_longest
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.errors import UsageError
from segkit.study import RUN_GROUPS
from segkit.study.compose import axes as axis
from segkit.study.compose import hydra_settings, paths
from segkit.study.compose.compat import hydra_version, unresolved
from segkit.study.compose.loader import (
    Composed,
    Loader,
    named,
    one_line,
    resolved_node,
    unknown_name,
)
from segkit.study.compose.paths import experiments, options
from segkit.study.compose.resolve import Base, Resolver
from segkit.study.compose.settings import SETTINGS, check_name, check_seed, check_study

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = [
    "Composition",
    "Configuration",
    "check_study",
    "compose_study",
    "experiments",
    "help_text",
    "job_config",
    "options",
]


# The option chosen in each group, in their order; None: the one that Hydra's defaults give.
Options = tuple[str | None, ...]
# By group and option, the option's name and its values.
Subtrees = dict[tuple[str, str | None], tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Configuration:
    """One resolved choice of data, features, scaler, projection and clusterer, with its seed.

    The dicts are shared between configurations and must not be changed; equal groups are the same
    object.
    """

    choices: dict[str, str]
    groups: dict[str, dict[str, Any]]
    seed: int


@dataclass(frozen=True)
class Composition:
    """A study as asked: its settings, its configurations (each once) and what varies among them.

    ``study`` holds what is the same for all runs (scoring, engine, report, store, name, seed),
    resolved. ``axes`` has the values of everything that takes more than one. ``references`` has,
    for each reference space by name, the resolved ``features`` and ``scaler`` that make it.
    ``question`` is what the experiment asks. ``folder_is_given`` says that ``study_dir`` was asked
    for, and is not the dated folder of a launch.
    """

    experiment: str
    study: dict[str, Any]
    study_dir: str
    configurations: list[Configuration]
    axes: dict[str, list[Any]]
    asked: list[str]
    references: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    question: str = ""
    folder_is_given: bool = False


def compose_study(
    overrides: Sequence[str], config_dir: Path | str | None = None, single: bool = False
) -> Composition:
    """Compose a study from Hydra overrides.

    Parameters
    ----------
    overrides : sequence of str
        As on the command line: ``experiment=NAME``, ``group=option``, ``group.parameter=value``,
        with Hydra's sweeps (``a=x,y``, ``range``, ``choice``, ``glob``).
    config_dir : path, optional
        A user's folder of options, which come before the project's own.
    single : bool
        One configuration only: an axis with several values is an error.

    Raises
    ------
    UsageError
        Anything asked that does not exist or does not fit, in one line.
    """
    with hydra_version():
        return _compose(Loader(config_dir), overrides, single)


def _compose(loader: Loader, overrides: Sequence[str], single: bool) -> Composition:
    draft = _Draft.read(loader, overrides)
    study = draft.study()
    varied = axis.varied(draft.specs, draft.seeds or ())
    _check_size(draft, varied, single)
    return Composition(
        experiment=study["name"],
        study=study,
        study_dir=draft.study_dir(),
        folder_is_given=draft.folder_is_given(),
        configurations=_configurations(draft),
        axes=varied,
        asked=list(overrides),
        question=experiments(loader.config_dir).get(study["name"], ""),
        references=_references(draft, study["scoring"]["references"], study["seed"]),
    )


def job_config(
    overrides: Sequence[str],
    config_dir: Path | str | None = None,
    package: str = "job",
    resolve: bool = False,
) -> str:
    """Return the YAML of the first configuration for ``--cfg job``, ``hydra`` or ``all``."""
    from omegaconf import OmegaConf

    if package not in ("job", "hydra", "all"):
        raise UsageError(f"--cfg {package}: must be job, hydra or all")
    with hydra_version():
        draft = _Draft.read(Loader(config_dir), overrides)
        config = draft.first_config()
        names = [str(key) for key in config]
        if package != "all":
            names = [name for name in names if (name == "hydra") == (package == "hydra")]
        with one_line():
            # Resolved within the whole: a package may refer to others.
            node = OmegaConf.masked_copy(config, names)
            if resolve:
                plain = {name: resolved_node(config, name) for name in names}
                return OmegaConf.to_yaml(OmegaConf.create(plain))
            return OmegaConf.to_yaml(node)


def help_text(config_dir: Path | str | None = None) -> str:
    """Return the help: groups and options, experiments and questions, the syntax."""
    names = paths.groups(config_dir)
    width = max(map(len, names)) + 2
    groups = [f"  {name:<{width}}{', '.join(options(name, config_dir))}" for name in names]
    known = experiments(config_dir)
    width = max(map(len, known), default=0) + 2
    asked = [f"  {name:<{width}}{question}" for name, question in known.items()]
    return "\n".join(
        ["Groups and their options:", *groups, "", "Experiments:", *asked, "", _SYNTAX]
    )


_SYNTAX = """\
Overrides:
  experiment=NAME                       a study from experiments/
  GROUP=OPTION, GROUP=A,B               one option, or several to compare; 'GROUP=glob(*)' for all
  GROUP.PARAMETER=VALUE                 a value in every option of the group that is compared
  GROUP.PARAMETER=1,2,3                 several values; 'range(2, 11)' counts from 2 to 10
  +GROUP.PARAMETER=VALUE                a parameter that the option's file does not list
  seed=1,2,3                            several seeds
  scoring.draws=50  engine.workers=4    settings of the whole study, one value each
  store=DIR  hydra.sweep.dir=DIR        where stage results and the study itself are written
Quote what the shell would read:
  'clusterer.n_clusters=range(2, 11)'  'features.clip=[0.01, 0.99]'"""


# --- from overrides to what varies


@dataclass
class _Draft:
    """A study between its command line and its configurations."""

    loader: Loader
    asked: axis.Asked
    first: Composed
    specs: dict[str, list[axis.Spec]]
    seeds: tuple[int, ...] | None

    @classmethod
    def read(cls, loader: Loader, overrides: Sequence[str]) -> _Draft:
        asked = axis.read_command_line(loader.parse(overrides), loader.options, loader.groups)
        first = cls._first(loader, asked)
        params = hydra_settings.params(first.config.hydra)
        if params:
            with named(f"{hydra_settings.PARAMS}: "):
                in_file = axis.read_command_line(
                    loader.parse(params), loader.options, loader.groups
                )
            asked = axis.overridden(in_file, asked)
            first = cls._first(loader, asked)
        where = (
            f"experiment={first.choices['experiment']}: sweep"
            if first.choices.get("experiment")
            else "sweep"
        )
        swept = _read_sweep(first.root.get("sweep"), loader, where)
        axes = axis.merge(swept, asked)
        specs = {group: axis.specs(axes, group) for group in RUN_GROUPS}
        seeds = (
            None
            if axes.seeds is None
            else tuple(dict.fromkeys(check_seed(seed) for seed in axes.seeds))
        )
        draft = cls(loader, asked, first, specs, seeds)
        draft._set_root_values()
        return draft

    @staticmethod
    def _first(loader: Loader, asked: axis.Asked) -> Composed:
        chosen = [f"{group}={names[0]}" for group, names in asked.options.items()]
        try:
            return loader.compose([*asked.passed, *chosen])
        except UsageError as error:
            reason = unknown_name(loader, asked.passed) if asked.passed else None
            raise UsageError(reason or str(error)) from None

    def _set_root_values(self) -> None:
        """Fill in the study's name; its seed is the first one where several are asked for."""
        from omegaconf import OmegaConf

        experiment = self.first.choices.get("experiment")
        name = check_name(resolved_node(self.first.config, "name"), experiment)
        values = {"name": name} if self.seeds is None else {"name": name, "seed": self.seeds[0]}
        for key, value in values.items():
            self.first.root[key] = value
            OmegaConf.update(self.first.config, key, value, force_add=True)

    def study(self) -> dict[str, Any]:
        """Return what is the same for all runs, resolved and checked."""
        keys = [key for key in self.first.root if key not in (*RUN_GROUPS, "sweep")]
        study = {key: resolved_node(self.first.config, key) for key in keys}
        added = {
            axis.root_of(line.lstrip("+")) for line in self.asked.passed if line.startswith("+")
        }
        known = {key: value for key, value in study.items() if key in SETTINGS or key not in added}
        check_study(known, self.loader.options("scaler"))
        return study

    def study_dir(self) -> str:
        """Return the study's folder, resolved."""
        from omegaconf import OmegaConf

        with one_line("hydra.sweep.dir: "):
            folder = OmegaConf.select(self.first.config, "hydra.sweep.dir", throw_on_missing=True)
        if not isinstance(folder, str | int) or not str(folder).strip():
            raise UsageError(f"hydra.sweep.dir={folder}: must be a folder's path")
        return str(folder)

    def folder_is_given(self) -> bool:
        """Whether the command line or an experiment names the study's folder."""
        asked: object = unresolved(self.first.config.hydra.sweep, "dir")
        return asked != self.loader.default_folder()

    def first_config(self) -> DictConfig:
        """Return the first configuration as Hydra would, unresolved, with Hydra's own node."""
        from omegaconf import OmegaConf, open_dict

        chosen = tuple(self.specs[group][0] for group in RUN_GROUPS)
        base = _bases(self, [chosen])[_options_of(chosen)]
        config = self.first.config
        resolver = Resolver()
        with one_line(), open_dict(config):
            for group, spec in zip(RUN_GROUPS, chosen, strict=True):
                config[group] = OmegaConf.create(resolver.variant(base, group, spec).tree)
            config.hydra.runtime.choices.update(base.choices)
        return config


def _read_sweep(sweep: object, loader: Loader, where: str) -> axis.Axes:
    """Read an experiment's axes; a ``glob`` chooses among the options of its axis."""

    def expand(text: str, label: str) -> list[Any] | None:
        name = label.rsplit(".", 1)[-1]
        return loader.expand(text, label, name if name in RUN_GROUPS else None)

    return axis.read_sweep(sweep, loader.options, expand, where)


def _check_size(draft: _Draft, varied: Mapping[str, list[Any]], single: bool) -> None:
    count = prod(len(specs) for specs in draft.specs.values()) * len(draft.seeds or (0,))
    if count > axis.LARGEST_STUDY:
        raise UsageError(f"{count:,} configurations are asked for; at most {axis.LARGEST_STUDY:,}")
    if single and varied:
        name, values = next(iter(varied.items()))
        examples = ", ".join(str(value) for value in values[:6])
        if len(values) > 6:
            examples += ", ..."
        raise UsageError(
            f"one configuration is asked for, but {name} has {len(values)} values ({examples}); "
            f"give one of them as {name}=... or sweep"
        )


# --- bases: the composed configuration of each set of options


def _options_of(chosen: Sequence[axis.Spec]) -> tuple[str | None, ...]:
    return tuple(spec.option for spec in chosen)


def _bases(
    draft: _Draft, wanted: Sequence[Sequence[axis.Spec]] | None = None
) -> dict[Options, Base]:
    """Return the base of every set of options among the specs (or of the wanted ones only)."""
    if wanted is None:
        per_group = [dict.fromkeys(spec.option for spec in draft.specs[g]) for g in RUN_GROUPS]
        sets: list[Options] = list(product(*per_group))
    else:
        sets = [_options_of(chosen) for chosen in wanted]
    mixed = [chosen for chosen in sets if _is_mixable(draft, chosen)]
    subtrees = _subtrees(draft, mixed)
    bases = {chosen: _mix(draft.first, chosen, subtrees) for chosen in mixed}
    for chosen in sets:
        if chosen not in bases:
            bases[chosen] = _composed_alone(draft, chosen)
    return bases


def _is_mixable(draft: _Draft, chosen: Options) -> bool:
    """Tell whether options together give what they give one by one."""
    for group, option in zip(RUN_GROUPS, chosen, strict=True):
        name = draft.first.choices.get(group) if option is None else option
        if not isinstance(name, str) or not draft.loader.self_contained(group, name):
            return False
    return True


def _subtrees(draft: _Draft, sets: Sequence[Options]) -> Subtrees:
    """Compose the k-th options of all groups together, and take each group's own part."""
    needed = [list(dict.fromkeys(chosen[i] for chosen in sets)) for i in range(len(RUN_GROUPS))]
    subtrees: Subtrees = {}
    first = tuple(draft.first.choices.get(group) for group in RUN_GROUPS)
    if sets and _is_mixable(draft, first):
        for group, own, options_needed in zip(RUN_GROUPS, first, needed, strict=True):
            for option in {None, own} & set(options_needed):
                subtrees[group, option] = _subtree(draft.first, group)
    missing = [
        [option for option in options_needed if (group, option) not in subtrees]
        for group, options_needed in zip(RUN_GROUPS, needed, strict=True)
    ]
    for row in zip_longest(*missing, fillvalue=...):
        chosen = tuple(sets[0][i] if option is ... else option for i, option in enumerate(row))
        composed = _compose_choices(draft, chosen)
        for group, option in zip(RUN_GROUPS, chosen, strict=True):
            subtrees.setdefault((group, option), _subtree(composed, group))
    return subtrees


def _subtree(composed: Composed, group: str) -> tuple[str, dict[str, Any]]:
    """Return the option that a group has in a composition, and its values."""
    option, tree = composed.choices.get(group), composed.root.get(group)
    if not isinstance(tree, dict):
        raise UsageError(f"{group}={option}: must hold parameters with values, holds {tree!r}")
    return str(option), tree


def _mix(first: Composed, chosen: Options, subtrees: Subtrees) -> Base:
    """Return what chosen options give together, from what they give one by one."""
    choices, root = {}, dict(first.root)
    for group, option in zip(RUN_GROUPS, chosen, strict=True):
        choices[group], root[group] = subtrees[group, option]
    return Base(choices, root)


def _compose_choices(draft: _Draft, chosen: Options) -> Composed:
    lines = [
        f"{group}={option}"
        for group, option in zip(RUN_GROUPS, chosen, strict=True)
        if option is not None
    ]
    return draft.loader.compose([*draft.asked.passed, *lines])


def _composed_alone(draft: _Draft, chosen: Options) -> Base:
    composed = _compose_choices(draft, chosen)
    root = {**composed.root, "name": draft.first.root["name"]}
    choices = {}
    for group in RUN_GROUPS:
        choices[group], root[group] = _subtree(composed, group)
    return Base(choices, root)


# --- configurations


def _configurations(draft: _Draft) -> list[Configuration]:
    """Return every combination, those that resolve to the same thing once."""
    bases, resolver = _bases(draft), Resolver()
    configurations: dict[tuple[int, ...], Configuration] = {}
    for chosen in product(*draft.specs.values()):
        base = bases[_options_of(chosen)]
        variants = {
            group: resolver.variant(base, group, spec)
            for group, spec in zip(RUN_GROUPS, chosen, strict=True)
        }
        for seed in draft.seeds or (resolver.seed_of(base),):
            groups = {group: resolver.resolved(base, variants, group, seed) for group in RUN_GROUPS}
            # Equal groups are one object.
            key = (seed, *map(id, groups.values()))
            if key not in configurations:
                configurations[key] = Configuration(base.choices, groups, seed)
    return list(configurations.values())


# --- reference spaces


def _references(
    draft: _Draft, names: Sequence[str], seed: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the features and scaler of each reference space.

    They come from the option files, untouched by what the experiment or the command line vary, so
    that a reference is the same space in every study of the same data.
    """
    option = partial(_option, draft, Resolver(), seed)
    features = {**option("features", "all"), "missing": "median"}
    return {name: {"features": features, "scaler": option("scaler", name)} for name in names}


def _option(draft: _Draft, resolver: Resolver, seed: int, group: str, name: str) -> dict[str, Any]:
    axis.check_option(name, group, draft.loader.options(group), "scoring.references")
    tree, root = draft.loader.own_content(group, name), draft.first.root
    if tree is None:
        root = draft.loader.compose([f"{group}={name}"]).root
        tree = root[group]
    choices = {each: str(option) for each, option in draft.first.choices.items()}
    base = Base({**choices, group: name}, {**root, group: tree})
    variants = {each: resolver.variant(base, each, _AS_IT_IS) for each in RUN_GROUPS}
    return resolver.resolved(base, variants, group, seed)


_AS_IT_IS = axis.Spec(None)
