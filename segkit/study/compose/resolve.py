"""Patch parameters into a group's values and resolve them, each distinct one once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from segkit.errors import UsageError, did_you_mean
from segkit.study import RUN_GROUPS
from segkit.study.compose import axes as axis
from segkit.study.compose.compat import apply, plain
from segkit.study.compose.loader import compressed, first_missing, one_line
from segkit.study.compose.settings import check_seed


@dataclass(frozen=True)
class Base:
    """The unresolved configuration of a set of options, before parameters are patched in."""

    choices: dict[str, str]
    root: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Variant:
    """A group's subtree with its patches, unresolved, and the top-level names that it refers to.

    ``needs`` is empty if nothing is to be resolved, and None if only resolving shows what it refers
    to.
    """

    option: str
    tree: dict[str, Any]
    needs: frozenset[str] | None


class Resolver:
    """Patches and resolves each distinct subtree once; equal results are the same object."""

    def __init__(self) -> None:
        self._variants: dict[tuple[Any, ...], Variant] = {}
        self._resolved: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._interned: dict[str, dict[str, Any]] = {}
        self._seeds: dict[int, int] = {}
        # Keys hold ids of objects, so those objects must outlive them.
        self._alive: list[object] = []

    def variant(self, base: Base, group: str, spec: axis.Spec) -> Variant:
        """Return a group's subtree with a spec's patches put in."""
        tree = base.root[group]
        key = (id(tree), id(spec))
        if key not in self._variants:
            self._alive += [base, tree, spec]
            option = base.choices[group]
            for patch in spec.patches:
                tree = _patched(tree, patch, option, base.root)
            self._variants[key] = Variant(option, tree, _needs(tree, group))
        return self._variants[key]

    def seed_of(self, base: Base) -> int:
        """Return the seed that a base comes with, where none is asked for."""
        key = id(base)
        if key not in self._seeds:
            self._alive.append(base)
            value = base.root.get("seed")
            if isinstance(value, str) and "${" in value:
                value = _resolved_in(base.root, "seed", "seed")
            self._seeds[key] = check_seed(value)
        return self._seeds[key]

    def resolved(
        self, base: Base, variants: Mapping[str, Variant], group: str, seed: int
    ) -> dict[str, Any]:
        """Return a group's configuration with all its interpolations resolved."""
        variant = variants[group]
        needs = variant.needs
        if needs is not None and needs <= _SEED_ONLY:
            key: tuple[object, ...] = (id(variant), seed) if needs else (id(variant),)
        else:
            needs = self._closure(base, variants, group)
            used = RUN_GROUPS if needs is None else [name for name in RUN_GROUPS if name in needs]
            key = (group, seed, needs is None, *(id(variants[name]) for name in used))
        if key not in self._resolved:
            self._alive += [base, *variants.values()]
            self._resolved[key] = self._intern(self._resolve(base, variants, group, seed, needs))
        return self._resolved[key]

    def _resolve(
        self,
        base: Base,
        variants: Mapping[str, Any],
        group: str,
        seed: int,
        needs: frozenset[str] | None,
    ) -> dict[str, Any]:
        variant = variants[group]
        if needs is not None and needs <= _SEED_ONLY:
            tree = _with_seed(variant.tree, seed)
        else:
            root = {**base.root, **{name: v.tree for name, v in variants.items()}, "seed": seed}
            kept = (
                root
                if needs is None
                else {name: root[name] for name in (*needs, group) if name in root}
            )
            tree = _resolved_in(kept, group, f"{group}={variant.option}")
        _check_given(tree, group, group, variant.option)
        return cast("dict[str, Any]", tree)

    def _closure(
        self, base: Base, variants: Mapping[str, Variant], group: str
    ) -> frozenset[str] | None:
        """Return the top-level names a group refers to, also through others; None if unknown."""
        reached: frozenset[str] = frozenset()
        new = variants[group].needs
        while new:
            reached |= new
            further: frozenset[str] = frozenset()
            for name in new:
                if name in variants:
                    needs = variants[name].needs
                else:
                    needs = _needs(base.root.get(name), name)
                if needs is None:
                    return None
                further |= needs
            new = further - reached
        return None if new is None else reached

    def _intern(self, tree: dict[str, Any]) -> dict[str, Any]:
        return self._interned.setdefault(json.dumps(tree, sort_keys=True, default=repr), tree)


_SEED_ONLY = frozenset({"seed"})
_WHOLE_SEED = "${seed}"


