"""The wire: one HTTP/1.1 connection over TCP or a unix socket, on which every byte counts against a deadline.

Refuses proxies, redirects, TLS and name-based trust: it speaks to loopback and link-local alone. It is http.client, not
httpx, for two measured reasons: `import httpx` and its first client cost 100 ms of the 600 ms that a whole diagnosis may
take (http.client: 35 ms), and httpx bounds single reads only, so a peer that drips one byte at a time holds it for ever.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import urlsplit

import msgspec

from eniagent.edge.clock import Deadline

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CONNECT_TIMEOUT_S = 2.0
"""Loopback and link-local peers answer at once or are not there."""

CHUNK_BYTES = 1 << 16


class Reply(msgspec.Struct, frozen=True):
    """Status and body. `cut`: why the body ended before it was whole ("" = whole); what came is kept."""

    status: int
    body: bytes
    cut: str = ""
    over_limit: bool = False
    timed_out: bool = False


class _Inflow(io.RawIOBase):
    """What arrives on a socket, each read bounded by what is left of the current deadline."""

    def __init__(self, owner: _Socket) -> None:
        self._owner = owner
        self._deadline = owner.deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        left_s = self._deadline.remaining_s
        if left_s <= 0:
            raise socket.timeout("timed out")
        self._owner.sock.settimeout(left_s)
        if self._owner.sock.family != socket.AF_UNIX:
            # A server that writes head and body apart waits for our acknowledgement in between: 40 ms for each of 200 keys.
            self._owner.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return self._owner.sock.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._owner.release()


class _Socket:
    """The part of a socket that http.client uses, with the deadline of the request in hand.

    http.client closes the connection before it reads a body that ends with it, so the socket lives as long as its readers do.
    """

    def __init__(self, sock: socket.socket, *, deadline: Deadline) -> None:
        self.sock = sock
        self.deadline = deadline
        self._readers = 0
        self._closing = False

    def makefile(self, mode: str) -> io.BufferedReader:
        self._readers += 1
        return io.BufferedReader(_Inflow(self))

    def sendall(self, data: bytes) -> None:
        self.sock.settimeout(max(0.001, self.deadline.remaining_s))
        self.sock.sendall(data)

    def close(self) -> None:
        self._closing = True
        if not self._readers:
            self.sock.close()

    def release(self) -> None:
        self._readers -= 1
        if self._closing and not self._readers:
            self.sock.close()


class Wire(http.client.HTTPConnection):
    """One keep-alive connection to `base_url` (`http://host:port` or `unix:/path`)."""

    def __init__(self, base_url: str) -> None:
        self.unix_path, host, port, self.prefix = "", "localhost", 80, ""
        if base_url.startswith("unix:"):
            self.unix_path = base_url[5:]
        else:
            parts = urlsplit(base_url)
            host, port, self.prefix = parts.hostname or "", parts.port or 80, parts.path.rstrip("/")
        super().__init__(host, port)
        self.deadline = Deadline(0)

    def connect(self) -> None:
        """Open the connection within the deadline. Raises `OSError`."""
        limit_s = max(0.001, min(CONNECT_TIMEOUT_S, self.deadline.remaining_s))
        if self.unix_path:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(limit_s)
            try:
                sock.connect(self.unix_path)
            except BaseException:
                sock.close()
                raise
        else:
            sock = socket.create_connection((self.host, self.port), limit_s)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wrapped: Any = _Socket(sock, deadline=self.deadline)
        self.sock = wrapped

    def ask(
        self, method: str, *, path: str, deadline: Deadline, limit_bytes: int, headers: Optional[Mapping[str, str]] = None
    ) -> Reply:
        """One request. Raises `OSError` or `http.client.HTTPException` where no reply came; a cut body is returned."""
        self.deadline = deadline
        if isinstance(self.sock, _Socket):
            self.sock.deadline = deadline
        whole = False
        try:
            self.request(method, self.prefix + path, headers={"Accept": "*/*", "User-Agent": "eniagent", **(headers or {})})
            with self.getresponse() as response:
                reply = read_body(response, limit_bytes=limit_bytes)
            whole = not reply.cut
            return reply
        finally:
            # A connection on which something was left unread cannot serve another request.
            if not whole:
                self.close()


def read_body(response: http.client.HTTPResponse, *, limit_bytes: int) -> Reply:
    """The body up to its limit, in pieces, so that a peer that sends without end costs no memory."""
    pieces: list[bytes] = []
    size = 0
    # Counted here, because before Python 3.12 `read1` does not count down `length` and would wait for bytes that never come.
    expected = None if response.chunked else response.length

    def cut_off(text: str, **marks: bool) -> Reply:
        return Reply(status=response.status, body=b"".join(pieces)[:limit_bytes], cut=text, **marks)

    try:
        while expected is None or size < expected:
            piece = response.read1(CHUNK_BYTES if expected is None else min(CHUNK_BYTES, expected - size))
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if size > limit_bytes:
                return cut_off(f"body is larger than {limit_bytes} bytes", over_limit=True)
    except socket.timeout:
        return cut_off(f"timed out after {size} bytes of the body", timed_out=True)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # ValueError: a chunk size that is no number.
        return cut_off(f"body broke off after {size} bytes: {type(error).__name__}")
    if expected is not None and size < expected:
        return cut_off(f"body ended {expected - size} bytes early")
    return Reply(status=response.status, body=b"".join(pieces))
