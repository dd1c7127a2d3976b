"""A log followed from where the last reading of it ended, over its rotations, into a moving window.

Refuses to read a line twice, and to read a storm without end: what one reading leaves, the next takes. Nothing of the log stays
open that was rotated away and read to its end.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Optional

from eniagent.edge.clock import Deadline
from eniagent.edge.errors import reason
from eniagent.edge.logs import capture_logs
from eniagent.edge.rooted import open_regular
from eniagent.model.capture import CaptureCut
from eniagent.model.probe import ReadLogs
from eniagent.model.reading import Observed, Reading, Unobserved
from eniagent.sources import Span
from eniagent.sources.log_fold import read_log
from eniagent.sources.log_window import LogWindow

CHUNK_BYTES = 1 << 18
MOST_BYTES = 16 << 20
"""At most this much of a log is read in one go; the rest waits in the file."""
LINE_BYTES = 1 << 20


class LogTail:
    """One program's log. `needles`: see `LogWindow`. Its methods are for one thread."""

    def __init__(self, probe: ReadLogs, *, program: str, root: str, needles: tuple[bytes, ...] = ()) -> None:
        self._probe, self._program, self._root, self._needles = probe, program, root, needles
        self._name = f"{probe.directory}/{os.path.basename(probe.path)}"
        self._window: Optional[LogWindow] = None
        self._descriptor: Optional[int] = None
        self._offset, self._identity = 0, (0, 0)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self, span: Span, deadline: Deadline) -> Reading[Any]:
        """The log over the window. Never raises."""
        try:
            if self._window is None or self._descriptor is None:
                return self._begin(span, deadline)
            self._follow(deadline)
        except (OSError, CaptureCut) as error:
            self._forget()
            why, detail = reason(error)
            return Unobserved(why=why, source=self._name, at=span.until, detail=f"{self._probe.path}: {detail}")
        self._window.move(span)
        return Observed(value=self._window.log(), source=self._name, at=span.until)

    def _forget(self) -> None:
        self.close()
        self._window = None

    def _begin(self, span: Span, deadline: Deadline) -> Reading[Any]:
        """The whole window, as a single look reads it; from its end on the log is followed."""
        self._forget()
        seen = capture_logs(self._probe, root=self._root, since=span.since, deadline=deadline, needles=self._needles)
        live = seen.get(self._name)
        if live is None or live.about.failure is not None:
            return read_log(self._program, self._program, seen, span)
        window = LogWindow(self._program, span, needles=self._needles)
        # Opened before the captures are read and after they were opened: what lies between stands beyond their end.
        descriptor = open_regular(self._probe.path, root=self._root)
        try:
            for file in sorted(seen, key=lambda file: (file == self._name, file)):
                if seen[file].about.failure is None:
                    chunks = seen[file].chunks()
                    window.feed(file, _without_half(chunks) if file == self._name else chunks)
        except BaseException:
            os.close(descriptor)
            raise
        status = os.fstat(descriptor)
        self._window, self._descriptor, self._identity = window, descriptor, (status.st_dev, status.st_ino)
        self._offset = self._whole(live.about.size_bytes or 0)
        self._follow(deadline)
        window.move(span)
        return Observed(value=window.log(), source=self._name, at=span.until)

    def _whole(self, end: int) -> int:
        """The end of the last whole line before `end`: what is cut there comes again, whole, with what follows."""
        assert self._descriptor is not None
        begin = max(0, end - LINE_BYTES)
        return begin + os.pread(self._descriptor, end - begin, begin).rfind(b"\n") + 1

    def _follow(self, deadline: Deadline) -> None:
        """What was written since; to the old file's end where the log was rotated. Raises `OSError`."""
        assert self._window is not None and self._descriptor is not None
        with contextlib.suppress(FileNotFoundError):  # between the renaming of the old and the making of the new
            status = os.stat(self._path())
            here = os.fstat(self._descriptor)
            if (status.st_dev, status.st_ino) != self._identity:
                self._window.feed(self._name, self._lines(deadline, to_end=True))
                if self._offset < here.st_size:
                    return
                descriptor = open_regular(self._probe.path, root=self._root)
                self.close()
                self._descriptor, self._offset, self._identity = descriptor, 0, (status.st_dev, status.st_ino)
                self._window.begin(self._name)
            elif here.st_size < self._offset:
                self._offset = 0  # cut in place, as copytruncate does
                self._window.begin(self._name)
        self._window.feed(self._name, self._lines(deadline, to_end=False))

    def _path(self) -> str:
        from eniagent.edge.rooted import resolve

        return resolve(self._probe.path, root=self._root)

    def _lines(self, deadline: Deadline, *, to_end: bool) -> Iterator[bytes]:
        """Whole lines from where the last reading ended; with `to_end` a last line without an end as well."""
        assert self._descriptor is not None
        taken = 0
        while taken < MOST_BYTES and not (deadline.expired and taken):
            piece = os.pread(self._descriptor, CHUNK_BYTES, self._offset)
            end = piece.rfind(b"\n") + 1
            if not end and len(piece) < CHUNK_BYTES and not to_end:
                return
            whole = piece[:end] if end and not (to_end and len(piece) < CHUNK_BYTES) else piece
            if not whole:
                return
            self._offset += len(whole)
            taken += len(whole)
            yield whole


def _without_half(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The stream without a last line that has no end yet: it comes again, whole, when the log is followed."""
    rest = b""
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            yield rest + chunk[:end]
            rest = chunk[end:]
        else:
            rest += chunk
