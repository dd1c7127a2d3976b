"""Writes journal files of a chosen size: export-format text, converted by systemd-journal-remote.

Refuses to sample time or randomness: the same arguments give the same entries.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, Optional

from bench import journal_lines as lines

REMOTE = ("/usr/lib/systemd/systemd-journal-remote", "/lib/systemd/systemd-journal-remote")
UNITS = {lines.KUBELET: ("kubelet.service", "kubelet", 2975), lines.CONTAINERD: ("containerd.service", "containerd", 997)}
BOOT, MACHINE = "0595f8e3592ca30de40b4cdfc963a5c7", "97c1a6e75385e66c6d96bef7f7729e8e"
START_US = 1795616063_000000
BOOTED_US = 1_700_000_000_000_000
"""Early enough for any start time: journald takes no negative monotonic time."""


class Entry(NamedTuple):
    """One entry to be written. `unit` may be any; `message` is bytes because journals hold bytes."""

    at_us: int
    unit: str
    identifier: str
    pid: int
    message: bytes
    priority: int = 6


def klog(at_us: int, line: lines.Line, *, pid: int) -> bytes:
    """The message as the program prints it: klog's header, or logrus' time field."""
    at = datetime.fromtimestamp(at_us / 1e6, timezone.utc)
    if line.program == lines.CONTAINERD:
        return f'time="{at:%Y-%m-%dT%H:%M:%S}.{at_us % 1000000:06d}000Z" {line.text}'.encode()
    return f"{line.severity}{at:%m%d %H:%M:%S}.{at_us % 1000000:06d} {pid:7d} {line.head}] {line.text}".encode()


def entry(at_us: int, line: lines.Line) -> Entry:
    """A line as an entry of its program's unit."""
    unit, identifier, pid = UNITS[line.program]
    return Entry(at_us, unit, identifier, pid, klog(at_us, line, pid=pid))


def export(item: Entry) -> bytes:
    """One entry in journal export format. A message with control bytes takes the length-prefixed form."""
    head = (
        f"__REALTIME_TIMESTAMP={item.at_us}\n__MONOTONIC_TIMESTAMP={item.at_us - BOOTED_US}\n_BOOT_ID={BOOT}\n_TRANSPORT=stdout\n_UID=0\n_GID=0\n"
        f"_MACHINE_ID={MACHINE}\n_HOSTNAME=ip-10-0-0-236.us-west-2.compute.internal\nPRIORITY={item.priority}\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER={item.identifier}\n"
        f"_PID={item.pid}\n_COMM={item.identifier}\n_EXE=/usr/bin/{item.identifier}\n_SYSTEMD_CGROUP=/runtime.slice/{item.unit}\n_SYSTEMD_UNIT={item.unit}\n_SYSTEMD_SLICE=runtime.slice\n"
    ).encode()
    if all(byte >= 32 for byte in item.message):
        return head + b"MESSAGE=" + item.message + b"\n\n"
    return head + b"MESSAGE\n" + len(item.message).to_bytes(8, "little") + item.message + b"\n\n"


def remote_tool() -> str:
    """systemd-journal-remote. Raises `FileNotFoundError` with the package's name where there is none."""
    for path in REMOTE:
        if Path(path).exists():
            return path
    raise FileNotFoundError("systemd-journal-remote is not installed (Debian package systemd-journal-remote)")


def write(directory: Path, entries: Iterable[Entry], *, name: str = "system.journal") -> Path:
    """A journal file with these entries, in this order."""
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / name
    tool = subprocess.Popen([remote_tool(), "--output", str(target), "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert tool.stdin is not None and tool.stderr is not None
    batch = bytearray()
    for item in entries:
        batch += export(item)
        if len(batch) > 1 << 20:
            tool.stdin.write(batch)
            batch.clear()
    tool.stdin.write(batch)
    tool.stdin.close()
    said = tool.stderr.read()
    if tool.wait() != 0:
        raise RuntimeError(f"systemd-journal-remote: {said.decode(errors='replace')}")
    return target


class Size(NamedTuple):
    """How much to generate. `share`: failure lines among all entries; `single`: one line per attempt instead of all."""

    entries: int
    share: float
    single: bool = False
    pods: int = 200
    seed: int = 1


class Made(NamedTuple):
    """What was generated: attempts in all, attempts that containerd tells, and the window."""

    failures: int
    runtime_failures: int
    pods: int
    since_us: int
    until_us: int


def _one_line(rng: random.Random, told: list[lines.Line]) -> list[lines.Line]:
    named = [line for line in told if line.program == lines.KUBELET and not line.head.startswith(("cni.go", "remote_runtime", "log.go"))]
    return [rng.choice(named)]


def generate(size: Size, *, start_us: int = START_US) -> Iterator[tuple[Entry, Optional[lines.Attempt]]]:
    """All entries in time order; the attempt stands beside its first line."""
    rng = random.Random(size.seed)
    generations = list(lines.GENERATIONS.values())
    texts = (lines.RANGE, lines.ADDRESS, lines.REFUSED)
    healthy, sick = lines.some_pods(rng, 120, "web"), lines.some_pods(rng, size.pods, "job")
    retry: dict[str, int] = {}
    at, written, failing, turn = start_us, 0, 0, 0
    while written < size.entries:
        at += 3600
        if failing < written * size.share:
            turn += 1
            tried = lines.attempt(rng, sick, texts)
            while at - retry.get(tried.uid, 0) < 2_000_000:
                tried = lines.attempt(rng, sick, texts)
            retry[tried.uid] = at
            told = generations[turn % len(generations)](tried)
            for i, line in enumerate(_one_line(rng, told) if size.single else told):
                yield entry(at + i * 17, line), tried if i == 0 else None
                written, failing = written + 1, failing + 1
            continue
        dice = rng.random()
        if dice < 0.5:
            yield entry(at, lines.kubelet_noise(rng, healthy)), None
        elif dice < 0.7:
            yield entry(at, lines.containerd_noise(rng, healthy)), None
        else:
            yield Entry(at, "sshd.service", "sshd", 711, b"Connection closed by 10.0.3.7 port 50122 [preauth]"), None
        written += 1


def make(directory: Path, size: Size, *, start_us: int) -> Made:
    """Journal files of `size` below `directory`, made once: a second call reads what the first noted, its start time too."""
    note = directory / "made.json"
    if note.exists():
        return Made(*json.loads(note.read_text()))
    tally = {"failures": 0, "runtime": 0, "last": start_us}
    pods: set[str] = set()

    def entries() -> Iterator[Entry]:
        for item, tried in generate(size, start_us=start_us):
            if tried is not None:
                tally["failures"] += 1
                tally["runtime"] += item.identifier == lines.CONTAINERD
                pods.add(tried.uid)
            tally["last"] = item.at_us
            yield item

    write(directory / "journal", entries())
    made = Made(tally["failures"], tally["runtime"], len(pods), start_us, tally["last"])
    note.write_text(json.dumps(list(made)))
    return made
