"""The filter for a journalctl that has none of its own: keeps the export-format entries whose message the pattern matches.

Refuses to drop what it cannot take apart: a piece that holds a length-prefixed message goes through whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator


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
        if data.find(b"\nMESSAGE\n", 0, end) >= 0:
            yield data[:end]
            continue
        kept = b"\n\n".join([b for b in data[: end - 2].split(b"\n\n") if (at := b.find(b"\nMESSAGE=")) < 0 or match(b, at + 9)])
        if kept:
            yield kept + b"\n\n"
    if rest:
        yield rest

