"""What EC2 and CloudTrail say of the node, each part with its own reading: a right that is absent costs its part alone.

Looked at only when asked (`--aws`). CloudTrail tells of a call minutes after it was made: what it does not list may still have happened.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

import msgspec

from eniagent.model.net import EniId, IPNetwork, SubnetId
from eniagent.model.reading import Reading, Unobserved, Why, not_collected


class Ec2Subnet(msgspec.Struct, frozen=True):
    """One subnet of the node's zone. `free`: AvailableIpAddressCount. `used_here`: an ENI of the node is in it."""

    id: SubnetId
    free: int
    cidr: Optional[IPNetwork] = None
    availability_zone: str = ""
    used_here: bool = False
    tags: dict[str, str] = {}


class Ec2Eni(msgspec.Struct, frozen=True):
    """One ENI that EC2 lists as attached to the instance. `addresses` counts its private IPv4 addresses, its own included."""

    id: EniId
    device_number: int
    card: int = 0
    subnet: SubnetId = SubnetId("")
    status: str = ""
    attachment: str = ""
    description: str = ""
    addresses: tuple[str, ...] = ()
    prefixes: tuple[IPNetwork, ...] = ()
    security_groups: tuple[str, ...] = ()
    managed: bool = True
    """False: tagged node.k8s.amazonaws.com/no_manage, so ipamd leaves it alone and it takes a slot."""


class Ec2Type(msgspec.Struct, frozen=True):
    """The type's limits as DescribeInstanceTypes gives them."""

    type: str
    enis_per_card: tuple[int, ...]
    default_card: int
    ipv4_per_eni: int
    ipv6_per_eni: int
    hypervisor: str
    bare_metal: bool
    vcpus: int


class TrailCall(msgspec.Struct, frozen=True):
    """One call that CloudTrail recorded. `code` "" : EC2 accepted it. `ours`: the record names this instance or one of its ENIs."""

    at: datetime
    operation: str
    code: str
    message: str
    ours: bool
    ref: str


class Ec2View(msgspec.Struct, frozen=True):
    """All parts. A part is not collected where what to ask for was not known."""

    subnets: Reading[tuple[Ec2Subnet, ...]] = not_collected("EC2 DescribeSubnets")
    enis: Reading[tuple[Ec2Eni, ...]] = not_collected("EC2 DescribeNetworkInterfaces")
    type: Reading[Ec2Type] = not_collected("EC2 DescribeInstanceTypes")
    calls: Reading[tuple[TrailCall, ...]] = not_collected("CloudTrail LookupEvents")

    @property
    def unseen(self) -> tuple[Unobserved, ...]:
        """The parts that were not seen."""
        return tuple(part for part in (self.subnets, self.enis, self.type, self.calls) if isinstance(part, Unobserved))

    @property
    def cut(self) -> str:
        """Why a part is missing that had been asked for in time to come, empty where none timed out."""
        return "; ".join(f"{part.source}: {part.detail}" for part in self.unseen if part.why is Why.TIMED_OUT)
