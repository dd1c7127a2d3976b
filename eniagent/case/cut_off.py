"""Pods that run and have lost their network: their rule or route is gone, or their ENI or address was taken away.

Refuses to name a pod from an address alone: where no view tells whose it was, the veth stands for it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

from eniagent.case.facts import Facts
from eniagent.case.lost import lost_addresses
from eniagent.model.reading import Observed
from eniagent.model.snapshot import NodeSnapshot


def cut_off(facts: Facts) -> tuple[str, ...]:
    """Pods by name, in the order in which they got their addresses: an order in which no name has a part (law L2)."""
    found = {g.pod or g.subject for g in facts.address_gaps or () if g.kind in ("rule", "route")}
    found |= {lost.pod or lost.ip for lost in lost_addresses(facts.case)}
    gone = {g.eni for g in facts.eni_gaps or () if g.kind in ("link", "table")}
    if facts.ipam is not None and gone:
        enis = [e for p in facts.ipam.pools for e in p.enis if e.id in gone]
        found |= {a.pod or str(a.ip) for e in enis for c in e.cidrs for a in c.addresses if a.assigned}
    if facts.orphan_rules:
        owners = {ip: pod for ip, (pod, _) in _owners(facts).items()}
        found |= {owners.get(g.subject, f"veth {g.pod}") for g in facts.orphan_rules}
    since = {pod: at.timestamp() for pod, at in _owners(facts).values() if at is not None}
    return tuple(sorted(found, key=lambda pod: (since.get(pod, 0.0), pod)))


Owner = tuple[str, Optional[datetime]]


def _owners(facts: Facts) -> dict[str, Owner]:
    """Address -> pod and since when, from what ipamd and its checkpoint said before."""
    owners: dict[str, Owner] = {}
    for snapshot in (*facts.case.before, facts.now):
        owners.update(_held(snapshot))
    return owners


def _held(snapshot: NodeSnapshot) -> dict[str, Owner]:
    found: dict[str, Owner] = {}
    if isinstance(snapshot.checkpoint, Observed):
        found.update({str(e.ip or e.ipv6): (e.pod, e.assigned_at) for e in snapshot.checkpoint.value.entries if e.pod and (e.ip or e.ipv6)})
    if isinstance(snapshot.ipam, Observed):
        for pool in snapshot.ipam.value.pools:
            for address in (a for e in pool.enis for c in e.cidrs for a in c.addresses):
                if address.assigned and address.pod:
                    found[str(address.ip)] = (address.pod, address.assigned_at)
    return found
