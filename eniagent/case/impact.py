"""Who is hit: pods whose sandboxes failed, from kubelet and containerd together, and which of them wait now.

A pod waits while its newest failure is not followed by its start, its removal or an address assigned to it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Optional

import msgspec

from eniagent.case.kernel import veth_name
from eniagent.case.settings import effective
from eniagent.knowledge.signatures import concerns_address
from eniagent.model.finding import Affected, Impact
from eniagent.model.reading import Observed, Reading
from eniagent.model.record import Journal, PodTrouble
from eniagent.model.snapshot import NodeSnapshot

NOW_S = 300
"""A failure within the last 5 minutes is *now* (contract, Verdict)."""


class Hit(msgspec.Struct, frozen=True):
    """One pod's failures, all views joined. `waits`: it has no address now."""

    pod: str
    failures: int
    first_at: Optional[datetime]
    last_at: Optional[datetime]
    signatures: dict[str, int]
    newest: PodTrouble
    up_at: Optional[datetime]
    gone_at: Optional[datetime]
    waits: bool
    source: str


class Hits(msgspec.Struct, frozen=True):
    """All pods that failed in the window, the one that failed last at the end. `failures` are attempts."""

    pods: tuple[Hit, ...]
    seen: bool
    """Whether any journal was read: without one, no failures means nothing."""

    @property
    def failures(self) -> int:
        """Attempts that failed."""
        return sum(h.failures for h in self.pods)

    @property
    def waiting(self) -> tuple[Hit, ...]:
        """Pods that wait now."""
        return tuple(h for h in self.pods if h.waits)

    def of(self, *signatures: str, waiting: bool = False) -> tuple[Hit, ...]:
        """Pods with a failure of one of the signatures; with `waiting`, those whose newest failure is one."""
        if waiting:
            return tuple(h for h in self.pods if h.waits and h.newest.newest.signature in signatures)
        return tuple(h for h in self.pods if any(s in h.signatures for s in signatures))

    @property
    def for_address(self) -> tuple[Hit, ...]:
        """Pods that failed for want of an address or its set-up."""
        return tuple(h for h in self.pods if any(concerns_address(s) for s in h.signatures))


def hits(now: NodeSnapshot) -> Hits:
    """Joined by pod: kubelet's count where kubelet tells of the pod, else containerd's."""
    troubles: dict[str, tuple[PodTrouble, str]] = {}
    readings: tuple[tuple[str, Reading[Journal]], ...] = (("containerd journal", now.containerd), ("kubelet journal", now.kubelet))
    ups: dict[str, datetime] = {}
    for source, reading in readings:
        if not isinstance(reading, Observed):
            continue
        for trouble in reading.value.pods:
            known = troubles.get(trouble.pod)
            if known is None or trouble.failures >= known[0].failures:
                troubles[trouble.pod] = (trouble, source)
            if trouble.recovered_at is not None:
                # Whichever journal tells it: containerd's "returns sandbox id" ends a wait that kubelet's journal leaves open.
                ups[trouble.pod] = max(trouble.recovered_at, ups.get(trouble.pod, trouble.recovered_at))
        for start in reading.value.starts:
            if start.at is not None and (start.pod not in ups or start.at > ups[start.pod]):
                ups[start.pod] = start.at
    if not isinstance(now.kubelet, Observed):
        _up_by_veth(now, troubles, ups)
    found = (_hit(t, source, ups.get(t.pod), now) for t, source in troubles.values())
    pods = tuple(sorted(found, key=lambda h: (*in_time(h), h.pod)))
    return Hits(pods=pods, seen=any(isinstance(r, Observed) for _, r in readings))


def in_time(hit: Hit) -> tuple[float, float, str]:
    """By the newest failure, the first, and where the newest stands: an order in which no name has a part (law L2)."""
    first, last = (t.timestamp() if t is not None else 0.0 for t in (hit.first_at, hit.last_at))
    return last, first, hit.newest.newest.ref


def _up_by_veth(now: NodeSnapshot, troubles: dict[str, tuple[PodTrouble, str]], ups: dict[str, datetime]) -> None:
    """Without kubelet's word on who came up, a pod's host veth tells: the plugin makes it only once an address was given."""
    if not isinstance(now.links, Observed):
        return
    names = {link.name for link in now.links.value}
    prefix = effective(now).veth_prefix
    for pod in troubles:
        if "/" in pod and veth_name(pod, prefix) in names:
            ups.setdefault(pod, now.taken_at)


def _hit(trouble: PodTrouble, source: str, up_at: Optional[datetime], now: NodeSnapshot) -> Hit:
    up_at = max((t for t in (trouble.recovered_at, up_at) if t is not None), default=None)
    last = trouble.last_at
    over = any(t is not None and (last is None or t >= last) for t in (up_at, trouble.gone_at))
    recent = last is None or now.taken_at - last <= timedelta(seconds=NOW_S)
    return Hit(
        pod=trouble.pod, failures=trouble.failures, first_at=trouble.first_at, last_at=last, signatures=trouble.signatures,
        newest=trouble, up_at=up_at if over else None, gone_at=trouble.gone_at, waits=not over and recent, source=source,
    )


def impact(found: Hits, *, pod: str = "", cut_off: tuple[str, ...] = ()) -> Impact:
    """The impact of the contract: all failed pods, worst first; with `pod` that one alone."""
    pods = sorted((h for h in found.pods if not pod or h.pod == pod), key=lambda h: (not h.waits, -h.failures, *in_time(h), h.pod))
    times = [t for h in pods for t in (h.first_at, h.last_at) if t is not None]
    return Impact(
        pods=len(pods), failures=sum(h.failures for h in pods), waiting=sum(h.waits for h in pods),
        first_at=min(times, default=None), last_at=max(times, default=None),
        affected=tuple(Affected(h.pod, h.failures, h.first_at, h.last_at, h.up_at) for h in pods),
        cut_off=tuple(p for p in cut_off if not pod or p == pod),
    )
