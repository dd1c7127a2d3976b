"""The spool: bytes that wait on disk without ever having a name there, so that nothing is left behind however the process ends.

Refuses memory as a disk: a directory on tmpfs is told apart, and only what is small stays in the process.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Callable, Optional

MEMORY_BYTES = 16 << 10
"""A spool below this size needs no file."""
PIECE_BYTES = 1 << 20
_IN_MEMORY = frozenset(("tmpfs", "ramfs", "devtmpfs"))
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
PART = ".eniagent-"
"""How names begin that exist for an instant where a file system knows no anonymous files."""

Guard = Callable[[int], None]
"""Asked before so many bytes are written to the disk; raises where there is no room for them."""


def anonymous(directory: str) -> int:
    """A descriptor of a new file without a name, for its owner alone. Raises `OSError`."""
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
    descriptor, name = tempfile.mkstemp(prefix=PART, suffix=".part", dir=directory)
    os.unlink(name)
    return descriptor


def in_memory(directory: str) -> bool:
    """Whether a directory's file system is memory. What cannot be told counts as a disk."""
    best, kind = "", ""
    path = os.path.realpath(directory)
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            fields = line.split(" ")
            place = fields[4].encode("latin-1", "replace").decode("unicode_escape") if "\\" in fields[4] else fields[4]
            if (path == place or path.startswith(place.rstrip("/") + "/")) and len(place) >= len(best):
                best, kind = place, fields[fields.index("-") + 1]
    return kind in _IN_MEMORY


def disk_place(*places: str) -> Optional[str]:
    """The first of some directories that is writable and on a disk; None where there is none."""
    return next((place for place in places if os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK) and not in_memory(place)), None)


class Spool:
    """Bytes written once and read as often as needed."""

    __slots__ = ("size", "_directory", "_guard", "_memory", "_descriptor", "_on_disk")

    def __init__(self, directory: str, *, guard: Optional[Guard] = None) -> None:
        self.size = 0
        self._directory, self._guard = directory, guard
        self._memory: list[bytes] = []
        self._descriptor = -1
        self._on_disk = 0

    def write(self, data: bytes) -> None:
        """Append. Raises `OSError`, and what the guard raises."""
        self._memory.append(data)
        self.size += len(data)
        if self.size - self._on_disk > MEMORY_BYTES:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._memory)
        if self._guard is not None:
            self._guard(len(data))
        if self._descriptor < 0:
            self._descriptor = anonymous(self._directory)
        write_all(self._descriptor, data)
        self._on_disk += len(data)
        self._memory = []

    def pieces(self) -> Iterator[bytes]:
        """All that was written so far."""
        at = 0
        while at < self._on_disk:
            piece = os.pread(self._descriptor, min(PIECE_BYTES, self._on_disk - at), at)
            if not piece:
                raise OSError(errno.EIO, "the spool is shorter than what was written to it")
            at += len(piece)
            yield piece
        yield from self._memory

    def close(self) -> None:
        """Give the disk back."""
        self._memory, self.size, self._on_disk = [], 0, 0
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def write_all(descriptor: int, data: bytes) -> None:
    """All of `data` at the descriptor's place. Raises `OSError`."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def spooled(pieces: Iterable[bytes], directory: str, *, guard: Optional[Guard] = None) -> Spool:
    """A spool that holds all of some pieces."""
    spool = Spool(directory, guard=guard)
    for piece in pieces:
        spool.write(piece)
    return spool
