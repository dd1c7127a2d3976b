"""Writes a captures directory: the bytes of one look with a manifest, as the contract lays it out.

Refuses names that lead out of the directory, and to overwrite: the directory is new or empty. Files are for their owner alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Optional

import msgspec

from eniagent.edge import clock
from eniagent.edge.captures import MANIFEST, SCHEMA, is_inside
from eniagent.edge.errors import CapturesError
from eniagent.model.capture import Capture, CaptureCut, Circumstances, Seen
from eniagent.sources.journal_entries import to_json_lines


def write_captures(directory: str, seen: Seen, *, taken_at: datetime, node: Optional[Mapping[str, str]] = None) -> None:
    """Write all captures and `manifest.json`. Streams are read to their end; one that breaks off is told as cut.

    Raises `CapturesError` where the directory holds something or a name leads out of it, `OSError` where the disk refuses.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    if os.listdir(directory):
        raise CapturesError(f"{directory}: is not empty")
    entries = [_entry(_write_one(directory, file, seen[file])) for file in sorted(seen)]
    manifest = {"schema": SCHEMA, "taken_at": taken_at, "node": dict(node or {}), "captures": entries}
    # Last, so that a directory with a manifest is a whole one.
    with _create(f"{directory}/{MANIFEST}") as out:
        out.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def _write_one(directory: str, file: str, capture: Capture) -> Circumstances:
    """Write one capture's content where it has any; returns what is true of it after that."""
    if not is_inside(file):
        raise CapturesError(f"{file}: is no name in a captures directory")
    about, size = msgspec.structs.replace(capture.about, file=file), 0
    path = f"{directory}/{file}"
    try:
        # journalctl is read in its faster export format; a captures directory holds `-o json` (contract).
        pieces = to_json_lines(capture.chunks(), now=about.at or clock.now()) if file.startswith("journal/") else capture.chunks()
        first = next(pieces, b"")
        if first or about.failure is None:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with _create(path) as out:
                size += out.write(first)
                for piece in pieces:
                    size += out.write(piece)
    except CaptureCut as cut:
        about = msgspec.structs.replace(about, truncated=True, detail=f"{cut.why.value}: {cut.detail}")
        if not size:
            about = msgspec.structs.replace(about, failure=cut.why, detail=cut.detail, truncated=False)
    return msgspec.structs.replace(about, size_bytes=size or None)


def _create(path: str) -> Any:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _entry(about: Circumstances) -> dict[str, Any]:
    """One entry of the manifest: what is not known is left out."""
    entry: dict[str, Any] = msgspec.to_builtins(about)
    return {key: value for key, value in entry.items() if value is not None and value != ""}
