"""One PUT to a presigned or plain address: what is sent, what is proven, and how each refusal is told."""

from __future__ import annotations

import hashlib
import os
import pathlib
import ssl
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from eniagent.edge.upload_put import LIMIT_BYTES
from eniagent.edge.upload_target import TargetError
from tests.upload import sigv4
from tests.upload.authority import Authority
from tests.upload.conftest import BUCKET, Store
from tests.upload.front import Front
from tests.upload.sending import fails, send

pytestmark = pytest.mark.sockets


def signed_by_boto3(front: Front, **parameters: Any) -> str:
    """A presigned PUT as people make it."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3", endpoint_url=front.url, region_name=sigv4.REGION, aws_access_key_id=sigv4.ACCESS, aws_secret_access_key=sigv4.SECRET,
        aws_session_token=sigv4.TOKEN, config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )  # fmt: skip
    return str(client.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "case/b.tar.gz", **parameters}, ExpiresIn=900))


def test_a_presigned_put_arrives_whole_and_is_verified_by_its_etag(front: Front, store: Store, trust: Authority, bundle: pathlib.Path) -> None:
    """Exact length, no chunked coding, no header that was not signed; what stands there is what was read."""
    receipt = send(bundle, signed_by_boto3(front), ca_file=trust.ca_file)
    assert store.get("case/b.tar.gz") == bundle.read_bytes()
    (put,) = front.puts()
    assert put.headers["content-length"] == str(bundle.stat().st_size)
    assert not {"transfer-encoding", "content-md5", "x-amz-checksum-sha256", "authorization", "content-type"} & set(put.headers)
    assert (receipt.verified, receipt.attempts) == ("md5", 1)
    assert receipt.sha256 == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert receipt.to == f"{front.url}/{BUCKET}/case/b.tar.gz"


def test_the_gate_of_these_tests_refuses_what_s3_refuses(front: Front, trust: Authority, bundle: pathlib.Path) -> None:
    """A header that was not signed is refused here as by S3: else the test above would prove nothing."""
    import httpx

    with httpx.Client(verify=ssl.create_default_context(cafile=trust.ca_file)) as client:
        for unsigned in ("x-amz-checksum-sha256", "content-md5"):
            reply = client.put(signed_by_boto3(front), content=b"x", headers={unsigned: "abc"})
            assert (reply.status_code, f"<HeadersNotSigned>{unsigned}" in reply.text) == (403, True)


def test_a_signed_checksum_is_sent_and_comes_back(front: Front, store: Store, trust: Authority, bundle: pathlib.Path) -> None:
    """Where the address asks for x-amz-checksum-sha256 it gets ours, and the store's answer proves it."""
    import base64

    digest = base64.b64encode(hashlib.sha256(bundle.read_bytes()).digest()).decode()
    receipt = send(bundle, signed_by_boto3(front, ChecksumSHA256=digest, ChecksumAlgorithm="SHA256"), ca_file=trust.ca_file, checksum="required")
    assert front.puts()[0].headers["x-amz-checksum-sha256"] == digest
    assert receipt.verified == "sha256"


def test_an_address_signed_for_another_content_is_told_apart(front: Front, store: Store, trust: Authority, bundle: pathlib.Path) -> None:
    """Whether the checksum stands in the headers or in the query: a signature matter, nothing stored, no second attempt."""
    other = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    failed = fails(bundle, sigv4.presign(f"{front.url}/{BUCKET}/k", headers={"x-amz-checksum-sha256": other}), ca_file=trust.ca_file)
    assert (failed.kind, failed.attempts, "SignatureDoesNotMatch" in failed.told) == ("signature", 1, True)
    connections = front.connections
    failed = fails(bundle, f"{sigv4.presign(f'{front.url}/{BUCKET}/k')}&x-amz-checksum-sha256=47DEQpj8HBSa%2B%2FTImW%2B5JCeuQeRkm5NMpJWZG3hSuFU%3D", ca_file=trust.ca_file)
    assert (failed.kind, "another content" in failed.told, front.connections) == ("signature", True, connections)
    assert store.keys() == []


def test_headers_that_were_signed_are_asked_for(front: Front, store: Store, trust: Authority, bundle: pathlib.Path) -> None:
    """A signed content-type is named before anything is sent, with the option to give it; given, it works."""
    address = signed_by_boto3(front, ContentType="application/gzip")
    failed = fails(bundle, address, ca_file=trust.ca_file)
    assert (failed.kind, front.connections) == ("signature", 0)
    assert "--header 'content-type: VALUE'" in str(failed)
    assert send(bundle, address, ca_file=trust.ca_file, headers=(("content-type", "application/gzip"),)).verified == "md5"
    assert store.client().head_object(Bucket=BUCKET, Key="case/b.tar.gz")["ContentType"] == "application/gzip"


