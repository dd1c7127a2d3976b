"""Captures directories: opens one, or a series of them, and writes one (contract, *A captures directory*).

Refuses links, paths that lead out of the directory, and a directory in which nothing is a capture: an empty node would be
mistaken for a quiet one. A manifest is optional, and a broken one costs only what it alone could tell.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, NamedTuple, Optional

import msgspec

from eniagent.edge import clock
from eniagent.edge.errors import CapturesError, reason
from eniagent.edge.gunzip import MAGIC, inflate
from eniagent.edge.rooted import read_up_to
from eniagent.model.capture import Capture, CaptureCut, Circumstances, Seen
from eniagent.model.reading import Unobserved, Why
from eniagent.sources import Span

SCHEMA = "eniagent.captures/1"
MANIFEST = "manifest.json"
PLACES = frozenset(("ipamd", "imds", "host", "logs", "journal", "kubelet", "runtime", "cni", "history", "aws"))
"""Directories of the contract's layout, and `aws` for what EC2 and CloudTrail answered; other files are ignored."""

MAX_FILES, MAX_DEPTH = 10_000, 4
PIECE_BYTES = 1 << 20
MANIFEST_BYTES = 16 << 20


class Opened(NamedTuple):
    """One captures directory: what `sources.snapshot` takes. `unread`: readings that its own run could not take, and why."""

    seen: Seen
    span: Span
    told: dict[str, str]
    unread: Mapping[str, Unobserved] = {}


class Listed(NamedTuple):
    """One file of a captures directory, wherever it stands."""

    file: str
    size_bytes: int
    modified_at: float
    read: Callable[[], Iterator[bytes]]


def read_series(path: str, *, since_s: float, always: bool = False) -> list[Opened]:
    """A captures directory, or its sub-directories in name order, oldest first; the last is *now*.

    The window is `since_s` before each one's own `taken_at`; where its manifest tells the window it is that one, but `always` is yours.
    Raises `CapturesError` naming the path.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False))
        if _is_captures(path):
            return [_open(path, since_s=since_s, always=always)]
        members = [f"{path}/{name}" for name in names if _is_captures(f"{path}/{name}")]
        if members:
            return [_open(member, since_s=since_s, always=always) for member in members]
    except NotADirectoryError:
        raise CapturesError(f"{path}: is no directory") from None
    except OSError as error:
        raise CapturesError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from error
    wanted = f"neither {MANIFEST} nor one of {', '.join(sorted(PLACES))} stands in it or in a directory below it"
    raise CapturesError(f"{path}: is no captures directory and no series of them: {wanted}")


def _is_captures(path: str) -> bool:
    """Whether a directory holds a manifest or files in the contract's places."""
    for entry in os.scandir(path):
        if entry.name == MANIFEST and entry.is_file(follow_symlinks=False):
            return True
        if entry.name in PLACES and entry.is_dir(follow_symlinks=False) and next(_walk(path, entry.name), None):
            return True
    return False


def _open(path: str, *, since_s: float, always: bool) -> Opened:
    listed = [Listed(file, status.st_size, status.st_mtime, _reader(path, file)) for file, status in _files(path)]
    return assemble(listed, _manifest(path), since_s=since_s, always=always)


def assemble(listed: Iterable[Listed], manifest: Mapping[str, Any], *, since_s: float, always: bool = False) -> Opened:
    """Files and a manifest as one look. `manifest` may be empty; files of names that are no captures must be left out before."""
    abouts = dict(_entries(manifest.get("captures")))
    seen: dict[str, Capture] = {}
    newest = 0.0
    for file, size_bytes, modified_at, read in listed:
        newest = max(newest, modified_at)
        key = file[:-3] if file.endswith(".gz") else file
        if key in seen:
            key = file
        about = abouts.get(file) or abouts.get(key) or Circumstances(probe=f"file {file}", file=key)
        about = msgspec.structs.replace(about, file=key, size_bytes=size_bytes)
        seen[key] = Capture(about, _as_cut(about, read))
    for file, about in abouts.items():
        # An entry without a file is a look that was tried: its failure is evidence, and so is an answer that was empty.
        if file not in seen and (about.failure is not None or about.status or about.exit):
            seen[file] = Capture(about)
    taken_at = _time(manifest.get("taken_at")) or clock.from_epoch(newest)
    told_since = None if always else _time(manifest.get("since"))
    span = Span(until=taken_at, since=told_since or taken_at - timedelta(seconds=since_s))
    return Opened(seen, span, _told(manifest), _unread(manifest.get("unread")))


