"""IMDSv2: one connection, one token, listed keys only, and every way of not answering told apart."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from eniagent.edge import imds
from eniagent.edge.clock import Deadline, TokenBucket
from eniagent.edge.imds import INSTANCE_KEYS, MACS, Imds, read_imds
from eniagent.model.capture import Capture
from eniagent.model.probe import ReadImds
from eniagent.model.reading import Why
from tests.fakes.imds import MAC, TREE, FakeImds

pytestmark = pytest.mark.sockets

PROBE = ReadImds(file="imds/tree.json")


def look(server: FakeImds, *, deadline_s: float = 6.0, timeout_s: float = 6.0) -> Capture:
    """One look at this IMDS."""
    return read_imds(ReadImds(file="imds/tree.json", timeout_s=timeout_s), base_url=server.url, deadline=Deadline(deadline_s))


def tree_of(capture: Capture) -> dict[str, Any]:
    """The tree that a capture holds."""
    return msgspec.json.decode(capture.body(), type=dict[str, Any])


def test_the_tree_is_what_imds_holds_of_the_listed_keys() -> None:
    """Keys that are listed and allowed are there with their bodies; fixed keys that are not there are 404; nothing else is."""
    with FakeImds() as server:
        capture = look(server)
    tree = tree_of(capture)
    assert (capture.about.status, capture.about.failure) == (200, None)
    at = f"{MACS}{MAC}/"
    assert {key for key in tree if key.startswith(at)} == {at + name for name in ("device-number", "interface-id", "local-ipv4s", "subnet-id")}
    assert {key for key in tree if not key.startswith(at)} == set(INSTANCE_KEYS)
    for key, entry in tree.items():
        assert entry == TREE.get(key, {"status": 404})


def test_one_connection_and_one_token_serve_a_whole_look() -> None:
    """Keep-alive and token reuse: a look costs one of each."""
    with FakeImds() as server:
        look(server)
        assert (server.connections, server.tokens) == (1, 1)
        assert len({request.headers.get("x-aws-ec2-metadata-token") for request in server.requests if request.method == "GET"}) == 1


def test_credentials_are_never_asked_for() -> None:
    """Nothing secret is requested, although IMDS offers it, and the client refuses to be asked for it."""
    with FakeImds() as server:
        look(server)
        assert server.forbidden == []
        client = Imds(server.url, deadline=Deadline(2))
        for key in (
            "meta-data/iam/security-credentials/demo-role",
            "user-data",
            "meta-data/public-keys/0/openssh-key",
            "meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
            f"{MACS}{MAC}/../../../../user-data",
            "meta-data/instance-id\r\nX: y",
        ):
            with pytest.raises(ValueError, match="not on the list"):
                client.get(key)
        client.close()
        assert server.forbidden == []


def test_an_expired_token_is_renewed_once() -> None:
    """A 401 in the middle costs one new token and no key."""
    with FakeImds() as server:
        server.expire_after = 5
        capture = look(server)
        asked = [request.method for request in server.requests].count("PUT")
    assert capture.about.failure is None
    assert asked == 2
    assert all(entry.get("status") in (200, 404) for entry in tree_of(capture).values())


def test_a_401_that_stays_is_forbidden() -> None:
    """401 for every key, new token or not, is a right that lacks."""
    with FakeImds() as server:
        server.key_status = 401
        capture = look(server)
        assert [request.method for request in server.requests].count("PUT") == 2
    assert capture.about.failure is Why.FORBIDDEN
    assert {entry["status"] for entry in tree_of(capture).values()} == {401}


@pytest.mark.parametrize("status", [401, 403])
def test_no_token_is_forbidden(status: int) -> None:
    """IMDS switched off answers 403 to the token request; no key is asked for without one."""
    with FakeImds() as server:
        server.token_status = status
        capture = look(server)
        assert all(request.method == "PUT" for request in server.requests)
    assert (capture.about.failure, capture.about.status) == (Why.FORBIDDEN, status)
    assert tree_of(capture) == {"api/token": {"status": status}}


def test_a_token_that_hangs_is_a_time_out() -> None:
    """A hop limit that is too low swallows the token's answer: timed out, and told at the token."""
    with FakeImds() as server:
        server.faults["/latest/api/token"] = "hang"
        capture = look(server, timeout_s=0.5)
    assert capture.about.failure is Why.TIMED_OUT
    assert tree_of(capture) == {"api/token": {"failure": "timed out"}}


