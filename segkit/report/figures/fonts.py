"""Which font writes what: the bundled one, installed ones for what it lacks, and code points where there is none."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

from matplotlib.font_manager import FontEntry, findfont, fontManager, get_font

BUNDLED = "DejaVu Sans"
# Looked through in this order: sans serif like the bundled one, and of one design for most scripts.
_PREFERRED = ("Noto Sans", "Sans", "")
# It has a box for every character.
_BOXES = "Last Resort"
_TURNED = frozenset({"R", "AL", "AN"})
JOINERS = "\u200c\u200d"
# Marks that stand above or below Latin letters are in their place in every font.
_LATIN_MARKS = range(0x300, 0x370)


@lru_cache(4096)
def needs_shaping(letter: str) -> bool:
    """Tell whether a character's looks or place depend on its neighbours: read from the right, joined, or a mark."""
    if letter in JOINERS or unicodedata.bidirectional(letter) in _TURNED:
        return True
    return unicodedata.category(letter).startswith("M") and ord(letter) not in _LATIN_MARKS


def left_to_the_page(text: str) -> bool:
    """Tell whether a browser writes a text better than paths: the bundled font lacks a character, or it is shaped."""
    return not text.isascii() and any(needs_shaping(letter) or not _has(BUNDLED, letter) for letter in text)


def families(letters: Iterable[str]) -> list[str]:
    """Return the bundled family, then installed ones that have what it lacks, each the first that has a character."""
    return [BUNDLED, *dict.fromkeys(name for name in map(_family, _lacked(letters)) if name)]


def unwritable(letters: Iterable[str]) -> frozenset[str]:
    """Return the characters that no installed font has."""
    return frozenset(letter for letter in _lacked(letters) if _family(letter) is None)


def spelled(text: str, letters: frozenset[str]) -> str:
    """Write some of a text's characters as their code points, those in a row in one pair of brackets."""
    told, row = [], []
    for letter in [*text, ""]:
        if letter in letters and letter:
            row.append(f"{ord(letter):04X}")
            continue
        told += [f"[{' '.join(row)}]", letter] if row else [letter]
        row = []
    return "".join(told)


def _lacked(letters: Iterable[str]) -> list[str]:
    return sorted(letter for letter in letters if letter.isprintable() and not _has(BUNDLED, letter))


@lru_cache(4096)
def _has(family: str, letter: str) -> bool:
    return get_font(_path(family)).get_char_index(ord(letter)) != 0


@cache
def _path(family: str) -> str:
    return findfont(BUNDLED) if family == BUNDLED else next(e.fname for e in _installed() if e.name == family)


@lru_cache(4096)
def _family(letter: str) -> str | None:
    for entry in _installed():
        try:
            if _has(entry.name, letter):
                return entry.name
        except (OSError, RuntimeError):
            # A font that was taken away since matplotlib last looked.
            continue
    return None


@cache
def _installed() -> list[FontEntry]:
    """Return an upright font of each installed family, the most suitable first."""

    def unsuitable(entry: FontEntry) -> tuple[int, str, str]:
        return next(i for i, part in enumerate(_PREFERRED) if part in entry.name), entry.name, entry.fname

    first: dict[str, FontEntry] = {}
    for entry in sorted(fontManager.ttflist, key=unsuitable):
        upright = entry.style == "normal" and entry.weight == 400 and entry.stretch == "normal"
        if upright and not entry.name.startswith(_BOXES):
            first.setdefault(entry.name, entry)
    return list(first.values())
