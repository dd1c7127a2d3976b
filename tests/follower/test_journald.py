"""The follower against a real journald: restarts, rotation, vacuum, suppression, damage, storms, and a journalctl that dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Optional

import msgspec
import pytest

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.follower import UNSETTLED_MOST, WINDOW_S, Batch, Bookmark, Follower
from eniagent.edge.follower_place import CURSOR_GONE, DAMAGED, SUPPRESSED
from eniagent.edge.journal import capture_journal
from eniagent.model.probe import ReadJournal
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.model.record import Journal
from eniagent.sources import Span, containerd, kubelet
from tests.follower.journald import Journald
from tests.follower.lines import Cluster

pytestmark = [pytest.mark.journald, pytest.mark.mountns]


@pytest.fixture
def journald() -> Iterator[Journald]:
    """A journald of the test's own."""
    running = Journald()
    yield running
    running.close()


def write(journald: Journald, cluster: Cluster, attempts: int) -> set[str]:
    """So many failed attempts. Returns their sandboxes."""
    sandboxes = set()
    for _ in range(attempts):
        _, sandbox, lines = cluster.attempt()
        sandboxes.add(sandbox)
        for line in lines:
            journald.write(line.message, identifier=line.identifier)
    return sandboxes


def read(follower: Follower, *, expected: Optional[set[str]] = None, patience_s: float = 30.0) -> list[Batch]:
    """Drain until nothing more comes, or until the sandboxes that are expected were told."""
    batches, told, end = [], set[str](), time.monotonic() + patience_s
    while True:
        batch = follower.drain(max_s=2.0)
        follower.settle(batch)
        batches.append(batch)
        told |= sandboxes([batch])
        if (expected is None or expected <= told) and not batch.more or time.monotonic() > end:
            return batches
        time.sleep(0.02)


def gone_on(journald: Journald, batch: Batch) -> Follower:
    """The follower of a next life."""
    assert isinstance(batch.kubelet, Observed) and isinstance(batch.containerd, Observed)
    journals = {"kubelet": batch.kubelet.value, "containerd": batch.containerd.value}
    return Follower(journal_dir=str(journald.directory), bookmark=batch.bookmark, journals=journals, failures=batch.failures)


def sandboxes(batches: list[Batch]) -> set[str]:
    """All sandboxes that were told."""
    return {failure.sandbox for batch in batches for failure in batch.failures}


def journal(batch: Batch) -> Journal:
    """kubelet's journal."""
    assert isinstance(batch.kubelet, Observed), batch.kubelet
    return batch.kubelet.value


def test_batches_hold_what_is_new(journald: Journald) -> None:
    """Each attempt is told once, with the journals of the whole window beside it; a quiet journal has no lag."""
    cluster = Cluster(pods=20)
    first = write(journald, cluster, 30)
    follower = Follower(journal_dir=str(journald.directory))
    batches = read(follower, expected=first)
    second = write(journald, cluster, 20)
    later = read(follower, expected=second)
    assert sandboxes(batches) == first and sandboxes(later) == second
    assert journal(later[-1]).failures == 50
    quiet = follower.drain()
    assert (quiet.failures, quiet.gaps, quiet.lag_s, quiet.more) == ((), (), 0.0, False)
    assert journal(quiet).failures == 50 and journal(quiet).cut == ""
    follower.close()


def test_the_window_is_what_a_single_look_reads(journald: Journald) -> None:
    """The one-shot reader and the follower, in batches, tell the same of the same journal: pods, counts, starts, events, reach."""
    cluster = Cluster(pods=30, nameless=True)
    follower = Follower(journal_dir=str(journald.directory))
    for _ in range(6):
        expected = write(journald, cluster, 15)
        for _ in range(20):
            journald.write(cluster.noise().message)
        read(follower)
    assert expected
    time.sleep(0.3)
    batch = read(follower)[-1]
    follower.close()
    now = clock.now()
    span = Span(until=now, since=now - timedelta(seconds=WINDOW_S))
    for source, reading in ((kubelet, batch.kubelet), (containerd, batch.containerd)):
        (probe,) = source.plan({})
        assert isinstance(probe, ReadJournal)
        capture = capture_journal(probe, span=span, journal_dir=str(journald.directory), deadline=Deadline(10))
        single = source.read({probe.file: capture}, span)
        assert isinstance(single, Observed) and isinstance(reading, Observed), (single, reading)
        assert single.value.failures > 40
        # A single look counts the lines that its filter lets through, and ends at the program's newest line.
        same = {"entries": 0, "until": None, "cursor": ""}
        assert msgspec.structs.replace(reading.value, **same) == msgspec.structs.replace(single.value, **same)
        assert reading.source == single.source


