"""Makes any text printable: ASCII, one line, no control characters, of bounded length.

Refuses to trust what a log line, a pod name or a reply carries: an escape sequence in it must reach no terminal.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPACES = re.compile(r"[ \t\r\n]+")
_NO_TOKEN = re.compile(r"[^!-~]+")
CUT = "..."


def plain(text: str, *, limit: int = 1000) -> str:
    """`text` as one printable ASCII line of at most `limit` characters. What cannot be printed is spelled as `\\x1b`."""
    cut = text[: limit + 1]
    if not (cut.isascii() and cut.isprintable()):
        cut = _SPACES.sub(" ", cut).encode("ascii", "backslashreplace").decode("ascii")
        cut = _CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", cut)
    return shorten(cut.strip(), limit=limit) if len(text) <= limit else shorten(cut.strip() + CUT, limit=limit)


def shorten(text: str, *, limit: int) -> str:
    """`text` cut to `limit` characters, the cut marked."""
    if len(text) <= limit:
        return text
    return text[: max(0, limit - len(CUT))].rstrip() + CUT[: max(0, limit)]


def token(text: str, *, limit: int, absent: str = "unknown") -> str:
    """`text` as one `key=value` value: no space in it, so that a hostile name forges no second key."""
    cleaned = _NO_TOKEN.sub("_", text[: limit + 1])
    return shorten(cleaned, limit=limit) if cleaned else absent
