"""Failures, transitions, gaps, cursors, incidents and the outbox: told twice they are one, and what is together stays together."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from eniagent.edge.history import Failure, Gap, History, Transition
from eniagent.model.net import PodName
from eniagent.model.snapshot import NodeSnapshot
from tests.build import NOW

SANDBOX = "40" + "ab" * 31


def failure(number: int = 0, **changes: Any) -> Failure:
    """A failed attempt."""
    at = NOW + timedelta(seconds=number)
    told: dict[str, Any] = {"at": at, "sandbox": f"{number:064x}", "programs": ("kubelet",), "uid": "u", "text": "no address"}
    return Failure(pod=PodName("a/p"), signature="no-address", **{**told, **changes})


def snapshot(seconds: float = 0) -> NodeSnapshot:
    """A look of which only the time matters."""
    return NodeSnapshot(taken_at=NOW + timedelta(seconds=seconds))


def test_a_failure_told_twice_is_one(tmp_path: Path) -> None:
    """By the same journal, by another one, in another cycle or after a restart: one row, that names all who told of it."""
    first = failure(1)
    other = failure(1, programs=("containerd",), at=NOW, text="other words")
    with History.open(tmp_path / "h.db") as history:
        assert history.store_cycle(snapshot(), failures=[first, first]) == (first,)
        assert history.store_cycle(snapshot(30), failures=[other, failure(2)]) == (failure(2),)
    with History.open(tmp_path / "h.db") as history:
        assert history.store_cycle(snapshot(60), failures=[first]) == ()
        assert history.failures() == [failure(1, programs=("kubelet", "containerd")), failure(2)]


@pytest.mark.parametrize("sandbox", [SANDBOX, "", "not hex", "0" * 64, "abc", "@12"])
def test_every_sandbox_comes_back(tmp_path: Path, sandbox: str) -> None:
    """Ids of any bytes, ids that are no hex, and none: each comes back, and without an id the time tells attempts apart."""
    told = [failure(1, sandbox=sandbox), failure(2, sandbox=sandbox)]
    with History.open(tmp_path / "h.db") as history:
        new = history.store_cycle(snapshot(), failures=told)
        assert history.store_cycle(snapshot(), failures=told) == ()
        assert history.failures() == list(new)
        assert len(new) == (2 if sandbox == "" else 1)


def test_times_bound_what_is_asked_for(tmp_path: Path) -> None:
    """`since` and `until` are both inclusive, for failures, transitions and gaps."""
    transitions = [Transition(NOW + timedelta(seconds=n), "eni-attached", f"eni-{n}", "", "attached") for n in range(5)]
    with History.open(tmp_path / "h.db") as history:
        for n in range(5):
            history.store_cycle(snapshot(n), failures=[failure(n)], transitions=[transitions[n]], gaps=[Gap("vacuumed", None, NOW, n)])
        bounds = (NOW + timedelta(seconds=1), NOW + timedelta(seconds=3))
        assert history.failures(*bounds) == [failure(n) for n in (1, 2, 3)]
        assert history.transitions(*bounds) == transitions[1:4]
        assert history.gaps(*bounds) == [Gap("vacuumed", None, NOW, n) for n in (1, 2, 3)]
        assert len(history.failures()) == len(history.transitions()) == len(history.gaps()) == 5


def test_a_cycle_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    """A cycle that cannot be stored to its end leaves nothing behind: no snapshot, no failure, and the old cursor."""
    with History.open(tmp_path / "h.db") as history:
        history.store_cycle(snapshot(), cursors={"journal": "one"})
        with pytest.raises(AttributeError):
            history.store_cycle(snapshot(30), failures=[failure(1)], transitions=[None], cursors={"journal": "two"})  # type: ignore[list-item]
        assert history.cursor("journal") == "one" and history.failures() == [] and history.size().snapshots == 1
        history.store_cycle(snapshot(60), failures=[failure(1)], cursors={"journal": "three"})
        assert history.cursor("journal") == "three" and history.failures() == [failure(1)]
        assert history.cursor("other") == "" and history.state.ok
        assert history.last_snapshot() == snapshot(60)


def test_an_incident_lives_and_ends(tmp_path: Path) -> None:
    """Open, seen again, stale, open again, resolved; its bundles with it. Nothing of it latches."""
    path = tmp_path / "h.db"
    with History.open(path) as history:
        incident = history.open_incident("subnet-exhausted", subject="subnet-1", at=NOW, severity="critical", since=NOW, summary="s", finding="{}")
        assert history.open_incident("subnet-exhausted", subject="subnet-1", at=NOW + timedelta(seconds=9)) == incident, "one per cause and subject"
        other = history.open_incident("subnet-exhausted", subject="subnet-2", at=NOW)
        incident = history.note_bundle(incident, moment="opened", path="/b/1")
        incident = history.continue_incident(incident, at=NOW + timedelta(seconds=30), summary="worse")
        incident = history.stale_incident(incident, at=NOW + timedelta(seconds=60))
        assert history.stale_incident(incident, at=NOW + timedelta(seconds=90)).stale_at == NOW + timedelta(seconds=60)
    with History.read(path) as reader:
        assert [i.state for i in reader.incidents(standing=True)] == ["stale", "open"]
    with History.open(path) as history:
        incident = history.continue_incident(incident, at=NOW + timedelta(seconds=120))
        assert (incident.state, incident.stale_at, incident.summary, incident.severity) == ("open", None, "worse", "critical")
        ended = history.resolve_incident(incident, at=NOW + timedelta(seconds=150))
        ended = history.note_bundle(ended, moment="resolved", path="/b/2")
        assert history.incidents(standing=True) == [other]
        assert history.incidents() == [ended, other] and ended.bundles == {"opened": "/b/1", "resolved": "/b/2"}
        again = history.open_incident("subnet-exhausted", subject="subnet-1", at=NOW + timedelta(seconds=300))
        assert again.id != ended.id and again.state == "open" and again.bundles == {}
        assert history.incidents(since=NOW + timedelta(seconds=200)) == [other, again]


def test_the_outbox_survives_and_keeps_no_secret(tmp_path: Path) -> None:
    """A parcel waits through restarts, is put off with its reason, and its target's query never reaches the file."""
    path = tmp_path / "h.db"
    with History.open(path) as history:
        for _ in range(2):
            history.post("/b/1", target="https://bucket.example/x?X-Amz-Signature=SECRETSECRET#f", at=NOW)
    with History.open(path) as history:
        (parcel,) = history.parcels(due_at=NOW)
        assert (parcel.path, parcel.target, parcel.attempts) == ("/b/1", "https://bucket.example/x", 0)
        history.put_off(parcel, next_try_at=NOW + timedelta(minutes=5), problem="timed out")
        assert history.parcels(due_at=NOW + timedelta(minutes=4)) == []
        (waiting,) = history.parcels(due_at=NOW + timedelta(minutes=5))
        assert (waiting.attempts, waiting.problem) == (1, "timed out")
        history.take_out(waiting)
        assert history.parcels() == []
    assert b"SECRETSECRET" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """The file and its log are made for the owner alone."""
    with History.open(tmp_path / "h.db") as history:
        history.store_cycle(snapshot())
        assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
        with sqlite3.connect(tmp_path / "h.db") as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