def test_what_was_not_settled_is_told_again(journald: Journald) -> None:
    """A batch that was not stored is not lost: its failures come with the next one."""
    first = write(journald, Cluster(pods=5), 10)
    follower = Follower(journal_dir=str(journald.directory))
    while sandboxes([batch := follower.drain()]) != first:
        time.sleep(0.02)
    again = follower.drain()
    assert again.failures == batch.failures
    follower.settle(again)
    assert follower.drain().failures == ()
    follower.close()


def test_rotation_and_restart_of_journald_are_no_gap(journald: Journald) -> None:
    """Files that rotate, a journald that is restarted and one that is killed: everything is told once, without a gap."""
    cluster = Cluster(pods=20)
    expected = write(journald, cluster, 20)
    follower = Follower(journal_dir=str(journald.directory))
    batches = read(follower, expected=expected)
    for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGKILL):
        if number == signal.SIGUSR2:
            journald.signal(number)
        else:
            journald.stop(number)
        time.sleep(0.1)
        if not journald.running:
            journald.start()
        new = write(journald, cluster, 20)
        batches += read(follower, expected=new)
        expected |= new
    told = [failure.sandbox for batch in batches for failure in batch.failures if failure.programs == ("kubelet",)]
    assert sorted(told) == sorted(expected)
    assert {gap.why for batch in batches for gap in batch.gaps} <= {DAMAGED}, "only the kill may have damaged a file"
    assert journal(batches[-1]).failures == len(expected)
    follower.close()


def test_a_place_that_was_vacuumed_is_a_gap_with_bounds(journald: Journald) -> None:
    """The entry of the bookmark is gone: what remains is told, and the gap says from when to when and how many at most."""
    cluster = Cluster(pods=5)
    follower = Follower(journal_dir=str(journald.directory))
    before = read(follower, expected=write(journald, cluster, 3))[-1]
    follower.close()
    lost = write(journald, cluster, 40)
    time.sleep(0.2)
    old = set(journald.directory.glob("*.journal"))
    journald.signal(signal.SIGUSR2)
    kept = write(journald, cluster, 5)
    time.sleep(0.3)
    for path in journald.directory.glob("*@*.journal"):
        path.unlink()
    assert old
    follower = gone_on(journald, before)
    batches = read(follower, expected=kept)
    assert sandboxes(batches) == kept
    (gap,) = [gap for batch in batches for gap in batch.gaps]
    assert gap.why == CURSOR_GONE and gap.since and gap.until and gap.since < gap.until
    assert gap.at_most is not None and gap.at_most >= 5 * len(lost)
    assert CURSOR_GONE in journal(batches[-1]).cut, "the window is not whole"
    follower.close()


STRANGE = b"s=192571380f9043f4b32d254b44aaa41a;i=15c;b=02c49a068e3741fc80b2ab90bd88e6c2;m=ae030728;t=6611bbb1818cf;x=91751a7a568dc63c"


@pytest.mark.parametrize("cursor", [STRANGE, b"nonsense"], ids=["of another journal", "no cursor at all"])
def test_a_place_that_never_was_in_this_journal(journald: Journald, cursor: bytes) -> None:
    """All that the journal holds after the bookmark's time is told; where journalctl cannot tell what is missing, there is a gap."""
    expected = write(journald, Cluster(pods=5), 5)
    bookmark = msgspec.json.encode(Bookmark(cursor, 1_700_000_000_000_000, 1)).decode()
    follower = Follower(journal_dir=str(journald.directory), bookmark=bookmark)
    batches = read(follower, expected=expected)
    assert sandboxes(batches) == expected, follower.down
    gaps = [gap for batch in batches for gap in batch.gaps]
    assert [(gap.why, gap.at_most) for gap in gaps] == [(CURSOR_GONE, None)]
    follower.close()


def test_a_damaged_bookmark_begins_anew(journald: Journald) -> None:
    """Text that is no bookmark is none: the window is read from its start."""
    expected = write(journald, Cluster(pods=5), 5)
    follower = Follower(journal_dir=str(journald.directory), bookmark="\x00nonsense")
    assert sandboxes(read(follower, expected=expected)) == expected
    follower.close()


