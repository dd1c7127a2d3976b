"""IMDSv2 serving a recorded tree: tokens, directory listings, 401 without a token, 404 for what is not there.

Refuses IMDSv1, as an EKS node does. `forbidden` holds every key that was asked for and must never be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.server import FakeServer, Reply, Request

NEVER = ("user-data", "security-credentials", "public-keys", "identity-credentials")

MAC = "0a:89:02:c4:42:69"
_AT = f"meta-data/network/interfaces/macs/{MAC}/"
TREE: dict[str, dict[str, Any]] = {
    key: {"status": 200, "body": body}
    for key, body in {
        "dynamic/instance-identity/document": '{"accountId":"111122223333","instanceId":"i-0fc1f7cd5bb2e35cb","instanceType":"m5.large"}',
        "meta-data/instance-id": "i-0fc1f7cd5bb2e35cb",
        "meta-data/instance-type": "m5.large",
        "meta-data/mac": MAC,
        "meta-data/local-ipv4": "10.0.0.62",
        "meta-data/hostname": "ip-10-0-0-62.us-west-2.compute.internal",
        "meta-data/placement/availability-zone": "us-west-2a",
        "meta-data/iam/info": '{"Code":"Success"}',
        "meta-data/iam/security-credentials/demo-role": '{"SecretAccessKey":"planted"}',
        "meta-data/public-keys/0/openssh-key": "planted",
        f"{_AT}device-number": "0",
        f"{_AT}interface-id": "eni-0f0f19c557067cbbe",
        f"{_AT}local-ipv4s": "10.0.0.62\n10.0.0.14",
        f"{_AT}subnet-id": "subnet-0873a0000c6d07ef7",
        f"{_AT}public-ipv4s": "198.51.100.7",
        f"{_AT}ipv4-associations/198.51.100.7": "10.0.0.62",
    }.items()
}


class FakeImds(FakeServer):
    """`token_status` and `key_status` other than 200 answer so; `expire_after` requests the token dies once."""

    def __init__(self, tree: Mapping[str, Mapping[str, Any]] = TREE, *, port: int = 0, host: str = "127.0.0.1") -> None:
        self.tree = dict(tree)
        self.token_status = 200
        self.key_status = 200
        self.expire_after = 0
        self.tokens = 0
        self.keys_served = 0
        self.forbidden: list[str] = []
        super().__init__(self._answer, port=port, host=host)

    def _answer(self, request: Request) -> Reply:
        if request.path == "/latest/api/token":
            return self._token(request)
        key = request.path[len("/latest/") :]
        if any(word in key for word in NEVER):
            self.forbidden.append(key)
        if request.headers.get("x-aws-ec2-metadata-token") != f"token-{self.tokens}" or not self.tokens:
            return Reply(401)
        if self.expire_after and self.keys_served >= self.expire_after:
            self.expire_after, self.tokens = 0, self.tokens + 1
            return Reply(401)
        self.keys_served += 1
        return Reply(self.key_status) if self.key_status != 200 else self._key(key)

    def _token(self, request: Request) -> Reply:
        ttl = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if request.method != "PUT" or not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            return Reply(400)
        if self.token_status != 200:
            return Reply(self.token_status)
        self.tokens += 1
        return Reply(200, f"token-{self.tokens}".encode())

    def _key(self, key: str) -> Reply:
        if key.endswith("/"):
            below = sorted(name[len(key) :] for name, entry in self.tree.items() if name.startswith(key) and entry.get("status") == 200)
            names = dict.fromkeys(name.split("/")[0] + ("/" if "/" in name else "") for name in below)
            return Reply(200, "\n".join(names).encode()) if names else Reply(404)
        entry = self.tree.get(key)
        if entry is None:
            return Reply(404, b"<?xml version='1.0'?><html><body><h1>404 - Not Found</h1></body></html>")
        return Reply(int(entry.get("status", 404)), str(entry.get("body", "")).encode())
