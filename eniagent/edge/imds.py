"""IMDSv2: the instance's metadata over one keep-alive connection with one token, as the contract's `imds/tree.json`.

Refuses every key that is not on its list: credentials, user data and public keys cannot be asked for, because the one
function that writes a request checks the list. It never falls back to IMDSv1, follows no redirect and uses no proxy.
"""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterator
from typing import Any, Optional

import msgspec

from eniagent.edge import clock
from eniagent.edge.clock import Deadline, TokenBucket
from eniagent.edge.http import no_reply
from eniagent.edge.wire import Reply, Wire
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.probe import ReadImds
from eniagent.model.reading import Why

MACS = "meta-data/network/interfaces/macs/"

INSTANCE_KEYS = (
    "meta-data/instance-id",
    "meta-data/instance-type",
    "meta-data/mac",
    "meta-data/local-ipv4",
    "meta-data/hostname",
    "meta-data/placement/availability-zone",
    "meta-data/placement/availability-zone-id",
    "meta-data/placement/region",
    "meta-data/iam/info",
    "dynamic/instance-identity/document",
)
MAC_KEYS = (
    "device-number",
    "interface-id",
    "network-card",
    "network-card-index",
    "subnet-id",
    "vpc-id",
    "security-group-ids",
    "local-ipv4s",
    "ipv6s",
    "ipv4-prefix",
    "ipv6-prefix",
    "subnet-ipv4-cidr-block",
    "subnet-ipv6-cidr-blocks",
    "vpc-ipv4-cidr-blocks",
    "vpc-ipv6-cidr-blocks",
    "owner-id",
)
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_ALLOWED = re.compile(
    "|".join(
        [re.escape(key) for key in (*INSTANCE_KEYS, MACS)]
        + [re.escape(MACS) + _MAC.pattern + "/(?:" + "|".join(map(re.escape, MAC_KEYS)) + ")?"]
    )
)
_TOKEN = re.compile(rb"[\x21-\x7e]{1,512}")

TOKEN_TTL_S = 120
TOKEN_TIMEOUT_S = 3.0
KEY_TIMEOUT_S = 2.0
LIMIT_BYTES = 1 << 20
BURST = 256
PER_SECOND = 20.0
"""One look at 15 ENIs is about 200 keys, so the burst serves it; repeated looks are held to what IMDS bears."""
MAX_SILENT = 2
"""Keys that may go unanswered one after the other before the rest is given up: IMDS then hangs as a whole."""


