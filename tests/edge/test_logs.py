"""Logs and rotations: only the window is read, and never less than the last pool action."""

from __future__ import annotations

import gzip
import os
import pathlib
from datetime import datetime, timedelta, timezone
from typing import Optional

import pytest

from eniagent.edge.clock import Deadline
from eniagent.edge.gunzip import inflate
from eniagent.edge.logs import POOL_ACTION_NEEDLES, capture_logs
from eniagent.edge.segment import stamp_of
from eniagent.model.capture import Capture, CaptureCut
from eniagent.model.probe import ReadLogs
from eniagent.model.reading import Why
from tests.edge.conftest import bytes_read, unprivileged

NOW = datetime(2026, 11, 25, 14, 0, tzinfo=timezone.utc)
DIRECTORY = "/var/log/aws-routed-eni"
PROBE = ReadLogs(directory="logs", path=f"{DIRECTORY}/ipamd.log", pattern=f"{DIRECTORY}/ipamd[-.]*log*")


def zap(at: datetime, message: str = "Reconciling ENI/IP pool info because time since last ") -> bytes:
    """A line as zap prints it."""
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
    return b'{"level":"debug","ts":"%s","caller":"ipamd/ipamd.go:673","msg":"%s"}\n' % (stamp.encode(), message.encode())


