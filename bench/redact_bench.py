"""Measures redaction on recorded logs and journals, in one process on one core: `python bench/redact_bench.py`.

Refuses to time the machine's other work: rates are of processor time, best of several passes; the wall clock is told beside it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from eniagent.redact import Pseudonyms, Scrubber  # noqa: E402
from tests.recorded import truths, unpack  # noqa: E402

CHUNK = 1 << 20
GOAL_SECRETS_MB_S = 400.0
GOAL_PEAK_GROWTH_MB = 64.0
KEY = b"the bench's key................."
SECRET_LINE = b'{"level":"error","ts":"2026-11-25T14:12:09.597Z","caller":"x.go:1","msg":"login failed, token=%d-Xy7aQ9 for https://u:p%d@host/"}\n'


class Took(NamedTuple):
    """One measurement."""

    cpu_s: float
    wall_s: float
    out: int


def logs(size: int) -> bytes:
    """Recorded ipamd and plugin logs and journals, repeated up to a size."""
    with tempfile.TemporaryDirectory() as place:
        pieces = []
        for name in sorted(truths()):
            target = Path(place) / name
            pieces += [path.read_bytes() for path in sorted(unpack(name, target).rglob("*")) if path.suffix in (".log", ".jsonl")]
            if sum(map(len, pieces)) >= size:
                break
    whole = b"".join(pieces)
    return (whole * (size // len(whole) + 1))[:size]


def with_secrets(data: bytes, *, every: int) -> bytes:
    """The same with a line that holds two secrets after every `every` lines."""
    lines = data.splitlines(keepends=True)
    return b"".join(line + (SECRET_LINE % (at, at) if at % every == 0 else b"") for at, line in enumerate(lines))


def chunks(data: bytes) -> Iterator[bytes]:
    """As a file is read."""
    return (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))


def best(run: Callable[[], int], *, times: int) -> Took:
    """The least processor time of several passes."""
    found = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        out = run()
        found.append(Took(time.process_time() - cpu, time.perf_counter() - wall, out))
    return min(found)


def scrub(by: Scrubber, data: bytes) -> int:
    """All of it through the scrubber; returns the bytes that came out."""
    return sum(map(len, by.scrub_chunks(chunks(data), kind="bench")))


def learnt(data: bytes) -> Scrubber:
    """A scrubber in strength `identifiers` that knows the names."""
    by = Scrubber("identifiers", Pseudonyms(KEY))
    by.learn_chunks(chunks(data), kind="bench")
    return by


def main() -> int:
    """Measure, tell, and fail where a goal is missed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size-mb", type=int, default=100)
    options.add_argument("--times", type=int, default=5)
    given = options.parse_args()
    data = logs(given.size_mb << 20)
    seeded, part = with_secrets(data, every=1000), data[: max(len(data) // 10, 1)]
    scrub(Scrubber("secrets"), data[: 4 << 20])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plain = Scrubber("secrets")
    rows = [("secrets, ordinary logs", len(data), best(lambda: scrub(plain, data), times=given.times))]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    found = Scrubber("secrets")
    rows.append(("secrets, every 1000th line with two", len(seeded), best(lambda: scrub(found, seeded), times=given.times)))
    rows.append(("identifiers, learning the names", len(part), best(lambda: len(learnt(part).counts), times=2)))
    by = learnt(part)
    rows.append(("identifiers, replacing them", len(part), best(lambda: scrub(by, part), times=2)))
    for name, size, took in rows:
        print(f"{name:38} {size / 1e6:8.1f} MB  {size / 1e6 / took.cpu_s:7.0f} MB/s of processor time  {size / 1e6 / took.wall_s:7.0f} MB/s by the wall clock")
    print(f"memory grew by {grown:.0f} MB; ordinary logs: {sum(plain.counts.values())} removed; planted: {sum(found.counts.values())} removed")
    rate = len(data) / 1e6 / rows[0][2].cpu_s
    missed = []
    if rate < GOAL_SECRETS_MB_S:
        missed.append(f"{rate:.0f} MB/s, wanted {GOAL_SECRETS_MB_S:.0f}")
    if rows[0][2].out != len(data) or plain.counts:
        missed.append("ordinary logs were changed")
    if grown > GOAL_PEAK_GROWTH_MB:
        missed.append(f"memory grew by {grown:.0f} MB, at most {GOAL_PEAK_GROWTH_MB:.0f}")
    print("missed: " + "; ".join(missed) if missed else "all goals met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
