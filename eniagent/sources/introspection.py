"""ipamd's introspection, `GET /v1/enis`: pools, ENIs, CIDRs and addresses, in all shape families A to J.

Refuses to believe ipamd's own counters (they drift; kept as `reported_*`), the HTTP status (an unknown path answers 200 with
the root document) and a reply that is only partly understood: one ENI that cannot be read makes the whole reply malformed,
because a pool without it would look smaller than it is.
Source: amazon-vpc-cni-k8s v1.23.1, introspect.go and data_store.go; older shapes from its tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Optional

import msgspec

from eniagent.model.capture import Seen
from eniagent.model.ipam import Address, Cidr, Ipam, Pool, PoolEni
from eniagent.model.net import EniId, IPAddress, IPNetwork, PodName, SandboxId, SubnetId, parse_address, parse_network
from eniagent.model.probe import HttpGet, Probe
from eniagent.model.reading import Reading
from eniagent.sources import Span, environment, go_time
from eniagent.sources.captured import Malformed, Whole, last_json_value, object_of, reading, shaped

SOURCE = "ipamd introspection"
FILE = "ipamd/enis.json"

_Int = Annotated[int, Whole]


class _Key(msgspec.Struct):
    networkName: str = ""
    containerID: str = ""
    ifName: str = ""


class _Metadata(msgspec.Struct):
    k8sPodNamespace: str = ""
    k8sPodName: str = ""


class _Address(msgspec.Struct):
    Assigned: Optional[bool] = None
    IPAMKey: Optional[_Key] = None
    IPAMMetadata: Optional[_Metadata] = None
    AssignedTime: Optional[str] = None
    UnassignedTime: Optional[str] = None


_Addresses = Optional[dict[str, _Address]]


class _Cidr(msgspec.Struct):
    IPAddresses: _Addresses = None
    IPv4Addresses: _Addresses = None
    IsPrefix: bool = False


_Cidrs = Optional[dict[str, _Cidr]]


class _Eni(msgspec.Struct):
    ID: str
    DeviceNumber: _Int
    IsPrimary: bool
    IsTrunk: bool = False
    IsEFA: bool = False
    IPv4Addresses: _Addresses = None
    AvailableIPv4Cidrs: _Cidrs = None
    IPv6Cidrs: _Cidrs = None
    IsExcludedForPodIPs: Optional[bool] = None
    RouteTableID: Optional[_Int] = None
    SubnetID: Optional[str] = None


class _Pool(msgspec.Struct):
    TotalIPs: _Int
    AssignedIPs: _Int
    ENIs: Optional[dict[str, _Eni]] = None
    ENIIPPools: Optional[dict[str, _Eni]] = None


def plan(seen: Seen) -> Sequence[Probe]:
    """One GET; ipamd logs every one, so it is never repeated within a run."""
    return () if FILE in seen else (HttpGet(file=FILE, service="introspection", path="/v1/enis"),)


def read(seen: Seen, span: Span) -> Reading[Ipam]:
    """The pools of all cards. Disabled where the port refuses and ipamd's environment says that it should."""
    return environment.or_disabled(reading(seen, file=FILE, source=SOURCE, decode=decode), seen, switch="DISABLE_INTROSPECTION")


def decode(data: bytes) -> Ipam:
    """The body of `/v1/enis`, of any release; of several appended documents the last. Raises `Malformed`."""
    document = object_of(last_json_value(data), what="/v1/enis")
    if "AvailableCommands" in document:
        raise Malformed("the root document (AvailableCommands) came instead of /v1/enis")
    if "TotalIPs" in document:
        wires, nested = {0: shaped(document, _Pool, what="/v1/enis")}, False
    elif document and all(_is_card(key) for key in document):
        wires, nested = {int(key): shaped(pool, _Pool, what=f"/v1/enis card {key}") for key, pool in document.items()}, True
    else:
        raise Malformed(f"/v1/enis: no known shape (keys {', '.join(sorted(document)[:4]) or 'none'})")
    family = _family(wires, nested=nested)
    return Ipam(family=family, pools=tuple(_pool(card, wire=wires[card], family=family) for card in sorted(wires)))


def _is_card(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) <= 3


def _family(wires: dict[int, _Pool], *, nested: bool) -> str:
    """The letter of the shape (ipamd reference, 1.2): the oldest that fits, where an idle node shows no difference."""
    enis = [eni for wire in wires.values() for eni in _enis(wire).values()]
    addresses = [address for eni in enis for cidr in _cidrs(eni) for address in _within(cidr).values()]
    if nested:
        if any(eni.SubnetID is not None for eni in enis):
            scrubbed = any(a.IPAMKey and a.IPAMKey.networkName and not a.IPAMKey.containerID for a in addresses)
            return "J" if scrubbed else "I"
        return "H" if any(eni.RouteTableID is not None for eni in enis) else "G"
    if any(wire.ENIIPPools is not None for wire in wires.values()):
        flat = [address for eni in enis for address in (eni.IPv4Addresses or {}).values()]
        return "B" if any(address.UnassignedTime is not None for address in flat) else "A"
    if any(address.AssignedTime is not None for address in addresses):
        return "F"
    if any(eni.IPv6Cidrs is not None or any(c.IPAddresses is not None for c in _cidrs(eni)) for eni in enis):
        return "E"
    return "D" if any(eni.AvailableIPv4Cidrs is not None for eni in enis) else "C"


