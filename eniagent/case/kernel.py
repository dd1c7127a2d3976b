"""The data plane held against ipamd: rules, routes and links that each assigned address and ENI needs.

Source: ipamd reference 7.1 to 7.3. Not eventually consistent: what is missing here is missing.
"""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import datetime, timedelta
from typing import Optional

import msgspec

from eniagent.case.settings import Effective
from eniagent.model.host import Link, Route, Routing, Rule
from eniagent.model.ipam import Address, Ipam, PoolEni
from eniagent.model.metadata import Metadata
from eniagent.model.net import IPNetwork
from eniagent.model.snapshot import NodeSnapshot

TO_POD, FROM_POD = 512, 1536
MAIN = ("main", "254", "1")
SETTLE_S = 10
"""An address younger than this may still be in set-up: an ADD takes well under a second, its retries a few."""


class Gap(msgspec.Struct, frozen=True):
    """One thing that is missing or left over. `kind`: rule, route, veth, link, table, orphan-rule."""

    kind: str
    subject: str
    pod: str
    eni: str
    expected: str
    at: Optional[datetime] = None
    """When the address was given to the pod."""


def veth_name(pod: str, prefix: str) -> str:
    """The host veth of a pod: prefix + the first 11 hex digits of sha1("namespace.name")."""
    namespace, _, name = pod.partition("/")
    return prefix + hashlib.sha1(f"{namespace}.{name}".encode()).hexdigest()[:11]  # noqa: S324 - the CNI's own naming


def by_host(ip: str) -> tuple[int, int]:
    """Addresses in an order that redaction keeps as far as it can: by the offset inside a /28 (v6: /80) first (law L2)."""
    address = ipaddress.ip_address(ip)
    return int(address) & (0xF if address.version == 4 else (1 << 48) - 1), int(address)


def _in_time(gap: Gap) -> tuple[object, ...]:
    return gap.kind, gap.at.timestamp() if gap.at is not None else 0.0, *by_host(gap.subject)


def table_of(eni: PoolEni, card: int) -> Optional[str]:
    """The route table of an ENI: what ipamd says, else device + 1 on card 0. None: cannot be computed."""
    if eni.route_table is not None:
        return "main" if eni.route_table in (1, 254) else str(eni.route_table)
    if eni.is_primary:
        return "main"
    return str(eni.device_number + 1) if card == 0 else None


def settled(address: Address, now: NodeSnapshot) -> bool:
    return address.assigned_at is None or now.taken_at - address.assigned_at > timedelta(seconds=SETTLE_S)


def address_gaps(ipam: Ipam, links: tuple[Link, ...], routing: Routing, settings: Effective, now: NodeSnapshot) -> tuple[Gap, ...]:
    """Missing rules, routes and veths of the addresses that ipamd counts as assigned."""
    names = {link.name for link in links}
    to_rules = {r.dst for r in routing.rules if r.priority == TO_POD and r.dst}
    from_rules: dict[IPNetwork, list[Rule]] = {}
    for rule in routing.rules:
        if rule.priority == FROM_POD and rule.src:
            from_rules.setdefault(rule.src, []).append(rule)
    routes = {r.dst: r for r in routing.routes if r.table in MAIN and r.dst and r.device}
    gaps: list[Gap] = []
    for pool in (p for p in ipam.pools if p.card == 0):  # Links of further cards are named after "<pod>.<index>".
        for eni in pool.enis:
            table = table_of(eni, pool.card)
            for address in (a for c in eni.cidrs for a in c.addresses if a.assigned and settled(a, now)):
                gaps += _gaps_of(address, eni, table, names, to_rules, from_rules, routes, settings)
    return tuple(sorted(gaps, key=_in_time))


def _gaps_of(
    address: Address, eni: PoolEni, table: Optional[str], names: set[str], to_rules: set[IPNetwork],
    from_rules: dict[IPNetwork, list[Rule]], routes: dict[IPNetwork, Route], settings: Effective,
) -> list[Gap]:
    host = ipaddress.ip_network(address.ip)
    pod, ip, at = address.pod or "", str(address.ip), address.assigned_at
    found = []
    if pod and "/" in pod and veth_name(pod, settings.veth_prefix) not in names:
        return [Gap("veth", ip, pod, eni.id, veth_name(pod, settings.veth_prefix), at)]
    if host not in to_rules:
        found.append(Gap("rule", ip, pod, eni.id, f"{TO_POD}: from all to {ip} lookup main", at))
    if table not in (None, "main") and host not in from_rules:
        found.append(Gap("rule", ip, pod, eni.id, f"{FROM_POD}: from {ip} lookup {table}", at))
    if host not in routes:
        found.append(Gap("route", ip, pod, eni.id, f"{ip} dev {settings.veth_prefix}… scope link", at))
    return found


def eni_gaps(ipam: Ipam, metadata: Metadata, links: tuple[Link, ...], routing: Optional[Routing]) -> tuple[Gap, ...]:
    """ENIs in ipamd's store whose kernel link is gone, or whose route table is empty."""
    mac_of = {e.id: e.mac.lower() for e in metadata.enis}
    macs = {link.mac.lower() for link in links}
    tables = {r.table for r in routing.routes} if routing else None
    gaps = []
    for pool in sorted(ipam.pools, key=lambda p: p.card):
        for eni in sorted(pool.enis, key=lambda e: (e.device_number, e.id)):
            mac = mac_of.get(eni.id)
            if mac and mac not in macs:
                gaps.append(Gap("link", eni.id, "", eni.id, f"a link with MAC {mac}"))
            table = table_of(eni, pool.card)
            if tables is not None and table not in (None, "main") and table not in tables and not eni.is_trunk and eni.cidrs:
                gaps.append(Gap("table", eni.id, "", eni.id, f"a default route in table {table}"))
    return tuple(gaps)


def orphan_rules(ipam: Ipam, routing: Routing, links: tuple[Link, ...], settings: Effective) -> tuple[Gap, ...]:
    """Pod rules whose address ipamd does not hold as assigned, while a pod's veth still carries its route."""
    assigned = {ipaddress.ip_network(a.ip) for p in ipam.pools for e in p.enis for c in e.cidrs for a in c.addresses if a.assigned}
    names = {link.name for link in links}
    devices = {r.dst: r.device for r in routing.routes if r.table in MAIN and r.dst}
    found = {}
    for rule in routing.rules:
        host = rule.dst if rule.priority == TO_POD else rule.src if rule.priority == FROM_POD else None
        if host is None or host in assigned or host.num_addresses != 1:
            continue
        device = devices.get(host, "")
        if device.startswith(settings.veth_prefix) and device in names:
            found[str(host.network_address)] = Gap("orphan-rule", str(host.network_address), device, "", f"an address assigned in ipamd (veth {device})")
    return tuple(found[k] for k in sorted(found, key=by_host))
