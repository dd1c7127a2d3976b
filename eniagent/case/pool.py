"""The pool recomputed: usable, assigned, cooling and assignable addresses per card, ENI by ENI.

Refuses ipamd's own counters: they drift, and count cooling addresses as available. They are kept to be compared.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Optional

import msgspec

from eniagent.case.settings import Effective
from eniagent.model.ipam import Address, Cidr, Ipam, Pool, PoolEni


class EniUse(msgspec.Struct, frozen=True):
    """One ENI's addresses. `usable` 0 where ipamd hands none out from it (trunk, excluded, primary under custom networking)."""

    id: str
    usable: int
    assigned: int
    cooling: int
    slots: int
    """CIDRs in use on the ENI: /32s or prefixes."""


class CardUse(msgspec.Struct, frozen=True):
    """One card's pool in numbers. `drift`: reported total minus the recomputed one, None where nothing was reported."""

    card: int
    enis: tuple[EniUse, ...]
    usable: int
    assigned: int
    cooling: int
    drift: Optional[int] = None

    @property
    def assignable(self) -> int:
        """Addresses that an ADD could get at this moment."""
        return max(self.usable - self.assigned - self.cooling, 0)


class PoolUse(msgspec.Struct, frozen=True):
    """All cards. Sums are over the cards that ipamd manages."""

    cards: tuple[CardUse, ...]
    assigned: tuple[Address, ...]

    @property
    def usable(self) -> int:
        """Capacity now."""
        return sum(c.usable for c in self.cards)

    @property
    def in_use(self) -> int:
        """Assigned addresses."""
        return sum(c.assigned for c in self.cards)

    @property
    def cooling(self) -> int:
        """Addresses that rest after being freed."""
        return sum(c.cooling for c in self.cards)

    @property
    def assignable(self) -> int:
        """usable - assigned - cooling."""
        return sum(c.assignable for c in self.cards)

    @property
    def default(self) -> CardUse:
        """Card 0, the one whose limits and warm targets apply to ordinary pods."""
        return next((c for c in self.cards if c.card == 0), CardUse(card=0, enis=(), usable=0, assigned=0, cooling=0))

    @property
    def enis(self) -> int:
        """ENIs that ipamd holds."""
        return sum(len(c.enis) for c in self.cards)


def cools(address: Address, *, now: datetime, cooldown_s: int) -> bool:
    """Freed and not yet assignable. The comparison is inclusive. Source: data_store.go."""
    if address.assigned or address.unassigned_at is None:
        return False
    return now - address.unassigned_at <= timedelta(seconds=cooldown_s)


def pool_use(ipam: Ipam, settings: Effective, *, now: datetime) -> PoolUse:
    """The numbers of one introspection answer at `now`."""
    assigned = tuple(a for p in ipam.pools for e in p.enis for c in e.cidrs for a in c.addresses if a.assigned)
    return PoolUse(cards=tuple(_card(p, settings, now) for p in ipam.pools), assigned=assigned)


def _card(pool: Pool, settings: Effective, now: datetime) -> CardUse:
    enis = tuple(_eni(e, settings, now, primary_card=pool.card == 0) for e in pool.enis)
    every = sum(c.size for e in pool.enis for c in e.cidrs)
    return CardUse(
        card=pool.card,
        enis=enis,
        usable=sum(e.usable for e in enis),
        assigned=sum(e.assigned for e in enis),
        cooling=sum(e.cooling for e in enis),
        drift=None if pool.reported_total is None else pool.reported_total - every,
    )


def _eni(eni: PoolEni, settings: Effective, now: datetime, *, primary_card: bool) -> EniUse:
    cidrs = [c for c in eni.cidrs if _in_mode(c, settings, primary_card=primary_card)]
    addresses = [a for c in eni.cidrs for a in c.addresses]
    spared = bool(eni.excluded) or eni.is_trunk or (bool(settings.custom_networking) and eni.is_primary)
    return EniUse(
        id=eni.id,
        usable=0 if spared else sum(c.size for c in cidrs),
        assigned=sum(a.assigned for a in addresses),
        cooling=0 if spared else sum(cools(a, now=now, cooldown_s=settings.cooldown_s) for a in addresses),
        slots=len(eni.cidrs),
    )


def _in_mode(cidr: Cidr, settings: Effective, *, primary_card: bool) -> bool:
    """After a mode switch both kinds coexist and only those of the present mode are handed out. Cards above 0 use single addresses."""
    if cidr.network.version == 6 or settings.prefix is None or not primary_card:
        return True
    return cidr.is_prefix == settings.prefix
