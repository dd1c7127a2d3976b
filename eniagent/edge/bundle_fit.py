"""Fits a stream into its share of the bundle: all of it where there is room, else its head, its tail, and from between what counts.

What a reading cites is kept before any cap, then every line that a reader could use, as long as it fits. In a log each line that is
left out leaves an empty one, so that `file:line` stays true. Refuses to leave out in silence: `Told` says how many lines of what sort.
"""

from __future__ import annotations

import bisect
import functools
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Optional

import msgspec

from eniagent.knowledge import signatures
from eniagent.model.finding import Diagnosis
from eniagent.model.reading import Observed
from eniagent.model.record import Event, Journal, Log
from eniagent.model.snapshot import Case
from eniagent.redact.walk import visit

HEAD_SHARE, BETWEEN_SHARE, TAIL_SHARE = 0.4, 0.2, 0.35
BLOCK_BYTES = 256 << 10
SAMPLED = 8
LINE_LIMIT_BYTES = 8 << 20
_CURSOR = re.compile(rb'^\{"__CURSOR":"([^"]*)"')
_REF = re.compile(r"(logs/[^:]+):(\d+)$")


class Told(msgspec.Struct):
    """What became of a stream's lines. `lost`: lines that a reader could use and that are not there; `dropped`: all others."""

    lost: int = 0
    dropped: int = 0
    why: str = ""

    @property
    def truncated(self) -> bool:
        """Whether a reading of what is there may differ from one of the whole."""
        return self.lost > 0

    @property
    def how(self) -> str:
        """In words, empty where all is there."""
        parts = [f"{self.lost} lines that a reader could use are left out"] if self.lost else []
        parts += [f"{self.dropped} other lines are left out"] if self.dropped else []
        return "; ".join([*parts, self.why] if parts and self.why else parts)


class Room(msgspec.Struct, frozen=True):
    """How much of a stream may stay. `plain_bytes` bounds what is read into the bundle, `packed_bytes` what it takes there."""

    plain_bytes: int
    packed_bytes: int


def cited(case: Case, diagnosis: Diagnosis) -> dict[str, set[bytes]]:
    """File of the captures -> the places in it that readings or evidence cite: line numbers of logs, cursors of journals."""
    found: dict[str, set[bytes]] = {}
    refs = {(event.program, event.ref) for event in _events(case)}
    refs |= {("", seen.value) for seen in visit(diagnosis) if seen.field == "ref"}
    for program, ref in refs:
        line = _REF.match(ref)
        if line is not None:
            found.setdefault(line[1], set()).add(line[2].encode())
        elif ref:
            for file in ("journal/kubelet.jsonl", "journal/containerd.jsonl"):
                if program in ("", file[8:-6]):
                    found.setdefault(file, set()).add(ref.encode())
    return found


def _events(case: Case) -> Iterator[Event]:
    for reading in (case.now.ipamd_log, case.now.plugin_log, case.now.kubelet, case.now.containerd):
        value: Optional[Any] = reading.value if isinstance(reading, Observed) else None
        if isinstance(value, (Log, Journal)):
            yield from value.events
        if isinstance(value, Journal):
            yield from (trouble.newest for trouble in value.pods)


@functools.lru_cache(maxsize=4)
def _useful(program: str) -> Any:
    """The lines of a log that a reader could use, as one automaton."""
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 32 << 20
    return re2.compile(signatures.prefilter(program).encode(), options)


