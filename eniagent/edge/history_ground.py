"""The ground the history stands on: connections, the schema with its migrations, and the table of SQLite's troubles.

Refuses a file of a newer schema than it knows, and to open anything that SQLite's own check finds damaged.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Optional
from urllib.parse import quote

from eniagent.edge.errors import AgentError

SCHEMA = 1
APPLICATION = 0x454E4941
PAGE_BYTES = 4096
BUSY_S = 2.0

FULL, READ_ONLY, CORRUPT, LOCKED, FORBIDDEN, NEWER, ABSENT, FAILED = (
    "full", "read-only", "corrupt", "locked", "forbidden", "newer-schema", "absent", "i/o-error",
)  # fmt: skip

_TROUBLES = (
    ("database or disk is full", FULL),
    ("readonly database", READ_ONLY),
    ("database is locked", LOCKED),
    ("table is locked", LOCKED),
    ("malformed", CORRUPT),
    ("not a database", CORRUPT),
    ("no such table", CORRUPT),
    ("no such column", CORRUPT),
    ("unable to open", FORBIDDEN),
    ("unsupported file format", NEWER),
    ("disk i/o error", FAILED),
)
"""SQLite's own texts: codes reach Python only from 3.11 on. Source: sqlite3.c, sqlite3ErrStr."""

_REFUSALS = {
    errno.EACCES: FORBIDDEN, errno.EPERM: FORBIDDEN, errno.EROFS: READ_ONLY, errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EFBIG: FULL,
    errno.ENOENT: ABSENT, errno.ENOTDIR: ABSENT, errno.EMFILE: FAILED,
}  # fmt: skip

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE snapshots (id INTEGER PRIMARY KEY, taken_us INTEGER NOT NULL, since_us INTEGER, times BLOB NOT NULL)",
        "CREATE INDEX snapshots_taken ON snapshots (taken_us)",
        "CREATE TABLE fields (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        "CREATE TABLE spans (id INTEGER PRIMARY KEY, field INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER, pieces BLOB NOT NULL)",
        "CREATE INDEX spans_first ON spans (field, first)",
        "CREATE INDEX spans_last ON spans (last)",
        "CREATE TABLE pieces (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, form INTEGER NOT NULL, last INTEGER, body BLOB NOT NULL)",
        "CREATE INDEX pieces_last ON pieces (last)",
        "CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
        "CREATE TABLE failures (id INTEGER PRIMARY KEY, pod INTEGER NOT NULL, attempt BLOB NOT NULL, at_us INTEGER NOT NULL,"
        " signature INTEGER NOT NULL, programs INTEGER NOT NULL, uid INTEGER, text INTEGER)",
        "CREATE UNIQUE INDEX failures_attempt ON failures (pod, attempt)",
        "CREATE TABLE transitions (id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL,"
        " was TEXT NOT NULL, became TEXT NOT NULL, detail TEXT NOT NULL)",
        "CREATE TABLE gaps (id INTEGER PRIMARY KEY, noted_us INTEGER NOT NULL, why TEXT NOT NULL, since_us INTEGER, until_us INTEGER,"
        " at_most INTEGER, detail TEXT NOT NULL)",
        "CREATE TABLE cursors (name TEXT PRIMARY KEY, text TEXT NOT NULL)",
        "CREATE TABLE incidents (id INTEGER PRIMARY KEY, cause TEXT NOT NULL, subject TEXT NOT NULL, ended_us INTEGER NOT NULL,"
        " opened_us INTEGER NOT NULL, seen_us INTEGER NOT NULL, severity TEXT NOT NULL, since_us INTEGER, stale_us INTEGER,"
        " summary TEXT NOT NULL, finding TEXT NOT NULL, bundles TEXT NOT NULL)",
        # `ended_us` is 0 while an incident stands, so that one cause has one standing incident at one subject.
        "CREATE UNIQUE INDEX incidents_standing ON incidents (cause, subject, ended_us)",
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY, path TEXT NOT NULL, target TEXT NOT NULL, added_us INTEGER NOT NULL,"
        " attempts INTEGER NOT NULL, next_us INTEGER NOT NULL, problem TEXT NOT NULL)",
        "CREATE UNIQUE INDEX outbox_path ON outbox (path, target)",
    ),
)
"""What each schema version adds. A version that was released is never edited: files of it stay readable."""


BROKEN = (sqlite3.Error, UnicodeDecodeError)
"""What a broken file raises: where its schema is damaged, SQLite's message about that is no text either."""


