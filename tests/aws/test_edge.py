"""Asking EC2 over real sockets: what is allowed is read, what is not costs its part alone, and nothing outlasts the deadline."""

from __future__ import annotations

import pathlib
import time
from datetime import timedelta

import pytest

from eniagent import sources
from eniagent.edge import aws, clock
from eniagent.edge.captures import read_series
from eniagent.edge.captures_out import write_captures
from eniagent.edge.clock import Deadline
from eniagent.edge.look import Live, observe
from eniagent.edge.settings import Settings
from eniagent.model.ec2 import Ec2View
from eniagent.model.probe import AskAws
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.sources import Span
from tests.aws.conftest import Node
from tests.aws.front import Front, event
from tests.fakes.imds import FakeImds

pytestmark = pytest.mark.sockets

PARTS = {
    "subnets": ("DescribeSubnets", "ec2:DescribeSubnets"),
    "enis": ("DescribeNetworkInterfaces", "ec2:DescribeNetworkInterfaces"),
    "type": ("DescribeInstanceTypes", "ec2:DescribeInstanceTypes"),
    "calls": ("LookupEvents", "cloudtrail:LookupEvents"),
}


def look(imds: FakeImds, *, deadline_s: float = 20.0) -> Live:
    """One look at IMDS and EC2."""
    settings = Settings(imds_url=imds.url, origins={"imds_url": "flag"})
    until = clock.now()
    return observe(settings, Span(until=until, since=until - timedelta(hours=1)), Deadline(deadline_s), fields=("metadata", "ec2"))


def view(live: Live) -> Ec2View:
    """What was seen of EC2."""
    assert isinstance(live.snapshot.ec2, Observed), live.snapshot.ec2
    return live.snapshot.ec2.value


def test_every_part_is_read(front: Front, imds: FakeImds, account: Node) -> None:
    """Free addresses of the zone's subnets, the instance's ENIs, the type's limits and the window's calls, as the API tells them."""
    now = clock.now()
    front.events = [
        event(now - timedelta(minutes=9), "CreateNetworkInterface", code="RequestLimitExceeded", instance=account.instance),
        event(now - timedelta(minutes=8), "CreateNetworkInterface"),
        event(now - timedelta(minutes=7), "AssignPrivateIpAddresses", eni=account.enis[1], number=7),
        event(now - timedelta(hours=3), "CreateNetworkInterface", code="UnauthorizedOperation", instance=account.instance),
        event(now - timedelta(minutes=6), "DescribeInstances", code="RequestLimitExceeded", instance=account.instance),
    ]
    live = look(imds)
    seen = view(live)
    assert live.missed == () and seen.unseen == ()
    assert isinstance(seen.subnets, Observed)
    subnets = {s.id: s for s in seen.subnets.value}
    assert set(subnets) == {account.subnet, account.other_subnet}
    assert 0 < subnets[account.subnet].free < 11 and subnets[account.subnet].used_here  # type: ignore[index]
    assert not subnets[account.other_subnet].used_here  # type: ignore[index]
    assert isinstance(seen.enis, Observed)
    assert [(e.device_number, e.id) for e in sorted(seen.enis.value, key=lambda e: e.device_number)] == list(enumerate(account.enis))
    assert max(len(e.addresses) for e in seen.enis.value) == 4
    assert isinstance(seen.type, Observed)
    assert (seen.type.value.enis_per_card, seen.type.value.ipv4_per_eni, seen.type.value.vcpus) == ((3,), 10, 2)
    assert isinstance(seen.calls, Observed)
    assert [(c.operation, c.code, c.ours) for c in seen.calls.value] == [
        ("CreateNetworkInterface", "RequestLimitExceeded", True),
        ("CreateNetworkInterface", "", False),
        ("AssignPrivateIpAddresses", "", True),
    ]


@pytest.mark.parametrize(
    ("part", "code"),
    [("subnets", "UnauthorizedOperation"), ("enis", "UnauthorizedOperation"), ("type", "AccessDenied"), ("calls", "AccessDeniedException")],
)
def test_an_absent_right_costs_its_part_alone(front: Front, imds: FakeImds, part: str, code: str) -> None:
    """One refused operation is *forbidden*, by the name of its right; the others are read all the same."""
    operation, right = PARTS[part]
    front.refused[operation] = code
    seen = view(look(imds))
    (unseen,) = seen.unseen
    assert unseen is getattr(seen, part)
    assert unseen.why is Why.FORBIDDEN
    assert right in unseen.detail and code in unseen.detail


def test_no_right_at_all(front: Front, imds: FakeImds) -> None:
    """With every operation refused the look still ends, and each part names its right."""
    front.refused = {operation: "UnauthorizedOperation" for operation, _ in PARTS.values()}
    seen = view(look(imds))
    assert [part.why for part in seen.unseen] == [Why.FORBIDDEN] * 4
    assert [right for part, (_, right) in zip(seen.unseen, PARTS.values()) if right not in part.detail] == []


