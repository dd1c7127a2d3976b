"""A log with its rotations, read only from where the window begins, as streams.

Refuses to read a large log from its start: the place is found by bisecting on the lines' own times. What a stream held when
it was opened is its end, so a log that grows while it is read comes to an end all the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Callable, Optional

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.errors import reason
from eniagent.edge.files import failed
from eniagent.edge.gunzip import MAGIC, inflate
from eniagent.edge.rooted import matches, open_regular
from eniagent.edge.segment import MARGIN_BYTES, Segment, last_needle, line_start, offset_of, plain_size, raw
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.probe import ReadLogs
from eniagent.model.reading import Why

POOL_ACTION_NEEDLES = (
    b"Trying to allocate",
    b"Successfully created and attached",
    b"Allocated ",
    b"Failed to allocate",
    b"Starting L-IPAMD",
    b"Failed to increase pool size",
    b"InsufficientFreeAddresses",
    b"InsufficientCidrBlocks",
)
"""Texts of which every pool action leaves at least one, in all releases (text only: what it means is for the sources)."""

BACK_BYTES = 64 << 20
"""How far before the window the last pool action is looked for."""

_NAMED = re.compile(r"(\d{4})-(\d\d)-(\d\d)[-T](\d\d)(?:-(\d\d)-(\d\d))?")


def capture_logs(
    probe: ReadLogs, *, root: str, since: Optional[datetime], deadline: Deadline, needles: tuple[bytes, ...] = ()
) -> dict[str, Capture]:
    """`logs/<name>` for each file that holds part of the window, or the last of `needles` before it; content is lazy.

    Nothing there at all: one entry for the live log that says so. Rotated files that are packed are told unpacked.
    """
    told = f"read {probe.path}"
    live = f"{probe.directory}/{os.path.basename(probe.path)}"
    try:
        segments, refused = _segments(probe, root=root)
        starts = _starts(segments, since=since, deadline=deadline)
        if needles and segments and since is not None:
            starts = _back_to_action(segments, starts, needles=needles, deadline=deadline)
    except OSError as error:
        why, detail = reason(error)
        return {live: failed(told, file=live, why=why, detail=f"{probe.path}: {detail}")}
    found = {}
    for segment, start in zip(segments, starts):
        if start is not None:
            capture = _capture(segment, directory=probe.directory, start=start, deadline=deadline)
            found[capture.about.file] = capture
    for path, refusal in refused.items():
        why, detail = reason(refusal)
        file = f"{probe.directory}/{os.path.basename(path)}"
        if path == probe.path or why is not Why.NOT_INSTALLED:
            found.setdefault(file, failed(f"read {path}", file=file, why=why, detail=f"{path}: {detail}"))
    return found


def _segments(probe: ReadLogs, *, root: str) -> tuple[list[Segment], dict[str, OSError]]:
    """The log's files, oldest first, the live one last, and those that could not be opened."""
    pattern = probe.pattern
    if not pattern.startswith("/"):
        pattern = f"{os.path.dirname(probe.path)}/{pattern}"
    paths = [path for path in matches(pattern, root=root) if path != probe.path] + [probe.path]
    opened: list[tuple[bool, str, float, int, Segment]] = []
    refused: dict[str, OSError] = {}
    for path in paths:
        try:
            descriptor = open_regular(path, root=root)
        except OSError as error:
            refused[path] = error
            continue
        status = os.fstat(descriptor)
        packed = os.pread(descriptor, 2, 0) == MAGIC
        segment = Segment(os.path.basename(path), descriptor, status.st_size, status.st_mtime, packed)
        opened.append((path == probe.path, _NAMED.sub(_digits, segment.name), status.st_mtime, len(opened), segment))
    opened.sort(key=lambda entry: entry[:4])
    return [entry[4] for entry in opened], refused


def _digits(found: re.Match[str]) -> str:
    return "".join(group or "00" for group in found.groups())


def _starts(segments: list[Segment], *, since: Optional[datetime], deadline: Deadline) -> list[Optional[int]]:
    """For each file the offset at which the window begins in it; None where all of it is older."""
    starts: list[Optional[int]] = [None] * len(segments)
    for index in range(len(segments) - 1, -1, -1):
        segment = segments[index]
        if since is None:
            starts[index] = 0
            continue
        # The last write is no earlier than the last line, so a file last written before the window holds none of it.
        if segment.ended_at < since.timestamp():
            break
        starts[index] = offset_of(segment, since=since, deadline=deadline)
        if starts[index]:
            break
    if segments and starts[-1] is None:
        # A live log that nobody wrote within the window is told as such, not as missing.
        starts[-1] = segments[-1].size
    return starts


def _back_to_action(
    segments: list[Segment], starts: list[Optional[int]], *, needles: tuple[bytes, ...], deadline: Deadline
) -> list[Optional[int]]:
    """Starts moved back to the last line that holds a needle, at most `BACK_BYTES` before the window."""
    starts, left = list(starts), BACK_BYTES
    for index in range(len(segments) - 1, -1, -1):
        segment, start = segments[index], starts[index]
        size = plain_size(segment, deadline=deadline)
        # Inside the window looking is free, because it is read anyhow; before it the budget counts.
        begin = max(0, (size if start is None else start) - left)
        at = last_needle(segment, begin=begin, end=size, needles=needles, deadline=deadline)
        if at is not None:
            wanted = max(begin, at - MARGIN_BYTES)
            if start is None or wanted < start:
                starts[index] = line_start(segment, wanted, deadline=deadline)
                for later in range(index + 1, len(segments)):
                    starts[later] = 0
            return starts
        left -= (size if start is None else start) - begin
        if left <= 0 or deadline.expired:
            break
    return starts


def _capture(segment: Segment, *, directory: str, start: int, deadline: Deadline) -> Capture:
    name = segment.name[:-3] if segment.packed and segment.name.endswith(".gz") else segment.name
    about = Circumstances(
        probe=f"read log {segment.name}",
        file=f"{directory}/{name}",
        at=clock.now(),
        detail=f"from byte {start}" if start else "",
        size_bytes=segment.size,
    )
    return Capture(about, _opener(segment, start=start, deadline=deadline))


def _opener(segment: Segment, *, start: int, deadline: Deadline) -> Callable[[], Iterator[bytes]]:
    def packed() -> Iterator[bytes]:
        skip = start
        for piece in inflate(raw(segment, start=0, deadline=deadline)):
            if skip < len(piece):
                yield piece[skip:]
            skip = max(0, skip - len(piece))

    def plain() -> Iterator[bytes]:
        return raw(segment, start=start, deadline=deadline)

    return packed if segment.packed else plain
