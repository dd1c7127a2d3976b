"""What another unit asked the container runtime, found as files: the daemon itself has no right to speak to containerd.

Refuses answers that are old: a unit that has stopped must not pass for a node on which nothing changes.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Optional

from eniagent.edge import clock
from eniagent.edge.rooted import open_regular, read_up_to
from eniagent.model.capture import Capture, Circumstances

FILES = ("pods.json", "containers.json")
TABLES = ("tasks.txt",)
"""Written only where there is no crictl: ctr's tables."""
FRESH_S = 1500.0
"""Somewhat more than twice the time between two askings (systemd/eniagent-runtime.timer)."""
LIMIT_BYTES = 16 << 20


def runtime_captures(directory: str, *, now: datetime) -> dict[str, Capture]:
    """`runtime/pods.json` and `runtime/containers.json`, both or none; ctr's tables with them."""
    found = {f"runtime/{name}": _capture(directory, name, now=now) for name in (*FILES, *TABLES)}
    if any(found[f"runtime/{name}"] is None for name in FILES):
        return {}
    return {file: capture for file, capture in found.items() if capture is not None}


def _capture(directory: str, name: str, *, now: datetime) -> Optional[Capture]:
    """One answer; None where it is absent, empty, too large or old."""
    try:
        descriptor = open_regular(f"{directory}/{name}", root="/")
    except OSError:
        return None
    try:
        at = clock.from_epoch(os.fstat(descriptor).st_mtime)
        data = read_up_to(descriptor, limit_bytes=LIMIT_BYTES)
    finally:
        os.close(descriptor)
    if not data or len(data) > LIMIT_BYTES or abs((now - at).total_seconds()) > FRESH_S:
        return None
    return Capture(Circumstances(probe=f"read {name}", file=f"runtime/{name}", at=at, size_bytes=len(data)), data)
