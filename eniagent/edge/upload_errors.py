"""Why an upload failed: the few kinds that people and the outbox tell apart, and the tables that lead to them.

Refuses to quote what it does not know: of a reply only S3's code and message are told, cleaned of the address's secrets.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple, Optional

from eniagent.edge.errors import AgentError
from eniagent.edge.upload_target import Target, bare


class Kind(NamedTuple):
    """`again`: whether another attempt, soon, may succeed. `remedy`: what a person can do."""

    again: bool
    remedy: str


KINDS: dict[str, Kind] = {
    "expired": Kind(False, "ask for a new presigned address"),
    "signature": Kind(False, "give the address whole, in quotes, with the headers it was signed with (--header); or ask for a new one"),
    "clock": Kind(False, "set this node's clock right, or ask for a new presigned address"),
    "denied": Kind(False, "let the policies of bucket, key and endpoint allow this object to be written (s3:PutObject), or give another address"),
    "credentials": Kind(False, "give the node's role s3:PutObject on the bucket, or give a presigned https:// address"),
    "absent": Kind(False, "check bucket, host and path"),
    "exists": Kind(False, "an object stands there already, and the address allows none to be replaced; ask for another address"),
    "redirect": Kind(False, "give the address that the server names: of the bucket's own region, where it is a bucket"),
    "method": Kind(False, "give an address that takes PUT"),
    "refused": Kind(False, "see the server's answer"),
    "too-large": Kind(False, "upload it to s3://BUCKET/PREFIX, which goes in parts, or write a smaller bundle with --profile mini"),
    "tls": Kind(False, "give the authority that signed the server's certificate with --ca-file"),
    "proxy": Kind(False, "check HTTPS_PROXY and NO_PROXY, and what the proxy allows"),
    "name": Kind(True, "check the host in the address, and this node's DNS"),
    "unreachable": Kind(True, "check routes, security groups and VPC endpoints towards the host; and HTTPS_PROXY, where one is needed"),
    "timed-out": Kind(True, "try again later, or give more time with --deadline"),
    "broken-off": Kind(True, "try again later"),
    "server": Kind(True, "try again later"),
    "damaged": Kind(True, "what arrived is not what was sent: look for a proxy that changes bodies"),
    "unverified": Kind(False, "leave --checksum required out, or ask for an address that is signed with x-amz-checksum-sha256"),
    "changed": Kind(False, "upload the bundle once nothing writes to it any more"),
    "unsound": Kind(False, "write the bundle anew"),
    "unreadable": Kind(False, "look at the disk that holds the bundle"),
    "fault": Kind(False, "run it again with --verbose and report it"),
}
"""Every kind. The words are public: they stand in `reason=` on stdout."""

CODES: dict[str, str] = {
    **dict.fromkeys(("ExpiredToken", "TokenRefreshRequired", "RequestExpired", "ExpiredTokenException"), "expired"),
    **dict.fromkeys(
        ("SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken", "AuthorizationQueryParametersError", "AuthorizationHeaderMalformed", "InvalidDigest",
         "MissingSecurityHeader", "AuthenticationFailed", "UnrecognizedClientException", "InvalidClientTokenId"), "signature"),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidPayer", "NotSignedUp", "MethodNotAllowedByPolicy", "InvalidTag"), "denied"),
    **dict.fromkeys(("NoSuchBucket", "NoSuchKey", "NoSuchUpload", "InvalidBucketName"), "absent"),
    **dict.fromkeys(("PermanentRedirect", "TemporaryRedirect", "Redirect", "IllegalLocationConstraintException", "InvalidRegionName"), "redirect"),
    **dict.fromkeys(("SlowDown", "ServiceUnavailable", "InternalError", "OperationAborted", "ConditionalRequestConflict", "ThrottlingException", "RequestLimitExceeded",
                     "Throttling", "RequestThrottled", "BandwidthLimitExceeded", "KMS.ThrottlingException", "KMS.InternalException"), "server"),
    **dict.fromkeys(("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidPart"), "damaged"),
    "EntityTooLarge": "too-large",
    "IncompleteBody": "broken-off",
    "MethodNotAllowed": "method",
    "PreconditionFailed": "exists",
    "RequestTimeTooSkewed": "clock",
    "RequestTimeout": "timed-out",
}  # fmt: skip
"""S3's error codes. Source: Amazon S3 API reference, Error responses. KMS codes come through with a prefix and mean a refusal."""

