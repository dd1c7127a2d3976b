"""Fold a log's bytes into a `Log`: a combined pattern finds the lines that matter, only those are parsed.

Bounded: counts are exact, of each signature the first and the newest events are kept.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Optional

from eniagent.knowledge import ec2_errors, signatures
from eniagent.model.capture import Capture, CaptureCut, Seen
from eniagent.model.reading import Observed, Reading, Unobserved, Why, not_collected
from eniagent.model.record import Event, Log
from eniagent.sources import Span
from eniagent.sources.frames import Frame, parse_frame

FIRST_KEPT, NEWEST_KEPT = 16, 96
TEXT_LIMIT = 1000
KNOWN_KEPT = 4096
"""Messages whose signature is remembered: a storm repeats a few of them by the thousand."""
_NEW = object()
_REFUSALS = frozenset(("ec2-refused", "init-failed", "imds-failed", "iam-event", "host-network-failed", "limits-unknown", "imds-unseen-eni"))


def _options() -> Any:
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 32 << 20
    return options


@functools.cache
def _prefilter(program: str) -> Any:
    import re2

    return re2.compile(signatures.prefilter(program).encode(), _options())


@functools.cache
def _which(program: str) -> Any:
    """All signatures of a program as one automaton: a line in, the indices of those that match out."""
    import re2

    automaton = re2.Set.SearchSet(_options())
    for signature in signatures.of_program(program):
        automaton.Add(re.sub(r"[?]P<[^>]+>", "?:", signature.pattern).encode())
    automaton.Compile()
    return automaton


class _Kept:
    """The first and the newest lines of one signature, with where they stand; parsed only when the fold ends."""

    __slots__ = ("first", "newest")

    def __init__(self) -> None:
        self.first: list[tuple[bytes, str, int]] = []
        self.newest: deque[tuple[bytes, str, int]] = deque(maxlen=NEWEST_KEPT)

    def add(self, line: bytes, name: str, number: int) -> None:
        if len(self.first) < FIRST_KEPT:
            self.first.append((line, name, number))
        else:
            self.newest.append((line, name, number))


def make_event(program: str, frame: Frame, ref: str, *, likely: Optional[signatures.Signature] = None) -> Optional[Event]:
    """The event that a framed message tells, None where no signature names it. `likely` was found in the framed line and is tried first."""
    match = (signatures.match_of(likely, frame.message) if likely else None) or signatures.scan_line(program, frame.message)
    if match is None:
        return None
    fields = dict(match.fields)
    if match.signature.id in _REFUSALS:
        refused = ec2_errors.refusal(frame.message)
        if refused:
            fields.update({"code": refused.code, "operation": fields.get("operation") or refused.operation})
            fields["network"] = "1" if refused.network else ""
    if match.signature.id == "init-failed":
        inner = signatures.scan_line(program, fields.get("detail", ""))
        fields["inner"] = inner.signature.id if inner else ""
    return Event(signature=match.signature.id, at=frame.at, fields=fields, text=frame.message[:TEXT_LIMIT], ref=ref, program=program)


class LogFold:
    """Takes the pieces of one program's log files in order, oldest first; `log()` gives the result."""

    def __init__(self, program: str, span: Span) -> None:
        self.program, self.span = program, span
        self.counts: dict[str, int] = {}
        self.kept: dict[str, _Kept] = {}
        self.lines = self.garbled = 0
        self.since: Optional[datetime] = None
        self.until: Optional[datetime] = None
        self.form = ""
        self._known: dict[bytes, Any] = {}

    def feed(self, name: str, chunks: Iterable[bytes]) -> None:
        """All of one file. Raises what `chunks` raises, after taking in what came before."""
        number, rest = 0, b""
        try:
            for block in whole_lines(chunks):
                number += self._block(name, block, number)
                rest = block
        finally:
            if rest:
                self._cover(rest.rstrip(b"\n").rsplit(b"\n", 1)[-1])

    def _block(self, name: str, block: bytes, number: int) -> int:
        if number == 0:
            self._cover(block.split(b"\n", 1)[0])
        search = _prefilter(self.program).search
        at = counted_to = passed = 0
        while found := search(block, at):
            start = found.start()
            begin = block.rfind(b"\n", 0, start) + 1
            end = block.find(b"\n", start)
            end = len(block) if end < 0 else end
            passed += block.count(b"\n", counted_to, begin)
            counted_to = begin
            self._line(block[begin:end], name, number + passed + 1)
            at = end + 1
            if at >= len(block):
                break
        count = passed + block.count(b"\n", counted_to) + (0 if block.endswith(b"\n") else 1)
        self.lines += count
        return count

    def signature_of(self, line: bytes) -> Optional[signatures.Signature]:
        """The first signature that matches a line."""
        matched = _which(self.program).Match(line)
        return signatures.of_program(self.program)[min(matched)] if matched else None

    def _line(self, line: bytes, name: str, number: int) -> None:
        said = line[line.find(b'"caller"') :]  # What repeats from line to line stands after level and time.
        signature = self._known.get(said, _NEW)
        if signature is _NEW:
            signature = self.signature_of(line)
            if len(self._known) >= KNOWN_KEPT:
                self._known.clear()
            self._known[said] = signature
        if signature is None:
            return
        self.counts[signature.id] = self.counts.get(signature.id, 0) + 1
        if signature.role is not signatures.Role.NOISE:
            self.kept.setdefault(signature.id, _Kept()).add(line, name, number)

    def _cover(self, line: bytes) -> None:
        frame = parse_frame(line)
        self.form = self.form or frame.form
        if frame.at:
            self.since = frame.at if self.since is None else min(self.since, frame.at)
            self.until = frame.at if self.until is None else max(self.until, frame.at)

    def _event(self, line: bytes, ref: str, likely: signatures.Signature) -> Iterator[Event]:
        frame = parse_frame(line)
        self.garbled += not frame.form
        event = make_event(self.program, frame, ref, likely=likely)
        if event is not None and not (event.at and event.at > self.span.until):
            yield event

    def log(self) -> Log:
        """What was folded; events in the order in which they stand in the files."""
        events = [
            event
            for id_, kept in self.kept.items()
            for line, name, number in (*kept.first, *kept.newest)
            for event in self._event(line, f"{name}:{number}", signatures.BY_ID[id_])
        ]
        events.sort(key=lambda e: (e.at is None, e.at or self.span.until, order(e.ref)))
        return Log(
            program=self.program, events=tuple(events), counts=self.counts, since=self.since, until=self.until,
            form=self.form, lines=self.lines, garbled=self.garbled,
        )


