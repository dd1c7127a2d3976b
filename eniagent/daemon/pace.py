"""When the next cycle is due: about every `poll_s`, never at once on all nodes, and later where the node is pressed.

Refuses the wall clock: one that is stepped neither hurries nor holds a cycle.
"""

from __future__ import annotations

import random

from eniagent.edge import clock
from eniagent.edge.pressure import pressure

JITTER = 0.1
SLOWEST = 4.0
"""How much longer than usual a pressed node waits for its next cycle at the most."""


class Pace:
    """`watchdog_s`: the manager's patience, 0 for none; no pause comes near it."""

    def __init__(self, poll_s: float, *, watchdog_s: float, proc: str = "/proc") -> None:
        self.poll_s, self._watchdog_s, self._proc = poll_s, watchdog_s, proc
        self.slowed = 1.0
        """How many times longer than usual the last pause was."""

    def due_s(self, begun_s: float) -> float:
        """The monotonic time of the cycle after the one that began at `begun_s`."""
        self.slowed = min(SLOWEST, max(1.0, pressure(proc=self._proc)))
        wanted_s = self.poll_s * self.slowed * random.uniform(1.0 - JITTER, 1.0 + JITTER)  # noqa: S311 - no secret
        if self._watchdog_s:
            wanted_s = min(wanted_s, self._watchdog_s / 2)
        # A cycle that took longer than its time is followed by a rest all the same.
        return max(begun_s + wanted_s, clock.ticks_s() + min(1.0, self.poll_s / 4))
