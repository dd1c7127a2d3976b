"""Between one ground and the next: a damaged file put aside, the little that must go on taken along, memory brought back to the file.

Refuses to put files aside again and again: one damaged file is kept, and the next within the hour stays where it is.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Optional

from eniagent.edge import clock, history_incidents, history_rows
from eniagent.edge.history_ground import BROKEN, HistoryError, open_to_read, transaction
from eniagent.edge.history_snapshots import Reader, Snapshots
from eniagent.model.chronicle import Gap

_SMALL = ("cursors", "incidents", "outbox")
_SEEDED = "_seeded"
"""Name of a cursor that only memory has: the file's outbox was known when the work went on in memory."""


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".corrupt")


def put_aside_at(path: Path) -> str:
    """Where a damaged file stands, empty where there is none."""
    aside = _aside(path)
    return str(aside) if aside.exists() else ""


def put_aside(path: Path, *, again_after_s: float) -> bool:
    """Rename a damaged file and its log. False where that was done less than `again_after_s` ago. Raises `OSError`."""
    aside, now_s = _aside(path), clock.now().timestamp()
    if aside.exists() and abs(now_s - aside.stat().st_mtime) < again_after_s:
        return False
    os.replace(path, aside)
    os.utime(aside, (now_s, now_s))
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    return True


def take_small(path: Path, target: sqlite3.Connection) -> None:
    """Cursors, incidents and outbox of a file that cannot be written, or is damaged: as much as it still tells."""
    try:
        source = open_to_read(path)
    except HistoryError:
        return
    with contextlib.closing(source):
        whole = True
        for table in _SMALL:
            try:
                rows = source.execute(f"SELECT * FROM {table}").fetchall()
                with transaction(target):
                    for row in rows:
                        target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(row))})", row)
            except BROKEN:
                whole = False
        if whole:
            history_rows.store_cursors(target, {_SEEDED: "1"})


def carry_over(memory: sqlite3.Connection, file: sqlite3.Connection, *, lost: int, since: Optional[datetime], until: datetime) -> None:
    """All that was stored in memory into the file, in one transaction. Raises `sqlite3.Error`, and the file is as it was."""
    reader, snapshots = Reader(memory), Snapshots()
    seeded = history_rows.load_cursor(memory, _SEEDED) != ""
    with transaction(file):
        for number in reader.numbers(at=None, before=1 << 20):
            snapshots.settle(snapshots.store(file, reader.load(number)))
        history_rows.store_failures(file, history_rows.load_failures(memory, since=None, until=None))
        history_rows.store_transitions(file, history_rows.load_transitions(memory, since=None, until=None))
        gaps = history_rows.load_gaps(memory, since=None, until=None)
        if lost:
            gaps.append(Gap("not-kept", since, until, lost, "failures that neither the file nor memory could keep"))
        history_rows.store_gaps(file, gaps, noted_at=until)
        cursors = memory.execute("SELECT name, text FROM cursors WHERE name<>?", (_SEEDED,)).fetchall()
        history_rows.store_cursors(file, dict(cursors))
        for incident in history_incidents.load_incidents(memory):
            history_incidents.merge_incident(file, incident)
        if seeded:
            file.execute("DELETE FROM outbox")
        rows = memory.execute("SELECT path, target, added_us, attempts, next_us, problem FROM outbox").fetchall()
        file.executemany("INSERT OR IGNORE INTO outbox (path, target, added_us, attempts, next_us, problem) VALUES (?, ?, ?, ?, ?, ?)", rows)
