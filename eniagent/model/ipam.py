"""What ipamd holds: pools, ENIs, CIDRs and addresses, in one shape for all shape families.

Times are as ipamd told them; whether an address still cools depends on *now* and is computed by the case.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

import msgspec

from eniagent.model.net import EniId, IPAddress, IPNetwork, PodName, SandboxId, SubnetId


class Address(msgspec.Struct, frozen=True):
    """One address that ipamd has handed out at least once. `unassigned_at` None: never freed."""

    ip: IPAddress
    assigned: bool
    pod: Optional[PodName] = None
    sandbox: Optional[SandboxId] = None
    assigned_at: Optional[datetime] = None
    unassigned_at: Optional[datetime] = None


class Cidr(msgspec.Struct, frozen=True):
    """A /32, /28 or /80 that ipamd may hand addresses out of. Free addresses that were never used are not listed."""

    network: IPNetwork
    is_prefix: bool
    addresses: tuple[Address, ...] = ()

    @property
    def size(self) -> int:
        """Capacity in addresses."""
        return int(self.network.num_addresses)


class PoolEni(msgspec.Struct, frozen=True):
    """One ENI in ipamd's datastore. None: this release does not tell."""

    id: EniId
    device_number: int
    is_primary: bool
    is_trunk: bool = False
    is_efa: bool = False
    cidrs: tuple[Cidr, ...] = ()
    excluded: Optional[bool] = None
    route_table: Optional[int] = None
    subnet: Optional[SubnetId] = None


class Pool(msgspec.Struct, frozen=True):
    """The datastore of one network card. The reported counters drift: recompute, compare, never trust."""

    card: int
    enis: tuple[PoolEni, ...]
    reported_total: Optional[int] = None
    reported_assigned: Optional[int] = None


class Ipam(msgspec.Struct, frozen=True):
    """All pools of the node. `family` is the letter of the shape (ipamd reference, 1.2), `A` to `J`."""

    family: str
    pools: tuple[Pool, ...]


class CheckpointEntry(msgspec.Struct, frozen=True):
    """One assigned address as the checkpoint file keeps it."""

    sandbox: SandboxId
    interface: str
    ip: Optional[IPAddress] = None
    ipv6: Optional[IPAddress] = None
    pod: Optional[PodName] = None
    assigned_at: Optional[datetime] = None
    card: int = 0


class Checkpoint(msgspec.Struct, frozen=True):
    """All checkpoint files of the node joined."""

    entries: tuple[CheckpointEntry, ...]
