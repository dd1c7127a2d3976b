"""One file of a log, plain or packed: where a time begins in it, where a text last stands, its bytes from there.

Refuses to read a plain file from its start to find a place in it, and to follow a file that grows: its end is what it was
when it was opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Optional

import msgspec

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.errors import reason
from eniagent.edge.gunzip import inflate
from eniagent.model.capture import CaptureCut
from eniagent.model.reading import Why

CHUNK_BYTES = 1 << 20
STEP_BYTES = 1 << 16
MARGIN_BYTES = 1 << 16
"""Read before the place that was found, for clocks that step and for the lines that lead up to an action."""

_STAMP = re.compile(rb'(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?')


class Segment(msgspec.Struct):
    """One file of a log: its descriptor stays open, so that a rotation meanwhile takes nothing away."""

    name: str
    descriptor: int
    size: int
    ended_at: float
    packed: bool

    def __del__(self) -> None:
        os.close(self.descriptor)


def stamp_of(data: bytes) -> Optional[datetime]:
    """The time of the first line in `data` that carries one; no zone reads as UTC."""
    found = _STAMP.search(data)
    if not found:
        return None
    *numbers, zone = found.groups()
    try:
        at = datetime(*(int(number) for number in numbers), tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
        if zone and zone != b"Z":
            digits = zone[1:].replace(b":", b"")
            shift_s = int(digits[:2]) * 3600 + int(digits[2:]) * 60
            at = clock.from_epoch(at.timestamp() + (-shift_s if zone[:1] == b"+" else shift_s))
    except (ValueError, OverflowError, OSError):
        return None
    return at


def offset_of(segment: Segment, *, since: datetime, deadline: Deadline) -> int:
    """Where the window begins in one file, at a line's start or 0, with a margin before it."""
    if segment.packed:
        passed = 0
        for piece in _unpacked(segment, deadline=deadline):
            last = stamp_of(piece[piece.rfind(b"\n", 0, len(piece) - 1) + 1 :]) or stamp_of(piece[-STEP_BYTES:])
            if last is not None and last >= since:
                break
            passed += len(piece)
        return line_start(segment, max(0, passed - MARGIN_BYTES), deadline=deadline)
    low, high = 0, segment.size
    while high - low > STEP_BYTES:
        middle = (low + high) // 2
        at = _stamp_after(segment, middle)
        if at is None or at >= since:
            high = middle
        else:
            low = middle
    return line_start(segment, max(0, low - MARGIN_BYTES), deadline=deadline)


def _stamp_after(segment: Segment, offset: int) -> Optional[datetime]:
    """The time of the first stamped line that begins after `offset`."""
    data = os.pread(segment.descriptor, STEP_BYTES // 4, offset)
    begin = data.find(b"\n")
    if begin < 0:
        data = os.pread(segment.descriptor, STEP_BYTES, offset)
        begin = data.find(b"\n")
    return stamp_of(data[begin + 1 :]) if begin >= 0 else None


def line_start(segment: Segment, offset: int, *, deadline: Deadline) -> int:
    """The first line's start at or after `offset`; `offset` itself where no line ends nearby."""
    if offset <= 0:
        return 0
    if not segment.packed:
        end = os.pread(segment.descriptor, CHUNK_BYTES, offset - 1).find(b"\n")
        return offset + end if end >= 0 else offset
    passed = 0
    for piece in _unpacked(segment, deadline=deadline):
        if passed + len(piece) > offset:
            end = piece.find(b"\n", max(0, offset - passed))
            if end >= 0:
                return passed + end + 1
        passed += len(piece)
    return offset


def last_needle(segment: Segment, *, begin: int, end: int, needles: tuple[bytes, ...], deadline: Deadline) -> Optional[int]:
    """The offset of the last needle between two offsets, searched from the end."""
    overlap = max(map(len, needles))
    if segment.packed:
        found, passed, tail = None, 0, b""
        for piece in _unpacked(segment, deadline=deadline):
            here = _rfind(tail + piece, needles)
            if here >= 0 and passed - len(tail) + here >= begin:
                found = passed - len(tail) + here
            passed, tail = passed + len(piece), piece[-overlap:]
        return found
    high = end
    while high > begin and not deadline.expired:
        low = max(begin, high - CHUNK_BYTES)
        here = _rfind(os.pread(segment.descriptor, high - low + overlap, low)[: high - low + overlap], needles)
        if here >= 0:
            return low + here
        high = low
    return None


def _rfind(data: bytes, needles: tuple[bytes, ...]) -> int:
    return max(data.rfind(needle) for needle in needles)


def plain_size(segment: Segment, *, deadline: Deadline) -> int:
    """The size of the plain content."""
    if not segment.packed:
        return segment.size
    return sum(len(piece) for piece in _unpacked(segment, deadline=deadline))


def raw(segment: Segment, *, start: int, deadline: Deadline) -> Iterator[bytes]:
    """The bytes from `start` to what was the end when the file was opened."""
    while start < segment.size:
        if deadline.expired:
            raise CaptureCut(Why.TIMED_OUT, "deadline")
        try:
            piece = os.pread(segment.descriptor, min(CHUNK_BYTES, segment.size - start), start)
        except OSError as error:
            raise CaptureCut(*reason(error)) from error
        if not piece:
            raise CaptureCut(Why.TRUNCATED, "the file was cut while it was read")
        start += len(piece)
        yield piece


def _unpacked(segment: Segment, *, deadline: Deadline) -> Iterator[bytes]:
    """The plain content as far as it can be unpacked; where a damaged file breaks off is told when it is read."""
    try:
        yield from inflate(raw(segment, start=0, deadline=deadline))
    except CaptureCut:
        return
