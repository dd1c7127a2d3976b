"""Other collectors' layouts: a table from their paths to files of a captures directory.

Source: amazon-eks-ami, log-collector-script/linux/eks-log-collector.sh 0.1.0 to 0.7.9; eks-node-monitoring-agent, pkg/log_collector
(NodeDiagnostic); amazon-vpc-cni-k8s v1.0.0 to v1.6.0, scripts/aws-cni-support.sh. Refuses what no source reads: kubeconfigs, `ps` as it is.
"""

from __future__ import annotations

import re
from typing import Callable, NamedTuple, Optional

from eniagent.edge import archives_text as text

Turn = Callable[[str], Optional[bytes]]

MARKS = re.compile(r"(?:\./)?(?:[^/]+/)?(?:var_log|networking|containerd|sysctls|sandbox-image|storage|kernel|system|aws-routed-eni)(?:/|$)")
"""Directories that captures never have, and collections of other programs always do."""
TEXT_BYTES = 32 << 20
"""What is turned into another form is no longer than this."""


class Row(NamedTuple):
    """`path` of theirs, below their top directory; `file` of ours (`\\1` stands for a group); `turn` for a text of another form."""

    path: str
    file: str
    turn: Optional[Turn] = None


TABLE: tuple[Row, ...] = (
    Row(r"ipamd/(enis|eni-configs|ipamd-env-settings|networkutils-env-settings)\.json", r"ipamd/\1.json"),
    Row(r"ipamd/metrics\.(?:json|txt)", "ipamd/metrics.txt"),
    Row(r"ipamd/(ipam(?:-nic-\d+)?\.json)", r"ipamd/checkpoint/\1"),
    Row(r"var_log/aws-routed-eni/((?:ipamd|plugin)(?!-env)[-.][^/]*)", r"logs/\1"),
    Row(r"(?:var_log/)?aws-routed-eni/eni\.(?:out|output)", "ipamd/enis.json"),
    Row(r"(?:var_log/)?aws-routed-eni/(eni-configs)\.(?:out|output)", r"ipamd/\1.json"),
    Row(r"(?:var_log/)?aws-routed-eni/(ipamd|networkutils)-env(?:-settings)?\.(?:out|output)", r"ipamd/\1-env-settings.json"),
    Row(r"(?:var_log/)?aws-routed-eni/metrics\.(?:out|output)", "ipamd/metrics.txt"),
    Row(r"aws-routed-eni/((?:ipamd|plugin)(?!-env)[-.][^/]*)", r"logs/\1"),
    Row(r"aws-routed-eni/cni/([^/]+\.(?:conf|conflist))", r"cni/net.d/\1"),
    Row(r"kubelet/kubelet\.log", "journal/kubelet.jsonl"),
    Row(r"containerd/containerd-log\.txt", "journal/containerd.jsonl"),
    Row(r"kubelet/(config\.json|kubelet-config\.json|config\.json\.d/[^/]+)", r"kubelet/\1"),
    Row(r"cni/([^/]+\.(?:conf|conflist))", r"cni/net.d/\1"),
    Row(r"cni/cni-configuration-variables-containerd\.json", "ipamd/env.json", text.environment),
    Row(r"containerd/containerd-containers\.txt", "runtime/containers.json"),
    Row(r"networking/iptables-save\.txt", "host/iptables-save.txt"),
    Row(r"networking/ifconfig\.txt", "host/ip-addr.json", text.links),
    Row(r"networking/iprule\.txt", "host/ip-rule.json", text.rules),
    Row(r"networking/ip6rule\.txt", "host/ip6-rule.json", text.rules),
    Row(r"networking/iproute\.txt", "host/ip-route.json", text.routes),
    Row(r"networking/ip6route\.txt", "host/ip6-route.json", text.routes),
    Row(r"sysctls/sysctl_all\.txt", "host/sysctl.json", text.sysctls),
    Row(r"system/ps\.txt", "host/processes.json", text.processes),
    Row(r"system/ps\.txt", "kubelet/cmdline.txt", text.kubelet_flags),
)

TOLD = {
    "system/instance-id.txt": "instance_id",
    "system/availability-zone.txt": "availability_zone",
    "system/region.txt": "region",
}
"""Their path -> what it tells of the node."""

_COMPILED = tuple((re.compile(row.path), row) for row in TABLE)


def rows(path: str) -> list[tuple[Row, str]]:
    """The rows for one of their paths, with or without a top directory before it, and the file that each gives."""
    found = []
    for candidate in (path, path.partition("/")[2]):
        for pattern, row in _COMPILED:
            match = pattern.fullmatch(candidate)
            if match is not None:
                found.append((row, match.expand(row.file)))
        if found:
            return found
    return []


def told(path: str) -> str:
    """What one of their paths tells of the node, "" for nothing."""
    return TOLD.get(path) or TOLD.get(path.partition("/")[2]) or ""
