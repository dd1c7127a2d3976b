"""Snapshots as differences: a reading that did not change costs its time, one that changed costs the pieces that are new.

Refuses to interpret readings, and to fill what cannot be read back: a damaged reading comes back as malformed.
"""

from __future__ import annotations

import sqlite3
import struct
import typing
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, Optional

import msgspec

from eniagent.edge.history_pieces import Piece, cut, pack, unpack
from eniagent.edge.history_rows import moment, us
from eniagent.model.codec import decode, encode
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.model.snapshot import ON_REQUEST, READINGS, NodeSnapshot

FIELDS = (*READINGS, *ON_REQUEST)
TOLD = "told"


class _Told(msgspec.Struct, frozen=True):
    """What a snapshot says beside its readings."""

    told: dict[str, str] = {}
    timeless: bool = False


class _Span(NamedTuple):
    """The run of snapshots over which a field stays the same: its row, what it holds, and its pieces' hashes and rows."""

    row: int
    value: Any
    pieces: dict[bytes, int]
    order: tuple[bytes, ...]


class Snapshots:
    """Writes snapshots one after the other. What it remembers of the last one is valid only once `settle` was called."""

    def __init__(self) -> None:
        self._spans: dict[str, _Span] = {}
        self._fields: dict[str, int] = {}

    def store(self, connection: sqlite3.Connection, snapshot: NodeSnapshot) -> dict[str, _Span]:
        """Write one, within the caller's transaction. The result is handed to `settle` once that was committed."""
        self._fields = dict(connection.execute("SELECT name, id FROM fields"))
        values = {field: getattr(snapshot, field) for field in FIELDS}
        times = {self._field(connection, name): us(value.at) for name, value in values.items() if value.at is not None}
        newest = connection.execute("SELECT max(id) FROM snapshots").fetchone()[0] or 0
        number = newest + 1
        connection.execute(
            "INSERT INTO snapshots (id, taken_us, since_us, times) VALUES (?, ?, ?, ?)",
            (number, us(snapshot.taken_at), us(snapshot.since), pack_times(times, base=us(snapshot.taken_at) or 0)),
        )
        values[TOLD] = _Told(snapshot.told, snapshot.timeless)
        return {name: self._store_field(connection, name, value, number=number) for name, value in values.items()}

    def settle(self, spans: dict[str, _Span]) -> None:
        """The transaction was committed."""
        self._spans = spans

    def forget(self) -> None:
        """The file is another one now."""
        self._spans = {}

    def _field(self, connection: sqlite3.Connection, name: str) -> int:
        known = self._fields.get(name)
        if known is None:
            known = self._fields[name] = int(connection.execute("INSERT INTO fields (name) VALUES (?)", (name,)).lastrowid or 0)
        return known

    def _store_field(self, connection: sqlite3.Connection, name: str, value: Any, *, number: int) -> _Span:
        field = self._field(connection, name)
        span = self._spans.get(name) or _open_span(connection, field, name, number=number)
        if span is not None and span.value is not None and same(span.value, value):
            return span._replace(value=value)
        pieces = cut(name, encode(_timeless(value)))
        order = tuple(piece.hash for piece in pieces)
        if span is not None and span.order == order:
            return span._replace(value=value)
        rows = span.pieces if span is not None else {}
        kept: dict[bytes, int] = {}
        for piece in pieces:
            kept[piece.hash] = rows[piece.hash] if piece.hash in rows else _keep_piece(connection, name, piece)
        if span is not None:
            connection.execute("UPDATE spans SET last=? WHERE id=?", (number - 1, span.row))
            gone = [(number - 1, row) for hash_, row in span.pieces.items() if hash_ not in kept]
            connection.executemany("UPDATE pieces SET last=? WHERE id=?", gone)
        packed = _pack_rows([kept[hash_] for hash_ in order])
        row = connection.execute("INSERT INTO spans (field, first, pieces) VALUES (?, ?, ?)", (field, number, packed)).lastrowid
        return _Span(int(row or 0), value, kept, order)


def same(one: Any, other: Any) -> bool:
    """Whether two readings tell the same, whenever they were taken."""
    if isinstance(one, Observed) and isinstance(other, Observed):
        return one.source == other.source and (one.value is other.value or bool(one.value == other.value))
    if isinstance(one, Unobserved) and isinstance(other, Unobserved):
        return (one.why, one.source, one.detail) == (other.why, other.source, other.detail)
    return type(one) is type(other) and bool(one == other)


def _timeless(value: Any) -> Any:
    return msgspec.structs.replace(value, at=None) if isinstance(value, (Observed, Unobserved)) else value


def _open_span(connection: sqlite3.Connection, field: int, name: str, *, number: int) -> Optional[_Span]:
    """The span that stands open in the file, written by an earlier process. One that is damaged is closed."""
    found = connection.execute("SELECT id, pieces FROM spans WHERE field=? AND last IS NULL ORDER BY first DESC LIMIT 1", (field,)).fetchone()
    if found is None:
        return None
    try:
        rows = _unpack_rows(found[1])
    except (ValueError, TypeError, msgspec.DecodeError):
        connection.execute("UPDATE spans SET last=? WHERE field=? AND last IS NULL", (number - 1, field))
        return None
    hashes = {row: _hash_of(connection, name, row) for row in set(rows)}
    return _Span(int(found[0]), None, {hash_: row for row, hash_ in hashes.items()}, tuple(hashes[row] for row in rows))


