"""Addresses and ENIs on which IMDS and ipamd disagree at two reads at least 60 s apart.

Refuses one read: IMDS lags EC2 by seconds to minutes in both directions.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Optional

import msgspec

from eniagent.case.kernel import by_host
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
    at: Optional[datetime] = None
    """When ipamd gave it to the pod."""


class Unsynced(msgspec.Struct, frozen=True):
    """An ENI that one of the two views lacks. `side`: `ipamd only` or `IMDS only`."""

    eni: str
    side: str
    slot: tuple[int, int] = (0, 0)
    """Its card and device number."""


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
                    found[str(address.ip)] = Lost(str(address.ip), address.pod or "", eni.id, address.assigned_at)
    return found


def unsynced_now(snapshot: NodeSnapshot) -> dict[str, Unsynced]:
    """ENIs that only one of IMDS and ipamd lists. IMDS alone is usual for unmanaged ENIs, so `IMDS only` is no proof by itself."""
    if not isinstance(snapshot.ipam, Observed) or not isinstance(snapshot.metadata, Observed):
        return {}
    held = {e.id: (p.card, e.device_number) for p in snapshot.ipam.value.pools for e in p.enis}
    listed = {e.id: (e.card, e.device_number) for e in snapshot.metadata.value.enis}
    found: dict[str, Unsynced] = {e: Unsynced(e, "ipamd only", held[e]) for e in held.keys() - listed.keys()}
    found.update({e: Unsynced(e, "IMDS only", listed[e]) for e in listed.keys() - held.keys()})
    return found


def _confirming(case: Case) -> tuple[NodeSnapshot, ...]:
    return tuple(s for s in case.before if case.now.taken_at - s.taken_at >= timedelta(seconds=CONFIRM_S))


def _in_time(lost: Lost) -> tuple[object, ...]:
    """Oldest first; the address decides only among those of one moment (law L2)."""
    return lost.at.timestamp() if lost.at is not None else 0.0, *by_host(lost.ip)


def lost_addresses(case: Case) -> tuple[Lost, ...]:
    """Lost now and at a read at least 60 s before."""
    now = lost_now(case.now)
    before = [lost_now(s) for s in _confirming(case)]
    return tuple(now[ip] for ip in sorted(now, key=lambda ip: _in_time(now[ip])) if any(ip in b for b in before))


def unsynced_enis(case: Case) -> tuple[Unsynced, ...]:
    """Unsynced now and at a read at least 60 s before."""
    now = unsynced_now(case.now)
    before = [unsynced_now(s) for s in _confirming(case)]
    return tuple(now[e] for e in sorted(now, key=lambda e: (now[e].slot, e)) if any(e in b and b[e].side == now[e].side for b in before))
