"""Moving a recording's times to now."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from eniagent.demo.shift import Shift

TAKEN = datetime(2026, 11, 25, 14, 11, 35, tzinfo=timezone.utc)
DAY = Shift(TAKEN, TAKEN + timedelta(days=40, seconds=61))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"ts":"2026-11-25T14:09:55.064Z"', b'"ts":"2027-01-04T14:10:56.064Z"'),
        (b"2026-11-25 14:09:55.064123456 +0000 UTC m=+12.5", b"2027-01-04 14:10:56.064123456 +0000 UTC m=+12.5"),
        (b"I1125 14:10:04.499793    2575 kubelet.go:2421]", b"I0104 14:11:05.499793    2575 kubelet.go:2421]"),
        (b'"__REALTIME_TIMESTAMP": "1795615804499793"', b'"__REALTIME_TIMESTAMP": "1799071865499793"'),
        (b'"allocationTimestamp":1795615804590967297,', b'"allocationTimestamp":1799071865590967297,'),
        (b"process_start_time_seconds 1.79561579475e+09\n", b"process_start_time_seconds 1799071855.75\n"),
    ],
)
def test_times_move(before: bytes, after: bytes) -> None:
    """Every form of time in a recording moves by the same whole seconds, and keeps its fraction to the digit."""
    assert DAY.apply(before) == after


@pytest.mark.parametrize(
    "text",
    [
        b'"UnassignedTime":"0001-01-01T00:00:00Z"',
        b"eni-0f0f19c557067cbbe 111122223333 10.0.0.49/32",
        b'"containerID":"f9e98e6c42b2ccbe1bb8272d0a9ad5596af9cd1a9fbdef517da6f9cfe0f1eae1"',
        b"2025-13-45T99:00:00Z v1.23.0 9001 61679",
        b"go_memstats_alloc_bytes_total 1.2345678e+07\n1795615804499793abc 0.1795615804",
        b"s=b36b0cdced8a0f86be25d10b44fa962c;i=1;t=6611a622e2751",
    ],
)
def test_what_is_no_time_stays(text: bytes) -> None:
    """Ids, counts, cursors, versions and Go's zero time stay as they are."""
    assert DAY.apply(text) == text
