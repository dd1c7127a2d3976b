"""What EC2's own view adds to a case: room in the node's subnets, and refusals that CloudTrail recorded of this node's calls.

Refuses to read absence out of CloudTrail, and calls of other nodes as this node's: an account is shared, a refusal may be anybody's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

import msgspec

from eniagent.knowledge.ec2_errors import CAUSE_OF_CODE
from eniagent.knowledge.instance_limits import InstanceLimits
from eniagent.model.ec2 import Ec2Eni, Ec2Subnet, Ec2Type, Ec2View, TrailCall
from eniagent.model.reading import Observed

DISCOVERY_TAG = "kubernetes.io/role/cni"
AMPLE = 64
"""Free addresses at which a subnet refuses no request of one node where the type's own numbers are not known."""


class Room(msgspec.Struct, frozen=True):
    """The subnets from which the node can take addresses. `wanted`: what one new ENI may ask for at once."""

    subnets: tuple[Ec2Subnet, ...]
    wanted: int

    @property
    def none(self) -> bool:
        """Whether no subnet can give what ipamd asks for."""
        return bool(self.subnets) and all(s.free < self.wanted for s in self.subnets)

    @property
    def ample(self) -> bool:
        """Whether one of them has far more than ipamd asks for."""
        return any(s.free >= max(2 * self.wanted, AMPLE) for s in self.subnets)


class TrailRefused(msgspec.Struct, frozen=True):
    """This node's refused calls of one cause. `over`: a call of this node that EC2 accepted after the newest one."""

    cause: str
    count: int
    first: TrailCall
    newest: TrailCall
    over: Optional[TrailCall]


def room(view: Ec2View, named: Iterable[str], *, discovery: Optional[bool], per_eni: Optional[int]) -> Optional[Room]:
    """Room in the subnets named, else in those the node's ENIs are in, and in those that subnet discovery may choose. None: not seen."""
    if not isinstance(view.subnets, Observed):
        return None
    known = {str(s.id): s for s in view.subnets.value}
    chosen = {name: known[name] for name in named if name in known} or {str(s.id): s for s in view.subnets.value if s.used_here}
    if discovery is not False:
        chosen.update({str(s.id): s for s in view.subnets.value if s.tags.get(DISCOVERY_TAG, "0") not in ("", "0")})
    return Room(subnets=tuple(chosen.values()), wanted=per_eni or 1) if chosen else None


def trail(view: Optional[Ec2View]) -> dict[str, TrailRefused]:
    """Cause -> this node's refused calls in CloudTrail."""
    if view is None or not isinstance(view.calls, Observed):
        return {}
    ours = [call for call in view.calls.value if call.ours]
    found: dict[str, list[TrailCall]] = {}
    for call in ours:
        if CAUSE_OF_CODE.get(call.code):
            found.setdefault(CAUSE_OF_CODE[call.code], []).append(call)
    accepted = [call for call in ours if not call.code]
    return {cause: _refused(cause, calls, accepted) for cause, calls in found.items()}


def _refused(cause: str, calls: list[TrailCall], accepted: list[TrailCall]) -> TrailRefused:
    newest = calls[-1]
    over = next((call for call in accepted if call.at > newest.at), None)
    return TrailRefused(cause=cause, count=len(calls), first=calls[0], newest=newest, over=over)


def attached(view: Optional[Ec2View]) -> Optional[tuple[Ec2Eni, ...]]:
    """The ENIs that EC2 lists as attached, None where that was not seen."""
    return view.enis.value if view is not None and isinstance(view.enis, Observed) else None


def limits_of(view: Optional[Ec2View], instance_type: str) -> Optional[InstanceLimits]:
    """The type's limits from EC2 itself, for a type that the table does not know."""
    if view is None or not isinstance(view.type, Observed) or view.type.value.type != instance_type:
        return None
    told: Ec2Type = view.type.value
    nitro = None if not told.hypervisor else told.hypervisor == "nitro"
    return InstanceLimits(
        type=told.type, enis=told.enis_per_card[told.default_card], enis_per_card=told.enis_per_card, default_card=told.default_card,
        ipv4_per_eni=told.ipv4_per_eni, ipv6_per_eni=told.ipv6_per_eni, nitro=nitro, bare_metal=told.bare_metal, trunking=None,
        branch_enis=None, vcpus=told.vcpus,
    )
