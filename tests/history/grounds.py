"""A daemon's history on bad ground: `python -m tests.history.grounds WHAT DIRECTORY`, in a process and mount namespace of its own.

Refuses to judge: it prints what the history said and held at each step, as one JSON document.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable

from eniagent.edge import history as history_module
from eniagent.edge.history import Failure, History, Limits
from eniagent.model.net import PodName
from eniagent.model.reading import Observed
from eniagent.model.snapshot import NodeSnapshot

START = datetime(2026, 3, 1, tzinfo=timezone.utc)


class Life:
    """A daemon in small: cycles with one failure each, and a standing incident."""

    def __init__(self, path: Path, **limits: Any) -> None:
        self.history = History.open(path, limits=Limits(**limits))
        self.number = int(self.history.cursor("journal") or "0")

    def cycles(self, count: int, *, size_bytes: int = 2000) -> None:
        """So many cycles, each with one failure and something that does not compress."""
        for _ in range(count):
            self.number += 1
            at = START + timedelta(seconds=30 * self.number)
            snapshot = NodeSnapshot(taken_at=at, sysctls=Observed({"random": os.urandom(size_bytes // 2).hex()}, "sysctls", at))
            self.history.store_cycle(snapshot, failures=[Failure(PodName("a/p"), f"{self.number:064x}", at, "x")], cursors={"journal": str(self.number)})

    def told(self) -> dict[str, Any]:
        """State and contents."""
        state = self.history.state
        case = self.history.case_at(START + timedelta(days=99), before=3)
        return {
            "degraded": state.degraded, "detail": state.detail, "lost": state.lost, "failures": len(self.history.failures()), "number": self.number,
            "cursor": self.history.cursor("journal"), "newest": case is not None and case.now.taken_at == START + timedelta(seconds=30 * self.number),
            "incidents": [i.cause for i in self.history.incidents(standing=True)], "parcels": len(self.history.parcels()),
        }  # fmt: skip


def full(directory: Path) -> list[dict[str, Any]]:
    """A disk of 4 MB that fills up, first by us and others, and is emptied again."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "small", str(directory)], check=True)
    life = Life(directory / "h.db")
    life.history.open_incident("before", subject="s", at=START)
    life.history.post("/b/1", target="t", at=START)
    life.cycles(20)
    steps = [life.told()]
    filler = directory / "filler"
    # Unbuffered: what cannot be written must not wait to be written at the end.
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    life.cycles(30)
    life.history.open_incident("while-full", subject="s", at=START)
    life.history.take_out(life.history.parcels()[0])
    steps.append(life.told())
    filler.unlink()
    life.cycles(2)
    return [*steps, life.told(), *again(directory / "h.db")]


def limited(directory: Path) -> list[dict[str, Any]]:
    """RLIMIT_FSIZE: the kernel refuses to let the file grow."""
    life = Life(directory / "h.db")
    life.cycles(5)
    steps = [life.told()]
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    life.cycles(100)
    steps.append(life.told())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    life.cycles(1)
    return [*steps, life.told(), *again(directory / "h.db")]


def read_only(directory: Path) -> list[dict[str, Any]]:
    """A directory that becomes read-only under a running daemon, a start on one, and its return."""
    subprocess.run(["mount", "-t", "tmpfs", "small", str(directory)], check=True)
    life = Life(directory / "h.db")
    life.cycles(5)
    steps = [life.told()]
    life.history.close()
    subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
    with History.read(directory / "h.db") as reader:
        steps.append({"failures": len(reader.failures())})
    life = Life(directory / "h.db")
    life.cycles(5)
    steps.append(life.told())
    subprocess.run(["mount", "-o", "remount,rw", str(directory)], check=True)
    life.cycles(1)
    return [*steps, life.told(), *again(directory / "h.db")]


def missing(directory: Path) -> list[dict[str, Any]]:
    """No directory at the start; it appears later."""
    life = Life(directory / "later" / "h.db")
    life.cycles(5)
    steps = [life.told()]
    (directory / "later").mkdir()
    life.cycles(1)
    return [*steps, life.told(), *again(directory / "later" / "h.db")]


def again(path: Path) -> list[dict[str, Any]]:
    """What another process would read."""
    with History.read(path) as reader:
        return [{"failures": len({f.sandbox for f in reader.failures()}), "cursor": reader.cursor("journal"), "incidents": [i.cause for i in reader.incidents(standing=True)], "parcels": len(reader.parcels())}]


WHAT: dict[str, Callable[[Path], list[dict[str, Any]]]] = {"full": full, "limited": limited, "read-only": read_only, "missing": missing}

if __name__ == "__main__":
    # A test has no time to wait for the file to be tried again.
    history_module.RETRY_S = history_module.RETRY_MOST_S = 0.0
    print(json.dumps(WHAT[sys.argv[1]](Path(sys.argv[2]))))
