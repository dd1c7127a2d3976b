"""Measures whole processes: `eniagent --version`, and `diagnose` of a replayed healthy node: `python bench/start_bench.py`.

Refuses to average: it prints medians of runs taken in turn, beside a bare start of the same Python.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import large_node
from eniagent.demo import recording, replay  # noqa: E402 - the checkout goes before an installed package

ROUNDS = 7
GOALS_S = {"--version": 0.12, "diagnose": 0.6, "diagnose, 58 pods": 0.6, "diagnose, 737 pods": 1.0}
NODES = {"diagnose, 58 pods": ("c5.xlarge", 4, 14, 56), "diagnose, 737 pods": ("m5.24xlarge", 15, 49, 735)}
"""Type, ENIs, addresses per ENI, pods with an address of their own: two more of each node use the host's network."""


def took_s(words: list[str], environment: dict[str, str]) -> float:
    """One run of a command, from start to end. Raises `CalledProcessError` where it fails."""
    began_s = time.perf_counter()
    subprocess.run(words, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began_s


def main() -> int:
    """Exit code 1 when a goal is missed."""
    with ExitStack() as until:
        staged = replay.stage(recording.find("healthy-busy"), until=until)
        environments: dict[str, dict[str, str]] = {}
        run = [sys.executable, "-c", replay.RUN]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "--version": [*run, "--version"],
            "diagnose": [*run, *staged.options(), "diagnose"],
        }
        for name, (instance_type, enis, per_eni, pods) in NODES.items():
            directory = Path(tempfile.mkdtemp(prefix="eniagent-bench-"))
            until.callback(shutil.rmtree, directory, ignore_errors=True)
            large_node.lay_out(directory / "captures", instance_type=instance_type, enis=enis, per_eni=per_eni, pods=pods)
            node = replay.stage_look(recording.open_look(directory / "captures"), directory, until=until)
            commands[name] = [*run, *node.options(), "diagnose"]
            environments[name] = node.environment()
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, words in commands.items():
                times[name].append(took_s(words, environments.get(name, staged.environment())))
    missed = False
    for name, taken in times.items():
        median = statistics.median(taken)
        goal = GOALS_S.get(name)
        missed = missed or (goal is not None and median > goal)
        print(f"{name:<20} median {median:6.3f} s   of {ROUNDS}   goal {f'{goal:.2f} s' if goal else '-'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
