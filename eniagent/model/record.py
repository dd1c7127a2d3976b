"""What logs and journals told: events matched by signatures, and per-pod folds of failures.

Bounded on purpose: counts are exact, examples are capped, so a storm of lines costs no memory.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

import msgspec

from eniagent.model.net import PodName


class Event(msgspec.Struct, frozen=True):
    """One line that a signature matched. `ref` is where it stands: `logs/ipamd.log:120`, a journal cursor."""

    signature: str
    at: Optional[datetime]
    fields: dict[str, str]
    text: str
    ref: str
    program: str = ""


class Log(msgspec.Struct, frozen=True):
    """A program's log over the window. `counts` is exact per signature (routine noise is not counted); `events` keeps the first and newest of each.

    `since`/`until`: times of the first and last line read. `form`: `zap`, `seelog` or "" where nothing told.
    """

    program: str
    events: tuple[Event, ...]
    counts: dict[str, int]
    since: Optional[datetime] = None
    until: Optional[datetime] = None
    form: str = ""
    lines: int = 0
    garbled: int = 0


class PodTrouble(msgspec.Struct, frozen=True):
    """The failed sandboxes of one pod. `failures` counts attempts (sandboxes), not lines.

    `signatures`: attempts per signature of the failure text. `recovered_at`: the pod's containers started, or a later
    sandbox came up. `gone_at`: the pod was deleted.
    """

    pod: PodName
    failures: int
    first_at: Optional[datetime]
    last_at: Optional[datetime]
    signatures: dict[str, int]
    newest: Event
    recovered_at: Optional[datetime] = None
    gone_at: Optional[datetime] = None


class PodStart(msgspec.Struct, frozen=True):
    """A pod that kubelet saw running. Durations as kubelet logged them, seconds."""

    pod: PodName
    at: Optional[datetime]
    created_at: Optional[datetime] = None
    e2e_s: Optional[float] = None
    slo_s: Optional[float] = None


class Journal(msgspec.Struct, frozen=True):
    """kubelet's or containerd's journal over the window.

    `events`: lines that concern the node, not a pod (network not ready, plugin missing). `since`: how far back the journal
    reaches (None: unknown). `cut`: why the reading ended early, empty when it did not.
    """

    program: str
    pods: tuple[PodTrouble, ...]
    starts: tuple[PodStart, ...]
    events: tuple[Event, ...]
    counts: dict[str, int]
    failures: int = 0
    since: Optional[datetime] = None
    until: Optional[datetime] = None
    entries: int = 0
    garbled: int = 0
    cursor: str = ""
    cut: str = ""