STATUSES: dict[int, str] = {
    401: "denied", 403: "denied", 404: "absent", 405: "method", 407: "proxy", 408: "timed-out", 409: "server", 410: "absent", 412: "exists",
    413: "too-large", 425: "server", 429: "server", 501: "refused", 505: "refused", 507: "refused", 511: "proxy",
}  # fmt: skip

TRANSPORT: dict[str, str] = {
    "ConnectTimeout": "timed-out", "ReadTimeout": "timed-out", "WriteTimeout": "timed-out", "PoolTimeout": "timed-out", "ConnectError": "unreachable",
    "ReadError": "broken-off", "WriteError": "broken-off", "CloseError": "broken-off", "RemoteProtocolError": "broken-off", "LocalProtocolError": "fault",
    "ProxyError": "proxy", "UnsupportedProtocol": "refused", "DecodingError": "refused", "TooManyRedirects": "redirect", "TransportError": "broken-off",
}  # fmt: skip
"""httpx's exceptions by name; the nearest name in a class's ancestry counts."""

SDK: dict[str, str] = {
    **dict.fromkeys(("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "MetadataRetrievalError", "NoRegionError", "ProfileNotFound",
                     "ConfigNotFound", "TokenRetrievalError", "SSOError", "LoginError", "InvalidConfigError", "InfiniteLoopConfigError", "UnknownCredentialError"), "credentials"),
    **dict.fromkeys(("ConnectTimeoutError", "ReadTimeoutError"), "timed-out"),
    **dict.fromkeys(("EndpointConnectionError", "ConnectionError"), "unreachable"),
    **dict.fromkeys(("ConnectionClosedError", "HTTPClientError", "ResponseStreamingError", "IncompleteReadError"), "broken-off"),
    "ChecksumError": "damaged",
    "ProxyConnectionError": "proxy",
    "SSLError": "tls",
    "BotoCoreError": "refused",
}
"""botocore's exceptions by name, likewise."""


class UploadFailed(AgentError):
    """The bundle did not arrive, or nobody can say that it did. `wait_s`: how long the server asks to be left alone."""

    exit_code = 6

    def __init__(self, kind: str, told: str, *, remedy: str = "", again: Optional[bool] = None, wait_s: float = 0.0, attempts: int = 1) -> None:
        self.kind, self.told, self.remedy = kind, told, remedy or KINDS[kind].remedy
        self.again = KINDS[kind].again if again is None else again
        self.wait_s, self.attempts = wait_s, attempts
        super().__init__(f"{told}; {self.remedy}")


def of_reply(status: int, headers: Mapping[str, str], body: bytes, *, target: Target) -> UploadFailed:
    """What a reply that is no success says."""
    text = body[:16384].decode("utf-8", "replace")
    code, message = _element(text, "Code") or headers.get("x-amz-error-code", ""), _element(text, "Message")
    kind = _kind(status, code, message)
    told = f"{target.host} answered {status}{f' {code}' if code else ''}{f': {message}' if message else ''}"
    if "NotSigned" in text:
        told += f" ({_element(text, 'HeadersNotSigned')})"
    if kind == "redirect":
        told += _whereto(headers, text)
    return UploadFailed(kind, target.clean(told), again=_again(kind, status), wait_s=_wait_s(headers.get("retry-after", "")))