def test_an_expired_address_is_told_before_anything_is_sent(front: Front, trust: Authority, bundle: pathlib.Path) -> None:
    """By X-Amz-Date and X-Amz-Expires, in SigV4, SigV2 and SAS form, with both times; nobody is connected to."""
    past = datetime.now(timezone.utc) - timedelta(hours=2)
    addresses = [
        sigv4.presign(f"{front.url}/{BUCKET}/k", at=past, lasts_s=3600),
        f"{front.url}/{BUCKET}/k?AWSAccessKeyId=AKIA&Expires={int(past.timestamp())}&Signature=c2VjcmV0",
        f"{front.url}/c/k?se={past:%Y-%m-%dT%H:%M:%SZ}&sp=w&sig=c2VjcmV0c2VjcmV0",
    ]
    for address in addresses:
        failed = fails(bundle, address, ca_file=trust.ca_file)
        assert (failed.kind, failed.again, "expired at" in failed.told) == ("expired", False, True)
    assert front.connections == 0


def test_an_address_that_s3_holds_for_expired_is_no_network_error(front: Front, trust: Authority, bundle: pathlib.Path) -> None:
    """403 AccessDenied "Request has expired" is expired; the same status without it is denied; a port that is closed is neither."""
    front.clock_ahead_s = 3600
    assert fails(bundle, sigv4.presign(f"{front.url}/{BUCKET}/k"), ca_file=trust.ca_file).kind == "expired"
    assert fails(bundle, f"{front.url}/{BUCKET}/k", ca_file=trust.ca_file).kind == "denied"
    assert fails(bundle, sigv4.presign(f"https://127.0.0.1:1/{BUCKET}/k"), ca_file=trust.ca_file).kind == "unreachable"


def test_an_expired_session_token_is_expired(front: Front, trust: Authority, bundle: pathlib.Path) -> None:
    """An address dies with the credentials that signed it, however long it was to last."""
    front.canned["PUT"] = (400, {}, sigv4.error("ExpiredToken", "The provided token has expired.", f"<Token-0>{sigv4.TOKEN}</Token-0>"))
    failed = fails(bundle, sigv4.presign(f"{front.url}/{BUCKET}/k"), ca_file=trust.ca_file)
    assert (failed.kind, failed.attempts, sigv4.TOKEN in str(failed)) == ("expired", 1, False)


def test_an_address_that_lost_its_end_is_a_signature_matter(front: Front, trust: Authority, bundle: pathlib.Path) -> None:
    """Cut by a terminal or changed by hand."""
    address = sigv4.presign(f"{front.url}/{BUCKET}/k")
    for broken in (address[:-3], address.replace(f"/{BUCKET}/k", f"/{BUCKET}/other"), address.replace("X-Amz-Expires=900", "X-Amz-Expires=901")):
        assert fails(bundle, broken, ca_file=trust.ca_file).kind == "signature"


def test_a_denial_that_comes_before_the_body_is_read(front: Front, trust: Authority, tmp_path: pathlib.Path) -> None:
    """The server answers 403 and hangs up while megabytes are still to be sent: that is its answer, not a broken connection."""
    large = tmp_path / "large.tar.gz"
    large.write_bytes(bytes(8 << 20))
    front.faults = ["deny"]
    failed = fails(large, sigv4.presign(f"{front.url}/{BUCKET}/k"), ca_file=trust.ca_file)
    assert (failed.kind, failed.attempts) == ("denied", 1)


@pytest.mark.parametrize("address", ["presigned", "plain"])
def test_a_redirect_is_refused(front: Front, store: Store, trust: Authority, bundle: pathlib.Path, address: str) -> None:
    """The body goes to nobody whom the address does not name, and the other place is named without its query."""
    with Front(store.url, trust.context) as other:
        front.faults = ["redirect"]
        front.elsewhere = f"{other.url}/{BUCKET}/k?X-Amz-Signature=stolen"
        failed = fails(bundle, sigv4.presign(f"{front.url}/{BUCKET}/k") if address == "presigned" else f"{front.url}/k", ca_file=trust.ca_file)
        assert (failed.kind, failed.attempts, other.connections) == ("redirect", 1, 0)
        assert f"{other.url}/{BUCKET}/k" in failed.told and "stolen" not in str(failed)


def test_what_exceeds_one_put_is_refused_at_once(front: Front, trust: Authority, tmp_path: pathlib.Path) -> None:
    """5 GB and a byte: not read, not sent, with the way to go instead. (The file is one hole.)"""
    huge = tmp_path / "huge.tar.gz"
    with open(huge, "wb") as file:
        file.truncate(LIMIT_BYTES + 1)
    failed = fails(huge, sigv4.presign(f"{front.url}/{BUCKET}/k"), ca_file=trust.ca_file, deadline_s=1.0)
    assert (failed.kind, front.connections, "s3://" in failed.remedy) == ("too-large", 0, True)


