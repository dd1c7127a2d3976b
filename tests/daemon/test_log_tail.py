"""A followed log tells what a single reading of the same files tells, over rotations, cuts and half lines, and forgets what is old."""

from __future__ import annotations

import os
import pathlib
import random
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import pytest

from eniagent.edge.clock import Deadline
from eniagent.edge.log_tail import LogTail
from eniagent.edge.logs import POOL_ACTION_NEEDLES, capture_logs
from eniagent.model.probe import ReadLogs
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.model.record import Log
from eniagent.sources import Span, ipamd_log
from tests.recorded import unpack

PROBE = ReadLogs(directory="logs", path="/var/log/aws-routed-eni/ipamd.log", pattern="/var/log/aws-routed-eni/ipamd[-.]*log*")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real ipamd.log of a node whose subnet filled up and was given room again."""
    name = "v1.23.0-subnet-exhausted-recovered"
    return (unpack(name, tmp_path_factory.mktemp("log")) / "01-now/logs/ipamd.log").read_bytes()


class Node:
    """A log below a root of its own."""

    def __init__(self, root: pathlib.Path, *, now: datetime) -> None:
        self.root, self.now, self.rotated = root, now, 0
        self.path = root / "var/log/aws-routed-eni/ipamd.log"
        self.path.parent.mkdir(parents=True)
        self.tail = LogTail(PROBE, program="ipamd", root=str(root), needles=POOL_ACTION_NEEDLES)

    def append(self, data: bytes) -> None:
        with open(self.path, "ab") as out:
            out.write(data)

    def rotate(self) -> None:
        self.rotated += 1
        at = self.now - timedelta(hours=1) + timedelta(seconds=self.rotated)
        os.rename(self.path, self.path.with_name(f"ipamd-{at:%Y-%m-%dT%H-%M-%S}.000.log"))
        self.path.touch()

    def span(self, *, window_s: float = 3600.0) -> Span:
        return Span(until=self.now, since=self.now - timedelta(seconds=window_s))

    def followed(self, **more: Any) -> Log:
        reading = self.tail.read(self.span(**more), Deadline(10))
        assert isinstance(reading, Observed), reading
        value: Log = reading.value
        return value

    def read_at_once(self) -> Log:
        seen = capture_logs(PROBE, root=str(self.root), since=self.span().since, deadline=Deadline(10), needles=POOL_ACTION_NEEDLES)
        reading = ipamd_log.read(seen, self.span())
        assert isinstance(reading, Observed)
        return reading.value


def facts(log: Log) -> list[tuple[str, Optional[datetime], str]]:
    """What a log tells, without where it stands in a file."""
    return [(event.signature, event.at, event.text) for event in log.events]


def taken_at(data: bytes) -> datetime:
    """A little after the last line."""
    stamp = data.rstrip().rsplit(b"\n", 1)[-1].split(b'"ts":"')[1][:19].decode()
    return datetime.fromisoformat(stamp).replace(tzinfo=timezone.utc) + timedelta(seconds=2)


@pytest.mark.parametrize("seed", range(6))
def test_followed_in_any_pieces_it_tells_what_one_reading_tells(tmp_path: pathlib.Path, recorded: bytes, seed: int) -> None:
    """However the lines arrive (halves of them, rotations in between), the events are those of a single reading, each once."""
    chance = random.Random(seed)
    node = Node(tmp_path, now=taken_at(recorded))
    at = chance.randrange(len(recorded) // 2)
    node.append(recorded[:at])
    node.followed()
    while at < len(recorded):
        size = chance.choice((1, 37, 400, 5000, 60_000))
        node.append(recorded[at : at + size])
        at += size
        if chance.random() < 0.2 and at < len(recorded):
            end = recorded.index(b"\n", at) + 1  # A writer rotates between lines.
            node.append(recorded[at:end])
            at = end
            node.followed()
            node.rotate()
        if chance.random() < 0.7:
            node.followed()
    followed, whole = node.followed(), node.read_at_once()
    if not any(path.name != "ipamd.log" for path in node.path.parent.iterdir()):
        assert followed.counts == whole.counts
    assert sorted(facts(followed), key=str) == sorted(facts(whole), key=str)


def test_a_quiet_log_is_the_same_object(tmp_path: pathlib.Path, recorded: bytes) -> None:
    """Where nothing of interest was written there is nothing to store, to compare or to judge again."""
    node = Node(tmp_path, now=taken_at(recorded))
    node.append(recorded)
    first = node.followed()
    node.append(b'{"level":"info","ts":"2026-11-25T14:13:00.000Z","caller":"http/server.go:2828","msg":"Handling http request: GET, from: 127.0.0.1:1, URI: /v1/enis"}\n')
    assert node.followed() is first


def test_the_last_pool_action_outlives_the_window(tmp_path: pathlib.Path, recorded: bytes) -> None:
    """Hours later the refusal that was ipamd's last word about its pool is still told; with a new action the old ones go."""
    cut = recorded[: recorded.index(b"\n", recorded.rindex(b"InsufficientFreeAddresses")) + 1]
    node = Node(tmp_path, now=taken_at(recorded))
    node.append(cut)
    node.followed()
    node.now += timedelta(hours=5)
    assert "ec2-refused" in {event.signature for event in node.followed().events}
    line = '{"level":"info","ts":"%s","caller":"ipamd/ipamd.go:1","msg":"Trying to allocate 9 IP addresses on ENI eni-1"}\n'
    node.append((line % node.now.strftime("%Y-%m-%dT%H:%M:%S.000Z")).encode())
    node.followed()
    node.now += timedelta(seconds=5)
    assert "ec2-refused" not in {event.signature for event in node.followed().events}


def test_a_log_that_is_cut_in_place_is_read_from_its_new_start(tmp_path: pathlib.Path, recorded: bytes) -> None:
    """copytruncate: what was told stays, what is written next is read."""
    node = Node(tmp_path, now=taken_at(recorded))
    node.append(recorded)
    before = node.followed()
    os.truncate(node.path, 0)
    node.append(b'{"level":"error","ts":"%s","caller":"x","msg":"Failed to increase pool size due to the warm pool"}\n' % node.now.strftime("%Y-%m-%dT%H:%M:%S.000Z").encode())
    assert len(node.followed().events) >= len(before.events)


def test_a_log_that_is_not_there_is_told_and_found_when_it_comes(tmp_path: pathlib.Path, recorded: bytes) -> None:
    """Not installed is an answer; the next look finds the file."""
    node = Node(tmp_path, now=taken_at(recorded))
    missing = node.tail.read(node.span(), Deadline(10))
    assert isinstance(missing, Unobserved) and missing.why is Why.NOT_INSTALLED
    node.append(recorded)
    assert node.followed().events


def test_a_storm_costs_no_memory(tmp_path: pathlib.Path, recorded: bytes) -> None:
    """A hundred thousand lines of one kind leave a bounded number of events, and an exact count."""
    node = Node(tmp_path, now=taken_at(recorded))
    node.append(recorded)
    node.followed()
    line = b'{"level":"debug","ts":"%s","caller":"rpc/rpc.pb.go:1","msg":"AssignPodIPv4Address: IP address pool stats: total 9, assigned 9"}\n' % node.now.strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()
    node.append(line * 100_000)
    assert len(node.followed().events) < 3000
