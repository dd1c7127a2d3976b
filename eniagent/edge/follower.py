"""Follows kubelet's and containerd's journals with one resident journalctl, and tells each cycle what is new.

Refuses to lose or to repeat a failure: its place is a text that the caller stores together with what it was given, and goes on
from there. What it could not read it tells as gaps. Its methods are for one thread, which must outlive it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Optional

import msgspec

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.follower_feed import Feed
from eniagent.edge.follower_lines import Line
from eniagent.edge.follower_place import HIDING, Place, confessed
from eniagent.edge.follower_programs import JOURNALD, programs, units
from eniagent.model.chronicle import Failure, Gap, Transition
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.model.record import Journal
from eniagent.sources.journal_fold import time_of
from eniagent.sources.journal_text import micros
from eniagent.sources.journal_window import Memory, Window

if TYPE_CHECKING:
    from eniagent.edge.history import History

CURSOR = "journal"
"""Name under which the bookmark is stored."""
WINDOW_S = 3600.0
UNSETTLED_MOST = 20_000
"""Failures that wait to be stored: beyond this the journal keeps the rest until they are."""
HIDING_KEPT = 64


class Bookmark(msgspec.Struct, frozen=True):
    """The follower's place, how far back it saw, whom it heard, what its next line may belong to, and the gaps of the window."""

    cursor: bytes = b""
    at_us: int = 0
    reach_us: int = 0
    heard: tuple[str, ...] = ()
    memories: dict[str, Memory] = {}
    hiding: tuple[Gap, ...] = ()


class Batch(msgspec.Struct, frozen=True):
    """What one `drain` gave. `kubelet`, `containerd`: the journals over the whole window, as a single reading would tell them.

    `failures`, `transitions` (pods that came up or went), `gaps`: all since the last batch that was settled. `bookmark` is to be
    stored with them, in one transaction. `lag_s`: age of the newest entry read, 0 where the end was reached. `more`: it was not.
    """

    kubelet: Reading[Journal]
    containerd: Reading[Journal]
    failures: tuple[Failure, ...]
    transitions: tuple[Transition, ...]
    gaps: tuple[Gap, ...]
    bookmark: str
    entries: int
    lag_s: float
    more: bool


