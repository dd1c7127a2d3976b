"""Notices that a process has ended or was replaced by another one of the same id, without reading the process table.

Refuses to find new ones: that takes the whole table, which is thousands of files on a full node.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from eniagent.edge.rooted import resolve


class ProcessWatch:
    """The processes named last."""

    def __init__(self, *, root: str) -> None:
        self._root = root
        self._started: dict[int, Optional[bytes]] = {}

    def watch(self, pids: Iterable[int]) -> None:
        """From now on these."""
        self._started = {pid: self._started.get(pid) or self._start_of(pid) for pid in pids}

    def changed(self) -> bool:
        """Whether one of them is no longer what it was."""
        return any(self._start_of(pid) != started for pid, started in self._started.items())

    def _start_of(self, pid: int) -> Optional[bytes]:
        """Its start in ticks since boot (proc(5), stat, field 22); None where it is gone or dead."""
        try:
            with open(f"{resolve('/proc', root=self._root)}/{pid}/stat", "rb", buffering=0) as file:
                # The name, in brackets, may hold anything.
                fields = file.read(4096).rpartition(b")")[2].split()
        except OSError:
            return None
        return fields[19] if len(fields) > 19 and fields[0] not in (b"Z", b"X") else None