def test_one_key_that_hangs_costs_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that gets no answer is told so; the others are read on a new connection."""
    monkeypatch.setattr(imds, "KEY_TIMEOUT_S", 0.3)
    with FakeImds() as server:
        server.faults["/latest/meta-data/mac"] = "hang"
        capture = look(server)
        assert server.connections == 2
    tree = tree_of(capture)
    assert tree["meta-data/mac"] == {"failure": "timed out"}
    assert tree["meta-data/instance-id"]["status"] == 200
    assert tree[f"{MACS}{MAC}/subnet-id"]["status"] == 200
    assert capture.about.failure is None
    assert "meta-data/mac" in capture.about.detail


def test_a_silent_imds_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """When keys hang one after the other the rest is not waited for, and is told as timed out."""
    monkeypatch.setattr(imds, "KEY_TIMEOUT_S", 0.3)
    with FakeImds() as server:
        server.faults.update({f"/latest/{key}": "hang" for key in INSTANCE_KEYS[1:]})
        began = time.monotonic()
        tree = tree_of(look(server))
    assert time.monotonic() - began < 3
    assert tree[INSTANCE_KEYS[0]]["status"] == 200
    assert all(tree[key] == {"failure": "timed out"} for key in (*INSTANCE_KEYS[1:], MACS))


@pytest.mark.parametrize(
    ("fault", "why"), [("reset", Why.MALFORMED), ("garbage", Why.MALFORMED), ("redirect", Why.MALFORMED), ("500", Why.MALFORMED), ("drip-head", Why.TIMED_OUT)]
)
def test_other_faults_are_told_apart(fault: str, why: Why) -> None:
    """Whatever IMDS does, the look ends and says why."""
    with FakeImds() as server:
        server.faults["*"] = fault
        capture = look(server, timeout_s=0.5)
    assert capture.about.failure is why


def test_nobody_listens() -> None:
    """A closed port is refused."""
    with FakeImds() as server:
        url = server.url
    assert read_imds(PROBE, base_url=url, deadline=Deadline(3)).about.failure is Why.REFUSED


def test_a_listing_that_fails_is_not_an_empty_listing() -> None:
    """No ENI is claimed absent because the list of MACs was not readable."""
    with FakeImds() as server:
        server.faults[f"/latest/{MACS}"] = "500"
        tree = tree_of(look(server))
    assert tree[MACS] == {"status": 500}


def test_requests_beyond_the_burst_wait() -> None:
    """The bucket gives its burst at once and then its rate."""
    bucket = TokenBucket(burst=3, per_second=1.0)
    waits = [bucket.take() for _ in range(6)]
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert [round(wait) for wait in waits[3:]] == [1, 2, 3]


def test_a_node_of_fifteen_enis_is_read_within_the_time_of_a_look() -> None:
    """200 keys over a server that writes head and body apart: no acknowledgement is waited for (40 ms each would be 8 s)."""
    tree = dict(TREE)
    for number in range(15):
        at = f"{MACS}0a:89:02:c4:43:{number:02x}/"
        tree.update({at + name: {"status": 200, "body": "0"} for name in imds.MAC_KEYS})
    with FakeImds(tree) as server:
        began = time.monotonic()
        capture = look(server)
        took_s = time.monotonic() - began
        asked = len(server.requests)
    assert capture.about.detail == ""
    assert sum(key.endswith("/interface-id") for key in tree_of(capture)) == 16
    assert asked > 240
    assert took_s < asked * 0.02
