"""The ledger: one row per ENI, prefix and address over all views, and what their disagreement is.

Refuses to class a disagreement of IMDS or the checkpoint with ipamd after one read: until a second read at least 60 s later it
is `unconfirmed`. What the kernel lacks needs no second read. A view that was not seen never disagrees.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Optional

from eniagent.case import eventual
from eniagent.case.eventual import Key
from eniagent.case.facts import Facts
from eniagent.case.kernel import SETTLE_S, settled, table_of
from eniagent.case.pool import cools
from eniagent.case.views import Cell, Views
from eniagent.model.finding import LedgerRow
from eniagent.model.ipam import Address, Cidr, Pool, PoolEni
from eniagent.model.net import IPAddress, IPNetwork
from eniagent.model.reading import Why
from eniagent.model.snapshot import Case

AGREED, UNCONFIRMED, LATE, LEAK = "agreed", "unconfirmed", "late-view", "leak"
GHOST, LOST_ENI, LOST_ADDRESS, NO_LINK = "ghost-eni", "lost-eni", "lost-address", "mac-without-link"
NO_RULE, NO_ROUTE, ORPHAN = "missing-rule", "missing-route", "orphan-rule"
KINDS = (LATE, LEAK, GHOST, LOST_ENI, LOST_ADDRESS, NO_RULE, NO_ROUTE, ORPHAN, NO_LINK, UNCONFIRMED)
"""All classes of disagreement. `lost-address`: ipamd has it, IMDS lists it no more. `late-view`: one view stays behind the other."""
_OF_ENIS = (GHOST, LOST_ENI, NO_LINK)
"""States of an ENI that its addresses share: counted once."""
_KERNEL = frozenset((GHOST, NO_LINK, NO_RULE, NO_ROUTE, ORPHAN, LEAK))


def ledger(case: Case) -> tuple[LedgerRow, ...]:
    """All rows: each ENI with its prefixes and addresses, then addresses that ipamd does not hold. A function of the case alone."""
    return tuple(_Ledger(case).rows())


def disagreements(rows: Iterable[LedgerRow]) -> dict[str, int]:
    """How many rows disagree, by class; every class is there. An ENI's loss counts once, not once for each of its addresses."""
    found = Counter(r.state for r in rows if r.state != AGREED and (r.kind == "eni" or r.state not in _OF_ENIS))
    return {kind: found[kind] for kind in KINDS}


