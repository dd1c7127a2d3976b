"""Moves every time in a recording by the same whole number of seconds, so that the moment it was taken becomes now.

Refuses to touch a number or a date that is not within a month of the recording: that is an id, a count, or Go's zero time.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

NEAR = timedelta(days=31)

_DATE = re.compile(rb"(?<!\d)(\d{4})-(\d\d)-(\d\d)([T ])(\d\d):(\d\d):(\d\d)(?!\d)")
_KLOG = re.compile(rb"(?<!\w)([IWEF])(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)(?=\.\d{6})")
_EPOCH = re.compile(rb"(?<![\w.-])(\d{19}|\d{16}|\d{13}|\d{10})(?![\w.-])")
_SECONDS = re.compile(rb"(?<=_time_seconds )([0-9.]+e[+]09|\d{10}\.\d+)(?=\s)")
_UNIT = {19: 10**9, 16: 10**6, 13: 10**3, 10: 1}


class Shift:
    """The move of one recording. Whole seconds: fractions stay as they were printed, to the last digit."""

    def __init__(self, taken_at: datetime, now: datetime) -> None:
        self._taken_at = taken_at.astimezone(timezone.utc).replace(tzinfo=None)
        self.seconds = int((now - taken_at).total_seconds())

    def apply(self, data: bytes) -> bytes:
        """The same bytes with every time moved: RFC 3339 and Go dates, klog stamps, epochs in s, ms, us and ns."""
        data = _DATE.sub(self._date, data)
        data = _KLOG.sub(self._klog, data)
        data = _EPOCH.sub(self._epoch, data)
        return _SECONDS.sub(lambda found: repr(float(found[1]) + self.seconds).encode(), data)

    def _moved(self, moment: datetime) -> datetime:
        return moment + timedelta(seconds=self.seconds)

    def _date(self, found: re.Match[bytes]) -> bytes:
        year, month, day, between, hour, minute, second = found.groups()
        try:
            moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))
        except ValueError:
            return found[0]
        if abs(moment - self._taken_at) > NEAR:
            return found[0]
        # Not strftime: it drops the leading zeros of years on some systems.
        return self._moved(moment).isoformat(sep="T").encode().replace(b"T", between)

    def _klog(self, found: re.Match[bytes]) -> bytes:
        severity, month, day, hour, minute, second = found.groups()
        try:
            moment = datetime(self._taken_at.year, int(month), int(day), int(hour), int(minute), int(second))
        except ValueError:
            return found[0]
        return severity + self._moved(moment).strftime("%m%d %H:%M:%S").encode()

    def _epoch(self, found: re.Match[bytes]) -> bytes:
        digits = found[1]
        unit = _UNIT[len(digits)]
        since = self._taken_at.replace(tzinfo=timezone.utc).timestamp() - int(digits) / unit
        return str(int(digits) + self.seconds * unit).encode() if abs(since) <= NEAR.total_seconds() else digits
