"""Identifiers and addresses: NewTypes for ids, `ipaddress` objects for addresses.

Refuses to hold any behaviour beyond turning addresses into text and back.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NewType, Union

EniId = NewType("EniId", str)
InstanceId = NewType("InstanceId", str)
SubnetId = NewType("SubnetId", str)
Mac = NewType("Mac", str)
PodName = NewType("PodName", str)
"""`namespace/name`, or the bare name where the text names no namespace."""
SandboxId = NewType("SandboxId", str)

if TYPE_CHECKING:
    IPAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
    IPNetwork = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
else:
    # msgspec allows one custom type in a field, so at run time the two families share their base class.
    IPAddress = ipaddress._BaseAddress
    IPNetwork = ipaddress._BaseNetwork


def parse_address(text: str) -> IPAddress:
    """One address without a prefix length. Raises `ValueError`."""
    return ipaddress.ip_address(text)


def parse_network(text: str) -> IPNetwork:
    """One CIDR; host bits are allowed and cleared. Raises `ValueError`."""
    return ipaddress.ip_network(text, strict=False)