def _enis(wire: _Pool) -> dict[str, _Eni]:
    return {**(wire.ENIIPPools or {}), **(wire.ENIs or {})}


def _cidrs(eni: _Eni) -> Iterator[_Cidr]:
    yield from (eni.AvailableIPv4Cidrs or {}).values()
    yield from (eni.IPv6Cidrs or {}).values()


def _within(cidr: _Cidr) -> dict[str, _Address]:
    return {**(cidr.IPv4Addresses or {}), **(cidr.IPAddresses or {})}


def _pool(card: int, *, wire: _Pool, family: str) -> Pool:
    if wire.ENIs is None and wire.ENIIPPools is None:
        raise Malformed(f"/v1/enis card {card}: neither ENIs nor ENIIPPools")
    return Pool(
        card=card,
        enis=tuple(_eni(key, wire=eni, family=family) for key, eni in _enis(wire).items()),
        reported_total=wire.TotalIPs,
        reported_assigned=wire.AssignedIPs,
    )


def _eni(key: str, *, wire: _Eni, family: str) -> PoolEni:
    if not key or key != wire.ID:
        raise Malformed(f"ENI {key!r}: its ID says {wire.ID!r}")
    if wire.IPv4Addresses is None and wire.AvailableIPv4Cidrs is None and wire.IPv6Cidrs is None:
        raise Malformed(f"ENI {key}: no addresses and no CIDRs")
    flat = tuple(_single(ip, wire=address, family=family) for ip, address in (wire.IPv4Addresses or {}).items())
    maps = {**(wire.AvailableIPv4Cidrs or {}), **(wire.IPv6Cidrs or {})}
    return PoolEni(
        id=EniId(key),
        device_number=wire.DeviceNumber,
        is_primary=wire.IsPrimary,
        is_trunk=wire.IsTrunk,
        is_efa=wire.IsEFA,
        cidrs=flat + tuple(_cidr(text, wire=cidr, family=family) for text, cidr in maps.items()),
        excluded=wire.IsExcludedForPodIPs,
        route_table=wire.RouteTableID,
        subnet=SubnetId(wire.SubnetID) if wire.SubnetID else None,
    )


def _single(text: str, *, wire: _Address, family: str) -> Cidr:
    """A flat address of families A to C: a CIDR of one, listed inside only when it was ever handed out."""
    address = _address(text, wire=wire, family=family)
    used = address.assigned or address.unassigned_at is not None
    return Cidr(network=_network(text), is_prefix=False, addresses=(address,) if used else ())


def _cidr(text: str, *, wire: _Cidr, family: str) -> Cidr:
    if "/" not in text:
        raise Malformed(f"CIDR {text!r} has no length")
    addresses = tuple(_address(ip, wire=address, family=family) for ip, address in _within(wire).items())
    return Cidr(network=_network(text), is_prefix=wire.IsPrefix, addresses=addresses)


def _address(text: str, *, wire: _Address, family: str) -> Address:
    key = wire.IPAMKey or _Key()
    if family in "AB":
        if wire.Assigned is None:
            raise Malformed(f"address {text}: Assigned is missing")
        assigned = wire.Assigned
    else:
        if wire.IPAMKey is None:
            raise Malformed(f"address {text}: IPAMKey is missing")
        # Since 1.23 the container id is scrubbed; the network's name alone tells.
        assigned = bool(key.networkName or key.containerID)
    return Address(
        ip=_ip(text),
        assigned=assigned,
        pod=_pod(wire.IPAMMetadata),
        sandbox=SandboxId(key.containerID) if key.containerID else None,
        assigned_at=go_time.parse(wire.AssignedTime) if wire.AssignedTime else None,
        unassigned_at=go_time.parse(wire.UnassignedTime) if wire.UnassignedTime else None,
    )


def _pod(wire: Optional[_Metadata]) -> Optional[PodName]:
    if wire is None or not wire.k8sPodName:
        return None
    return PodName(f"{wire.k8sPodNamespace}/{wire.k8sPodName}" if wire.k8sPodNamespace else wire.k8sPodName)


def _ip(text: str) -> IPAddress:
    try:
        return parse_address(text)
    except ValueError as error:
        raise Malformed(f"no address: {text[:60]!r}") from error


def _network(text: str) -> IPNetwork:
    try:
        return parse_network(text)
    except ValueError as error:
        raise Malformed(f"no CIDR: {text[:60]!r}") from error


