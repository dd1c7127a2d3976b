"""The outbox as rows: bundles that wait for their upload, with attempts and the time of the next one.

Refuses to keep a query or a password: a presigned address carries its secret there.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Optional

import msgspec

from eniagent.edge.history_rows import moment, us
from eniagent.edge.upload_target import bare


class Parcel(msgspec.Struct, frozen=True):
    """One upload to be made. `target`: where to, without query; the sender finds the whole address in the configuration."""

    id: int
    path: str
    target: str
    added_at: Optional[datetime]
    attempts: int = 0
    next_try_at: Optional[datetime] = None
    problem: str = ""


def post(connection: sqlite3.Connection, path: str, *, target: str, at: datetime) -> None:
    """Put a bundle in; once per path and target."""
    row = (path, bare(target), us(at), us(at))
    connection.execute("INSERT OR IGNORE INTO outbox (path, target, added_us, attempts, next_us, problem) VALUES (?, ?, ?, 0, ?, '')", row)


def load_parcels(connection: sqlite3.Connection, *, due_at: Optional[datetime] = None) -> list[Parcel]:
    """All that wait, or those whose next attempt is due; oldest first."""
    rows = connection.execute(
        "SELECT id, path, target, added_us, attempts, next_us, problem FROM outbox WHERE ? IS NULL OR next_us<=? ORDER BY added_us, id", (us(due_at), us(due_at))
    )
    return [Parcel(id_, path, target, moment(added), attempts, moment(next_us), problem) for id_, path, target, added, attempts, next_us, problem in rows]


def put_off(connection: sqlite3.Connection, parcel: Parcel, *, next_try_at: datetime, problem: str) -> None:
    """An attempt failed."""
    row = (us(next_try_at), problem[:500], parcel.path, parcel.target)
    connection.execute("UPDATE outbox SET attempts=attempts+1, next_us=?, problem=? WHERE path=? AND target=?", row)


def take_out(connection: sqlite3.Connection, parcel: Parcel) -> None:
    """It was delivered, or is given up."""
    connection.execute("DELETE FROM outbox WHERE path=? AND target=?", (parcel.path, parcel.target))
