"""Reading beside a writer, files of every released schema, and a writer that is killed."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from eniagent.edge.history import Failure, History, HistoryError, Limits
from eniagent.edge.history_ground import MIGRATIONS, SCHEMA
from eniagent.model.net import PodName
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.model.snapshot import NodeSnapshot
from tests.build import NOW
from tests.history.sample import SAMPLES, START
from tests.history.test_rows import failure, snapshot

TOP = Path(__file__).resolve().parents[2]
RELEASED = sorted(SAMPLES.glob("schema-*.db.gz"))


def test_every_schema_has_its_sample() -> None:
    """A schema without a sample could change unseen."""
    assert [path.name for path in RELEASED] == [f"schema-{number}.db.gz" for number in range(1, SCHEMA + 1)]
    assert len(MIGRATIONS) == SCHEMA


@pytest.mark.parametrize("packed", RELEASED, ids=lambda path: path.name)
def test_a_released_file_stays_readable_and_writable(tmp_path: Path, packed: Path) -> None:
    """All that a file of that schema holds is told, and the daemon goes on in it."""
    path = tmp_path / "h.db"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    with History.open(path) as history:
        assert history.state.ok and not history.state.put_aside
        case = history.case_at(START + timedelta(hours=1), before=9)
        assert case is not None and [s.taken_at for s in (*case.before, case.now)] == [START + timedelta(seconds=30 * n) for n in range(4)]
        assert isinstance(case.now.ipam, Unobserved) and case.now.ipam.why is Why.REFUSED
        pools = [s.ipam.value.pools for s in case.before if isinstance(s.ipam, Observed)]
        assert [sum(a.assigned for pool in p for eni in pool.enis for cidr in eni.cidrs for a in cidr.addresses) for p in pools] == [3, 4, 5]
        assert isinstance(case.now.metadata, Observed) and isinstance(case.now.links, Observed)
        told = history.failures()
        assert [(f.pod, f.sandbox[:2], f.signature, f.programs) for f in told if f.sandbox] == [
            ("default/web", f"{n:02x}", "no-address", ("kubelet",)) for n in range(4)
        ]
        (nameless,) = [f for f in told if not f.sandbox]
        assert (nameless.pod, nameless.programs, nameless.at) == ("default/old", ("kubelet", "containerd"), START + timedelta(seconds=30))
        assert (told[0].uid, told[0].text) == ("uid-1", "add cmd: failed to assign an IP address to container")
        assert [(t.what, t.was, t.became) for t in history.transitions()] == [("verdict-changed", "healthy", "critical")] * 4
        assert [(g.why, g.at_most, g.detail) for g in history.gaps()] == [("vacuumed", 7, "g")] * 4
        ended, standing = history.incidents()
        assert (ended.state, ended.cause, ended.bundles, ended.finding) == ("resolved", "subnet-exhausted", {"opened": "/b/1"}, '{"code":1}')
        assert (standing.state, standing.cause, standing.stale_at) == ("stale", "ec2-throttled", START + timedelta(minutes=2))
        assert [(p.path, p.target) for p in history.parcels()] == [("/b/1", "https://bucket.example/key")]
        assert history.cursor("journal") == "cursor-3"
        history.store_cycle(case.now, failures=told)
        assert history.failures() == told and history.size().snapshots == 5


def test_reading_while_a_daemon_writes(tmp_path: Path) -> None:
    """Readers beside a writer that stores as fast as it can: each sees whole cycles only, and none stops the writer."""
    path = tmp_path / "h.db"
    writer = subprocess.Popen([sys.executable, "-m", "tests.history.test_readers", str(path), "0"], cwd=TOP)
    try:
        seen, end = 0, time.monotonic() + 20
        while seen < 40 and time.monotonic() < end:
            try:
                with History.read(path) as reader:
                    last = reader.last_snapshot()
                    if last is None:
                        continue
                    assert whole(reader) >= 0
                    seen += 1
            except HistoryError as error:
                assert seen == 0 and error.kind in ("absent", "corrupt", "i/o-error", "locked"), error
            assert writer.poll() is None, "the writer ended"
        assert seen == 40
    finally:
        writer.kill()
        writer.wait()


def whole(reader: History) -> int:
    """How many cycles a history holds, which all must be whole: the cursor, the failures and the snapshots tell the same."""
    cycles, failures = int(reader.cursor("journal") or "0"), reader.failures()
    # Later questions may see later cycles; none may see a part of one.
    assert len(failures) % 3 == 0 and len(failures) >= 3 * cycles
    assert reader.size().snapshots >= cycles
    return cycles


def test_a_writer_that_is_killed_leaves_whole_cycles(tmp_path: Path) -> None:
    """60 SIGKILLs at random moments: cursor, failures and snapshots always tell the same, and nothing is ever put aside."""
    path, rng, before = tmp_path / "h.db", random.Random(3), 0
    for _ in range(60):
        child = os.fork()
        if child == 0:
            try:
                write(path)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0.0, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with History.open(path) as history:
            assert history.state.ok and not history.state.put_aside
            cycles = int(history.cursor("journal") or "0")
            assert cycles >= before and len(history.failures()) == 3 * cycles and history.size().snapshots == cycles
            before = cycles
    assert before > 30


def write(path: Path) -> None:
    """Store cycles of three failures each, on and on."""
    history = History.open(path, limits=Limits())
    number = int(history.cursor("journal") or "0")
    while True:
        number += 1
        at = NOW + timedelta(seconds=number)
        failures = [Failure(PodName("a/p"), f"{3 * number + n:064x}", at, "x") for n in range(3)]
        history.store_cycle(NodeSnapshot(taken_at=at, sysctls=Observed({"n": str(number)}, "s", at)), failures=failures, cursors={"journal": str(number)})


@pytest.mark.mountns
def test_reading_where_nothing_may_be_written(tmp_path: Path) -> None:
    """A history that was closed, in a directory that cannot be written to: it can be read all the same."""
    path = tmp_path / "h.db"
    with History.open(path) as history:
        history.store_cycle(snapshot(), failures=[failure(1)])
    assert not path.with_name("h.db-wal").exists()
    script = "import sys; from eniagent.edge.history import History\nwith History.read(sys.argv[1]) as h: print(len(h.failures()), h.last_snapshot().taken_at)"
    command = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path} && exec {sys.executable} -c '{script}' {path}"
    told = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-ec", command], cwd=TOP, stdout=subprocess.PIPE, check=True)
    assert told.stdout.decode().split()[0] == "1"


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    """No file, and a file that is no history: an error that names the file and says why."""
    with pytest.raises(HistoryError, match="does the daemon run") as absent:
        History.read(tmp_path / "h.db")
    assert absent.value.kind == "absent"
    (tmp_path / "h.db").write_bytes(b"")
    with pytest.raises(HistoryError, match="h.db"):
        History.read(tmp_path / "h.db")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
