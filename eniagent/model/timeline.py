"""One merged timeline: what programs said and what changed, and who waited how long."""

from __future__ import annotations

from datetime import datetime
from typing import Optional

import msgspec

from eniagent.model.finding import NodeFacts, NotSeen, Window
from eniagent.model.pod_path import Entry, PodPath, Wait


class Waits(msgspec.Struct, frozen=True):
    """All pods that failed at least once. The percentiles are over waits that ended with an address or a start (`ended`).

    `waiting`: pods that wait now, the longest for `longest_s`. `gone`: pods that were deleted before they came up. `unknown`: pods
    whose failures stopped, and nothing tells how it ended.
    """

    pods: tuple[Wait, ...] = ()
    ended: int = 0
    p50_s: Optional[float] = None
    p95_s: Optional[float] = None
    waiting: int = 0
    longest_s: Optional[float] = None
    gone: int = 0
    unknown: int = 0


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The document of `eniagent timeline`. `capped`: what was counted and not kept line by line. `pod`: the one it is about, "" for all."""

    schema: str = "eniagent.timeline/1"
    taken_at: datetime
    window: Window
    node: NodeFacts
    pod: str = ""
    entries: tuple[Entry, ...] = ()
    waits: Waits = Waits()
    path: Optional[PodPath] = None
    capped: tuple[str, ...] = ()
    unobserved: tuple[NotSeen, ...] = ()
