"""Looks at files: one file, the files of a glob, and kernel settings below /proc/sys, all below the configured root.

Refuses to write, to wait for a FIFO, and to take a missing file for an empty one.
"""

from __future__ import annotations

import os
from typing import Optional

import msgspec

from eniagent.edge import clock
from eniagent.edge.errors import reason
from eniagent.edge.rooted import matches, open_regular, read_up_to, resolve
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.probe import ReadFile, ReadFiles, ReadSysctls
from eniagent.model.reading import Why

MAX_FILES = 512
"""More files than this below one glob are no configuration."""


def failed(probe: str, *, file: str, why: Why, detail: str) -> Capture:
    """A look that gave nothing, with the reason."""
    return Capture(Circumstances(probe=probe, file=file, at=clock.now(), failure=why, detail=detail))


def read_file(probe: ReadFile, *, root: str) -> Capture:
    """One file. Larger than the limit: truncated, the beginning kept; with `tail_bytes` the end is what was asked for."""
    told, at = f"read {probe.path}", clock.now()
    try:
        descriptor = open_regular(probe.path, root=root)
        try:
            size, skipped = os.fstat(descriptor).st_size, 0
            if probe.tail_bytes is not None and size > probe.tail_bytes:
                skipped = os.lseek(descriptor, size - probe.tail_bytes, os.SEEK_SET)
            data = read_up_to(descriptor, limit_bytes=probe.limit_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        why, detail = reason(error)
        return failed(told, file=probe.file, why=why, detail=f"{probe.path}: {detail}")
    over = len(data) > probe.limit_bytes
    about = Circumstances(
        probe=told,
        file=probe.file,
        at=at,
        failure=Why.TRUNCATED if over else None,
        detail=f"larger than {probe.limit_bytes} bytes" if over else f"the last {size - skipped} bytes" if skipped else "",
        truncated=over,
        size_bytes=max(size, len(data)),
    )
    return Capture(about, data[: probe.limit_bytes])


def read_files(probe: ReadFiles, *, root: str) -> dict[str, Capture]:
    """All files of a glob as `directory/<name>`, or their names as one JSON list in `directory` itself.

    Where nothing matches, or the directory may not be listed, one entry `directory/<last part of the pattern>` says so. An
    existing directory in which no name matches is an answer to a look for names: the empty list.
    """
    told = f"read {probe.pattern}"
    nothing = probe.directory if probe.names_only else f"{probe.directory}/{os.path.basename(probe.pattern)}"
    try:
        paths = matches(probe.pattern, root=root)
    except OSError as error:
        why, detail = reason(error)
        return {nothing: failed(told, file=nothing, why=why, detail=f"{probe.pattern}: {detail}")}
    if probe.names_only and (paths or os.path.isdir(resolve(os.path.dirname(probe.pattern), root=root))):
        body = msgspec.json.encode([os.path.basename(path) for path in paths[: MAX_FILES * 8]])
        return {nothing: Capture(Circumstances(probe=f"list {probe.pattern}", file=nothing, at=clock.now()), body)}
    if not paths:
        return {nothing: failed(told, file=nothing, why=Why.NOT_INSTALLED, detail=f"{probe.pattern}: no such file")}
    found = {}
    for path in paths[:MAX_FILES]:
        file = f"{probe.directory}/{os.path.basename(path)}"
        found[file] = read_file(ReadFile(file=file, path=path, limit_bytes=probe.limit_bytes), root=root)
    return found


def read_sysctls(probe: ReadSysctls, *, root: str) -> Capture:
    """Values below /proc/sys as `{"net/ipv4/ip_forward": "1"}`. Keys that may not be read are left out and counted."""
    told, values, unread = "read /proc/sys", {}, 0
    first: Optional[OSError] = None
    for pattern in probe.patterns:
        try:
            paths = matches(f"/proc/sys/{pattern}", root=root)
        except OSError as error:
            first, unread = first or error, unread + 1
            continue
        for path in paths:
            try:
                values[path[len("/proc/sys/") :]] = _value(path, root=root)
            except OSError as error:
                first, unread = first or error, unread + 1
    if not values:
        why, detail = reason(first) if first else (Why.NOT_INSTALLED, "nothing below /proc/sys matches")
        return failed(told, file=probe.file, why=why, detail=detail)
    body = msgspec.json.encode(values)
    detail = f"{unread} keys could not be read" if unread else ""
    about = Circumstances(probe=told, file=probe.file, at=clock.now(), detail=detail, size_bytes=len(body))
    return Capture(about, body)


def _value(path: str, *, root: str) -> str:
    descriptor = open_regular(path, root=root)
    try:
        return os.read(descriptor, 4096).decode("utf-8", "replace").strip()
    finally:
        os.close(descriptor)
