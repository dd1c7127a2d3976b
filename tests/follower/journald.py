"""A real systemd-journald of the test's own: in a mount namespace, with its directories below one that the test can see.

Refuses to touch the machine's journal: /run in that namespace is the test's directory.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

PROGRAMS = ("/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald")
MACHINE = "97c1a6e75385e66c6d96bef7f7729e8e"

_SCRIPT = """
mount --make-rprivate /
mkdir -p {top}/run/systemd/journal {top}/run/log/journal {top}/conf
mount --bind {top}/run /run
printf '%s\\n' {machine} > {top}/machine-id
mount --bind {top}/machine-id /etc/machine-id
mount --bind {top}/conf /etc/systemd
exec {program}
"""


class Journald:
    """A running journald. `settings`: lines of its [Journal] section."""

    def __init__(self, *, settings: Iterable[str] = ()) -> None:
        # A socket's path must be short, and pytest's own directories are not.
        self._top = Path(tempfile.mkdtemp(prefix="jd"))
        (self._top / "conf").mkdir()
        text = "\n".join(["[Journal]", "Storage=volatile", "ReadKMsg=no", "Audit=no", "RateLimitBurst=0", *settings])
        (self._top / "conf" / "journald.conf").write_text(text + "\n")
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.start()

    @property
    def running(self) -> bool:
        """Whether it was not stopped."""
        return self._process is not None

    @property
    def directory(self) -> Path:
        """What `journalctl --directory` takes."""
        return self._top / "run" / "log" / "journal" / MACHINE

    def start(self) -> None:
        """Start it (again), and wait until it writes."""
        program = next(path for path in PROGRAMS if Path(path).exists())
        script = _SCRIPT.format(top=self._top, program=program, machine=MACHINE)
        self._process = subprocess.Popen(["unshare", "--map-root-user", "--mount", "sh", "-ec", script], stderr=subprocess.DEVNULL)
        address = str(self._top / "run" / "systemd" / "journal" / "socket")
        end = time.monotonic() + 10
        while True:
            try:
                self._socket.connect(address)
                if list(self.directory.glob("*.journal")):
                    return
            except OSError:
                assert self._process.poll() is None, "journald ended"
            assert time.monotonic() < end, "journald did not come up"
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal, and wait for that."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=10)
            self._process = None

    def signal(self, number: int) -> None:
        """SIGUSR2 has it rotate its files."""
        assert self._process is not None
        self._process.send_signal(number)

    def write(self, message: bytes, *, identifier: str = "kubelet") -> None:
        """One entry. Source: systemd, Native Journal Protocol."""
        head = b"SYSLOG_IDENTIFIER=" + identifier.encode() + b"\n"
        if b"\n" in message:
            self._socket.send(head + b"MESSAGE\n" + len(message).to_bytes(8, "little") + message + b"\n")
        else:
            self._socket.send(head + b"MESSAGE=" + message + b"\n")

    def close(self) -> None:
        """End it and remove what it wrote."""
        self.stop()
        self._socket.close()
        shutil.rmtree(self._top, ignore_errors=True)