class Unanswered(Exception):
    """A key that got no reply. `why` and `detail` say how."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(detail)
        self.why = why
        self.detail = detail


_BUCKET = TokenBucket(burst=BURST, per_second=PER_SECOND)


class Imds:
    """One conversation with IMDS. `token` raises `Unanswered`; so does `get` where no reply came."""

    def __init__(self, base_url: str, *, deadline: Deadline, bucket: TokenBucket = _BUCKET) -> None:
        self._base_url, self._deadline, self._bucket = base_url, deadline, bucket
        self._wire = Wire(base_url)
        self._token = ""
        self._renewals = 1

    def close(self) -> None:
        """End the connection."""
        self._wire.close()

    def fetch_token(self) -> int:
        """Get a session token. Returns the status; anything but 200 left us without one."""
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_TTL_S)}
        reply = self._ask("PUT", path="/latest/api/token", headers=headers, timeout_s=TOKEN_TIMEOUT_S)
        if reply.status == 200:
            token = reply.body.strip()
            if not _TOKEN.fullmatch(token):
                raise Unanswered(Why.MALFORMED, "what came is no token")
            self._token = token.decode("ascii")
        return reply.status

    def get(self, key: str) -> Reply:
        """One key below `latest/`. A 401 is answered with one new token in the whole conversation."""
        if not _ALLOWED.fullmatch(key):
            raise ValueError(f"{key} is not on the list of keys that may be asked for")
        reply = self._ask("GET", path=f"/latest/{key}", headers=self._auth(), timeout_s=KEY_TIMEOUT_S)
        if reply.status == 401 and self._renewals > 0:
            self._renewals -= 1
            if self.fetch_token() == 200:
                reply = self._ask("GET", path=f"/latest/{key}", headers=self._auth(), timeout_s=KEY_TIMEOUT_S)
        return reply

    def _auth(self) -> dict[str, str]:
        return {"X-aws-ec2-metadata-token": self._token}

    def _ask(self, method: str, *, path: str, headers: dict[str, str], timeout_s: float) -> Reply:
        """One request; a kept connection that was closed meanwhile, and a throttled reply, are tried once more."""
        again = True
        while True:
            clock.wait(min(self._bucket.take(), self._deadline.remaining_s))
            if self._deadline.expired:
                raise Unanswered(Why.TIMED_OUT, "the time for this look ran out")
            kept = self._wire.sock is not None
            try:
                limit = self._deadline.within(timeout_s)
                reply = self._wire.ask(method, path=path, deadline=limit, limit_bytes=LIMIT_BYTES, headers=headers)
            except (OSError, http.client.HTTPException) as error:
                self._wire.close()
                if kept and again and not isinstance(error, socket.timeout):
                    again = False
                    continue
                raise Unanswered(*no_reply(error, base_url=self._base_url)) from error
            if reply.cut:
                raise Unanswered(Why.TIMED_OUT if reply.timed_out else Why.TRUNCATED, reply.cut)
            if reply.status in (429, 503) and again:
                again = False
                clock.wait(min(0.3, self._deadline.remaining_s))
                continue
            return reply


def read_imds(probe: ReadImds, *, base_url: str, deadline: Deadline, bucket: TokenBucket = _BUCKET) -> Capture:
    """All listed keys as one tree. The look as a whole fails only where IMDS gave no token or not one answer."""
    at, began_s = clock.now(), clock.ticks_s()
    tree: dict[str, dict[str, Any]] = {}
    imds = Imds(base_url, deadline=deadline.within(probe.timeout_s), bucket=bucket)
    try:
        status, why, detail = _fill(tree, imds)
    finally:
        imds.close()
    body = msgspec.json.encode({key: tree[key] for key in sorted(tree)})
    about = Circumstances(
        probe="imds tree",
        file=probe.file,
        at=at,
        took_s=round(clock.ticks_s() - began_s, 4),
        status=status,
        failure=why,
        detail=detail,
        size_bytes=len(body),
    )
    return Capture(about, body)


def _fill(tree: dict[str, dict[str, Any]], imds: Imds) -> tuple[Optional[int], Optional[Why], str]:
    """Fetch the token and the keys into `tree`; returns status, failure and detail of the look as a whole."""
    try:
        status = imds.fetch_token()
    except Unanswered as error:
        tree["api/token"] = {"failure": error.why.value}
        return None, error.why, f"no token: {error.detail}"
    if status != 200:
        tree["api/token"] = {"status": status}
        why = Why.FORBIDDEN if status in (400, 401, 403) else Why.MALFORMED
        return status, why, f"no token: HTTP {status}"
    silent, first = 0, ""
    for key in _keys(tree):
        if silent >= MAX_SILENT:
            tree[key] = {"failure": Why.TIMED_OUT.value}
            continue
        try:
            tree[key] = _entry(imds.get(key))
            silent = 0
        except Unanswered as error:
            tree[key] = {"failure": error.why.value}
            silent += 1
            first = first or f"{key}: {error.detail}"
    return _sum_up(tree, first)


def _entry(reply: Reply) -> dict[str, Any]:
    """One reply as it stands in the tree."""
    if reply.status != 200:
        return {"status": reply.status}
    return {"status": 200, "body": reply.body.decode("utf-8", "replace")}


def _keys(tree: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Keys to ask for, in order; listings decide what follows them and are dropped from the tree where they worked."""
    yield from INSTANCE_KEYS
    yield MACS
    for name in _listing(tree, MACS):
        mac = name.rstrip("/")
        if not _MAC.fullmatch(mac):
            tree[MACS + mac] = {"failure": Why.MALFORMED.value}
            continue
        directory = f"{MACS}{mac}/"
        yield directory
        listed = set(_listing(tree, directory))
        yield from (directory + key for key in MAC_KEYS if key in listed)


def _listing(tree: dict[str, dict[str, Any]], key: str) -> list[str]:
    entry = tree[key]
    if entry.get("status") != 200:
        return []
    del tree[key]
    return [line.strip() for line in str(entry["body"]).splitlines() if line.strip()]


def _sum_up(tree: dict[str, dict[str, Any]], first: str) -> tuple[Optional[int], Optional[Why], str]:
    """Status, failure and detail of the whole: one answer makes it a look that worked in part."""
    answered = [entry["status"] for entry in tree.values() if "status" in entry]
    if not answered:
        failures = [entry["failure"] for entry in tree.values()]
        return None, Why(failures[0]) if failures else Why.MALFORMED, first or "no key was answered"
    refused = [status for status in answered if status in (401, 403)]
    if 200 not in answered:
        why = Why.FORBIDDEN if refused else Why.MALFORMED
        return answered[0], why, f"HTTP {answered[0]} for every key"
    unread = sum("failure" in entry for entry in tree.values())
    return 200, None, f"{unread} keys unanswered, the first {first}" if unread else ""