def test_what_journald_suppresses_is_a_gap(journald: Journald) -> None:
    """journald says that its rate limit dropped lines of kubelet: a gap of exactly that many. Those of others are none of ours."""
    follower = Follower(journal_dir=str(journald.directory))
    expected = write(journald, Cluster(pods=3), 3)
    # As systemd 252 and, with the whole path, systemd 219 word it.
    for dropped, whose in ((250, "kubelet.service"), (7, "/runtime.slice/containerd.service"), (9999, "sshd.service")):
        journald.write(f"Suppressed {dropped} messages from {whose}".encode(), identifier="systemd-journald")
    last = write(journald, Cluster(pods=3, seed=5), 1)
    batches = read(follower, expected=expected | last)
    gaps = [gap for batch in batches for gap in batch.gaps]
    assert [(gap.why, gap.at_most) for gap in gaps] == [(SUPPRESSED, 250), (SUPPRESSED, 7)]
    assert SUPPRESSED in journal(batches[-1]).cut
    follower.close()
    follower = gone_on(journald, batches[-1])
    batch = follower.drain()
    assert not batch.gaps and isinstance(batch.kubelet, Observed)
    assert SUPPRESSED in batch.kubelet.value.cut, "a restart makes the window no more whole than it was"
    follower.close()


def test_journals_that_were_lost_are_read_again(journald: Journald) -> None:
    """A bookmark whose snapshot is gone: the window is read again and is whole; what repeats has the ids that it had."""
    expected = write(journald, Cluster(pods=5), 20)
    follower = Follower(journal_dir=str(journald.directory))
    before = read(follower, expected=expected)
    follower.close()
    follower = Follower(journal_dir=str(journald.directory), bookmark=before[-1].bookmark)
    after = read(follower, expected=expected)
    follower.close()
    assert {(f.pod, f.sandbox) for b in after for f in b.failures} == {(f.pod, f.sandbox) for b in before for f in b.failures}
    assert journal(after[-1]).pods == journal(before[-1]).pods and not [gap for b in after for gap in b.gaps]


def test_a_journalctl_that_dies_is_started_again(journald: Journald) -> None:
    """Killed at any place, journalctl is started again after a pause, and goes on where it was."""
    cluster = Cluster(pods=5)
    follower = Follower(journal_dir=str(journald.directory))
    expected = write(journald, cluster, 5)
    batches = read(follower, expected=expected)
    assert follower.pid is not None
    os.kill(follower.pid, signal.SIGKILL)
    new = write(journald, cluster, 5)
    down = follower.drain()
    assert "signal 9" in follower.down and "signal 9" in journal(down).cut
    assert down.lag_s > 0
    later = read(follower, expected=new)
    assert sandboxes([*batches, down, *later]) == expected | new
    assert not [gap for batch in later for gap in batch.gaps] and follower.down == "" and journal(later[-1]).cut == ""
    follower.close()


def test_a_stopped_journalctl_costs_nothing(journald: Journald) -> None:
    """SIGSTOP: drains end in time without entries; after SIGCONT all of them come."""
    cluster = Cluster(pods=5)
    follower = Follower(journal_dir=str(journald.directory))
    read(follower, expected=write(journald, cluster, 2))
    assert follower.pid is not None
    os.kill(follower.pid, signal.SIGSTOP)
    new = write(journald, cluster, 10)
    began = time.monotonic()
    assert follower.drain(max_s=1.0).failures == ()
    assert time.monotonic() - began < 1.5
    os.kill(follower.pid, signal.SIGCONT)
    assert sandboxes(read(follower, expected=new)) == new
    follower.close()


def test_a_damaged_file_hides_no_later_failure(journald: Journald) -> None:
    """Bytes of a rotated file are overwritten while journalctl follows and while it does not: what comes later is told."""
    cluster = Cluster(pods=5)
    follower = Follower(journal_dir=str(journald.directory))
    batch = read(follower, expected=write(journald, cluster, 50))[-1]
    journald.signal(signal.SIGUSR2)
    time.sleep(0.2)
    write(journald, cluster, 5)
    for path in journald.directory.glob("*@*.journal"):
        with path.open("r+b") as file:
            for at in range(4096, path.stat().st_size, 4096):
                file.seek(at)
                file.write(os.urandom(512))
    new = write(journald, cluster, 10)
    assert new <= sandboxes(read(follower, expected=new))
    follower.close()
    follower = gone_on(journald, batch)
    assert new <= sandboxes(read(follower, expected=new, patience_s=30)), follower.down
    follower.close()


