"""The history: snapshots, failures, transitions, gaps, incidents and the outbox in one SQLite file, written once a cycle.

Refuses to stop the agent: what the file refuses (full, read-only, locked, damaged, newer) is told as a state, the work goes on
in memory, and comes back into the file when it can be written again. Its methods are for one thread.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Callable, Optional, TypeVar, Union

import msgspec

from eniagent.edge import clock, history_incidents, history_outbox, history_rows
from eniagent.edge.history_ground import ABSENT, BROKEN, CORRUPT, HistoryError, check, kind_of, open_file, open_memory, open_to_read, transaction
from eniagent.edge.history_outbox import Parcel
from eniagent.edge.history_retention import Limits, forget, live_bytes
from eniagent.edge.history_salvage import carry_over, put_aside, put_aside_at, take_small
from eniagent.edge.history_snapshots import Reader, Snapshots
from eniagent.model.chronicle import Failure, Gap, Incident, Transition
from eniagent.model.snapshot import Case, NodeSnapshot

T = TypeVar("T")

MEMORY_BYTES = 8 << 20
RETRY_S, RETRY_MOST_S = 15.0, 600.0
ASIDE_S = 3600.0
"""A file that is damaged again within this time is not replaced again: its disk is, so the work goes on in memory."""


_ODD = "content that was never written"


class State(msgspec.Struct, frozen=True):
    """How the history stands. `degraded` "": ok; else full, read-only, corrupt, locked, forbidden, newer-schema or i/o-error.

    `put_aside`: where a damaged file was moved. `lost`: failures that could be kept neither in the file nor in memory.
    """

    degraded: str = ""
    detail: str = ""
    since: Optional[datetime] = None
    put_aside: str = ""
    lost: int = 0

    @property
    def ok(self) -> bool:
        """Whether what is stored reaches the file."""
        return not self.degraded


class Size(msgspec.Struct, frozen=True):
    """What the history holds."""

    file_bytes: int
    live_bytes: int
    snapshots: int
    failures: int
    transitions: int
    oldest_at: Optional[datetime]
    newest_at: Optional[datetime]


class History:
    """Open with `open` (the daemon) or `read` (everyone else)."""

    def __init__(self, path: Path, *, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._file: Optional[sqlite3.Connection] = None
        self._memory: Optional[sqlite3.Connection] = None
        self._read_only = False
        self._snapshots = Snapshots()
        self._state = State()
        self._retry_s, self._retry_at_s = RETRY_S, 0.0

    @classmethod
    def open(cls, path: Union[Path, str], *, limits: Limits = Limits()) -> History:  # noqa: B008 - immutable
        """For writing. Never raises on account of the file: where it cannot be used, `state` says why."""
        history = cls(Path(path), limits=limits)
        try:
            history._file = history._open_file()
        except (*BROKEN, OSError, HistoryError) as error:
            history._degrade(error)
        return history

    @classmethod
    def read(cls, path: Union[Path, str]) -> History:
        """For reading, while the daemon may write. Raises `HistoryError` where there is none, or none that can be read."""
        history = cls(Path(path), limits=Limits())
        history._file, history._read_only = open_to_read(history._path), True
        return history

    @property
    def state(self) -> State:
        """ok, or degraded and why."""
        return msgspec.structs.replace(self._state, put_aside=put_aside_at(self._path))

    def close(self) -> None:
        """Give the file back. What is only in memory is lost."""
        for connection in (self._file, self._memory):
            if connection is not None:
                with contextlib.suppress(*BROKEN):
                    connection.close()
        self._file = self._memory = None

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def store_cycle(
        self,
        snapshot: NodeSnapshot,
        *,
        failures: Sequence[Failure] = (),
        transitions: Sequence[Transition] = (),
        gaps: Sequence[Gap] = (),
        cursors: Optional[Mapping[str, str]] = None,
    ) -> tuple[Failure, ...]:
        """All that one cycle learned, in one transaction with the place up to which the journals were read.

        Returns the failures that were new. Where the file refuses, all of it is stored in memory.
        """

        def store(connection: sqlite3.Connection) -> tuple[Failure, ...]:
            with transaction(connection):
                spans = self._snapshots.store(connection, snapshot)
                new = history_rows.store_failures(connection, failures)
                history_rows.store_transitions(connection, transitions)
                history_rows.store_gaps(connection, gaps, noted_at=snapshot.taken_at)
                history_rows.store_cursors(connection, cursors or {})
            self._snapshots.settle(spans)
            return new

        new = self._write(store)
        self._forget(snapshot.taken_at)
        return new

    def _forget(self, now: datetime) -> None:
        """Retention. In memory the bound is small, and a failure that falls out of it is counted as lost."""
        limits = self._limits if self._file is not None else self._memory_limits()
        dropped = self._write(lambda connection: forget(connection, limits=limits, now=now))
        if self._file is None:
            self._state = msgspec.structs.replace(self._state, lost=self._state.lost + dropped.failures)

    def _memory_limits(self) -> Limits:
        return msgspec.structs.replace(self._limits, size_bytes=min(MEMORY_BYTES, self._limits.size_bytes), snapshots=200)

    def cursor(self, name: str) -> str:
        """The place stored last under this name, empty where there is none."""
        return self._ask(lambda connection: history_rows.load_cursor(connection, name))

    def snapshot_at(self, time: datetime) -> Optional[NodeSnapshot]:
        """The newest snapshot that is not younger than `time`."""
        case = self.case_at(time, before=0)
        return case.now if case is not None else None

    def case_at(self, time: datetime, *, before: int = 10) -> Optional[Case]:
        """The case of that time: the snapshot, and up to `before` snapshots before it."""

        def load(connection: sqlite3.Connection) -> Optional[Case]:
            reader = Reader(connection)
            snapshots = [reader.load(number) for number in reader.numbers(at=time, before=before)]
            return Case(now=snapshots[-1], before=tuple(snapshots[:-1])) if snapshots else None

        return self._ask(load)

    def last_snapshot(self) -> Optional[NodeSnapshot]:
        """The snapshot that was stored last, whatever its time."""

        def load(connection: sqlite3.Connection) -> Optional[NodeSnapshot]:
            reader = Reader(connection)
            numbers = reader.numbers(at=None, before=0)
            return reader.load(numbers[-1]) if numbers else None

        return self._ask(load)

    def failures(self, since: Optional[datetime] = None, until: Optional[datetime] = None) -> list[Failure]:
        """Failed attempts of a time, in the order in which they were learned."""
        return self._ask(lambda connection: history_rows.load_failures(connection, since=since, until=until))

    def transitions(self, since: Optional[datetime] = None, until: Optional[datetime] = None) -> list[Transition]:
        """What became different."""
        return self._ask(lambda connection: history_rows.load_transitions(connection, since=since, until=until))

    def gaps(self, since: Optional[datetime] = None, until: Optional[datetime] = None) -> list[Gap]:
        """What of the journals was not read, by when that was noted."""
        return self._ask(lambda connection: history_rows.load_gaps(connection, since=since, until=until))

    def incidents(self, *, since: Optional[datetime] = None, standing: bool = False) -> list[Incident]:
        """By opening. `since`: those that stand or ended later. `standing`: only those that are not resolved."""
        return self._ask(lambda connection: history_incidents.load_incidents(connection, since=since, standing=standing))

    def open_incident(self, cause: str, *, subject: str, at: datetime, severity: str = "", since: Optional[datetime] = None, summary: str = "", finding: str = "") -> Incident:
        """A new incident, or the one that stands for cause and subject already."""
        new = Incident(0, cause, subject, "open", at, at, severity=severity, since=since, summary=summary, finding=finding)
        return self._write(lambda connection: history_incidents.open_incident(connection, new))

    def continue_incident(self, incident: Incident, *, at: datetime, severity: str = "", summary: str = "", finding: str = "") -> Incident:
        """It was seen again: what was stale is open."""
        told = {key: text for key, text in (("severity", severity), ("summary", summary), ("finding", finding)) if text}
        return self._keep(incident, msgspec.structs.replace(incident, state="open", seen_at=at, stale_at=None, **told))

    def stale_incident(self, incident: Incident, *, at: datetime) -> Incident:
        """Whether it stands cannot be seen. The first such time stays."""
        return self._keep(incident, msgspec.structs.replace(incident, state="stale", stale_at=incident.stale_at or at))

    def resolve_incident(self, incident: Incident, *, at: datetime) -> Incident:
        """It is over."""
        return self._keep(incident, msgspec.structs.replace(incident, state="resolved", resolved_at=at))

    def note_bundle(self, incident: Incident, *, moment: str, path: str) -> Incident:
        """A bundle was written for it. `moment`: opened or resolved."""
        return self._keep(incident, msgspec.structs.replace(incident, bundles={**incident.bundles, moment: path}))

    def _keep(self, was: Incident, incident: Incident) -> Incident:
        self._write(lambda connection: history_incidents.keep_incident(connection, was, incident))
        return incident

    def post(self, path: str, *, target: str, at: datetime) -> None:
        """Put a bundle into the outbox. The query of `target` is not kept."""
        self._write(lambda connection: history_outbox.post(connection, path, target=target, at=at))

    def parcels(self, *, due_at: Optional[datetime] = None) -> list[Parcel]:
        """What waits in the outbox; with `due_at` what is due then."""
        return self._ask(lambda connection: history_outbox.load_parcels(connection, due_at=due_at))

    def put_off(self, parcel: Parcel, *, next_try_at: datetime, problem: str) -> None:
        """An upload failed and is tried again later."""
        self._write(lambda connection: history_outbox.put_off(connection, parcel, next_try_at=next_try_at, problem=problem))

    def take_out(self, parcel: Parcel) -> None:
        """An upload was made, or is given up."""
        self._write(lambda connection: history_outbox.take_out(connection, parcel))

    def size(self) -> Size:
        """What it holds, and how large it is on the disk, its log included."""

        def measure(connection: sqlite3.Connection) -> Size:
            counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("snapshots", "failures", "transitions")]
            ends = connection.execute("SELECT min(taken_us), max(taken_us) FROM snapshots").fetchone()
            names = (self._path, self._path.with_name(self._path.name + "-wal"))
            return Size(sum(path.stat().st_size for path in names if path.exists()), live_bytes(connection), *counts, *map(history_rows.moment, ends))

        return self._ask(measure)

    def _open_file(self) -> sqlite3.Connection:
        """The file; a damaged one is put aside first, what can be saved of it saved."""
        self._snapshots.forget()
        try:
            return open_file(self._path, max_bytes=self._limits.size_bytes)
        except (*BROKEN, HistoryError) as error:
            if kind_of(error) != CORRUPT or not put_aside(self._path, again_after_s=ASIDE_S):
                raise
        connection = open_file(self._path, max_bytes=self._limits.size_bytes)
        take_small(Path(put_aside_at(self._path)), connection)
        return connection

    def _ask(self, load: Callable[[sqlite3.Connection], T]) -> T:
        if not self._read_only:
            return self._write(load, is_question=True)
        if self._file is None:
            raise HistoryError(ABSENT, f"{self._path}: closed")
        try:
            return load(self._file)
        except BROKEN as error:
            raise HistoryError(kind_of(error), f"{self._path}: {error}") from error
        except Exception as error:
            raise HistoryError(CORRUPT, f"{self._path}: {_ODD}: {type(error).__name__}: {error}") from error

    def _write(self, act: Callable[[sqlite3.Connection], T], *, is_question: bool = False) -> T:
        """Do it in the file; where that refuses, in memory. `act` leaves nothing behind when it fails."""
        if self._file is None and clock.ticks_s() >= self._retry_at_s:
            self._return()
        for _ in range(2):
            if self._file is None:
                break
            try:
                return act(self._file)
            except BROKEN as error:
                self._change_ground(error)
            except Exception as error:
                # Bytes that no writer of ours left there. Where something was to be stored, the mistake may as well be the caller's.
                if not is_question and not self._is_damaged():
                    raise
                self._change_ground(HistoryError(CORRUPT, f"{self._path}: {_ODD}: {type(error).__name__}: {error}"))
        return act(self._memory_ground())

    def _is_damaged(self) -> bool:
        try:
            if self._file is not None:
                check(self._file, self._path)
        except (*BROKEN, HistoryError):
            return True
        return False

    def _change_ground(self, error: Exception) -> None:
        """To a new file where the old one is damaged, else to memory."""
        if kind_of(error) == CORRUPT and self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(*BROKEN, OSError, HistoryError):
                self._file = self._open_file()
                return
        self._degrade(error)

    def _degrade(self, error: BaseException) -> None:
        """From here on in memory, with the incidents, the outbox and the cursors that the file tells."""
        if not self._state.degraded:
            self._state = msgspec.structs.replace(self._state, since=clock.now())
        self._state = msgspec.structs.replace(self._state, degraded=kind_of(error), detail=str(error))
        self._snapshots.forget()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._retry_at_s = clock.ticks_s() + self._retry_s
        self._retry_s = min(RETRY_MOST_S, self._retry_s * 2)

    def _memory_ground(self) -> sqlite3.Connection:
        if self._memory is None:
            self._memory = open_memory(max_bytes=8 * MEMORY_BYTES)
            take_small(self._path, self._memory)
            self._snapshots.forget()
        return self._memory

    def _return(self) -> None:
        """Back to the file, with all that was stored in memory meanwhile."""
        connection: Optional[sqlite3.Connection] = None
        try:
            connection = self._open_file()
            if self._memory is not None:
                carry_over(self._memory, connection, lost=self._state.lost, since=self._state.since, until=clock.now())
        except (*BROKEN, OSError, HistoryError) as error:
            if connection is not None:
                connection.close()
            self._degrade(error)
            return
        self._file, self._state, self._retry_s = connection, State(), RETRY_S
        self._snapshots.forget()
        if self._memory is not None:
            self._memory.close()
            self._memory = None


__all__ = ["Failure", "Gap", "History", "HistoryError", "Incident", "Limits", "Parcel", "Size", "State", "Transition"]
