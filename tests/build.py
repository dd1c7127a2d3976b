"""Builders: snapshots of an imagined node, healthy, fully observed and in agreement with themselves unless a test says otherwise.

Refuses defaults that a real node would not show: addresses, rules, routes, metrics and checkpoint come from one layout.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Optional

import msgspec

from eniagent.model import cni, ipam, metadata, record
from eniagent.model.net import EniId, Mac, PodName, SandboxId, parse_address, parse_network
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.model.snapshot import NodeSnapshot
from tests.build_host import cni_config, kubelet_config, links, processes, routing, sandboxes, sysctls
from tests.layout import (
    ASSIGNED,
    BOOTED,
    INSTANCE,
    NODE_NAME,
    NOW,
    SERVING,
    SINCE,
    SUBNET,
    SUBNET_ID,
    SUBNET_IPV6,
    VPC,
    Layout,
    PlacedPod,
    layout,
    veth_name,
)

__all__ = [
    "BOOTED",
    "INSTANCE",
    "NODE_NAME",
    "NOW",
    "SINCE",
    "checkpoint",
    "cni_config",
    "environment",
    "healthy_snapshot",
    "instance_metadata",
    "journal",
    "kubelet_config",
    "layout",
    "links",
    "log",
    "metrics",
    "observed",
    "pools",
    "pools_from",
    "processes",
    "routing",
    "sandboxes",
    "settings",
    "sysctls",
    "value_of",
    "veth_name",
    "with_values",
    "without",
]



def healthy_snapshot(*, instance_type: str = "m5.large", enis: int = 1, pods: int = 3, mode: str = "secondary") -> NodeSnapshot:
    """A node at rest, release 1.23.0: every source observed, every view in agreement, the pool exactly at its warm target."""
    node = layout(instance_type=instance_type, enis=enis, pods=pods, mode=mode)
    values: dict[str, Any] = {
        "ipam": pools(node),
        "settings": settings(node),
        "metrics": metrics(node),
        "environment": environment(node),
        "checkpoint": checkpoint(node),
        "ipamd_log": log("ipamd"),
        "plugin_log": log("plugin"),
        "kubelet": journal("kubelet"),
        "containerd": journal("containerd"),
        "metadata": instance_metadata(node),
        "release": cni.Release(version="1.23.0", basis="VPC_CNI_VERSION of ipamd"),
        "links": links(node),
        "routing": routing(node),
        "sysctls": sysctls(node),
        "processes": processes(),
        "kubelet_config": kubelet_config(node),
        "cni_config": cni_config(),
        "sandboxes": sandboxes(node),
    }
    return with_values(NodeSnapshot(taken_at=NOW, since=SINCE, told={"name": NODE_NAME}), **values)


def with_values(snapshot: NodeSnapshot, **values: Any) -> NodeSnapshot:
    """The snapshot with some fields observed to be these values."""
    fresh = {field: observed(value, source=getattr(snapshot, field).source) for field, value in values.items()}
    return msgspec.structs.replace(snapshot, **fresh)


def without(snapshot: NodeSnapshot, *fields: str, why: Why = Why.NOT_COLLECTED, detail: str = "") -> NodeSnapshot:
    """The snapshot with some fields unobserved."""
    lost = {f: Unobserved(why=why, source=getattr(snapshot, f).source, at=NOW, detail=detail) for f in fields}
    return msgspec.structs.replace(snapshot, **lost)


def observed(value: Any, *, source: str = "test", at: Optional[datetime] = None) -> Reading[Any]:
    """An observation, by default of now."""
    return Observed(value=value, source=source, at=at or NOW)


def value_of(reading: Reading[Any]) -> Any:
    """The value of a reading that the test knows to be observed."""
    assert isinstance(reading, Observed), reading
    return reading.value


def pools(node: Layout) -> ipam.Ipam:
    """ipamd's datastore, family J."""
    assigned = len(node.pods)
    enis = tuple(
        ipam.PoolEni(
            id=EniId(eni.id),
            device_number=eni.device,
            is_primary=eni.device == 0,
            cidrs=tuple(
                ipam.Cidr(
                    network=cidr,
                    is_prefix=node.mode != "secondary",
                    addresses=tuple(_held(pod) for pod in eni.pods if pod.ip in cidr),
                )
                for cidr in eni.cidrs
            ),
            excluded=False,
            route_table=254 if eni.device == 0 else eni.device + 1,
            subnet=SUBNET_ID,
        )
        for eni in node.enis
    )
    pool = ipam.Pool(card=0, enis=enis, reported_total=node.capacity, reported_assigned=assigned)
    return ipam.Ipam(family="J", pools=(pool,))


