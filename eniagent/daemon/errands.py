"""Work that must not hold a cycle: bundles of incidents, each made by a child process of its own, one at a time.

Refuses to wait for a child, to start more than the limits allow, and to let one run for ever.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections import deque
from collections.abc import Sequence
from typing import IO, NamedTuple, Optional

from eniagent.edge import clock
from eniagent.edge.commands import end_with_parent, kill_group
from eniagent.model.chronicle import Incident

LIMIT_S = 600.0
QUEUE_MOST = 8
REST_S = 600.0
"""Between two bundles of the same cause, at the same moment of its life."""
DAILY = 12
DAY_S = 86400.0
OUTPUT_BYTES = 1 << 16
_PATH = re.compile(rb"^ENIAGENT-BUNDLE path=(\S+)", re.MULTILINE)


class Errand(NamedTuple):
    """One bundle to be made. `moment`: opened or resolved."""

    incident: Incident
    moment: str


class Done(NamedTuple):
    """How an errand ended. `path` "": no bundle, and `problem` says why."""

    errand: Errand
    path: str
    problem: str
    took_s: float


class Errands:
    """`argv`: the command that makes a bundle and prints where it is; empty: none are made."""

    def __init__(self, argv: Sequence[str], *, limit_s: float = LIMIT_S, rest_s: float = REST_S) -> None:
        self._argv, self._limit_s, self._rest_s = tuple(argv), limit_s, rest_s
        self._queue: deque[Errand] = deque()
        self._begun_s: deque[float] = deque()
        self._last_s: dict[tuple[str, str], float] = {}
        self._errand: Optional[Errand] = None
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._output: Optional[IO[bytes]] = None
        self._since_s = 0.0

    @property
    def at_work(self) -> str:
        """What is being done, empty where nothing is."""
        return f"{self._errand.moment} {self._errand.incident.cause}" if self._errand is not None else ""

    def ask(self, errand: Errand) -> str:
        """Put it in the queue; returns why not, empty where it was."""
        if not self._argv:
            return "captures are off"
        key, now_s = (errand.incident.cause, errand.moment), clock.ticks_s()
        if now_s - self._last_s.get(key, float("-inf")) < self._rest_s:
            return f"the last bundle of {errand.incident.cause} is less than {self._rest_s:g} s old"
        while self._begun_s and now_s - self._begun_s[0] > DAY_S:
            self._begun_s.popleft()
        if len(self._begun_s) + len(self._queue) >= DAILY:
            return f"{DAILY} bundles were made within a day"
        if len(self._queue) >= QUEUE_MOST:
            return f"{QUEUE_MOST} bundles wait already"
        self._last_s[key] = now_s
        self._queue.append(errand)
        return ""

    def go_on(self) -> Optional[Done]:
        """Look after the child in hand, and start the next. Returns at once; what ended since the last time, if anything."""
        done = self._look_after() if self._child is not None else None
        if self._child is None and self._queue and done is None:
            done = self._start(self._queue.popleft())
        return done

    def _start(self, errand: Errand) -> Optional[Done]:
        self._errand, self._since_s = errand, clock.ticks_s()
        self._begun_s.append(self._since_s)
        try:
            # A file, not a pipe: nobody reads while it works, and a pipe that is full would hold it.
            self._output = tempfile.TemporaryFile(prefix="eniagent-errand-")  # noqa: SIM115 - closed when the child has ended
            self._child = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT, cwd="/", start_new_session=True,
                preexec_fn=end_with_parent(), env={**os.environ, "ENIAGENT_INCIDENT": f"{errand.incident.cause} {errand.moment}"},
            )  # fmt: skip
        except OSError as error:
            return self._end(path="", problem=f"cannot be started: {error.strerror or error}")
        return None

    def _look_after(self) -> Optional[Done]:
        assert self._child is not None and self._output is not None
        code = self._child.poll()
        if code is None:
            if clock.ticks_s() - self._since_s < self._limit_s:
                return None
            kill_group(self._child)
            return self._end(path="", problem=f"not done within {self._limit_s:g} s")
        said = os.pread(self._output.fileno(), OUTPUT_BYTES, 0)
        found = _PATH.search(said)
        last = said.decode("utf-8", "replace").strip().rpartition("\n")[2][-200:]
        return self._end(path=found[1].decode() if found else "", problem="" if found else f"exit {code}: {last}" if last else f"exit {code}")

    def _end(self, *, path: str, problem: str) -> Done:
        assert self._errand is not None
        done = Done(self._errand, path, problem, clock.ticks_s() - self._since_s)
        if self._output is not None:
            self._output.close()
        self._child = self._output = self._errand = None
        return done

    def close(self) -> None:
        """End what is in hand. What waited is asked for again when the incident is seen again."""
        self._queue.clear()
        if self._child is not None:
            with contextlib.suppress(OSError):
                kill_group(self._child)
            self._end(path="", problem="the daemon ends")
