"""ipamd and IMDS as they were recorded, served on loopback ports that the system picks.

Refuses what the real ones refuse: IMDS answers nobody without a token, and a look that was refused finds no listener.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple

from eniagent.demo.recording import Look

LOOPBACK = "127.0.0.1"
INTROSPECTION = {
    "/v1/enis": "ipamd/enis.json",
    "/v1/ipamd-env-settings": "ipamd/ipamd-env-settings.json",
    "/v1/networkutils-env-settings": "ipamd/networkutils-env-settings.json",
    "/v1/eni-configs": "ipamd/eni-configs.json",
}
METRICS = {"/metrics": "ipamd/metrics.txt"}
TREE = "imds/tree.json"
TTL_HEADER, TOKEN_HEADER = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"


class Urls(NamedTuple):
    """Base URLs of what is served."""

    ipamd: str
    metrics: str
    imds: str


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    look: Look
    stopping: threading.Event


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Nothing: stderr belongs to the diagnosis."""

    def answer(self, status: int, body: bytes, *, kind: str = "text/plain") -> None:
        """One complete reply."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hang(self) -> None:
        """Never answer, as long as the replay lasts."""
        self.close_connection = True
        self.server.stopping.wait()


class _Ipamd(_Handler):
    files: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        """The recorded body; any other path gives the list of commands, as ipamd does."""
        look, file = self.server.look, self.files.get(self.path, "")
        told = look.told.get(file, {})
        if told.get("failure") == "timed out":
            self.hang()
        elif file and file in look.told and "failure" not in told:
            self.answer(int(told.get("status") or 200), look.body(file), kind="application/json")
        else:
            self.answer(200, json.dumps({"AvailableCommands": sorted(self.files)}).encode(), kind="application/json")


class _Introspection(_Ipamd):
    files = INTROSPECTION


class _Metrics(_Ipamd):
    files = METRICS


class _Imds(_Handler):
    token = secrets.token_urlsafe(32)

    def _tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = json.loads(self.server.look.body(TREE) or b"{}")
        return tree

    def do_PUT(self) -> None:
        """A token, to those who ask as IMDSv2 wants it."""
        entry = self._tree().get("api/token", {})
        if entry.get("failure"):
            self.hang()
        elif self.path != "/latest/api/token" or not self.headers.get(TTL_HEADER, "").isdigit():
            self.answer(400, b"")
        else:
            self.answer(int(entry.get("status", 200)), self.token.encode())

    def do_GET(self) -> None:
        """One key, or the list below it; 401 without the token, 404 for what is not there."""
        if self.headers.get(TOKEN_HEADER) != self.token:
            self.answer(401, b"")
            return
        key, tree = self.path[len("/latest/") :], self._tree()
        entry = tree.get(key)
        if entry is not None and entry.get("failure"):
            self.hang()
        elif entry is not None:
            self.answer(int(entry["status"]), str(entry.get("body", "")).encode())
        else:
            names = _children(list(tree), directory=key if key.endswith("/") else f"{key}/")
            self.answer(200 if names else 404, "\n".join(names).encode())


def _children(keys: list[str], *, directory: str) -> list[str]:
    """What a directory of the tree lists: names, those of directories with a slash."""
    below = [key[len(directory) :] for key in keys if key.startswith(directory)]
    return sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in below})


def _start(handler: type[_Handler], look: Look, *, until: ExitStack) -> str:
    server = _Server((LOOPBACK, 0), handler)
    server.look, server.stopping = look, threading.Event()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    until.callback(server.server_close)
    until.callback(server.shutdown)
    until.callback(server.stopping.set)
    return f"http://{LOOPBACK}:{server.server_port}"


def _start_deaf(*, until: ExitStack) -> str:
    """A port that refuses: bound, so that nobody else gets it, and never listened on."""
    held = until.enter_context(socket.socket())
    held.bind((LOOPBACK, 0))
    return f"http://{LOOPBACK}:{held.getsockname()[1]}"


def serve(look: Look, *, until: ExitStack) -> Urls:
    """Starts all servers; they end with `until`."""

    def one(handler: type[_Handler], *files: str) -> str:
        refused = look.failure(*files) == "refused"
        return _start_deaf(until=until) if refused else _start(handler, look, until=until)

    return Urls(
        ipamd=one(_Introspection, *INTROSPECTION.values()),
        metrics=one(_Metrics, *METRICS.values()),
        imds=one(_Imds, TREE),
    )