def _held(pod: PlacedPod) -> ipam.Address:
    return ipam.Address(ip=pod.ip, assigned=True, pod=PodName(pod.name), assigned_at=ASSIGNED)


def pools_from(text: str, *, now: datetime = NOW, family: str = "J") -> ipam.Ipam:
    """Pools of card 0 from a line per ENI, the first the primary: `eni-a 10.0.0.4=default/web-0 10.0.0.5 10.0.0.6~12 10.0.0.16/28`.

    A bare address is free and never used, `=pod` assigned, `~S` freed S seconds before `now`; addresses within a prefix of the
    same line that stands before them belong to it.
    """
    enis = []
    for device, line in enumerate(filter(None, (line.strip() for line in text.splitlines()))):
        name, *words = line.split()
        found: dict[Any, list[ipam.Address]] = {}
        for word in words:
            plain, pod, freed = word.partition("=")[0].partition("~")[0], word.partition("=")[2], word.partition("~")[2]
            if "/" in plain:
                found[parse_network(plain)] = []
                continue
            ip = parse_address(plain)
            cidr = next((known for known in found if ip in known), None) or parse_network(plain)
            entries = found.setdefault(cidr, [])
            if pod:
                entries.append(ipam.Address(ip=ip, assigned=True, pod=PodName(pod), assigned_at=now - timedelta(hours=1)))
            elif freed:
                entries.append(ipam.Address(ip=ip, assigned=False, unassigned_at=now - timedelta(seconds=float(freed))))
        cidrs = tuple(ipam.Cidr(network=c, is_prefix=c.num_addresses > 1, addresses=tuple(entries)) for c, entries in found.items())
        enis.append(ipam.PoolEni(id=EniId(name), device_number=device, is_primary=device == 0, cidrs=cidrs))
    return ipam.Ipam(family=family, pools=(ipam.Pool(card=0, enis=tuple(enis)),))


def _targets(node: Layout) -> dict[str, str]:
    """Warm targets that this very pool meets: neither short nor over."""
    if node.mode != "secondary":
        return {"WARM_ENI_TARGET": "1", "WARM_PREFIX_TARGET": "1"}
    spare = max(1, node.capacity - len(node.pods))
    return {"WARM_IP_TARGET": str(spare), "MINIMUM_IP_TARGET": str(node.capacity), "WARM_ENI_TARGET": "1", "WARM_PREFIX_TARGET": "1"}


def settings(node: Layout) -> cni.Settings:
    """What ipamd 1.23 tells of its settings."""
    values = {
        "AWS_EXTERNAL_SERVICE_CIDRS": "",
        "AWS_MANAGE_ENIS_NON_SCHEDULABLE": "false",
        "AWS_VPC_CNI_NODE_PORT_SUPPORT": "true",
        "AWS_VPC_ENI_MTU": "9001",
        "AWS_VPC_K8S_CNI_CONNMARK": "128",
        "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "false",
        "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS": "",
        "AWS_VPC_K8S_CNI_EXTERNALSNAT": "false",
        "AWS_VPC_K8S_CNI_RANDOMIZESNAT": "2",
        "AWS_VPC_K8S_CNI_VETHPREFIX": "eni",
        "ENABLE_SUBNET_DISCOVERY": "true",
        "WARM_ENI_TARGET": "1",
        "WARM_IP_TARGET": _targets(node).get("WARM_IP_TARGET", "0"),
    }
    return cni.Settings(values=values, eni_config="default")


