"""A real TLS server before the moto server: checks presigned requests as S3 does, and fails in the ways that networks and servers fail.

Refuses to store anything: what it lets through goes to moto and comes back as it is.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import struct
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Optional
from urllib.parse import urlsplit

from tests.upload import sigv4

HALF_BYTES = 64 << 10


class Asked(NamedTuple):
    """A request that came. `body_bytes`: how much of its body was read."""

    method: str
    target: str
    headers: dict[str, str]
    body_bytes: int


class Front(ThreadingHTTPServer):
    """`faults`: one word for each PUT to come, `ok` for none; the last one stays if `lasting`. `reply_headers` are added to replies.

    drop: reset after half of the body. stall: reads half and no more. reset: reads all, then resets. silent: reads all, answers nothing.
    lost: passes on, then resets. drip: answers a byte at a time. corrupt: passes on a changed byte. short: passes on less. deny: answers 403 before reading.
    pause: reads half, waits for `go`, reads on. A number: that status. 429:2 : that status with Retry-After 2. redirect: 307 to `elsewhere`.
    """

    daemon_threads = True

    def __init__(self, upstream: str, context: Optional[ssl.SSLContext]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream, self._context = upstream, context
        self.faults: list[str] = []
        self.lasting = False
        self.reply_headers: dict[str, str] = {}
        self.canned: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.elsewhere = "https://127.0.0.1:9/elsewhere"
        self.checks_signatures = True
        self.clock_ahead_s = 0.0
        self.asked: list[Asked] = []
        self.connections = 0
        self.half, self.go, self.over = threading.Event(), threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Front:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.go.set()
        self.shutdown()
        self.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def puts(self) -> list[Asked]:
        """The PUT requests that came, in order."""
        return [each for each in self.asked if each.method == "PUT"]

    def get_request(self) -> tuple[Any, Any]:
        sock, address = super().get_request()
        self.connections += 1
        if self._context is not None:
            # The handshake is the handler thread's, with its first read: a client that refuses must not stop the others.
            sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return sock, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is what the tests are about."""

    def next_fault(self) -> str:
        """The word for the PUT at hand."""
        if not self.faults:
            return "ok"
        return self.faults[0] if self.lasting and len(self.faults) == 1 else self.faults.pop(0)


class _Handler(BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_PUT(self) -> None:
        self._serve(self.server.next_fault())

    def do_POST(self) -> None:
        self._serve("ok")

    do_GET = do_HEAD = do_DELETE = do_POST

    def _serve(self, fault: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if fault == "deny":
            # As S3 does: the answer comes before the body was read, and the connection ends.
            self._note(0)
            return self._answer(403, {"connection": "close"}, sigv4.error("AccessDenied", "Access Denied"))
        if fault in ("drop", "stall", "pause"):
            first = self.rfile.read(min(HALF_BYTES, length))
            self.server.half.set()
            if fault == "drop":
                self._note(len(first))
                return self._reset()
            (self.server.over if fault == "stall" else self.server.go).wait(60)
            body = first + (self.rfile.read(length - len(first)) if fault == "pause" else b"")
        else:
            body = self.rfile.read(length)
        self._note(len(body))
        if len(body) < length:
            self.close_connection = True
            return None
        return self._after(fault, body)

    def _note(self, body_bytes: int) -> None:
        self.server.asked.append(Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body_bytes))

    def _after(self, fault: str, body: bytes) -> None:
        """The body is here."""
        if fault == "reset":
            return self._reset()
        if fault == "silent":
            self.server.over.wait(60)
            return None
        if fault == "redirect":
            return self._answer(307, {"location": self.server.elsewhere}, sigv4.error("TemporaryRedirect", "Please re-send this request to the specified temporary endpoint."))
        if fault[:3].isdigit():
            status, _, after = fault.partition(":")
            return self._answer(int(status), {"retry-after": after} if after else {}, sigv4.error("SlowDown", "Please reduce your request rate.") if status != "413" else b"")
        if self.command in self.server.canned:
            return self._answer(*self.server.canned[self.command])
        refused = None
        if self.command == "PUT" and self.server.checks_signatures and "Authorization" not in self.headers:
            now = datetime.now(timezone.utc) + timedelta(seconds=self.server.clock_ahead_s)
            refused = sigv4.refusal(self.path, {name.lower(): value for name, value in self.headers.items()}, now=now)
        if refused is not None:
            return self._answer(refused[0], {}, refused[1])
        if fault == "corrupt":
            body = body[:100] + bytes([body[100] ^ 1]) + body[101:]
        return self._pass_on(body[:-1] if fault == "short" else body, drip=fault == "drip", lost=fault == "lost")

    def _pass_on(self, body: bytes, *, drip: bool, lost: bool) -> None:
        parts = urlsplit(self.server.upstream)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=30)
        # moto takes a bucket's name from the first part of a host's.
        headers = {**dict(self.headers.items()), "Host": parts.netloc, "Content-Length": str(len(body))}
        connection.request(self.command, self.path, body, headers)
        reply = connection.getresponse()
        data = reply.read()
        told = {name: value for name, value in reply.getheaders() if name.lower() not in ("content-length", "connection", "server", "date", "transfer-encoding")}
        length = reply.getheader("Content-Length") if self.command == "HEAD" else None
        connection.close()
        if lost:
            return self._reset()
        if drip:
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"." * 2000:
                if self.server.over.wait(0.1):
                    return None
                self.wfile.write(bytes([byte]))
        return self._answer(reply.status, told, data, length=length)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, length: Optional[str] = None) -> None:
        self.send_response(status)
        for name, value in {**headers, **self.server.reply_headers}.items():
            if value:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        if headers.get("connection") == "close":
            # What is left unread would make the kernel send a reset that overtakes the answer; S3 waits a little, too.
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.settimeout(1.0)
                while self.connection.recv(1 << 16):
                    pass

    def _reset(self) -> None:
        """Lingering for no time makes close() send RST."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw = socket.socket(fileno=self.connection.detach())
        raw.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
