"""EC2 and CloudTrail, asked only with `--aws`: subnets of the node's zone, the instance's ENIs, its type, the calls of the window.

Refuses to conclude from what CloudTrail does not list: it tells of calls minutes late, and one page per question is read.
Wire: the documents of the AWS APIs as their SDKs and the AWS CLI print them, one object or an array of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Callable, Optional, TypeVar

import msgspec

from eniagent.model.capture import Seen
from eniagent.model.ec2 import Ec2Eni, Ec2Subnet, Ec2Type, Ec2View, TrailCall
from eniagent.model.metadata import Metadata
from eniagent.model.net import EniId, IPNetwork, SubnetId, parse_network
from eniagent.model.probe import AskAws, Probe, ReadImds
from eniagent.model.reading import Observed, Reading, not_collected
from eniagent.sources import Span, imds
from eniagent.sources.captured import Malformed, Unusable, Whole, body, json_value, list_of, object_of, reading

SOURCE = "EC2"
SUBNETS, ENIS, TYPES, TRAIL = "aws/subnets.json", "aws/network-interfaces.json", "aws/instance-types.json", "aws/cloudtrail.json"
CALLS = ("CreateNetworkInterface", "AttachNetworkInterface", "AssignPrivateIpAddresses")
"""What ipamd calls to grow, and what EC2 refuses."""
UNMANAGED = "node.k8s.amazonaws.com/no_manage"

T = TypeVar("T")
Count = Annotated[int, Whole]


def plan(seen: Seen) -> Sequence[Probe]:
    """IMDS first: it tells whom to ask about; then all questions at once."""
    if imds.FILE not in seen:
        return (ReadImds(file=imds.FILE),)
    known = _metadata(seen)
    if known is None or not known.identity.instance_id or not known.identity.region:
        return ()
    return [probe for probe in _probes(known) if probe.file not in seen]


def _probes(known: Metadata) -> Sequence[AskAws]:
    who, region = known.identity, known.identity.region
    vpc = next((eni.vpc for eni in known.enis if eni.vpc), "")
    zone = [{"Name": "availability-zone", "Values": [who.availability_zone]}, *([{"Name": "vpc-id", "Values": [vpc]}] if vpc else [])]
    attached = [{"Name": "attachment.instance-id", "Values": [who.instance_id]}]
    trail = [("Username", str(who.instance_id)), *(("EventName", call) for call in CALLS)]
    lookups = [{"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}], "MaxResults": 50} for key, value in trail]
    return (
        AskAws(SUBNETS, "ec2", "DescribeSubnets", region, (json.dumps({"Filters": zone}),)),
        AskAws(ENIS, "ec2", "DescribeNetworkInterfaces", region, (json.dumps({"Filters": attached}),)),
        AskAws(TYPES, "ec2", "DescribeInstanceTypes", region, (json.dumps({"InstanceTypes": [who.instance_type]}),)),
        AskAws(TRAIL, "cloudtrail", "LookupEvents", region, tuple(map(json.dumps, lookups)), in_window=True, timeout_s=12.0),
    )


def _metadata(seen: Seen) -> Optional[Metadata]:
    try:
        return imds.decode(body(seen, file=imds.FILE))
    except (Unusable, Malformed):
        return None


def read(seen: Seen, span: Span) -> Reading[Ec2View]:
    """All parts; not collected where none of them was asked for."""
    files = (SUBNETS, ENIS, TYPES, TRAIL)
    if not any(file in seen for file in files):
        return not_collected(SOURCE)
    known = _metadata(seen)
    here = {eni.subnet for eni in known.enis} if known else set()
    enis = _part(seen, ENIS, "EC2 DescribeNetworkInterfaces", _enis)
    names = [str(known.identity.instance_id), *(eni.id for eni in known.enis)] if known else []
    names += [eni.id for eni in enis.value] if isinstance(enis, Observed) else []
    ours = tuple(name for name in dict.fromkeys(names) if name)
    view = Ec2View(
        subnets=_part(seen, SUBNETS, "EC2 DescribeSubnets", lambda found: tuple(_subnet(s, here) for s in _items(found, "Subnets"))),
        enis=enis,
        type=_part(seen, TYPES, "EC2 DescribeInstanceTypes", _type),
        calls=_part(seen, TRAIL, "CloudTrail LookupEvents", lambda found: _calls(found, ours)),
    )
    times = [seen[file].about.at for file in files if file in seen]
    return Observed(value=view, source=SOURCE, at=max((t for t in times if t is not None), default=None))


def _part(seen: Seen, file: str, source: str, decode: Callable[[list[Any]], T]) -> Reading[T]:
    def whole(data: bytes) -> T:
        found = json_value(data)
        documents = found if isinstance(found, list) else [found]
        if not documents:
            raise Malformed("no answer in it")
        try:
            return decode(documents)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Malformed(f"{source}: {error}") from error

    return reading(seen, file=file, source=source, decode=whole)


def _items(documents: list[Any], key: str) -> list[dict[str, Any]]:
    """The entries under `key` of all documents. Raises `Malformed` where one lacks it: an answer of another shape is no empty answer."""
    found: list[dict[str, Any]] = []
    for document in documents:
        table = object_of(document, what="answer")
        if key not in table:
            raise Malformed(f"no {key} in the answer")
        found += [object_of(item, what=key) for item in list_of(table[key], what=key)]
    return found


def _network(text: Any) -> Optional[IPNetwork]:
    try:
        return parse_network(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _tags(item: dict[str, Any], key: str) -> dict[str, str]:
    listed = item.get(key)
    pairs = [tag for tag in listed if isinstance(tag, dict)] if isinstance(listed, list) else []
    return {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in pairs}


class _SubnetWire(msgspec.Struct):
    SubnetId: str
    AvailableIpAddressCount: Count
    CidrBlock: str = ""
    AvailabilityZone: str = ""


def _subnet(item: dict[str, Any], here: set[SubnetId]) -> Ec2Subnet:
    wire = msgspec.convert(item, _SubnetWire)
    return Ec2Subnet(
        id=SubnetId(wire.SubnetId), free=wire.AvailableIpAddressCount, cidr=_network(wire.CidrBlock),
        availability_zone=wire.AvailabilityZone, used_here=wire.SubnetId in here, tags=_tags(item, "Tags"),
    )


class _AttachmentWire(msgspec.Struct, frozen=True):
    DeviceIndex: Count = 0
    NetworkCardIndex: Count = 0
    Status: str = ""


class _AddressWire(msgspec.Struct):
    PrivateIpAddress: str


class _PrefixWire(msgspec.Struct):
    Ipv4Prefix: str = ""


class _GroupWire(msgspec.Struct):
    GroupId: str = ""


class _EniWire(msgspec.Struct):
    NetworkInterfaceId: str
    Attachment: _AttachmentWire = _AttachmentWire()
    SubnetId: str = ""
    Status: str = ""
    Description: str = ""
    PrivateIpAddresses: list[_AddressWire] = []
    Ipv4Prefixes: list[_PrefixWire] = []
    Groups: list[_GroupWire] = []


def _enis(documents: list[Any]) -> tuple[Ec2Eni, ...]:
    return tuple(_eni(item) for item in _items(documents, "NetworkInterfaces"))


def _eni(item: dict[str, Any]) -> Ec2Eni:
    wire = msgspec.convert(item, _EniWire)
    prefixes = (_network(prefix.Ipv4Prefix) for prefix in wire.Ipv4Prefixes)
    return Ec2Eni(
        id=EniId(wire.NetworkInterfaceId), device_number=wire.Attachment.DeviceIndex, card=wire.Attachment.NetworkCardIndex,
        subnet=SubnetId(wire.SubnetId), status=wire.Status, attachment=wire.Attachment.Status, description=wire.Description,
        addresses=tuple(a.PrivateIpAddress for a in wire.PrivateIpAddresses), prefixes=tuple(p for p in prefixes if p is not None),
        security_groups=tuple(g.GroupId for g in wire.Groups), managed=_tags(item, "TagSet").get(UNMANAGED, "").lower() != "true",
    )


class _CardWire(msgspec.Struct):
    MaximumNetworkInterfaces: Count


class _NetworkWire(msgspec.Struct):
    NetworkCards: list[_CardWire]
    Ipv4AddressesPerInterface: Count
    Ipv6AddressesPerInterface: Count = 0
    DefaultNetworkCardIndex: Count = 0


class _CpuWire(msgspec.Struct):
    DefaultVCpus: Count


class _TypeWire(msgspec.Struct):
    InstanceType: str
    NetworkInfo: _NetworkWire
    VCpuInfo: _CpuWire
    Hypervisor: str = ""
    BareMetal: bool = False


def _type(documents: list[Any]) -> Ec2Type:
    items = _items(documents, "InstanceTypes")
    if not items:
        raise Malformed("EC2 lists no such instance type")
    wire = msgspec.convert(items[0], _TypeWire)
    net = wire.NetworkInfo
    if not 0 <= net.DefaultNetworkCardIndex < len(net.NetworkCards):
        raise Malformed("the default network card is none of the cards")
    return Ec2Type(
        type=wire.InstanceType, enis_per_card=tuple(card.MaximumNetworkInterfaces for card in net.NetworkCards),
        default_card=net.DefaultNetworkCardIndex, ipv4_per_eni=net.Ipv4AddressesPerInterface, ipv6_per_eni=net.Ipv6AddressesPerInterface,
        hypervisor=wire.Hypervisor, bare_metal=wire.BareMetal, vcpus=wire.VCpuInfo.DefaultVCpus,
    )


class _EventWire(msgspec.Struct):
    EventTime: datetime
    EventName: str = ""
    EventId: str = ""
    CloudTrailEvent: str = ""


class _RecordWire(msgspec.Struct):
    errorCode: str = ""
    errorMessage: str = ""
    eventName: str = ""


def _calls(documents: list[Any], ours: tuple[str, ...]) -> tuple[TrailCall, ...]:
    """The growth calls, oldest first, each once: two questions may name the same event."""
    found: dict[str, TrailCall] = {}
    for item in _items(documents, "Events"):
        wire = msgspec.convert(item, _EventWire, strict=False)
        if wire.EventTime.tzinfo is None:
            raise Malformed("EventTime without a zone")
        try:
            record = msgspec.json.decode(wire.CloudTrailEvent or "{}", type=_RecordWire)
        except (msgspec.DecodeError, ValueError) as error:
            raise Malformed(f"CloudTrailEvent {wire.EventId}: {error}") from error
        operation = wire.EventName or record.eventName
        if operation in CALLS:
            mine = any(name in wire.CloudTrailEvent for name in ours)
            code = record.errorCode.partition(".")[2] if record.errorCode.startswith(("Client.", "Server.")) else record.errorCode
            call = TrailCall(at=wire.EventTime, operation=operation, code=code, message=record.errorMessage[:400], ours=mine, ref=wire.EventId)
            found.setdefault(wire.EventId or f"{wire.EventTime} {operation} {code}", call)
    return tuple(sorted(found.values(), key=lambda call: (call.at, call.ref)))
