"""An HTTP server on a real socket, TCP or unix, that can be told to misbehave request by request.

Refuses to know what it serves: ipamd and IMDS give it a function from request to reply.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Callable, NamedTuple, Optional, TypeVar

Server = TypeVar("Server", bound="FakeServer")


class Request(NamedTuple):
    """What a client asked."""

    method: str
    path: str
    headers: Mapping[str, str]


class Reply(NamedTuple):
    """What the server answers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


FAULTS = ("reset", "hang", "500", "truncated", "garbage", "drip", "endless", "closed", "redirect", "drip-head", "chunked-cut", "no-length")
"""hang: reads, never answers. drip: a byte of the body every 50 ms. drip-head: the same, of the head. endless: 1 GB of zeros.
closed: ends the connection without a byte. truncated: ends before Content-Length. chunked-cut: ends inside a chunk."""

ENDLESS_BYTES = 1 << 30


class FakeServer:
    """Serves until closed. `faults`: path -> fault, "*" for all; `requests` holds what was asked, `sent_bytes` what was written."""

    def __init__(self, answer: Callable[[Request], Reply], *, unix_path: str = "", port: int = 0, host: str = "127.0.0.1") -> None:
        self.answer = answer
        self.faults: dict[str, str] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self.sent_bytes = 0
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        if unix_path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(unix_path)
            self.url = f"unix:{unix_path}"
        else:
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
            self.url = f"http://{host}:{self._listener.getsockname()[1]}"
        self._unix_path = unix_path
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self: Server) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and cut every connection; whoever connects afterwards is refused."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        if self._unix_path:
            os.unlink(self._unix_path)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):
                for request in _requests(sock):
                    self.requests.append(request)
                    fault = self.faults.get(request.path, self.faults.get("*", ""))
                    if not self._reply(sock, request, fault=fault):
                        return
        finally:
            self._open.discard(sock)
            sock.close()

    def _reply(self, sock: socket.socket, request: Request, *, fault: str) -> bool:
        """Answer one request; False ends the connection."""
        if fault == "hang":
            self._closing.wait(60)
            return False
        if fault == "reset":
            # Lingering for no time makes close() send RST.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if fault == "closed":
            return False
        if fault == "garbage":
            return self._send(sock, os.urandom(64) + b"\r\n\r\n\x00\xff not http")
        if fault == "redirect":
            return self._send(sock, _head(302, 0, {"Location": "http://127.0.0.1:1/elsewhere"}))
        reply = Reply(500, b"Internal Server Error\n") if fault == "500" else self.answer(request)
        return self._body(sock, reply, fault=fault)

    def _body(self, sock: socket.socket, reply: Reply, *, fault: str) -> bool:
        if fault == "endless":
            self._send(sock, _head(200, ENDLESS_BYTES, {}))
            zeros = bytes(1 << 16)
            return all(self._send(sock, zeros) for _ in range(ENDLESS_BYTES // len(zeros)))
        if fault == "truncated":
            self._send(sock, _head(reply.status, len(reply.body) + 100, reply.headers) + reply.body)
            return False
        if fault == "chunked-cut":
            self._send(sock, _head(reply.status, None, {"Transfer-Encoding": "chunked"}) + b"fff\r\n" + reply.body[:20])
            return False
        if fault == "no-length":
            self._send(sock, _head(reply.status, None, reply.headers) + reply.body)
            return False
        head = _head(reply.status, len(reply.body), reply.headers)
        if fault == "drip-head":
            return self._drip(sock, head + reply.body)
        self._send(sock, head)
        return self._drip(sock, reply.body) if fault == "drip" else self._send(sock, reply.body)

    def _drip(self, sock: socket.socket, data: bytes) -> bool:
        for at in range(len(data)):
            if self._closing.wait(0.05):
                return False
            self._send(sock, data[at : at + 1])
        return True

    def _send(self, sock: socket.socket, data: bytes) -> bool:
        sock.sendall(data)
        self.sent_bytes += len(data)
        return True


def _head(status: int, length: Optional[int], headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Fake"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def _requests(sock: socket.socket) -> Iterator[Request]:
    """Requests of one connection; none of those we serve carries a body."""
    waiting = b""
    while True:
        while b"\r\n\r\n" not in waiting:
            piece = sock.recv(65536)
            if not piece:
                return
            waiting += piece
        head, _, waiting = waiting.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        yield Request(method, path, {name.strip().lower(): value.strip() for name, _, value in pairs})
