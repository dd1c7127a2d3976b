"""Where an upload goes: an address taken apart, what of it may be shown, what it was signed for, and until when.

Refuses to show or keep a query or a password: who has a presigned address whole may write there. Plain http is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Optional
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from eniagent.edge.errors import AgentError
from eniagent.report.plain import plain

_USERINFO = re.compile(r"^([a-z0-9+.-]+://)[^/?#]*@", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z0-9+.-]+://[^\s\"'<>]+", re.IGNORECASE)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_SECRET_BYTES = 8
REMEDY = "give https://HOST/PATH (a presigned address in quotes, or - to read it from stdin) or s3://BUCKET/PREFIX"


class TargetError(AgentError):
    """The address, or what was given to go with it, cannot be used. The message holds no query."""

    exit_code = 2


class Signed(msgspec.Struct, frozen=True):
    """What a presigned address tells. `how`: s3 (SigV4), s3v2, gcs or azure. `headers`: what must be sent as it was signed.

    `bound`: values within the query that tie the address to one content, by lower-case name.
    """

    how: str
    headers: tuple[str, ...] = ()
    bound: Mapping[str, str] = {}
    signed_at: Optional[datetime] = None
    expires_at: Optional[datetime] = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One destination. `url` is a secret; `shown` is what people, logs and files get. s3: `bucket` and `key`."""

    url: str
    shown: str
    host: str = ""
    bucket: str = ""
    key: str = ""
    signed: Optional[Signed] = None

    def __repr__(self) -> str:
        return f"Target({self.shown})"

    @property
    def is_s3(self) -> bool:
        """Whether the SDK brings it there with the node's role, instead of one PUT."""
        return bool(self.bucket)

    @property
    def needs_query(self) -> bool:
        """Whether `shown` alone leads nowhere, so that the address cannot be kept for later."""
        return self.url != self.shown

    def clean(self, text: str) -> str:
        """`text` from elsewhere with all of the address that is secret taken out."""
        for secret in _secrets(self.url):
            text = text.replace(secret, "[removed]")
        return plain(_ADDRESS.sub(lambda found: bare(found.group()), text), limit=300)


def bare(address: str) -> str:
    """scheme://host/path: an address without password, query and fragment."""
    return _USERINFO.sub(r"\1", re.split(r"[?#]", address, maxsplit=1)[0])


def _secrets(url: str) -> list[str]:
    """Values within an address that must not be seen, as they stand there and decoded, longest first."""
    parts = urlsplit(url)
    values = [pair.partition("=")[2] for pair in parts.query.split("&")] + [value for _, value in parse_qsl(parts.query)]
    values += [parts.query, parts.password or "", parts.fragment]
    return sorted({value for value in values if len(value) >= _SECRET_BYTES or value == parts.password} - {""}, key=len, reverse=True)


def parse(address: str, *, name: str) -> Target:
    """Where the file `name` goes when it is sent to `address`. Raises `TargetError`.

    An address without a signature that ends with `/` is a directory, and a prefix that ends with `.tar.gz` is the object itself.
    """
    address = address.strip()
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise TargetError(f"the address cannot be taken apart; {REMEDY}") from None
    if parts.scheme == "s3":
        return _s3(address, name=name)
    if parts.scheme == "http":
        raise TargetError(f"{plain(bare(address))}: plain http would show the bundle to everyone on the way; give its https:// address")
    if parts.scheme != "https" or not host:
        raise TargetError(f"{plain(bare(address), limit=100)} is no address to upload to; {REMEDY}")
    if any(c.isspace() or ord(c) < 32 for c in address) or not address.isascii():
        raise TargetError(f"{plain(bare(address))}: white space or odd characters within the address; give it in one piece, in quotes")
    signed = _signature(dict(parse_qsl(parts.query)))
    if signed is None and parts.path.endswith("/"):
        address = parts._replace(path=parts.path + quote(name)).geturl()
    return Target(url=address, shown=bare(address), host=host, signed=signed)


def _s3(address: str, *, name: str) -> Target:
    bucket, _, prefix = address[len("s3://") :].partition("/")
    if not _BUCKET.fullmatch(bucket) or re.search(r"[\x00-\x20\x7f?#]", prefix):
        raise TargetError(f"{plain(bare(address))} is no bucket with a prefix; give s3://BUCKET/PREFIX")
    key = prefix if prefix.endswith(".tar.gz") else f"{prefix.rstrip('/')}/{name}".lstrip("/")
    url = f"s3://{bucket}/{key}"
    return Target(url=url, shown=url, bucket=bucket, key=key)


def _signature(query: Mapping[str, str]) -> Optional[Signed]:
    """What the query says of a signature; None where it carries none that is known here."""
    low = {name.lower(): value for name, value in query.items()}
    for how, vendor in (("s3", "x-amz"), ("gcs", "x-goog")):
        if f"{vendor}-signature" in low:
            at = _time(low.get(f"{vendor}-date", ""), "%Y%m%dT%H%M%SZ")
            lasts = low.get(f"{vendor}-expires", "")
            ends = at + timedelta(seconds=int(lasts)) if at is not None and re.fullmatch(r"\d{1,9}", lasts) else None
            headers = tuple(sorted(filter(None, low.get(f"{vendor}-signedheaders", "").lower().split(";"))))
            bound = {key: value for key, value in low.items() if key.startswith("x-amz-checksum-") or key in ("x-amz-content-sha256", "content-md5")}
            return Signed(how, headers, bound, at, ends)
    if "signature" in low and "expires" in low and {"awsaccesskeyid", "googleaccessid"} & set(low):
        lasts = low["expires"]
        return Signed("s3v2", expires_at=datetime.fromtimestamp(int(lasts), timezone.utc) if re.fullmatch(r"\d{1,10}", lasts) else None)
    if "sig" in low and "se" in low:
        return Signed("azure", expires_at=_time(low["se"], "%Y-%m-%dT%H:%M:%SZ"))
    return None


def _time(text: str, form: str) -> Optional[datetime]:
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
