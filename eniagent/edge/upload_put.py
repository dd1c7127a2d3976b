"""One PUT over TLS to a presigned or plain https:// address, its body streamed with its exact length, and what the answer proves.

Refuses redirects, certificates that are not trusted, and headers that the address was not signed for: S3 turns a request with an
unsigned x-amz-checksum-sha256 or Content-MD5 down as a whole (HeadersNotSigned). Where no checksum may be sent, the ETag is compared.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Optional

from eniagent import __version__
from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.upload_errors import UploadFailed, of_reply, of_transport
from eniagent.edge.upload_file import Outgoing, b64
from eniagent.edge.upload_proxy import proxy_for
from eniagent.edge.upload_target import Signed, Target, TargetError

LIMIT_BYTES = 5 << 30
"""S3's limit of one PUT. Source: Amazon S3 user guide, Uploading objects."""
CONNECT_S, SILENCE_S = 10.0, 60.0
REPLY_BYTES = 64 << 10

_OWN = frozenset(("host", "content-length", "transfer-encoding", "connection", "expect", "te", "trailer", "upgrade"))
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_NOT_MD5 = ("aws:kms", "aws:kms:dsse")


class Proof(NamedTuple):
    """What is known of what arrived. `by`: sha256, md5, size or no; `detail`: why not more."""

    by: str
    detail: str = ""


def header(text: str) -> tuple[str, str]:
    """`Name: value` taken apart. Raises `TargetError`, without the value: it may be a secret."""
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _NAME.fullmatch(name) or not value or not (value.isascii() and value.isprintable()):
        raise TargetError("--header takes NAME: VALUE, as 'content-type: application/gzip'")
    if name.lower() in _OWN:
        raise TargetError(f"--header {name}: is set by eniagent itself; leave it out")
    return name.lower(), value


def trusted(ca_file: Optional[str]) -> ssl.SSLContext:
    """Who may sign the server's certificate: those of `ca_file` alone, else this system's authorities. Raises `TargetError`."""
    if ca_file is not None:
        try:
            return ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            why = "holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else (error.strerror or str(error)).lower()
            raise TargetError(f"--ca-file {ca_file}: {why}; name a file of PEM certificates") from error
    paths = ssl.get_default_verify_paths()
    if paths.cafile is not None or (paths.capath is not None and os.listdir(paths.capath)):
        return ssl.create_default_context()
    import certifi

    # A Python that was built elsewhere may look for the system's authorities where there are none.
    return ssl.create_default_context(cafile=certifi.where())


def headers_for(outgoing: Outgoing, target: Target, *, given: Mapping[str, str], checksums: bool) -> dict[str, str]:
    """All headers of the request. Raises `UploadFailed` where the address was signed for others, or for another content."""
    fixed = {"content-length": str(outgoing.size_bytes), "user-agent": f"eniagent/{__version__}", "accept-encoding": "identity"}
    if target.signed is None:
        digest = {"content-digest": f"sha-256=:{b64(outgoing.sha256)}:"} if checksums else {}
        return {"content-type": "application/gzip", **digest, **given, **fixed}
    ours = {
        "x-amz-checksum-sha256": b64(outgoing.sha256), "x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-content-sha256": outgoing.sha256.hex(),
        "content-md5": b64(outgoing.md5), "x-goog-content-sha256": outgoing.sha256.hex(), "if-none-match": "*",
    }  # fmt: skip
    _check_bound(outgoing, target.signed, ours)
    lacking = [name for name in target.signed.headers if name not in ours and name not in given and name not in _OWN]
    if lacking:
        wanted = " ".join(f"--header '{name}: VALUE'" for name in lacking)
        raise UploadFailed("signature", f"{target.shown} was signed with headers whose values it does not tell: {', '.join(lacking)}", remedy=f"give them: {wanted}")
    if target.signed.how == "s3":
        unsigned = [name for name in given if name.startswith("x-amz-") and name not in target.signed.headers]
        if unsigned:
            raise UploadFailed("signature", f"S3 refuses x-amz- headers that the address was not signed with: {', '.join(unsigned)}", remedy="leave them out, or have the address signed with them")
    return {**{name: ours[name] for name in target.signed.headers if name in ours}, **given, **fixed}


def _check_bound(outgoing: Outgoing, signed: Signed, ours: Mapping[str, str]) -> None:
    for name, value in signed.bound.items():
        if name in ours and value not in (ours[name], "UNSIGNED-PAYLOAD"):
            raise UploadFailed("signature", f"the address was signed for another content than {outgoing.path} ({name} differs)", remedy="have one signed for this bundle")


def check_times(target: Target) -> None:
    """Raises `UploadFailed` where the address is over by this node's clock."""
    ends, now = (target.signed.expires_at if target.signed is not None else None), clock.now()
    if ends is not None and ends <= now:
        told = f"the presigned address expired at {ends:%Y-%m-%dT%H:%M:%SZ}, and by this node's clock it is {now:%Y-%m-%dT%H:%M:%SZ}"
        raise UploadFailed("expired", f"{told}; nothing was sent")