class HistoryError(AgentError):
    """The history cannot be read. `kind` is one of the words above."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def kind_of(error: BaseException) -> str:
    """The word for what SQLite or the file system refused."""
    if isinstance(error, HistoryError):
        return error.kind
    if isinstance(error, UnicodeDecodeError):
        return CORRUPT
    if isinstance(error, OSError):
        return _REFUSALS.get(error.errno or 0, FAILED)
    text = str(error).lower()
    return next((kind for words, kind in _TROUBLES if words in text), FAILED)


def open_file(path: Path, *, max_bytes: int) -> sqlite3.Connection:
    """The file for writing, of the newest schema. Raises `sqlite3.Error`, `OSError` or `HistoryError`."""
    created = not path.exists()
    if created:
        # Made by us first, so that nobody else may read it: SQLite gives its -wal and -shm the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    elif not os.access(path, os.W_OK):
        raise HistoryError(READ_ONLY, f"{path}: not writable")
    connection = _connect(f"file:{quote(str(path))}?mode=rw")
    try:
        # Before anything that writes: a file of a later release is left as it is.
        version_of(connection)
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        _settle(connection, max_bytes=max_bytes)
        migrate(connection)
        if not created:
            check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_memory(*, max_bytes: int) -> sqlite3.Connection:
    """A history that lasts as long as the process: what is used while the file cannot be."""
    connection = _connect("file::memory:")
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    _settle(connection, max_bytes=max_bytes)
    migrate(connection)
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """The file for reading while another process may write. Raises `HistoryError` with a text for people."""
    if not path.exists():
        raise HistoryError(ABSENT, f"{path}: no history there; does the daemon run?")
    name = f"file:{quote(str(path))}?mode=ro"
    # Without a log beside it nobody writes, and a directory that we may not write to must not stop us.
    ways = (name,) if path.with_name(path.name + "-wal").exists() else (name, f"{name}&immutable=1")
    for number, way in enumerate(ways, 1):
        connection = _connect(way)
        try:
            version = version_of(connection)
            connection.execute("SELECT count(*) FROM cursors").fetchone()
        except BROKEN as error:
            connection.close()
            if number < len(ways):
                continue
            raise HistoryError(kind_of(error), f"{path}: {error}") from error
        except HistoryError:
            connection.close()
            raise
        if version != SCHEMA:
            connection.close()
            raise HistoryError(FAILED, f"{path}: schema {version} is brought to {SCHEMA} when the daemon starts; start it first")
        return connection
    raise HistoryError(FAILED, f"{path}: cannot be opened")


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=64)
    # Damage must not show as an exception of its own kind.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    connection.execute("PRAGMA cell_size_check=ON")
    return connection


def _settle(connection: sqlite3.Connection, *, max_bytes: int) -> None:
    """Bounds: of memory, of the log, and of the file as the last resort should retention ever fail to keep it."""
    log_pages = max(16, min(256, max_bytes // PAGE_BYTES // 16))
    for pragma in (
        "synchronous=NORMAL", "cache_size=-1024", "temp_store=MEMORY", f"wal_autocheckpoint={log_pages}",
        f"journal_size_limit={log_pages * PAGE_BYTES}", f"max_page_count={max(64, max_bytes // PAGE_BYTES)}",
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")


def version_of(connection: sqlite3.Connection) -> int:
    """The schema's version. Raises `HistoryError` where it is newer than ours."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA:
        raise HistoryError(NEWER, f"schema {version} is newer than {SCHEMA}, the newest that this release reads; it is left as it is")
    return version


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to ours, each version in a transaction of its own."""
    version = version_of(connection)
    for number in range(version, SCHEMA):
        with transaction(connection):
            if version_of(connection) > number:
                continue
            for statement in MIGRATIONS[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={number + 1}")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """SQLite's own check of the whole file, its indexes included. Raises `HistoryError` (corrupt)."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found is None or found[0] != "ok":
        raise HistoryError(CORRUPT, f"{path}: {found[0] if found else 'no answer to integrity_check'}")
    # The check does not read what the schema says: a damaged definition is obeyed.
    with contextlib.closing(open_memory(max_bytes=1 << 20)) as fresh:
        if _definitions(connection) != _definitions(fresh):
            raise HistoryError(CORRUPT, f"{path}: the schema is not the one that was written")


def _definitions(connection: sqlite3.Connection) -> list[tuple[str, Optional[str]]]:
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing. The lock is taken at the beginning, so that a busy file is found out before any work."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(*BROKEN):
                connection.execute("ROLLBACK")
        raise
