"""One resident `journalctl -f`: its arguments, and its output read without waiting longer than asked.

Refuses to read ahead: what is not read stays in the pipe, and journalctl waits. A storm thus costs the pipe and nothing more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
from collections.abc import Sequence
from typing import Optional

from eniagent.edge import clock
from eniagent.edge.commands import STDERR_BYTES, end_with_parent, environment, kill_group
from eniagent.edge.journal import FIELDS_SINCE, Tool
from eniagent.edge.journal_pipe import complaint
from eniagent.model.capture import CaptureCut

READ_BYTES = 1 << 18
PIPE_BYTES = 1 << 20
"""Holds what a quiet node logs between two cycles, so that journalctl does not have to wait."""
LET_FILL_S = 0.004
_PIPE_SIZE = 1031
"""F_SETPIPE_SZ (linux/fcntl.h); `fcntl` names it from Python 3.10 on."""
FIELDS = "MESSAGE,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER"


def arguments(tool: Tool, *, where: Sequence[str], matches: Sequence[str], begin: str) -> tuple[str, ...]:
    """The command. `begin` is `--cursor=...` or `--since=...`.

    Without a pattern: the place must move on over lines that tell nothing, or the cursor of a quiet hour would be vacuumed. With
    `--no-tail`, because `-f` alone begins at the last ten lines (journalctl(1)). With `--merge` where no directory is named, because
    `-f` alone leaves out what was logged before the last boot, and all of it where the boot's id cannot be seen (systemd v252,
    journalctl.c).
    """
    fields = (f"--output-fields={FIELDS}",) if tool.release >= FIELDS_SINCE else ()
    return (tool.path, *(where or ("--merge",)), "--no-pager", "--quiet", "--follow", "--no-tail", "--output=export", *fields, begin, *matches)


class Child:
    """A running journalctl. Raises `OSError` where it cannot be started. Ends with the thread that started it."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd="/", start_new_session=True,
            preexec_fn=end_with_parent(), bufsize=0,
        )  # fmt: skip
        assert self._process.stdout is not None and self._process.stderr is not None
        self._out, self._err = self._process.stdout.fileno(), self._process.stderr.fileno()
        self._stderr = b""
        for number in (self._out, self._err):
            os.set_blocking(number, False)
        # Without the right to a larger pipe the usual one serves.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._out, _PIPE_SIZE, PIPE_BYTES)
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def read(self, *, timeout_s: float) -> Optional[bytes]:
        """The next piece; None where none comes in time, b"" at the end."""
        self._hear()
        if not self._poll.poll(max(0.0, timeout_s) * 1000):
            return None
        piece = self._take()
        if piece and len(piece) < READ_BYTES // 4:
            # It writes 4 KB at a time: a read for each of them would cost more than all parsing.
            clock.wait(LET_FILL_S)
            piece += self._take() or b""
        return piece

    def _take(self) -> Optional[bytes]:
        try:
            return os.read(self._out, READ_BYTES)
        except BlockingIOError:
            return None

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._stderr = (self._stderr + os.read(self._err, STDERR_BYTES))[-STDERR_BYTES:]

    def told(self) -> str:
        """What it said on stderr, on one line."""
        lines = [line.strip() for line in self._stderr.decode("utf-8", "replace").splitlines()]
        return "; ".join(dict.fromkeys(line for line in lines if line))[-600:]

    def end(self) -> CaptureCut:
        """Wait for one that has ended by itself, and say why."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        self._hear()
        code = self._process.poll()
        self.close()
        told = self.told() or (f"journalctl was ended by signal {-code}" if code is not None and code < 0 else f"journalctl ended with {code}")
        found = complaint(told, exit_code=1)
        assert found is not None, "an exit code is a complaint"
        return found

    def close(self) -> None:
        """End it, whatever it does."""
        kill_group(self._process)
