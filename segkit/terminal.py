"""Text from files and names, made harmless before it reaches a terminal."""

from __future__ import annotations

import re

# What a terminal obeys (C0 and C1 but for tabs and line ends), what turns or breaks lines, and what
# no encoding writes.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def harmless(text: object) -> str:
    r"""Write what a terminal would obey by its code point, as in ``\x1b``; lines and tabs stay."""
    return _OBEYED.sub(_escaped, str(text))


def one_line(text: object) -> str:
    """Write a text that is somebody else's so that it cannot leave its line."""
    return harmless(" ".join(str(text).split()))


def _escaped(character: re.Match[str]) -> str:
    code = ord(character[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
