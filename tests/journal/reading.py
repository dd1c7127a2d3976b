"""What the journal tests share: entries in any form, read as the agent reads them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Optional, Protocol

from bench import journal_files, journal_lines
from bench.journal_files import Entry
from bench.journal_lines import Attempt, Line
from eniagent.model.capture import Capture, Circumstances, Seen
from eniagent.model.probe import Probe
from eniagent.model.reading import Observed, Reading
from eniagent.model.record import Journal
from eniagent.sources import Span, containerd, kubelet

START_US = journal_files.START_US
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
NOW = EPOCH + timedelta(microseconds=START_US + 3_600_000_000)


class Module(Protocol):
    """A source of one journal."""

    FILE: str

    def plan(self, seen: Seen) -> Sequence[Probe]:
        """The looks to take."""

    def read(self, seen: Seen, span: Span) -> Reading[Journal]:
        """The reading."""


MODULES: dict[str, Module] = {"kubelet": kubelet, "containerd": containerd}


def at(offset_s: float) -> datetime:
    """A time that many seconds after the first entry."""
    return EPOCH + timedelta(microseconds=START_US + int(offset_s * 1e6))


def attempts(count: int, *, text: str = journal_lines.ADDRESS, pods: int = 3, seed: int = 7) -> list[Attempt]:
    """Failed attempts of a few pods, in turn."""
    rng = random.Random(seed)
    names = journal_lines.some_pods(rng, pods, "web")
    return [Attempt(*names[i % pods], f"{rng.getrandbits(256):064x}", text) for i in range(count)]


def entries(lines: Iterable[Line], *, start_s: float = 0.0, step_us: int = 17) -> list[Entry]:
    """Lines as entries, one after the other."""
    return [journal_files.entry(START_US + int(start_s * 1e6) + i * step_us, line) for i, line in enumerate(lines)]


def as_json(items: Iterable[Entry]) -> bytes:
    """Entries as `journalctl -o json` prints them."""
    lines = []
    for number, item in enumerate(items):
        try:
            message: object = item.message.decode()
        except UnicodeDecodeError:
            message = list(item.message)
        lines.append(json.dumps({"__CURSOR": f"s=1;i={number}", "__REALTIME_TIMESTAMP": str(item.at_us), "MESSAGE": message}))
    return "\n".join(lines).encode() + b"\n"


def as_export(items: Iterable[Entry]) -> bytes:
    """Entries in export format with the few fields that the agent asks for."""
    pieces = []
    for number, item in enumerate(items):
        head = b"__CURSOR=s=1;i=%d\n__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID=0\n" % (number, item.at_us)
        size = len(item.message).to_bytes(8, "little")
        body = b"MESSAGE\n" + size + item.message if b"\n" in item.message else b"MESSAGE=" + item.message
        pieces.append(head + body + b"\n\n")
    return b"".join(pieces)


def as_short(items: Iterable[Entry]) -> bytes:
    """Entries as plain `journalctl` prints them."""
    lines = []
    for item in items:
        when = EPOCH + timedelta(microseconds=item.at_us)
        lines.append(when.strftime("%b %d %H:%M:%S ").encode() + b"ip-10-0-0-236 %s[%d]: " % (item.identifier.encode(), item.pid) + item.message)
    return b"\n".join(lines) + b"\n"


def as_bare(items: Iterable[Entry]) -> bytes:
    """The programs' own lines and nothing else."""
    return b"\n".join(item.message for item in items) + b"\n"


FORMS = {"json": as_json, "export": as_export, "short": as_short, "bare": as_bare}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """The data as a stream of pieces."""
    return (data[i : i + size] for i in range(0, len(data), size))


def read(data: bytes, *, program: str = "kubelet", since: Optional[datetime] = None, piece: int = 1 << 16) -> Reading[Journal]:
    """The reading of a captured journal."""
    module = MODULES[program]
    capture = Capture(Circumstances(probe="journal", file=module.FILE), lambda: pieces(data, piece))
    return module.read({module.FILE: capture}, Span(until=NOW, since=since))


def journal(data: bytes, *, program: str = "kubelet", since: Optional[datetime] = None, piece: int = 1 << 16) -> Journal:
    """The journal read from captured bytes."""
    reading = read(data, program=program, since=since, piece=piece)
    assert isinstance(reading, Observed), reading
    return reading.value


def lines_of(generation: str, tried: Sequence[Attempt], *, program: str, every_s: float = 12.0) -> list[Entry]:
    """All entries that a program prints for these attempts, one attempt every `every_s`."""
    found: list[Entry] = []
    for number, one in enumerate(tried):
        told = [line for line in journal_lines.GENERATIONS[generation](one) if line.program == program]
        found += entries(told, start_s=number * every_s)
    return found
