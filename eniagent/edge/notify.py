"""What the service tells its manager: ready, alive, reloading, stopping, over the socket that systemd names.

Refuses to fail: without a manager, or with one that does not listen, nothing is told. Source: sd_notify(3), systemd 252.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

from eniagent.edge import clock


class Manager:
    """The service manager of this process; takes its two variables out of `environ`, so that no child speaks for us."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        told = environ.get("WATCHDOG_USEC", "")
        mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(told) / 1e6 if told.isdigit() and mine else 0.0
        """Within this time a ping must follow the last one; 0: nobody waits for any."""

    def ready(self, status: str) -> None:
        """The first cycle is finished, or a reload is."""
        self._tell("READY=1", f"STATUS={status}")

    def alive(self, status: str) -> None:
        """A cycle is finished."""
        self._tell("WATCHDOG=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` follows."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(clock.ticks_s() * 1e6)}")

    def stopping(self) -> None:
        """The process is about to end."""
        self._tell("STOPPING=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            # A manager that does not read must not stop a cycle.
            sock.settimeout(1.0)
            sock.sendto("\n".join(line.replace("\n", " ") for line in lines).encode(), self._address)
