"""s3://bucket/prefix with the node's role, against a real S3 API server: in parts, verified, and nothing left behind."""

from __future__ import annotations

import base64
import hashlib
import os
import pathlib
import threading

import pytest

from eniagent.edge.upload_target import TargetError
from tests.upload.authority import Authority
from tests.upload.conftest import BUCKET, Store
from tests.upload.connect_proxy import ConnectProxy
from tests.upload.front import Front
from tests.upload.sending import Said, fails, send

pytestmark = pytest.mark.sockets

PART = 5 << 20
"""The least that S3, and moto, take for a part that is not the last."""


@pytest.fixture
def at_front(front: Front, monkeypatch: pytest.MonkeyPatch) -> Front:
    """The SDK finds the front by its own variable."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", front.url)
    return front


@pytest.fixture
def large(tmp_path: pathlib.Path) -> pathlib.Path:
    """Three parts, the last one small."""
    path = tmp_path / "eniagent_large.tar.gz"
    path.write_bytes(os.urandom(2 * PART + 12345))
    return path


def parts_asked(front: Front) -> list[str]:
    """The numbers of the parts that were sent, in order."""
    return [each.target.partition("partNumber=")[2].partition("&")[0] for each in front.puts()]


def test_a_small_bundle_goes_in_one_request(at_front: Front, store: Store, trust: Authority, bundle: pathlib.Path) -> None:
    """With its SHA-256 in the header and in the metadata, verified by HEAD."""
    receipt = send(bundle, f"s3://{BUCKET}/cases/17/", ca_file=trust.ca_file)
    assert store.get(f"cases/17/{bundle.name}") == bundle.read_bytes()
    assert (receipt.verified, receipt.attempts, receipt.to) == ("sha256", 1, f"s3://{BUCKET}/cases/17/{bundle.name}")
    digest = hashlib.sha256(bundle.read_bytes()).digest()
    assert at_front.puts()[0].headers["x-amz-checksum-sha256"] == base64.b64encode(digest).decode()
    assert store.client().head_object(Bucket=BUCKET, Key=f"cases/17/{bundle.name}")["Metadata"] == {"sha256": digest.hex()}
    assert [each.method for each in at_front.asked] == ["PUT", "HEAD"]


def test_a_large_one_goes_in_parts(at_front: Front, store: Store, trust: Authority, large: pathlib.Path) -> None:
    """Each with its own SHA-256; HEAD's checksum of checksums proves the whole."""
    receipt = send(large, f"s3://{BUCKET}/p", ca_file=trust.ca_file, part_bytes=PART, checksum="required")
    assert store.get(f"p/{large.name}") == large.read_bytes()
    assert (receipt.verified, parts_asked(at_front)) == ("sha256", ["1", "2", "3"])
    assert all("x-amz-checksum-sha256" in each.headers for each in at_front.puts())
    assert store.unfinished() == []


@pytest.mark.parametrize("faults", [["ok", "503"], ["drop"], ["ok", "reset", "503"], ["ok", "ok", "lost"]], ids=" ".join)
def test_only_the_part_that_failed_is_sent_again(at_front: Front, store: Store, trust: Authority, large: pathlib.Path, faults: list[str]) -> None:
    """A fault costs one part, not the upload."""
    at_front.faults = list(faults)
    receipt = send(large, f"s3://{BUCKET}/p", ca_file=trust.ca_file, part_bytes=PART)
    failures = len([fault for fault in faults if fault != "ok"])
    assert (receipt.attempts, len(at_front.puts())) == (failures + 1, 3 + failures)
    assert store.get(f"p/{large.name}") == large.read_bytes()


def test_an_upload_that_fails_leaves_no_parts(at_front: Front, store: Store, trust: Authority, large: pathlib.Path) -> None:
    """The second part never gets through: the upload is aborted, and no object appears."""
    at_front.faults, at_front.lasting = ["ok", "503"], True
    failed = fails(large, f"s3://{BUCKET}/p", ca_file=trust.ca_file, part_bytes=PART)
    assert (failed.kind, failed.attempts) == ("server", 5)
    assert at_front.asked[-1].method == "DELETE"
    assert (store.unfinished(), store.keys()) == ([], [])


def test_a_stall_ends_with_the_deadline_and_leaves_no_parts(at_front: Front, store: Store, trust: Authority, large: pathlib.Path) -> None:
    """The abort has a time of its own beyond the deadline."""
    at_front.faults = ["ok", "silent"]
    failed = fails(large, f"s3://{BUCKET}/p", ca_file=trust.ca_file, part_bytes=PART, deadline_s=4.0)
    assert failed.kind == "timed-out"
    assert (store.unfinished(), store.keys()) == ([], [])


