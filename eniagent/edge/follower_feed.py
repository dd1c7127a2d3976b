"""The feed: one journalctl kept running at a place, started again where it ends, and the gaps in what it gave.

Refuses to start it again and again at once, and to stay for ever at a place where it ends each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.commands import locate
from eniagent.edge.errors import reason
from eniagent.edge.follower_child import Child, arguments
from eniagent.edge.follower_lines import Line, Lines
from eniagent.edge.follower_place import CURSOR_GONE, UNREADABLE, Place, crossed, is_before, jumped
from eniagent.edge.follower_programs import Program, matches, names
from eniagent.edge.journal import Mark, first_mark, tool_of
from eniagent.edge.journal_pipe import Pipe, complaint
from eniagent.model.capture import CaptureCut
from eniagent.model.chronicle import Gap
from eniagent.model.reading import Why
from eniagent.sources.journal_fold import time_of

BACK_OFF_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
SKIP_AFTER = (3, 6)
"""Ends without an entry after which the place is given up: first its cursor (go on by time), then what lies before now."""
FIRST_S, SETTLE_S = 2.0, 0.05
"""How long a new child may take for its first word, and the silence after which the journal counts as read to its end."""
LOOK_S, SILENT_S = 60.0, 900.0
_ASK_S = 5.0
_NO_CURSOR = "seek to cursor"
"""journalctl's own words. Source: systemd v219 to v257, journalctl.c."""


