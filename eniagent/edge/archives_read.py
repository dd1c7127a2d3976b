"""Reads archives that others made as a stream of members, one pass, and writes nothing by any name of theirs.

Refuses an archive as soon as it shows itself hostile or broken, and names the member: links, devices, names that lead elsewhere,
members that stand there twice or by the million, bombs, a gzip that ends early. Nothing is ever unpacked below a name from inside.
"""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from eniagent.edge.errors import CapturesError
from eniagent.edge.gunzip import MAGIC, inflate
from eniagent.edge.names import problem, shown
from eniagent.model.capture import CaptureCut

MEMBERS_AT_MOST = 50_000
PLAIN_AT_MOST = 16 << 30
MEMBER_AT_MOST = 8 << 30
RATIO_AT_MOST, RATIO_FROM_BYTES = 400, 256 << 20
"""No collection of logs packs better than that once it is this large; deflate's own bound is 1,032."""
HEADER_AT_MOST = 1 << 16
"""A long name or a set of extended attributes beyond this is no member's."""
_PIECE_BYTES = 1 << 18
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_KINDS = {
    tarfile.LNKTYPE: "is a hard link", tarfile.SYMTYPE: "is a symbolic link", tarfile.CHRTYPE: "is a device", tarfile.BLKTYPE: "is a device",
    tarfile.FIFOTYPE: "is a pipe", tarfile.GNUTYPE_SPARSE: "is a sparse file",
}  # fmt: skip


class Refused(CapturesError):
    """An archive that is not read any further. The message names the archive, the member and why."""


class Entry(NamedTuple):
    """One regular file of an archive. `pieces` is good until the next entry is asked for."""

    name: str
    size_bytes: int
    modified_at: float
    pieces: Iterator[bytes]


class _Header(tarfile.TarInfo):
    """A header that is checked before tarfile acts on it."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Any:
        """The next header. tarfile takes a broken one for the archive's end; here it is what it is."""
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            last = shown(getattr(archive, "last_name", ""))
            raise _Broken(f"the member after {last}: {error}" if last else f"its beginning: is no sound tar archive: {error}") from error

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.size < 0 or (self.type in _EXTENDED and self.size > HEADER_AT_MOST):
            raise _Broken(f"{shown(self.name)}: has a header of an impossible size")
        if self.size > MEMBER_AT_MOST:
            raise _Broken(f"{shown(self.name)}: is larger than {MEMBER_AT_MOST >> 30} GiB")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise _Broken(f"{shown(self.name)}: {_KINDS[self.type]}")
        return super()._proc_member(archive)  # type: ignore[misc]


class _Broken(Exception):
    """What is wrong with the member at hand."""


class _Plain(io.RawIOBase):
    """The plain bytes of an archive file, within bounds."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self.packed = self.plain = 0
        self.member = ""
        head = os.pread(self._file, 2, 0)
        self._pieces = inflate(self._raw()) if head == MAGIC else self._raw()
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def _raw(self) -> Iterator[bytes]:
        while True:
            piece = os.read(self._file, _PIECE_BYTES)
            if not piece:
                return
            self.packed += len(piece)
            yield piece

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes."""
        if not self._rest:
            try:
                self._rest = next(self._pieces, b"")
            except CaptureCut as cut:
                raise _Broken(f"{shown(self.member) or 'its beginning'}: {cut.detail}") from cut
            self.plain += len(self._rest)
            if self.plain > PLAIN_AT_MOST:
                raise _Broken(f"{shown(self.member)}: the archive unpacks to more than {PLAIN_AT_MOST >> 30} GiB")
            if self.plain > RATIO_FROM_BYTES and self.plain > RATIO_AT_MOST * self.packed:
                raise _Broken(f"{shown(self.member)}: the archive unpacks to more than {RATIO_AT_MOST} times its size")
        piece = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(piece) :]
        return piece

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._file)
        super().close()


def is_archive(path: str) -> bool:
    """Whether a file begins as gzip or tar do."""
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError:
        return False
    return head[:2] == MAGIC or head[257:262] == b"ustar"


def entries(path: str) -> Iterator[Entry]:
    """The regular files of a tar archive, gzipped or plain, in its order. Raises `Refused`."""
    try:
        plain = _Plain(path)
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error
    try:
        with _refusals(path, plain):
            yield from _entries(path, plain)
    finally:
        plain.close()


@contextlib.contextmanager
def _refusals(path: str, plain: _Plain) -> Iterator[None]:
    """Whatever goes wrong with the bytes is a refusal that names the member."""
    try:
        yield
    except _Broken as broken:
        raise Refused(f"{path}: refused at {broken}") from broken
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise Refused(f"{path}: refused at {shown(plain.member) or 'its beginning'}: is no sound tar archive: {error}") from error
    except OSError as error:
        raise Refused(f"{path}: refused at {shown(plain.member) or 'its beginning'}: cannot be read: {error}") from error


def _entries(path: str, plain: _Plain) -> Iterator[Entry]:
    seen: set[str] = set()
    with tarfile.open(fileobj=plain, mode="r|", tarinfo=_Header, bufsize=1 << 18, errors="surrogateescape") as archive:
        while True:
            header = archive.next()
            # It remembers every header otherwise.
            archive.members = []  # type: ignore[attr-defined]
            if header is None:
                break
            plain.member = archive.last_name = header.name  # type: ignore[attr-defined]
            name = _checked(header, seen)
            if len(seen) > MEMBERS_AT_MOST:
                raise _Broken(f"{shown(name)}: the archive has more than {MEMBERS_AT_MOST} members")
            if header.isreg():
                file = archive.extractfile(header)
                assert file is not None
                yield Entry(name, header.size, float(header.mtime), _pieces(path, plain, file, header))
        _drain(plain)
    if not seen:
        raise Refused(f"{path}: is empty, or no archive")


def _checked(header: tarfile.TarInfo, seen: set[str]) -> str:
    """The member's name without `./` and without a slash at its end. Raises `_Broken`."""
    wrong = problem(header.name)
    if wrong:
        raise _Broken(f"{shown(header.name)}: has {wrong}")
    name = "/".join(part for part in header.name.split("/") if part not in ("", "."))
    if header.sparse is not None:
        raise _Broken(f"{shown(name)}: is a sparse file")
    if not header.isreg() and not header.isdir():
        raise _Broken(f"{shown(name)}: {_KINDS.get(header.type, 'is of an unknown kind')}")
    if name in seen and header.isreg():
        raise _Broken(f"{shown(name)}: stands in it twice")
    seen.add(name)
    return name


def _pieces(path: str, plain: _Plain, file: Any, header: tarfile.TarInfo) -> Iterator[bytes]:
    left = header.size
    while left > 0:
        with _refusals(path, plain):
            piece = file.read(min(left, _PIECE_BYTES))
            if not piece:
                raise _Broken(f"{shown(header.name)}: ends early")
        left -= len(piece)
        yield piece


def _drain(plain: _Plain) -> None:
    """To the end of the file: only there gzip's own checksum stands."""
    while plain.read(_PIECE_BYTES):
        pass
