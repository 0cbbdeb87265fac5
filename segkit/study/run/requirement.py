"""What a worker must have to compute for a study: the same versions and the same store."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from segkit.errors import UsageError
from segkit.study.plan.libraries import RESULT_PACKAGES


@dataclass(frozen=True)
class Requirement:
    """What a worker must have: the same versions, and a store that holds the same token.

    Parameters
    ----------
    versions
        Name and version of segkit and of each package that decides results.
    token
        Path of the token's file, which is in the store's folder.
    secret
        The token.
    """

    versions: tuple[tuple[str, str], ...]
    token: str
    secret: str

    def complaint(
        self, versions: Mapping[str, str | None], secret: str | None, writable: bool
    ) -> str | None:
        """Say in a phrase what a worker lacks; None if nothing.

        Parameters
        ----------
        versions, secret, writable
            What `worker_facts` returned there.
        """
        if versions["segkit"] is None:
            own = dict(self.versions)["segkit"]
            return f"has no segkit; install segkit {own} there, with the same lock"
        others = [
            f"{name} {versions[name] or 'missing'} (here {version})"
            for name, version in self.versions
            if versions[name] != version
        ]
        if others:
            return f"has {', '.join(others)}: results would differ; install the same versions there"
        store = os.path.dirname(self.token)
        if secret != self.secret:
            return (
                f"does not see store={store}; name a folder that all workers and this machine share"
            )
        if not writable:
            return f"may not write to store={store}; give its user the right to"
        return None


def worker_facts(
    packages: tuple[str, ...], token: str
) -> tuple[dict[str, str | None], str | None, bool]:
    """Return versions of segkit and packages, the text of a file, and if its folder is writable.

    The source of this function is sent to workers that may lack segkit or have another Python, so
    it uses the standard library alone.
    """
    import os
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str | None] = {}
    try:
        from segkit.version import __version__

        versions["segkit"] = __version__
    except ImportError:
        versions["segkit"] = None
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    secret: str | None = None
    try:
        with open(token, encoding="utf-8") as file:
            secret = file.read()
    except OSError:
        pass
    return versions, secret, os.access(os.path.dirname(token), os.W_OK)


@contextlib.contextmanager
def shared_token(store_root: str) -> Iterator[Requirement]:
    """Write a token into the store, which is removed after the block, and yield the requirement."""
    secret = secrets.token_hex(16)
    path = Path(store_root) / f".token-{secret[:8]}"
    versions, *_ = worker_facts(RESULT_PACKAGES, str(path))
    # Readable as all files of the store are: workers may run as other users.
    path.write_text(secret, encoding="utf-8")
    try:
        own = tuple((name, str(version)) for name, version in versions.items())
        yield Requirement(own, str(path), secret)
    finally:
        path.unlink(missing_ok=True)


@lru_cache(maxsize=4)
def check_here(requirement: Requirement) -> None:
    """Check, once in this process, that it is a worker as required.

    This catches workers that join a scheduler after the others were checked.

    Raises
    ------
    UsageError
        If it is not as required.
    """
    complaint = requirement.complaint(*worker_facts(RESULT_PACKAGES, requirement.token))
    if complaint:
        raise UsageError(f"engine.address: the worker on {socket.gethostname()} {complaint}")
