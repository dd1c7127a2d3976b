"""Retention: what is too old, too many or too large is forgotten, a little at each cycle, and the file gives its pages back.

Refuses to forget much at once: a clock that jumps years ahead for a few cycles must not empty the history.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from eniagent.edge.history_ground import PAGE_BYTES, transaction
from eniagent.edge.history_rows import us


class Limits(msgspec.Struct, frozen=True):
    """How much is kept. `size_bytes` bounds file and log together."""

    age_s: float = 7 * 86400.0
    size_bytes: int = 50 << 20
    snapshots: int = 40_000
    failures: int = 150_000
    transitions: int = 50_000


class Dropped(NamedTuple):
    """What one round forgot."""

    snapshots: int = 0
    failures: int = 0


_STEP = 200
"""Rows of one table that may go at once on account of age."""
_ROUNDS = 40
_FILLED = 0.8
"""Share of the limit that live pages may take: the rest is for the log and for pages that are free."""
_NAMES_EVERY = 500

_TIMED = (("transitions", "at_us"), ("gaps", "noted_us"))


def forget(connection: sqlite3.Connection, *, limits: Limits, now: datetime) -> Dropped:
    """One round of retention, in transactions of its own. Raises `sqlite3.Error`."""
    with transaction(connection):
        dropped = [_forget_by_age(connection, limits=limits, now=now), _forget_by_rows(connection, limits=limits)]
    for _ in range(_ROUNDS):
        if live_bytes(connection) <= limits.size_bytes * _FILLED:
            break
        with transaction(connection):
            dropped.append(_forget_share(connection))
        if dropped[-1] == Dropped():
            break
    _give_back(connection)
    return Dropped(*(sum(part) for part in zip(*dropped)))


def live_bytes(connection: sqlite3.Connection) -> int:
    """Bytes in pages that hold something."""
    pages, free = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count"))
    return (pages - free) * PAGE_BYTES


def _forget_by_age(connection: sqlite3.Connection, *, limits: Limits, now: datetime) -> Dropped:
    cutoff = us(now - timedelta(seconds=limits.age_s))
    old = [row[0] for row in connection.execute("SELECT id FROM snapshots WHERE taken_us<? ORDER BY id LIMIT ?", (cutoff, _STEP))]
    newest = connection.execute("SELECT max(id) FROM snapshots").fetchone()[0]
    kept_from = max((number for number in old if number != newest), default=0) + 1
    # Numbers, not times, decide: what a clock once stepped ahead wrote is not left standing between its neighbours for ever.
    snapshots = _forget_snapshots(connection, before=kept_from) if old else 0
    # Ids follow the time of learning: the oldest are looked at, and those among them that are too old go.
    failures = connection.execute("DELETE FROM failures WHERE at_us<? AND id IN (SELECT id FROM failures ORDER BY id LIMIT ?)", (cutoff, _STEP)).rowcount
    for table, column in _TIMED:
        connection.execute(f"DELETE FROM {table} WHERE {column}<? AND id IN (SELECT id FROM {table} ORDER BY id LIMIT ?)", (cutoff, _STEP))
    connection.execute("DELETE FROM incidents WHERE ended_us<>0 AND ended_us<?", (cutoff,))
    return Dropped(snapshots, failures)


def _forget_by_rows(connection: sqlite3.Connection, *, limits: Limits) -> Dropped:
    newest = connection.execute("SELECT max(id) FROM snapshots").fetchone()[0] or 0
    snapshots = _forget_snapshots(connection, before=newest - limits.snapshots + 1)
    failures = _forget_beyond(connection, "failures", limits.failures)
    for table, _ in _TIMED:
        _forget_beyond(connection, table, limits.transitions)
    if newest % _NAMES_EVERY == 0:
        _forget_names(connection)
    return Dropped(snapshots, failures)


def _forget_beyond(connection: sqlite3.Connection, table: str, most: int) -> int:
    """All but the newest `most`, by number."""
    newest = connection.execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0
    return connection.execute(f"DELETE FROM {table} WHERE id<=?", (newest - most,)).rowcount


def _forget_share(connection: sqlite3.Connection) -> Dropped:
    """A fiftieth of the snapshots and of the failures, the oldest."""
    low, high = connection.execute("SELECT min(id), max(id) FROM snapshots").fetchone()
    snapshots = _forget_snapshots(connection, before=min(high, low + max(1, (high - low) // 50))) if low is not None else 0
    low, high = connection.execute("SELECT min(id), max(id) FROM failures").fetchone()
    before = low + max(10, (high - low) // 50) if low is not None else 0
    failures = connection.execute("DELETE FROM failures WHERE id<?", (before,)).rowcount
    if not snapshots and not failures:
        _forget_names(connection)
    return Dropped(snapshots, failures)


def _forget_snapshots(connection: sqlite3.Connection, *, before: int) -> int:
    """Snapshots of a lower number, and what only they needed. The newest always stays."""
    gone = connection.execute("DELETE FROM snapshots WHERE id<? AND id<(SELECT max(id) FROM snapshots)", (before,)).rowcount
    if gone:
        oldest = connection.execute("SELECT min(id) FROM snapshots").fetchone()[0]
        connection.execute("DELETE FROM spans WHERE last<?", (oldest,))
        connection.execute("DELETE FROM pieces WHERE last<?", (oldest,))
    return gone


def _forget_names(connection: sqlite3.Connection) -> None:
    connection.execute(
        "DELETE FROM names WHERE id NOT IN (SELECT pod FROM failures UNION SELECT signature FROM failures"
        " UNION SELECT uid FROM failures WHERE uid IS NOT NULL UNION SELECT text FROM failures WHERE text IS NOT NULL)"
    )


def _give_back(connection: sqlite3.Connection) -> None:
    """Free pages back to the file system, some at each cycle."""
    free = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
    if free > 32:
        # The pragma frees one page at each step of its statement.
        connection.execute(f"PRAGMA incremental_vacuum({min(free, 512)})").fetchall()
