"""Signature version 4 in the query, as S3 checks it: who signed, what was signed, until when.

Refuses nothing that S3 would accept of what the tests send. Source: Amazon S3 API reference, Authenticating requests: using query parameters.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Optional
from urllib.parse import parse_qsl, quote, urlsplit

ACCESS, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI-planted-secret", "planted-session-token-0123456789"
REGION = "us-west-2"
ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}<RequestId>RID</RequestId></Error>'


def error(code: str, message: str, more: str = "") -> bytes:
    """S3's error document."""
    return ERROR.format(code=code, message=message, more=more).encode()


def presign(url: str, *, at: Optional[datetime] = None, lasts_s: int = 900, headers: Optional[Mapping[str, str]] = None, token: str = TOKEN) -> str:
    """A presigned PUT, signed at any time: boto3 only knows now."""
    at = at or datetime.now(timezone.utc)
    signed = {"host": urlsplit(url).netloc, **(headers or {})}
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{ACCESS}/{at:%Y%m%d}/{REGION}/s3/aws4_request",
        "X-Amz-Date": f"{at:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": str(lasts_s),
        "X-Amz-Security-Token": token,
        "X-Amz-SignedHeaders": ";".join(sorted(signed)),
    }
    path = urlsplit(url).path
    return f"{url}?{_canonical(query)}&X-Amz-Signature={signature(path, query, signed)}"


def _canonical(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))


def signature(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The signature over a PUT whose payload is not signed."""
    lines = "".join(f"{name}:{value.strip()}\n" for name, value in sorted(headers.items()))
    request = "\n".join(("PUT", path, _canonical(query), lines, ";".join(sorted(headers)), "UNSIGNED-PAYLOAD"))
    day, stamp = query["X-Amz-Date"][:8], query["X-Amz-Date"]
    region = query["X-Amz-Credential"].split("/")[2]
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, f"{day}/{region}/s3/aws4_request", hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def refusal(target: str, headers: Mapping[str, str], *, now: datetime) -> Optional[tuple[int, bytes]]:
    """What S3 answers to a presigned PUT that it does not accept; None where it does. `headers`: lower-case names."""
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "X-Amz-Signature" not in query:
        return 403, error("AccessDenied", "Access Denied")
    given = query.pop("X-Amz-Signature")
    if len(given) != 64:
        return 400, error("AuthorizationQueryParametersError", "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
    at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    if now > at + timedelta(seconds=int(query["X-Amz-Expires"])):
        return 403, error("AccessDenied", "Request has expired", f"<X-Amz-Expires>{query['X-Amz-Expires']}</X-Amz-Expires><ServerTime>{now:%Y-%m-%dT%H:%M:%SZ}</ServerTime>")
    names = query["X-Amz-SignedHeaders"].split(";")
    unsigned = sorted(name for name in headers if (name.startswith("x-amz-") or name == "content-md5") and name not in names)
    if unsigned:
        return 403, error("AccessDenied", "There were headers present in the request which were not signed", f"<HeadersNotSigned>{', '.join(unsigned)}</HeadersNotSigned>")
    if given != signature(parts.path, query, {name: headers.get(name, "") for name in names}):
        told = f"<AWSAccessKeyId>{ACCESS}</AWSAccessKeyId><SignatureProvided>{given}</SignatureProvided>"
        return 403, error("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.", told)
    return None
