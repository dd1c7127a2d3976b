"""Reads a journal through journalctl: finds the unit, filters as early as it can, and streams what is left.

Refuses to let an empty answer pass for a quiet journal: the stream begins with the journal's oldest entry and ends with the
program's newest one (both without their messages), so that a reader knows how far back it reaches and that it saw the program.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Optional

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.commands import locate
from eniagent.edge.commands import run as run_to_end
from eniagent.edge.errors import reason
from eniagent.edge.journal_filter import keep
from eniagent.edge.journal_pipe import Pipe, complaint
from eniagent.model.capture import Capture, CaptureCut, Circumstances
from eniagent.model.probe import ReadJournal
from eniagent.model.reading import Why
from eniagent.sources import Span

SPLIT_S = 600.0
"""A window longer than this is read by two journalctl at once, each its half: one alone is bound by one core."""
AHEAD_BYTES = (2 << 20, 8 << 20)
"""How far the first and the later half may run ahead of the reader."""
STEP_US = 2_000_000
"""A wall clock that moved this much more or less than the monotonic one was stepped: journalctl's --until would stop at the step."""
FIELDS_SINCE, GREP_SINCE = 236, 237
"""systemd releases that brought --output-fields and --grep. Source: systemd NEWS."""

_NO_OUTPUT_LIMIT_BYTES = 1 << 16


class Tool(NamedTuple):
    """This machine's journalctl."""

    path: str
    release: int
    greps: bool


class Mark(NamedTuple):
    """Place and time of one entry. Times in microseconds."""

    cursor: bytes
    at_us: int
    monotonic_us: int
    boot: bytes


def capture_journal(probe: ReadJournal, *, span: Span, journal_dir: Optional[str], deadline: Deadline) -> Capture:
    """The journal as a lazy stream in export format; journalctl is at work from this call on. Never raises."""
    at = clock.now()
    told = f"journalctl {' '.join(f'-u {unit}' for unit in probe.units)}"
    try:
        path = locate("journalctl")
        if path is None:
            raise CaptureCut(Why.NOT_INSTALLED, "journalctl: no such command")
        look = _Look(tool_of(path), probe, span=span, journal_dir=journal_dir, deadline=deadline)
        look.begin()
    except CaptureCut as cut:
        return Capture(Circumstances(probe=told, file=probe.file, at=at, failure=cut.why, detail=cut.detail))
    except OSError as error:
        why, detail = reason(error)
        return Capture(Circumstances(probe=told, file=probe.file, at=at, failure=why, detail=f"journalctl: {detail}"))
    return Capture(Circumstances(probe=told, file=probe.file, at=at, detail=look.warnings), look.pieces)


@functools.lru_cache(maxsize=4)
def tool_of(path: str) -> Tool:
    """Release and abilities, asked once."""
    outcome = run_to_end((path, "--version"), deadline=Deadline(3.0), limit_bytes=_NO_OUTPUT_LIMIT_BYTES)
    text = outcome.stdout.decode("utf-8", "replace")
    found = re.search(r"systemd (\d+)", text)
    release = int(found[1]) if found else 0
    return Tool(path, release, release >= GREP_SINCE and re.search(r"(?<!\S)\+PCRE2\b", text) is not None)


