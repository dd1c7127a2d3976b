"""Looks that no reading is made from and a person may want: neighbours, counters, packet filter, pressure, disks, aws-node's own log.

Refuses what a bundle must not hold: environments, arguments, application logs, kubeconfigs, certificates. Taken within a few seconds, or
told as missing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Optional

from eniagent.edge.bundle_captures import entry
from eniagent.edge.bundle_members import Members
from eniagent.edge.clock import Deadline
from eniagent.edge.names import stored
from eniagent.edge.probes import Taker, file_of
from eniagent.edge.rooted import matches
from eniagent.edge.settings import Settings
from eniagent.model.capture import Capture, CaptureCut, Circumstances
from eniagent.model.probe import Probe, ReadFile, ReadJournal, RunCommand
from eniagent.model.reading import Why
from eniagent.sources import Span, containerd, kubelet
from eniagent.sources.journal_entries import to_json_lines

LIMIT_S = 10.0
ONE_S = 5.0
LOGS_AT_MOST = 24

COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "host/iptables-save.txt": (("iptables-save",), ("iptables-legacy-save",)),
    "host/nft-ruleset.json": (("nft", "-j", "list", "ruleset"),),
    "net/neighbours.json": (("ip", "-j", "neigh", "show"),),
    "net/links.json": (("ip", "-j", "-d", "-s", "link", "show"),),
    "net/conntrack-stats.txt": (("conntrack", "-S"),),
    "net/sockets.txt": (("ss", "-s"),),
    "net/namespaces.json": (("ip", "-j", "netns", "list"),),
    "system/uname.txt": (("uname", "-a"),),
    "system/disk.txt": (("df", "-P", "-k"),),
    "system/inodes.txt": (("df", "-P", "-i"),),
    "system/time.txt": (("timedatectl", "show"), ("chronyc", "-n", "tracking")),
}
"""Member -> commands, the first that is installed. All of them only read. What is in `host/` belongs to the captures."""

FILES = {
    "net/nf_conntrack_count.txt": "/proc/sys/net/netfilter/nf_conntrack_count",
    "net/softnet_stat.txt": "/proc/net/softnet_stat",
    "net/mac-address-policy.txt": "/usr/lib/systemd/network/99-default.link",
    "system/os-release.txt": "/etc/os-release",
    "system/eks-release.txt": "/etc/eks/release",
    "system/loadavg.txt": "/proc/loadavg",
    "system/meminfo.txt": "/proc/meminfo",
    "system/uptime.txt": "/proc/uptime",
    "system/pressure-cpu.txt": "/proc/pressure/cpu",
    "system/pressure-io.txt": "/proc/pressure/io",
    "system/pressure-memory.txt": "/proc/pressure/memory",
    "system/kubelet-cpu.txt": "/sys/fs/cgroup/system.slice/kubelet.service/cpu.stat",
    "system/containerd-cpu.txt": "/sys/fs/cgroup/system.slice/containerd.service/cpu.stat",
}
LOGS = {"pods/aws-node": "/var/log/pods/kube-system_aws-node-*/*/*.log", "logs": "/var/log/aws-routed-eni/*.log"}
"""Directory of the bundle -> the node's logs; those that captures hold already are left to them."""
_OURS = ("ipamd.log", "plugin.log")
_ENA = "net/ethtool-{}.txt"


def probes(settings: Settings, *, limit_bytes: int, links: Sequence[str] = ()) -> dict[str, Probe]:
    """Member -> look."""
    wanted: dict[str, Probe] = {path: RunCommand(file=path, argvs=argvs, timeout_s=ONE_S, limit_bytes=limit_bytes) for path, argvs in COMMANDS.items()}
    wanted.update({path: ReadFile(file=path, path=place, limit_bytes=min(limit_bytes, 1 << 20)) for path, place in FILES.items()})
    for link in links:
        path = _ENA.format(link)
        wanted[path] = RunCommand(file=path, argvs=(("ethtool", "-S", link),), timeout_s=ONE_S, limit_bytes=limit_bytes)
    for directory, pattern in LOGS.items():
        for place in _newest(pattern, root=settings.root):
            parts = place.split("/")
            path = f"{directory}/{'_'.join(parts[-2:]) if directory.startswith('pods') else parts[-1]}"
            if parts[-1] not in _OURS:
                wanted[path] = ReadFile(file=path, path=place, limit_bytes=limit_bytes, tail_bytes=limit_bytes)
    return wanted


