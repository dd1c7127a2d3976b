"""What stands behind a path as a list of files: walked in a directory, stored from an archive into a spool that has no name.

Refuses to keep what no reader wants, and a bundle whose members are not those that its digests tell of.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Callable, NamedTuple, Optional

from eniagent.edge import archives_layouts as layouts
from eniagent.edge.archives_read import Refused, entries
from eniagent.edge.captures import MANIFEST, is_inside
from eniagent.edge.deflated import Body, packed, plain
from eniagent.edge.errors import CapturesError
from eniagent.edge.names import shown
from eniagent.edge.spool import disk_place
from eniagent.model.capture import CaptureCut
from eniagent.model.reading import Why

SUMS = "SHA256SUMS"
PAPERS = (MANIFEST, SUMS, "report.json", "REPORT.txt")
STORED_AT_MOST = 12 << 30
DEPTH = 4


class Item(NamedTuple):
    """One file that was found, wherever it stands. `sha256` "" where it was not taken."""

    name: str
    size_bytes: int
    modified_at: float
    read: Callable[[], Iterator[bytes]]
    sha256: str = ""


def walk(path: str) -> Iterator[Item]:
    for directory, below, files in os.walk(path):
        below.sort()
        for name in sorted(files):
            place = f"{directory}/{name}"
            status = os.lstat(place)
            if os.path.isfile(place) and not os.path.islink(place):
                yield Item(os.path.relpath(place, path), status.st_size, status.st_mtime, _reader(place))


def _reader(place: str) -> Callable[[], Iterator[bytes]]:
    def read() -> Iterator[bytes]:
        try:
            with open(place, "rb") as file:
                while True:
                    piece = file.read(1 << 20)
                    if not piece:
                        return
                    yield piece
        except OSError as error:
            raise CaptureCut(Why.MALFORMED, str(error)) from error

    return read


def stored(path: str) -> list[Item]:
    """What an archive holds for us, in the spool; of our own bundles every member's digest. Raises `Refused`."""
    spool = disk_place("/var/tmp", tempfile.gettempdir()) or tempfile.gettempdir()
    found: list[Item] = []
    stored = 0
    ours = False
    try:
        for entry in entries(path):
            ours = ours or entry.name.endswith(("/REPORT.txt", f"/{MANIFEST}"))
            if not ours and not _is_wanted(entry.name):
                continue
            body = packed(entry.pieces, spool, guard=_no_guard)
            stored += body.spool.size
            if stored > STORED_AT_MOST:
                raise Refused(f"{path}: refused at {shown(entry.name)}: holds more than {STORED_AT_MOST >> 30} GiB of captures")
            if not _is_wanted(entry.name):
                body.spool.close()
            found.append(Item(entry.name, entry.size_bytes, entry.modified_at, _unpacked(body), body.sha256))
    except OSError as error:
        raise CapturesError(f"{path}: {spool}: {(error.strerror or str(error)).lower()}; what an archive holds is kept there while it is read") from error
    return found


def _no_guard(_size: int) -> None:
    return


def _unpacked(body: Body) -> Callable[[], Iterator[bytes]]:
    return lambda: plain(body)


def _is_wanted(name: str) -> bool:
    return name.rsplit("/", 1)[-1] in PAPERS or bool(layouts.rows(name) or layouts.told(name)) or place_of(name) is not None


def place_of(name: str) -> Optional[tuple[str, str]]:
    """The captures directory that a path would stand in, and its file below it."""
    parts = name.split("/")
    for depth in range(min(DEPTH, len(parts) - 1) + 1):
        file = "/".join(parts[depth:])
        if is_inside(file) or file == MANIFEST:
            return "/".join(parts[:depth]), file
    return None


def check_digests(path: str, items: list[Item], *, top: str) -> None:
    """Every member has the digest that SHA256SUMS tells, and none is missing or more. Raises `Refused` naming the member."""
    sums = next((item for item in items if item.name == top + SUMS), None)
    if sums is None:
        raise Refused(f"{path}: refused at {shown(top + SUMS)}: is missing")
    told = {}
    for line in b"".join(sums.read()).decode("utf-8", "surrogateescape").splitlines():
        digest, _, name = line.partition("  ")
        told[top + name] = digest
    for item in items:
        if item is not sums and told.pop(item.name, None) != item.sha256:
            raise Refused(f"{path}: refused at {shown(item.name)}: its digest is not the one that {SUMS} tells")
    if told:
        raise Refused(f"{path}: refused at {shown(min(told))}: {SUMS} tells of it, and it is missing")
