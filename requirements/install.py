"""Install the locked packages, and segkit in editable mode, into this Python's environment.

uv installs them where it is available for this machine, otherwise pip. Both check the hashes in
lock.txt, and pip checks uv itself against uv.txt. Packages without a wheel are built with locked
versions. uv looks where pip is configured to look.
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

# By pip's name of a setting: uv's variable for it, and the separator of several values.
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
# In pip's own order, in which a later section wins.
_SECTIONS = ("global", "install", ":env:")
# Tests are a third of the libraries' code, and hardly ever run here.
_NOT_COMPILED = re.compile(r"[/\\]tests?[/\\]")


def uv_environment(listed: str) -> dict[str, str]:
    """Return uv's variables for the settings that ``pip config list`` printed.

    Any index may offer any version, as with pip: the hashes say which file is the right one.
    """
    variables: dict[str, str] = {}
    lines = [
        match.groups() for match in re.finditer(r"^([^\s.]+)\.([\w-]+)=(.*)$", listed, re.MULTILINE)
    ]
    for section in _SECTIONS:
        for written_in, name, value in lines:
            if written_in == section and name in _SETTINGS:
                variable, separator = _SETTINGS[name]
                variables[variable] = separator.join(ast.literal_eval(value).split())
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **variables}


def pins(lock: str) -> list[str]:
    """Return the pins of a lock without hashes, which pip refuses in constraints for builds."""
    return re.findall(r"^([A-Za-z0-9][^ ]*==.*[^ ]) *\\$", lock, re.MULTILINE)


def with_uv(editable: Path) -> bool:
    """Install with uv; return whether that worked."""
    # Building uv from source would take longer than all the rest.
    fetched = _run(
        PIP, "install", "--quiet", "--only-binary", ":all:", "--require-hashes", "-r", UV
    )
    if not fetched:
        return False
    listed = subprocess.run(
        [*PIP, "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    # The user's own settings for uv win over those for pip.
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
    # Installed again even if it is there, since the folder may have moved.
    own = ("--no-deps", "--no-build-isolation", "--reinstall-package", "segkit", "-e", editable)
    return all(_run(uv, *arguments, environment=environment) for arguments in (locked, own))


def with_pip(editable: Path) -> bool:
    """Install with pip; return whether that worked."""
    constraints = Path(sys.prefix) / "pins.txt"
    constraints.write_text(
        "\n".join(pins(LOCK.read_text(encoding="utf-8"))) + "\n", encoding="utf-8"
    )
    # Since pip 25.3, builds have a variable of their own.
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
    """Compile the libraries to bytecode on all cores, which makes first imports fast."""
    folders: Iterable[str] = dict.fromkeys(
        sysconfig.get_path(name) for name in ("purelib", "platlib")
    )
    for folder in folders:
        # A library may hold files for another Python version, whose errors do not matter here.
        compileall.compile_dir(folder, quiet=2, workers=0, rx=_NOT_COMPILED)


def _run(
    begin: Iterable[str | Path], *rest: str | Path, environment: Mapping[str, str] | None = None
) -> bool:
    """Run a command; return whether it succeeded."""
    command = [*map(str, begin), *map(str, rest)]
    return subprocess.run(command, env=environment, check=False).returncode == 0


def main() -> int:
    """Install, and return the exit code."""
    root = HERE.parent
    if with_uv(root):
        compile_libraries()
        return 0
    print("uv cannot install here; pip does it, which takes longer", file=sys.stderr)
    return 0 if with_pip(root) else 1


if __name__ == "__main__":
    sys.exit(main())