def _newest(pattern: str, *, root: str) -> list[str]:
    try:
        return matches(pattern, root=root)[-LOGS_AT_MOST:]
    except OSError:
        return []  # Not allowed to list: the looks that a verdict needs say so already.


def add_extras(members: Members, settings: Settings, span: Span, *, captures: str, links: Sequence[str]) -> None:
    """Take all of them at once and add what came; what did not is named. `captures`: the directory of the newest look."""
    limit = Deadline(min(LIMIT_S, members.deadline.remaining_s / 2))
    taker = Taker(settings, span, limit)
    found: dict[str, Capture] = {}
    wanted = probes(settings, limit_bytes=members.profile.extras_bytes, links=links)

    def take(path: str, probe: Probe) -> None:
        found[path] = taker.take(probe).get(file_of(probe), Capture(_nothing(probe)))

    threads = [threading.Thread(target=take, args=item, name=f"look {item[0]}", daemon=True) for item in wanted.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(limit.remaining_s)
    for path in sorted(wanted):
        _add(members, f"{captures}/{path}" if path.startswith("host/") else path, found.get(path))


def _nothing(probe: Probe) -> Circumstances:
    return Circumstances(probe=file_of(probe), file=file_of(probe), failure=Why.NOT_COLLECTED)


def _add(members: Members, path: str, capture: Optional[Capture]) -> None:
    if capture is None:
        members.leave_out(path, why="deadline")
        return
    about = capture.about
    body = b"".join(capture.chunks())
    if not body:
        if about.failure is not None and about.failure is not Why.NOT_INSTALLED:
            members.leave_out(path, why=about.failure.value, detail=about.detail)
        return
    members.add_besides(stored(members.redaction.name(path)), [body], told=entry(about, source=about.probe), file=path)


def add_windows(members: Members, settings: Settings, span: Span) -> None:
    """kubelet's and containerd's journal over the window, unfiltered: its head and its tail, in `journal/`."""
    size = members.profile.window_bytes
    if not size:
        return
    for name, source in (("kubelet", kubelet), ("containerd", containerd)):
        (probe,) = (p for p in source.plan({}) if isinstance(p, ReadJournal))
        share = Deadline(min(members.deadline.remaining_s * 0.4, 30.0))
        path = f"journal/{name}.jsonl"
        capture = _journal(ReadJournal(file=path, units=probe.units, identifiers=probe.identifiers, grep=""), settings, span, share)
        if capture.about.failure is not None:
            members.leave_out(path, why=capture.about.failure.value, detail=capture.about.detail)
            continue
        ends = Ends(size // 2, size // 2)
        told = entry(capture.about, source=f"{capture.about.probe}, unfiltered")
        ending = members.add_besides(path, to_json_lines(ends.pieces(capture.chunks()), now=span.until), told=told, file=path)
        if ending is not None and ends.left_out_bytes:
            told["truncated"] = "; ".join(filter(None, (told.get("truncated", ""), f"{ends.left_out_bytes} bytes between its head and its tail are left out")))


def _journal(probe: ReadJournal, settings: Settings, span: Span, deadline: Deadline) -> Capture:
    from eniagent.edge.journal import capture_journal
    from eniagent.edge.probes import journal_below

    return capture_journal(probe, span=span, journal_dir=settings.journal_dir or journal_below(settings.root), deadline=deadline)


class Ends:
    """The first and the last bytes of a stream of entries, each in whole entries. Holds no more than the tail."""

    def __init__(self, head_bytes: int, tail_bytes: int) -> None:
        self.left_out_bytes = 0
        self._head_bytes, self._tail_bytes = head_bytes, tail_bytes

    def pieces(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """What stays. A stream that breaks off still gives its tail before the break is raised."""
        passed, held = 0, 0
        tail: deque[bytes] = deque()
        rest = b""
        broken: Optional[CaptureCut] = None
        while True:
            try:
                chunk = next(chunks, None)
            except CaptureCut as cut:
                broken, chunk = cut, None
            if chunk is None:
                break
            data = rest + chunk
            end = data.rfind(b"\n\n") + 2
            if end < 2:
                rest = data[-(8 << 20) :]
                continue
            whole, rest = data[:end], data[end:]
            if passed < self._head_bytes:
                passed += len(whole)
                yield whole
                continue
            tail.append(whole)
            held += len(whole)
            while held - len(tail[0]) > self._tail_bytes:
                gone = tail.popleft()
                held -= len(gone)
                self.left_out_bytes += len(gone)
        yield from tail
        if rest:
            yield rest
        if broken is not None:
            raise broken

