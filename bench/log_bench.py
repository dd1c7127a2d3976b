"""Measures how fast all signatures are matched over a large ipamd.log: `python bench/log_bench.py [--megabytes 500]`.

The log is made of recorded lines. Recordings thin out the two debug lines that a full node prints once per CIDR and ADD; they
are put back here, because they are what a large ipamd.log is large with.
"""

from __future__ import annotations

import argparse
import io
import resource
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eniagent.sources import Span  # noqa: E402 - the checkout goes before an installed package
from eniagent.sources.log_fold import LogFold  # noqa: E402
from tests.recorded import packed, truths  # noqa: E402

GOAL_MB_S = 200.0
CIDRS = 28
"""CIDRs of a full m5.large: each failed ADD walks all of them."""
PER_CIDR = (b"Get free IP from prefix failed", b"Unable to get IP address from CIDR")


def recorded_lines() -> list[bytes]:
    """ipamd.log of all recordings, the thinned lines put back."""
    lines: list[bytes] = []
    for name in sorted(truths()):
        with tarfile.open(packed(name), "r:xz") as archive:
            logs = [m for m in archive.getmembers() if m.name.endswith("logs/ipamd.log")]
            found = archive.extractfile(max(logs, key=lambda m: m.name)) or io.BytesIO()
            for line in found.read().splitlines(keepends=True):
                lines += [line] * (CIDRS if any(words in line for words in PER_CIDR) else 1)
    return lines


def chunks(path: Path) -> Iterator[bytes]:
    """The file in pieces, as the edge reads it."""
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece


def main() -> int:
    """Exit code 1 when the goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=500)
    wanted = parser.parse_args().megabytes * 1_000_000
    body = b"".join(recorded_lines())
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ipamd.log"
        with path.open("wb") as file:
            while file.tell() < wanted:
                file.write(body)
        size = path.stat().st_size
        del body
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        fold = LogFold("ipamd", Span(until=datetime.now(timezone.utc)))
        began_s, cpu_s = time.perf_counter(), time.process_time()
        fold.feed("logs/ipamd.log", chunks(path))
        log = fold.log()
        took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    speed = size / 1e6 / cpu_s
    print(f"{size / 1e6:.0f} MB, {log.lines} lines, {sum(log.counts.values())} matches: {took_s:.2f} s wall, {cpu_s:.2f} s cpu, {speed:.0f} MB/s of cpu, goal {GOAL_MB_S:.0f}, memory +{grown_kb / 1024:.0f} MB")
    return 0 if speed >= GOAL_MB_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
