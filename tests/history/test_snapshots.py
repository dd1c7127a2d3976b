"""Snapshots come back as they were stored, and what did not change is not stored again."""

from __future__ import annotations

import random
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eniagent.edge.history import History
from eniagent.edge.history_pieces import cut, pack, unpack
from eniagent.model.net import SandboxId
from eniagent.model.reading import Observed, Unobserved, Why, not_collected
from eniagent.model.snapshot import NodeSnapshot
from tests.build import NOW, healthy_snapshot, with_values
from tests.cases import all_recorded, recorded_case

SOME = [name for name in all_recorded() if name.endswith(("cooldown-starved", "healthy-busy", "healthy-ipv6", "ipamd-crash-loop", "imds-ghost"))]


def later(snapshot: NodeSnapshot, *, by_s: float) -> NodeSnapshot:
    """The same node, looked at again."""
    moved: dict[str, Any] = {"taken_at": snapshot.taken_at + timedelta(seconds=by_s)}
    for name in snapshot.__struct_fields__:
        reading = getattr(snapshot, name)
        if isinstance(reading, (Observed, Unobserved)) and reading.at is not None:
            moved[name] = msgspec.structs.replace(reading, at=reading.at + timedelta(seconds=by_s))
    return msgspec.structs.replace(snapshot, **moved)


def rows(path: Path, table: str) -> int:
    """How many rows a table has."""
    with sqlite3.connect(path) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize("name", SOME)
def test_recorded_nodes_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    """Every reading of every recorded look, its time included: the case from the history is the case that was stored."""
    case = recorded_case(name)
    with History.open(tmp_path / "h.db") as history:
        for snapshot in (*case.before, case.now):
            history.store_cycle(snapshot)
    with History.read(tmp_path / "h.db") as history:
        assert history.case_at(case.now.taken_at, before=100) == case
        assert history.last_snapshot() == case.now
        if case.before:
            assert history.snapshot_at(case.now.taken_at - timedelta(microseconds=1)) == case.before[-1]
        assert history.snapshot_at((*case.before, case.now)[0].taken_at - timedelta(days=1)) is None


def test_there_were_recordings() -> None:
    """The test above is vacuous without them."""
    assert len(SOME) >= 5


def test_an_unchanged_node_costs_its_times(tmp_path: Path) -> None:
    """500 looks at a node on which nothing changes: no new span, no new piece, less than 300 bytes each."""
    path, snapshot = tmp_path / "h.db", healthy_snapshot(instance_type="m5.4xlarge", enis=4, pods=100)
    with History.open(path) as history:
        history.store_cycle(snapshot)
        before, spans, pieces = history.size().live_bytes, rows(path, "spans"), rows(path, "pieces")
        for number in range(1, 501):
            history.store_cycle(later(snapshot, by_s=30.0 * number))
        assert (rows(path, "spans"), rows(path, "pieces")) == (spans, pieces)
        assert (history.size().live_bytes - before) / 500 < 300
        case = history.case_at(NOW + timedelta(days=1), before=3)
    assert case is not None and case.now == later(snapshot, by_s=30.0 * 500)
    assert isinstance(case.now.ipam, Observed) and isinstance(case.before[0].ipam, Observed)
    assert case.now.ipam.value is case.before[0].ipam.value, "decoded once"


def test_a_change_costs_what_changed(tmp_path: Path) -> None:
    """One pod of 200 is replaced at each look: far less is stored than the readings that tell of it."""
    path, snapshot = tmp_path / "h.db", healthy_snapshot(instance_type="m5.24xlarge", enis=8, pods=200)
    assert isinstance(snapshot.sandboxes, Observed)
    whole = len(msgspec.json.encode(msgspec.to_builtins(snapshot.sandboxes.value, enc_hook=str)))
    with History.open(path) as history:
        history.store_cycle(snapshot)
        before = history.size().live_bytes
        for number in range(1, 101):
            pods = list(snapshot.sandboxes.value.pods)
            pods[number] = msgspec.structs.replace(pods[number], id=SandboxId(f"{number:064x}"))
            value = msgspec.structs.replace(snapshot.sandboxes.value, pods=tuple(pods))
            snapshot = with_values(later(snapshot, by_s=30), sandboxes=value)
            assert isinstance(snapshot.sandboxes, Observed)
            history.store_cycle(snapshot)
        assert (history.size().live_bytes - before) / 100 < whole / 8
        assert history.last_snapshot() == snapshot


def test_differences_go_on_after_a_restart(tmp_path: Path) -> None:
    """A new process that sees the same node adds no span and no piece."""
    path, snapshot = tmp_path / "h.db", healthy_snapshot(pods=9)
    with History.open(path) as history:
        history.store_cycle(snapshot)
    spans, pieces = rows(path, "spans"), rows(path, "pieces")
    with History.open(path) as history:
        history.store_cycle(later(snapshot, by_s=60))
        assert (rows(path, "spans"), rows(path, "pieces")) == (spans, pieces)
        assert history.last_snapshot() == later(snapshot, by_s=60)


