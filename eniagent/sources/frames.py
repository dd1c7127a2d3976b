"""The frames around a log message: zap JSON, seelog text, and what shippers put around them.

Refuses to interpret the message; a line whose frame is unknown is told as garbled, its text kept.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import NamedTuple, Optional

import msgspec


class Frame(NamedTuple):
    """`form`: zap, seelog or "" (bare text). `at` None where the line carries no readable time."""

    at: Optional[datetime]
    level: str
    message: str
    form: str


class _Zap(msgspec.Struct):
    msg: str = ""
    ts: str = ""
    level: str = ""


_ZAP = msgspec.json.Decoder(_Zap)
_SEELOG = re.compile(r"(?P<ts>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?) \[(?P<level>[A-Z]+)\s*\]\s*(?P<message>.*)", re.DOTALL)
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\s?(Z|UTC|[+-]\d\d:?\d\d)?")


def parse_stamp(text: str) -> Optional[datetime]:
    """The first RFC3339-like time in `text` as aware UTC (no zone reads as UTC), None where there is none or it is no date."""
    found = _STAMP.search(text)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        stamp = datetime(int(year), int(month), int(day), int(hour), int(minute), min(int(second), 59), int((fraction or "0")[:6].ljust(6, "0")), timezone.utc)
        if zone and zone not in ("Z", "UTC"):
            digits = zone[1:].replace(":", "")
            offset_s = int(digits[:2]) * 3600 + int(digits[2:]) * 60
            stamp = datetime.fromtimestamp(stamp.timestamp() + (-offset_s if zone[0] == "+" else offset_s), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
    return stamp


def parse_frame(line: bytes) -> Frame:
    """One line of ipamd.log or plugin.log, old or new form."""
    start = line.find(b'{"level"')
    if start < 0:
        start = line.find(b"{") if line[:1] == b"{" else -1
    if start >= 0:
        try:
            zap = _ZAP.decode(line[start:].strip())
            return Frame(parse_stamp(zap.ts), zap.level, zap.msg, "zap")
        except msgspec.DecodeError:
            pass  # A half-written line, or two objects on one: the text below still tells what it can.
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    found = _SEELOG.search(text)
    if found:
        return Frame(parse_stamp(found["ts"]), found["level"].lower(), found["message"], "seelog")
    return Frame(parse_stamp(text[:200]), "", text, "")