class Put:
    """The way to one https:// target."""

    def __init__(self, target: Target, *, ca_file: Optional[str], headers: Mapping[str, str], checksums: bool) -> None:
        self._target, self._given, self._checksums = target, headers, checksums
        self._context = trusted(ca_file)
        # At INFO httpx logs whole addresses, queries included, should anybody ever turn logging on.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def send(self, outgoing: Outgoing, *, deadline: Deadline) -> Proof:
        """One attempt. Raises `UploadFailed`."""
        check_times(self._target)
        headers = headers_for(outgoing, self._target, given=self._given, checksums=self._checksums)
        status, told, body = self._ask("PUT", headers, _timely(outgoing, deadline), deadline=deadline)
        if not 200 <= status < 300:
            raise of_reply(status, told, body, target=self._target)
        proof = proof_of(told, outgoing, signed=self._target.signed)
        if proof.by in ("sha256", "md5") or self._target.signed is not None:
            return proof
        return self._look(outgoing, deadline=deadline) or proof

    def _look(self, outgoing: Outgoing, *, deadline: Deadline) -> Optional[Proof]:
        """What a HEAD tells of the file that now stands there; None where it tells nothing. A presigned address allows none."""
        about = {name: value for name, value in self._given.items() if not name.startswith("content-")}
        try:
            status, told, _ = self._ask("HEAD", about, None, deadline=deadline)
        except UploadFailed:
            return None
        if status != 200:
            return None
        proof = proof_of(told, outgoing, signed=None)
        length = told.get("content-length", "")
        if proof.by == "no" and length.isdigit() and "content-encoding" not in told:
            if int(length) != outgoing.size_bytes:
                raise UploadFailed("damaged", f"{self._target.shown} holds {length} bytes, {outgoing.size_bytes} were sent")
            return Proof("size", "the server tells no checksum")
        return proof if proof.by != "no" else None

    def _ask(self, method: str, headers: Mapping[str, str], content: Optional[Iterator[bytes]], *, deadline: Deadline) -> tuple[int, dict[str, str], bytes]:
        import httpx

        try:
            with self._client(deadline) as client, client.stream(method, self._target.url, headers=dict(headers), content=content) as reply:
                return reply.status_code, {name.lower(): value for name, value in reply.headers.items()}, _body(reply)
        except httpx.InvalidURL as error:
            raise TargetError(f"{self._target.shown} is no address that can be asked for") from error
        except httpx.HTTPError as error:
            if deadline.expired:
                raise UploadFailed("timed-out", f"{self._target.host}: the deadline came before the answer", again=False) from error
            raise of_transport(error, target=self._target) from error

    def _client(self, deadline: Deadline) -> Any:
        import httpx

        left_s = max(0.05, deadline.remaining_s)
        limits = httpx.Timeout(min(SILENCE_S, left_s), connect=min(CONNECT_S, left_s))
        try:
            # Not httpx's own reading of the environment: it fails on a NO_PROXY with [::1] in it, and takes proxies for loopback.
            return httpx.Client(verify=self._context, timeout=limits, follow_redirects=False, trust_env=False, proxy=proxy_for(self._target.host))
        except (httpx.InvalidURL, ValueError, ImportError) as error:
            # A scheme that is unknown, or one that needs a package of its own. The address may hold a password: it is not told.
            raise UploadFailed("proxy", f"the proxy that the environment names cannot be used ({type(error).__name__})") from error


def _body(reply: Any) -> bytes:
    """The beginning of a reply's body; that it breaks off or drips says nothing against the status."""
    import httpx

    pieces: list[bytes] = []
    try:
        for piece in reply.iter_raw():
            pieces.append(piece)
            if sum(map(len, pieces)) >= REPLY_BYTES:
                break
    except httpx.TransportError:
        if reply.is_success:
            return b""
    return b"".join(pieces)


def _timely(outgoing: Outgoing, deadline: Deadline) -> Iterator[bytes]:
    for piece in outgoing.pieces():
        if deadline.expired:
            raise UploadFailed("timed-out", "the deadline came before all was sent", again=False)
        yield piece


def proof_of(told: Mapping[str, str], outgoing: Outgoing, *, signed: Optional[Signed]) -> Proof:
    """What the headers of an answer prove. Raises `UploadFailed` (damaged) where they prove the contrary."""
    sha256 = {b64(outgoing.sha256), outgoing.sha256.hex()}
    for name in ("x-amz-checksum-sha256", "x-checksum-sha256", "repr-digest"):
        for found in re.findall(r"^(?:sha-256=:)?([A-Za-z0-9+/=]{44}|[0-9a-f]{64}):?$", told.get(name, "")):
            if found not in sha256:
                raise UploadFailed("damaged", f"the server counts another SHA-256 than what was sent ({name})")
            return Proof("sha256")
    etag = told.get("etag", "").strip('"').lower()
    if etag == outgoing.md5.hex() or _goog_md5(told) == outgoing.md5:
        return Proof("md5")
    encrypted = told.get("x-amz-server-side-encryption", "") in _NOT_MD5 or "x-amz-server-side-encryption-customer-algorithm" in told
    if encrypted:
        return Proof("no", "S3 encrypts it with a key of its own, so its ETag is no checksum; have the address signed with x-amz-checksum-sha256")
    if signed is not None and signed.how in ("s3", "s3v2") and re.fullmatch(r"[0-9a-f]{32}", etag):
        raise UploadFailed("damaged", "the ETag is not the MD5 of what was sent")
    return Proof("no", "the server told no checksum")


def _goog_md5(told: Mapping[str, str]) -> bytes:
    found = re.search(r"md5=([A-Za-z0-9+/]{22}==)", told.get("x-goog-hash", ""))
    return base64.b64decode(found[1]) if found is not None else b""