def test_parts_that_cannot_be_removed_are_named(at_front: Front, store: Store, trust: Authority, large: pathlib.Path) -> None:
    """When the abort fails too, somebody is told, with the upload's id and the lifecycle rule that clears them away."""
    at_front.faults, at_front.lasting, said = ["ok", "404"], True, Said()
    at_front.canned["DELETE"] = (403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
    fails(large, f"s3://{BUCKET}/p", ca_file=trust.ca_file, part_bytes=PART, said=said)
    ((_, told),) = [each for each in said if each[0] == "parts_left"]
    assert [told["upload_id"]] == store.unfinished()
    assert "AbortIncompleteMultipartUpload" in told["remedy"] and "s3:AbortMultipartUpload" in told["why"]


def test_a_file_that_changes_between_parts_does_not_appear(at_front: Front, store: Store, trust: Authority, large: pathlib.Path) -> None:
    """The last part is not what was read at first: aborted."""
    at_front.faults = ["pause"]

    def meddle() -> None:
        at_front.half.wait(20)
        with open(large, "r+b") as file:
            file.seek(-5, os.SEEK_END)
            file.write(b"other")
        at_front.go.set()

    threading.Thread(target=meddle, daemon=True).start()
    assert fails(large, f"s3://{BUCKET}/p", ca_file=trust.ca_file, part_bytes=PART).kind == "changed"
    assert (store.unfinished(), store.keys()) == ([], [])


def test_bytes_that_change_on_their_way_are_no_success(at_front: Front, store: Store, trust: Authority, bundle: pathlib.Path, large: pathlib.Path) -> None:
    """moto takes them, unlike S3 (BadDigest), and repeats the checksum it was told; the ETag gives them away."""
    at_front.faults = ["corrupt"]
    assert send(bundle, f"s3://{BUCKET}/p", ca_file=trust.ca_file).attempts == 2
    assert store.get(f"p/{bundle.name}") == bundle.read_bytes()
    at_front.faults, at_front.lasting = ["ok", "corrupt"], True
    assert fails(large, f"s3://{BUCKET}/p", ca_file=trust.ca_file, part_bytes=PART).kind == "damaged"
    assert (store.unfinished(), store.keys()) == ([], [f"p/{bundle.name}"])


def test_a_role_that_may_write_and_not_read_is_enough(at_front: Front, store: Store, trust: Authority, bundle: pathlib.Path) -> None:
    """HEAD is refused: the answer to the upload itself is the witness."""
    at_front.canned["HEAD"] = (403, {}, b"")
    receipt = send(bundle, f"s3://{BUCKET}/p", ca_file=trust.ca_file)
    assert receipt.verified in ("sha256", "md5")


def test_kms_is_asked_for(at_front: Front, store: Store, trust: Authority, large: pathlib.Path) -> None:
    """With a key, and with the one that AWS manages."""
    send(large, f"s3://{BUCKET}/a.tar.gz", ca_file=trust.ca_file, part_bytes=PART, kms_key="alias/bundles")
    send(large, f"s3://{BUCKET}/b.tar.gz", ca_file=trust.ca_file, kms_key="aws")
    found = [store.client().head_object(Bucket=BUCKET, Key=key) for key in ("a.tar.gz", "b.tar.gz")]
    assert [each["ServerSideEncryption"] for each in found] == ["aws:kms", "aws:kms"]
    asked = [each.headers for each in at_front.asked if "x-amz-server-side-encryption" in each.headers]
    assert [each.get("x-amz-server-side-encryption-aws-kms-key-id") for each in asked] == ["alias/bundles", None]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(404, "NoSuchBucket", "absent"), (403, "AccessDenied", "denied"), (403, "InvalidAccessKeyId", "credentials"), (400, "ExpiredToken", "credentials"), (400, "KMS.NotFoundException", "denied")],
)
def test_refusals_are_told_apart(at_front: Front, trust: Authority, bundle: pathlib.Path, status: int, code: str, kind: str) -> None:
    """By S3's code, once, with the right that was used and without any secret."""
    at_front.canned["PUT"] = (status, {}, f"<Error><Code>{code}</Code><Message>told</Message></Error>".encode())
    failed = fails(bundle, f"s3://{BUCKET}/p", ca_file=trust.ca_file)
    assert (failed.kind, failed.attempts, len(at_front.puts())) == (kind, 1, 1)
    assert "s3:PutObject" in failed.told and code in failed.told


def test_no_credentials_is_told_with_what_to_do(at_front: Front, trust: Authority, bundle: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked, and the role's missing right and the presigned way are named."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    failed = fails(bundle, f"s3://{BUCKET}/p", ca_file=trust.ca_file)
    assert (failed.kind, at_front.connections, "s3:PutObject" in failed.remedy) == ("credentials", 0, True)


def test_a_certificate_that_is_not_trusted_and_a_port_that_is_closed(at_front: Front, bundle: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS is verified here as well."""
    assert fails(bundle, f"s3://{BUCKET}/p").kind == "tls"
    assert at_front.asked == []
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://127.0.0.1:1")
    assert fails(bundle, f"s3://{BUCKET}/p").kind == "unreachable"


def test_a_plain_http_endpoint_is_refused(store: Store, bundle: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the SDK came by it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    with pytest.raises(TargetError, match="plain http"):
        send(bundle, f"s3://{BUCKET}/p")
    assert store.keys() == []


def test_the_metadata_service_is_never_asked_through_a_proxy(at_front: Front, trust: Authority, bundle: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers are credentials: before they are looked up, link-local and loopback are put on the SDK's list of direct hosts."""
    from botocore.utils import should_bypass_proxies

    with ConnectProxy(at_front.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", "example.com")
        assert send(bundle, f"s3://{BUCKET}/p", ca_file=trust.ca_file).verified == "sha256"
        assert proxy.asked == []
        assert all(map(should_bypass_proxies, ("http://169.254.169.254/latest/api/token", "http://[fd00:ec2::254]/latest", "http://example.com")))
        assert not should_bypass_proxies("https://bundles.s3.us-west-2.amazonaws.com/")


def test_more_than_ten_thousand_parts_is_too_large(at_front: Front, trust: Authority, tmp_path: pathlib.Path) -> None:
    """Told before anything is sent."""
    path = tmp_path / "many.tar.gz"
    path.write_bytes(bytes(10_001))
    assert fails(path, f"s3://{BUCKET}/p", ca_file=trust.ca_file, part_bytes=1).kind == "too-large"
    assert at_front.connections == 0
