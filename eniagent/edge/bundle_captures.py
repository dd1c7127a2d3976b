"""The captures of a bundle: the looks of its case in the contract's layout, so that the bundle opened elsewhere gives the same diagnosis.

Refuses to let a capture vanish: one that is left out or shortened says so in the captures' own manifest, and reads as truncated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from eniagent.edge.bundle_fit import Fit, Room, cited
from eniagent.edge.bundle_kept import STREAMS, Look, Stream, unread
from eniagent.edge.bundle_members import OVERHEAD_BYTES, Ending, Members
from eniagent.edge.captures import MANIFEST, SCHEMA, is_inside
from eniagent.edge.names import stored
from eniagent.model.capture import Capture, CaptureCut, Circumstances
from eniagent.model.finding import Diagnosis
from eniagent.model.reading import Why
from eniagent.model.snapshot import Case, NodeSnapshot
from eniagent.sources.journal_entries import to_json_lines

TOP = "captures"
RATE_BYTES_S = 120e6
"""How much of a stream is redacted, digested and deflated per second on a busy node; the deadline is planned with it."""


class Captures:
    """Adds the captures of one case to the members."""

    def __init__(self, members: Members, case: Case, diagnosis: Diagnosis, *, looks: list[Look]) -> None:
        self._members, self._case, self._looks = members, case, looks
        self._cited = cited(case, diagnosis)
        self.incomplete: list[str] = []

    def add(self) -> None:
        """All looks: the last one plain in `captures/`, or a series of numbered directories where there are several."""
        snapshots = (*self._case.before, self._case.now)
        for number, (look, snapshot) in enumerate(zip(self._looks, snapshots), 1):
            self._add_look(self._top(number), look, snapshot, is_last=number == len(self._looks))

    @property
    def newest(self) -> str:
        """The directory of the newest look."""
        return self._top(len(self._looks))

    def _top(self, number: int) -> str:
        return TOP if len(self._looks) == 1 else f"{TOP}/{number:04d}"

    def _add_look(self, top: str, look: Look, snapshot: NodeSnapshot, *, is_last: bool) -> None:
        abouts: dict[str, Circumstances] = {}
        small = sorted(file for file in look.seen if file.split("/")[0] not in STREAMS)
        long = sorted((file for file in look.seen if file.split("/")[0] in STREAMS), key=lambda file: (_plain_size(look.seen[file]), file))
        for file in small:
            abouts[file] = self._add_whole(top, file, look.seen[file])
        for position, file in enumerate(long):
            abouts[file] = self._add_stream(top, file, look.seen[file], sharing=len(long) - position, cited=self._cited.get(file, set()) if is_last else set())
        self._add_manifest(top, abouts, snapshot)

    def _add_whole(self, top: str, file: str, capture: Capture) -> Circumstances:
        about = msgspec.structs.replace(capture.about, file=file)
        if not is_inside(file):
            self._members.leave_out(f"{top}/{file}", why="no name in a captures directory")
            return about
        ending = None
        pieces = capture.chunks()
        try:
            first = next(pieces, b"")
        except CaptureCut as cut:
            return msgspec.structs.replace(about, failure=cut.why, detail=cut.detail)
        if not first and about.failure is not None:
            return about
        told = entry(about, source=about.probe)
        ending = self._members.add(self._path(top, file), _after(first, pieces), told=told, file=file, whole=True)
        if ending is None:
            return self._lost(about, f"left out: {self._members.absent[-1].why}")
        return self._marked(about, told, ending)

    def _add_stream(self, top: str, file: str, capture: Capture, *, sharing: int, cited: set[bytes]) -> Circumstances:
        about = msgspec.structs.replace(capture.about, file=file)
        if about.failure is not None:
            return about
        room = self._room(sharing)
        fit = Fit(file, size=self._size_in_lines(file, capture, room), room=room, cited=cited)
        told = entry(about, source=about.probe)
        ending = self._members.add(self._path(top, file), fit.pieces(_lines(file, capture)), told=told, file=file)
        if ending is None:
            cut = capture.cut if isinstance(capture, Stream) else None
            if cut is not None and not capture.size:  # type: ignore[attr-defined]
                return msgspec.structs.replace(about, failure=cut.why, detail=cut.detail)
            return self._lost(about, f"left out: {self._members.absent[-1].why}")
        if fit.told.how:
            told["truncated"] = "; ".join(filter(None, (told.get("truncated", ""), fit.told.how)))
        if fit.told.truncated and not ending.how:
            self.incomplete.append(file)
            return msgspec.structs.replace(about, truncated=True, detail=f"{Why.TRUNCATED.value}: {fit.told.how}")
        return self._marked(about, told, ending)

    def _room(self, sharing: int) -> Room:
        members = self._members
        left_s = members.deadline.remaining_s
        packed = max(0, members.left_bytes - OVERHEAD_BYTES) // sharing
        return Room(plain_bytes=int(min(members.profile.source_bytes, RATE_BYTES_S * left_s / sharing)), packed_bytes=int(packed * 0.92))

    def _size_in_lines(self, file: str, capture: Capture, room: Room) -> int:
        """Plain bytes of what will be written; exact where a cap may come into play."""
        size = _plain_size(capture)
        if isinstance(capture, Stream) and (not file.startswith("journal/") or size * 2 < min(room.packed_bytes, room.plain_bytes)):
            return size
        return sum(len(piece) for piece in _upto(_lines(file, capture)))

    def _marked(self, about: Circumstances, told: dict[str, Any], ending: Ending) -> Circumstances:
        """Circumstances of a capture that is there, with what became of it on its way into the bundle."""
        if ending.cut is not None:
            return msgspec.structs.replace(about, truncated=True, detail=f"{ending.cut.why.value}: {ending.cut.detail}")
        why = ending.how or ("not redactable" if "left_out_bytes" in told else "")
        return self._lost(about, why) if why else about

    def _lost(self, about: Circumstances, why: str) -> Circumstances:
        """A capture that the bundle has in part or not at all: it reads as truncated."""
        self.incomplete.append(about.file)
        if why.startswith("left out"):
            return msgspec.structs.replace(about, failure=Why.TRUNCATED, detail=why, truncated=False)
        return msgspec.structs.replace(about, truncated=True, detail=f"{Why.TRUNCATED.value}: {why}")

    def _path(self, top: str, file: str) -> str:
        return stored(f"{top}/{self._members.redaction.name(file)}")

    def _add_manifest(self, top: str, abouts: dict[str, Circumstances], snapshot: NodeSnapshot) -> None:
        by = self._members.redaction
        told: dict[str, Any] = {"schema": SCHEMA, "taken_at": snapshot.taken_at, "since": snapshot.since, "node": by.entries(snapshot.told)}
        missing = {field: by.unread(reading) for field, reading in unread(snapshot).items()}
        captures = [
            _plain(msgspec.structs.replace(about, file=by.name(about.file), probe=by.text(about.probe), detail=by.text(about.detail)))
            for _, about in sorted(abouts.items())
        ]
        body = msgspec.json.format(msgspec.json.encode({**told, "unread": missing, "captures": captures}), indent=1) + b"\n"
        # Every part of it was redacted before, and a second time would be one too many for pseudonyms.
        self._members.add_made(f"{top}/{MANIFEST}", body, told={"source": "eniagent", "state": "made"})


def entry(about: Circumstances, *, source: str) -> dict[str, Any]:
    """What the bundle's manifest tells of a capture."""
    found = {"source": source, "state": "collected" if about.failure is None else about.failure.value, **_plain(about)}
    for name in ("probe", "file", "failure", "size_bytes", "truncated"):
        found.pop(name, None)
    if about.truncated:
        found["truncated"] = about.detail or "at its source"
    return found


def _plain(about: Circumstances) -> dict[str, Any]:
    """One entry of a captures manifest: what is not known is left out."""
    told: dict[str, Any] = msgspec.to_builtins(about)
    return {key: value for key, value in told.items() if value is not None and value != ""}


def _lines(file: str, capture: Capture) -> Iterator[bytes]:
    if not file.startswith("journal/") or capture.about.at is None:
        return capture.chunks()
    # journalctl is read in its faster export format; a captures directory holds `-o json` (contract).
    return to_json_lines(capture.chunks(), now=capture.about.at)


def _plain_size(capture: Capture) -> int:
    if isinstance(capture, Stream) and capture.begun:
        return capture.size
    return capture.about.size_bytes or 0


def _upto(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except CaptureCut:
        return


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


__all__ = ["TOP", "Captures", "entry"]
