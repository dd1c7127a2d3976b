"""One journalctl as a stream that reads ahead: it works while the reader is busy elsewhere, up to a bound of bytes.

Refuses to outlive its deadline or its reader: the whole process group is killed then, and a cut stream says so.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import queue
import re
import selectors
import subprocess
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Optional

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.commands import STDERR_BYTES, end_with_parent, environment, kill_group
from eniagent.model.capture import CaptureCut
from eniagent.model.reading import Why

PIPE_BYTES = 1 << 20
CHUNK_BYTES = 1 << 19
LET_FILL_S = 0.004
"""journalctl writes 4 KB at a time: a pause after a small piece lets the pipe fill, where a read for each would cost more than
all parsing. The pipe holds what journalctl prints in ten such pauses."""
_PIPE_SIZE = 1031
"""F_SETPIPE_SZ (linux/fcntl.h); `fcntl` names it from Python 3.10 on."""

_FORBIDDEN = re.compile(r"permission|not permitted|not seeing messages", re.IGNORECASE)
_NOTHING = re.compile(r"No journal files were found|No such file or directory|not a directory", re.IGNORECASE)
_DAMAGED = re.compile(r"truncated|corrupt|bad message|protocol driver|ignoring file|unsupported|not supported", re.IGNORECASE)

_open: weakref.WeakSet[Pipe] = weakref.WeakSet()


class Pipe:
    """A running journalctl. Starts at once; raises `OSError` where it cannot be started."""

    def __init__(self, argv: tuple[str, ...], *, deadline: Deadline, ahead_bytes: int) -> None:
        self._deadline, self._ahead_bytes = deadline, ahead_bytes
        self._ready: deque[bytes] = deque()
        self._held = 0
        self._stderr = b""
        self._ended = self._closed = self._timed_out = False
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes]
        begun: queue.SimpleQueue[Optional[BaseException]] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(argv, begun), name=f"read {argv[0]}", daemon=True).start()
        failed = begun.get()
        if failed is not None:
            raise failed
        _open.add(self)

    def _run(self, argv: tuple[str, ...], begun: queue.SimpleQueue[Optional[BaseException]]) -> None:
        """Start it and read it in one thread: the kernel ends it when the thread that started it dies."""
        try:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd="/", start_new_session=True,
                preexec_fn=end_with_parent(),
            )  # fmt: skip
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the start
            begun.put(error)
            return
        begun.put(None)
        assert self._process.stdout is not None
        if self._ahead_bytes >= PIPE_BYTES:
            # Without the right to a larger pipe the usual one serves, a little slower.
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._process.stdout.fileno(), _PIPE_SIZE, PIPE_BYTES)
        self._pump()

    def pieces(self) -> Iterator[bytes]:
        """The output in pieces, to its end. Raises `CaptureCut` at the deadline; closes the process when the reader leaves."""
        try:
            while True:
                with self._changed:
                    while not self._ready and not self._ended:
                        self._changed.wait(1.0)
                    if not self._ready:
                        break
                    piece = self._ready.popleft()
                    self._held -= len(piece)
                    self._changed.notify_all()
                yield piece
        finally:
            self.close()
        if self._timed_out:
            raise CaptureCut(Why.TIMED_OUT, "deadline: journalctl had not ended")

    def told(self) -> str:
        """What it said on stderr so far, on one line."""
        lines = [line.strip() for line in self._stderr.decode("utf-8", "replace").splitlines()]
        return "; ".join(dict.fromkeys(line for line in lines if line))[-600:]

    @property
    def exit(self) -> int:
        """Its exit code; 0 while it runs, or where we ended it ourselves."""
        code = self._process.poll()
        return code if code is not None and code > 0 else 0

    def close(self) -> None:
        """End it, whatever it does."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if not self._ended:
                self._changed.wait_for(lambda: self._ended, timeout=2.0)

    def _pump(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                for stream in (self._process.stdout, self._process.stderr):
                    assert stream is not None
                    selector.register(stream, selectors.EVENT_READ)
                while selector.get_map() and not self._closed:
                    self._read_ready(selector)
                    if self._deadline.expired and selector.get_map():
                        self._timed_out = not self._closed
                        return
            if not self._closed:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(timeout=max(0.05, min(2.0, self._deadline.remaining_s)))
        finally:
            kill_group(self._process)
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _read_ready(self, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select(min(0.2, self._deadline.remaining_s)):
            piece = os.read(key.fd, CHUNK_BYTES)
            if not piece:
                selector.unregister(key.fileobj)
            elif key.fileobj is self._process.stderr:
                self._stderr = (self._stderr + piece)[-STDERR_BYTES:]
            else:
                self._hand_over(piece)
                if self._ahead_bytes >= PIPE_BYTES and len(piece) < CHUNK_BYTES // 2:
                    clock.wait(LET_FILL_S)

    def _hand_over(self, piece: bytes) -> None:
        """Waits while the reader is `ahead_bytes` behind."""
        with self._changed:
            while self._held >= self._ahead_bytes and not self._closed and not self._deadline.expired:
                self._changed.wait(0.2)
            self._ready.append(piece)
            self._held += len(piece)
            self._changed.notify_all()


@atexit.register
def close_all() -> None:
    """No journalctl is left behind when the agent ends before it read one to its end."""
    for pipe in list(_open):
        pipe.close()


def complaint(told: str, *, exit_code: int) -> Optional[CaptureCut]:
    """What journalctl's stderr means for what was printed; None where it means nothing."""
    if _FORBIDDEN.search(told):
        return CaptureCut(Why.FORBIDDEN, told)
    if _NOTHING.search(told):
        return CaptureCut(Why.NOT_COLLECTED, told)
    if _DAMAGED.search(told) or exit_code:
        return CaptureCut(Why.MALFORMED, told or f"journalctl ended with {exit_code}")
    return None
