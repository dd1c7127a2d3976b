"""The hard end of a run: when the main thread itself is stuck past the deadline, it is pulled out.

Refuses to replace the deadlines of single looks: those leave a better partial result. This is the net below them.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Optional


class OutOfTime(BaseException):
    """The hard end came. No `Exception`, so that no reader takes it for malformed input."""


class HardLimit:
    """Raises `OutOfTime` in the main thread after `seconds`, unless left before."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._before: Any = None

    def __enter__(self) -> HardLimit:
        self._before = signal.signal(signal.SIGALRM, self._end)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def _end(self, _number: int, _frame: Optional[FrameType]) -> None:
        raise OutOfTime
