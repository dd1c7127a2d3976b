"""What the daemon learned one by one and keeps: failures, transitions, gaps in what it could see, and incidents.

Refuses to be the verdict: a diagnosis is made from snapshots alone; these are for the timeline, the counters and the incident life cycle.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

import msgspec

from eniagent.model.net import PodName


class Failure(msgspec.Struct, frozen=True):
    """One failed attempt to give a pod its network, known by (`pod`, `sandbox`). Told twice it is still one.

    `sandbox` "": the programs named none (kubelet before 1.14, "network is not ready"); `at` takes its place then.
    `programs`: whose journals told of it.
    """

    pod: PodName
    sandbox: str
    at: Optional[datetime]
    signature: str
    programs: tuple[str, ...] = ()
    uid: str = ""
    text: str = ""


class Transition(msgspec.Struct, frozen=True):
    """Something that became different. `what` is a word of the daemon's (`pod-recovered`, `verdict-changed`, `eni-attached`)."""

    at: datetime
    what: str
    subject: str = ""
    was: str = ""
    became: str = ""
    detail: str = ""


class Gap(msgspec.Struct, frozen=True):
    """A stretch of a journal that was not read. `at_most`: how many entries are missing at the most, None where nothing tells.

    `why`: cursor-gone, vacuumed, damaged, suppressed, unreadable, not-kept.
    """

    why: str
    since: Optional[datetime]
    until: Optional[datetime]
    at_most: Optional[int] = None
    detail: str = ""


class Incident(msgspec.Struct, frozen=True):
    """One cause at one subject, from its opening to its end. `state`: open, stale or resolved.

    `stale`: whether it stands cannot be seen at present. `finding` is the newest finding as JSON. `bundles`: moment -> path.
    """

    id: int
    cause: str
    subject: str
    state: str
    opened_at: datetime
    seen_at: datetime
    severity: str = ""
    since: Optional[datetime] = None
    stale_at: Optional[datetime] = None
    resolved_at: Optional[datetime] = None
    summary: str = ""
    finding: str = ""
    bundles: dict[str, str] = {}
