"""The file that goes out: opened once, measured and digested before anything is sent, and watched while it is.

Refuses to let a file that changes arrive whole: its last piece is held back until all of it is known to be what was digested.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from types import TracebackType
from typing import Optional

from eniagent.edge.clock import Deadline
from eniagent.edge.errors import AgentError
from eniagent.edge.upload_errors import UploadFailed

PIECE_BYTES = 256 << 10
SIDECAR = ".sha256"


class FileError(AgentError):
    """What was named cannot be uploaded at all."""

    exit_code = 2


class Outgoing:
    """One file. `sha256`, `md5` and `parts` (SHA-256 of each part) are known after `digest`. Raises `FileError`."""

    def __init__(self, path: str) -> None:
        self.path, self.name = path, os.path.basename(path)
        self.sha256 = self.md5 = b""
        self.parts: list[bytes] = []
        try:
            # A FIFO without a writer would otherwise hold the command for ever.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise FileError(_cannot_open(path, error)) from error
        try:
            self._status = os.fstat(self._descriptor)
            if stat.S_ISDIR(self._status.st_mode):
                raise FileError(f"{path} is a directory; name a bundle in it, as eniagent_....tar.gz")
            if not stat.S_ISREG(self._status.st_mode):
                raise FileError(f"{path} is no regular file; name a bundle")
            if not self._status.st_size:
                raise FileError(f"{path} is empty; write the bundle anew")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Outgoing:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def size_bytes(self) -> int:
        """As it was when it was opened."""
        return self._status.st_size

    def digest(self, *, deadline: Deadline, part_bytes: int) -> None:
        """Read all of it once. Raises `UploadFailed`, also where the digest beside the bundle says that it is not what was written."""
        whole, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self.parts = []
        for start in range(0, self.size_bytes, part_bytes):
            part = hashlib.sha256()
            for piece in self._read(start, min(part_bytes, self.size_bytes - start)):
                part.update(piece)
                whole.update(piece)
                md5.update(piece)
                if deadline.expired:
                    raise UploadFailed("timed-out", f"the deadline came while {self.path} was read", again=False)
            self.parts.append(part.digest())
        self.sha256, self.md5 = whole.digest(), md5.digest()
        beside = _beside(self.path)
        if beside and beside != self.sha256.hex():
            raise UploadFailed("unsound", f"{self.path} is not what {self.name}{SIDECAR} beside it says was written")

    def pieces(self) -> Iterator[bytes]:
        """All of it for one request, the last piece only once the rest is known to be unchanged. Raises `UploadFailed`."""
        whole, held = hashlib.sha256(), b""
        for piece in self._read(0, self.size_bytes):
            if held:
                yield held
            whole.update(piece)
            held = piece
        self._check(whole.digest() == self.sha256)
        yield held

    def part(self, number: int, *, part_bytes: int) -> bytes:
        """Part `number`, from 1 on, unchanged. Raises `UploadFailed`."""
        start = (number - 1) * part_bytes
        data = b"".join(self._read(start, min(part_bytes, self.size_bytes - start)))
        self._check(hashlib.sha256(data).digest() == self.parts[number - 1])
        return data

    def _check(self, same: bool) -> None:
        now = os.fstat(self._descriptor)
        if not same or (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns):
            raise UploadFailed("changed", f"{self.path} changed while it was uploaded, so it was not sent to its end")

    def _read(self, start: int, size: int) -> Iterator[bytes]:
        end = start + size
        while start < end:
            try:
                piece = os.pread(self._descriptor, min(PIECE_BYTES, end - start), start)
            except OSError as error:
                raise UploadFailed("unreadable", f"{self.path}: {(error.strerror or str(error)).lower()}") from error
            if not piece:
                self._check(False)
            start += len(piece)
            yield piece


def b64(digest: bytes) -> str:
    """A digest as headers carry it."""
    return base64.b64encode(digest).decode("ascii")


def _cannot_open(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"{path}: no such file; `ls -t /var/log/support` shows the bundles of this node"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{path}: permission denied; bundles are for their owner alone, so run this as root"
    return f"{path}: {(error.strerror or str(error)).lower()}; name a bundle"


def _beside(path: str) -> str:
    """The digest in the file beside a bundle, empty where there is none."""
    try:
        with open(path + SIDECAR, "rb") as file:
            found = re.match(rb"([0-9a-f]{64})(?:\s|$)", file.read(4096))
    except OSError:
        return ""
    return found[1].decode("ascii") if found is not None else ""