def test_kms_makes_the_etag_no_checksum(front: Front, trust: Authority, bundle: pathlib.Path) -> None:
    """Then the receipt says that nothing is proven, and --checksum required makes a failure of it."""
    front.reply_headers = {"x-amz-server-side-encryption": "aws:kms", "etag": '"0123456789abcdef0123456789abcdef"'}
    front.canned["PUT"] = (200, {}, b"")
    address = sigv4.presign(f"{front.url}/{BUCKET}/k")
    receipt = send(bundle, address, ca_file=trust.ca_file)
    assert (receipt.verified, "x-amz-checksum-sha256" in receipt.detail) == ("no", True)
    assert fails(bundle, address, ca_file=trust.ca_file, checksum="required").kind == "unverified"


def test_a_checksum_that_differs_is_never_success(front: Front, trust: Authority, bundle: pathlib.Path) -> None:
    """Status 200 with another SHA-256 or another ETag: failed, and the kind says that what arrived is damaged."""
    front.canned["PUT"] = (200, {"x-amz-checksum-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}, b"")
    assert fails(bundle, sigv4.presign(f"{front.url}/{BUCKET}/k"), ca_file=trust.ca_file).kind == "damaged"
    front.canned["PUT"] = (200, {"etag": '"0123456789abcdef0123456789abcdef"'}, b"")
    assert fails(bundle, sigv4.presign(f"{front.url}/{BUCKET}/k"), ca_file=trust.ca_file).kind == "damaged"


def test_plain_https_is_looked_at_afterwards(front: Front, trust: Authority, bundle: pathlib.Path) -> None:
    """The digest goes along (RFC 9530); a HEAD proves the size, or the server tells nothing, which is said; a wrong size is a failure."""
    front.canned["PUT"] = (201, {}, b"")
    size = str(bundle.stat().st_size)
    front.canned["HEAD"] = (200, {"content-length": size}, bytes(int(size)))
    front.checks_signatures = False
    receipt = send(bundle, f"{front.url}/in/", ca_file=trust.ca_file)
    (put,) = front.puts()
    assert (receipt.verified, put.target) == ("size", f"/in/{bundle.name}")
    assert put.headers["content-digest"].startswith("sha-256=:") and put.headers["content-type"] == "application/gzip"
    front.canned["HEAD"] = (405, {}, b"")
    assert send(bundle, f"{front.url}/in/", ca_file=trust.ca_file, checksum="none").verified == "no"
    assert "content-digest" not in front.puts()[-1].headers
    front.canned["HEAD"] = (200, {}, b"xyz")
    assert fails(bundle, f"{front.url}/in/", ca_file=trust.ca_file).kind == "damaged"
    front.canned["HEAD"] = (200, {"x-checksum-sha256": hashlib.sha256(bundle.read_bytes()).hexdigest()}, b"")
    assert send(bundle, f"{front.url}/in/", ca_file=trust.ca_file, checksum="required").verified == "sha256"


def test_only_the_given_authority_is_trusted(front: Front, trust: Authority, bundle: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A certificate of somebody else, or for another name, ends it at the first attempt, before a byte of the bundle is sent."""
    from tests.upload import authority

    address = sigv4.presign(f"{front.url}/{BUCKET}/k")
    stranger = authority.make(tmp_path)
    for failed in (fails(bundle, address), fails(bundle, address, ca_file=stranger.ca_file)):
        assert (failed.kind, failed.attempts, "--ca-file" in failed.remedy) == ("tls", 1, True)
    assert fails(bundle, address.replace("127.0.0.1", "ip6-localhost.localhost"), ca_file=trust.ca_file).kind in ("tls", "name")
    assert front.asked == []


def test_a_server_without_tls_is_told(store: Store, trust: Authority, bundle: pathlib.Path) -> None:
    """https:// to a port that speaks plain http is a TLS matter, and never falls back."""
    with Front(store.url, None) as plain:
        failed = fails(bundle, f"https://127.0.0.1:{plain.port}/k", ca_file=trust.ca_file)
        assert (failed.kind, plain.asked) == ("tls", [])


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_ca_file_that_cannot_serve_is_a_usage_error(bundle: pathlib.Path, tmp_path: pathlib.Path, content: bytes) -> None:
    """Told before anything is sent, and named."""
    path = tmp_path / "some.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TargetError, match=r"--ca-file .*some\.pem"):
        send(bundle, "https://127.0.0.1:1/k", ca_file=str(path))


def test_a_name_that_does_not_resolve_is_told_as_one(bundle: pathlib.Path) -> None:
    """`.invalid` never resolves (RFC 6761)."""
    assert fails(bundle, "https://bucket.invalid/k", deadline_s=5.0).kind == "name"


def test_the_environment_is_left_alone(front: Front, trust: Authority, bundle: pathlib.Path) -> None:
    """A PUT changes no variable of its process."""
    before = dict(os.environ)
    send(bundle, sigv4.presign(f"{front.url}/{BUCKET}/k"), ca_file=trust.ca_file)
    assert dict(os.environ) == before
