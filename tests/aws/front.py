"""A real HTTP server before the moto server: passes calls on, refuses some as IAM does, answers CloudTrail, and can be made to hang.

Refuses to know EC2: what it does not refuse or answer itself goes to moto and comes back as it is. (moto has no LookupEvents.)
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_EC2_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>'
    "<RequestID>11111111-2222-3333-4444-555555555555</RequestID></Response>"
)


class Front(ThreadingHTTPServer):
    """`refused`: operation -> error code. `canned`: operation -> body. `hanging`: operations that get no answer. `asked`: (operation, parameters)."""

    daemon_threads = True

    def __init__(self, upstream: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.refused: dict[str, str] = {}
        self.canned: dict[str, str] = {}
        self.hanging: set[str] = set()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.over = threading.Event()
        self.events: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self) -> Front:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and let go of whoever hangs."""
        self.over.set()
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def operations(self) -> list[str]:
        """What was asked, in order."""
        return [operation for operation, _ in self.asked]


class _Handler(BaseHTTPRequestHandler):
    """One call of the AWS API, query or JSON protocol."""

    server: Front
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = self.headers.get("X-Amz-Target", "")
        parameters = json.loads(body) if target else {key: values[-1] for key, values in parse_qs(body.decode()).items()}
        operation = target.rpartition(".")[2] or str(parameters.get("Action"))
        self.server.asked.append((operation, parameters))
        if operation in self.server.hanging:
            self.server.over.wait(60)
            self.close_connection = True
        elif operation in self.server.refused:
            self._refuse(self.server.refused[operation], as_json=bool(target))
        elif operation in self.server.canned:
            self._answer(200, self.server.canned[operation].encode())
        elif operation == "LookupEvents":
            self._answer(200, json.dumps({"Events": matching(self.server.events, parameters)}).encode())
        else:
            self._pass_on(body)

    def _refuse(self, code: str, *, as_json: bool) -> None:
        message = "You are not authorized to perform this operation."
        if as_json:
            self._answer(400, json.dumps({"__type": code, "Message": message}).encode())
        else:
            self._answer(503 if code == "RequestLimitExceeded" else 403, _EC2_ERROR.format(code=code, message=message).encode())

    def _pass_on(self, body: bytes) -> None:
        parts = urlsplit(self.server.upstream)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=30)
        connection.request("POST", self.path, body, dict(self.headers.items()))
        reply = connection.getresponse()
        self._answer(reply.status, reply.read())
        connection.close()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def matching(events: Iterable[dict[str, Any]], parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that one LookupEvents asks for: by its one attribute, within its times."""
    (wanted,) = parameters.get("LookupAttributes") or [{}]
    key, value = wanted.get("AttributeKey"), wanted.get("AttributeValue")
    since, until = parameters.get("StartTime", 0), parameters.get("EndTime", 1 << 40)
    return [event for event in events if event.get(key) == value and since <= event["EventTime"] <= until]


def event(at: datetime, name: str, *, code: str = "", instance: str = "", eni: str = "", number: int = 0) -> dict[str, Any]:
    """A management event as CloudTrail records an EC2 call of an instance's role. Source: CloudTrail user guide, record contents."""
    record: dict[str, Any] = {
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLE:{instance or 'i-0ffffffffffffffff'}",
            "arn": f"arn:aws:sts::111122223333:assumed-role/node-role/{instance or 'i-0ffffffffffffffff'}",
        },
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-west-2",
        "userAgent": "amazon-vpc-cni-k8s/v1.19.3",
        "requestParameters": {"networkInterfaceId": eni} if eni else {},
    }
    if code:
        record.update({"errorCode": f"Client.{code}", "errorMessage": f"{code} for a test"})
    return {
        "EventId": f"00000000-0000-0000-0000-{number or abs(hash((at, name, code, instance))) % 10**12:012d}",
        "EventName": name,
        "EventTime": int(at.timestamp()),
        "Username": instance or "i-0ffffffffffffffff",
        "CloudTrailEvent": json.dumps(record),
    }
