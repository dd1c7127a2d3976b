"""Facts: everything the rules ask of a case, computed once and on demand.

Refuses to answer for what was not seen: such a fact is None, and `missing` says which reading lacks.
"""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any, Optional

from eniagent.case import ec2_view, impact, kernel, life, pool, refusals
from eniagent.case.settings import Effective, effective
from eniagent.knowledge import instance_limits, max_pods
from eniagent.model.ec2 import Ec2View
from eniagent.model.finding import NodeFacts
from eniagent.model.ipam import Ipam
from eniagent.model.metadata import Identity, Metadata
from eniagent.model.reading import Observed, Unobserved
from eniagent.model.record import Event, Journal, Log
from eniagent.model.snapshot import Case, NodeSnapshot


class Facts:
    """A case and what follows from it. Immutable by habit; cached per case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.now: NodeSnapshot = case.now

    def value(self, field: str) -> Any:
        """The observed value of a reading, None where it was not observed."""
        reading = getattr(self.now, field)
        return reading.value if isinstance(reading, Observed) else None

    def unseen(self, field: str) -> Optional[Unobserved]:
        """The reading that says why a source was not seen, None where it was."""
        reading = getattr(self.now, field)
        return reading if isinstance(reading, Unobserved) else None

    @property
    def at(self) -> datetime:
        """*Now* for this case."""
        return self.now.taken_at

    @property
    def pasted(self) -> bool:
        """Whether all that is known is a pasted text: then nobody chose to leave a source out, and a rule may weigh single lines."""
        return self.now.told.get("origin") == "pasted"

    @functools.cached_property
    def settings(self) -> Effective:
        """The CNI's effective settings."""
        return effective(self.now)

    @functools.cached_property
    def ipam(self) -> Optional[Ipam]:
        """ipamd's pools."""
        found: Optional[Ipam] = self.value("ipam")
        return found

    @functools.cached_property
    def pool(self) -> Optional[pool.PoolUse]:
        """The pool in numbers."""
        return pool.pool_use(self.ipam, self.settings, now=self.at) if self.ipam else None

    @functools.cached_property
    def metadata(self) -> Optional[Metadata]:
        """IMDS."""
        found: Optional[Metadata] = self.value("metadata")
        return found

    @functools.cached_property
    def log(self) -> Optional[Log]:
        """ipamd.log."""
        found: Optional[Log] = self.value("ipamd_log")
        return found

    def events(self, *signatures: str, field: str = "ipamd_log") -> tuple[Event, ...]:
        """Events of a log or journal with one of the signatures, oldest first."""
        record = self.value(field)
        if not isinstance(record, (Log, Journal)):
            return ()
        return tuple(e for e in record.events if e.signature in signatures)

    @functools.cached_property
    def hits(self) -> impact.Hits:
        """Who is hit."""
        return impact.hits(self.now)

    @functools.cached_property
    def refused(self) -> dict[str, refusals.Refused]:
        """EC2's refusals by cause."""
        return refusals.refused(self.case)

    @functools.cached_property
    def ec2(self) -> Optional[Ec2View]:
        """EC2's own view, None where it was not asked for."""
        found: Optional[Ec2View] = self.value("ec2")
        return found

    @functools.cached_property
    def trail(self) -> dict[str, ec2_view.TrailRefused]:
        """This node's refused calls in CloudTrail, by cause."""
        return ec2_view.trail(self.ec2)

    @functools.cached_property
    def counters(self) -> tuple[refusals.Counter, ...]:
        """EC2 error counters."""
        return refusals.counters(self.case)

    @functools.cached_property
    def life(self) -> life.Life:
        """ipamd's life."""
        return life.life(self.case)

    @functools.cached_property
    def identity(self) -> Identity:
        """Who the instance is: IMDS, else what the capture's manifest says."""
        if self.metadata:
            return self.metadata.identity
        told = self.now.told
        return Identity(instance_id=told.get("instance_id", ""), instance_type=told.get("instance_type", ""), availability_zone=told.get("availability_zone", ""), region=told.get("region", ""), hostname=told.get("name", ""))  # type: ignore[arg-type]

    @functools.cached_property
    def limits(self) -> Optional[instance_limits.InstanceLimits]:
        """The type's limits, None for an unknown type."""
        known = instance_limits.limits(self.identity.instance_type) if self.identity.instance_type else None
        return known or ec2_view.limits_of(self.ec2, self.identity.instance_type)

    @functools.cached_property
    def address_limit(self) -> Optional[int]:
        """Addresses that ipamd can ever hold on this node, None where type or mode is unknown."""
        s = self.settings
        if self.limits is None or s.prefix is None or s.ipv6:
            return None
        return max_pods.address_limit(self.limits, prefix=s.prefix, custom_networking=bool(s.custom_networking), max_eni=s.max_eni)

    @functools.cached_property
    def eni_limit(self) -> Optional[int]:
        """ENIs that ipamd may attach on the default card."""
        if self.limits is None:
            return None
        most = self.settings.max_eni
        return min(self.limits.enis, most) if most and most > 0 else self.limits.enis

    @functools.cached_property
    def max_pods(self) -> Optional[int]:
        """kubelet's maxPods."""
        config = self.value("kubelet_config")
        return config.max_pods if config else None

    @functools.cached_property
    def address_gaps(self) -> Optional[tuple[kernel.Gap, ...]]:
        """What the kernel lacks for assigned addresses; None where a view is missing."""
        links, routing = self.value("links"), self.value("routing")
        if self.ipam is None or links is None or routing is None:
            return None
        return kernel.address_gaps(self.ipam, links, routing, self.settings, self.now)

    @functools.cached_property
    def eni_gaps(self) -> Optional[tuple[kernel.Gap, ...]]:
        """ENIs without a kernel link or with an empty table; None where a view is missing."""
        links = self.value("links")
        if self.ipam is None or links is None or self.metadata is None:
            return None
        return kernel.eni_gaps(self.ipam, self.metadata, links, self.value("routing"))

    @functools.cached_property
    def orphan_rules(self) -> Optional[tuple[kernel.Gap, ...]]:
        """Rules of pods that ipamd does not know; None where a view is missing."""
        links, routing = self.value("links"), self.value("routing")
        if self.ipam is None or links is None or routing is None:
            return None
        return kernel.orphan_rules(self.ipam, routing, links, self.settings)

    @functools.cached_property
    def node(self) -> NodeFacts:
        """The node as the contract names it."""
        i, release = self.identity, self.value("release")
        config = self.value("kubelet_config")
        name = (config.node_name if config else "") or i.hostname or self.now.told.get("name", "")
        version = release.version if release else self.now.told.get("cni_version", "")
        return NodeFacts(instance_id=i.instance_id, instance_type=i.instance_type, availability_zone=i.availability_zone, region=i.region, name=name, cni_version=version.lstrip("v"))
