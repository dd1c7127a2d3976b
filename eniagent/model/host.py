"""What the kernel and the process table say: links, addresses, rules, routes, sysctls, processes, sandboxes."""

from __future__ import annotations

from datetime import datetime
from typing import Optional

import msgspec

from eniagent.model.net import IPAddress, IPNetwork, Mac, PodName, SandboxId


class Link(msgspec.Struct, frozen=True):
    """One link of the host's network namespace with its addresses."""

    name: str
    mac: Mac
    up: bool
    mtu: int = 0
    addresses: tuple[IPAddress, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """One policy rule. `src`/`dst` None: all. `inverted`: the rule says *not* (it matches what `src`, `dst` and `iif` exclude)."""

    priority: int
    table: str
    src: Optional[IPNetwork] = None
    dst: Optional[IPNetwork] = None
    fwmark: str = ""
    iif: str = ""
    inverted: bool = False


class Route(msgspec.Struct, frozen=True):
    """One route. `dst` None: default."""

    table: str
    device: str
    dst: Optional[IPNetwork] = None
    gateway: Optional[IPAddress] = None
    kind: str = "unicast"


class Routing(msgspec.Struct, frozen=True):
    """Rules and routes of both families. A missing part is told in `incomplete`: `ipv4 rules: refused (...)`, `ipv6 routes: ...`."""

    rules: tuple[Rule, ...]
    routes: tuple[Route, ...]
    incomplete: tuple[str, ...] = ()


class Process(msgspec.Struct, frozen=True):
    """One process of interest."""

    name: str
    pid: int
    started_at: Optional[datetime] = None


class Processes(msgspec.Struct, frozen=True):
    """The processes of interest that run, and when the host booted."""

    running: tuple[Process, ...]
    booted_at: Optional[datetime] = None


class Sandbox(msgspec.Struct, frozen=True):
    """One pod sandbox that the container runtime knows."""

    id: SandboxId
    pod: PodName
    ready: bool
    created_at: Optional[datetime] = None


class Sandboxes(msgspec.Struct, frozen=True):
    """All sandboxes, and images of running containers by container name (`aws-node` -> image)."""

    pods: tuple[Sandbox, ...]
    images: dict[str, str] = {}
