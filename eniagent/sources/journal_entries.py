"""Journal entries out of a byte stream, whatever form it has: `journalctl -o json`, the export format, or plain text lines.

Refuses to fail on a bad entry: half lines and garbage are counted in `Tally.garbled`, and a broken-off end costs itself alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Optional, Union

import msgspec

from eniagent.model.capture import CaptureCut
from eniagent.sources import journal_text

LIMIT_BYTES = 8 << 20
"""One entry beyond this is dropped and counted as garbled: memory stays bounded whatever a program logs."""

_SNIFF_BYTES = 1 << 16
_EXPORT = re.compile(rb"^(?:__CURSOR|__REALTIME_TIMESTAMP|_BOOT_ID|MESSAGE)=", re.MULTILINE)
_JSON = re.compile(rb"^[^\S\n]*\{\"", re.MULTILINE)
_FOREIGN = re.compile(rb"^(?!__CURSOR=|__REALTIME_TIMESTAMP=|__MONOTONIC_TIMESTAMP=|__SEQNUM|_BOOT_ID=|MESSAGE=|MESSAGE\n)[A-Z_0-9]+[=\n]", re.MULTILINE)
"""A field that was not asked for: an export that somebody else made, in which any field may be length-prefixed."""
_NOT_A_LINE = (b"-- ", b"__MONOTONIC")


Entry = tuple[int, Optional[bytes], bytes]
"""Time in microseconds (0: the entry tells none), message (None: printed without one), cursor or file and line.

A bare tuple: a storm has hundreds of thousands of them.
"""


class Tally:
    """What could not be read."""

    __slots__ = ("garbled",)

    def __init__(self) -> None:
        self.garbled = 0


class _Row(msgspec.Struct):
    """Source: systemd.journal-fields(7), journalctl(1) `-o json`: bytes that are not UTF-8 become an array of numbers,
    a field that stands more than once an array of its values, a field that is too large null."""

    cursor: str = msgspec.field(name="__CURSOR", default="")
    at: str = msgspec.field(name="__REALTIME_TIMESTAMP", default="")
    message: Union[str, list[Union[int, str, None]], None, msgspec.UnsetType] = msgspec.field(name="MESSAGE", default=msgspec.UNSET)


def entries(chunks: Iterable[bytes], tally: Tally, *, file: str, now: datetime) -> Iterator[Entry]:
    """All entries in the stream's order. `now` supplies the year where the text has none. What `chunks` raises goes through."""
    source = iter(chunks)
    head = b""
    cut: Optional[Exception] = None
    try:
        for chunk in source:
            head += chunk
            if len(head) >= _SNIFF_BYTES or head.startswith((b"__CURSOR=", b'{"__')):
                break
    except Exception as error:  # noqa: BLE001 - told again below, after what came before it was read
        cut = error
    read = _reader_of(head)
    yield from read(_chain(head, source, cut), tally, file=file, now=now)


def _chain(head: bytes, rest: Iterator[bytes], cut: Optional[Exception]) -> Iterator[bytes]:
    if head:
        yield head
    if cut is not None:
        raise cut
    yield from rest


def _reader_of(head: bytes) -> Any:
    sample = head[:_SNIFF_BYTES]
    if _EXPORT.search(sample) and not sample.lstrip().startswith(b"{"):
        return _exported
    return _json_lines if _JSON.search(sample) else _text_lines


def _exported(chunks: Iterable[bytes], tally: Tally, *, file: str, now: datetime) -> Iterator[Entry]:
    """Export format. Only a part that holds a length-prefixed field takes the slow way."""
    rest = b""
    foreign: Optional[bool] = None
    for chunk in chunks:
        data = rest + chunk
        if foreign is None:
            foreign = _FOREIGN.search(data, 0, _SNIFF_BYTES) is not None
        end = data.rfind(b"\n\n")
        if end < 0:
            rest = _bounded(data, tally)
        elif foreign or data.find(b"\nMESSAGE\n", 0, end + 1) >= 0:
            found, used = _slow_blocks(data, tally)
            rest = _bounded(data[used:], tally)
            yield from found
        else:
            rest = data[end + 2 :]
            yield from map(_plain_block, data[:end].split(b"\n\n"))
    if rest.strip():
        found, used = _slow_blocks(rest + b"\n\n", tally)
        yield from found
        tally.garbled += used < len(rest)


def _plain_block(block: bytes) -> Entry:
    """One entry of text fields as journalctl prints it: cursor, time, the rest, the message last."""
    begin = block.find(b"\n__REALTIME_TIMESTAMP=")
    digits = block[begin + 22 : begin + 38]
    if begin < 0 or not digits.isdigit():
        found, _ = _slow_blocks(block + b"\n\n", Tally())
        return found[0] if found else (0, None, b"")
    at = block.find(b"\nMESSAGE=", begin)
    return int(digits), block[at + 9 :] if at >= 0 else None, block[9:begin]


