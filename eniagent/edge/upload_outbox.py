"""The outbox at work: what waits in the history, what is due, and what becomes of it after an attempt.

Refuses to run twice at once, to keep a secret for later, and to let go of a bundle without saying so and where its file is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Optional

from eniagent.edge import history_outbox
from eniagent.edge.errors import AgentError
from eniagent.edge.history_ground import HistoryError, kind_of, open_file, transaction
from eniagent.edge.history_outbox import Parcel
from eniagent.edge.history_rows import store_transitions
from eniagent.edge.rooted import resolve
from eniagent.edge.settings import Settings
from eniagent.edge.upload import Receipt, Wanted
from eniagent.edge.upload_errors import UploadFailed
from eniagent.edge.upload_target import bare
from eniagent.model.chronicle import Transition

FILE, LOCK, WAITS = "history.db", "outbox.lock", "outbox.waits"
"""In the state directory: the history, the lock of whoever empties the outbox, and what is there while something waits (the unit's condition)."""
FIRST_S, MOST_S = 60.0, 6 * 3600.0
GIVE_UP = timedelta(days=7)

NEVER = frozenset(("too-large", "unsound", "unverified", "exists", "changed", "fault"))
"""Kinds of failure that time does not cure."""
OF_ONE_FILE = NEVER | {"unreadable"}
"""Kinds that say nothing of the next bundle for the same target."""


class OutboxBusy(AgentError):
    """Another run empties the outbox."""

    exit_code = 9


def why_not_kept(address: str, wanted: Wanted, settings: Settings) -> str:
    """Why an upload cannot be left for later, empty where it can: no secret is stored, and only the configuration is there then."""
    if address != bare(address) and address != settings.upload_to:
        return "a presigned address is a secret, which is not stored"
    if wanted.headers:
        return "values of --header may be secrets, which are not stored"
    if wanted.ca_file != settings.upload_ca_file:
        return "--ca-file is not in the configuration (upload_ca_file)"
    if wanted.kms_key != settings.upload_kms_key:
        return "--kms-key is not in the configuration (upload_kms_key)"
    return ""


def whole(parcel: Parcel, settings: Settings) -> str:
    """A parcel's address with what the configuration knows of it beyond what is stored."""
    configured = settings.upload_to
    return configured if configured is not None and bare(configured) == parcel.target else parcel.target


def pause_s(attempts: int) -> float:
    """How long to wait after so many attempts: doubled each time, some of it drawn at random."""
    return min(MOST_S, FIRST_S * 2.0 ** min(attempts, 16)) * random.uniform(0.5, 1.0)


class Outbox:
    """The rows of one history file, and what is done to them. Raises `HistoryError` where the file refuses."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._flag = connection, path.with_name(WAITS)

    def waiting(self) -> list[Parcel]:
        """All parcels, oldest first."""
        with _told():
            return history_outbox.load_parcels(self._connection)

    def post(self, path: str, *, address: str, failed: UploadFailed, now: datetime) -> datetime:
        """Leave an upload that failed for later; returns when."""
        with _told():
            history_outbox.post(self._connection, path, target=bare(address), at=now)
        mine = next(parcel for parcel in self.waiting() if (parcel.path, parcel.target) == (path, bare(address)))
        self._put_up()
        return self._put_off(mine, failed=failed, now=now)

    def delivered(self, parcel: Parcel, receipt: Receipt, *, now: datetime) -> None:
        """It arrived."""
        self._close(parcel, Transition(now, "bundle-uploaded", parcel.path, "waiting", "uploaded", f"{parcel.target} verified={receipt.verified}"))

    def tidy(self) -> list[Parcel]:
        """What is left; where nothing is, the unit need not start again for it."""
        left = self.waiting()
        if not left:
            with contextlib.suppress(OSError):
                os.unlink(self._flag)
            # The daemon may have put something in just now.
            left = self.waiting()
            if left:
                self._put_up()
        return left

    def _put_up(self) -> None:
        """Where that is refused, whatever waits goes with the daemon's next bundle."""
        with contextlib.suppress(OSError):
            _touch(self._flag)

    def settle(self, path: str, *, address: str) -> None:
        """It arrived by another way; a row that waits for it is taken out."""
        with _told():
            history_outbox.take_out(self._connection, Parcel(0, path, bare(address), None))

    def failed(self, parcel: Parcel, failed: AgentError, *, now: datetime) -> Optional[datetime]:
        """An attempt failed: when the next one is due, or None where it is given up."""
        ended = not isinstance(failed, UploadFailed) or failed.kind in NEVER
        if ended or (parcel.added_at is not None and now - parcel.added_at >= GIVE_UP):
            self._close(parcel, Transition(now, "upload-given-up", parcel.path, "waiting", "given up", f"{parcel.target}: {failed}"[:500]))
            return None
        assert isinstance(failed, UploadFailed)
        return self._put_off(parcel, failed=failed, now=now)

    def _put_off(self, parcel: Parcel, *, failed: UploadFailed, now: datetime) -> datetime:
        due_at = now + timedelta(seconds=pause_s(parcel.attempts))
        with _told():
            history_outbox.put_off(self._connection, parcel, next_try_at=due_at, problem=f"{failed.kind}: {failed.told}")
        return due_at

    def _close(self, parcel: Parcel, transition: Transition) -> None:
        with _told(), transaction(self._connection) as connection:
            history_outbox.take_out(connection, parcel)
            store_transitions(connection, [transition])


def is_due(parcel: Parcel, *, now: datetime) -> bool:
    """Whether it is time. A time that lies further ahead than any pause was told by a clock that was wrong."""
    due_at = parcel.next_try_at
    return due_at is None or due_at <= now or due_at - now > timedelta(seconds=MOST_S)


@contextlib.contextmanager
def opened(settings: Settings, *, create: bool = False) -> Iterator[Optional[Outbox]]:
    """The outbox, None where there is none and none is to be made. Raises `HistoryError`."""
    path = Path(resolve(settings.state_dir, root=settings.root)) / FILE
    connection: Optional[sqlite3.Connection] = None
    try:
        if create:
            _make(path)
        if path.exists():
            connection = open_file(path, max_bytes=settings.history_size)
    except (sqlite3.Error, OSError) as error:
        raise HistoryError(kind_of(error), f"{path}: {error}") from error
    try:
        yield Outbox(connection, path) if connection is not None else None
    finally:
        if connection is not None:
            connection.close()


def _make(path: Path) -> None:
    os.makedirs(path.parent, mode=0o700, exist_ok=True)
    if not path.exists():
        _touch(path)


def _touch(path: Path) -> None:
    """A file that is its owner's alone, and its owner is the directory's: the daemon must be able to use what root left there."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        owner = os.stat(path.parent)
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.utime(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """The right to empty the outbox, while in force. Raises `OutboxBusy`. The kernel lifts it with the process."""
    directory = resolve(settings.state_dir, root=settings.root)
    if not os.path.isdir(directory):
        yield
        return
    try:
        _touch(Path(f"{directory}/{LOCK}"))
        descriptor = os.open(f"{directory}/{LOCK}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise HistoryError(kind_of(error), f"{directory}/{LOCK}: {(error.strerror or str(error)).lower()}; run it as the owner of {directory}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutboxBusy(f"{directory}: another run of eniagent empties the outbox; it goes on by itself") from error
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """SQLite's refusals in our words."""
    try:
        yield
    except sqlite3.Error as error:
        raise HistoryError(kind_of(error), f"the outbox: {error}") from error
