"""How the environment is made: uv is told what pip is and checks the same hashes; pip does it
where there is no uv."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK, UV = ROOT / "requirements" / "lock.txt", ROOT / "requirements" / "uv.txt"


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "requirements" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_uv_looks_where_pip_is_set_up_to_look(install):
    listed = (
        ":env:.find-links='wheels more'\n"
        "global.cert='ca.pem'\n"
        "global.extra-index-url='file:///one file:///two'\n"
        "global.find-links='elsewhere'\n"
        "install.index-url='https://mirror.example/'\n"
        "global.index-url='https://other.example/'\n"
        "global.constraint='not for uv'\n"
    )
    assert install.uv_environment(listed) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "wheels,more",
        "SSL_CERT_FILE": "ca.pem",
        "UV_INDEX": "file:///one file:///two",
        "UV_DEFAULT_INDEX": "https://mirror.example/",
    }


def test_where_pip_is_told_nothing_uv_is_told_no_address(install):
    assert install.uv_environment("") == {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def test_the_pins_are_the_lock_without_hashes(install):
    pins = install.pins(LOCK.read_text(encoding="utf-8"))
    assert len(pins) > 40
    assert all(re.fullmatch(r"[A-Za-z0-9][\w.-]*==[\w.+!]+( ; .+)?", pin) for pin in pins)


def test_uv_itself_is_pinned_with_hashes():
    (entry,) = UV.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    assert re.fullmatch(r"uv==[\d.]+(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry)


@pytest.fixture
def commands(install, monkeypatch):
    """What is run, and which of it fails by a word in it."""
    ran, failing = [], []

    def run(begin, *rest, environment=None):
        command = " ".join(map(str, (*begin, *rest)))
        ran.append(command)
        return not any(word in command for word in failing)

    monkeypatch.setattr(install, "_run", run)
    monkeypatch.setattr(install, "compile_libraries", lambda: None)
    return ran, failing


def test_uv_installs_with_the_hashes_of_the_lock(install, commands):
    ran, _failing = commands
    assert install.main() == 0
    fetched, locked, editable = ran
    assert "-m pip" in fetched
    assert "--require-hashes -r" in fetched
    assert fetched.endswith("uv.txt")
    assert f"--require-hashes -r {LOCK}" in locked
    assert f"-e {ROOT}" in editable


@pytest.mark.parametrize("word", ["uv.txt", "uv pip install", "-e"])
def test_where_uv_cannot_pip_does_with_the_same_hashes(
    install, commands, word, tmp_path, monkeypatch, capsys
):
    ran, failing = commands
    failing.append(word)
    monkeypatch.setattr(install.sys, "prefix", str(tmp_path))
    assert install.main() == (1 if word == "-e" else 0)
    assert "pip does" in capsys.readouterr().err
    pip = [command for command in ran if "-m pip" in command and "uv.txt" not in command]
    assert f"--require-hashes -r {LOCK}" in pip[0]
    assert f"-e {ROOT}" in pip[1]
    assert (tmp_path / "pins.txt").read_text(encoding="utf-8").splitlines() == install.pins(
        LOCK.read_text("utf-8")
    )
