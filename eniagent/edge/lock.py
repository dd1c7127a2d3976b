"""The lock that makes one daemon of many: held by the kernel for as long as the process lives.

Refuses to judge by a process id in a file: one that was left behind says nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from types import TracebackType
from typing import Optional

from eniagent.edge.errors import AgentError, ConfigError, Problem


class AlreadyRunning(AgentError):
    """Another daemon holds the lock."""

    exit_code = 9


class Lock:
    """`RUN_DIR/lock`. Raises `AlreadyRunning`, or `ConfigError` where the directory cannot be used."""

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/lock"
        try:
            os.makedirs(directory, mode=0o755, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            what = f"{self._path}: {(error.strerror or str(error)).lower()}"
            raise ConfigError((Problem("run_dir", "daemon", what, "name a directory that the daemon may write to"),)) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise AlreadyRunning(f"{self._path}: another daemon runs{f', process {holder}' if holder else ''}; stop it first") from error
        # For people alone: the lock is what counts. On a full disk it stays without a number.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        os.close(self._descriptor)


def is_held(directory: str) -> Optional[bool]:
    """Whether a daemon runs that uses this directory; None where that cannot be seen."""
    try:
        descriptor = os.open(f"{directory}/lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