class Feed:
    """Lines from a place on. `last`: the newest entry given. `gaps`: what was found missing, for the caller to take.

    Of a place without a cursor only the time is known: the window is read from its start.
    """

    def __init__(self, followed: Mapping[str, Program], *, journal_dir: Optional[str], window_s: float, last: Place, reach_us: int) -> None:
        self.last, self.reach_us = last, reach_us
        self.gaps: list[Gap] = []
        self.down: Optional[CaptureCut] = None
        self.heard: set[str] = set()
        """Programs of which the journal holds an entry, seen when the feed began."""
        self._followed, self._window_s = followed, window_s
        self._where = ("--directory", journal_dir) if journal_dir else ()
        self._lines = Lines(names(followed))
        self._child: Optional[Child] = None
        self._awaited = b""
        self._edge: Optional[Place] = None
        self._ends, self._not_before_s = 0, 0.0
        self._heard_s = self._looked_s = clock.ticks_s()

    @property
    def pid(self) -> Optional[int]:
        """journalctl's process id."""
        return self._child.pid if self._child is not None else None

    @property
    def garbled(self) -> int:
        """Entries that could not be taken apart."""
        return self._lines.garbled

    def close(self) -> None:
        """End journalctl."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def read(self, deadline: Deadline) -> Optional[list[Line]]:
        """The next lines; None where the end of the journal was reached, or journalctl is down."""
        if self._child is None and not self._start():
            return None
        assert self._child is not None
        waiting = self._awaited and clock.ticks_s() - self._heard_s < FIRST_S
        piece = self._child.read(timeout_s=min(FIRST_S, deadline.remaining_s) if waiting else SETTLE_S)
        if piece is None:
            return None
        if not piece:
            self._ended(self._child.end())
            return None
        lines = self._lines.feed(piece)
        if not lines:
            return []
        if self._awaited or self._edge is not None:
            lines = self._check_place(lines)
        self._ends, self._heard_s = 0, clock.ticks_s()
        if lines:
            self.last = Place(*lines[-1][:2])
        return lines

    def _check_place(self, lines: list[Line]) -> list[Line]:
        """Whether the stream goes on where the last one stopped; the entry at the place itself was given already."""
        first = Place(*lines[0][:2])
        if self._awaited:
            awaited, self._awaited = self._awaited, b""
            if first.cursor == awaited:
                return lines[1:]
            self._note(jumped(self.last, first))
        last = self.last
        for line in lines if self._edge is not None else ():
            here = Place(*line[:2])
            if self._edge is not None and not is_before(here, self._edge):
                self._note(crossed(last, here))
                self._edge = None
                break
            last = here
        return lines

    def _note(self, gap: Optional[Gap]) -> None:
        if gap is not None:
            self.gaps.append(gap)

    def _start(self) -> bool:
        """Start journalctl at our place, unless it ended a moment ago."""
        if clock.ticks_s() < self._not_before_s:
            return False
        try:
            path = locate("journalctl")
            if path is None:
                raise CaptureCut(Why.NOT_INSTALLED, "journalctl: no such command")
            if not self.reach_us or self.down is not None:
                self._ask_around(path)
            begin = self._begin()
            self._child = Child(arguments(tool_of(path), where=self._where, matches=matches(self._followed), begin=begin))
        except CaptureCut as cut:
            self._ended(cut)
            return False
        except OSError as error:
            why, detail = reason(error)
            self._ended(CaptureCut(why, f"journalctl: {detail}"))
            return False
        self._lines.begin()
        self._heard_s, self.down = clock.ticks_s(), None
        return True

    def _begin(self) -> str:
        """The argument that says where. A place at which journalctl ended again and again is left."""
        self._awaited = b""
        if self.last.cursor and self._ends < SKIP_AFTER[0]:
            self._awaited = self.last.cursor
            return f"--cursor={self.last.cursor.decode('ascii', 'replace')}"
        now = clock.now()
        opens_us = int((now.timestamp() - self._window_s) * 1e6)
        if not self.last.at_us:
            return _since(opens_us)
        if not self.last.cursor:
            return _since(min(opens_us, self.last.at_us))
        if self._ends < SKIP_AFTER[1]:
            return _since(self.last.at_us + 1)
        why = self.down.detail if self.down is not None else ""
        self._note(Gap(UNREADABLE, time_of(self.last.at_us), now, None, f"journalctl ends at this place: {why}"))
        self.last = self.last._replace(at_us=int(now.timestamp() * 1e6))
        return _since(self.last.at_us)

    def _ended(self, cut: CaptureCut) -> None:
        """journalctl is down; the next start waits a little longer each time."""
        self._child, self.down = None, cut
        if _NO_CURSOR in cut.detail and self._ends < SKIP_AFTER[0]:
            # It will not take this text the next time either.
            self._note(Gap(CURSOR_GONE, time_of(self.last.at_us), None, None, cut.detail))
            self._ends = SKIP_AFTER[0]
            return
        self._not_before_s = clock.ticks_s() + BACK_OFF_S[min(self._ends, len(BACK_OFF_S) - 1)]
        self._ends += 1

    def _ask_around(self, path: str) -> None:
        """How far back the journal reaches, and whose entries it holds. Raises `CaptureCut`, `OSError`."""
        said: list[str] = []
        oldest = self._ask(path, (), said, newest=False)
        for name, program in self._followed.items():
            if name not in self.heard and self._ask(path, program.matches, said, newest=True) is not None:
                self.heard.add(name)
        found = complaint("; ".join(dict.fromkeys(said)), exit_code=0)
        if found is not None and found.why is not Why.MALFORMED and not self.heard:
            raise found
        if oldest is not None:
            self.reach_us = min(self.reach_us or oldest.at_us, oldest.at_us)
            if not self.last.cursor and 0 < self.last.at_us < oldest.at_us:
                self._note(Gap(CURSOR_GONE, time_of(self.last.at_us), time_of(oldest.at_us), None, "the journal begins later"))

    def _ask(self, path: str, wanted: tuple[str, ...], said: list[str], *, newest: bool) -> Optional[Mark]:
        """The oldest or newest entry of those wanted. Not quiet, so that journalctl tells what it cannot see."""
        argv = (path, *self._where, "--no-pager", "--output=export", *(("--lines=1",) if newest else ()), *wanted)
        return first_mark(Pipe(argv, deadline=Deadline(_ASK_S), ahead_bytes=1), said)

    def look_around(self, *, lag_s: float) -> None:
        """Far behind: were files removed before they were read? Long silent: does journalctl still see what is written?"""
        now_s = clock.ticks_s()
        behind, silent = lag_s > LOOK_S, now_s - self._heard_s > SILENT_S
        path = locate("journalctl") if (behind or silent) and now_s - self._looked_s > LOOK_S else None
        if path is None or self._child is None:
            return
        self._looked_s = now_s
        try:
            mark = self._ask(path, () if behind else matches(self._followed), [], newest=not behind)
        except OSError:
            return
        if mark is None:
            return
        place = Place(mark.cursor, mark.at_us)
        if behind and is_before(self.last, place):
            self._edge = place
        elif silent:
            self._heard_s = now_s
            if place.cursor != self.last.cursor:
                # It follows files that nobody writes to any more.
                self.close()


def _since(at_us: int) -> str:
    return f"--since=@{at_us // 1000000}.{at_us % 1000000:06d}"
