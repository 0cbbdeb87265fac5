"""Estimators whose parameters were checked before: planning them again imports none of their libraries."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from segkit import targets
from segkit.files import DiskFull, replacing
from segkit.study.plan.keys import KEY_DIGITS, digest
from segkit.study.plan.libraries import library_version

_MOST_REMEMBERED = 50_000
# What says which parameters are right, beside the libraries.
_CODE = ("targets.py", "projection/umap.py", "projection/tsne.py", "clustering/hdbscan.py")


def user_memo() -> Path:
    """Return the memo of this user on this machine, which all studies share."""
    return _user_cache() / "checked.json"


def file_memo() -> Path:
    """Return the memo of what this user's data files hold; paths and times are those of this machine."""
    return _user_cache() / "files.json"


def _user_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("segkit", appauthor=False)


def check_estimators(configs: Iterable[tuple[str, Mapping[str, Any]]], memo: Path) -> None:
    """Check resolved configurations, each with its group; those that the memo knows to be right are not looked at.

    The memo saves time and decides nothing else: what is built later is checked against the list of
    classes again.

    Raises
    ------
    UsageError
        For the first class that is not allowed, or parameter that is wrong.
    """
    known = _read(memo)
    right: set[str] = set()
    for group, config in configs:
        name = _name(group, config)
        if name not in known:
            targets.check(config, group)
            targets.check_seeded(config, group)
            right |= {name} if name else set()
    if right:
        _write(memo, right if len(known) > _MOST_REMEMBERED else known | right)


def _name(group: str, config: Mapping[str, Any]) -> str | None:
    """Return the hash of all that decides whether a configuration is right; None where it names what may change."""
    target = config.get("_target_")
    if target not in targets.ALLOWED:
        return None
    # Unlike the keys of results: 5 clusters are right and 5.0 are not.
    text = json.dumps(config, sort_keys=True, default=repr)
    if text.count('"_target_"') > 1:
        return None
    libraries = library_version(target), library_version("sklearn")
    return digest("checked", group, text, *libraries, _code(), digits=KEY_DIGITS)


@cache
def _code() -> str:
    root = Path(targets.__file__).parent
    return hashlib.sha256(b"\n".join((root / name).read_bytes() for name in _CODE)).hexdigest()


def _read(memo: Path) -> set[str]:
    try:
        found = json.loads(memo.read_bytes())
    except (OSError, ValueError):
        return set()
    return {name for name in found if isinstance(name, str)} if isinstance(found, list) else set()


def _write(memo: Path, names: set[str]) -> None:
    # A memo that cannot be written is only missed.
    with contextlib.suppress(OSError, DiskFull):
        memo.parent.mkdir(parents=True, exist_ok=True)
        with replacing(memo, "w") as file:
            file.write(json.dumps(sorted(names)))
