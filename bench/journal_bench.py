"""Measures `diagnose` over a journal of a million entries against the grep that people use, in one run: `python bench/journal_bench.py`.

Refuses to compare across runs: each ratio is of medians taken in turn on the same files, with the caches warm.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple, Optional

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from bench.journal_files import Made, Size, make  # noqa: E402

SETS = {
    "1 % failure lines": Size(1_000_000, 0.01),
    "20 % failure lines": Size(1_000_000, 0.20),
    "20 %, each line an attempt of its own": Size(1_000_000, 0.20, single=True),
}
GOALS = {"1 % failure lines": 0.5, "20 % failure lines": 1.0, "20 %, each line an attempt of its own": 1.0}
GOAL_WITHOUT_PCRE2 = 2.0
GOAL_PEAK_MB = 80.0
GREP = "journalctl --directory {dir} -u kubelet | grep -ci 'failed to allocate for range'"


class Run(NamedTuple):
    """One measured process. `peak_mb` is its own, without its children; `cpu_s` theirs and its own."""

    took_s: float
    cpu_s: float
    peak_mb: float
    failures: Optional[int]


def own_command(directory: Path, made: Made) -> list[str]:
    """The readers alone, as a process: what `diagnose` spends on journals."""
    return [sys.executable, "-m", "bench.journal_read", str(directory), str(made.since_us), str(made.until_us)]


def given_command(words: str, directory: Path, made: Made) -> list[str]:
    """The command under test with the places and the window filled in."""
    age_s = int(time.time() - made.since_us / 1e6) + 3600  # The window must still hold the first entry in the last round.
    return [word.format(dir=directory, since=f"{age_s}s") for word in words.split()]


def without_pcre2(place: Path) -> dict[str, str]:
    """An environment in which journalctl has no pattern matching."""
    real = shutil.which("journalctl")
    place.mkdir(parents=True, exist_ok=True)
    wrapper = place / "journalctl"
    wrapper.write_text(
        f'#!/bin/sh\ncase " $* " in *" --version "*) {real} --version | sed s/+PCRE2/-PCRE2/; exit;; '
        f'*" -g"*|*" --grep"*) echo "Compiled without pattern matching support" >&2; exit 1;; esac\nexec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    return {**os.environ, "PATH": f"{place}:{os.environ['PATH']}"}


def measure(argv: list[str], environment: dict[str, str]) -> Run:
    """One run of the agent. The peak is read from the process itself where it tells, else from the kernel's account of it."""
    began, spent = time.perf_counter(), _cpu_s()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=TOP, env=environment)
    peak_kb, output = 0, b""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        peak_kb = max(peak_kb, _peak_kb(status))
        output += process.stdout.read() or b""
        time.sleep(0.01)
    output += process.stdout.read() or b""
    took = time.perf_counter() - began
    try:
        failures = json.loads(output)["impact"]["failures"]
    except (ValueError, KeyError):
        failures = None
    return Run(took, _cpu_s() - spent, peak_kb / 1024, failures)


def _peak_kb(status: Path) -> int:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _cpu_s() -> float:
    """Processor time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def grep(directory: Path) -> Run:
    """The pipeline that people type."""
    began, spent = time.perf_counter(), _cpu_s()
    subprocess.run(GREP.format(dir=directory), shell=True, stdout=subprocess.DEVNULL, check=False)
    return Run(time.perf_counter() - began, _cpu_s() - spent, 0.0, None)


def bench(name: str, size: Size, options: argparse.Namespace) -> bool:
    """One set of files: the table's rows. Returns whether every goal is met."""
    place = Path(options.dir) / f"{size.entries}-{size.share}-{size.single}-{size.pods}-{size.seed}"
    made = make(place, size, start_us=int((time.time() - 7200) * 1e6))
    directory = place / "journal"
    argv = given_command(options.cmd, directory, made) if options.cmd else own_command(directory, made)
    plain = dict(os.environ)
    lame = without_pcre2(Path(options.dir) / "no-pcre2")
    greps: list[Run] = []
    runs: list[Run] = []
    lames: list[Run] = []
    grep(directory)
    for _ in range(options.rounds):
        greps.append(grep(directory))
        runs.append(measure(argv, plain))
        lames.append(measure(argv, lame))
    base = statistics.median(run.took_s for run in greps)
    spent = statistics.median(run.cpu_s for run in greps)
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{name}: {made.failures} attempts, {made.pods} pods; grep {base:.2f} s, {spent:.2f} s of processor; load {load} on {os.cpu_count()} cores")
    good = _row("with PCRE2", runs, base=base, goal=GOALS[name], made=made)
    return _row("without PCRE2", lames, base=base, goal=GOAL_WITHOUT_PCRE2, made=made) and good


def _row(what: str, runs: list[Run], *, base: float, goal: float, made: Made) -> bool:
    took = statistics.median(run.took_s for run in runs)
    spent = statistics.median(run.cpu_s for run in runs)
    peak = max(run.peak_mb for run in runs)
    exact = all(run.failures == made.failures for run in runs)
    good = took / base <= goal and peak <= GOAL_PEAK_MB and exact
    counted = "exact" if exact else f"counted {runs[0].failures}"
    print(f"  {what:14} {took:6.2f} s  x{took / base:4.2f} (<= {goal})  processor {spent:5.2f} s  peak {peak:5.1f} MB (<= {GOAL_PEAK_MB:.0f})  {counted:12} {'ok' if good else 'MISSED'}")
    return good


def main() -> int:
    """Exit code 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", default="build/bench-journals", help="where the journal files are kept between runs")
    parser.add_argument("--cmd", help="the command to measure, with {dir} and {since}: 'eniagent --journal-dir {dir} diagnose --since {since} --format json'")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", choices=[*SETS], action="append", help="only these sets")
    options = parser.parse_args()
    options.dir = str(Path(options.dir).resolve())
    met = [bench(name, size, options) for name, size in SETS.items() if not options.set or name in options.set]
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
