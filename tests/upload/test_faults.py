"""An upload through a network and a server that fail: what is tried again, when it ends, and that it is never taken for success."""

from __future__ import annotations

import os
import pathlib
import threading
import time

import pytest

from eniagent.edge.clock import Deadline
from eniagent.edge.upload_errors import UploadFailed
from eniagent.edge.upload_file import Outgoing
from eniagent.edge.upload_retry import Pause, repeat
from tests.upload import sigv4
from tests.upload.authority import Authority
from tests.upload.conftest import BUCKET, Store
from tests.upload.connect_proxy import ConnectProxy
from tests.upload.front import Front
from tests.upload.sending import Said, fails, send

pytestmark = pytest.mark.sockets


@pytest.fixture
def address(front: Front) -> str:
    """A presigned address at the front."""
    return sigv4.presign(f"{front.url}/{BUCKET}/k")


@pytest.mark.parametrize("faults", [["drop"], ["503"], ["500", "502"], ["reset"], ["corrupt"], ["lost"], ["drop", "503", "corrupt"]], ids=" ".join)
def test_what_passes_is_tried_again(front: Front, store: Store, trust: Authority, bundle: pathlib.Path, address: str, faults: list[str]) -> None:
    """Each attempt begins anew, the last one arrives whole, and each failure is told as an event without the query."""
    front.faults, said = list(faults), Said()
    receipt = send(bundle, address, ca_file=trust.ca_file, said=said)
    assert (receipt.attempts, receipt.verified) == (len(faults) + 1, "md5")
    assert store.get("k") == bundle.read_bytes()
    assert [name for name, _ in said] == ["upload_retried"] * len(faults)
    assert "X-Amz" not in repr(list(said))


@pytest.mark.parametrize(("fault", "kind"), [("503", "server"), ("drop", "broken-off"), ("corrupt", "damaged"), ("429", "server")])
def test_what_lasts_is_given_up(front: Front, trust: Authority, bundle: pathlib.Path, address: str, fault: str, kind: str) -> None:
    """After the attempts allowed it has failed, by its kind, with their number."""
    front.faults, front.lasting = [fault], True
    failed = fails(bundle, address, ca_file=trust.ca_file)
    assert (failed.kind, failed.attempts, len(front.puts())) == (kind, 5, 5)


@pytest.mark.parametrize("status", [413, 404, 405, 412, 501])
def test_what_cannot_pass_is_not_tried_again(front: Front, trust: Authority, bundle: pathlib.Path, address: str, status: int) -> None:
    """One attempt."""
    front.canned["PUT"] = (status, {}, b"")
    failed = fails(bundle, address, ca_file=trust.ca_file)
    assert (failed.attempts, len(front.puts())) == (1, 1)


@pytest.mark.parametrize("fault", ["stall", "silent"])
def test_a_server_that_stalls_ends_with_the_deadline(front: Front, trust: Authority, bundle: pathlib.Path, address: str, fault: str) -> None:
    """Whether it stops reading or never answers."""
    front.faults, front.lasting = [fault], True
    large = bundle.with_name("large.tar.gz")
    large.write_bytes(bytes(32 << 20))
    began_s = time.monotonic()
    failed = fails(large if fault == "stall" else bundle, address, ca_file=trust.ca_file, deadline_s=2.0)
    assert failed.kind == "timed-out"
    assert 1.5 < time.monotonic() - began_s < 4.5


def test_retry_after_is_heeded(front: Front, trust: Authority, bundle: pathlib.Path, address: str) -> None:
    """The server's own pause goes before the drawn one; one that ends after the deadline is not begun."""
    front.faults = ["429:1"]
    began_s = time.monotonic()
    assert send(bundle, address, ca_file=trust.ca_file).attempts == 2
    assert time.monotonic() - began_s >= 1.0
    front.faults = ["503:60"]
    began_s = time.monotonic()
    assert fails(bundle, address, ca_file=trust.ca_file, deadline_s=5.0).attempts == 1
    assert time.monotonic() - began_s < 4.0


