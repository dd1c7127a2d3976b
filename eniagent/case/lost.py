"""Addresses and ENIs on which IMDS and ipamd disagree at two reads at least 60 s apart.

Refuses one read: IMDS lags EC2 by seconds to minutes in both directions.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from eniagent.model.ipam import Ipam
from eniagent.model.metadata import Metadata
from eniagent.model.reading import Observed
from eniagent.model.snapshot import Case, NodeSnapshot

CONFIRM_S = 60


class Lost(msgspec.Struct, frozen=True):
    """An address that ipamd gives to a pod and IMDS does not list."""

    ip: str
    pod: str
    eni: str


class Unsynced(msgspec.Struct, frozen=True):
    """An ENI that one of the two views lacks. `side`: `ipamd only` or `IMDS only`."""

    eni: str
    side: str


def lost_now(snapshot: NodeSnapshot) -> dict[str, Lost]:
    """Assigned addresses that the ENI's entry in IMDS does not cover, by address."""
    if not isinstance(snapshot.ipam, Observed) or not isinstance(snapshot.metadata, Observed):
        return {}
    ipam: Ipam = snapshot.ipam.value
    metadata: Metadata = snapshot.metadata.value
    listed = {e.id: e for e in metadata.enis}
    found = {}
    for pool in ipam.pools:
        for eni in pool.enis:
            attached = listed.get(eni.id)
            if attached is None or attached.partial:
                continue
            singles = {*attached.ipv4, *attached.ipv6}
            prefixes = (*attached.ipv4_prefixes, *attached.ipv6_prefixes)
            for address in (a for c in eni.cidrs for a in c.addresses if a.assigned):
                if address.ip not in singles and not any(address.ip in p for p in prefixes):
                    found[str(address.ip)] = Lost(str(address.ip), address.pod or "", eni.id)
    return found


def unsynced_now(snapshot: NodeSnapshot) -> dict[str, Unsynced]:
    """ENIs that only one of IMDS and ipamd lists. IMDS alone is usual for unmanaged ENIs, so `IMDS only` is no proof by itself."""
    if not isinstance(snapshot.ipam, Observed) or not isinstance(snapshot.metadata, Observed):
        return {}
    held = {e.id for p in snapshot.ipam.value.pools for e in p.enis}
    listed = {e.id for e in snapshot.metadata.value.enis}
    found: dict[str, Unsynced] = {e: Unsynced(e, "ipamd only") for e in held - listed}
    found.update({e: Unsynced(e, "IMDS only") for e in listed - held})
    return found


def _confirming(case: Case) -> tuple[NodeSnapshot, ...]:
    return tuple(s for s in case.before if case.now.taken_at - s.taken_at >= timedelta(seconds=CONFIRM_S))


def lost_addresses(case: Case) -> tuple[Lost, ...]:
    """Lost now and at a read at least 60 s before."""
    now = lost_now(case.now)
    before = [lost_now(s) for s in _confirming(case)]
    return tuple(now[ip] for ip in sorted(now) if any(ip in b for b in before))


def unsynced_enis(case: Case) -> tuple[Unsynced, ...]:
    """Unsynced now and at a read at least 60 s before."""
    now = unsynced_now(case.now)
    before = [unsynced_now(s) for s in _confirming(case)]
    return tuple(now[e] for e in sorted(now) if any(e in b and b[e].side == now[e].side for b in before))
