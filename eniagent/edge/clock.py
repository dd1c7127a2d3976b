"""The clock: the only place that asks what time it is and how long something took.

Refuses to let wall-clock time measure a duration: a clock that is stepped must neither hang nor end a run.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone


def now() -> datetime:
    """The wall clock, aware, UTC."""
    return datetime.now(timezone.utc)


def from_epoch(seconds: float) -> datetime:
    """Seconds since 1970 as an aware UTC datetime."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def ticks_s() -> float:
    """Seconds on the monotonic clock, for durations."""
    return time.monotonic()


def wait(seconds: float) -> None:
    """Sleep; nothing below zero."""
    if seconds > 0:
        time.sleep(seconds)


class Deadline:
    """A moment on the monotonic clock after which nobody waits any longer."""

    __slots__ = ("_end_s",)

    def __init__(self, limit_s: float) -> None:
        self._end_s = ticks_s() + limit_s

    @property
    def remaining_s(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self._end_s - ticks_s())

    @property
    def expired(self) -> bool:
        """Whether the moment has passed."""
        return ticks_s() >= self._end_s

    def within(self, limit_s: float) -> Deadline:
        """The earlier one of this deadline and `limit_s` from now."""
        return Deadline(min(limit_s, self.remaining_s))

    def extend(self, limit_s: float) -> None:
        """Move the moment to `limit_s` from now: for streams that are read once more after the run they were opened for."""
        self._end_s = ticks_s() + limit_s

    def before_end(self, margin_s: float) -> Deadline:
        """A deadline that ends `margin_s` earlier, so that work remains possible after it."""
        return Deadline(max(0.0, self.remaining_s - margin_s))


class TokenBucket:
    """At most `burst` requests at once and `per_second` in the long run."""

    def __init__(self, *, burst: int, per_second: float) -> None:
        self._burst, self._per_second = burst, per_second
        self._level, self._filled_s = float(burst), ticks_s()

    def take(self) -> float:
        """Take one; returns the seconds to wait before using it."""
        now_s = ticks_s()
        self._level = min(float(self._burst), self._level + (now_s - self._filled_s) * self._per_second)
        self._filled_s = now_s
        self._level -= 1
        return max(0.0, -self._level / self._per_second)
