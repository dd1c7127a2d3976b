"""The export format of a followed journal as lines: where, when, whose, what. Feeds on pieces of any size.

Refuses to keep more than one unfinished entry, and drops one that grows beyond all measure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from eniagent.sources.journal_entries import LIMIT_BYTES, fields_of

Line = tuple[bytes, int, str, Optional[bytes]]
"""Cursor, time in microseconds, program ("" unknown), message. A bare tuple: a storm has tens of thousands of them a second."""

_BINARY = re.compile(rb"(?:^|\n)[A-Z_0-9]+\n")
_STAMP = b"\n__REALTIME_TIMESTAMP="


class Lines:
    """Splits one child's output. `programs`: unit or identifier -> program."""

    def __init__(self, programs: Mapping[bytes, str]) -> None:
        self._programs = programs
        self._rest = b""
        self.garbled = 0

    def begin(self) -> None:
        """A new child: what the old one left unfinished is told again."""
        self._rest = b""

    def feed(self, piece: bytes) -> list[Line]:
        """All entries that are whole now."""
        data = self._rest + piece
        if _BINARY.search(data):
            return self._feed_slowly(data)
        end = data.rfind(b"\n\n")
        if end < 0:
            self._keep(data)
            return []
        self._keep(data[end + 2 :])
        return [line for line in map(self._line, data[:end].split(b"\n\n")) if line is not None]

    def _feed_slowly(self, data: bytes) -> list[Line]:
        """An entry with a length-prefixed field may hold anything, empty lines too: field by field."""
        found: list[Line] = []
        used = 0
        while True:
            fields, end = fields_of(data, used)
            if end < 0:
                self._keep(data[used:])
                return found
            used = end
            stamp = fields.get(b"__REALTIME_TIMESTAMP", b"")
            if stamp.isdigit() and b"__CURSOR" in fields:
                program = self._program(fields.get(b"_SYSTEMD_UNIT", b""), fields.get(b"SYSLOG_IDENTIFIER", b""))
                found.append((fields[b"__CURSOR"], int(stamp), program, fields.get(b"MESSAGE")))
            else:
                self.garbled += bool(fields)

    def _line(self, block: bytes) -> Optional[Line]:
        begin = block.find(_STAMP)
        stamp = _value(block, _STAMP)
        if begin < 0 or not stamp.isdigit() or not block.startswith(b"__CURSOR="):
            self.garbled += 1
            return None
        at = block.find(b"\nMESSAGE=")
        end = block.find(b"\n", at + 9)
        message = None if at < 0 else block[at + 9 :] if end < 0 else block[at + 9 : end]
        return block[9:begin], int(stamp), self._program(_value(block, b"\n_SYSTEMD_UNIT="), _value(block, b"\nSYSLOG_IDENTIFIER=")), message

    def _program(self, unit: bytes, identifier: bytes) -> str:
        return self._programs.get(unit) or self._programs.get(identifier, "")

    def _keep(self, rest: bytes) -> None:
        if len(rest) > LIMIT_BYTES:
            self.garbled += 1
            rest = b""
        self._rest = rest


def _value(block: bytes, name: bytes) -> bytes:
    at = block.find(name)
    if at < 0:
        return b""
    end = block.find(b"\n", at + len(name))
    return block[at + len(name) :] if end < 0 else block[at + len(name) : end]