def _needs(tree: object, group: str) -> frozenset[str] | None:
    """Return the top-level names that interpolations in a value refer to; None if unknown."""
    names: set[str] = set()
    for text in _interpolations(tree):
        if text == _WHOLE_SEED:
            names.add("seed")
            continue
        inner = re.findall(r"\$\{([^${}]*)\}", text)
        if len(inner) != text.count("${"):
            return None
        for reference in inner:
            name = _referred(reference.strip(), group)
            if name is None:
                return None
            # Naming the own group sends the text through OmegaConf, which knows escapes and
            # concatenation.
            names |= {name, group} - {""}
    return frozenset(names)


def _interpolations(tree: object) -> Iterator[str]:
    if isinstance(tree, str):
        if "${" in tree:
            yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _interpolations(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _interpolations(value)


def _referred(reference: str, group: str) -> str | None:
    """Return the top-level name of an interpolation, "" for none, None if unknown."""
    if re.match(r"(oc\.env|now)\s*:", reference):
        return ""
    if ":" in reference or reference.startswith(".."):
        return None
    if reference.startswith("."):
        return group
    name = re.match(r"\w+", reference)
    return name.group() if name else None


def _with_seed(tree: object, seed: int) -> Any:
    if isinstance(tree, dict):
        return {key: _with_seed(value, seed) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_with_seed(value, seed) for value in tree]
    return seed if tree == _WHOLE_SEED else tree


def _resolved_in(root: dict[str, Any], key: str, where: str) -> Any:
    from omegaconf import OmegaConf

    with one_line(f"{where}: "):
        config = OmegaConf.create(root)
        return (
            OmegaConf.to_container(config[key], resolve=True)
            if isinstance(root[key], dict)
            else config[key]
        )


def _check_given(tree: object, path: str, group: str, option: str) -> None:
    """Raise where a value that only the user knows was not given."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            _check_given(value, f"{path}.{key}", group, option)
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            _check_given(value, f"{path}[{index}]", group, option)
    elif tree == "???":
        raise UsageError(f"{path} must be given for {group}={option}; write {path}=...")


# --- patches


def _patched(
    tree: dict[str, Any], patch: axis.Patch, option: str, root: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a group's subtree with one value put in, as Hydra's own override would."""
    parts = patch.key.split(".")[1:]
    if patch.kind != "delete" and parts and not isinstance(patch.value, dict):
        assigned = _assigned(tree, parts, patch.value, patch.kind)
        if assigned is not None:
            return assigned
    return _patched_by_hydra(tree, patch, option, root)


def _assigned(
    tree: object, parts: Sequence[str], value: object, kind: str
) -> dict[str, Any] | None:
    """Return the mapping with a value replaced or added; None where this is not that simple."""
    head, *rest = parts
    if not isinstance(tree, dict) or (rest and head not in tree):
        return None
    if rest:
        inner = _assigned(tree[head], rest, value, kind)
        return None if inner is None else {**tree, head: inner}
    refused = {"change": head not in tree, "add": head in tree, "force_add": False}[kind]
    if refused or (isinstance(tree.get(head), dict) and isinstance(value, list)):
        return None
    return {**tree, head: value}


def _patched_by_hydra(
    tree: dict[str, Any], patch: axis.Patch, option: str, root: Mapping[str, Any]
) -> dict[str, Any]:
    from hydra.core.override_parser.types import Override, OverrideType, ValueType
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    group = axis.root_of(patch.key)
    kind = OverrideType.DEL if patch.kind == "delete" else OverrideType[patch.kind.upper()]
    override = Override(kind, patch.key, ValueType.ELEMENT, patch.value, input_line=patch.asked)
    try:
        config = OmegaConf.create({**root, group: tree})
        OmegaConf.set_struct(config, True)
        apply(override, config)
        result = plain(config).get(group)
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        raise UsageError(_refused(tree, patch, group, option, error)) from None
    if not isinstance(result, dict):
        raise UsageError(f"{patch.asked}: a run needs its {group}")
    return result


def _refused(
    tree: dict[str, Any], patch: axis.Patch, group: str, option: str, error: Exception
) -> str:
    """Say why a value cannot be put in: no such parameter, one already, or Hydra's reason."""
    missing = first_missing({group: tree}, patch.key)
    if patch.kind == "add" and not missing:
        name = patch.key.partition(".")[2]
        return (
            f"{patch.asked}: {group}={option} has '{name}' already; write {patch.asked.lstrip('+')}"
        )
    if not missing or "[" in patch.key:
        return f"{patch.asked}: {compressed(error)} ({group}={option})"
    node, parts = tree, patch.key.split(".")[1:]
    while len(parts) > 1 and isinstance(node, dict) and isinstance(node.get(parts[0]), dict):
        node, parts = node[parts[0]], parts[1:]
    known = [str(name) for name in node if name != "_target_"]
    return (
        f"{patch.asked}: {group}={option} has no parameter '{patch.key.partition('.')[2]}' "
        f"(it has {', '.join(known) or 'none'}){did_you_mean(parts[0], known)}"
    )
