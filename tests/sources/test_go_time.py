"""Go's times, read on any Python."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eniagent.sources import go_time
from eniagent.sources.captured import Malformed

UTC = timezone.utc


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-11-25T14:09:40.489361238Z", datetime(2026, 11, 25, 14, 9, 40, 489361, UTC)),
        ("2026-11-25T14:09:40Z", datetime(2026, 11, 25, 14, 9, 40, 0, UTC)),
        ("2026-11-25T14:09:40.5+02:00", datetime(2026, 11, 25, 12, 9, 40, 500000, UTC)),
        ("2026-11-25T14:09:40.000000001-0530", datetime(2026, 11, 25, 19, 39, 40, 0, UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 0, UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
    ],
)
def test_known_times(text: str, when: Optional[datetime]) -> None:
    """Up to nine digits, zones, leap seconds; the zero time and the epoch are "not told"."""
    assert go_time.parse(text) == when


@pytest.mark.parametrize("text", ["", "now", "2026-13-01T00:00:00Z", "2026-11-25 14:09", "2026-11-25T14:09:40", "9999-12-31T23:59:59-23:59", "\u0662026-11-25T14:09:40Z"])
def test_other_text_is_malformed(text: str) -> None:
    """Text that is no time, or a time that Python cannot hold, is malformed and never None."""
    with pytest.raises(Malformed):
        go_time.parse(text)


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-23 * 60, 23 * 60))
def test_python_prints_what_is_read(when: datetime, offset_minutes: int) -> None:
    """Any time in any zone, printed in RFC3339, is read back as the same moment."""
    aware = when.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    assert go_time.parse(aware.isoformat()) == aware


@given(st.integers(1, (1 << 63) - 1))
def test_nanoseconds(value: int) -> None:
    """Every positive int64 of nanoseconds is a time, cut to microseconds; nothing and less is "not told"."""
    when = go_time.from_nanoseconds(value)
    assert when is not None
    assert (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == value // 1000
    assert go_time.from_nanoseconds(-value) is None
    assert go_time.from_nanoseconds(0) is None
