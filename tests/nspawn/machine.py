"""A machine of its own: a layer over a kept tree, booted with its real systemd, without the network of this one.

Refuses to outlive its test: it is powered off, else killed, and its layer thrown away.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional

from tests.trees import kept_tree, layer

BOOT_S = 60.0
_numbers = itertools.count()


class Machine:
    """A booted container. `root` is its file system, seen from outside."""

    def __init__(self, root: pathlib.Path, process: subprocess.Popen[bytes], leader: int) -> None:
        self.root, self._process, self._leader = root, process, leader

    def run(self, *words: str, check: bool = True, timeout_s: float = 60, user: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command inside, in all its namespaces."""
        inside = ["nsenter", "--target", str(self._leader), "--all", *(["setpriv", f"--reuid={user}", "--clear-groups"] if user else []), *words]
        done = subprocess.run(inside, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def out(self, *words: str, timeout_s: float = 60) -> str:
        """What a command prints."""
        return self.run(*words, timeout_s=timeout_s).stdout

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit."""
        lines = self.out("systemctl", "show", unit, *(f"--property={name}" for name in names)).splitlines()
        return dict(line.partition("=")[::2] for line in lines)

    def status(self) -> dict[str, Any]:
        """`eniagent status --format json`."""
        found: dict[str, Any] = json.loads(self.out("eniagent", "status", "--format", "json"))
        return found

    def wait(self, what: str, until: Callable[[], Any], *, timeout_s: float = 60) -> Any:
        """The first true answer of `until`; fails with the end of the journal where none comes."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = until()
            if found:
                return found
            time.sleep(0.3)
        raise AssertionError(f"{what}: not within {timeout_s:g} s\n{self.journal()[-6000:]}")

    def journal(self, *words: str) -> str:
        """The journal of the service."""
        return self.out("journalctl", "--no-pager", "--output=short-precise", *(words or ("--unit=eniagent", "--lines=60")))

    def write(self, path: str, text: str) -> None:
        """A file inside."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def booted(prepare: Callable[[pathlib.Path], None]) -> Iterator[Machine]:
    """A machine whose file system `prepare` has had its hands on."""
    with layer(kept_tree("bookworm")) as root:
        prepare(root)
        (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
        (root / "var/log/journal").mkdir(parents=True, exist_ok=True)
        words = ["systemd-nspawn", "--boot", "--private-network", "--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off", "--timezone=off",
                 "--kill-signal=SIGRTMIN+4", "--system-call-filter=bpf", f"--machine=eniagent-{os.getpid()}-{next(_numbers)}", f"--directory={root}"]  # fmt: skip
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        said = open(root.parent / "nspawn.log", "wb")  # noqa: SIM115 - the child's
        process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        said.close()
        try:
            machine = Machine(root, process, _leader(process, said=root.parent / "nspawn.log"))
            machine.wait("boot", lambda: machine.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"), timeout_s=BOOT_S)
            yield machine
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _leader(process: subprocess.Popen[bytes], *, said: pathlib.Path) -> int:
    """The container's first process: the child of nspawn."""
    deadline = time.monotonic() + BOOT_S
    while time.monotonic() < deadline and process.poll() is None:
        found = _child(process.pid)
        if found is not None and pathlib.Path(f"/proc/{found}/comm").read_text().strip() == "systemd":
            return found
        time.sleep(0.1)
    raise RuntimeError(f"systemd-nspawn did not boot the tree: {said.read_text(encoding='utf-8', errors='replace')[-1000:]}")


def _child(pid: int) -> Optional[int]:
    with contextlib.suppress(OSError):
        told = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(told[0]) if told else None
    return None
