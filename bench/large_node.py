"""A healthy node of any size as a captures directory: m5.24xlarge with 15 ENIs holds 737 pods, c5.xlarge 58.

Refuses to invent wire shapes: bodies are in the forms that ipamd 1.23, IMDS and `ip -j` use.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

MASK = "/////w=="


def _veth(pod: str) -> str:
    return "eni" + hashlib.sha1(f"default.{pod}".encode()).hexdigest()[:11]  # noqa: S324 - the CNI's own naming


def _mac(number: int) -> str:
    return f"0a:00:00:00:{number >> 8:02x}:{number & 255:02x}"


def _enis(taken_at: datetime, *, enis: int, per_eni: int, pods: int) -> tuple[dict[str, Any], list[tuple[str, str, int]]]:
    """ipamd's answer, and (pod, address, device) of all pods."""
    placed: list[tuple[str, str, int]] = []
    stamp = (taken_at - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    told: dict[str, Any] = {}
    for device in range(enis):
        cidrs: dict[str, Any] = {}
        for slot in range(per_eni):
            ip = f"10.{device + 1}.{slot >> 8}.{(slot & 255) + 10}"
            addresses = {}
            if len(placed) < pods:
                pod = f"web-{len(placed):04d}"
                placed.append((pod, ip, device))
                addresses[ip] = {
                    "Address": ip, "IPAMKey": {"networkName": "aws-cni", "containerID": "", "ifName": ""},
                    "IPAMMetadata": {"k8sPodNamespace": "default", "k8sPodName": pod, "interfacesCount": 1},
                    "AssignedTime": stamp, "UnassignedTime": "0001-01-01T00:00:00Z",
                }
            cidrs[f"{ip}/32"] = {"Cidr": {"IP": ip, "Mask": MASK}, "IPAddresses": addresses, "IsPrefix": False, "AddressFamily": ""}
        told[f"eni-{device:017x}"] = {
            "ID": f"eni-{device:017x}", "IsPrimary": device == 0, "IsTrunk": False, "IsEFA": False, "DeviceNumber": device,
            "AvailableIPv4Cidrs": cidrs, "IPv6Cidrs": {}, "IsExcludedForPodIPs": False,
            "RouteTableID": 254 if device == 0 else device + 1, "SubnetID": "subnet-0a1b2c3d4e5f60718",
        }
    return {"0": {"TotalIPs": enis * per_eni, "AssignedIPs": len(placed), "ENIs": told}}, placed


def _imds(instance_type: str, enis: dict[str, Any]) -> dict[str, Any]:
    identity = {"accountId": "111122223333", "availabilityZone": "us-west-2a", "instanceId": "i-0fc1f7cd5bb2e35cb", "instanceType": instance_type, "region": "us-west-2"}
    tree = {
        "dynamic/instance-identity/document": json.dumps(identity), "meta-data/instance-id": identity["instanceId"], "meta-data/instance-type": instance_type,
        "meta-data/mac": _mac(0), "meta-data/local-ipv4": "10.1.255.1", "meta-data/placement/availability-zone": "us-west-2a",
        "meta-data/placement/region": "us-west-2", "meta-data/hostname": "ip-10-1-255-1.us-west-2.compute.internal",
    }
    for device, (eni, told) in enumerate(enis.items()):
        base = f"meta-data/network/interfaces/macs/{_mac(device)}/"
        addresses = [f"10.{device + 1}.255.1", *(cidr.split("/")[0] for cidr in told["AvailableIPv4Cidrs"])]
        tree.update({
            base + "interface-id": eni, base + "device-number": str(device), base + "subnet-id": told["SubnetID"], base + "vpc-id": "vpc-0aa",
            base + "security-group-ids": "sg-0bb", base + "local-ipv4s": "\n".join(addresses), base + "network-card": "0",
            base + "subnet-ipv4-cidr-block": f"10.{device + 1}.0.0/16", base + "vpc-ipv4-cidr-blocks": "10.0.0.0/8",
        })
    return {key: {"status": 200, "body": body} for key, body in tree.items()}


def _host(enis: int, placed: list[tuple[str, str, int]]) -> dict[str, Any]:
    links = [{"ifindex": n + 1, "ifname": f"eth{n}", "flags": ["UP"], "mtu": 9001, "operstate": "UP", "address": _mac(n)} for n in range(enis)]
    links += [{"ifindex": 100 + n, "ifname": _veth(pod), "flags": ["UP"], "mtu": 9001, "operstate": "UP", "address": _mac(4096 + n)} for n, (pod, _, _) in enumerate(placed)]
    rules: list[dict[str, Any]] = [{"priority": 0, "src": "all", "table": "local"}]
    rules += [{"priority": 512, "src": "all", "dst": ip, "table": "main"} for _, ip, _ in placed]
    rules += [{"priority": 1536, "src": ip, "table": str(device + 1)} for _, ip, device in placed if device]
    routes: list[dict[str, Any]] = [{"dst": "default", "gateway": "10.1.0.1", "dev": "eth0", "flags": []}]
    routes += [{"dst": ip, "dev": _veth(pod), "scope": "link", "flags": []} for pod, ip, _ in placed]
    routes += [{"dst": "default", "gateway": f"10.{n + 1}.0.1", "dev": f"eth{n}", "table": str(n + 1), "flags": []} for n in range(1, enis)]
    return {"ip-link.json": links, "ip-addr.json": links, "ip-rule.json": rules, "ip-route.json": routes, "ip6-rule.json": [], "ip6-route.json": []}


def lay_out(directory: Path, *, instance_type: str, enis: int, per_eni: int, pods: int) -> None:
    """Writes the captures directory, taken now."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    pool, placed = _enis(now, enis=enis, per_eni=per_eni, pods=pods)
    environment = {"VPC_CNI_VERSION": "v1.23.0", "WARM_ENI_TARGET": "0", "WARM_IP_TARGET": "1", "MINIMUM_IP_TARGET": "10", "ENABLE_PREFIX_DELEGATION": "false", "ENABLE_IPv4": "true", "ENABLE_IPv6": "false"}
    checkpoint = [{"networkName": "aws-cni", "containerID": hashlib.sha256(pod.encode()).hexdigest(), "ifName": "eth0", "ipv4": ip, "allocationTimestamp": 1, "metadata": {"k8sPodNamespace": "default", "k8sPodName": pod}} for pod, ip, _ in placed]
    stats = {"level": "debug", "ts": now.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "caller": "ipamd/ipamd.go:1", "msg": f"IP stats for Network Card 0 - total IPs: {enis * per_eni}, assigned IPs: {len(placed)}, cooldown IPs: 0"}
    files: dict[str, Any] = {
        "ipamd/enis.json": pool, "ipamd/ipamd-env-settings.json": {"WARM_ENI_TARGET": 0, "WARM_IP_TARGET": 1}, "ipamd/networkutils-env-settings.json": {"AWS_VPC_K8S_CNI_VETHPREFIX": "eni"},
        "ipamd/eni-configs.json": "default", "ipamd/env.json": environment, "ipamd/checkpoint/ipam.json": {"version": "vpc-cni-ipam/1", "allocations": checkpoint},
        "imds/tree.json": _imds(instance_type, pool["0"]["ENIs"]), "kubelet/config.json": {"kind": "KubeletConfiguration", "maxPods": pods + 2}, "host/sysctl.json": {"net/ipv4/ip_forward": "1"},
        **{f"host/{name}": told for name, told in _host(enis, placed).items()},
    }
    texts = {name: json.dumps(told) for name, told in files.items()}
    texts["ipamd/metrics.txt"] = f"# TYPE awscni_eni_allocated gauge\nawscni_eni_allocated {enis}\nawscni_assigned_ip_addresses {len(placed)}\n"
    texts["logs/ipamd.log"] = (json.dumps(stats) + "\n") * 400
    texts["logs/plugin.log"] = json.dumps({**stats, "msg": "Constructed new logger instance"}) + "\n"
    texts["journal/kubelet.jsonl"] = "".join(_entry(now, n) for n in range(200))
    texts["journal/containerd.jsonl"] = ""
    captures = [{"probe": name, "file": name, "at": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "status": 200} for name in texts]
    texts["manifest.json"] = json.dumps({"schema": "eniagent.captures/1", "taken_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "node": {}, "captures": captures})
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _entry(now: datetime, number: int) -> str:
    at = now - timedelta(seconds=400 - number)
    message = f"I{at:%m%d %H:%M:%S}.000000    1607 kubelet.go:2421] \"SyncLoop UPDATE\" source=\"api\" pods=[\"default/web-{number:04d}\"]"
    return json.dumps({"__CURSOR": f"s=1;i={number:x}", "__REALTIME_TIMESTAMP": str(int(at.timestamp() * 1e6)), "__MONOTONIC_TIMESTAMP": str(number), "_BOOT_ID": "b" * 32, "_MACHINE_ID": "c" * 32, "PRIORITY": "6", "SYSLOG_IDENTIFIER": "kubelet", "_PID": "1607", "_COMM": "kubelet", "_SYSTEMD_UNIT": "kubelet.service", "_TRANSPORT": "stdout", "MESSAGE": message}) + "\n"
