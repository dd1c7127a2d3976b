"""One pod's path: its failures, sandboxes, address, ENI, table and veth, what is missing of them, and its wait.

Refuses to call a pod healthy because nothing was heard of it: that state is *not seen*, with names that are alike.
"""

from __future__ import annotations

from typing import Optional

import msgspec

from eniagent.case.facts import Facts
from eniagent.case.impact import Hit
from eniagent.case.joins import Joins, addresses, holding
from eniagent.case.kernel import table_of, veth_name
from eniagent.case.timeline import timeline
from eniagent.model.pod_path import PodPath
from eniagent.model.reading import Observed
from eniagent.model.timeline import Timeline


def pod_path(facts: Facts, pod: str) -> PodPath:
    """The path of `namespace/name`."""
    joins, told = Joins(facts), timeline(facts, pod=pod)
    hit = next((h for h in facts.hits.pods if h.pod == pod), None)
    path = PodPath(
        pod=pod, state=_state(facts, pod, hit, told), sandboxes=joins.sandboxes(pod), wait=told.waits.pods[0] if told.waits.pods else None,
        timeline=told.entries, capped=told.capped, near=() if _heard_of(facts, pod, hit, told) else near(facts, pod),
    )
    if hit is not None:
        newest = hit.newest.newest.text.split("\n", 1)[0][:400]
        path = msgspec.structs.replace(path, failures=hit.failures, signatures=hit.signatures, first_at=hit.first_at, last_at=hit.last_at, newest=newest)
    return _with_network(facts, path)


def _with_network(facts: Facts, path: PodPath) -> PodPath:
    held = holding(facts, path.pod)
    links = facts.value("links")
    name = veth_name(path.pod, facts.settings.veth_prefix) if held is None or held[0] == 0 else ""
    present: Optional[bool] = None if links is None or not name else any(link.name == name for link in links)
    path = msgspec.structs.replace(path, veth=name, veth_present=present)
    if held is None:
        return path
    card, eni, address = held
    missing = tuple(f"{gap.kind}: {gap.expected}" for gap in facts.address_gaps or () if gap.subject == str(address.ip))
    return msgspec.structs.replace(
        path, address=str(address.ip), assigned_at=address.assigned_at, eni=str(eni.id), device_number=eni.device_number,
        table=table_of(eni, card) or "", gaps=missing,
    )


def _heard_of(facts: Facts, pod: str, hit: Optional[Hit], told: Timeline) -> bool:
    sandboxes = facts.value("sandboxes")
    listed = sandboxes is not None and any(s.pod == pod for s in sandboxes.pods)
    return hit is not None or listed or holding(facts, pod) is not None or any(e.pod == pod for e in told.entries)


def _state(facts: Facts, pod: str, hit: Optional[Hit], told: Timeline) -> str:
    if not _heard_of(facts, pod, hit, told):
        return "not seen"
    if hit is not None and hit.waits:
        return "waits"
    gone = [e.at for e in told.entries if e.pod == pod and e.what == "pod-deleted" and e.at is not None]
    if holding(facts, pod) is not None or (hit is not None and hit.up_at is not None and hit.gone_at is None):
        return "up"
    if (hit is not None and hit.gone_at is not None) or gone:
        return "gone"
    if hit is not None:
        return "failed"
    sandboxes = facts.value("sandboxes")
    running = sandboxes is not None and any(s.pod == pod and s.ready for s in sandboxes.pods)
    return "up" if running or any(e.pod == pod and e.what == "pod-started" for e in told.entries) else "gone"


def near(facts: Facts, pod: str) -> tuple[str, ...]:
    """Pods that were seen and whose name is alike, or is the same in another namespace; at most three."""
    known = {h.pod for h in facts.hits.pods}
    known |= {a.pod for s in (*facts.case.before, facts.now) for _, a in addresses(s.ipam.value if isinstance(s.ipam, Observed) else None) if a.pod}
    sandboxes = facts.value("sandboxes")
    known |= {s.pod for s in sandboxes.pods if s.pod} if sandboxes is not None else set()
    for field in ("kubelet", "containerd"):
        journal = facts.value(field)
        known |= {start.pod for start in journal.starts} if journal is not None else set()
    import difflib

    same = sorted(name for name in known if name.rpartition("/")[2] == pod.rpartition("/")[2])
    return tuple(dict.fromkeys([*same, *difflib.get_close_matches(pod, sorted(known), n=3, cutoff=0.6)]))[:3]
