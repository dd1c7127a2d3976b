"""Processes of interest, and when the host booted.

Refuses command lines and environments: only name, pid and start are kept here.
Wire shape of `host/processes.json`: `{"booted_at": TIME|null, "running": [{"name", "pid", "started_at": TIME|null}]}`, TIME in RFC3339.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Optional

import msgspec

from eniagent.model.capture import Seen
from eniagent.model.host import Process, Processes
from eniagent.model.probe import Probe, ReadProcesses
from eniagent.model.reading import Reading
from eniagent.sources import Span, go_time
from eniagent.sources.captured import Whole, json_value, object_of, reading, shaped

SOURCE = "processes"
FILE = "host/processes.json"

NAMES = (
    "aws-k8s-agent",
    "aws-vpc-cni",
    "kubelet",
    "containerd",
    "dockerd",
    "kube-proxy",
    "systemd-networkd",
    "NetworkManager",
    "nm-cloud-setup",
    "firewalld",
)
"""ipamd, its entry point, what calls it, and what is known to flush its rules."""


class _Process(msgspec.Struct):
    name: str
    pid: Annotated[int, Whole]
    started_at: Optional[str] = None


class _Processes(msgspec.Struct):
    running: list[_Process]
    booted_at: Optional[str] = None


def probe() -> ReadProcesses:
    """The look at the process table; kubelet's configuration begins with the same one."""
    return ReadProcesses(file=FILE, names=NAMES)


def plan(seen: Seen) -> Sequence[Probe]:
    """One look."""
    return () if FILE in seen else (probe(),)


def read(seen: Seen, span: Span) -> Reading[Processes]:
    """What runs. None of the names running is an answer."""
    return reading(seen, file=FILE, source=SOURCE, decode=decode)


def decode(data: bytes) -> Processes:
    """See the wire shape above. Raises `Malformed`."""
    wire = shaped(object_of(json_value(data), what="processes"), _Processes, what="processes")
    return Processes(
        running=tuple(
            Process(name=p.name, pid=p.pid, started_at=go_time.parse(p.started_at) if p.started_at else None) for p in wire.running
        ),
        booted_at=go_time.parse(wire.booted_at) if wire.booted_at else None,
    )
