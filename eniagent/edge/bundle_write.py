"""The archive itself: tar headers around bodies that were deflated before, REPORT.txt and manifest.json first, published whole or not at all.

Refuses to depend on the clock or on who runs it: all times are the case's, all owners nobody, so the same members give the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from eniagent.edge.bundle_members import TAR_BLOCK, Member
from eniagent.edge.bundle_place import DIGEST, Place, part_of, write_error
from eniagent.edge.deflated import Body, joined, packed
from eniagent.edge.spool import anonymous, write_all

SUMS = "SHA256SUMS"
FIRST = ("REPORT.txt", "manifest.json", SUMS, "report.json", "report.html")


class Archive(NamedTuple):
    """An archive on disk."""

    path: str
    sha256: str
    size_bytes: int


def ordered(members: Iterable[Member]) -> list[Member]:
    """What people open first comes first, the rest by name."""
    return sorted(members, key=lambda member: (FIRST.index(member.path) if member.path in FIRST else len(FIRST), member.path))


def sums(members: Iterable[Member]) -> bytes:
    """`sha256sum`'s own form, relative to the top directory."""
    return "".join(f"{member.body.sha256}  {member.path}\n" for member in ordered(members)).encode("ascii")


def write(members: Iterable[Member], *, place: Place, name: str, taken_at: datetime) -> Archive:
    """`<name>.tar.gz` and its digest, in the bundle directory. Raises `DiskShort` or `BundleError`; then nothing of it is there."""
    path = f"{place.directory}/{name}.tar.gz"
    mtime = int(taken_at.timestamp())
    try:
        digest, size, descriptor = hashlib.sha256(), 0, anonymous(place.directory)
        try:
            for piece in joined(_framed(ordered(members), top=name, mtime=mtime, spool=place.spool), mtime=mtime):
                digest.update(piece)
                write_all(descriptor, piece)
                size += len(piece)
            os.fsync(descriptor)
            # The digest first: one without an archive is removed by the next run, an archive without one would stay.
            _publish_bytes(f"{digest.hexdigest()}  {name}.tar.gz\n".encode("ascii"), path + DIGEST, place=place)
            _publish(descriptor, path)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not os.path.exists(path):
            with contextlib.suppress(OSError):
                os.unlink(path + DIGEST)
        raise write_error(error, path=path) from error
    return Archive(path, digest.hexdigest(), size)


def _framed(members: Iterable[Member], *, top: str, mtime: int, spool: str) -> Iterator[Body]:
    """Header, body and padding of each member, then the archive's end."""
    between = b""
    for member in members:
        yield packed([between + _header(f"{top}/{member.path}", size=member.body.size, mtime=mtime)], spool, guard=lambda size: None)
        # The spool is given back as soon as a body is told, its size is not.
        between = b"\0" * (-member.body.size % TAR_BLOCK)
        yield member.body
    yield packed([between + b"\0" * (2 * TAR_BLOCK)], spool, guard=lambda size: None)


def _header(name: str, *, size: int, mtime: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, mtime, 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


def _publish(descriptor: int, path: str) -> None:
    """Give an anonymous file its name, replacing what stood there."""
    directory, name = os.path.split(path)
    part = f"{directory}/{part_of(name)}"
    here = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            # With a directory descriptor Python calls linkat(2) and follows the link below /proc.
            os.link(f"/proc/self/fd/{descriptor}", part, src_dir_fd=here, follow_symlinks=True)
        except OSError:
            _copy(descriptor, part)
        os.replace(part, path)
        os.fsync(here)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        os.close(here)


def _copy(descriptor: int, path: str) -> None:
    """Where the file system gives no name to anonymous files afterwards."""
    to = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        at = 0
        while True:
            piece = os.pread(descriptor, 1 << 20, at)
            if not piece:
                break
            write_all(to, piece)
            at += len(piece)
        os.fsync(to)
    finally:
        os.close(to)


def _publish_bytes(data: bytes, path: str, *, place: Place) -> None:
    descriptor = anonymous(place.directory)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
        _publish(descriptor, path)
    finally:
        os.close(descriptor)