class _Ledger:
    """One case's views and disagreements, while the rows are made."""

    def __init__(self, case: Case) -> None:
        self.facts = Facts(case)
        self.views = Views(case.now, earlier=case.before)
        self.found = eventual.disagreements_now(case.now)
        self.confirmed = eventual.confirmed(case, self.found)
        sandboxes = self.facts.value("sandboxes")
        self.live = {s.pod for s in sandboxes.pods if s.ready} if sandboxes else frozenset()
        cidrs = [c for p in (self.facts.ipam.pools if self.facts.ipam else ()) for e in p.enis for c in e.cidrs]
        self.networks = {c.network for c in cidrs}
        self.wide = tuple(n for n in self.networks if n.num_addresses > 1)
        self.addresses = {a.ip: a for c in cidrs for a in c.addresses}
        ec2 = self.facts.unseen("ec2")
        self.asked_ec2 = ec2 is None or ec2.why is not Why.NOT_COLLECTED

    def rows(self) -> Iterator[LedgerRow]:
        pools = self.facts.ipam.pools if self.facts.ipam else ()
        for pool in sorted(pools, key=lambda p: p.card):
            for eni in sorted(pool.enis, key=lambda e: (e.device_number, e.id)):
                yield from self._eni_rows(pool, eni)
        held = {str(e.id) for p in pools for e in p.enis}
        for name in sorted(self.views.imds.enis.keys() - held):
            yield self._foreign_eni(name)
        yield from self._unheld(held)

    def _eni_rows(self, pool: Pool, eni: PoolEni) -> Iterator[LedgerRow]:
        name, views = str(eni.id), self.views
        table, version = table_of(eni, pool.card), 6 if any(c.network.version == 6 for c in eni.cidrs) else 4
        attached = views.imds.enis.get(name)
        own = attached.ipv4[0] if attached and attached.ipv4 and not eni.is_primary else None
        assigned = sum(a.assigned for c in eni.cidrs for a in c.addresses)
        cells = {
            "imds": views.imds.eni(name),
            "ipamd": views.ipamd.says(True, f"held, {len(eni.cidrs)} {'prefixes' if any(c.is_prefix for c in eni.cidrs) else 'addresses'}, {assigned} assigned"),
            "kernel": views.kernel.eni(views.macs.get(name)),
            "rules": views.routing.eni_rule(own),
            "routes": views.routing.table(table, version=version),
            "ec2": views.ec2.eni(name),
        }
        state = self._state_of_eni(name, cells, wants_table=bool(eni.cidrs) and not eni.is_trunk)
        yield self._row("eni", name, pool.card, name, cells, state, keys=(("IMDS", name),))
        inherited = state if state in _OF_ENIS else ""
        for cidr in sorted(eni.cidrs, key=lambda c: (c.network.version, c.network)):
            yield from self._cidr_rows(cidr, eni, pool.card, table=table, inherited=inherited)

    def _state_of_eni(self, name: str, cells: dict[str, Cell], *, wants_table: bool) -> str:
        if cells["imds"].has is False:
            gone = ("IMDS", name) in self.confirmed or cells["kernel"].has is False
            return LOST_ENI if gone else UNCONFIRMED
        if cells["kernel"].has is False:
            return GHOST
        return NO_ROUTE if wants_table and cells["routes"].has is False else AGREED

    def _cidr_rows(self, cidr: Cidr, eni: PoolEni, card: int, *, table: Optional[str], inherited: str) -> Iterator[LedgerRow]:
        if cidr.network.num_addresses > 1:
            used = sum(a.assigned for a in cidr.addresses)
            cells = {"ipamd": self.views.ipamd.says(True, f"held, {used} assigned"), **self._listed(eni, cidr.network)}
            state = inherited or self._of_keys((("IMDS", str(cidr.network)),), LOST_ADDRESS)
            yield self._row("prefix", str(cidr.network), card, str(eni.id), cells, state, keys=(("IMDS", str(cidr.network)),))
            for address in sorted((a for a in cidr.addresses if a.assigned), key=lambda a: a.ip):
                yield self._address(address.ip, address, cidr, eni, card, table=table, inherited=inherited)
            return
        address_of = {a.ip: a for a in cidr.addresses}
        ip = cidr.network.network_address
        yield self._address(ip, address_of.get(ip), cidr, eni, card, table=table, inherited=inherited)

    def _listed(self, eni: PoolEni, network: IPNetwork) -> dict[str, Cell]:
        return {"imds": self.views.imds.network(str(eni.id), network), "ec2": self.views.ec2.network(str(eni.id), network)}

    def _address(
        self, ip: IPAddress, address: Optional[Address], cidr: Cidr, eni: PoolEni, card: int, *, table: Optional[str], inherited: str
    ) -> LedgerRow:
        views, assigned = self.views, address is not None and address.assigned
        host = ipaddress.ip_network(ip)
        cells = {**self._listed(eni, host), "ipamd": views.ipamd.says(True, self._use(address)), "checkpoint": views.checkpoint.address(ip)}
        if assigned and address is not None:
            cells["kernel"] = views.kernel.pod(address.pod or "") if card == 0 else Cell(None, "not looked for on further cards")
            cells["rules"], cells["routes"] = views.routing.rules(ip, table), views.routing.route(ip)
        keys: tuple[Key, ...] = (("IMDS", str(host)), ("checkpoint", str(ip)))
        if cidr.network.num_addresses > 1:
            keys = keys[1:]  # The prefix's own row tells of IMDS.
        state = inherited or (self._kernel_state(address, cells) if assigned and address else self._orphan_state(ip)) or self._of_keys(keys, LOST_ADDRESS)
        return self._row("address", str(ip), card, str(eni.id), cells, state, keys=keys, pod=(address.pod or "") if address and assigned else "")

    def _use(self, address: Optional[Address]) -> str:
        if address is None:
            return "free, never used"
        if address.assigned:
            return "assigned"
        return "cooling" if cools(address, now=self.facts.at, cooldown_s=self.facts.settings.cooldown_s) else "free"

    def _kernel_state(self, address: Address, cells: dict[str, Cell]) -> str:
        """What the kernel lacks for an assigned address that is past its set-up."""
        if not settled(address, self.facts.now):
            return ""
        if cells["kernel"].has is False:
            return NO_ROUTE if address.pod in self.live else LEAK
        if cells["rules"].has is False:
            return NO_RULE
        return NO_ROUTE if cells["routes"].has is False else ""

    def _orphan_state(self, ip: IPAddress) -> str:
        """A pod rule for an address that no pod holds, and not only just freed. Branch-ENI pods have such rules by design."""
        if self.facts.settings.pod_eni is not False or self.facts.ipam is None or not self._ruled(ip):
            return ""
        address = self.addresses.get(ip)
        freed = address.unassigned_at if address else None
        held = address is not None and address.assigned
        return "" if held or (freed is not None and self.facts.at - freed <= timedelta(seconds=SETTLE_S)) else ORPHAN

    def _ruled(self, ip: IPAddress) -> bool:
        host = ipaddress.ip_network(ip)
        return host in self.views.routing.to_pod or host in self.views.routing.from_pod

    def _of_keys(self, keys: tuple[Key, ...], lost: str) -> str:
        """The class of what only time can settle: unconfirmed after one read."""
        standing = [k for k in keys if k in self.found]
        if not standing:
            return AGREED
        firm = [k for k in standing if k in self.confirmed]
        if not firm:
            return UNCONFIRMED
        return lost if firm[0][0] == "IMDS" and self.found[firm[0]] == eventual.IPAMD_ONLY else LATE

    def _foreign_eni(self, name: str) -> LedgerRow:
        """An ENI that IMDS lists and ipamd does not hold."""
        views, attached, key = self.views, self.views.imds.enis[name], ("IMDS", name)
        bare = not (attached.ipv4 or attached.ipv6) and not attached.partial  # EFA-only: no link by design.
        told = "not held" if key in self.found else "not held (ipamd leaves unmanaged ENIs out)"
        cells = {
            "imds": views.imds.eni(name),
            "ipamd": views.ipamd.says(False, told) if views.ipamd.seen else views.ipamd.unseen(),
            "kernel": Cell(None, "none wanted") if bare else views.kernel.eni(str(attached.mac)),
            "ec2": views.ec2.eni(name),
        }
        state = NO_LINK if cells["kernel"].has is False else self._of_keys((key,), LATE)
        return self._row("eni", name, attached.card, name, cells, state, keys=(key,))

    def _unheld(self, held: set[str]) -> Iterator[LedgerRow]:
        """Addresses without a row of their own that other views have: IMDS on ENIs of ipamd, the checkpoint, pod rules."""
        routing, others = self.views.routing, [n for n, side in self.found.items() if side == eventual.OTHER_ONLY]
        foreign = [name for view, name in others if view == "IMDS" and "/" in name]
        imds = {ipaddress.ip_network(n): e for n in foreign for e in sorted(held) if self._lists(e, n)}
        noted = {ipaddress.ip_network(name) for view, name in others if view == "checkpoint"}
        ruled = {h for h in (*routing.to_pod, *routing.from_pod) if h.num_addresses == 1 and self._orphan_state(h.network_address)}
        wanted = {*imds, *((noted | ruled) - self.networks)}
        for network in sorted(wanted, key=lambda n: (n.version, n)):
            yield self._unheld_row(network, imds.get(network, ""))

    def _lists(self, eni: str, network: str) -> bool:
        return self.views.imds.network(eni, ipaddress.ip_network(network)).has is True

    def _unheld_row(self, network: IPNetwork, eni: str) -> LedgerRow:
        views, ip, single = self.views, network.network_address, network.num_addresses == 1
        around = next((n for n in self.wide if single and n.version == ip.version and ip in n), None)
        cells = {
            "imds": views.imds.network(eni, network) if eni else Cell(None, "on no ENI of ipamd"),
            "ipamd": views.ipamd.says(False, "not held" if around is None else f"{self._use(self.addresses.get(ip))}, in {around}"),
        }
        keys: tuple[Key, ...] = (("IMDS", str(network)),)
        state = ""
        if single:
            keys = (*keys, ("checkpoint", str(ip)))
            cells["checkpoint"] = views.checkpoint.address(ip)
            cells["rules"] = views.routing.says(True, "a pod's rule") if self._ruled(ip) else views.routing.unseen() if not views.routing.seen else Cell(None, "none")
            cells["routes"] = views.routing.route(ip)
            state = self._orphan_state(ip)
        return self._row("address" if single else "prefix", str(ip) if single else str(network), 0, eni, cells, state or self._of_keys(keys, LATE), keys=keys)

    def _row(self, kind: str, subject: str, card: int, eni: str, cells: dict[str, Cell], state: str, *, keys: tuple[Key, ...], pod: str = "") -> LedgerRow:
        order = ("imds", "ipamd", "checkpoint", "kernel", "rules", "routes", *(("ec2",) if self.asked_ec2 else ()))
        views = {view: cells[view].text if view in cells else "none wanted" for view in order if view in cells or kind != "eni"}
        firm = state in _KERNEL or any(k in self.confirmed for k in keys) or (state == LOST_ENI)
        return LedgerRow(kind=kind, subject=subject, card=card, eni=eni, views=views, state=state, confirmed=firm and state not in (AGREED, UNCONFIRMED), pod=pod)
