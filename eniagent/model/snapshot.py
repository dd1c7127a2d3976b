"""NodeSnapshot: what the agent knows at one moment. Case: now and before.

Immutable. A field that an older record lacks decodes as *not collected*.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

import msgspec

from eniagent.model.cni import CniConfig, Environment, KubeletConfig, Metrics, Release, Settings
from eniagent.model.ec2 import Ec2View
from eniagent.model.host import Link, Processes, Routing, Sandboxes
from eniagent.model.ipam import Checkpoint, Ipam
from eniagent.model.metadata import Metadata
from eniagent.model.reading import Reading, Unobserved, not_collected
from eniagent.model.record import Journal, Log


class NodeSnapshot(msgspec.Struct, frozen=True):
    """All readings of one look. `taken_at` is *now* for every rule; `since` opens the window. `timeless`: a pasted text without any time."""

    taken_at: datetime
    since: Optional[datetime] = None
    ipam: Reading[Ipam] = not_collected("ipamd introspection")
    settings: Reading[Settings] = not_collected("ipamd settings")
    metrics: Reading[Metrics] = not_collected("ipamd metrics")
    environment: Reading[Environment] = not_collected("ipamd environment")
    checkpoint: Reading[Checkpoint] = not_collected("ipamd checkpoint")
    ipamd_log: Reading[Log] = not_collected("ipamd.log")
    plugin_log: Reading[Log] = not_collected("plugin.log")
    kubelet: Reading[Journal] = not_collected("kubelet journal")
    containerd: Reading[Journal] = not_collected("containerd journal")
    metadata: Reading[Metadata] = not_collected("IMDS")
    release: Reading[Release] = not_collected("CNI release")
    links: Reading[tuple[Link, ...]] = not_collected("kernel links")
    routing: Reading[Routing] = not_collected("kernel rules and routes")
    sysctls: Reading[dict[str, str]] = not_collected("sysctls")
    processes: Reading[Processes] = not_collected("processes")
    kubelet_config: Reading[KubeletConfig] = not_collected("kubelet configuration")
    cni_config: Reading[CniConfig] = not_collected("CNI configuration")
    sandboxes: Reading[Sandboxes] = not_collected("container runtime")
    ec2: Reading[Ec2View] = not_collected("EC2")
    told: dict[str, str] = {}
    """What the capture's manifest says of the node (name, instance id, type): used where nothing else tells."""
    timeless: bool = False


ON_REQUEST = ("ec2",)
"""Readings that are taken only when asked for: without them nothing is missing."""

READINGS = tuple(
    f.name for f in msgspec.structs.fields(NodeSnapshot) if f.name not in ("taken_at", "since", "told", "timeless", *ON_REQUEST)
)


class Case(msgspec.Struct, frozen=True):
    """Now, and the snapshots before it, oldest first."""

    now: NodeSnapshot
    before: tuple[NodeSnapshot, ...] = ()


__all__ = ["ON_REQUEST", "READINGS", "Case", "NodeSnapshot", "Unobserved"]