def _hash_of(connection: sqlite3.Connection, name: str, row: int) -> bytes:
    """What a stored piece is known by; of one that is gone or damaged something that no new piece has, so that it is written anew."""
    found = connection.execute("SELECT hash, form, body FROM pieces WHERE id=?", (row,)).fetchone()
    if found is not None and _is_sound(name, *found):
        return bytes(found[0])
    connection.execute("DELETE FROM pieces WHERE id=?", (row,))
    return struct.pack("<q", row)


def _is_sound(name: str, hash_: bytes, form: int, body: bytes) -> bool:
    try:
        unpack(name, hash_, form=form, body=body)
    except (ValueError, TypeError):
        return False
    return True


def _keep_piece(connection: sqlite3.Connection, name: str, piece: Piece) -> int:
    found = connection.execute("SELECT id, form, body, last FROM pieces WHERE hash=?", (piece.hash,)).fetchone()
    if found is not None and not _is_sound(name, piece.hash, found[1], found[2]):
        connection.execute("DELETE FROM pieces WHERE id=?", (found[0],))
        found = None
    if found is None:
        form, packed = pack(piece.body)
        return int(connection.execute("INSERT INTO pieces (hash, form, body) VALUES (?, ?, ?)", (piece.hash, form, packed)).lastrowid or 0)
    if found[3] is not None:
        connection.execute("UPDATE pieces SET last=NULL WHERE id=?", (found[0],))
    return int(found[0])


def _pack_rows(rows: list[int]) -> bytes:
    return msgspec.msgpack.encode(rows)


def _unpack_rows(data: bytes) -> list[int]:
    """Raises `msgspec.DecodeError` or `TypeError` on what is none of ours."""
    return msgspec.msgpack.decode(data, type=list[int])


def pack_times(times: dict[int, Optional[int]], *, base: int) -> bytes:
    """When each field's reading was taken, as microseconds after the snapshot."""
    return msgspec.msgpack.encode({field: at - base for field, at in times.items() if at is not None})


class Reader:
    """Reads snapshots back. What did not change between two of them is decoded once, and is the same object in both."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names: dict[int, str] = dict(connection.execute("SELECT id, name FROM fields"))
        self._decoded: dict[int, Any] = {}
        self._kinds = typing.get_type_hints(NodeSnapshot)

    def numbers(self, *, at: Optional[datetime], before: int) -> list[int]:
        """The newest snapshot that is not younger than `at` (None: the last one), and `before` ones before it, oldest first."""
        if at is None:
            last = self._connection.execute("SELECT max(id) FROM snapshots").fetchone()
        else:
            last = self._connection.execute("SELECT id FROM snapshots WHERE taken_us<=? ORDER BY taken_us DESC, id DESC LIMIT 1", (us(at),)).fetchone()
        if last is None or last[0] is None:
            return []
        rows = self._connection.execute("SELECT id FROM snapshots WHERE id<=? ORDER BY id DESC LIMIT ?", (last[0], before + 1))
        return [int(row[0]) for row in rows][::-1]

    def load(self, number: int) -> NodeSnapshot:
        """One snapshot. A field that it lacks is *not collected*, one that is damaged malformed."""
        taken_us, since_us, packed = self._connection.execute("SELECT taken_us, since_us, times FROM snapshots WHERE id=?", (number,)).fetchone()
        times = self._times(packed, base=taken_us)
        taken_at = moment(taken_us)
        assert taken_at is not None, "a snapshot without a time"
        told, readings = _Told(), {}
        for field, name in self._names.items():
            value = self._value(field, name, number)
            if name == TOLD:
                told = value or told
            elif value is not None:
                readings[name] = msgspec.structs.replace(value, at=moment(times.get(field)))
        return NodeSnapshot(taken_at=taken_at, since=moment(since_us), told=told.told, timeless=told.timeless, **readings)

    @staticmethod
    def _times(packed: bytes, *, base: int) -> dict[int, int]:
        try:
            return {field: base + after for field, after in msgspec.msgpack.decode(packed, type=dict[int, int]).items()}
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}

    def _value(self, field: int, name: str, number: int) -> Any:
        query = "SELECT id, last, pieces FROM spans WHERE field=? AND first<=? ORDER BY first DESC LIMIT 1"
        found = self._connection.execute(query, (field, number)).fetchone()
        if found is None or (found[1] is not None and found[1] < number) or (name != TOLD and name not in FIELDS):
            return None
        if found[0] not in self._decoded:
            self._decoded[found[0]] = self._decode(name, found[2])
        return self._decoded[found[0]]

    def _decode(self, name: str, packed: bytes) -> Any:
        try:
            data = b"".join(self._bodies(name, _unpack_rows(packed)))
            return decode(data, _Told if name == TOLD else self._kinds[name])
        except (ValueError, msgspec.DecodeError) as error:
            return _Told() if name == TOLD else Unobserved(why=Why.MALFORMED, source=f"history: {name}", detail=str(error))

    def _bodies(self, name: str, rows: list[int]) -> Iterator[bytes]:
        for row in rows:
            found = self._connection.execute("SELECT hash, form, body FROM pieces WHERE id=?", (row,)).fetchone()
            if found is None:
                raise ValueError("a stored piece is missing")
            yield unpack(name, found[0], form=found[1], body=found[2])
