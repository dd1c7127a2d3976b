"""One look at a live node: asks every source what to look at, takes the looks at once, and ends at the deadline.

Refuses to wait for anyone beyond the deadline: threads are never joined, and what has not come by then is told as not collected:
our own deadline says nothing of the node.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional, Protocol

from eniagent import sources
from eniagent.edge.clock import Deadline
from eniagent.edge.probes import DEADLINE, Taker, file_of, missed
from eniagent.edge.settings import Settings
from eniagent.model.capture import Capture
from eniagent.model.probe import Probe, ReadJournal, ReadLogs
from eniagent.model.reading import Reading, Unobserved, Why
from eniagent.model.snapshot import READINGS, NodeSnapshot
from eniagent.sources import Span

MARGIN_SHARE, MARGIN_S = 0.1, 1.0
"""Kept back of the deadline, so that streams that were cut can still be read to an answer."""


class Keeper(Protocol):
    """Who wants to keep what looks brought, as it was read: a bundle must tell what the diagnosis was made from."""

    def begin(self, span: Span, deadline: Deadline) -> Callable[[Capture], Capture]:
        """A look begins: each of its captures is handed over, and what is returned is read in its place."""


class Live(NamedTuple):
    """What a look gave: captures, the snapshot read from them, and the fields that the deadline cut off."""

    seen: dict[str, Capture]
    snapshot: NodeSnapshot
    missed: tuple[str, ...]


def look(
    settings: Settings, span: Span, deadline: Deadline, *, fields: Sequence[str] = READINGS, known: Optional[Mapping[str, Capture]] = None
) -> dict[str, Capture]:
    """Captures by file for the fields asked for. What is missing at the deadline is a capture that timed out.

    `known`: captures that are still good; they come back with the others, and are not taken again.
    """
    run = _Run(settings, span, deadline, fields=fields)
    run.seen.update(known or {})
    run.until_done(lambda field: None)
    return run.seen


def snapshot_live(settings: Settings, span: Span, deadline: Deadline, *, fields: Sequence[str] = READINGS) -> NodeSnapshot:
    """The snapshot of a live node."""
    return observe(settings, span, deadline, fields=fields).snapshot


def observe(settings: Settings, span: Span, deadline: Deadline, *, fields: Sequence[str] = READINGS, keeper: Optional[Keeper] = None) -> Live:
    """Look and read. Logs and journals are read while other looks are under way; the rest is read when all are in."""
    run = _Run(settings, span, deadline.before_end(min(MARGIN_S, MARGIN_SHARE * deadline.remaining_s)), fields=fields)
    if keeper is not None:
        run.kept = keeper.begin(span, run.deadline)
    streams = _Streams(run.seen, span)
    run.until_done(lambda field: streams.start(field) if field in run.streamed else None)
    cut = run.deadline.expired
    readings = {field: sources.read_field(field, run.seen, span) for field in fields if field not in run.streamed}
    readings.update(streams.collect(sorted(run.streamed), deadline=deadline))
    for field, why in run.faults.items():
        readings[field] = Unobserved(why=Why.MALFORMED, source=field, at=span.until, detail=why)
    for field in run.unfinished:
        reading = readings[field]
        if isinstance(reading, Unobserved) and reading.why is Why.NOT_COLLECTED:
            readings[field] = Unobserved(why=Why.NOT_COLLECTED, source=reading.source, at=span.until, detail=DEADLINE)
    lacking = tuple(field for field in fields if _is_cut(readings[field], cut=cut))
    return Live(run.seen, NodeSnapshot(taken_at=span.until, since=span.since, told={}, timeless=False, **readings), lacking)


def _is_cut(reading: Reading[Any], *, cut: bool) -> bool:
    if isinstance(reading, Unobserved):
        return reading.detail == DEADLINE or (cut and reading.why is Why.TIMED_OUT)
    return DEADLINE in getattr(reading.value, "cut", "")


def _as_it_is(capture: Capture) -> Capture:
    return capture


class _Run:
    """The looks of one run: which are under way, which came back, and who waits for them."""

    def __init__(self, settings: Settings, span: Span, deadline: Deadline, *, fields: Sequence[str]) -> None:
        self.deadline = deadline
        self.seen: dict[str, Capture] = {}
        self.streamed: set[str] = set()
        self.faults: dict[str, str] = {}
        self.unfinished: set[str] = set(fields)
        self.kept: Callable[[Capture], Capture] = _as_it_is
        self._taker = Taker(settings, span, deadline)
        self._asked: set[Probe] = set()
        self._under_way: set[Probe] = set()
        self._waits: dict[str, set[Probe]] = {field: set() for field in fields}
        self._back: queue.SimpleQueue[tuple[Probe, dict[str, Capture]]] = queue.SimpleQueue()

    def until_done(self, ready: Callable[[str], None]) -> None:
        """Take all looks; `ready` is told each field whose looks are all in. Returns at the deadline at the latest."""
        for field in list(self._waits):
            self._advance(field, ready)
        while self._under_way:
            try:
                probe, captures = self._back.get(timeout=max(0.0, self.deadline.remaining_s))
            except queue.Empty:
                break
            self.seen.update((file, self.kept(capture)) for file, capture in captures.items())
            self._under_way.discard(probe)
            for field in [field for field, waits in self._waits.items() if probe in waits]:
                self._waits[field].discard(probe)
                if not self._waits[field]:
                    self._advance(field, ready)
        for probe in self._under_way:
            if file_of(probe) not in self.seen:
                self.seen[file_of(probe)] = self.kept(missed(probe))
        for field in sorted(self.unfinished & self.streamed):
            ready(field)

    def _advance(self, field: str, ready: Callable[[str], None]) -> None:
        """Ask the source what it still wants; start what nobody has asked for yet."""
        try:
            wanted = set(sources.source(field).plan(dict(self.seen)))
        except Exception as error:  # noqa: BLE001 - a source's fault costs its own field alone
            self.faults[field] = f"plan failed: {type(error).__name__}: {error}"
            wanted = set()
        if any(isinstance(probe, (ReadJournal, ReadLogs)) for probe in wanted):
            self.streamed.add(field)
        for probe in wanted - self._asked:
            self._asked.add(probe)
            self._under_way.add(probe)
            threading.Thread(target=self._take, args=(probe,), name=f"look {file_of(probe)}", daemon=True).start()
        self._waits[field] = wanted & self._under_way
        if not self._waits[field]:
            self.unfinished.discard(field)
            ready(field)

    def _take(self, probe: Probe) -> None:
        self._back.put((probe, self._taker.take(probe)))


class _Streams:
    """Readings of logs and journals, each taken in a thread of its own as soon as its captures are there."""

    def __init__(self, seen: dict[str, Capture], span: Span) -> None:
        self._seen, self._span = seen, span
        self._begun: set[str] = set()
        self._done: queue.SimpleQueue[tuple[str, Reading[Any]]] = queue.SimpleQueue()

    def start(self, field: str) -> None:
        """Begin to read one field from what has been captured so far."""
        if field not in self._begun:
            self._begun.add(field)
            threading.Thread(target=self._read, args=(field, dict(self._seen)), name=f"read {field}", daemon=True).start()

    def _read(self, field: str, seen: dict[str, Capture]) -> None:
        self._done.put((field, sources.read_field(field, seen, self._span)))

    def collect(self, fields: Sequence[str], *, deadline: Deadline) -> dict[str, Reading[Any]]:
        """The readings of these fields; one that is not there at the deadline timed out."""
        found: dict[str, Reading[Any]] = {}
        while len(found) < len(fields):
            item = self._next(deadline)
            if item is None:
                break
            found[item[0]] = item[1]
        for field in fields:
            if field not in found:
                found[field] = Unobserved(why=Why.NOT_COLLECTED, source=field, at=self._span.until, detail=DEADLINE)
        return found

    def _next(self, deadline: Deadline) -> Optional[tuple[str, Reading[Any]]]:
        try:
            return self._done.get(timeout=max(0.0, deadline.remaining_s))
        except queue.Empty:
            return None
