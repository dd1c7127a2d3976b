"""Measures a whole `bundle create` with redaction and digests against `tar czf` of the same files: `python bench/bundle_bench.py`.

Both are run in turn on the same logs with the caches warm; the archive is unpacked and must hold every line that went in.
With `--memory` 2 GB of logs, and the most memory that the run took.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from bench.log_bench import recorded_lines  # noqa: E402 - the checkout goes before an installed package

NOW = datetime(2026, 11, 25, 14, 0, tzinfo=timezone.utc)
GOAL = 5.0
GOAL_PEAK_MB = 150.0
MEASURE = (
    "import resource, subprocess, sys, time\n"
    "begun = time.perf_counter()\n"
    "ended = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)\n"
    "sys.stdout.write(f'{time.perf_counter() - begun} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024} {ended.returncode}\\n')\n"
    "sys.stdout.write(ended.stdout.decode())\n"
)
_STAMP = re.compile(rb'"ts":"[^"]*"')
_ID = re.compile(rb"\b[0-9a-f]{64}\b")


class Run(NamedTuple):
    """One measured process."""

    took_s: float
    peak_mb: float
    code: int
    said: str


def lines(size: int) -> Iterator[bytes]:
    """Recorded lines with times that move on and ids of their own, as a log has them."""
    chance = random.Random(1)
    recorded = recorded_lines()
    made = number = 0
    while made < size:
        line = recorded[number % len(recorded)]
        at = (NOW - timedelta(seconds=3500) + timedelta(microseconds=number * 900)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        line = _STAMP.sub(b'"ts":"%sZ"' % at.encode(), line, count=1)
        line = _ID.sub(lambda _: chance.randbytes(32).hex().encode(), line)
        made += len(line)
        number += 1
        yield line


def make_node(directory: Path, *, size: int) -> Path:
    """Captures of a node that has logged so much within its window."""
    (directory / "logs").mkdir(parents=True)
    with (directory / "logs/ipamd.log").open("wb", buffering=1 << 20) as file:
        file.writelines(lines(size))
    manifest = {"schema": "eniagent.captures/1", "taken_at": NOW.isoformat(), "node": {}, "captures": [{"probe": "read", "file": "logs/ipamd.log"}]}
    (directory / "manifest.json").write_text(json.dumps(manifest), encoding="ascii")
    return directory


def measured(*words: str, environment: dict[str, str]) -> Run:
    """Run a command in a process of its own."""
    ended = subprocess.run([sys.executable, "-c", MEASURE, *words], capture_output=True, check=True, env={**os.environ, **environment})
    numbers, _, said = ended.stdout.decode().partition("\n")
    took_s, peak_mb, code = numbers.split()
    return Run(float(took_s), float(peak_mb), int(code), said)


def bundle(node: Path, out: Path) -> Run:
    """`bundle create` of the node, as it is by default."""
    command = Path(sys.executable).with_name("eniagent")
    return measured(str(command), "bundle", "create", "--from", str(node), environment={"ENIAGENT_BUNDLE_DIR": str(out)})


def unpacked_digest(said: str) -> str:
    """The digest of the log as it stands in the bundle."""
    path = said.split("path=")[1].split(" ")[0]
    digest = hashlib.sha256()
    with subprocess.Popen(["tar", "xzOf", path, "--wildcards", "*/captures/logs/ipamd.log"], stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        for piece in iter(lambda: tar.stdout.read(1 << 20), b""):  # type: ignore[union-attr]
            digest.update(piece)
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def compare(directory: Path, *, megabytes: int, runs: int) -> bool:
    """The ratio of medians; False where the goal is missed or a line is missing."""
    node = make_node(directory / "node", size=megabytes * 1_000_000)
    out = directory / "out"
    out.mkdir(mode=0o700)
    ours, theirs = [], []
    for _ in range(runs):
        ours.append(bundle(node, out))
        theirs.append(measured("tar", "czf", str(directory / "logs.tar.gz"), "-C", str(node), ".", environment={}))
    whole = unpacked_digest(ours[-1].said) == digest_of(node / "logs/ipamd.log")
    ratio = statistics.median(run.took_s for run in theirs) / statistics.median(run.took_s for run in ours)
    print(
        f"{megabytes} MB of logs: bundle create {statistics.median(run.took_s for run in ours):.2f} s, {max(run.peak_mb for run in ours):.0f} MB of memory; "
        f"tar czf {statistics.median(run.took_s for run in theirs):.2f} s; {ratio:.1f} x faster, goal {GOAL:.0f}; every line {'is there' if whole else 'IS NOT THERE'}"
    )
    return ratio >= GOAL and whole and all(run.code == 0 for run in ours)


def memory(directory: Path) -> bool:
    """Two gigabytes of logs."""
    node = make_node(directory / "node", size=2_000_000_000)
    out = directory / "out"
    out.mkdir(mode=0o700)
    run = bundle(node, out)
    archive = next(out.glob("*.tar.gz"))
    print(f"2 GB of logs: {run.peak_mb:.0f} MB of memory, goal {GOAL_PEAK_MB:.0f}; {run.took_s:.1f} s, archive of {archive.stat().st_size / 1e6:.0f} MB")
    return run.peak_mb <= GOAL_PEAK_MB and run.code == 0


def main() -> int:
    """Exit code 1 when a goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="also bundle 2 GB of logs")
    asked = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        met = compare(Path(directory), megabytes=asked.megabytes, runs=asked.runs)
    if asked.memory:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
            met = memory(Path(directory)) and met
    print(f"measured in {time.perf_counter() - begun:.0f} s")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
