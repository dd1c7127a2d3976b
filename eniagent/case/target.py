"""How far a card's pool is from its warm target, by ipamd's own arithmetic: cooling addresses count as available.

Refuses to assume a target that nothing told: such a want is unknown, and says which setting lacks.
Source: amazon-vpc-cni-k8s v1.15.5, v1.19.3 and v1.23.0, ipamd.go and data_store.go (ipamd reference, 4.2).
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from eniagent.case.settings import Effective
from eniagent.model.ipam import Cidr, Pool, PoolEni

PREFIX = 16
"""Addresses of a /28."""


class Want(NamedTuple):
    """What the pool manager concludes. `short`/`over` in addresses; None: not known. `lacks`: what would tell.

    `low`: it grows. `over_cidrs`: addresses or prefixes that it gives back. `enis_too`: it looks for an ENI to free.
    """

    short: Optional[int]
    low: bool = False
    over_cidrs: int = 0
    enis_too: bool = False
    frozen: bool = False
    told_by: str = ""
    lacks: str = ""


class Count(NamedTuple):
    """ipamd's own statistics of one card (GetIPStats)."""

    total: int
    assigned: int
    prefixes: int
    free_prefixes: int

    @property
    def available(self) -> int:
        """What ipamd calls available: everything that is not assigned."""
        return self.total - self.assigned


class Targets(NamedTuple):
    """The targets of one card. `per_eni`: addresses on a full ENI."""

    prefix: bool
    warm_ip: Optional[int]
    minimum_ip: Optional[int]
    warm_eni: Optional[int]
    warm_prefix: Optional[int]
    per_eni: Optional[int]


def targets_of(card: int, settings: Effective, *, per_eni: Optional[int]) -> Targets:
    """Cards above 0 always keep one spare address and use single addresses, whatever is set."""
    if card > 0:
        return Targets(False, 1, 1, None, None, per_eni)
    return Targets(bool(settings.prefix), settings.warm_ip, settings.minimum_ip, settings.warm_eni, settings.warm_prefix, per_eni)


def in_mode(cidr: Cidr, *, prefix: bool) -> bool:
    """Only CIDRs of the present mode count; a mode switch leaves the others behind."""
    return cidr.is_prefix == prefix


def assigned_in(cidr: Cidr) -> int:
    """Addresses of the CIDR that pods hold."""
    return sum(a.assigned for a in cidr.addresses)


def count(pool: Pool, *, prefix: bool) -> Count:
    """ENIs excluded from pod addresses are left out."""
    cidrs = [c for e in pool.enis if not e.excluded for c in e.cidrs if in_mode(c, prefix=prefix)]
    return Count(
        total=sum(c.size for c in cidrs),
        assigned=sum(assigned_in(c) for c in cidrs),
        prefixes=sum(c.is_prefix for e in pool.enis for c in e.cidrs),
        free_prefixes=sum(c.is_prefix and not assigned_in(c) for e in pool.enis for c in e.cidrs),
    )


def want(have: Count, targets: Targets) -> Want:
    """Short, over, or at the target."""
    warm, least = targets.warm_ip, targets.minimum_ip
    if warm or least:
        return _want_by_address(have, targets, warm=warm, least=least)
    if warm is None or least is None:
        return Want(None, lacks="MINIMUM_IP_TARGET" if least is None else "WARM_IP_TARGET")
    return _want_by_prefix(have, targets) if targets.prefix else _want_by_eni(have, targets)


def _want_by_address(have: Count, targets: Targets, *, warm: Optional[int], least: Optional[int]) -> Want:
    """WARM_IP_TARGET or MINIMUM_IP_TARGET is set: the other warm targets are ignored."""
    if warm is None or (least is None and warm <= have.available):
        return Want(None, lacks="MINIMUM_IP_TARGET" if least is None else "WARM_IP_TARGET")
    floor = least or 0
    short = max(max(warm - have.available, 0), floor - have.total)
    over = max(min(max(have.available - warm, 0), have.total - floor), 0)
    told_by = f"WARM_IP_TARGET {warm}, MINIMUM_IP_TARGET {'unknown' if least is None else least}"
    frozen = warm == 0 and short <= 0 and have.available == 0
    cidrs = over
    if targets.prefix:
        needed = max(_prefixes(have.assigned + warm), _prefixes(floor))
        cidrs = max(min(have.free_prefixes, have.prefixes - needed), 0)
    return Want(short if short > 0 else -over, short > 0, cidrs, enis_too=True, frozen=frozen, told_by=told_by)


def _want_by_prefix(have: Count, targets: Targets) -> Want:
    target = targets.warm_prefix
    if target is None:
        return Want(None, lacks="WARM_PREFIX_TARGET")
    low = have.available < PREFIX * target or (target == 0 and have.available == 0)
    short = max(PREFIX * target - have.available, 1) if low else PREFIX * target - have.available
    return Want(short, low, max(have.free_prefixes - target, 0), enis_too=True, told_by=f"WARM_PREFIX_TARGET {target}")


def _want_by_eni(have: Count, targets: Targets) -> Want:
    target, per_eni = targets.warm_eni, targets.per_eni
    if target is None or per_eni is None:
        return Want(None, lacks="WARM_ENI_TARGET" if target is None else "the type's addresses per ENI")
    goal = per_eni * target
    low = have.available < goal or (target == 0 and have.available == 0)
    short = max(goal - have.available, 1) if low else goal - have.available
    return Want(short, low, 0, enis_too=have.available >= goal + per_eni, told_by=f"WARM_ENI_TARGET {target} x {per_eni}")


def _prefixes(addresses: int) -> int:
    return -(-addresses // PREFIX)


def with_room(pool: Pool, *, slots: int, custom_networking: bool) -> tuple[PoolEni, ...]:
    """ENIs that take another address or prefix. `slots`: /32s or /28s of a full ENI."""
    return tuple(
        e for e in pool.enis
        if not (e.is_trunk or e.excluded or (custom_networking and e.is_primary)) and len(e.cidrs) < slots
    )


def removable(pool: Pool, targets: Targets) -> tuple[PoolEni, ...]:
    """ENIs that ipamd would free as soon as they are old enough and nothing on them cools."""
    return tuple(e for e in pool.enis if _is_idle(e) and not _is_needed(e, pool, targets))


def _is_idle(eni: PoolEni) -> bool:
    busy = any(assigned_in(c) for c in eni.cidrs)
    return not (eni.is_primary or eni.is_trunk or eni.is_efa or busy)


def _is_needed(eni: PoolEni, pool: Pool, targets: Targets) -> bool:
    """Whether the others alone would miss a target."""
    others = [c for e in pool.enis if e.id != eni.id and not e.excluded for c in e.cidrs]
    usable = [c for c in others if in_mode(c, prefix=targets.prefix)]
    unit = PREFIX if targets.prefix else 1
    warm, least = targets.warm_ip or 0, targets.minimum_ip or 0
    if warm and sum(c.size - assigned_in(c) for c in usable) < -(-warm // unit) * unit:
        return True
    if least and sum(c.size for c in usable) < -(-least // unit) * unit:
        return True
    free = sum(not assigned_in(c) for c in others)
    return targets.prefix and bool(targets.warm_prefix) and free < (targets.warm_prefix or 0)
