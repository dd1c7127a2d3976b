"""One line of a journal printed as text: `short`, `short-iso`, `short-unix`, syslog, or bare klog and logrus lines.

Refuses to drop what it does not know: a line without any known prefix is its own message, without a time.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_KLOG = re.compile(rb"(?<![\w.-])[EIWF](?P<month>\d\d)(?P<day>\d\d) (?P<clock>\d\d:\d\d:\d\d\.\d{6}) +\d+ [\w.-]+:\d+\]")
_LOGRUS = re.compile(rb"time=\"(?P<stamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^\"]*)\"")
_ISO = re.compile(rb"(?P<stamp>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)")
_UNIX = re.compile(rb"(?P<seconds>\d{9,11})\.(?P<micros>\d{6}) ")
_SHORT = re.compile(rb"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +(?P<day>\d\d?) (?P<clock>\d\d:\d\d:\d\d(?:\.\d+)?)")
_AFTER_PREFIX = re.compile(rb"^.{0,120}?[\w.@-]+(?:\[\d+\])?: ")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def parse_line(line: bytes, *, now: datetime) -> tuple[int, bytes]:
    """Microseconds since 1970 (0: no time in it) and the program's own message. `now` supplies a missing year."""
    line = line.rstrip(b"\r")
    klog = _KLOG.search(line)
    if klog:
        return _prefix_time(line[: klog.start()], now) or _klog_time(klog, now), line[klog.start() :]
    logrus = _LOGRUS.search(line)
    if logrus:
        return _iso_us(logrus["stamp"]), line[logrus.start() :]
    at_us = _prefix_time(line[:200], now)
    found = _AFTER_PREFIX.match(line) if at_us else None
    return at_us, line[found.end() :] if found else line


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def _klog_time(found: re.Match[bytes], now: datetime) -> int:
    return _dated(int(found["month"]), int(found["day"]), found["clock"], now)


def _prefix_time(text: bytes, now: datetime) -> int:
    """The time that the journal or syslog put before the message; the finest form wins."""
    unix = _UNIX.match(text)
    if unix:
        return int(unix["seconds"]) * 1000000 + int(unix["micros"])
    iso = _ISO.search(text)
    if iso:
        return _iso_us(iso["stamp"])
    short = _SHORT.search(text)
    if short:
        return _dated(_MONTHS.index(short["month"]) + 1, int(short["day"]), short["clock"], now)
    return 0


def _dated(month: int, day: int, clock: bytes, now: datetime) -> int:
    """A time without a year: the newest such moment that is at most a day ahead of `now`."""
    hour, minute, second = clock.split(b":")
    for year in (now.year + 1, now.year, now.year - 1):
        try:
            whole = datetime(year, month, day, int(hour), int(minute), min(int(float(second)), 59), tzinfo=timezone.utc)
        except ValueError:
            continue
        if whole <= now + timedelta(days=1):
            fraction = (second.split(b".") + [b"0"])[1][:6].ljust(6, b"0")
            return micros(whole) + int(fraction)
    return 0


def _iso_us(stamp: bytes) -> int:
    from eniagent.sources.frames import parse_stamp

    at = parse_stamp(stamp.decode("ascii", "replace"))
    return micros(at) if at else 0
