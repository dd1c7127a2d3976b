"""Addresses: what is taken, what of them is shown, and that nothing secret of them is."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eniagent.edge.upload_put import header
from eniagent.edge.upload_target import TargetError, bare, parse

SECRET = "AbCdEfGh12345678"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "no address"),
        ("bundle.tar.gz", "no address"),
        ("/var/log", "no address"),
        (f"http://host/k?X-Amz-Signature={SECRET}", "plain http"),
        (f"ftp://user:{SECRET}@host/k", "no address"),
        (f"https:///k?sig={SECRET}", "no address"),
        (f"https://host/k?X-Amz-Signature={SECRET} --other", "white space"),
        (f"https://host:99999/k?sig={SECRET}", "taken apart"),
        (f"https://[::1/k?sig={SECRET}", "taken apart"),
        ("s3://", "no bucket"),
        ("s3://a/b", "no bucket"),
        ("s3://bucket/with space", "no bucket"),
        (f"s3://bucket/k?secret={SECRET}", "no bucket"),
    ],
)
def test_an_address_that_cannot_work_is_refused_without_its_secret(address: str, words: str) -> None:
    """Exit code 2, and what to give instead."""
    with pytest.raises(TargetError, match=words) as raised:
        parse(address, name="b.tar.gz")
    assert SECRET not in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("address", "key"),
    [("s3://bucket", "n.tar.gz"), ("s3://bucket/", "n.tar.gz"), ("s3://bucket/a/b", "a/b/n.tar.gz"), ("s3://bucket/a/", "a/n.tar.gz"), ("s3://bucket/a/x.tar.gz", "a/x.tar.gz")],
)
def test_a_prefix_gets_the_name(address: str, key: str) -> None:
    """One `/` between prefix and name; a prefix that ends like a bundle is the object."""
    target = parse(address, name="n.tar.gz")
    assert (target.bucket, target.key, target.shown, target.needs_query) == ("bucket", key, f"s3://bucket/{key}", False)


def test_a_directory_gets_the_name_unless_it_was_signed() -> None:
    """A signature covers the path, so a signed one is taken as it is."""
    assert parse("https://host/a/", name="n 1.gz").url == "https://host/a/n%201.gz"
    assert parse(f"https://host/a/?X-Amz-Signature={SECRET}", name="n").shown == "https://host/a/"


def test_what_a_signature_tells_is_read() -> None:
    """SigV4 of S3 and of Google, SigV2, SAS: until when, and which headers; other queries are no signature."""
    at = datetime(2025, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    for vendor, how in (("X-Amz", "s3"), ("X-Goog", "gcs")):
        signed = parse(f"https://h/k?{vendor}-Date=20250102T030405Z&{vendor}-Expires=60&{vendor}-SignedHeaders=host%3Bcontent-type&{vendor}-Signature=ab", name="n").signed
        assert signed is not None and (signed.how, signed.headers, signed.signed_at) == (how, ("content-type", "host"), at)
        assert signed.expires_at is not None and (signed.expires_at - at).total_seconds() == 60
    old = parse("https://h/k?AWSAccessKeyId=A&Expires=1735787045&Signature=x", name="n").signed
    sas = parse("https://h/k?se=2025-01-02T03:04:05Z&sig=x", name="n").signed
    assert old is not None and sas is not None and old.expires_at == sas.expires_at == at
    assert parse("https://h/k?token=x", name="n").signed is None
    odd = parse("https://h/k?X-Amz-Date=yesterday&X-Amz-Expires=-1&X-Amz-Signature=x", name="n").signed
    assert odd is not None and odd.expires_at is None


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    """Nothing else is raised, and what is shown of one that is taken has no query, no fragment and no password."""
    for address in (text, f"https://{text}", f"s3://{text}", f"https://host/{text}", f"https://host/k?X-Amz-Signature=1&{text}"):
        try:
            target = parse(address, name="n.tar.gz")
        except TargetError:
            continue
        assert not set("?#") & set(target.shown)
        assert "@" not in target.shown.split("/")[2]


@given(st.from_regex(r"[A-Za-z0-9+/=%]{8,40}", fullmatch=True), st.text(max_size=50))
def test_what_is_secret_of_an_address_is_taken_out_of_what_others_say(secret: str, around: str) -> None:
    """As it stands in the query, and decoded; a server that quotes the whole address back does not get it into our messages."""
    from urllib.parse import unquote_plus

    target = parse(f"https://u:{SECRET}@host/k?X-Amz-Signature={secret}&X-Amz-Date=20250102T030405Z", name="n")
    told = target.clean(f"{around} {secret} {unquote_plus(secret)} {target.url} {around}")
    for hidden in (secret, SECRET):
        assert hidden not in told.replace(around, "") or hidden in "[removed]https://host/k"
    assert SECRET not in repr(target) and secret not in repr(target)


def test_bare_keeps_what_people_need() -> None:
    """Scheme, host, port and path."""
    assert bare("https://user:pw@host:8443/a/b?X-Amz-Signature=1#f") == "https://host:8443/a/b"
    assert bare("https://host/a@b?x=@") == "https://host/a@b"
    assert bare("s3://bucket/a") == "s3://bucket/a"


@pytest.mark.parametrize("text", ["", "name", "name:", ": value", "na me: v", "name: a\r\nb: c", "content-length: 5", "Host: x", "transfer-encoding: chunked", "n: \u00fc"])
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(text: str) -> None:
    """Also what eniagent sets itself, and what would smuggle a second header in."""
    with pytest.raises(TargetError):
        header(text)
    with pytest.raises(TargetError) as raised:
        header(f"host: {SECRET}")
    assert SECRET not in str(raised.value)
    assert header("X-Ms-Blob-Type:  BlockBlob ") == ("x-ms-blob-type", "BlockBlob")
