"""Bodies deflated one by one, and joined to one gzip stream of which any part could be made before the ones that stand in front of it.

Refuses to compress anything twice: each body ends on a byte's border, so that joining is copying; the checksum is combined.
Source: RFC 1951, RFC 1952; zlib's crc32_combine.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from eniagent.edge.gunzip import inflate
from eniagent.edge.spool import Guard, Spool

LEVEL = 1
"""isal's first level packs logs as well as gzip's default does, at many times its speed."""
_EMPTY_LAST_BLOCK = b"\x03\x00"
_POLYNOMIAL = 0xEDB88320


class Body(NamedTuple):
    """A deflated body: what it was before, and where it waits."""

    size: int
    sha256: str
    crc: int
    spool: Spool


def _compressor() -> Any:
    try:
        from isal import isal_zlib
    except ImportError:
        # isal has no wheel for every platform; zlib writes the same format, slower.
        return zlib.compressobj(1, zlib.DEFLATED, -15), zlib.crc32
    return isal_zlib.compressobj(level=LEVEL, wbits=-15), isal_zlib.crc32


class Packer:
    """Takes a body piece by piece. `size` counts plain bytes, `packed` those in the spool so far."""

    def __init__(self, directory: str, *, guard: Guard) -> None:
        self.size = 0
        self._spool = Spool(directory, guard=guard)
        self._compressor, self._crc32 = _compressor()
        self._digest, self._crc = hashlib.sha256(), 0

    @property
    def packed(self) -> int:
        """Bytes in the spool."""
        return self._spool.size

    def take(self, piece: bytes) -> None:
        """The next piece. Raises what the spool raises."""
        self.size += len(piece)
        self._digest.update(piece)
        self._crc = self._crc32(piece, self._crc)
        out = self._compressor.compress(piece)
        if out:
            self._spool.write(out)

    def body(self) -> Body:
        """The whole body."""
        self._spool.write(self._compressor.flush(zlib.Z_FULL_FLUSH))
        return Body(self.size, self._digest.hexdigest(), self._crc, self._spool)

    def drop(self) -> None:
        """Give up what was packed."""
        self._spool.close()


def packed(pieces: Iterable[bytes], directory: str, *, guard: Guard) -> Body:
    """A body made of some pieces."""
    packer = Packer(directory, guard=guard)
    for piece in pieces:
        packer.take(piece)
    return packer.body()


def plain(body: Body) -> Iterator[bytes]:
    """What a body was before it was deflated."""
    yield from inflate(itertools.chain((_HEAD,), body.spool.pieces(), (_tail(body.crc, body.size),)))


def joined(bodies: Iterable[Body], *, mtime: int) -> Iterator[bytes]:
    """One gzip stream without a name in its header. Each body's spool is given back when it has been told."""
    yield _head(mtime)
    crc = size = 0
    combine = _combiner()
    for body in bodies:
        yield from body.spool.pieces()
        crc = combine(crc, body.crc, body.size)
        size += body.size
        body.spool.close()
    yield _tail(crc, size)


def _head(mtime: int) -> bytes:
    return struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, 0, mtime & 0xFFFFFFFF, 0, 255)


def _tail(crc: int, size: int) -> bytes:
    return _EMPTY_LAST_BLOCK + struct.pack("<II", crc, size & 0xFFFFFFFF)


_HEAD = _head(0)


def _combiner() -> Callable[[int, int, int], int]:
    try:
        from isal import isal_zlib
    except ImportError:
        return crc32_combine
    combine: Callable[[int, int, int], int] = isal_zlib.crc32_combine
    return combine


def crc32_combine(first: int, second: int, second_size: int) -> int:
    """The CRC-32 of two runs of bytes put together, from those of each and the second one's length."""
    zeros = _squared(_squared([_POLYNOMIAL, *(1 << bit for bit in range(31))]))
    while second_size:
        zeros = _squared(zeros)
        if second_size & 1:
            first = _times(zeros, first)
        second_size >>= 1
    return first ^ second


def _times(matrix: list[int], vector: int) -> int:
    total, row = 0, 0
    while vector:
        if vector & 1:
            total ^= matrix[row]
        vector, row = vector >> 1, row + 1
    return total


def _squared(matrix: list[int]) -> list[int]:
    return [_times(matrix, row) for row in matrix]
