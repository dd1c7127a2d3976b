"""Cuts a stream into blocks of whole lines, so that nothing that stands on one line is ever split.

Refuses to hold a line without an end: what is longer than the bound is left out to its end, and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional, Union

BLOCK_BYTES = 1 << 20
LEAST_BYTES = 256 << 10
LINE_LIMIT_BYTES = 8 << 20
"""A pool of 2,000 addresses is one line of about 1 MB in `/v1/enis`; nothing that we collect has longer ones."""


class TooLong(NamedTuple):
    """A line that was left out for its length."""

    size_bytes: int


def whole_lines(chunks: Iterable[bytes], *, line_limit_bytes: int = LINE_LIMIT_BYTES) -> Iterator[Union[bytes, TooLong]]:
    """Blocks of whole lines; the last one may lack its newline. What a stream raises comes after all that it gave before."""
    held: list[bytes] = []
    size = dropped = 0
    broken: Optional[Exception] = None
    stream = iter(chunks)
    while True:
        try:
            chunk = next(stream)
        except StopIteration:
            break
        except Exception as error:  # noqa: BLE001 - raised again below, once what came before it is out
            broken = error
            break
        if dropped:
            end = chunk.find(b"\n")
            if end < 0:
                dropped += len(chunk)
                continue
            yield TooLong(dropped + end)
            dropped, chunk = 0, chunk[end:]
        end = chunk.rfind(b"\n") + 1
        if end and size + end >= LEAST_BYTES:
            yield from _sliced(b"".join((*held, chunk[:end])), line_limit_bytes=line_limit_bytes)
            held, size, chunk = [], 0, chunk[end:]
        held.append(chunk)
        size += len(chunk)
        if size > line_limit_bytes:
            whole = b"".join(held)
            end = whole.rfind(b"\n") + 1
            yield from _sliced(whole[:end], line_limit_bytes=line_limit_bytes)
            held, size = [whole[end:]], len(whole) - end
            if size > line_limit_bytes:
                held, dropped, size = [], size, 0
    if dropped:
        yield TooLong(dropped)
    yield from _sliced(b"".join(held), line_limit_bytes=line_limit_bytes)
    if broken is not None:
        raise broken


def _sliced(data: bytes, *, line_limit_bytes: int) -> Iterator[Union[bytes, TooLong]]:
    """Whole lines in blocks of about `BLOCK_BYTES`."""
    at = 0
    while at < len(data):
        end = len(data)
        if end - at > BLOCK_BYTES:
            end = data.rfind(b"\n", at, at + BLOCK_BYTES) + 1 or (data.find(b"\n", at + BLOCK_BYTES) + 1 or len(data))
        if end - at > max(BLOCK_BYTES, line_limit_bytes):
            yield TooLong(end - at)
        else:
            yield data if end - at == len(data) else data[at:end]
        at = end