class Fit:
    """Fits one stream of `size` plain bytes. What it will take in the bundle is estimated from every `SAMPLED`th block, so that the
    same stream is fitted the same way each time."""

    def __init__(self, file: str, *, size: int, room: Room, cited: Iterable[bytes]) -> None:
        self.told = Told()
        self._file, self._size, self._room = file, size, room
        self._is_log = file.startswith("logs/")
        self._cursors = set(cited)
        self._numbers = sorted(int(text) for text in cited) if self._is_log else []
        self._passed = self._line = self._blocks = 0
        self._packed, self._ratio, self._head_packed = 0.0, 1.0, 0.0
        self._tail_at: Optional[int] = None

    def pieces(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """What stays, in order. What `chunks` raises goes through."""
        for block in whole_lines(chunks):
            if self._tail_at is None and self._is_full(len(block)):
                self._plan_tail()
            thin = self._tail_at is not None and (self._passed < self._tail_at or self._packed > self._room.packed_bytes)
            kept = self._thinned(block) if thin else block
            self._weigh(kept, whole=not thin)
            self._passed += len(block)
            self._line += block.count(b"\n")
            if kept:
                yield kept

    def _weigh(self, kept: bytes, *, whole: bool) -> None:
        if not whole or self._blocks % SAMPLED == 0:
            size = packed_size(kept)
            self._ratio = max(1.0, len(kept) / size) if whole and size else self._ratio
            self._packed += size
        else:
            self._packed += len(kept) / self._ratio
        self._blocks += whole

    def _is_full(self, size: int) -> bool:
        """Whether the head has had its share and the rest is too much."""
        room = self._room
        if not self._passed or (self._size <= room.plain_bytes and self._packed + (self._size - self._passed) / self._ratio <= room.packed_bytes):
            return False
        return self._passed + size > room.plain_bytes * HEAD_SHARE or self._packed > room.packed_bytes * HEAD_SHARE

    def _plan_tail(self) -> None:
        tail = min(self._room.plain_bytes * TAIL_SHARE, self._room.packed_bytes * TAIL_SHARE * self._ratio)
        self._tail_at = max(self._passed, int(self._size - tail))
        self._head_packed = self._packed

    def _thinned(self, block: bytes) -> bytes:
        """A block without the lines that do not count."""
        return self._thinned_log(block) if self._is_log else self._cited_entries(block)

    def _thinned_log(self, block: bytes) -> bytes:
        lines = block.split(b"\n")
        first = self._line + 1
        keep = {number - first for number in self._numbers[bisect.bisect_left(self._numbers, first) : bisect.bisect_left(self._numbers, first + len(lines))]}
        if self._passed + len(block) >= self._size:
            # A log's last line stays: a reader takes its time for the log's end.
            keep.add(len(lines) - (1 if lines[-1] else 2))
        useful = set(self._useful_lines(block)) - keep
        if self._packed - self._head_packed < self._room.packed_bytes * BETWEEN_SHARE:
            keep |= useful
        else:
            self.told.lost += len(useful)
        there = sum(1 for line in lines if line)
        kept = sum(1 for number in keep if 0 <= number < len(lines) and lines[number])
        self.told.dropped += there - kept - (0 if useful <= keep else len(useful))
        return b"\n".join([line if number in keep else b"" for number, line in enumerate(lines)])

    def _useful_lines(self, block: bytes) -> Iterator[int]:
        number = at = 0
        program = "ipamd" if self._file.startswith("logs/ipamd") else "plugin"
        for found in _useful(program).finditer(block):
            number += block.count(b"\n", at, found.start())
            at = found.start()
            yield number

    def _cited_entries(self, block: bytes) -> bytes:
        """Entries of a journal: all of them count, the cited ones first."""
        kept = []
        for line in block.split(b"\n"):
            cursor = _CURSOR.match(line)
            if cursor is not None and (cursor[1] in self._cursors or b'"MESSAGE"' not in line):
                kept.append(line)
            elif line:
                self.told.lost += 1
        return b"\n".join([*kept, b""]) if kept else b""


def packed_size(data: bytes) -> int:
    """What some bytes take when they are deflated."""
    try:
        from isal import isal_zlib
    except ImportError:
        # isal has no wheel for every platform.
        return len(zlib.compress(data, 1))
    return len(isal_zlib.compress(data, 1))


def whole_lines(chunks: Iterable[bytes], *, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Blocks that end at a line's end, the last one and lines beyond the limit excepted. What `chunks` raises comes after the rest."""
    rest = b""
    stream = iter(chunks)
    broken: Optional[Exception] = None
    while True:
        try:
            chunk = next(stream)
        except StopIteration:
            break
        except Exception as error:  # noqa: BLE001 - raised again below, after what came before it
            broken = error
            break
        for at in range(0, len(chunk), size):
            rest += chunk[at : at + size]
            end = rest.rfind(b"\n") + 1 or (len(rest) if len(rest) > LINE_LIMIT_BYTES else 0)
            if end:
                yield rest[:end]
                rest = rest[end:]
    if rest:
        yield rest
    if broken is not None:
        raise broken
