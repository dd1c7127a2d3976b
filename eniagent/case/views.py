"""What each view says of one ENI or address: IMDS, the checkpoint, the kernel's links, rules and routes, and EC2 where it was asked.

Refuses to take a view that was not seen, or was seen in part, for one that says *absent*: such a cell is `not seen`.
Source: ipamd reference, 5.1, 7.1 to 7.3.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Any, NamedTuple, Optional

from eniagent.case.kernel import FROM_POD, MAIN, TO_POD, veth_name
from eniagent.model.ec2 import Ec2Eni, Ec2View
from eniagent.model.host import Link, Routing
from eniagent.model.ipam import Checkpoint, CheckpointEntry
from eniagent.model.metadata import AttachedEni, Metadata
from eniagent.model.net import IPAddress, IPNetwork
from eniagent.model.reading import Observed, Reading, Unobserved
from eniagent.model.snapshot import NodeSnapshot

ENI_RULE = 32765
"""`from <the ENI's own address>`: written since release 1.20, so its absence alone says nothing."""


class Cell(NamedTuple):
    """One view's word on one thing. `has` None: it was not seen, or nothing is wanted there."""

    has: Optional[bool]
    text: str


class View:
    """What all views share: whether the reading was seen, and how old it is."""

    def __init__(self, reading: Reading[Any], *, now: datetime) -> None:
        self.reading = reading
        at = reading.at
        self.age = f" ({max(0, round((now - at).total_seconds()))} s ago)" if at is not None else ""

    @property
    def seen(self) -> bool:
        """Whether the source answered."""
        return isinstance(self.reading, Observed)

    def says(self, has: Optional[bool], text: str) -> Cell:
        """A cell with its age."""
        return Cell(has, text + self.age)

    def unseen(self, why: str = "") -> Cell:
        """The cell of a view, or of a part of it, that was not seen."""
        if not why and isinstance(self.reading, Unobserved):
            why = self.reading.why.value
        return Cell(None, f"not seen ({why})" if why else "not seen")


class ImdsView(View):
    """Instance metadata: attached ENIs with their addresses and prefixes."""

    def __init__(self, reading: Reading[Metadata], *, now: datetime) -> None:
        super().__init__(reading, now=now)
        metadata = reading.value if isinstance(reading, Observed) else None
        self.enis: dict[str, AttachedEni] = {str(e.id): e for e in metadata.enis} if metadata else {}
        self.whole = bool(metadata) and not (metadata.incomplete if metadata else ())

    def eni(self, name: str) -> Cell:
        """Whether the ENI is attached."""
        found = self.enis.get(name)
        if found is not None:
            return self.says(True, f"attached as device {found.device_number}")
        if not self.seen:
            return self.unseen()
        return self.says(False, "not listed") if self.whole else self.unseen("incomplete")

    def network(self, eni: str, network: IPNetwork) -> Cell:
        """Whether an address or prefix is on the ENI."""
        found = self.enis.get(eni)
        if found is None or found.partial:
            return self.unseen(f"{', '.join(found.partial)[:60]} failed" if found else "its ENI is not listed" if self.seen else "")
        if network in (*found.ipv4_prefixes, *found.ipv6_prefixes):
            return self.says(True, "listed")
        single = network.network_address if network.num_addresses == 1 else None
        if single is not None and single in (*found.ipv4, *found.ipv6):
            return self.says(True, "listed")
        around = next((p for p in (*found.ipv4_prefixes, *found.ipv6_prefixes) if single is not None and single in p), None)
        return self.says(True, f"in {around}") if around is not None else self.says(False, "not listed")


class CheckpointView(View):
    """The checkpoint: assigned addresses only."""

    def __init__(self, reading: Reading[Checkpoint], *, now: datetime) -> None:
        super().__init__(reading, now=now)
        entries = reading.value.entries if isinstance(reading, Observed) else ()
        self.held: dict[IPAddress, CheckpointEntry] = {ip: e for e in entries for ip in (e.ip, e.ipv6) if ip is not None}

    def address(self, ip: IPAddress) -> Cell:
        """Whether the address is noted as assigned."""
        if not self.seen:
            return self.unseen()
        return self.says(True, "assigned") if ip in self.held else self.says(False, "no entry")


class KernelView(View):
    """Links: an ENI is found by its MAC, a pod by its veth's name, whatever prefix the names have."""

    def __init__(self, reading: Reading[tuple[Link, ...]], *, now: datetime) -> None:
        super().__init__(reading, now=now)
        links = reading.value if isinstance(reading, Observed) else ()
        self.by_mac = {link.mac.lower(): link for link in links}
        self.endings = {link.name[-11:] for link in links}

    def eni(self, mac: Optional[str]) -> Cell:
        """Whether the ENI has a link."""
        if not self.seen:
            return self.unseen()
        if mac is None:
            return self.unseen("no view tells its MAC")
        link = self.by_mac.get(mac.lower())
        return self.says(True, f"link {link.name} {'up' if link.up else 'down'}") if link else self.says(False, "no link with its MAC")

    def pod(self, name: str) -> Cell:
        """Whether the pod has its host veth."""
        if not self.seen:
            return self.unseen()
        if "/" not in name:
            return self.unseen("the pod is not known")
        return self.says(True, "veth") if veth_name(name, "")[-11:] in self.endings else self.says(False, "no veth")


