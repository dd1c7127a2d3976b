"""Names of a bundle's members: any file name in letters that every system takes, and back.

Refuses names that lead elsewhere: absolute ones, `..`, empty parts, control characters, and what is longer than file systems take.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

SAFE = "/._+=@,~-"
"""Beside letters and digits. No `:` and no `\\`, for Windows."""
NAME_BYTES, PART_BYTES = 512, 255
_ODD = re.compile(r"[\x00-\x1f\x7f]")


def stored(name: str) -> str:
    """A name as it stands in the archive: what is not safe is percent-encoded."""
    return quote(name.encode("utf-8", "surrogateescape"), safe=SAFE)


def original(name: str) -> str:
    """The inverse of `stored`."""
    return unquote_to_bytes(name).decode("utf-8", "surrogateescape")


def problem(name: str) -> str:
    """Why a member's name is refused, empty where it is not."""
    parts = name.split("/")
    if _ODD.search(name):
        return "control characters in its name"
    if name.startswith("/") or (len(name) > 1 and name[1] == ":") or "\\" in name:
        return "an absolute name, or one of another system"
    if ".." in parts:
        return "a name that leads out of the archive"
    if len(name.encode("utf-8", "surrogateescape")) > NAME_BYTES or any(len(part.encode("utf-8", "surrogateescape")) > PART_BYTES for part in parts):
        return "a name that is too long"
    return ""


def shown(name: str) -> str:
    """A hostile name, fit for a sentence."""
    text = name.encode("ascii", "backslashreplace").decode("ascii")
    clean = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return clean if len(clean) <= 120 else f"{clean[:100]}... ({len(name)} characters)"