class _Look:
    """One reading of one program's journal."""

    def __init__(self, tool: Tool, probe: ReadJournal, *, span: Span, journal_dir: Optional[str], deadline: Deadline) -> None:
        self.warnings = ""
        self._tool, self._probe, self._span, self._deadline = tool, probe, span, deadline
        self._where = ("--directory", journal_dir) if journal_dir else ()
        self._matches: tuple[str, ...] = tuple(f"_SYSTEMD_UNIT={unit}" for unit in probe.units)
        self._oldest: Optional[Mark] = None
        self._newest: Optional[Mark] = None
        self._begun: list[Pipe] = []

    def begin(self) -> None:
        """Find the program's entries and start to read them. Raises `CaptureCut` where there is nothing to read."""
        identifiers = tuple(f"SYSLOG_IDENTIFIER={name}" for name in self._probe.identifiers)
        asked = [
            self._ask(lines=None, matches=()),
            self._ask(lines=1, matches=self._matches),
            self._ask(lines=None, matches=self._matches, since=self._span.since),
        ]
        said: list[str] = []
        self._oldest, self._newest, first = (first_mark(pipe, said) for pipe in asked)
        if self._newest is None:
            self._matches = identifiers
            self._newest = first_mark(self._ask(lines=1, matches=self._matches), said)
            first = None
        self.warnings = "; ".join(dict.fromkeys(line for line in said if line))[-600:]
        if self._newest is None:
            raise self._nothing()
        self._begun = self._start(first)

    def _nothing(self) -> CaptureCut:
        """Why not one entry of the program is to be seen."""
        if self._deadline.expired:
            return CaptureCut(Why.TIMED_OUT, "deadline: journalctl had not ended")
        names = " or ".join((*self._probe.units, *self._probe.identifiers))
        cut = complaint(self.warnings, exit_code=0)
        if cut is not None:
            return CaptureCut(cut.why, f"no entry of {names}: {cut.detail}")
        hint = "" if os.geteuid() == 0 else "; without root only members of systemd-journal see other users' entries"
        return CaptureCut(Why.FORBIDDEN if hint else Why.NOT_COLLECTED, f"no entry of {names} in the journal{hint}")

    def _ask(self, *, lines: Optional[int], matches: Sequence[str], since: Optional[datetime] = None) -> Pipe:
        """A journalctl of which only the first entry is wanted. Not quiet, so that it tells what it cannot see."""
        argv = [self._tool.path, *self._where, "--no-pager", "--output=export", *self._fields("_BOOT_ID")]
        argv += [f"--lines={lines}"] if lines else []
        argv += [f"--since={_moment(since)}"] if since else []
        return Pipe((*argv, *matches), deadline=self._deadline, ahead_bytes=1)

    def _fields(self, name: str) -> tuple[str, ...]:
        return (f"--output-fields={name}",) if self._tool.release >= FIELDS_SINCE else ()

    def _start(self, first: Optional[Mark]) -> list[Pipe]:
        """The journalctl that read the window, all at work at once."""
        middle = self._middle(first)
        halves = ((self._span.since, None),) if middle is None else ((self._span.since, middle), (middle, None))
        pipes: list[Pipe] = []
        for number, (since, until) in enumerate(halves):
            argv = [self._tool.path, *self._where, "--no-pager", "--quiet", "--output=export", *self._fields("MESSAGE")]
            if since is not None:
                # Both ends are inclusive: the second half begins one microsecond later.
                argv.append(f"--since={_moment(since) if isinstance(since, datetime) else _micros(since + 1)}")
            if until is not None:
                argv.append(f"--until={_micros(until)}")
            if self._tool.greps and self._probe.grep:
                argv += [f"--grep={self._probe.grep}", "--case-sensitive=yes"]
            pipes.append(Pipe((*argv, *self._matches), deadline=self._deadline, ahead_bytes=AHEAD_BYTES[min(number, 1)]))
        return pipes

    def _middle(self, first: Optional[Mark]) -> Optional[int]:
        """Where to halve the window; None where it is short, or where the clock was stepped within it."""
        last = self._newest
        if first is None or last is None or last.at_us - first.at_us < SPLIT_S * 1e6 or (os.cpu_count() or 1) < 2:
            return None
        if first.boot != last.boot or abs((last.at_us - first.at_us) - (last.monotonic_us - first.monotonic_us)) > STEP_US:
            return None
        return (first.at_us + last.at_us) // 2

    def pieces(self) -> Iterator[bytes]:
        """The stream: oldest entry of all, the window's entries, newest entry of the program."""
        pipes, self._begun = self._begun or self._start(None), []
        cut: Optional[CaptureCut] = None
        try:
            yield _mark_text(self._oldest)
            for pipe in pipes:
                stream = pipe.pieces()
                try:
                    yield from stream if self._tool.greps or not self._probe.grep else keep(stream, self._probe.grep)
                except CaptureCut as broken:
                    # The later half is worth more than the earlier one: what it has read ahead is still told.
                    cut = cut or broken
                    yield b"\n\n"
            yield _mark_text(self._newest)
        finally:
            for pipe in pipes:
                pipe.close()
        if cut is not None:
            raise cut
        said = "; ".join(dict.fromkeys(filter(None, (self.warnings, *(pipe.told() for pipe in pipes)))))
        # journalctl ends with 1 when no entry matched the pattern: no failure where it says nothing.
        cut = complaint(said, exit_code=max(pipe.exit for pipe in pipes) if said else 0)
        if cut is not None:
            raise cut


def first_mark(pipe: Pipe, said: list[str]) -> Optional[Mark]:
    """The first entry that a journalctl prints, which is then ended; None where it prints none."""
    data = b""
    for piece in pipe.pieces():
        data += piece
        if b"\n\n" in data:
            pipe.close()
            break
    said.append(pipe.told())
    fields = dict(line.partition(b"=")[::2] for line in data.split(b"\n\n", 1)[0].split(b"\n"))
    if b"__REALTIME_TIMESTAMP" not in fields:
        return None
    return Mark(fields.get(b"__CURSOR", b""), int(fields[b"__REALTIME_TIMESTAMP"]), int(fields.get(b"__MONOTONIC_TIMESTAMP", b"0")), fields.get(b"_BOOT_ID", b""))


def _mark_text(mark: Optional[Mark]) -> bytes:
    """An entry that tells its place and time and no message."""
    return b"__CURSOR=%s\n__REALTIME_TIMESTAMP=%d\n\n" % (mark.cursor, mark.at_us) if mark is not None else b""


def _moment(at: datetime) -> str:
    return f"@{at.timestamp():.6f}"


def _micros(at_us: int) -> str:
    return f"@{at_us // 1000000}.{at_us % 1000000:06d}"
