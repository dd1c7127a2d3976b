"""ipamd over HTTP: every fault of the menu ends in time, and is told apart."""

from __future__ import annotations

import os
import pathlib
import resource
import time
from typing import Optional

import pytest

from eniagent.edge.clock import Deadline
from eniagent.edge.http import get
from eniagent.model.capture import Capture
from eniagent.model.probe import HttpGet
from eniagent.model.reading import Why
from tests.fakes.ipamd import COMMANDS, ENIS, FakeIpamd

pytestmark = pytest.mark.sockets

PATH = "/v1/enis"
PROBE = HttpGet(file="ipamd/enis.json", service="introspection", path=PATH, timeout_s=0.6)


def ask(fault: str, *, probe: HttpGet = PROBE, deadline_s: float = 5.0) -> Capture:
    """One look at an ipamd that misbehaves so."""
    with FakeIpamd({PATH: ENIS}) as server:
        server.faults["*"] = fault
        return get(probe, base_url=server.url, deadline=Deadline(deadline_s))


@pytest.mark.parametrize(
    ("fault", "why", "status"),
    [
        ("reset", Why.MALFORMED, None),
        ("closed", Why.MALFORMED, None),
        ("garbage", Why.MALFORMED, None),
        ("hang", Why.TIMED_OUT, None),
        ("drip-head", Why.TIMED_OUT, None),
        ("drip", Why.TIMED_OUT, 200),
        ("500", Why.MALFORMED, 500),
        ("redirect", Why.MALFORMED, 302),
        ("truncated", Why.TRUNCATED, 200),
        ("chunked-cut", Why.TRUNCATED, 200),
        ("no-length", None, 200),
        ("", None, 200),
    ],
)
def test_each_fault_has_its_own_reason(fault: str, why: Optional[Why], status: Optional[int]) -> None:
    """A fault is told by reason and status, and no look outlives its own timeout."""
    began = time.monotonic()
    about = ask(fault).about
    assert (about.failure, about.status) == (why, status)
    assert bool(about.detail) == (why is not None)
    assert time.monotonic() - began < 3.0


def test_what_came_before_the_cut_is_kept() -> None:
    """A body that ends early is kept as far as it came."""
    capture = ask("truncated")
    assert capture.body() == ENIS
    assert capture.about.truncated


def test_a_whole_answer_is_told_byte_for_byte() -> None:
    """What ipamd sent is what the capture holds."""
    capture = ask("")
    assert capture.body() == ENIS
    assert capture.about.size_bytes == len(ENIS)


def test_an_unknown_path_is_an_answer() -> None:
    """ipamd answers 200 with its commands to any path: the edge hands on the bytes, judging them is not its business."""
    with FakeIpamd({}) as server:
        capture = get(PROBE, base_url=server.url, deadline=Deadline(5))
    assert capture.about.failure is None
    assert capture.body() == COMMANDS


def test_nobody_listens() -> None:
    """A closed port is refused, not timed out."""
    with FakeIpamd({}) as server:
        url = server.url
    about = get(PROBE, base_url=url, deadline=Deadline(5)).about
    assert about.failure is Why.REFUSED
    assert "127.0.0.1" in about.detail


def test_a_body_without_end_is_cut_at_the_limit() -> None:
    """A gigabyte is not read: the peer's count of bytes and our own memory stay near the limit."""
    probe = HttpGet(file="ipamd/enis.json", service="introspection", path=PATH, limit_bytes=1 << 20)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with FakeIpamd({}) as server:
        server.faults["*"] = "endless"
        capture = get(probe, base_url=server.url, deadline=Deadline(5))
        sent = server.sent_bytes
    assert capture.about.failure is Why.TRUNCATED
    assert capture.about.truncated
    assert len(capture.body()) == 1 << 20
    assert sent < 32 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 64 << 10


def test_the_run_deadline_ends_a_look_before_its_own_timeout() -> None:
    """The earlier of the two limits counts."""
    began = time.monotonic()
    about = ask("hang", probe=HttpGet(file="x", service="introspection", path=PATH, timeout_s=30), deadline_s=0.3).about
    assert about.failure is Why.TIMED_OUT
    assert time.monotonic() - began < 5.0


def test_a_unix_socket_serves_like_a_port(tmp_path: pathlib.Path) -> None:
    """`unix:/path` gives the same bytes; without the socket it is refused."""
    path = str(tmp_path / "introspect.sock")
    with FakeIpamd({PATH: ENIS}, unix_path=path) as server:
        assert get(PROBE, base_url=server.url, deadline=Deadline(5)).body() == ENIS
    assert get(PROBE, base_url=f"unix:{path}", deadline=Deadline(5)).about.failure is Why.REFUSED


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is set for the whole shell is never asked for loopback."""
    with FakeIpamd({}) as proxy, FakeIpamd({PATH: ENIS}) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert get(PROBE, base_url=server.url, deadline=Deadline(5)).body() == ENIS
        assert proxy.connections == 0


def test_looks_leave_no_descriptor_open() -> None:
    """Whatever the fault, the socket of a look is closed with it."""
    kept = []
    for fault in ("reset", "garbage", "500", "truncated", "no-length", "drip", "endless", ""):
        kept.append(ask(fault, probe=HttpGet(file="x", service="introspection", path=PATH, timeout_s=0.3, limit_bytes=1 << 16)))
    with FakeIpamd({PATH: ENIS}) as server:
        before = len(os.listdir("/proc/self/fd"))
        for fault in ("reset", "garbage", "500", "truncated", "no-length", "endless", ""):
            server.faults["*"] = fault
            kept.append(get(HttpGet(file="x", service="introspection", path=PATH, limit_bytes=1 << 16), base_url=server.url, deadline=Deadline(2)))
        end_s = time.monotonic() + 5
        # The fake closes its own ends a moment later.
        while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < end_s:
            time.sleep(0.02)
        assert len(os.listdir("/proc/self/fd")) <= before
    assert len(kept) == 15
