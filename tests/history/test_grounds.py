"""The history on bad ground: full, read-only, locked, damaged, newer. It says so, goes on in memory, and comes back; it never raises."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from eniagent.edge import history_ground
from eniagent.edge.history import History, HistoryError
from eniagent.edge.history_ground import SCHEMA, open_memory
from eniagent.model.snapshot import NodeSnapshot
from tests.build import NOW, healthy_snapshot
from tests.history.test_rows import failure, snapshot
from tests.history.test_snapshots import later

TOP = Path(__file__).resolve().parents[2]


def on_ground(what: str, directory: Path) -> list[dict[str, Any]]:
    """Run one scene in a mount namespace of its own."""
    argv = ["unshare", "--map-root-user", "--mount", sys.executable, "-m", "tests.history.grounds", what, str(directory)]
    ended = subprocess.run(argv, cwd=TOP, stdout=subprocess.PIPE, check=True, timeout=60)
    steps: list[dict[str, Any]] = json.loads(ended.stdout)
    return steps


@pytest.mark.mountns
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """A real small file system fills up: degraded, in memory, with incidents and outbox at hand; emptied, all of it is in the file."""
    before, during, after, read = on_ground("full", tmp_path)
    assert before["degraded"] == "" and before["failures"] == 20
    assert during["degraded"] in ("full", "i/o-error") and during["lost"] == 0
    assert during["incidents"] == ["before", "while-full"] and during["parcels"] == 0 and during["newest"] and during["cursor"] == "50"
    assert (after["degraded"], after["failures"], after["cursor"], after["newest"]) == ("", 52, "52", True)
    assert read == {"failures": 52, "cursor": "52", "incidents": ["before", "while-full"], "parcels": 0}


@pytest.mark.mountns
def test_a_limit_on_the_files_size_loses_nothing(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow (RLIMIT_FSIZE): the same."""
    before, during, after, read = on_ground("limited", tmp_path)
    assert before["degraded"] == "" and during["degraded"] in ("full", "i/o-error") and during["newest"]
    assert (after["degraded"], after["failures"], after["cursor"]) == ("", 106, "106")
    assert read["failures"] == 106


@pytest.mark.mountns
def test_a_read_only_directory_is_read_and_waited_for(tmp_path: Path) -> None:
    """On a read-only file system the history can be read, a daemon starts in memory from its cursor, and brings all back later."""
    before, reading, during, after, read = on_ground("read-only", tmp_path)
    assert before["failures"] == reading["failures"] == 5
    assert during["degraded"] == "read-only" and during["number"] == 10 and during["cursor"] == "10" and during["newest"]
    assert (after["degraded"], after["failures"], read["failures"]) == ("", 11, 11)


@pytest.mark.mountns
def test_a_missing_directory_is_waited_for(tmp_path: Path) -> None:
    """Without its directory the daemon works in memory, and begins the file when it can."""
    during, after, read = on_ground("missing", tmp_path)
    assert during["degraded"] == "absent" and during["failures"] == 5
    assert (after["degraded"], after["failures"], read["cursor"]) == ("", 6, "6")