def test_a_storm_is_counted_exactly_in_bounded_memory(journald: Journald) -> None:
    """20,000 lines a second for some seconds: each attempt is counted, and the process grows by less than 15 MB."""
    cluster = Cluster(pods=700)
    attempts = [cluster.attempt() for _ in range(2500)]
    follower = Follower(journal_dir=str(journald.directory))
    follower.drain()
    begin_kb = resident_kb()

    def storm() -> None:
        for number, (_, _, lines) in enumerate(attempts):
            for line in lines:
                journald.write(line.message, identifier=line.identifier)
                journald.write(b"I1125 14:00:03.000000     711 scope.go:117] healthy line %d" % number)

    writer = threading.Thread(target=storm)
    writer.start()
    told, entries, kubelet, end = set[str](), 0, 0, time.monotonic() + 30
    while True:
        batch = follower.drain(max_s=0.5)
        follower.settle(batch)
        told |= sandboxes([batch])
        entries += batch.entries
        kubelet += sum(failure.programs == ("kubelet",) for failure in batch.failures)
        assert not batch.gaps
        if (kubelet >= len(attempts) and not batch.more) or time.monotonic() > end:
            break
        time.sleep(0.1)
    assert told == {sandbox for _, sandbox, _ in attempts} and kubelet == len(attempts)
    assert journal(batch).failures == len(attempts)
    # The 25,000 lines and their attempts have come and gone; what is left is the window.
    assert resident_kb() - begin_kb < 15_000
    assert entries > 20_000
    follower.close()


def resident_kb() -> int:
    """Resident memory of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


def test_unsettled_failures_stop_the_reading(journald: Journald) -> None:
    """A caller that cannot store is given no more than a bound of failures: the rest waits in the journal."""
    follower = Follower(journal_dir=str(journald.directory))
    line = b'E1125 14:00:00.000000     711 kuberuntime_sandbox.go:72] "Failed to create sandbox for pod" err="failed to setup network for sandbox \\"%016x' + b"0" * 48 + b'\\": add cmd: x" pod="a/p"'
    for number in range(UNSETTLED_MOST + 5000):
        journald.write(line % number)
    held = 0
    for _ in range(50):
        batch = follower.drain()
        held = len(batch.failures)
        if held >= UNSETTLED_MOST:
            break
    assert UNSETTLED_MOST <= held < UNSETTLED_MOST + 3000 and batch.more and batch.lag_s > 0
    assert "behind" in journal(batch).cut
    follower.settle(batch)
    rest = read(follower)
    assert held + sum(len(batch.failures) for batch in rest) == UNSETTLED_MOST + 5000
    follower.close()


def test_no_directory_and_no_entries_are_told(tmp_path: Path, journald: Journald) -> None:
    """A directory that is not there, and a journal without a word of kubelet: unobserved, with the reason."""
    follower = Follower(journal_dir=str(tmp_path / "none"))
    batch = follower.drain()
    assert isinstance(batch.kubelet, Unobserved) and follower.down
    again = time.monotonic()
    follower.drain()
    assert time.monotonic() - again < 0.2, "it is not started again at once"
    follower.close()
    follower = Follower(journal_dir=str(journald.directory))
    batch = follower.drain()
    assert isinstance(batch.kubelet, Unobserved) and batch.kubelet.why is Why.NOT_COLLECTED and not follower.down
    assert journal(read(follower, expected=write(journald, Cluster(pods=1), 1))[-1]).failures == 1
    follower.close()


@pytest.mark.parametrize("open_top", [False, True], ids=["directory", "files"])
def test_a_journal_that_may_not_be_read_is_forbidden(journald: Journald, open_top: bool) -> None:
    """Without the right to the directory, or to the files in it: unobserved, forbidden, and never an empty journal."""
    write(journald, Cluster(pods=2), 3)
    for path in (*journald.directory.glob("*"), *(() if open_top else (journald.directory,))):
        path.chmod(0)
    if open_top:
        for path in (journald.directory, *list(journald.directory.parents)[:4]):
            path.chmod(0o755)
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            batch = Follower(journal_dir=str(journald.directory)).drain(max_s=2)
            os.write(writes, repr((type(batch.kubelet).__name__, getattr(batch.kubelet, "why", None), batch.failures)).encode())
        finally:
            os._exit(0)
    os.close(writes)
    os.waitpid(child, 0)
    assert os.read(reads, 4096).decode() == repr(("Unobserved", Why.FORBIDDEN, ()))
    os.close(reads)
