"""The file that says that bundles wait for their upload; the unit that uploads is started by it.

Refuses to be the outbox: what waits stands in the history.
"""

from __future__ import annotations

import contextlib
import os

from eniagent.edge import clock
from eniagent.edge.history import History

LOOK_S = 300.0
"""How often the outbox is looked into while something waits there: the uploader empties it by itself."""


class OutboxFlag:
    """`path`: the file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._up, self._looked_s = True, float("-inf")

    def put_up(self) -> None:
        """Something was put into the outbox. Where the file cannot be made, the uploader's timer finds out later."""
        with contextlib.suppress(OSError):
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
            os.utime(self._path)
        self._up = True

    def look_after(self, history: History) -> None:
        """Put it up where an earlier process left something, take it down where nothing waits any more."""
        if not self._up or clock.ticks_s() - self._looked_s < LOOK_S:
            return
        self._looked_s = clock.ticks_s()
        if history.parcels():
            self.put_up()
            return
        self._up = False
        with contextlib.suppress(OSError):
            os.unlink(self._path)
