"""Readings that are made anew only when bytes that they were made of have changed.

Refuses to guess what a reader looks at: it is watched while it reads, and whatever it asked for is what the reading depends on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Optional

import msgspec

from eniagent import sources
from eniagent.model.capture import Capture
from eniagent.model.reading import Reading
from eniagent.sources import Span


class _Watched(Mapping[str, Capture]):
    """Captures, and which of them were asked for."""

    def __init__(self, seen: Mapping[str, Capture]) -> None:
        self._seen = seen
        self.asked: set[str] = set()
        self.listed = False

    def __getitem__(self, file: str) -> Capture:
        self.asked.add(file)
        return self._seen[file]

    def __contains__(self, file: object) -> bool:
        self.asked.add(str(file))
        return file in self._seen

    def __iter__(self) -> Iterator[str]:
        self.listed = True
        return iter(self._seen)

    def __len__(self) -> int:
        self.listed = True
        return len(self._seen)


class _Made(NamedTuple):
    """A reading, the captures it was made of, all names where it asked for the list, and the capture that gave its time."""

    reading: Reading[Any]
    parts: dict[str, Optional[Capture]]
    names: Optional[frozenset[str]]
    timed_by: str


class Memo:
    """Remembers one reading for each field."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}
        self.renewed = 0
        """How many readings were made anew so far."""

    def read(self, field: str, seen: Mapping[str, Capture], span: Span) -> Reading[Any]:
        """As `sources.read_field`; where nothing changed the value is the very object of the last time."""
        made = self._made.get(field)
        if made is None or not _stands(made, seen):
            watched = _Watched(seen)
            reading = sources.read_field(field, watched, span)
            self.renewed += 1
            parts = {file: seen.get(file) for file in watched.asked}
            names = frozenset(seen) if watched.listed else None
            self._made[field] = _Made(reading, parts, names, _timed_by(reading.at, parts))
            return reading
        reading = made.reading
        if made.timed_by:
            reading = msgspec.structs.replace(reading, at=seen[made.timed_by].about.at)
        self._made[field] = made._replace(reading=reading, parts={file: seen.get(file) for file in made.parts})
        return reading


def _stands(made: _Made, seen: Mapping[str, Capture]) -> bool:
    if made.names is not None and made.names != frozenset(seen):
        return False
    return all(is_same(part, seen.get(file)) for file, part in made.parts.items())


def is_same(one: Optional[Capture], other: Optional[Capture]) -> bool:
    """Whether two captures tell the same, whenever they were taken."""
    if one is other or one is None or other is None:
        return one is other
    a, b = one.about, other.about
    alike = (a.failure, a.detail, a.status, a.exit, a.truncated) == (b.failure, b.detail, b.status, b.exit, b.truncated)
    return alike and one.body() == other.body()


def _timed_by(at: Optional[datetime], parts: Mapping[str, Optional[Capture]]) -> str:
    return next((file for file, part in parts.items() if part is not None and at is not None and part.about.at == at), "")
