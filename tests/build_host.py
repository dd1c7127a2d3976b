"""Builders of the host's views: links, rules, routes, sysctls, processes, kubelet, CNI files, sandboxes.

Refuses to hold anything that the layout does not say; `tests.build` puts these views beside ipamd's and IMDS's.
"""

from __future__ import annotations

import ipaddress

from eniagent.knowledge.max_pods import max_pods
from eniagent.model import cni, host
from eniagent.model.net import Mac, PodName, SandboxId
from tests.layout import ASSIGNED, BOOTED, GATEWAY, GATEWAY_IPV6, SERVING, SUBNET, SUBNET_IPV6, Layout


def links(node: Layout) -> tuple[host.Link, ...]:
    """lo, a link for each ENI, a veth for each pod."""
    own6 = (SUBNET_IPV6[4],) if node.mode == "ipv6" else ()
    lo = host.Link(name="lo", mac=Mac("00:00:00:00:00:00"), up=True, mtu=65536, addresses=(ipaddress.ip_address("127.0.0.1"),))
    enis = (host.Link(name=e.link, mac=Mac(e.mac), up=True, mtu=9001, addresses=(e.own_ip, *own6)) for e in node.enis)
    veths = (host.Link(name=p.veth, mac=Mac(f"0e:00:00:00:{i // 256:02x}:{i % 256:02x}"), up=True, mtu=9001) for i, p in enumerate(node.pods))
    return (lo, *enis, *veths)


def routing(node: Layout) -> host.Routing:
    """Rules 512, 1024, 1536 and 32765, the routes of each ENI's table, and a route for each pod."""
    rules, routes = [host.Rule(priority=0, table="local")], [host.Route(table="main", device="eth0", dst=SUBNET)]
    routes.append(host.Route(table="main", device="eth0", gateway=GATEWAY))
    if node.mode == "ipv6":
        routes.append(host.Route(table="main", device="eth0", gateway=GATEWAY_IPV6))
    for eni in node.enis:
        routes.extend(host.Route(table="main", device=pod.veth, dst=ipaddress.ip_network(pod.ip)) for pod in eni.pods)
        rules.extend(host.Rule(priority=512, table="main", dst=ipaddress.ip_network(pod.ip)) for pod in eni.pods)
        if eni.device:
            rules.extend(host.Rule(priority=1536, table=eni.table, src=ipaddress.ip_network(pod.ip)) for pod in eni.pods)
            rules.append(host.Rule(priority=32765, table=eni.table, src=ipaddress.ip_network(eni.own_ip)))
            routes.append(host.Route(table=eni.table, device=eni.link, gateway=GATEWAY))
            routes.append(host.Route(table=eni.table, device=eni.link, dst=ipaddress.ip_network(GATEWAY)))
    rules += [host.Rule(priority=1024, table="main", fwmark="0x80/0x80"), host.Rule(priority=32766, table="main")]
    rules.append(host.Rule(priority=32767, table="default"))
    return host.Routing(rules=tuple(sorted(rules, key=lambda rule: rule.priority)), routes=tuple(routes))


def sysctls(node: Layout) -> dict[str, str]:
    """What the init container and the AMI set."""
    values = {"net/ipv4/conf/eth0/rp_filter": "2", "net/ipv4/ip_forward": "1", "net/ipv4/tcp_early_demux": "1"}
    if node.mode == "ipv6":
        values |= {"net/ipv6/conf/all/forwarding": "1", "net/ipv6/conf/eth0/accept_ra": "2", "net/ipv6/conf/all/disable_ipv6": "0"}
    return values


def processes() -> host.Processes:
    """ipamd, kubelet and containerd, up since boot."""
    names = {"containerd": 800, "kubelet": 900, "aws-k8s-agent": 1500}
    return host.Processes(running=tuple(host.Process(name=n, pid=pid, started_at=SERVING) for n, pid in names.items()), booted_at=BOOTED)


def kubelet_config(node: Layout) -> cni.KubeletConfig:
    """maxPods as the formula has it for the type and the mode."""
    pods = 110 if node.mode == "ipv6" else max_pods(node.limits, prefix=node.mode == "prefix")
    return cni.KubeletConfig(max_pods=pods, origin="kubelet/config.json", container_runtime_endpoint="unix:///run/containerd/containerd.sock")


def cni_config() -> cni.CniConfig:
    """The VPC CNI's own, installed."""
    types = ("aws-cni", "egress-cni", "portmap")
    return cni.CniConfig(files=("10-aws.conflist",), binaries=types, first="10-aws.conflist", types=types)


def sandboxes(node: Layout) -> host.Sandboxes:
    """One ready sandbox for each pod, and those of the host network."""
    names = [(pod.sandbox, pod.name) for pod in node.pods]
    names += [("a" * 64, "kube-system/aws-node-x7k2p"), ("b" * 64, "kube-system/kube-proxy-q9d4m")]
    pods = tuple(host.Sandbox(id=SandboxId(i), pod=PodName(name), ready=True, created_at=ASSIGNED) for i, name in names)
    return host.Sandboxes(pods=pods, images={"aws-node": "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.23.0"})
