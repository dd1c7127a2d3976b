"""The filter for a journalctl that has none of its own: keeps the export-format entries whose message the pattern matches.

Refuses to drop what it cannot take apart: an entry with a length-prefixed field goes through whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_BINARY = re.compile(rb"(?:^|\n)[A-Z_0-9]+\n")


def keep(pieces: Iterable[bytes], grep: str) -> Iterator[bytes]:
    """The stream without the entries that `grep` (anchored at the message's start) does not match."""
    # The message stands in the middle of an entry: `match` anchors there, `^` would not.
    match = re.compile(grep[1:].encode() if grep.startswith("^") else b"(?:.|\\n)*?(?:" + grep.encode() + b")").match
    rest = b""
    for piece in pieces:
        data = rest + piece
        end = data.rfind(b"\n\n") + 2
        if end < 2:
            rest = data
            continue
        rest = data[end:]
        if _BINARY.search(data, 0, end):
            yield data[:end]
            continue
        kept = b"\n\n".join([block for block in data[: end - 2].split(b"\n\n") if _is_kept(block, match)])
        if kept:
            yield kept + b"\n\n"
    if rest:
        yield rest


def _is_kept(block: bytes, match: object) -> bool:
    at = block.find(b"\nMESSAGE=")
    return at < 0 or match(block, at + 9) is not None  # type: ignore[operator]
