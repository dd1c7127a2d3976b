"""What IMDS says: the instance's identity and its attached ENIs."""

from __future__ import annotations

from typing import Optional

import msgspec

from eniagent.model.net import EniId, InstanceId, IPAddress, IPNetwork, Mac, SubnetId


class Identity(msgspec.Struct, frozen=True):
    """The instance. Empty text: IMDS did not say."""

    instance_id: InstanceId = InstanceId("")
    instance_type: str = ""
    availability_zone: str = ""
    region: str = ""
    account_id: str = ""
    hostname: str = ""
    primary_mac: Mac = Mac("")
    local_ipv4: Optional[IPAddress] = None
    launched_at: str = ""


class AttachedEni(msgspec.Struct, frozen=True):
    """One ENI as IMDS lists it. The first of `ipv4` is the ENI's own primary address. `partial` names keys that failed."""

    mac: Mac
    id: EniId
    device_number: int
    card: int = 0
    subnet: SubnetId = SubnetId("")
    vpc: str = ""
    security_groups: tuple[str, ...] = ()
    ipv4: tuple[IPAddress, ...] = ()
    ipv6: tuple[IPAddress, ...] = ()
    ipv4_prefixes: tuple[IPNetwork, ...] = ()
    ipv6_prefixes: tuple[IPNetwork, ...] = ()
    subnet_ipv4: Optional[IPNetwork] = None
    subnet_ipv6: tuple[IPNetwork, ...] = ()
    vpc_ipv4: tuple[IPNetwork, ...] = ()
    partial: tuple[str, ...] = ()


class Metadata(msgspec.Struct, frozen=True):
    """Identity and ENIs. `incomplete` names keys that were listed and could not be read, with the reason."""

    identity: Identity
    enis: tuple[AttachedEni, ...]
    incomplete: tuple[str, ...] = ()