def _kind(status: int, code: str, message: str) -> str:
    said = message.lower()
    if code == "AccessDenied" and "expired" in said:
        return "expired"
    if code == "AccessDenied" and "not signed" in said:
        return "signature"
    if "not yet valid" in said:
        return "clock"
    if status >= 500 and status not in STATUSES:
        return "server"
    known = CODES.get(code, "denied" if code.startswith("KMS.") else "")
    if 300 <= status < 400 or known:
        return known or "redirect"
    return STATUSES.get(status, "server" if status >= 500 else "refused")


def _again(kind: str, status: int) -> Optional[bool]:
    return True if kind == "proxy" and status >= 500 else None


def _whereto(headers: Mapping[str, str], text: str) -> str:
    """Where a redirect leads. It is not followed: the address was signed for one host, and the body is not anybody's."""
    place = headers.get("location", "") or _element(text, "Endpoint")
    region = headers.get("x-amz-bucket-region", "")
    return f", a redirect to {bare(place) or 'nowhere'}{f' (region {region})' if region else ''}, which is not followed"


def _element(text: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]{{0,400}})</{name}>", text)
    return found[1].strip() if found is not None else ""


def _wait_s(text: str) -> float:
    return float(text) if re.fullmatch(r"\d{1,5}", text.strip()) else 0.0


_TORN = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
"""What TLS makes of a connection that went away."""


def of_transport(error: BaseException, *, target: Target) -> UploadFailed:
    """What an exception of httpx says."""
    kind = nearest(TRANSPORT, error)
    chain = _causes(error)
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in chain):
        return UploadFailed("tls", target.clean(f"{target.host}: its certificate is not trusted: {_verification(chain)}"))
    if kind == "unreachable":
        if any(isinstance(each, socket.gaierror) for each in chain):
            return UploadFailed("name", f"{target.host}: the name does not resolve")
        if any(isinstance(each, _TORN) for each in chain):
            return UploadFailed("broken-off", f"{target.host}: the connection broke off before TLS was set up")
        if any(isinstance(each, ssl.SSLError) for each in chain):
            return UploadFailed("tls", target.clean(f"{target.host}: no TLS connection: {error}"), remedy="check that the address is of a TLS server that speaks TLS 1.2 or newer")
    again = True if kind == "proxy" and re.match(r"5\d\d", str(error)) else None
    words = {"timed-out": "no answer in time", "broken-off": "the connection broke off", "unreachable": "cannot be reached", "proxy": "the proxy refused"}
    return UploadFailed(kind, target.clean(f"{target.host}: {words.get(kind, 'failed')} ({type(error).__name__}{f': {error}' if str(error) else ''})"), again=again)


def of_sdk(error: BaseException, *, target: Target, right: str) -> UploadFailed:
    """What an exception of botocore says. `right`: the IAM action that was used."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        kind = nearest(SDK, error)
        if kind == "tls" and "violation of protocol" in str(error):
            kind = "broken-off"
        return UploadFailed(kind, target.clean(f"{right}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"), again=None)
    said, about = response.get("Error") or {}, response.get("ResponseMetadata") or {}
    status, code, message = int(about.get("HTTPStatusCode") or 0), str(said.get("Code", "")), str(said.get("Message", ""))
    kind = _kind(status, code, message)
    if kind == "signature" or (kind == "expired" and code != "RequestExpired"):
        kind = "credentials"
    return UploadFailed(kind, target.clean(f"{right} on {target.shown}: {status} {code}: {message}"), wait_s=_wait_s(str((about.get("HTTPHeaders") or {}).get("retry-after", ""))))


def nearest(table: Mapping[str, str], error: BaseException) -> str:
    """The kind of the nearest ancestor that a table names; a fault of ours where it names none."""
    return next((table[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in table), "fault")


def _causes(error: Optional[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _verification(chain: list[BaseException]) -> str:
    return next((str(getattr(each, "verify_message", "")) for each in chain if getattr(each, "verify_message", "")), "verification failed")
