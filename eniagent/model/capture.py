"""Capture: the bytes of one look at the node, with the circumstances in which they were got.

Refuses to interpret the bytes: that is the sources' work, today's or a later version's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Callable, Optional, Union

import msgspec

from eniagent.model.reading import Why


class Circumstances(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a captures manifest (contract, *A captures directory*). `file` is the path below the directory."""

    probe: str
    file: str
    at: Optional[datetime] = None
    took_s: Optional[float] = None
    status: Optional[int] = None
    exit: Optional[int] = None
    failure: Optional[Why] = None
    detail: str = ""
    truncated: bool = False
    size_bytes: Optional[int] = None


class CaptureCut(Exception):
    """A stream that ended before its source did: `why` and `detail` say what broke it off."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(f"{why.value}: {detail}")
        self.why = why
        self.detail = detail


class Capture:
    """Circumstances and content. Content is bytes, or a function that opens the stream anew (it may raise `CaptureCut`)."""

    __slots__ = ("about", "_content")

    def __init__(self, about: Circumstances, content: Union[bytes, Callable[[], Iterator[bytes]]] = b"") -> None:
        self.about = about
        self._content = content

    def chunks(self) -> Iterator[bytes]:
        """The content in pieces of any size. Raises `CaptureCut` where the source broke off."""
        if isinstance(self._content, bytes):
            if self._content:
                yield self._content
        else:
            yield from self._content()

    def body(self, *, limit_bytes: int = 64 << 20) -> bytes:
        """The whole content. Raises `CaptureCut` (truncated) when it is larger than `limit_bytes`."""
        if isinstance(self._content, bytes):
            pieces, size = [self._content], len(self._content)
        else:
            pieces, size = [], 0
            for piece in self._content():
                pieces.append(piece)
                size += len(piece)
                if size > limit_bytes:
                    break
        if size > limit_bytes:
            raise CaptureCut(Why.TRUNCATED, f"larger than {limit_bytes} bytes")
        return b"".join(pieces)


Seen = Mapping[str, Capture]
"""What has been captured so far, by file name in the captures directory."""