def order(ref: str) -> tuple[str, int]:
    """Where a line stands among those of its file."""
    name, _, line = ref.rpartition(":")
    return name, int(line) if line.isdigit() else 0


def whole_lines(chunks: Iterable[bytes], *, size: int = 1 << 20) -> Iterator[bytes]:
    """Pieces that end at a line's end. A line without end is cut at 8 MiB: nothing writes such lines on purpose."""
    rest = b""
    for chunk in chunks:
        for at in range(0, len(chunk), size):
            rest += chunk[at : at + size]
            end = rest.rfind(b"\n")
            if end >= 0:
                yield rest[: end + 1]
                rest = rest[end + 1 :]
            elif len(rest) > 8 << 20:
                yield rest
                rest = b""
    if rest:
        yield rest


def read_log(program: str, stem: str, seen: Seen, span: Span) -> Reading[Log]:
    """The log of one program from all captures `logs/<stem>*`, rotations first."""
    captures = sorted((c for f, c in seen.items() if f.startswith(f"logs/{stem}")), key=_rotation)
    if not captures:
        return not_collected(f"{stem}.log")
    good = [c for c in captures if c.about.failure is None]
    if not good:
        about = captures[-1].about
        assert about.failure is not None
        return Unobserved(why=about.failure, source=about.file, at=about.at, detail=about.detail)
    fold, cut = LogFold(program, span), None
    for capture in good:
        try:
            fold.feed(capture.about.file, capture.chunks())
        except CaptureCut as error:
            cut = error
    log = fold.log()
    if cut is not None and not log.events:
        return Unobserved(why=cut.why, source=f"{stem}.log", at=span.until, detail=cut.detail)
    if log.lines and not log.form and not log.events:
        return Unobserved(why=Why.MALFORMED, source=f"{stem}.log", at=span.until, detail=f"{log.lines} lines in no form of {program}")
    return Observed(value=log, source=good[-1].about.file, at=span.until)


def _rotation(capture: Capture) -> tuple[int, str]:
    """Rotated files sort by the time in their names; the live file comes last."""
    name = capture.about.file
    return (1 if name.endswith(".log") and "-" not in name.rsplit("/", 1)[-1] else 0, name)
