"""The layout of an imagined node: which ENI holds which addresses and which pod got which, before any view of it is built.

Refuses contradictions: more pods than addresses, or more ENIs than the type takes, are an error of the test that asks.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from eniagent.knowledge.instance_limits import InstanceLimits, limits
from eniagent.model.net import InstanceId, IPAddress, IPNetwork, SubnetId

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
SINCE = NOW - timedelta(hours=1)
BOOTED = NOW - timedelta(days=3)
SERVING = BOOTED + timedelta(seconds=90)
ASSIGNED = NOW - timedelta(hours=2)

INSTANCE = InstanceId("i-0123456789abcdef0")
SUBNET_ID = SubnetId("subnet-0123456789abcdef0")
NODE_NAME = "ip-10-0-1-4.us-west-2.compute.internal"

SUBNET = ipaddress.ip_network("10.0.0.0/20")
SUBNET_IPV6 = ipaddress.ip_network("2600:1f14:abc:de00::/64")
VPC = ipaddress.ip_network("10.0.0.0/16")
GATEWAY = ipaddress.ip_address("10.0.0.1")
GATEWAY_IPV6 = ipaddress.ip_address("fe80:ec2::1")


@dataclass(frozen=True)
class PlacedPod:
    """A pod with its address. `name` is `namespace/name`."""

    name: str
    sandbox: str
    ip: IPAddress
    veth: str


@dataclass(frozen=True)
class PlacedEni:
    """An ENI of card 0 with what it can hand out and the pods on it."""

    id: str
    mac: str
    device: int
    own_ip: IPAddress
    cidrs: tuple[IPNetwork, ...]
    pods: tuple[PlacedPod, ...]

    @property
    def link(self) -> str:
        """The kernel's name of its link."""
        return f"eth{self.device}"

    @property
    def table(self) -> str:
        """The route table that its pods' traffic leaves through."""
        return "main" if self.device == 0 else str(self.device + 1)


@dataclass(frozen=True)
class Layout:
    """The whole node. `mode`: secondary, prefix or ipv6."""

    instance_type: str
    mode: str
    enis: tuple[PlacedEni, ...]

    @property
    def pods(self) -> tuple[PlacedPod, ...]:
        """All pods, by ENI."""
        return tuple(pod for eni in self.enis for pod in eni.pods)

    @property
    def capacity(self) -> int:
        """Addresses that the listed CIDRs can hand out."""
        return sum(int(cidr.num_addresses) for eni in self.enis for cidr in eni.cidrs)

    @property
    def limits(self) -> InstanceLimits:
        """What the type allows."""
        return _limits(self.instance_type)


def _limits(instance_type: str) -> InstanceLimits:
    found = limits(instance_type)
    if found is None:
        raise ValueError(f"unknown instance type {instance_type}")
    return found


def layout(*, instance_type: str, enis: int, pods: int, mode: str) -> Layout:
    """Fills the ENIs in order: the primary first, addresses in ascending order."""
    allowed = _limits(instance_type)
    if not 1 <= enis <= allowed.enis or (mode == "ipv6" and enis != 1):
        raise ValueError(f"{enis} ENIs do not fit {instance_type} in mode {mode}")
    placed, next_pod = [], 0
    for device in range(enis):
        cidrs = _cidrs(device, mode=mode, per_eni=allowed.ipv4_per_eni - 1, pods_left=pods - next_pod, last=device == enis - 1)
        room = sum(int(cidr.num_addresses) for cidr in cidrs)
        here = min(room, pods - next_pod)
        free = (cidr[i] for cidr in cidrs for i in range(min(int(cidr.num_addresses), pods)))
        names = range(next_pod, next_pod + here)
        placed.append(
            PlacedEni(
                id=f"eni-{device:017x}",
                mac=f"0a:00:00:00:00:{device + 1:02x}",
                device=device,
                own_ip=SUBNET[(device + 1) * 256 + 4],
                cidrs=cidrs,
                pods=tuple(_pod(number, ip=next(free)) for number in names),
            )
        )
        next_pod += here
    if next_pod < pods:
        raise ValueError(f"{pods} pods do not fit {next_pod} addresses")
    return Layout(instance_type=instance_type, mode=mode, enis=tuple(placed))


def _cidrs(device: int, *, mode: str, per_eni: int, pods_left: int, last: bool) -> tuple[IPNetwork, ...]:
    """Secondary: all addresses of the ENI. Prefix: what the pods need, and one spare on the last ENI."""
    base = (device + 1) * 256
    if mode == "ipv6":
        return (ipaddress.ip_network("2600:1f14:abc:de00:1::/80"),)
    if mode == "secondary":
        return tuple(ipaddress.ip_network(SUBNET[base + 10 + i]) for i in range(per_eni))
    needed = min(per_eni, -(-pods_left // 16) + (1 if last else 0))
    return tuple(ipaddress.ip_network(f"{SUBNET[base + 16 * (i + 1)]}/28") for i in range(min(needed, 14)))


def _pod(number: int, *, ip: IPAddress) -> PlacedPod:
    name = f"web-{number:03d}"
    return PlacedPod(
        name=f"default/{name}",
        sandbox=hashlib.sha256(name.encode()).hexdigest(),
        ip=ip,
        veth=veth_name("default", name),
    )


def veth_name(namespace: str, pod: str) -> str:
    """The host's end of a pod's link. Source: amazon-vpc-cni-k8s v1.23.1, networkutils.GeneratePodHostVethName."""
    return "eni" + hashlib.sha1(f"{namespace}.{pod}".encode()).hexdigest()[:11]  # noqa: S324 - the CNI's own choice
