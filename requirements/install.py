"""Install what lock.txt pins, and segkit in editable mode, into the environment of the Python that runs this.

uv does it where there is one for this machine, else pip. Both check the lock's hashes, and uv itself is checked
against those in uv.txt; what has no wheel is built with locked versions. uv looks where pip is set up to look.
"""

from __future__ import annotations

import ast
import compileall
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK, UV = HERE / "lock.txt", HERE / "uv.txt"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")

# What pip calls a setting: uv's variable for it, and what stands between several values.
_SETTINGS: Mapping[str, tuple[str, str]] = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "no-index": ("UV_NO_INDEX", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
}
# pip's own order: a later one wins.
_SECTIONS = ("global", "install", ":env:")
# Tests of the libraries are a third of their code, and hardly ever run here.
_NOT_COMPILED = re.compile(r"[/\\]tests?[/\\]")


def uv_environment(listed: str) -> dict[str, str]:
    """Return uv's variables for what ``pip config list`` printed.

    Every index may hold any version, as for pip: the hashes say which file is the right one.
    """
    found: dict[str, str] = {}
    lines = [
        match.groups() for match in re.finditer(r"^([^\s.]+)\.([\w-]+)=(.*)$", listed, re.MULTILINE)
    ]
    for section in _SECTIONS:
        for written_in, name, value in lines:
            if written_in == section and name in _SETTINGS:
                variable, separator = _SETTINGS[name]
                found[variable] = separator.join(ast.literal_eval(value).split())
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **found}


def pins(lock: str) -> list[str]:
    """Return the lines of a lock without hashes: pip refuses a constraint with hashes for what it builds."""
    return re.findall(r"^([A-Za-z0-9][^ ]*==.*[^ ]) *\\$", lock, re.MULTILINE)


def with_uv(editable: Path) -> bool:
    """Install with uv; return whether that was possible."""
    # Built from source it would take longer than all the rest.
    fetched = _run(
        PIP, "install", "--quiet", "--only-binary", ":all:", "--require-hashes", "-r", UV
    )
    if not fetched:
        return False
    listed = subprocess.run(
        [*PIP, "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    # What the user has set for uv itself comes first.
    environment = {**uv_environment(listed), **os.environ}
    uv = (
        Path(sysconfig.get_path("scripts")) / "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        sys.executable,
    )
    locked = ("--require-hashes", "-r", LOCK, "--build-constraint", LOCK)
    # Made again even where uv finds it: the folder may have moved.
    own = ("--no-deps", "--no-build-isolation", "--reinstall-package", "segkit", "-e", editable)
    return all(_run(uv, *what, environment=environment) for what in (locked, own))


def with_pip(editable: Path) -> bool:
    """Install with pip; return whether that was possible."""
    constraints = Path(sys.prefix) / "pins.txt"
    constraints.write_text(
        "\n".join(pins(LOCK.read_text(encoding="utf-8"))) + "\n", encoding="utf-8"
    )
    # Two variables: pip 25.3 gave builds one of their own.
    constrained = dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), str(constraints))
    locked = _run(
        PIP,
        "install",
        "--quiet",
        "--require-hashes",
        "-r",
        LOCK,
        environment={**os.environ, **constrained},
    )
    return locked and _run(
        PIP, "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", editable
    )


def compile_libraries() -> None:
    """Compile the libraries to bytecode on all cores, as uv does not: else every first import does, one by one."""
    folders: Iterable[str] = dict.fromkeys(
        sysconfig.get_path(name) for name in ("purelib", "platlib")
    )
    for folder in folders:
        # A library may bring files for another Python: whoever imports one is told so.
        compileall.compile_dir(folder, quiet=2, workers=0, rx=_NOT_COMPILED)


def _run(
    begin: Iterable[str | Path], *rest: str | Path, environment: Mapping[str, str] | None = None
) -> bool:
    return (
        subprocess.run([*map(str, begin), *map(str, rest)], env=environment, check=False).returncode
        == 0
    )


def main() -> int:
    """Install, and return the exit code."""
    root = HERE.parent
    if with_uv(root):
        compile_libraries()
        return 0
    print("uv cannot do it here; pip does, which takes longer", file=sys.stderr)
    return 0 if with_pip(root) else 1


if __name__ == "__main__":
    sys.exit(main())