def test_a_locked_file_is_told_and_returned_to(tmp_path: Path, fast: None) -> None:
    """Another process holds the write lock: one cycle in memory, and the next one brings it back."""
    path = tmp_path / "h.db"
    with History.open(path) as history:
        history.store_cycle(snapshot(), failures=[failure(1)])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert history.store_cycle(snapshot(30), failures=[failure(2)]) == (failure(2),)
        assert history.state.degraded == "locked" and history.state.since
        other.execute("ROLLBACK")
        other.close()
        history.store_cycle(snapshot(60), failures=[failure(3)])
        assert history.state.ok and history.failures() == [failure(n) for n in (1, 2, 3)]
        case = history.case_at(NOW + timedelta(days=1), before=5)
        assert case is not None and len(case.before) == 2


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is tried again at once, and a lock is not waited for."""
    monkeypatch.setattr("eniagent.edge.history.RETRY_S", 0.0)
    monkeypatch.setattr("eniagent.edge.history.RETRY_MOST_S", 0.0)
    monkeypatch.setattr(history_ground, "BUSY_S", 0.05)


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    """A file of a later release is not touched: readers are refused with a clear text, the daemon works in memory."""
    path = tmp_path / "h.db"
    History.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA + 1}")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(HistoryError, match=f"schema {SCHEMA + 1} is newer than {SCHEMA}") as refused:
        History.read(path)
    assert refused.value.kind == "newer-schema" and refused.value.exit_code == 1
    with History.open(path) as history:
        history.store_cycle(snapshot(), failures=[failure(1)])
        assert history.state.degraded == "newer-schema" and history.failures() == [failure(1)]
        assert history.state.put_aside == ""
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b"SQLite format 3\0" + os.urandom(9000)], ids=["text", "garbage"])
def test_a_file_that_is_no_history_is_put_aside_once(tmp_path: Path, content: bytes) -> None:
    """It is renamed, told, and a new file begun; a second one within the hour stays where it is, and the work goes on in memory."""
    path = tmp_path / "h.db"
    path.write_bytes(content)
    with pytest.raises(HistoryError):
        History.read(path)
    with History.open(path) as history:
        history.store_cycle(snapshot(), failures=[failure(1)])
        assert history.state.ok and history.state.put_aside == str(path) + ".corrupt"
    assert Path(str(path) + ".corrupt").read_bytes() == content
    with History.read(path) as reader:
        assert reader.failures() == [failure(1)]
    path.write_bytes(content)
    with History.open(path) as history:
        history.store_cycle(snapshot(), failures=[failure(2)])
        assert history.state.degraded == "corrupt" and history.failures() == [failure(2)]
    assert path.read_bytes() == content
    old = os.stat(str(path) + ".corrupt").st_mtime - 7200
    os.utime(str(path) + ".corrupt", (old, old))
    with History.open(path) as history:
        assert history.state.ok, "after an hour it may be replaced again"


def test_random_damage_never_raises(tmp_path: Path) -> None:
    """Bytes flipped anywhere, 80 times: opening, storing and reading end in a state, an error of ours, or the right answer."""
    rng, good = random.Random(11), tmp_path / "good.db"
    healthy = healthy_snapshot(pods=8)
    with History.open(good) as history:
        history.open_incident("c", subject="s", at=NOW)
        history.post("/b", target="t", at=NOW)
        for number in range(12):
            history.store_cycle(later(healthy, by_s=30 * number), failures=[failure(n) for n in range(number)], cursors={"journal": "c"})
    content, seen = good.read_bytes(), set[str]()
    for round_ in range(80):
        directory = tmp_path / str(round_)
        directory.mkdir()
        path, data = directory / "h.db", bytearray(content)
        for _ in range(rng.choice((1, 3, 30))):
            at = rng.randrange(len(data)) if rng.random() < 0.7 else rng.randrange(4096)
            data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(data))
        seen.add(outcome(path, healthy))
        shutil.rmtree(directory)
    assert {"as it was", "put aside"} <= seen, seen


def outcome(path: Path, healthy: NodeSnapshot) -> str:
    """What came of a damaged file, for a reader and for the daemon."""
    try:
        with History.read(path) as reader:
            case = reader.case_at(NOW + timedelta(days=1), before=20)
            reader.failures()
            reader.incidents()
    except HistoryError:
        case = None
    with History.open(path) as history:
        history.store_cycle(later(healthy, by_s=9999), failures=[failure(99)], cursors={"journal": "d"})
        history.incidents()
        history.parcels()
        history.transitions()
        newest = history.last_snapshot()
        assert newest is not None and newest == later(healthy, by_s=9999), "what was damaged is written anew"
        assert failure(99) in history.failures() and history.cursor("journal") == "d"
        state = history.state
    return "put aside" if state.put_aside else state.degraded or ("as it was" if case is not None and case.now == later(healthy, by_s=330) else "damaged")


def test_damage_under_a_running_daemon(tmp_path: Path) -> None:
    """The file is overwritten while it is open: cycles go on, and when it is found out a new file takes what comes."""
    path = tmp_path / "h.db"
    with History.open(path) as history:
        history.open_incident("c", subject="s", at=NOW)
        for number in range(30):
            history.store_cycle(later(healthy_snapshot(pods=8), by_s=number), failures=[failure(number)])
    with History.open(path) as history:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))
        for number in range(30, 60):
            history.store_cycle(snapshot(number), failures=[failure(number)], cursors={"journal": str(number)})
            assert failure(number) in history.failures() and history.cursor("journal") == str(number)
    for number in range(60, 63):
        with History.open(path) as history:
            history.store_cycle(snapshot(number), failures=[failure(number)], cursors={"journal": str(number)})
            assert history.state.ok and history.state.put_aside and history.cursor("journal") == str(number)


def test_memory_has_the_same_schema() -> None:
    """What is used instead of the file answers the same questions."""
    connection = open_memory(max_bytes=1 << 20)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    connection.close()
