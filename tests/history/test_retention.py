"""Retention: what is too old, too many or too large goes, a little at a time, and the file stays as small as it was told to."""

from __future__ import annotations

import os
import random
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

from eniagent.edge.history import Failure, History, Limits, Transition
from eniagent.model.net import PodName
from eniagent.model.reading import Observed
from eniagent.model.snapshot import NodeSnapshot
from tests.build import NOW

RNG = random.Random(5)


def noisy(at: datetime, *, size_bytes: int = 4000) -> NodeSnapshot:
    """A look of which one reading is new each time and does not compress."""
    return NodeSnapshot(taken_at=at, sysctls=Observed({f"k{n}": os.urandom(25).hex() for n in range(size_bytes // 50)}, "sysctls", at))


def on_disk(path: Path) -> int:
    """Bytes of the file and of its log."""
    return sum(file.stat().st_size for file in path.parent.iterdir())


def test_the_file_stays_within_its_bytes(tmp_path: Path) -> None:
    """Several times the limit is stored: at no moment is more on the disk than the limit, the newest stay, and they can be read."""
    path, limits = tmp_path / "h.db", Limits(size_bytes=1 << 20)
    most = 0
    with History.open(path, limits=limits) as history:
        for number in range(700):
            at = NOW + timedelta(seconds=30 * number)
            failures = [Failure(PodName(f"a/p{n}"), f"{RNG.getrandbits(256):064x}", at, "no-address", ("kubelet",)) for n in range(4)]
            history.store_cycle(noisy(at), failures=failures, transitions=[Transition(at, "x", "y")])
            most = max(most, on_disk(path))
        assert history.state.ok
        size = history.size()
        assert most <= limits.size_bytes and size.live_bytes > limits.size_bytes // 3
        assert size.newest_at == at and size.oldest_at is not None and size.oldest_at > NOW
        case = history.case_at(at, before=50)
        assert case is not None and len(case.before) == 50 and all(isinstance(s.sysctls, Observed) for s in case.before)
        assert history.failures(since=at) == failures


def test_age_is_forgotten_with_all_that_only_it_needed(tmp_path: Path) -> None:
    """Beyond its age nothing is left of a snapshot, its spans and pieces, of failures, transitions, gaps and ended incidents."""
    path, limits = tmp_path / "h.db", Limits(age_s=3600)
    with History.open(path, limits=limits) as history:
        ended = history.open_incident("c", subject="s", at=NOW)
        history.resolve_incident(ended, at=NOW + timedelta(minutes=1))
        standing = history.open_incident("c", subject="t", at=NOW)
        for number in range(500):
            at = NOW + timedelta(seconds=30 * number)
            history.store_cycle(noisy(at, size_bytes=200), failures=[Failure(PodName("a/p"), f"{number:064x}", at, "x")], transitions=[Transition(at, "x")])
        size = history.size()
        assert size.snapshots == size.failures == size.transitions == 121
        assert size.oldest_at == at - timedelta(hours=1)
        assert history.incidents() == [standing], "what stands is not forgotten"
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM spans WHERE last<(SELECT min(id) FROM snapshots)").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM pieces").fetchone()[0] < 150


def test_rows_are_bounded(tmp_path: Path) -> None:
    """Never more snapshots, failures or transitions than allowed; the newest are those that stay."""
    limits = Limits(snapshots=10, failures=20, transitions=15)
    with History.open(tmp_path / "h.db", limits=limits) as history:
        for number in range(40):
            at = NOW + timedelta(seconds=number)
            failures = [Failure(PodName("a/p"), f"{3 * number + n:064x}", at, "x") for n in range(3)]
            history.store_cycle(NodeSnapshot(taken_at=at), failures=failures, transitions=[Transition(at, "x")] * 3)
        size = history.size()
        assert (size.snapshots, size.failures, size.transitions) == (10, 20, 15)
        assert [f.sandbox for f in history.failures()] == [f"{n:064x}" for n in range(100, 120)]


def test_a_clock_that_jumps_ahead_empties_nothing(tmp_path: Path) -> None:
    """Three cycles ten years ahead, then right again: most of the history is still there."""
    with History.open(tmp_path / "h.db") as history:
        for number in range(1500):
            history.store_cycle(NodeSnapshot(taken_at=NOW + timedelta(seconds=30 * number)))
        for number in range(3):
            history.store_cycle(NodeSnapshot(taken_at=NOW + timedelta(days=3650, seconds=30 * number)))
        history.store_cycle(NodeSnapshot(taken_at=NOW + timedelta(seconds=30 * 1510)))
        assert history.size().snapshots > 800


def test_names_that_nobody_uses_are_forgotten(tmp_path: Path) -> None:
    """Pods come and go: the table of names does not grow with all that ever failed."""
    path = tmp_path / "h.db"
    with History.open(path, limits=Limits(failures=50)) as history:
        for number in range(1001):
            history.store_cycle(NodeSnapshot(taken_at=NOW + timedelta(seconds=number)), failures=[Failure(PodName(f"a/p{number}"), f"{number:064x}", NOW, "x")])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM names").fetchone()[0] < 100