def environment(node: Layout) -> cni.Environment:
    """ipamd's variables as the shipped manifest sets them, with this pool's targets."""
    values = {
        "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "false",
        "AWS_VPC_K8S_CNI_VETHPREFIX": "eni",
        "CLUSTER_NAME": "demo-cluster",
        "DISABLE_INTROSPECTION": "false",
        "DISABLE_METRICS": "false",
        "ENABLE_IPv4": "false" if node.mode == "ipv6" else "true",
        "ENABLE_IPv6": "true" if node.mode == "ipv6" else "false",
        "ENABLE_POD_ENI": "false",
        "ENABLE_PREFIX_DELEGATION": "false" if node.mode == "secondary" else "true",
        "ENABLE_SUBNET_DISCOVERY": "true",
        "MY_NODE_NAME": NODE_NAME,
        "VPC_CNI_VERSION": "v1.23.0",
    }
    return cni.Environment(values={**values, **_targets(node)})


def metrics(node: Layout) -> cni.Metrics:
    """ipamd's gauges and counters: no error ever."""
    per_eni = (node.limits.ipv4_per_eni - 1) * (1 if node.mode == "secondary" else 16)
    values = {
        "awscni_add_ip_req_count": len(node.pods),
        "awscni_assigned_ip_addresses": len(node.pods),
        "awscni_eni_allocated": len(node.enis),
        "awscni_eni_max": node.limits.enis,
        "awscni_force_removed_enis": 0,
        "awscni_force_removed_ips": 0,
        "awscni_ip_max": 0 if node.mode == "ipv6" else node.limits.enis * per_eni,
        "awscni_no_available_ip_addresses": 0,
        "awscni_total_ip_addresses": node.capacity,
        "awscni_total_ipv4_prefixes": sum(len(eni.cidrs) for eni in node.enis) if node.mode == "prefix" else 0,
        "process_start_time_seconds": SERVING.timestamp(),
    }
    return cni.Metrics(samples=tuple(cni.Sample(name=name, labels={}, value=float(value)) for name, value in values.items()))


def checkpoint(node: Layout) -> ipam.Checkpoint:
    """One entry for each pod."""
    return ipam.Checkpoint(
        entries=tuple(
            ipam.CheckpointEntry(
                sandbox=SandboxId(pod.sandbox),
                interface="eth0",
                ip=None if node.mode == "ipv6" else pod.ip,
                ipv6=pod.ip if node.mode == "ipv6" else None,
                pod=PodName(pod.name),
                assigned_at=ASSIGNED,
            )
            for pod in node.pods
        )
    )


def log(program: str, **changes: Any) -> record.Log:
    """A log that was read and in which nothing stood out."""
    plain = record.Log(program=program, events=(), counts={}, since=BOOTED, until=NOW - timedelta(seconds=5), form="zap", lines=1200)
    return msgspec.structs.replace(plain, **changes)


def journal(program: str, **changes: Any) -> record.Journal:
    """A journal that reaches back over the window and tells of no failure."""
    plain = record.Journal(
        program=program, pods=(), starts=(), events=(), counts={}, since=BOOTED, until=NOW - timedelta(seconds=2), entries=900, cursor="s=0;i=1"
    )
    return msgspec.structs.replace(plain, **changes)


def instance_metadata(node: Layout) -> metadata.Metadata:
    """IMDS's view of the same ENIs."""
    first = node.enis[0]
    identity = metadata.Identity(
        instance_id=INSTANCE,
        instance_type=node.instance_type,
        availability_zone="us-west-2a",
        region="us-west-2",
        account_id="111122223333",
        hostname=NODE_NAME,
        primary_mac=Mac(first.mac),
        local_ipv4=first.own_ip,
        launched_at=BOOTED.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    enis = tuple(
        metadata.AttachedEni(
            mac=Mac(eni.mac),
            id=EniId(eni.id),
            device_number=eni.device,
            subnet=SUBNET_ID,
            vpc="vpc-0123456789abcdef0",
            security_groups=("sg-0123456789abcdef0",),
            ipv4=(eni.own_ip, *(cidr.network_address for cidr in eni.cidrs if node.mode == "secondary")),
            ipv6=(SUBNET_IPV6[4],) if node.mode == "ipv6" else (),
            ipv4_prefixes=eni.cidrs if node.mode == "prefix" else (),
            ipv6_prefixes=eni.cidrs if node.mode == "ipv6" else (),
            subnet_ipv4=SUBNET,
            subnet_ipv6=(SUBNET_IPV6,) if node.mode == "ipv6" else (),
            vpc_ipv4=(VPC,),
        )
        for eni in node.enis
    )
    return metadata.Metadata(identity=identity, enis=enis)