def test_what_returns_is_the_same_piece(tmp_path: Path) -> None:
    """A reading that goes away and comes back, again and again, is kept once."""
    path, snapshot = tmp_path / "h.db", healthy_snapshot(pods=9)
    gone = msgspec.structs.replace(snapshot, ipam=Unobserved(why=Why.REFUSED, source="ipamd introspection"))
    with History.open(path) as history:
        for number in range(20):
            history.store_cycle(later(gone if number % 2 else snapshot, by_s=number))
            if number == 1:
                pieces = rows(path, "pieces")
        assert rows(path, "pieces") == pieces
        assert [type(s.ipam) for s in history.case_at(NOW + timedelta(days=1), before=19).before] == [Observed, Unobserved] * 9 + [Observed]  # type: ignore[union-attr]


def test_a_clock_that_steps_back_keeps_the_order(tmp_path: Path) -> None:
    """What was stored before stands before, whatever the clock said; the newest of a time is found by its time."""
    with History.open(tmp_path / "h.db") as history:
        for seconds in (0, 30, 60, -600, -570, -540):
            history.store_cycle(NodeSnapshot(taken_at=NOW + timedelta(seconds=seconds)))
        case = history.case_at(NOW + timedelta(seconds=-545), before=4)
        last = history.last_snapshot()
    assert case is not None and last is not None
    assert [_seconds(s) for s in (*case.before, case.now)] == [0, 30, 60, -600, -570]
    assert _seconds(last) == -540


def _seconds(snapshot: NodeSnapshot) -> int:
    return round((snapshot.taken_at - NOW).total_seconds())


def test_a_damaged_piece_costs_its_reading_alone(tmp_path: Path) -> None:
    """A stored body that was changed behind SQLite's back: that reading is malformed, the others are as they were."""
    path, snapshot = tmp_path / "h.db", healthy_snapshot(pods=5)
    with History.open(path) as history:
        history.store_cycle(snapshot)
    with sqlite3.connect(path) as connection:
        (field,) = connection.execute("SELECT id FROM fields WHERE name='ipam'").fetchone()
        row = msgspec.msgpack.decode(connection.execute("SELECT pieces FROM spans WHERE field=?", (field,)).fetchone()[0])[0]
        (body,) = connection.execute("SELECT body FROM pieces WHERE id=?", (row,)).fetchone()
        connection.execute("UPDATE pieces SET body=? WHERE id=?", (body[:-1] + bytes([body[-1] ^ 1]), row))
    with History.read(path) as history:
        found = history.last_snapshot()
    assert found is not None and isinstance(found.ipam, Unobserved) and found.ipam.why is Why.MALFORMED
    assert msgspec.structs.replace(found, ipam=snapshot.ipam) == snapshot


def test_a_reading_that_an_older_release_did_not_store_is_not_collected(tmp_path: Path) -> None:
    """No span for a field: the snapshot has its default, never an empty value; an unknown field is passed over."""
    path, snapshot = tmp_path / "h.db", healthy_snapshot(pods=5)
    with History.open(path) as history:
        history.store_cycle(snapshot)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM spans WHERE field=(SELECT id FROM fields WHERE name='sandboxes')")
        connection.execute("UPDATE fields SET name='from-a-later-release' WHERE name='links'")
    with History.read(path) as history:
        found = history.last_snapshot()
    assert found is not None
    assert found.sandboxes == not_collected("container runtime") and found.links == not_collected("kernel links")
    assert found.ipam == snapshot.ipam


def test_pieces_are_cut_by_content() -> None:
    """An element put into or taken from a long list leaves most pieces as they were; joined they are the document."""
    rng = random.Random(1)
    elements = [b'{"id":"%032x","n":%d}' % (rng.getrandbits(128), n) for n in range(1000)]
    one = cut("f", b"[" + b",".join(elements) + b"]")
    other = cut("f", b"[" + b",".join(elements[3:500] + [b'{"id":"new"}'] + elements[500:]) + b"]")
    assert b"".join(piece.body for piece in other) == b"[" + b",".join(elements[3:500] + [b'{"id":"new"}'] + elements[500:]) + b"]"
    assert len({piece.hash for piece in other} - {piece.hash for piece in one}) <= 3
    for piece in one[:20]:
        form, body = pack(piece.body)
        assert unpack("f", piece.hash, form=form, body=body) == piece.body
        with pytest.raises(ValueError, match="damaged"):
            unpack("g", piece.hash, form=form, body=body)


def test_told_and_times_are_kept(tmp_path: Path) -> None:
    """What is no reading comes back too: the window's start, what the manifest said, a timeless text."""
    snapshot = NodeSnapshot(taken_at=datetime.fromisoformat("2026-03-01T12:00:00.000001+00:00"), since=NOW, told={"name": "n"}, timeless=True)
    with History.open(tmp_path / "h.db") as history:
        history.store_cycle(snapshot)
        assert history.last_snapshot() == snapshot
