"""Times as Go prints them: RFC3339 with up to nine fractional digits, and the zero time of year 1.

Refuses to guess: text that is no such time is malformed, never "now" and never None.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Optional

from eniagent.sources.captured import Malformed

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

# [0-9] and not \d, which matches digits of every script.
_FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9}))?(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2}))\Z"
)


def parse(text: str) -> Optional[datetime]:
    """An aware UTC time, cut to microseconds. None for the zero time and the epoch, which stand for "not told".

    Raises `Malformed`. Source: Go 1.20, time/format_rfc3339.go; amazon-vpc-cni-k8s v1.23.1, data_store.go (1970 = no stamp
    in the checkpoint).
    """
    match = _FORM.match(text)
    if match is None:
        raise Malformed(f"no time: {text[:40]!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    if year <= 1:
        return None
    micros = int((match.group(7) or "0").ljust(9, "0")[:6])
    offset = timedelta(0)
    if match.group(9):
        offset = timedelta(hours=int(match.group(10)), minutes=int(match.group(11)))
        offset = -offset if match.group(9) == "-" else offset
    try:
        # Go may print second 60 for a leap second; Python has no such second.
        when = datetime(year, month, day, hour, minute, min(second, 59), micros, tzinfo=timezone.utc) - offset
    except (ValueError, OverflowError) as error:
        raise Malformed(f"no time: {text[:40]!r}") from error
    return None if when == _EPOCH else when


def from_nanoseconds(value: int) -> Optional[datetime]:
    """Nanoseconds since 1970 as an aware UTC time. None for 0 and less, which stand for "not told". Raises `Malformed`."""
    if value <= 0:
        return None
    try:
        return _EPOCH + timedelta(microseconds=value // 1000)
    except OverflowError as error:
        raise Malformed(f"no time: {value} ns") from error
