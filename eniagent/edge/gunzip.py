"""Gzip as a stream: pieces in, plain pieces out, whatever the size.

Refuses to hold a whole file, and tells a damaged or half-written one as cut where it breaks off.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from eniagent.model.capture import CaptureCut
from eniagent.model.reading import Why

MAGIC = b"\x1f\x8b"
PIECE_BYTES = 1 << 20


def _inflater() -> Any:
    try:
        from isal import isal_zlib
    except ImportError:
        # isal has no wheel for every platform; zlib reads the same format at a third of the speed.
        return zlib.decompressobj(31)
    return isal_zlib.decompressobj(31)


def inflate(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The plain content of one or more gzip members. Raises `CaptureCut` where the stream is damaged or ends early."""
    inflater, waiting = _inflater(), False
    for piece in pieces:
        while piece:
            try:
                plain = inflater.decompress(piece, PIECE_BYTES)
            except Exception as error:  # noqa: BLE001 - isal and zlib each raise their own class
                raise CaptureCut(Why.MALFORMED, f"damaged gzip: {error}") from error
            waiting = True
            if plain:
                yield plain
            if inflater.eof:
                piece, inflater, waiting = inflater.unused_data, _inflater(), False
                piece = piece if piece[:1] == MAGIC[:1] else b""
            else:
                piece = inflater.unconsumed_tail
    if waiting:
        yield from _last(inflater)
        raise CaptureCut(Why.TRUNCATED, "gzip ends early")


def _last(inflater: Any) -> Iterator[bytes]:
    try:
        rest = inflater.flush()
    except Exception as error:  # noqa: BLE001 - isal and zlib each raise their own class
        raise CaptureCut(Why.MALFORMED, f"damaged gzip: {error}") from error
    if rest:
        yield rest
