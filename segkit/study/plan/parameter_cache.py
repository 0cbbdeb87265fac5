"""Checked parameters are remembered, so that planning again imports no estimator's library."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from segkit import targets
from segkit.files import DiskFull, replacing
from segkit.hashing import sha256_hex
from segkit.study.plan.keys import KEY_DIGITS, digest
from segkit.study.plan.libraries import library_version

_MOST_REMEMBERED = 50_000
# Beside the libraries, these files decide which parameters are right.
_CODE = (
    "constraints.py",
    "targets.py",
    "projection/umap.py",
    "projection/tsne.py",
    "clustering/hdbscan.py",
)


def user_memo() -> Path:
    """Return the memo of this user on this machine, which all studies share."""
    return _user_cache() / "checked.json"


def file_memo() -> Path:
    """Return the memo of this user's data files, by path and time on this machine."""
    return _user_cache() / "files.json"


def _user_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("segkit", appauthor=False)


def check_estimators(configs: Iterable[tuple[str, Mapping[str, Any]]], memo: Path) -> None:
    """Check resolved configurations, each with its group, but for those that the memo has.

    The memo only saves time: before an object is built, its class is checked again.

    Raises
    ------
    UsageError
        For the first class that is not allowed, or the first wrong parameter.
    """
    known = _read(memo)
    right: set[str] = set()
    for group, config in configs:
        name = _name(group, config)
        if name not in known:
            targets.check(config, group)
            targets.check_seeded(config, group)
            if name is not None:
                right.add(name)
    if right:
        _write(memo, right if len(known) > _MOST_REMEMBERED else known | right)


def _name(group: str, config: Mapping[str, Any]) -> str | None:
    """Hash all that decides whether a configuration is right; None where that may change."""
    target = config.get("_target_")
    if target not in targets.ALLOWED:
        return None
    # Not `canonical`: 5 clusters are right and 5.0 are not.
    text = json.dumps(config, sort_keys=True, default=repr)
    if text.count('"_target_"') > 1:
        return None
    libraries = library_version(target), library_version("sklearn")
    return digest("checked", group, text, *libraries, _code(), digits=KEY_DIGITS)


@cache
def _code() -> str:
    root = Path(targets.__file__).parent
    return sha256_hex(b"\n".join((root / name).read_bytes() for name in _CODE))


def _read(memo: Path) -> set[str]:
    try:
        names = json.loads(memo.read_bytes())
    except (OSError, ValueError):
        return set()
    if not isinstance(names, list):
        return set()
    return {name for name in names if isinstance(name, str)}


def _write(memo: Path, names: set[str]) -> None:
    # Without a memo the next study checks again.
    with contextlib.suppress(OSError, DiskFull):
        memo.parent.mkdir(parents=True, exist_ok=True)
        with replacing(memo, "w") as file:
            file.write(json.dumps(sorted(names)))
