"""IMDS: the instance's identity and its attached ENIs, from the tree of keys that one look collected.

Refuses to take a missing list for an empty one: an instance always has an ENI, so a tree without any is no answer, and a key
that was listed and not read is named in `partial` and `incomplete`.
Source: EC2 user guide, instance metadata categories; amazon-vpc-cni-k8s v1.23.1, imds.go (404 of `network-card` is card 0,
404 of a prefix list is none).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Callable, Optional, TypeVar

import msgspec

from eniagent.model.capture import CaptureCut, Seen
from eniagent.model.metadata import AttachedEni, Identity, Metadata
from eniagent.model.net import EniId, InstanceId, IPAddress, IPNetwork, Mac, SubnetId, parse_address, parse_network
from eniagent.model.probe import Probe, ReadImds
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.sources import Span
from eniagent.sources.captured import Malformed, Unusable, body, json_value, object_of, shaped

T = TypeVar("T")

SOURCE = "IMDS"
FILE = "imds/tree.json"
MACS = "meta-data/network/interfaces/macs/"
DOCUMENT = "dynamic/instance-identity/document"

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")


class _Key(msgspec.Struct):
    """One key of the tree: a status with a body, or the failure to get any."""

    status: Optional[int] = None
    body: str = ""
    failure: Optional[Why] = None


class _Document(msgspec.Struct):
    accountId: str = ""
    availabilityZone: str = ""
    instanceId: str = ""
    instanceType: str = ""
    pendingTime: str = ""
    region: str = ""


def plan(seen: Seen) -> Sequence[Probe]:
    """One conversation with IMDS."""
    return () if FILE in seen else (ReadImds(file=FILE),)


def read(seen: Seen, span: Span) -> Reading[Metadata]:
    """Identity and ENIs. A tree in which nothing answered gives the reason of its first step, the token."""
    capture = seen.get(FILE)
    at = capture.about.at if capture is not None else None
    try:
        return Observed(value=decode(body(seen, file=FILE)), source=SOURCE, at=at)
    except Unusable as error:
        why, detail = _first_step(seen, error)
        return Unobserved(why=why, source=SOURCE, at=at, detail=detail)
    except Malformed as error:
        return Unobserved(why=Why.MALFORMED, source=SOURCE, at=at, detail=str(error))


def _first_step(seen: Seen, error: Unusable) -> tuple[Why, str]:
    """The tree tells more than the circumstances do: a token that hangs is not a key that is forbidden."""
    capture = seen.get(FILE)
    if capture is None or error.why in (Why.NOT_COLLECTED, Why.TRUNCATED):
        return error.why, error.detail
    try:
        keys = _keys(json_value(capture.body(limit_bytes=1 << 20)))
    except (CaptureCut, Malformed):
        # The circumstances already say why; the tree could only have said more.
        return error.why, error.detail
    told = [f"{name}: {_why_text(key)}" for name, key in keys.items() if key.status != 200]
    token = keys.get("api/token")
    why = _why(token) if token is not None and token.status != 200 else error.why
    return why, "; ".join(filter(None, (error.detail, *told[:4])))


def _why(key: _Key) -> Why:
    if key.failure is not None:
        return key.failure
    return Why.FORBIDDEN if key.status in (401, 403) else Why.MALFORMED


def _why_text(key: _Key) -> str:
    return key.failure.value if key.failure is not None else f"HTTP {key.status}"


def _keys(value: Any) -> dict[str, _Key]:
    tree = object_of(value, what="IMDS tree")
    return {name: shaped(key, _Key, what=f"IMDS key {name}") for name, key in tree.items()}


def decode(data: bytes) -> Metadata:
    """The tree of keys. Raises `Malformed`, or `Unusable` where IMDS itself kept back the list of ENIs."""
    keys = _keys(json_value(data))
    macs = _macs(keys)
    if not macs:
        for name in (MACS, "api/token"):
            if name in keys and keys[name].status != 200:
                raise Unusable(_why(keys[name]), f"{name}: {_why_text(keys[name])}")
        raise Malformed("the tree lists no ENI")
    enis = tuple(_eni(mac, keys=keys) for mac in macs)
    # 404 says that the key does not exist, which is an answer, except for keys that were listed (they are in `partial`).
    failed = [f"{name}: {_why_text(key)}" for name, key in keys.items() if key.status not in (200, 404)]
    listed = [f"{MACS}{eni.mac}/{key}: HTTP 404" for eni in enis for key in eni.partial if _status(keys, eni.mac, key) == 404]
    return Metadata(identity=_identity(keys), enis=enis, incomplete=tuple(failed + listed))


def _status(keys: dict[str, _Key], mac: str, key: str) -> Optional[int]:
    found = keys.get(f"{MACS}{mac}/{key}")
    return found.status if found is not None else None


def _macs(keys: dict[str, _Key]) -> list[str]:
    """MACs that have keys of their own, primary first as far as the order of the tree tells; the directory alone does not count."""
    found: dict[str, None] = {}
    for name in keys:
        if name.startswith(MACS):
            mac, _, key = name[len(MACS) :].partition("/")
            if key:
                found[mac] = None
    for mac in found:
        if not _MAC.match(mac):
            raise Malformed(f"no MAC: {mac[:40]!r}")
    return list(found)


def _text(keys: dict[str, _Key], name: str) -> str:
    key = keys.get(name)
    return key.body.strip() if key is not None and key.status == 200 else ""


def _identity(keys: dict[str, _Key]) -> Identity:
    text = _text(keys, DOCUMENT)
    document = shaped(object_of(json_value(text.encode()), what=DOCUMENT), _Document, what=DOCUMENT) if text else _Document()
    local = _text(keys, "meta-data/local-ipv4")
    return Identity(
        instance_id=InstanceId(_text(keys, "meta-data/instance-id") or document.instanceId),
        instance_type=_text(keys, "meta-data/instance-type") or document.instanceType,
        availability_zone=_text(keys, "meta-data/placement/availability-zone") or document.availabilityZone,
        region=document.region or _text(keys, "meta-data/placement/region"),
        account_id=document.accountId,
        hostname=_text(keys, "meta-data/hostname") or _text(keys, "meta-data/local-hostname"),
        primary_mac=Mac(_text(keys, "meta-data/mac").lower()),
        local_ipv4=_parsed(local, parse_address, what="local-ipv4") if local else None,
        launched_at=document.pendingTime,
    )


def _parsed(text: str, parse: Callable[[str], T], *, what: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise Malformed(f"{what}: {text[:60]!r}") from error


class _Eni:
    """The keys of one MAC, and the names of those that were not read."""

    def __init__(self, mac: str, keys: dict[str, _Key]) -> None:
        self.mac = mac
        self._keys = keys
        self.partial: list[str] = []

    def text(self, name: str, *, required: bool = False) -> str:
        key = self._keys.get(f"{MACS}{self.mac}/{name}")
        if key is None or key.status != 200:
            # Absent or 404 means "none" for optional keys; anything else means "not read".
            if required or (key is not None and key.status != 404):
                self.partial.append(name)
            return ""
        return key.body.strip()

    def number(self, name: str, *, required: bool = False) -> int:
        text = self.text(name, required=required)
        if text and not (text.isascii() and text.isdigit() and len(text) < 6):
            raise Malformed(f"{self.mac}/{name}: {text[:40]!r}")
        return int(text or 0)

    def addresses(self, name: str) -> tuple[IPAddress, ...]:
        return tuple(_parsed(line, parse_address, what=f"{self.mac}/{name}") for line in self.text(name).split())

    def networks(self, name: str) -> tuple[IPNetwork, ...]:
        return tuple(_parsed(line, parse_network, what=f"{self.mac}/{name}") for line in self.text(name).split())


def _eni(mac: str, *, keys: dict[str, _Key]) -> AttachedEni:
    of = _Eni(mac, keys)
    subnet = of.networks("subnet-ipv4-cidr-block")
    card_key = "network-card" if f"{MACS}{mac}/network-card" in keys else "network-card-index"
    return AttachedEni(
        mac=Mac(mac),
        id=EniId(of.text("interface-id", required=True)),
        device_number=of.number("device-number", required=True),
        card=of.number(card_key),
        subnet=SubnetId(of.text("subnet-id")),
        vpc=of.text("vpc-id"),
        security_groups=tuple(of.text("security-group-ids").split()),
        ipv4=of.addresses("local-ipv4s"),
        ipv6=of.addresses("ipv6s"),
        ipv4_prefixes=of.networks("ipv4-prefix"),
        ipv6_prefixes=of.networks("ipv6-prefix"),
        subnet_ipv4=subnet[0] if subnet else None,
        subnet_ipv6=of.networks("subnet-ipv6-cidr-blocks"),
        vpc_ipv4=of.networks("vpc-ipv4-cidr-blocks"),
        partial=tuple(of.partial),
    )
