"""Where a follower stands in the journal, and what lies between two places: the cursor taken apart, gaps found and bounded.

Refuses to call a jump a loss where the journal's own numbers say that nothing lies between.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from eniagent.model.chronicle import Gap
from eniagent.sources.journal_fold import time_of

CURSOR_GONE, VACUUMED, DAMAGED, SUPPRESSED, UNREADABLE = "cursor-gone", "vacuumed", "damaged", "suppressed", "unreadable"
HIDING = (CURSOR_GONE, VACUUMED, SUPPRESSED, UNREADABLE)
"""Gaps in which failures may have been missed. A file that journald put aside as damaged is still read as far as it goes."""

_NUMBER = re.compile(rb"(?:^|;)i=([0-9a-f]+)")
_SERIES = re.compile(rb"(?:^|;)s=([0-9a-f]+)")
_SUPPRESSED = re.compile(rb"Suppressed (\d+) messages from (\S+)")
_DAMAGED = re.compile(rb"corrupted or uncleanly shut down|Journal file .* corrupt", re.IGNORECASE)
_HOLE_US = 1_000_000


class Place(NamedTuple):
    """An entry's cursor and time."""

    cursor: bytes
    at_us: int


def between(one: Place, other: Place) -> Optional[int]:
    """How many entries of any program journald wrote between two places; None where it numbered them in different series."""
    series, number = _SERIES.search(one.cursor), _NUMBER.search(one.cursor)
    other_series, other_number = _SERIES.search(other.cursor), _NUMBER.search(other.cursor)
    if not (series and number and other_series and other_number) or series[1] != other_series[1]:
        return None
    return int(other_number[1], 16) - int(number[1], 16) - 1


def is_before(one: Place, other: Place) -> bool:
    """Whether the first comes before the second: by journald's numbers, else by time."""
    count = between(one, other)
    return count >= 0 if count is not None else one.at_us < other.at_us


def jumped(last: Place, first: Place) -> Optional[Gap]:
    """The gap when the entry at which to go on is gone, None where nothing is missing."""
    count = between(last, first)
    if count is not None and count <= 0:
        return None
    return Gap(CURSOR_GONE, time_of(last.at_us), time_of(first.at_us), count, "the entry at which to go on is no longer in the journal")


def crossed(last: Place, first: Place) -> Optional[Gap]:
    """The gap where a reader passes from files that were removed meanwhile to those that are there."""
    count = between(last, first)
    if first.at_us - last.at_us < _HOLE_US or (count is not None and count <= 0):
        return None
    return Gap(VACUUMED, time_of(last.at_us), time_of(first.at_us), count, "journal files were removed before they were read")


def confessed(message: bytes, *, at_us: int, last_us: int, units: tuple[bytes, ...]) -> Optional[Gap]:
    """What journald itself says that it lost. Source: systemd v252, journald-rate-limit.c, journald-server.c."""
    found = _SUPPRESSED.search(message)
    if found is not None:
        if not found[2].endswith(units):
            return None
        return Gap(SUPPRESSED, None, time_of(at_us), int(found[1]), f"journald suppressed messages of {found[2].decode('ascii', 'replace')}")
    if _DAMAGED.search(message):
        return Gap(DAMAGED, time_of(last_us), time_of(at_us), None, message[:200].decode("utf-8", "replace"))
    return None