def test_pauses_grow_and_are_drawn_at_random() -> None:
    """Full jitter: within their bound, which doubles up to the most, and not all alike."""
    pause = Pause(first_s=1.0, most_s=30.0)
    for failures, bound_s in ((1, 1.0), (2, 2.0), (5, 16.0), (9, 30.0), (2000 // 20, 30.0)):
        drawn = [pause.draw_s(failures) for _ in range(200)]
        assert max(drawn) <= bound_s and len(set(drawn)) > 100 and max(drawn) > bound_s * 0.8


def test_the_deadline_bounds_all_attempts() -> None:
    """However often it may be tried, nothing begins after the end."""
    began_s = time.monotonic()

    def never(_: int) -> None:
        raise UploadFailed("server", "no")

    with pytest.raises(UploadFailed):
        repeat(never, deadline=Deadline(0.3), pause=Pause(first_s=0.05, most_s=0.1, attempts=10_000), tell=Said())
    assert time.monotonic() - began_s < 0.5


@pytest.mark.parametrize("change", ["content", "grown", "shorter", "touched"])
def test_a_file_that_changes_meanwhile_does_not_arrive(front: Front, store: Store, trust: Authority, bundle: pathlib.Path, address: str, change: str) -> None:
    """While the server pauses after half of it: the body is never sent to its end, so nothing is stored, and it is not tried again."""
    bundle.write_bytes(os.urandom(24 << 20))
    front.faults = ["pause"]

    def meddle() -> None:
        front.half.wait(20)
        size = bundle.stat().st_size
        if change == "content":
            with open(bundle, "r+b") as file:
                file.seek(size - 5)
                file.write(b"other")
        elif change == "shorter":
            os.truncate(bundle, size - 1000)
        elif change == "grown":
            with open(bundle, "ab") as file:
                file.write(b"more")
        else:
            os.utime(bundle, ns=(0, 0))
        front.go.set()

    threading.Thread(target=meddle, daemon=True).start()
    failed = fails(bundle, address, ca_file=trust.ca_file)
    assert (failed.kind, failed.attempts) == ("changed", 1)
    assert store.keys() == []


def test_a_file_that_is_not_what_was_written_is_not_sent(front: Front, trust: Authority, bundle: pathlib.Path, address: str) -> None:
    """The digest beside a bundle is believed: a bundle that rotted on disk must not reach anybody as evidence."""
    bundle.with_name(bundle.name + ".sha256").write_text(f"{'0' * 64}  {bundle.name}\n")
    assert fails(bundle, address, ca_file=trust.ca_file).kind == "unsound"
    assert front.connections == 0


def test_a_proxy_tunnels_and_is_asked_for_the_name(front: Front, store: Store, trust: Authority, bundle: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY carries the upload; TLS is end to end, and NO_PROXY keeps the proxy out."""
    address = sigv4.presign(f"https://bundles.test/{BUCKET}/k")
    with ConnectProxy(front.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:proxy-password@{proxy.address}")
        assert send(bundle, address, ca_file=trust.ca_file).verified == "md5"
        assert store.get("k") == bundle.read_bytes()
        assert proxy.asked[0].startswith("CONNECT bundles.test:443 ")
        assert fails(bundle, address).kind == "tls"
        asked = len(proxy.asked)
        monkeypatch.setenv("NO_PROXY", "bundles.test")
        assert fails(bundle, address, ca_file=trust.ca_file).kind in ("name", "unreachable")
        assert len(proxy.asked) == asked


def test_no_proxy_stands_before_loopback(front: Front, trust: Authority, bundle: pathlib.Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the variables say, loopback and link-local are reached directly."""
    from eniagent.edge.upload_proxy import is_local

    with ConnectProxy(1) as proxy:
        for name in ("HTTPS_PROXY", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://{proxy.address}")
        assert send(bundle, address, ca_file=trust.ca_file).verified == "md5"
        assert proxy.asked == []
    assert all(map(is_local, ("169.254.169.254", "fd00:ec2::254", "fe80::1%eth0", "::1", "127.9.9.9", "localhost")))
    assert not any(map(is_local, ("10.0.0.1", "bucket.s3.amazonaws.com", "localhost.example.com", "fd00:1::1")))


@pytest.mark.parametrize(("status", "attempts"), [("407 Proxy Authentication Required", 1), ("403 Forbidden", 1), ("502 Bad Gateway", 5)])
def test_a_proxy_that_refuses_is_told_as_one(front: Front, trust: Authority, bundle: pathlib.Path, monkeypatch: pytest.MonkeyPatch, status: str, attempts: int) -> None:
    """By its status and without its password; only what may pass is tried again."""
    with ConnectProxy(front.port, status=status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:proxy-password@{proxy.address}")
        failed = fails(bundle, sigv4.presign(f"https://bundles.test/{BUCKET}/k"), ca_file=trust.ca_file)
        assert (failed.kind, failed.attempts, len(proxy.asked), status[:3] in failed.told) == ("proxy", attempts, attempts, True)
        assert "proxy-password" not in str(failed)


def test_a_proxy_that_cannot_be_used_is_told_without_its_password(bundle: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheme that nobody speaks."""
    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:proxy-password@127.0.0.1:70")
    failed = fails(bundle, f"https://bundles.test/{BUCKET}/k")
    assert (failed.kind, "proxy-password" in str(failed)) == ("proxy", False)


def test_the_body_is_streamed(front: Front, trust: Authority, bundle: pathlib.Path) -> None:
    """However large the file, no piece of it is larger than 256 KiB, and the last is held back until the rest is known to be unchanged."""
    bundle.write_bytes(os.urandom(3_000_001))
    with Outgoing(str(bundle)) as outgoing:
        outgoing.digest(deadline=Deadline(10), part_bytes=1 << 20)
        pieces = list(outgoing.pieces())
        assert b"".join(pieces) == bundle.read_bytes()
        assert max(map(len, pieces)) <= 256 << 10
        assert [len(outgoing.part(number, part_bytes=1 << 20)) for number in (1, 2, 3)] == [1 << 20, 1 << 20, 3_000_001 - (2 << 20)]