class Follower:
    """See the module. `bookmark` "" begins at the window's start. `close` it, or journalctl ends with the process."""

    def __init__(
        self, *, journal_dir: Optional[str] = None, window_s: float = WINDOW_S, bookmark: str = "",
        journals: Optional[Mapping[str, Journal]] = None, failures: Iterable[Failure] = (),
    ) -> None:  # fmt: skip
        self._window_s = window_s
        self._programs = programs()
        self._units = units(self._programs)
        self._windows = {name: Window(name) for name in self._programs}
        self._failures: list[Failure] = []
        self._transitions: list[Transition] = []
        self._gaps: list[Gap] = []
        self._entries = 0
        mark = self._restore(read_bookmark(bookmark), journals or {}, list(failures))
        self._hiding = list(mark.hiding)
        self._feed = Feed(self._programs, journal_dir=journal_dir, window_s=window_s, last=Place(mark.cursor, mark.at_us), reach_us=mark.reach_us)
        self._feed.heard.update(mark.heard)

    @classmethod
    def resume(cls, history: History, *, journal_dir: Optional[str] = None, window_s: float = WINDOW_S) -> Follower:
        """Where the history says that an earlier process stopped."""
        bookmark, last = history.cursor(CURSOR), history.last_snapshot()
        journals = {}
        for name, reading in (("kubelet", last.kubelet), ("containerd", last.containerd)) if last is not None else ():
            if isinstance(reading, Observed):
                journals[name] = reading.value
        at = time_of(read_bookmark(bookmark).at_us)
        failures = history.failures(since=at - timedelta(seconds=window_s)) if at is not None else []
        return cls(journal_dir=journal_dir, window_s=window_s, bookmark=bookmark, journals=journals, failures=failures)

    @property
    def down(self) -> str:
        """Why journalctl is not running, empty where it is."""
        return f"{self._feed.down.why.value}: {self._feed.down.detail}" if self._feed.down is not None else ""

    @property
    def pid(self) -> Optional[int]:
        """journalctl's process id."""
        return self._feed.pid

    def close(self) -> None:
        """End journalctl."""
        self._feed.close()

    def drain(self, *, max_s: float = 3.0) -> Batch:
        """All that the journal holds beyond the last batch, as far as it can be read in `max_s`. Never raises."""
        deadline = Deadline(max_s)
        arrived_us = micros(clock.now())
        for window in self._windows.values():
            window.now_us = arrived_us
        more = True
        while not deadline.expired and self._unsettled() < UNSETTLED_MOST:
            lines = self._feed.read(deadline)
            if lines is None:
                more = False
                break
            self._take(lines)
        now = clock.now()
        lag_s = max(0.0, (micros(now) - self._feed.last.at_us) / 1e6) if (more or self._feed.down is not None) and self._feed.last.at_us else 0.0
        self._feed.look_around(lag_s=lag_s)
        return self._batch(now, lag_s=lag_s, more=more)

    def settle(self, batch: Batch) -> None:
        """The batch was stored. Until this is said its failures, transitions and gaps are given again with each batch."""
        del self._failures[: len(batch.failures)], self._transitions[: len(batch.transitions)], self._gaps[: len(batch.gaps)]

    def _unsettled(self) -> int:
        return len(self._failures) + sum(window.learned for window in self._windows.values())

    def _take(self, lines: list[Line]) -> None:
        """Fold lines into the windows."""
        counts = dict.fromkeys(self._windows, 0)
        last_us, cursor = 0, b""
        for cursor, at_us, name, message in lines:
            window = self._windows.get(name)
            if window is not None:
                window.until_us = at_us
                counts[name] += 1
                program = self._programs[name]
                if message is not None and program.keeps(message):
                    program.told(window, message, at_us, cursor)
            elif name == JOURNALD and message is not None:
                gap = confessed(message, at_us=at_us, last_us=last_us, units=self._units)
                self._feed.gaps += [gap] if gap is not None else []
            last_us = at_us
        self._entries += len(lines)
        for name, number in counts.items():
            if number:
                self._windows[name].seen(number, at_us=self._windows[name].until_us, cursor=cursor)

    def _batch(self, now: datetime, *, lag_s: float, more: bool) -> Batch:
        gaps, self._feed.gaps = self._feed.gaps, []
        self._gaps += gaps
        opens = now - timedelta(seconds=self._window_s)
        hiding = [gap for gap in (*self._hiding, *gaps) if gap.why in HIDING and (gap.until is None or gap.until >= opens)]
        self._hiding = hiding[-HIDING_KEPT:]
        told = [f"{gap.why}: {gap.detail}" for gap in hiding[-3:]]
        told += [f"behind by {lag_s:.0f} s"] if more else []
        told += [self.down] if self.down else []
        readings = {name: self._reading(name, now, since_us=micros(opens), cut="; ".join(told)) for name in self._windows}
        for window in self._windows.values():
            failures, transitions = window.take_learned()
            self._failures += failures
            self._transitions += transitions
        entries, self._entries = self._entries, 0
        return Batch(
            kubelet=readings["kubelet"], containerd=readings["containerd"], failures=tuple(self._failures), transitions=tuple(self._transitions),
            gaps=tuple(self._gaps), bookmark=self._bookmark(), entries=entries, lag_s=lag_s, more=more,
        )  # fmt: skip

    def _reading(self, name: str, now: datetime, *, since_us: int, cut: str) -> Reading[Journal]:
        window, source = self._windows[name], f"{name} journal"
        if not window.ever and name not in self._feed.heard:
            down = self._feed.down
            why, detail = (down.why, down.detail) if down is not None else (Why.NOT_COLLECTED, f"no entry of {name} in the journal")
            return Unobserved(why=why, source=source, at=now, detail=detail)
        window.since_us = self._feed.reach_us
        return Observed(window.journal(since_us=since_us, garbled=self._feed.garbled, cut=cut), source, now)

    def _bookmark(self) -> str:
        memories = {name: window.memory() for name, window in self._windows.items()}
        last, heard = self._feed.last, tuple(name for name, window in self._windows.items() if window.ever or name in self._feed.heard)
        return msgspec.json.encode(Bookmark(last.cursor, last.at_us, self._feed.reach_us, heard, memories, tuple(self._hiding))).decode()

    def _restore(self, mark: Bookmark, journals: Mapping[str, Journal], failures: list[Failure]) -> Bookmark:
        """Take up what an earlier process knew. Where its journals are gone the window is read again: what repeats is known by its id."""
        if set(mark.heard) - set(journals):
            return Bookmark(at_us=mark.at_us, hiding=mark.hiding)
        for name, window in self._windows.items() if mark.cursor else ():
            told = [failure for failure in failures if name in failure.programs]
            window.restore(journals.get(name), told, mark.memories.get(name, Memory()))
        return mark


def read_bookmark(text: str) -> Bookmark:
    """A stored place; one that is empty or damaged is none."""
    try:
        return msgspec.json.decode(text, type=Bookmark) if text else Bookmark()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Bookmark()
