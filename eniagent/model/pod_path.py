"""One pod's path on the node: what happened to it, what it holds, and how long it waited.

Refuses to hold a judgement: why a pod waits is the causes' to say.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One thing that happened. `program`: kubelet, containerd, plugin, ipamd, or state for a change between looks.

    `what`: the signature of a line, or the kind of change. `count`: lines of the same kind folded into this one, the last at `until`.
    """

    at: Optional[datetime]
    program: str
    what: str
    text: str
    pod: str = ""
    sandbox: str = ""
    ref: str = ""
    count: int = 1
    until: Optional[datetime] = None


class Wait(msgspec.Struct, frozen=True):
    """How long one pod waited, from its first failure. `ended_by`: address, start, gone, or "" while it waits or nothing tells."""

    pod: str
    since: datetime
    until: Optional[datetime]
    seconds: float
    ended_by: str
    failures: int


class PodPath(msgspec.Struct, frozen=True, kw_only=True):
    """One pod on this node. `state`: waits, up, gone, failed (and how it ended is not known) or not seen.

    `veth_present`, `gaps`: None and empty where the kernel was not seen. `near`: names alike, where this one was not seen.
    """

    pod: str
    state: str
    failures: int = 0
    signatures: dict[str, int] = {}
    first_at: Optional[datetime] = None
    last_at: Optional[datetime] = None
    newest: str = ""
    sandboxes: tuple[str, ...] = ()
    address: str = ""
    assigned_at: Optional[datetime] = None
    eni: str = ""
    device_number: Optional[int] = None
    table: str = ""
    veth: str = ""
    veth_present: Optional[bool] = None
    gaps: tuple[str, ...] = ()
    wait: Optional[Wait] = None
    timeline: tuple[Entry, ...] = ()
    capped: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
