"""A log's fold whose window moves on: lines are fed as they come, what falls out at the beginning is forgotten.

Refuses to forget the last pool action, however old: the decisive line may be minutes older than the window. What it tells equals
what a single fold over the same window tells, but for counts, which move on by whole minutes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Optional

from eniagent.knowledge import signatures
from eniagent.model.record import Event, Log
from eniagent.sources import Span
from eniagent.sources.frames import parse_frame
from eniagent.sources.log_fold import FIRST_KEPT, NEWEST_KEPT, LogFold, make_event, order, whole_lines

REFRESH_S = 600.0
"""A log in which nothing of interest happens is told anew after this time, so that its end moves on."""

BLOCK_BYTES = 1 << 17
"""Smaller than a single fold takes them: what a process that stays once needed, it keeps."""


SAID_KEPT = 512
_NEW = object()


class _Line:
    """A line that a signature matched; parsed when it is first asked for, and then no more."""

    __slots__ = ("_line", "ref", "_event", "_parsed", "near")

    def __init__(self, line: bytes, ref: str, near: Optional[datetime]) -> None:
        self._line, self.ref, self.near = line, ref, near
        self._event: Optional[Event] = None
        self._parsed = False

    def event(self, program: str) -> Optional[Event]:
        if not self._parsed:
            frame = parse_frame(self._line)
            self._event, self._parsed, self._line = make_event(program, frame, self.ref), True, b""
            self.near = frame.at or self.near
        return self._event


class LogWindow(LogFold):
    """The log of one program over a moving window. `needles`: texts of which every pool action leaves at least one."""

    def __init__(self, program: str, span: Span, *, needles: tuple[bytes, ...] = ()) -> None:
        super().__init__(program, span)
        self._needles = needles
        self._lines: dict[str, tuple[list[_Line], deque[_Line]]] = {}
        self._minutes: dict[int, dict[str, int]] = {}
        self._numbers: dict[str, int] = {}
        self._action_at: Optional[datetime] = None
        self._told: Optional[Log] = None
        self._told_at: Optional[datetime] = None
        self._stale = True
        self._said: dict[bytes, Any] = {}

    def feed(self, name: str, chunks: Iterable[bytes]) -> None:
        """More of one file, whole lines. Raises what `chunks` raises, after taking in what came before."""
        for block in whole_lines(chunks, size=BLOCK_BYTES):
            number = self._numbers.get(name, 0)
            self._cover(block[: block.find(b"\n") + 1 or None])
            if any(needle in block for needle in self._needles):
                # The block's beginning: rather a little too much is kept than the action's own line lost.
                self._action_at = self.until
            self._numbers[name] = number + self._block(name, block, number)
            self._cover(block.rstrip(b"\n").rsplit(b"\n", 1)[-1])

    def begin(self, name: str) -> None:
        """A new file of that name: its lines are counted from the first."""
        self._numbers[name] = 0

    def _block(self, name: str, block: bytes, number: int) -> int:
        """Line by line. The automatons that make a single fold fast hold 7 MB, more than all that the window keeps."""
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for line in lines:
            number += 1
            self._line(line, name, number)
        self.lines += len(lines)
        return len(lines)

    def signature_of(self, line: bytes) -> Optional[signatures.Signature]:
        """The first signature that matches a line. What a quiet ipamd says again and again is looked up."""
        said = line[line.find(b'"caller"') :]
        known = self._said.get(said, _NEW)
        if known is _NEW:
            found = signatures.scan_line(self.program, line.decode("latin-1"))
            if len(self._said) >= SAID_KEPT:
                self._said.clear()
            known = self._said[said] = found.signature if found is not None else None
        return known  # type: ignore[no-any-return]

    def _line(self, line: bytes, name: str, number: int) -> None:
        signature = self.signature_of(line)
        if signature is None:
            return
        at = self.until or self.span.until
        minute = self._minutes.setdefault(int(at.timestamp()) // 60, {})
        minute[signature.id] = minute.get(signature.id, 0) + 1
        if signature.role is signatures.Role.NOISE:
            return
        first, newest = self._lines.setdefault(signature.id, ([], deque(maxlen=NEWEST_KEPT)))
        (first if len(first) < FIRST_KEPT else newest).append(_Line(line, f"{name}:{number}", at))
        self._stale = True

    def move(self, span: Span) -> None:
        """The window is now this one."""
        self.span = span
        if span.since is None:
            return
        opens = span.since
        if self._action_at is not None and self._action_at < opens:
            opens = self._action_at
        for minute in [m for m in self._minutes if (m + 1) * 60 <= opens.timestamp()]:
            del self._minutes[minute]
            self._stale = True
        for name, (first, newest) in list(self._lines.items()):
            self._expire(first, newest, opens)
            if not first:
                del self._lines[name]

    def _expire(self, first: list[_Line], newest: deque[_Line], opens: datetime) -> None:
        while first and first[0].near is not None and first[0].near < opens:
            del first[0]
            if newest:
                first.append(newest.popleft())
            self._stale = True

    def log(self) -> Log:
        """The log over the window; the same object as before where nothing of interest changed."""
        fresh = self._told_at is None or abs((self.span.until - self._told_at).total_seconds()) < REFRESH_S
        if self._told is None or self._stale or not fresh:
            self._told, self._told_at, self._stale = self._tell(), self.span.until, False
        return self._told

    def _tell(self) -> Log:
        found = [e for first, newest in self._lines.values() for line in (*first, *newest) if (e := line.event(self.program)) is not None]
        events = [e for e in found if not (e.at and e.at > self.span.until)]
        events.sort(key=lambda e: (e.at is None, e.at or self.span.until, order(e.ref)))
        counts: dict[str, int] = {}
        for minute in self._minutes.values():
            for name, number in minute.items():
                counts[name] = counts.get(name, 0) + number
        since = self.since
        if since is not None and self.span.since is not None and since < self.span.since:
            since = min([self.span.since, *([self._action_at] if self._action_at else [])])
        return Log(
            program=self.program, events=tuple(events), counts=counts, since=since, until=self.until, form=self.form,
            lines=self.lines, garbled=self.garbled,
        )  # fmt: skip
