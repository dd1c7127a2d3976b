"""Measures the follower and the history as the daemon uses them, beside a real journald: `python bench/follower_bench.py [--quiet-s 120]`.

Refuses to count the writer and journald: only the follower's process and its journalctl are measured, by the kernel's own account.
Quiet: a node of 737 pods that logs some lines a second, one cycle in 30 s. Storm: 20,000 lines a second for ten seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from tests.follower.journald import Journald  # noqa: E402
from tests.follower.lines import Cluster  # noqa: E402

GOALS = {"quiet_cpu_s_per_minute": 0.06, "rss_mb": 45.0, "storm_missing": 0.0, "history_ms_per_cycle": 20.0}
QUIET_LINES_S = 5
CYCLE_S = 30.0
STORM_LINES = 200_000


def cpu_s(pid: int) -> float:
    """User and system time of a process, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def rss_mb(pid: int) -> float:
    """Resident memory that is not a mapped file: journalctl maps the journal's files, whose pages are journald's."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) / 1024


def follow(directory: str, path: str, cycle_s: float) -> None:
    """The measured process: cycles until its input ends; on each line of it one report."""
    from eniagent.edge.follower import CURSOR, Follower
    from eniagent.edge.history import History
    from eniagent.model.snapshot import NodeSnapshot
    from tests.build import healthy_snapshot

    node = healthy_snapshot(instance_type="m5.24xlarge", enis=15, pods=735)
    fields = {name: getattr(node, name) for name in node.__struct_fields__}
    history, told, stop = History.open(path), {"failures": 0, "entries": 0, "lag_s": 0.0, "cycles": 0, "gaps": 0, "history_s": 0.0}, threading.Event()
    follower = Follower.resume(history, journal_dir=directory)

    def report() -> None:
        for _ in sys.stdin:
            print(json.dumps({**told, "journalctl": follower.pid}), flush=True)
        stop.set()

    threading.Thread(target=report, daemon=True).start()
    more = False
    while not stop.wait(0.0 if more else cycle_s):
        batch = follower.drain(max_s=3.0)
        began = time.process_time()
        now = datetime.now(timezone.utc)
        snapshot = NodeSnapshot(**{**fields, "taken_at": now, "kubelet": batch.kubelet, "containerd": batch.containerd})
        new = history.store_cycle(snapshot, failures=batch.failures, transitions=batch.transitions, gaps=batch.gaps, cursors={CURSOR: batch.bookmark})
        follower.settle(batch)
        told["history_s"] += time.process_time() - began
        told["failures"] += len(new)
        told["entries"] += batch.entries
        told["gaps"] += len(batch.gaps)
        told["cycles"] += 1
        told["lag_s"], more = max(told["lag_s"], batch.lag_s), batch.more
    follower.close()


class Measured:
    """The measured process, asked from outside."""

    def __init__(self, journald: Journald, path: Path, *, cycle_s: float) -> None:
        argv = [sys.executable, __file__, "--follow", str(journald.directory), str(path), str(cycle_s)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=TOP)

    def told(self) -> dict[str, float]:
        """What it has counted so far."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        answer: dict[str, float] = json.loads(self.process.stdout.readline())
        return answer

    def pids(self) -> Iterator[int]:
        """It and its journalctl."""
        yield self.process.pid
        child = self.told()["journalctl"]
        if child:
            yield int(child)

    def close(self) -> None:
        """Let it end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=20)


def quiet(journald: Journald, path: Path, *, seconds: float) -> dict[str, float]:
    """A quiet node: some healthy lines a second."""
    cluster = Cluster(pods=737)
    measured = Measured(journald, path, cycle_s=CYCLE_S)
    time.sleep(3)
    for _ in range(20):
        journald.write(cluster.noise().message)
    time.sleep(CYCLE_S + 2)
    before = {pid: cpu_s(pid) for pid in measured.pids()}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        journald.write(cluster.noise().message)
        time.sleep(1 / QUIET_LINES_S)
    used = {pid: cpu_s(pid) - begin for pid, begin in before.items()}
    own, child = (used[pid] * 60 / seconds for pid in before)
    told = measured.told()
    result = {
        "quiet_cpu_s_per_minute": own + child, "quiet_own_cpu_s_per_minute": own, "quiet_journalctl_cpu_s_per_minute": child,
        "rss_mb": sum(rss_mb(pid) for pid in before), "history_ms_per_cycle": told["history_s"] / max(1, told["cycles"]) * 1e3,
    }  # fmt: skip
    measured.close()
    return result


def storm(journald: Journald, path: Path) -> dict[str, float]:
    """Failures and noise, as fast as journald takes them up to 20,000 a second."""
    cluster = Cluster(pods=737, seed=2)
    attempts = [cluster.attempt() for _ in range(2000)]
    noise = [cluster.noise().message for _ in range(200)]
    measured = Measured(journald, path, cycle_s=1.0)
    time.sleep(2)
    before = {pid: cpu_s(pid) for pid in measured.pids()}
    began, written, failures, peak = time.monotonic(), 0, 0, 0.0
    while written < STORM_LINES:
        _, _, lines = attempts[failures % len(attempts)]
        if failures < len(attempts):
            for line in lines:
                journald.write(line.message, identifier=line.identifier)
        failures = min(failures + 1, len(attempts))
        for message in noise[:90]:
            journald.write(message)
        written += 90 + len(lines)
        time.sleep(max(0.0, written / 20_000 - (time.monotonic() - began)))
    wrote_s = time.monotonic() - began
    told: Optional[dict[str, float]] = None
    end = time.monotonic() + 60
    while time.monotonic() < end:
        peak = max(peak, sum(rss_mb(pid) for pid in before))
        told = measured.told()
        if told["failures"] >= failures:
            break
        time.sleep(0.5)
    assert told is not None
    used = sum(cpu_s(pid) - begin for pid, begin in before.items())
    behind_s = time.monotonic() - began - wrote_s
    measured.close()
    return {
        "storm_lines_s": written / wrote_s, "storm_missing": failures - told["failures"], "storm_gaps": told["gaps"], "storm_cpu_s": used,
        "storm_lag_s": told["lag_s"], "storm_behind_s": behind_s, "storm_rss_mb": peak,
    }  # fmt: skip


def main() -> int:
    """Measure, print, and compare with the goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quiet-s", type=float, default=90.0)
    parser.add_argument("--follow", nargs=3, metavar=("DIRECTORY", "HISTORY", "CYCLE_S"))
    given = parser.parse_args()
    if given.follow:
        follow(given.follow[0], given.follow[1], float(given.follow[2]))
        return 0
    journald = Journald()
    try:
        with tempfile.TemporaryDirectory() as directory:
            results = quiet(journald, Path(directory) / "quiet.db", seconds=given.quiet_s)
            results.update(storm(journald, Path(directory) / "storm.db"))
    finally:
        journald.close()
    missed = [name for name, goal in GOALS.items() if results[name] > goal]
    for name, value in results.items():
        print(f"{name:36} {value:10.3f}" + (f"   goal {GOALS[name]}{'   MISSED' if name in missed else ''}" if name in GOALS else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