def _as_cut(about: Circumstances, read: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    """A stream that broke off when it was written down breaks off here again, and says the same."""
    why, colon, detail = about.detail.partition(": ")
    cut = next((known for known in Why if known.value == why), None)
    if not about.truncated or not colon or cut is None or about.file.split("/")[0] not in ("logs", "journal"):
        return read

    def read_and_break() -> Iterator[bytes]:
        yield from read()
        raise CaptureCut(cut, detail)

    return read_and_break


def _unread(value: Any) -> dict[str, Unobserved]:
    """Field -> why it was not read. What is of another shape tells nothing."""
    try:
        return msgspec.convert(value or {}, dict[str, Unobserved])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}


def _told(manifest: Mapping[str, Any]) -> dict[str, str]:
    node = manifest.get("node")
    told = {str(key): str(value) for key, value in node.items() if value is not None} if isinstance(node, dict) else {}
    if manifest.get("problem"):
        told["manifest"] = str(manifest["problem"])
    return told


def _manifest(path: str) -> dict[str, Any]:
    """The manifest as a JSON object; one that is absent is empty, one that cannot be used holds only its `problem`."""
    try:
        data = b"".join(_pieces(path, MANIFEST, limit_bytes=MANIFEST_BYTES))
        value = msgspec.json.decode(data)
    except FileNotFoundError:
        return {}
    except CaptureCut as cut:
        return {"problem": f"{MANIFEST} cannot be read: {cut.detail}"}
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        return {"problem": f"{MANIFEST} cannot be used: {error}"}
    return value if isinstance(value, dict) else {"problem": f"{MANIFEST} is no JSON object"}


def _entries(listed: Any) -> Iterator[tuple[str, Circumstances]]:
    """The manifest's entries that name a file inside the directory."""
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str) or not is_inside(entry["file"]):
            continue
        try:
            about = msgspec.convert({"probe": f"file {entry['file']}", **entry}, Circumstances)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            about = _plainest(entry)
        if about.at is not None and about.at.tzinfo is None:
            about = msgspec.structs.replace(about, at=about.at.replace(tzinfo=timezone.utc))
        yield about.file, about


def _plainest(entry: Mapping[str, Any]) -> Circumstances:
    """What can be kept of an entry with a field of the wrong kind. A failure of an unknown name stays a failure."""
    words = {why.value: why for why in Why}
    failure = entry.get("failure")
    known = words.get(failure) if isinstance(failure, str) else None
    return Circumstances(
        probe=str(entry.get("probe", "")),
        file=str(entry["file"]),
        at=_time(entry.get("at")),
        status=entry["status"] if isinstance(entry.get("status"), int) else None,
        failure=known or (Why.MALFORMED if failure else None),
        detail=str(failure) if failure and known is None else "",
    )


def _time(value: Any) -> Optional[datetime]:
    try:
        at = msgspec.convert(value, datetime)
    except (msgspec.MsgspecError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def is_inside(file: str) -> bool:
    """Whether a file's name stays below the directory and within the contract's places."""
    parts = file.split("/")
    return len(parts) > 1 and parts[0] in PLACES and not any(part in ("", ".", "..") or "\0" in part for part in parts)


def _files(path: str) -> Iterator[tuple[str, os.stat_result]]:
    for number, (file, status) in enumerate(_walk(path, "")):
        if number >= MAX_FILES:
            raise CapturesError(f"{path}: holds more than {MAX_FILES} files")
        if is_inside(file):
            yield file, status


def _walk(path: str, below: str) -> Iterator[tuple[str, os.stat_result]]:
    """Regular files below a directory in name order, links left alone."""
    for entry in sorted(os.scandir(f"{path}/{below}"), key=lambda entry: entry.name):
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=False):
            if name.count("/") < MAX_DEPTH and (below or entry.name in PLACES):
                yield from _walk(path, name)
        elif entry.is_file(follow_symlinks=False):
            yield name, entry.stat(follow_symlinks=False)


def _reader(path: str, file: str) -> Callable[[], Iterator[bytes]]:
    def read() -> Iterator[bytes]:
        try:
            pieces = _pieces(path, file)
            first = next(pieces, b"")
            yield from inflate(_after(first, pieces)) if first[:2] == MAGIC else _after(first, pieces)
        except OSError as error:
            raise CaptureCut(*reason(error)) from error

    return read


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _pieces(path: str, file: str, *, limit_bytes: Optional[int] = None) -> Iterator[bytes]:
    """A file's bytes; its last component may be no link and nothing but a regular file."""
    descriptor = os.open(f"{path}/{file}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CaptureCut(Why.MALFORMED, "not a regular file")
        if limit_bytes is not None:
            data = read_up_to(descriptor, limit_bytes=limit_bytes)
            if len(data) > limit_bytes:
                raise CaptureCut(Why.TRUNCATED, f"larger than {limit_bytes} bytes")
            yield data
            return
        while True:
            piece = os.read(descriptor, PIECE_BYTES)
            if not piece:
                return
            yield piece
    finally:
        os.close(descriptor)