class RoutingView(View):
    """Rules and routes. A part that was not seen is named in `incomplete` as `ipv4 rules: why`."""

    def __init__(self, reading: Reading[Routing], *, now: datetime) -> None:
        super().__init__(reading, now=now)
        value = reading.value if isinstance(reading, Observed) else Routing(rules=(), routes=())
        self.missing = tuple(part.split(":")[0] for part in value.incomplete)
        self.to_pod = {r.dst for r in value.rules if r.priority == TO_POD and r.dst is not None}
        self.from_pod = {r.src: r.table for r in value.rules if r.priority == FROM_POD and r.src is not None}
        self.from_eni = {r.src: r.table for r in value.rules if r.priority == ENI_RULE and r.src is not None}
        self.devices = {r.dst: r.device for r in value.routes if r.table in MAIN and r.dst is not None and r.device}
        self.tables = {r.table for r in value.routes}

    def sees(self, part: str, version: int) -> bool:
        """Whether `rules` or `routes` of the family were seen."""
        return self.seen and f"ipv{version} {part}" not in self.missing

    def rules(self, ip: IPAddress, table: Optional[str]) -> Cell:
        """The rules that an assigned address needs: 512, and 1536 on an ENI with a table of its own."""
        if not self.sees("rules", ip.version):
            return self.unseen()
        host, lacks = ipaddress.ip_network(ip), []
        if host not in self.to_pod:
            lacks.append(str(TO_POD))
        if table not in (None, "main") and self.from_pod.get(host) != table:
            lacks.append(f"{FROM_POD} to table {table}")
        return self.says(False, f"lacks {', '.join(lacks)}") if lacks else self.says(True, "present")

    def route(self, ip: IPAddress) -> Cell:
        """The route to an assigned address."""
        if not self.sees("routes", ip.version):
            return self.unseen()
        return self.says(True, "to its veth") if ipaddress.ip_network(ip) in self.devices else self.says(False, "no route")

    def eni_rule(self, own: Optional[IPAddress]) -> Cell:
        """The rule of an ENI's own address: told, never judged."""
        if own is None or not self.sees("rules", own.version):
            return self.unseen() if not self.seen else Cell(None, "none wanted")
        table = self.from_eni.get(ipaddress.ip_network(own))
        return Cell(None, (f"{ENI_RULE} to table {table}" if table else f"no rule {ENI_RULE}") + self.age)

    def table(self, name: Optional[str], *, version: int) -> Cell:
        """Whether an ENI's table has a route."""
        if name in (None, "main") or not self.sees("routes", version):
            return self.unseen() if not self.sees("routes", version) else Cell(None, "main table" if name else "no table known")
        return self.says(True, f"table {name}") if name in self.tables else self.says(False, f"table {name} is empty")


class Ec2Seen(View):
    """EC2's list of the instance's ENIs, where it was asked."""

    def __init__(self, reading: Reading[Ec2View], *, now: datetime) -> None:
        part: Reading[Any] = reading.value.enis if isinstance(reading, Observed) else reading
        super().__init__(part, now=now)
        self.enis: dict[str, Ec2Eni] = {str(e.id): e for e in part.value} if isinstance(part, Observed) else {}

    def eni(self, name: str) -> Cell:
        """Whether EC2 lists the ENI as attached here."""
        if not self.seen:
            return self.unseen()
        found = self.enis.get(name)
        return self.says(True, f"{found.attachment or found.status or 'listed'}{'' if found.managed else ', no_manage'}") if found else self.says(False, "not listed")

    def network(self, eni: str, network: IPNetwork) -> Cell:
        """Whether EC2 lists the address or prefix on the ENI."""
        found = self.enis.get(eni)
        if not self.seen or found is None:
            return self.unseen("its ENI is not listed" if self.seen else "")
        singles = found.addresses
        listed = network in found.prefixes or str(network.network_address) in singles or any(network.network_address in p for p in found.prefixes)
        return self.says(listed, "listed" if listed else "not listed")


class Views:
    """All views of one snapshot; `macs` carries MACs over from earlier looks, for ENIs that IMDS lists no more."""

    def __init__(self, snapshot: NodeSnapshot, *, earlier: tuple[NodeSnapshot, ...] = ()) -> None:
        now = snapshot.taken_at
        self.ipamd = View(snapshot.ipam, now=now)
        self.imds = ImdsView(snapshot.metadata, now=now)
        self.checkpoint = CheckpointView(snapshot.checkpoint, now=now)
        self.kernel = KernelView(snapshot.links, now=now)
        self.routing = RoutingView(snapshot.routing, now=now)
        self.ec2 = Ec2Seen(snapshot.ec2, now=now)
        looks = [*(s.metadata for s in earlier), snapshot.metadata]
        self.macs = {str(e.id): str(e.mac) for look in looks if isinstance(look, Observed) for e in look.value.enis}
