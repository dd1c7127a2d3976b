"""Law L9 on a real journald: a follower that is killed at any moment neither loses nor repeats a failure."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eniagent.edge.follower import CURSOR, Follower
from eniagent.edge.history import History
from eniagent.model.reading import Observed
from eniagent.model.snapshot import NodeSnapshot
from tests.follower.journald import Journald
from tests.follower.lines import Cluster

pytestmark = [pytest.mark.journald, pytest.mark.mountns]
TOP = Path(__file__).resolve().parents[2]
KILLS = 220


@pytest.fixture
def journald() -> Iterator[Journald]:
    """A journald of the test's own, with small files so that they rotate."""
    running = Journald(settings=["RuntimeMaxFileSize=2M", "RuntimeMaxUse=1G"])
    yield running
    running.close()


def test_no_kill_loses_or_repeats_a_failure(journald: Journald, tmp_path: Path) -> None:
    """After more than 200 SIGKILLs beside a running writer, each failure that was written is stored once, and no other."""
    path = tmp_path / "history.db"
    cluster, rng = Cluster(pods=60), random.Random(7)
    argv = [sys.executable, "-m", "tests.follower.killed", str(journald.directory), str(path), str(KILLS), "3"]
    killer = subprocess.Popen(argv, cwd=TOP)
    written: dict[str, str] = {}
    while killer.poll() is None:
        for _ in range(rng.randrange(1, 12)):
            pod, sandbox, lines = cluster.attempt()
            written[sandbox] = pod
            # The lines of one attempt are torn apart by the kills as well.
            for line in lines:
                journald.write(line.message, identifier=line.identifier)
                if rng.random() < 0.05:
                    time.sleep(0.004)
        if rng.random() < 0.01:
            journald.signal(signal.SIGUSR2)
        time.sleep(0.02)
    assert killer.returncode == 0
    with History.open(path) as history:
        stored = [(failure.sandbox, failure.pod) for failure in history.failures()]
        assert len(stored) == len(set(stored)), "stored twice"
        follower = Follower.resume(history, journal_dir=str(journald.directory))
        batch = follower.drain(max_s=20)
        follower.close()
        assert history.state.ok and not history.state.put_aside
        history.store_cycle(_snapshot(history), failures=batch.failures, cursors={CURSOR: batch.bookmark})
        stored = [(failure.sandbox, failure.pod) for failure in history.failures()]
        gaps, cycles = history.gaps(), history.size().snapshots
    assert cycles > KILLS // 3, "most lives ended before they had stored anything"
    assert not batch.more and not gaps and not batch.gaps
    assert sorted(stored) == sorted(written.items())
    assert isinstance(batch.kubelet, Observed) and isinstance(batch.containerd, Observed)
    assert batch.kubelet.value.failures == len(written), "the window counts what the file holds"
    assert batch.containerd.value.failures == len(written)
    assert all(failure_programs == {"kubelet", "containerd"} for failure_programs in _programs(path).values())
    assert not _left_behind(journald.directory), "a journalctl outlived its follower"


def _snapshot(history: History) -> NodeSnapshot:
    last = history.last_snapshot()
    assert last is not None
    return last


def _programs(path: Path) -> dict[str, set[str]]:
    with History.read(path) as history:
        return {failure.sandbox: set(failure.programs) for failure in history.failures()}


def _left_behind(directory: Path) -> list[str]:
    """Command lines of processes that still name the journal's directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if b"journalctl" in command and str(directory).encode() in command:
            found.append(command.decode())
    return found
