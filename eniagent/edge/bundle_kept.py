"""What a look brought, kept as it was read: a bundle tells the bytes from which its diagnosis was made, no entry more and none less.

A journal is read once and spooled on the way; a log is read again, as far as it was read the first time. Refuses to disturb the
diagnosis: where the spool cannot take a journal's bytes, they go on to the reader and the journal is read again for the bundle.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Callable, Optional

from eniagent.edge.clock import Deadline
from eniagent.edge.spool import Guard, Spool
from eniagent.model.capture import Capture, CaptureCut
from eniagent.model.reading import Unobserved, Why
from eniagent.model.snapshot import NodeSnapshot
from eniagent.sources import Span

STREAMS = ("journal", "logs")
STOP_S = 2.0
"""How long a reader that was left behind by its deadline is waited for."""


class Stream(Capture):
    """A capture whose content is a stream. `size` plain bytes were read, `cut` broke it off."""

    __slots__ = ("size", "cut", "begun", "_source", "_spool", "_ended", "_stopped")

    def __init__(self, source: Capture, *, spool: Optional[Spool]) -> None:
        super().__init__(source.about, self._pieces)
        self.size, self.begun = 0, False
        self.cut: Optional[CaptureCut] = None
        self._source, self._spool = source, spool
        self._ended, self._stopped = threading.Event(), False

    def _pieces(self) -> Iterator[bytes]:
        if self.begun:
            yield from self._again()
            return
        self.begun = True
        try:
            for piece in self._source.chunks():
                if self._stopped:
                    raise CaptureCut(Why.NOT_COLLECTED, "deadline")
                self.size += len(piece)
                self._keep(piece)
                yield piece
        except CaptureCut as cut:
            self.cut = cut
            raise
        finally:
            self._ended.set()

    def _keep(self, piece: bytes) -> None:
        if self._spool is None:
            return
        try:
            self._spool.write(piece)
        except Exception:  # noqa: BLE001 - a full disk must not cost the diagnosis its journal; the bundle reads it again
            self._spool.close()
            self._spool = None

    def _again(self) -> Iterator[bytes]:
        """The same bytes once more, and the same end."""
        if not self._ended.is_set():
            self._stopped = True
            self._ended.wait(STOP_S)
        left = self.size
        for piece in self._spool.pieces() if self._spool is not None else self._source.chunks():
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                break
        if self.cut is not None:
            raise self.cut


class Look:
    """One look at the node, or at captures of one. `deadline` is the one that its streams obey."""

    def __init__(self, span: Span, *, deadline: Optional[Deadline] = None, seen: Optional[Mapping[str, Capture]] = None) -> None:
        self.span, self.deadline = span, deadline
        self.seen: dict[str, Capture] = dict(seen or {})


class Kept:
    """All looks of a run, oldest first. A `Keeper` for `look.observe`."""

    def __init__(self, spool_directory: str, *, guard: Optional[Guard] = None) -> None:
        self.looks: list[Look] = []
        self._directory, self._guard = spool_directory, guard

    def begin(self, span: Span, deadline: Deadline) -> Callable[[Capture], Capture]:
        """A look begins; what is returned is called with each of its captures."""
        look = Look(span, deadline=deadline)
        self.looks.append(look)

        def keep(capture: Capture) -> Capture:
            kept = self._streamed(capture)
            look.seen[capture.about.file] = kept
            return kept

        return keep

    def _streamed(self, capture: Capture) -> Capture:
        room = capture.about.file.split("/")[0]
        if capture.about.failure is not None or room not in STREAMS:
            return capture
        return Stream(capture, spool=Spool(self._directory, guard=self._guard) if room == "journal" else None)


def unread(snapshot: NodeSnapshot) -> dict[str, Unobserved]:
    """The readings that are missing for a reason of the run itself, which no captures can tell."""
    found = {}
    for field in snapshot.__struct_fields__:
        reading = getattr(snapshot, field)
        if isinstance(reading, Unobserved) and reading.detail and (reading.why is Why.NOT_COLLECTED or reading.detail.startswith("plan failed")):
            found[field] = reading
    return found
