"""Finding, Diagnosis and their parts: the public JSON of contract.md, as structs.

Evidence carries values and where they came from, never prose; sentences are made in `report`.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any, Optional, Union

import msgspec

from eniagent.model.pod_path import PodPath

Value = Union[str, int, float, bool, None]


class Verdict(enum.Enum):
    """The word for the whole node."""

    CRITICAL = "critical"
    WARNING = "warning"
    HEALTHY = "healthy"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not-applicable"


class Confidence(enum.Enum):
    """confirmed: two independent sources agree. probable: one fresh authoritative source. possible: the rest."""

    CONFIRMED = "confirmed"
    PROBABLE = "probable"
    POSSIBLE = "possible"


class Scope(enum.Enum):
    """How wide the cause reaches."""

    POD = "pod"
    NODE = "node"
    SUBNET = "subnet"
    ZONE = "zone"
    CLUSTER = "cluster"


class Evidence(msgspec.Struct, frozen=True):
    """One fact. `source` names the view, `ref` the place in it (JSON pointer, cursor, file:line)."""

    fact: str
    observed: Value
    source: str
    expected: Value = None
    ref: str = ""
    at: Optional[datetime] = None


class Command(msgspec.Struct, frozen=True):
    """One command of a remedy. `where`: node, kubectl or aws. `effect`: read, change or disruptive."""

    run: str
    where: str
    effect: str = "read"
    rights: str = ""


class Remedy(msgspec.Struct, frozen=True):
    """What to do, what not to do, and what heals it."""

    text: str
    commands: tuple[Command, ...] = ()
    do_not: tuple[str, ...] = ()
    recovers_by: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A cause, symptom or advice that fires. `since`/`until`: `until` only where it is over."""

    code: str
    kind: str = msgspec.field(name="class")
    severity: str
    confidence: Confidence
    summary: str
    subject: str = ""
    since: Optional[datetime] = None
    until: Optional[datetime] = None
    evidence: tuple[Evidence, ...]
    explains: tuple[str, ...] = ()
    remedy: Optional[Remedy] = None
    scope: Scope = Scope.NODE
    reference: str = ""


class RuledOut(msgspec.Struct, frozen=True):
    """A cause that was checked and is excluded by a fact."""

    code: str
    because: str
    evidence: tuple[Evidence, ...] = ()


class NotSeen(msgspec.Struct, frozen=True):
    """A source that was not seen, and why."""

    source: str
    why: str
    detail: str = ""


class Affected(msgspec.Struct, frozen=True):
    """One pod that failed within the window."""

    pod: str
    failures: int
    first_at: Optional[datetime] = None
    last_at: Optional[datetime] = None
    recovered_at: Optional[datetime] = None


class Impact(msgspec.Struct, frozen=True):
    """Who was hit. `pods` counts pods, `failures` attempts; `waiting` pods that have no address now."""

    pods: int = 0
    failures: int = 0
    waiting: int = 0
    first_at: Optional[datetime] = None
    last_at: Optional[datetime] = None
    affected: tuple[Affected, ...] = ()
    cut_off: tuple[str, ...] = ()
    """Pods that run and have lost their network. They failed no attempt, so they are not among `affected`."""


class EniNumbers(msgspec.Struct, frozen=True):
    """None: not known."""

    attached: Optional[int] = None
    limit: Optional[int] = None


class AddressNumbers(msgspec.Struct, frozen=True):
    """Addresses over all cards, recomputed. None: not known."""

    total: Optional[int] = None
    assigned: Optional[int] = None
    cooling: Optional[int] = None
    assignable: Optional[int] = None
    limit: Optional[int] = None


class MaxPodsNumbers(msgspec.Struct, frozen=True):
    """kubelet's maxPods, and what type and mode can serve."""

    configured: Optional[int] = None
    computed: Optional[int] = None


class Numbers(msgspec.Struct, frozen=True):
    """The node in numbers."""

    enis: EniNumbers = EniNumbers()
    addresses: AddressNumbers = AddressNumbers()
    max_pods: MaxPodsNumbers = MaxPodsNumbers()


class Outlook(msgspec.Struct, frozen=True):
    """What ipamd will do next. `next_action`: assign-address, assign-prefix, create-eni, free-address, free-eni, nothing."""

    short_by: Optional[int]
    next_action: str
    target: str = ""
    blocked_by: str = ""
    due_at: Optional[datetime] = None
    basis: str = ""


class NextLook(msgspec.Struct, frozen=True):
    """One command that would decide between codes."""

    command: str
    decides: tuple[str, ...]
    where: str = "node"


class NodeFacts(msgspec.Struct, frozen=True):
    """Who the node is."""

    instance_id: str = ""
    instance_type: str = ""
    availability_zone: str = ""
    region: str = ""
    name: str = ""
    cni_version: str = ""


class Window(msgspec.Struct, frozen=True):
    """The time that the diagnosis speaks of."""

    since: Optional[datetime] = None
    until: Optional[datetime] = None


class LedgerRow(msgspec.Struct, frozen=True):
    """One ENI or address over all views. `views`: view -> what it says; `state`: agreed or the class of disagreement."""

    kind: str  # "eni" | "address" | "prefix"
    subject: str
    card: int
    eni: str
    views: dict[str, str]
    state: str
    confirmed: bool = False
    pod: str = ""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The one document that every output prints. Schema `eniagent.diagnosis/1`."""

    schema: str = "eniagent.diagnosis/1"
    agent: dict[str, str]
    taken_at: datetime
    window: Window
    node: NodeFacts
    verdict: Verdict
    headline: str
    causes: tuple[Finding, ...] = ()
    past: tuple[Finding, ...] = ()
    symptoms: tuple[Finding, ...] = ()
    advice: tuple[Finding, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    unobserved: tuple[NotSeen, ...] = ()
    impact: Impact = Impact()
    numbers: Numbers = Numbers()
    outlook: Optional[Outlook] = None
    ledger: Optional[tuple[LedgerRow, ...]] = None
    bundle: Optional[dict[str, Any]] = None
    redaction: str = "none"
    next_looks: tuple[NextLook, ...] = ()
    faults: tuple[str, ...] = ()
    """Rules that raised: the agent's own fault, never the node's."""
    pod: Optional[PodPath] = None
    """The path of the one pod that was asked about; the impact is then its alone, the verdict still the node's."""