def test_bad_credentials_and_none(front: Front, imds: FakeImds, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that are refused, and a node without any, are both *forbidden*; the secret stands in no capture."""
    front.refused["DescribeSubnets"] = "AuthFailure"
    live = look(imds)
    assert "planted-secret" not in repr([capture.about for capture in live.seen.values()])
    (unseen,) = view(live).unseen
    assert unseen.why is Why.FORBIDDEN and "AuthFailure" in unseen.detail
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    asked = len(front.asked)
    seen = view(look(imds))
    assert [part.why for part in seen.unseen] == [Why.FORBIDDEN] * 4
    assert all("no credentials" in part.detail for part in seen.unseen)
    assert len(front.asked) == asked


def test_throttling_and_an_endpoint_that_is_not_there(front: Front, imds: FakeImds, monkeypatch: pytest.MonkeyPatch) -> None:
    """EC2's own rate limit, and nobody at the endpoint, are *refused*, with the words that were given."""
    front.refused["DescribeSubnets"] = "RequestLimitExceeded"
    (unseen,) = view(look(imds)).unseen
    assert unseen.why is Why.REFUSED and "RequestLimitExceeded" in unseen.detail
    assert front.operations.count("DescribeSubnets") == 2
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert {part.why for part in view(look(imds)).unseen} == {Why.REFUSED}


def test_a_hanging_endpoint_ends_with_the_deadline(front: Front, imds: FakeImds) -> None:
    """An operation that never answers costs its part alone: the run ends in time, and the rest is there."""
    front.hanging.add("DescribeSubnets")
    began = time.monotonic()
    live = look(imds, deadline_s=6.0)
    assert time.monotonic() - began < 8.0
    (unseen,) = view(live).unseen
    assert unseen.why is Why.TIMED_OUT and "ec2:DescribeSubnets" in unseen.detail


def test_a_hanging_endpoint_ends_with_its_own_timeout(front: Front) -> None:
    """Where the deadline is far, the operation's own timeout bounds all of its attempts together."""
    front.hanging.add("DescribeSubnets")
    asker = aws.Aws(Settings(), Span(until=clock.now()))
    began = time.monotonic()
    capture = asker.ask(AskAws("aws/subnets.json", "ec2", "DescribeSubnets", "us-west-2", ("{}",), timeout_s=2.0), deadline=Deadline(60))
    assert capture.about.failure is Why.TIMED_OUT
    assert "ec2:DescribeSubnets" in capture.about.detail
    assert time.monotonic() - began < 4.0


def test_what_came_before_a_failure_is_kept(front: Front) -> None:
    """Of several questions those that were answered stay, and the capture says how many were not."""
    front.hanging.add("none")
    ask = AskAws("aws/x.json", "ec2", "DescribeInstanceTypes", "us-west-2", ('{"InstanceTypes":["m5.large"]}', '{"InstanceTypes":["no.such"]}'))
    capture = aws.Aws(Settings(), Span(until=clock.now())).ask(ask, deadline=Deadline(20))
    assert capture.about.failure is None
    assert capture.about.detail.startswith("1 of 2 requests were answered")
    assert b"m5.large" in capture.body()


def test_without_imds_nobody_is_asked(front: Front, imds: FakeImds) -> None:
    """Which instance to ask about is IMDS's to say: without it no call is made, and nothing is claimed."""
    imds.token_status = 403
    live = look(imds)
    assert front.asked == []
    assert isinstance(live.snapshot.ec2, Unobserved) and live.snapshot.ec2.why is Why.NOT_COLLECTED


def test_only_reading_operations_leave(front: Front) -> None:
    """An operation that is none of the four is not asked, whoever asks for it."""
    capture = aws.Aws(Settings(), Span(until=clock.now())).ask(AskAws("aws/x.json", "ec2", "DeleteSubnet", "us-west-2", ("{}",)), deadline=Deadline(5))
    assert capture.about.failure is Why.MALFORMED
    assert front.asked == []


def test_the_answers_travel_in_captures(front: Front, imds: FakeImds, tmp_path: pathlib.Path) -> None:
    """A captures directory keeps what EC2 answered and refused: opened elsewhere, the same view is read from it."""
    front.refused["LookupEvents"] = "AccessDeniedException"
    live = look(imds)
    write_captures(str(tmp_path / "node"), live.seen, taken_at=live.snapshot.taken_at)
    (opened,) = read_series(str(tmp_path / "node"), since_s=3600.0)
    assert view_of(sources.snapshot(opened.seen, opened.span).ec2) == view(live)


def view_of(reading: object) -> Ec2View:
    """The view in a reading that was made from captures."""
    assert isinstance(reading, Observed) and isinstance(reading.value, Ec2View), reading
    return reading.value
