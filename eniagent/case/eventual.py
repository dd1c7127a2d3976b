"""Disagreements of views that agree only in time: IMDS and ipamd, ipamd and its checkpoint, as one read shows them.

Refuses to count an ENI that only IMDS lists, unless something says that ipamd ought to hold it: foreign ENIs are left out by design.
"""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Optional

from eniagent.case.facts import Facts
from eniagent.case.views import Views
from eniagent.model.ipam import Ipam, PoolEni
from eniagent.model.metadata import AttachedEni
from eniagent.model.snapshot import Case, NodeSnapshot

CONFIRM_S = 60
"""A second read counts when it comes at least that long after the first."""

IPAMD_ONLY, OTHER_ONLY = "ipamd only", "other only"
Key = tuple[str, str]
"""The other view, and the ENI, address or prefix."""


def disagreements_now(snapshot: NodeSnapshot) -> dict[Key, str]:
    """What IMDS or the checkpoint says otherwise than ipamd: key -> which of the two has it."""
    facts = Facts(Case(now=snapshot))
    if facts.ipam is None:
        return {}
    views = Views(snapshot)
    return {**_with_imds(facts, facts.ipam, views), **_with_checkpoint(facts.ipam, views)}


def confirmed(case: Case, found: dict[Key, str]) -> frozenset[Key]:
    """Those that stood the same way at a read at least 60 s earlier."""
    earlier = [s for s in case.before if case.now.taken_at - s.taken_at >= timedelta(seconds=CONFIRM_S)]
    stood = [disagreements_now(s) for s in earlier]
    return frozenset(key for key, side in found.items() if any(past.get(key) == side for past in stood))


def _with_imds(facts: Facts, ipam: Ipam, views: Views) -> dict[Key, str]:
    imds, found = views.imds, {}
    held = {str(e.id): e for p in ipam.pools for e in p.enis}
    for name, eni in held.items():
        if imds.eni(name).has is False:
            found[("IMDS", name)] = IPAMD_ONLY
        for cidr in eni.cidrs:
            if imds.network(name, cidr.network).has is False:
                found[("IMDS", str(cidr.network))] = IPAMD_ONLY
        found.update(_foreign_addresses(eni, imds.enis.get(name)))
    for name in unmanaged_or_missed(facts, views):
        found[("IMDS", name)] = OTHER_ONLY
    return found


def _foreign_addresses(eni: PoolEni, attached: Optional[AttachedEni]) -> dict[Key, str]:
    """IPv4 addresses and prefixes that only IMDS lists on an ENI that ipamd hands addresses out of."""
    if attached is None or attached.partial or eni.is_trunk or eni.excluded or not eni.cidrs:
        return {}
    held = {c.network for c in eni.cidrs}
    singles = [ipaddress.ip_network(ip) for ip in attached.ipv4[1:]]
    return {("IMDS", str(n)): OTHER_ONLY for n in (*singles, *attached.ipv4_prefixes) if n not in held}


def unmanaged_or_missed(facts: Facts, views: Views) -> tuple[str, ...]:
    """ENIs of IMDS that ipamd lacks and is known to count among its own: EC2 says so, or its gauge leaves no unmanaged ENI."""
    if facts.ipam is None:
        return ()
    held = {str(e.id) for p in facts.ipam.pools for e in p.enis}
    cards = {p.card for p in facts.ipam.pools}
    lacking = [e for n, e in views.imds.enis.items() if n not in held and e.card in cards and not e.partial and (e.ipv4 or e.ipv6)]
    counted = _all_are_managed(facts)
    asked = {n: e.managed for n, e in views.ec2.enis.items()}
    return tuple(str(e.id) for e in lacking if asked.get(str(e.id), counted))


def _all_are_managed(facts: Facts) -> bool:
    """ipamd's gauge is the type's own limit: it takes no ENI of the node for unmanaged."""
    metrics = facts.value("metrics")
    gauge = metrics.value("awscni_eni_max") if metrics else None
    return gauge is not None and facts.limits is not None and facts.ipam is not None and len(facts.ipam.pools) == 1 and int(gauge) == facts.limits.enis


def _with_checkpoint(ipam: Ipam, views: Views) -> dict[Key, str]:
    if not views.checkpoint.seen:
        return {}
    held = {a.ip for p in ipam.pools for e in p.enis for c in e.cidrs for a in c.addresses if a.assigned}
    noted = set(views.checkpoint.held)
    found = {("checkpoint", str(ip)): IPAMD_ONLY for ip in held - noted}
    found.update({("checkpoint", str(ip)): OTHER_ONLY for ip in noted - held})
    return found