def seelog(at: datetime, message: str = "IP pool stats") -> bytes:
    """A line as seelog printed it up to 1.6.0."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z [DEBUG] ").encode() + message.encode() + b"\n"


def every(step_s: float, *, since: datetime, until: datetime) -> bytes:
    """Idle lines at a steady pace."""
    count = int((until - since).total_seconds() / step_s)
    return b"".join(zap(since + timedelta(seconds=step_s * number)) for number in range(count))


def host(tmp_path: pathlib.Path, **logs: bytes) -> str:
    """A host root whose log directory holds these files; each was last written when its last line says."""
    directory = tmp_path / DIRECTORY[1:]
    directory.mkdir(parents=True)
    for name, data in logs.items():
        path = directory / name
        path.write_bytes(data)
        plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        last = stamp_of(plain[plain.rfind(b"\n", 0, len(plain) - 1) + 1 :]) or NOW
        os.utime(path, (last.timestamp(), last.timestamp()))
    return str(tmp_path)


def look(root: str, *, since: Optional[datetime], needles: tuple[bytes, ...] = POOL_ACTION_NEEDLES, probe: ReadLogs = PROBE) -> dict[str, Capture]:
    """One look at the logs."""
    return capture_logs(probe, root=root, since=since, deadline=Deadline(30), needles=needles)


def text(capture: Capture) -> bytes:
    """All that a capture streams."""
    return b"".join(capture.chunks())


def test_a_large_log_is_read_from_the_window_on(tmp_path: pathlib.Path) -> None:
    """Of a log of 30 MB the last hour is read: bytes counted by the kernel, not by us."""
    log = every(0.45, since=NOW - timedelta(hours=30), until=NOW - timedelta(minutes=1)) + zap(NOW, "Trying to allocate 1 IP")
    assert len(log) > 28 << 20
    root, since = host(tmp_path, **{"ipamd.log": log}), NOW - timedelta(hours=1)
    before = bytes_read()
    found = look(root, since=since)
    searched = bytes_read() - before
    data = text(found["logs/ipamd.log"])
    whole = bytes_read() - before
    assert searched < 3 << 20
    assert whole < 6 << 20
    first = stamp_of(data)
    assert first is not None and since - timedelta(minutes=30) < first <= since
    assert log.endswith(data)


def test_a_log_that_holds_no_action_is_searched_back_within_bounds(tmp_path: pathlib.Path) -> None:
    """The last pool action, hours before the window, is in what is read, and little before it."""
    action = NOW - timedelta(hours=5)
    log = (
        every(2, since=NOW - timedelta(hours=30), until=action)
        + zap(action, "Failed to increase pool size due to InsufficientFreeAddressesInSubnet")
        + every(2, since=action, until=NOW)
    )
    found = look(host(tmp_path, **{"ipamd.log": log}), since=NOW - timedelta(hours=1))
    data = text(found["logs/ipamd.log"])
    assert data.count(b"InsufficientFreeAddressesInSubnet") == 1
    assert len(data) < len(log) // 3
    assert log.endswith(data)


def test_the_last_action_is_found_in_a_packed_rotation(tmp_path: pathlib.Path) -> None:
    """When the live log began after the last action, the rotated one is unpacked and read from near it; older ones are not."""
    rotated = NOW - timedelta(hours=3)
    old = every(2, since=NOW - timedelta(hours=20), until=NOW - timedelta(hours=4)) + zap(rotated - timedelta(hours=1), "Trying to allocate 1 IP")
    old += every(2, since=rotated - timedelta(hours=1), until=rotated)
    root = host(
        tmp_path,
        **{
            "ipamd-2026-11-24T10-00-00.000.log.gz": gzip.compress(zap(NOW - timedelta(hours=28), "Starting L-IPAMD")),
            "ipamd-2026-11-25T11-00-00.000.log.gz": gzip.compress(old),
            "ipamd.log": every(2, since=rotated, until=NOW),
        },
    )
    found = look(root, since=NOW - timedelta(hours=1))
    assert list(found) == ["logs/ipamd-2026-11-25T11-00-00.000.log", "logs/ipamd.log"]
    packed = text(found["logs/ipamd-2026-11-25T11-00-00.000.log"])
    assert packed.count(b"Trying to allocate") == 1
    assert old.endswith(packed) and len(packed) < len(old)
    assert stamp_of(text(found["logs/ipamd.log"])) == rotated


def test_rotations_come_oldest_first_and_only_those_of_the_window(tmp_path: pathlib.Path) -> None:
    """Seelog's hourly files and lumberjack's are ordered by time; what ended before the window is left alone."""
    hour = timedelta(hours=1)
    root = host(
        tmp_path,
        **{
            "ipamd.log": seelog(NOW, "Trying to allocate"),
            "ipamd.log.2026-11-25-13": seelog(NOW - hour / 2),
            "ipamd.log.2026-11-25-12": seelog(NOW - 3 * hour / 2),
            "ipamd.log.2026-11-25-09": seelog(NOW - 5 * hour),
        },
    )
    found = look(root, since=NOW - 2 * hour)
    assert list(found) == ["logs/ipamd.log.2026-11-25-12", "logs/ipamd.log.2026-11-25-13", "logs/ipamd.log"]
    assert list(look(root, since=None)) == ["logs/ipamd.log.2026-11-25-09", *found]


def test_a_window_inside_a_packed_rotation_begins_there(tmp_path: pathlib.Path) -> None:
    """A packed file is unpacked from its start, but only its part of the window is told."""
    old = every(1, since=NOW - timedelta(hours=30), until=NOW - timedelta(minutes=5))
    root = host(tmp_path, **{"ipamd-2026-11-25T13-55-00.000.log.gz": gzip.compress(old), "ipamd.log": zap(NOW, "Trying to allocate")})
    found = look(root, since=NOW - timedelta(hours=1))
    data = text(found["logs/ipamd-2026-11-25T13-55-00.000.log"])
    first = stamp_of(data)
    assert first is not None and first <= NOW - timedelta(hours=1)
    assert old.endswith(data) and len(data) < len(old) // 2


def test_a_rotation_while_reading_takes_nothing_away(tmp_path: pathlib.Path) -> None:
    """What was there at the look is streamed even when the file is renamed, unlinked or grows meanwhile."""
    log = every(1, since=NOW - timedelta(minutes=30), until=NOW)
    root = host(tmp_path, **{"ipamd.log": log})
    found = look(root, since=NOW - timedelta(hours=1))
    path = tmp_path / DIRECTORY[1:] / "ipamd.log"
    with path.open("ab") as out:
        out.write(zap(NOW + timedelta(seconds=1)))
    path.rename(path.with_name("ipamd-2026-11-25T14-00-00.000.log"))
    path.write_bytes(b"")
    assert text(found["logs/ipamd.log"]) == log


def test_lines_without_time_do_not_cut_the_window(tmp_path: pathlib.Path) -> None:
    """Garbage, NULs and invalid UTF-8 in the middle can only make the reading begin earlier."""
    log = every(1, since=NOW - timedelta(hours=3), until=NOW - timedelta(hours=2)) + b"\0" * 300_000 + b"\xff\xfe broken\n" * 9000
    log += every(1, since=NOW - timedelta(hours=1), until=NOW)
    data = text(look(host(tmp_path, **{"ipamd.log": log}), since=NOW - timedelta(minutes=90))["logs/ipamd.log"])
    assert zap(NOW - timedelta(hours=1)) in data
    assert log.endswith(data)


def test_an_idle_log_is_there_and_empty(tmp_path: pathlib.Path) -> None:
    """A live log that nobody wrote in the window is no missing log."""
    root = host(tmp_path, **{"plugin.log": zap(NOW - timedelta(days=3))})
    probe = ReadLogs(directory="logs", path=f"{DIRECTORY}/plugin.log", pattern=f"{DIRECTORY}/plugin[-.]*log*")
    capture = look(root, since=NOW - timedelta(hours=1), needles=(), probe=probe)["logs/plugin.log"]
    assert (capture.about.failure, text(capture)) == (None, b"")


def test_a_missing_log_and_a_forbidden_one_are_told_apart(tmp_path: pathlib.Path) -> None:
    """No file is not installed, no right is forbidden."""
    for directory in (tmp_path, *list(tmp_path.parents)[:2]):
        directory.chmod(0o755)
    assert look(str(tmp_path), since=NOW)["logs/ipamd.log"].about.failure is Why.NOT_INSTALLED
    root = host(tmp_path, **{"ipamd.log": zap(NOW)})
    (tmp_path / DIRECTORY[1:] / "ipamd.log").chmod(0)
    with unprivileged():
        assert look(root, since=NOW)["logs/ipamd.log"].about.failure is Why.FORBIDDEN


def test_the_deadline_cuts_a_stream(tmp_path: pathlib.Path) -> None:
    """A stream ends at the deadline and says so."""
    root = host(tmp_path, **{"ipamd.log": zap(NOW)})
    capture = capture_logs(PROBE, root=root, since=None, deadline=Deadline(0), needles=())["logs/ipamd.log"]
    with pytest.raises(CaptureCut) as cut:
        text(capture)
    assert cut.value.why is Why.TIMED_OUT


def test_gzip_is_unpacked_whole_or_told_as_cut() -> None:
    """Two members, any piece size: the plain bytes. Damaged or half: cut, after what could be read."""
    plain = every(1, since=NOW - timedelta(minutes=20), until=NOW)
    packed = gzip.compress(plain) + gzip.compress(plain)
    for size in (1, 7, 1000, len(packed)):
        pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
        assert b"".join(inflate(pieces)) == plain + plain
    with pytest.raises(CaptureCut) as half:
        list(inflate([packed[: len(packed) // 3]]))
    assert half.value.why is Why.TRUNCATED
    damaged = bytearray(packed)
    damaged[200:260] = bytes(60)
    with pytest.raises(CaptureCut):
        list(inflate([bytes(damaged)]))