def _slow_blocks(data: bytes, tally: Tally) -> tuple[list[Entry], int]:
    """Whole entries at the start of `data`, field by field, and how many bytes they took."""
    found: list[Entry] = []
    used = 0
    while True:
        fields, end = fields_of(data, used)
        if end < 0:
            return found, used
        if fields:
            stamp = fields.get(b"__REALTIME_TIMESTAMP", b"")
            found.append((int(stamp) if stamp.isdigit() else 0, fields.get(b"MESSAGE"), fields.get(b"__CURSOR", b"")))
        used = end


def fields_of(data: bytes, position: int) -> tuple[dict[bytes, bytes], int]:
    """The fields of one entry and where the next begins; -1 where the entry is not whole."""
    fields: dict[bytes, bytes] = {}
    while True:
        end = data.find(b"\n", position)
        if end < 0:
            return {}, -1
        line = data[position:end]
        position = end + 1
        if not line:
            return fields, position
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(data[position : position + 8], "little")
            if position + 8 + size + 1 > len(data) and size < LIMIT_BYTES:
                return {}, -1
            if data[position + 8 + size : position + 9 + size] != b"\n":
                continue  # No length stood there: a line of garbage, which is no field.
            value = data[position + 8 : position + 8 + size]
            position += size + 9
        fields.setdefault(name, value)


def _bounded(rest: bytes, tally: Tally) -> bytes:
    if len(rest) <= LIMIT_BYTES:
        return rest
    tally.garbled += 1
    return b""


def lines_of(chunks: Iterable[bytes], tally: Tally) -> Iterator[bytes]:
    """Lines without their ends; one that is too long is dropped and counted."""
    rest, dropping = b"", False
    for chunk in chunks:
        pieces = (rest + chunk).split(b"\n")
        rest = pieces.pop()
        if dropping and pieces:
            del pieces[0]
            dropping = False
        yield from pieces
        if dropping or len(rest) > LIMIT_BYTES:
            tally.garbled += not dropping
            rest, dropping = b"", True
    if rest:
        yield rest


def _json_lines(chunks: Iterable[bytes], tally: Tally, *, file: str, now: datetime) -> Iterator[Entry]:
    decode = msgspec.json.Decoder(_Row).decode
    for number, line in enumerate(lines_of(chunks, tally), 1):
        if not line.strip() or line.startswith(_NOT_A_LINE):
            continue
        try:
            row = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            tally.garbled += 1
            continue
        if row.at or row.cursor:
            yield (int(row.at) if row.at.isdecimal() and len(row.at) < 20 else 0, _message(row.message), row.cursor.encode())
        else:
            yield _from_text(line, file=file, number=number, now=now)


def _message(value: Union[str, list[Union[int, str, None]], None, msgspec.UnsetType]) -> Optional[bytes]:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list):
        if all(isinstance(item, int) for item in value):
            return bytes(item & 255 for item in value if isinstance(item, int))
        return next((item.encode("utf-8", "surrogatepass") for item in value if isinstance(item, str)), None)
    return None


def _text_lines(chunks: Iterable[bytes], tally: Tally, *, file: str, now: datetime) -> Iterator[Entry]:
    for number, line in enumerate(lines_of(chunks, tally), 1):
        if not line.strip() or line.startswith(_NOT_A_LINE):
            continue
        if b"\0" in line:
            tally.garbled += 1
            continue
        yield _from_text(line, file=file, number=number, now=now)


def _from_text(line: bytes, *, file: str, number: int, now: datetime) -> Entry:
    at_us, message = journal_text.parse_line(line, now=now)
    return (at_us, message, f"{file}:{number}".encode())


def to_json_lines(chunks: Iterable[bytes], *, now: datetime) -> Iterator[bytes]:
    """Export format as lines of `journalctl -o json`, as a captures directory keeps them. Any other form goes through unchanged.

    What came before a stream broke off is passed on before the break is.
    """
    source = iter(chunks)
    head = next(source, b"")
    stream = _chain(head, source, None)
    if head.lstrip().startswith(b"{") or not _EXPORT.search(head[:_SNIFF_BYTES]):
        yield from stream
        return
    batch = bytearray()
    found = _exported(stream, Tally(), file="", now=now)
    while True:
        try:
            batch += _json_line(next(found))
        except StopIteration:
            break
        except CaptureCut:
            yield bytes(batch)
            raise
        if len(batch) > 1 << 16:
            yield bytes(batch)
            batch.clear()
    if batch:
        yield bytes(batch)


def _json_line(entry: Entry) -> bytes:
    at_us, message, ref = entry
    fields: dict[str, Any] = {"__CURSOR": ref.decode("ascii", "replace"), "__REALTIME_TIMESTAMP": str(at_us)}
    if message is not None:
        try:
            fields["MESSAGE"] = message.decode()
        except UnicodeDecodeError:
            fields["MESSAGE"] = list(message)
    return msgspec.json.encode(fields) + b"\n"
