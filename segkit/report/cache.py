"""The user's own cache of drawn figures: what makes a second report quick, and what no study can write into.

An entry is a line with a digest and a line of JSON. The digest is over the entry's name, which is the hash of all that
the figure is made from, and over its content, and it is checked before anything of the content is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segkit.files import DiskFull, replacing

# The figures of some sixty studies; one has about 4 MB of them.
MOST_BYTES = 256_000_000
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Image:
    """A drawn figure: an element of the page, the paths of its letters by their ids, and a file's bytes by format."""

    element: str
    glyphs: Mapping[str, str]
    files: Mapping[str, bytes]


def user_figures() -> Path:
    """Return where this user's drawn figures are kept on this machine, for all studies."""
    from platformdirs import user_cache_path

    return user_cache_path("segkit", appauthor=False) / "figures"


def own_folder(path: Path) -> Path | None:
    """Return a folder, made if need be, that nobody but this user can write into; None where there is none."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not followed: a link may have been made by whoever may write beside it.
        status = path.lstat()
    except OSError:
        return None
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_WRITE
    return path if own else None


def kept(folder: Path, key: str, formats: Sequence[str]) -> Image | None:
    """Return the figure of a key with files of these formats and no others; None where there is none, or no whole one.

    Whatever else stands in its place (a folder, another figure, something cut off) is as if nothing did.
    """
    path = folder / key
    try:
        # A pipe in its place would be waited for.
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        digest, _, content = path.read_bytes().partition(b"\n")
        if digest.decode() != _digest(key, content):
            return None
        image = _image(json.loads(content), formats)
    except (OSError, ValueError, RecursionError):
        return None
    # One that is used is not among the oldest.
    with contextlib.suppress(OSError):
        os.utime(path)
    return image


def keep(folder: Path, key: str, image: Image) -> None:
    """Keep a figure under its key; one that cannot be kept is drawn again the next time."""
    files = {kind: b64encode(data).decode() for kind, data in image.files.items()}
    document = {"element": image.element, "glyphs": dict(image.glyphs), "files": files}
    content = json.dumps(document).encode()
    with contextlib.suppress(OSError, DiskFull), replacing(folder / key) as file:
        file.write(_digest(key, content).encode() + b"\n" + content)


def trim(folder: Path, most: int = MOST_BYTES) -> None:
    """Remove the figures that were not used for longest, until those that stay take no more than so many bytes."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        files = [(entry.stat(follow_symlinks=False), entry.path) for entry in entries]
    size = 0
    for status, path in sorted(files, key=lambda pair: -pair[0].st_mtime_ns):
        size += status.st_size
        if size > most:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _digest(key: str, content: bytes) -> str:
    return hashlib.sha256(key.encode() + b"\n" + content).hexdigest()


def _image(document: object, formats: Sequence[str]) -> Image | None:
    if not isinstance(document, dict):
        return None
    element, glyphs, files = (document.get(name) for name in ("element", "glyphs", "files"))
    whole = isinstance(element, str) and _has_texts(glyphs) and _has_texts(files) and set(files) == set(formats)
    if not whole:
        return None
    return Image(element, glyphs, {kind: b64decode(files[kind], validate=True) for kind in formats})


def _has_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
