"""Members of a bundle: each body is redacted, digested and deflated once, and waits in the spool with what is to be told of it.

Refuses to go over a budget: of bytes, of time, of the disk. What does not fit is left out and named, never shortened in silence.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional

import msgspec

from eniagent.edge.ahead import ahead
from eniagent.edge.bundle_place import Disk, Place
from eniagent.edge.bundle_redaction import Redaction
from eniagent.edge.clock import Deadline
from eniagent.edge.deflated import Body, Packer
from eniagent.edge.spool import Spool
from eniagent.model.capture import CaptureCut

AHEAD_BYTES = 1 << 20
"""A body below this is not worth a thread."""
TAR_BLOCK = 512
OVERHEAD_BYTES = 400
"""What a member takes beside its body: its header in the archive, its entries in manifest and digests, all deflated."""

Progress = Callable[[str], None]


class Profile(msgspec.Struct, frozen=True):
    """A size of bundle. `archive_bytes` bounds the whole; `reserve_bytes` of it are kept for reports and manifest."""

    name: str
    archive_bytes: int
    reserve_bytes: int
    source_bytes: int
    window_bytes: int
    extras_bytes: int


CASE = Profile("case", 150_000_000, 4_000_000, 8 << 30, 16 << 20, 4 << 20)
MINI = Profile("mini", 5_000_000, 400_000, 2 << 30, 0, 64 << 10)
REPORT = Profile("report", 2_000_000, 0, 0, 0, 0)
PROFILES = {profile.name: profile for profile in (CASE, MINI, REPORT)}


class Member(msgspec.Struct):
    """One file of the bundle. `told`: its manifest entry but for size and digest."""

    path: str
    body: Body
    told: dict[str, Any]


class Absent(msgspec.Struct, frozen=True):
    """What is not in the bundle, and why."""

    path: str
    why: str
    detail: str = ""


class Ending(msgspec.Struct):
    """How the body of one member ended: "" is whole, else `cut` (by its source), `deadline`, `budget`."""

    how: str = ""
    cut: Optional[CaptureCut] = None


class Members:
    """The members gathered so far, within one profile's budgets."""

    def __init__(self, profile: Profile, *, redaction: Redaction, place: Place, disk: Disk, deadline: Deadline, progress: Progress) -> None:
        self.profile, self.redaction, self.deadline = profile, redaction, deadline
        self.members: list[Member] = []
        self.absent: list[Absent] = []
        self.partial = ""
        self._place, self._disk, self._progress = place, disk, progress
        self._taken = 0
        self._shared = os.stat(place.spool).st_dev == os.stat(place.directory).st_dev

    @property
    def spool(self) -> str:
        """The directory in which bodies wait."""
        return self._place.spool

    @property
    def left_bytes(self) -> int:
        """What the archive may still grow by."""
        return self.profile.archive_bytes - self.profile.reserve_bytes - self._taken

    def guard(self, size_bytes: int) -> None:
        """Raises `DiskShort` where the spool and the archive that is made from it would not fit beside each other."""
        self._disk.require(size_bytes + (self._taken + size_bytes if self._shared else 0))

    def leave_out(self, path: str, *, why: str, detail: str = "") -> None:
        """Name what is not there."""
        self.absent.append(Absent(self.redaction.text(path), why, self.redaction.text(detail)))

    def add(self, path: str, pieces: Iterable[bytes], *, told: dict[str, Any], file: str = "", always: bool = False, whole: bool = False) -> Optional[Ending]:
        """Redact and pack one body. None where it was left out, which is then named; else how it ended.

        `always`: belongs to the report, so neither time nor size keeps it out. `whole`: of no use in part. `told` becomes its entry.
        """
        if not always and self.deadline.expired:
            self.partial = self.partial or "deadline"
            self.leave_out(path, why="deadline")
            return None
        self._progress(path)
        packer, ending = Packer(self._place.spool, guard=self.guard), Ending()
        redactions, left_out = self.redaction.total, len(self.redaction.left_out)
        counted = _Counted(pieces)
        limit = self.profile.archive_bytes if always else self.left_bytes - OVERHEAD_BYTES
        for piece in _ahead_if_long(self._until(self.redaction.pieces(counted.pieces(), file=file or path), ending)):
            packer.take(piece)
            if packer.packed > limit:
                ending.how = "budget"
                break
            if not always and self.deadline.expired:
                ending.how = self.partial = "deadline"
                break
        if (ending.how in ("budget", "deadline") and whole) or (ending.how and not packer.size):
            packer.drop()
            self.leave_out(path, why=ending.how, detail=str(ending.cut) if ending.cut else "")
            return None
        told.update(bytes_in=counted.size, redactions=self.redaction.total - redactions)
        gone = self.redaction.left_out[left_out:]
        if gone:
            told["left_out_bytes"] = sum(entry.size_bytes for entry in gone)
            self.absent += [Absent(path, "not redactable", f"{entry.size_bytes} bytes: {entry.why}") for entry in gone]
        if ending.how:
            told.setdefault("truncated", f"{ending.how}: {ending.cut}" if ending.cut else ending.how)
        body = packer.body()
        self._taken += body.spool.size + OVERHEAD_BYTES
        self.members.append(Member(path, body, told))
        return ending

    def add_besides(self, path: str, pieces: Iterable[bytes], *, told: dict[str, Any], file: str = "") -> Optional[Ending]:
        """Like `add`, for what no reading was made from: its names are not known yet, and are learnt before it is redacted."""
        if not self.redaction.learns or self.deadline.expired:
            return self.add(path, pieces, told=told, file=file)
        spool, cut = Spool(self._place.spool, guard=self.guard), None
        try:
            for piece in pieces:
                spool.write(piece)
        except CaptureCut as broken:
            cut = broken
        self.redaction.learn_body(spool.pieces(), file=file or path)
        try:
            return self.add(path, _then(spool.pieces(), cut), told=told, file=file)
        finally:
            spool.close()

    def add_made(self, path: str, body: bytes, *, told: dict[str, Any]) -> None:
        """A body of our own making, every part of which was redacted before."""
        packer = Packer(self._place.spool, guard=self.guard)
        packer.take(body)
        made = packer.body()
        self._taken += made.spool.size + OVERHEAD_BYTES
        self.members.append(Member(path, made, told))

    @staticmethod
    def _until(pieces: Iterator[bytes], ending: Ending) -> Iterator[bytes]:
        """A stream up to where its source broke off."""
        try:
            yield from pieces
        except CaptureCut as cut:
            ending.how, ending.cut = "cut", cut

    def drop(self) -> None:
        """Give the spool back."""
        for member in self.members:
            member.body.spool.close()
        self.members.clear()


def _then(pieces: Iterator[bytes], cut: Optional[CaptureCut]) -> Iterator[bytes]:
    yield from pieces
    if cut is not None:
        raise cut


class _Counted:
    """A stream that counts its bytes."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self.size = 0
        self._source = source

    def pieces(self) -> Iterator[bytes]:
        for piece in self._source:
            self.size += len(piece)
            yield piece


def _ahead_if_long(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces; made in a thread of their own once there are many."""
    size = 0
    for piece in pieces:
        yield piece
        size += len(piece)
        if size > AHEAD_BYTES:
            yield from ahead(pieces)
            return
