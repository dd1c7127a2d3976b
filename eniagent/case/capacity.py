"""Capacity: how many addresses and pods a node can have in each mode, what its pool should keep warm, and what would fit where.

Refuses to pass policy off as physics: addresses follow from EC2's limits, the caps of 110 and 250 are named with whose they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

import msgspec

from eniagent.case.facts import Facts
from eniagent.knowledge import max_pods
from eniagent.knowledge.instance_limits import InstanceLimits
from eniagent.knowledge.max_pods import HOST_NETWORK_PODS, PREFIX_SIZE
from eniagent.model.churn import Churn

SAMPLE_MIN = 30
"""Minutes of log below which the recommendation says how small its sample is."""

FLOOR = 5
"""Targets below this cost an EC2 call for every few pods. Source: CNI reference, 3.3."""


class Mode(msgspec.Struct, frozen=True):
    """How the CNI is run. `max_eni`: MAX_ENI, None: not set. `vcpus`: None: the type's own."""

    prefix: bool = False
    custom_networking: bool = False
    ipv6: bool = False
    max_eni: Optional[int] = None
    vcpus: Optional[int] = None

    @property
    def name(self) -> str:
        """The mode in words."""
        if self.ipv6:
            return "IPv6 prefix"
        return ("prefix" if self.prefix else "secondary-IP") + (" + custom networking" if self.custom_networking else "")


class Count(msgspec.Struct, frozen=True):
    """One mode in numbers. `addresses` None: a /80, which does not run out. `pods`: every address in use, and those that need none.

    `cap`: what policy allows at most. `max_pods`: the value for kubelet. `supported` False: the type cannot, and ipamd falls back.
    """

    mode: str
    addresses: Optional[int]
    pods: Optional[int]
    cap: int
    max_pods: int
    supported: bool = True
    chosen: bool = False
    note: str = ""


class WarmTargets(msgspec.Struct, frozen=True):
    """What to set, by variable, and the arithmetic, one step a line."""

    settings: dict[str, int]
    arithmetic: tuple[str, ...]


class Fit(msgspec.Struct, frozen=True):
    """A type that holds the pods asked for in the mode asked about."""

    type: str
    max_pods: int
    vcpus: int


class WhatIf(msgspec.Struct, frozen=True):
    """`pods` on one node of this type, host-network pods included. `spare` below 0: so many do not fit.

    `nodes`: how many nodes of this type hold them. `family`: the smallest type of the same family, `others`: the smallest of all.
    """

    pods: int
    spare: int
    nodes: Optional[int]
    family: Optional[Fit]
    others: tuple[Fit, ...]


class Present(msgspec.Struct, frozen=True):
    """What the node has now. None: not seen. `more`: pods that it can still take, `held_by` what ends it."""

    configured_max_pods: Optional[int] = None
    running_pods: Optional[int] = None
    running_origin: str = ""
    assigned: Optional[int] = None
    held: Optional[int] = None
    enis: Optional[int] = None
    more: Optional[int] = None
    held_by: str = ""
    settings: dict[str, Optional[int]] = {}


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer. `why_no_targets`: why no warm targets are recommended."""

    schema: str = "eniagent.capacity/1"
    limits: InstanceLimits
    type_origin: str
    counts: tuple[Count, ...]
    cap_policy: str = max_pods.CAP_POLICY
    table: str
    present: Optional[Present] = None
    churn: Optional[Churn] = None
    warm_targets: Optional[WarmTargets] = None
    why_no_targets: str = ""
    what_if: Optional[WhatIf] = None


def counts(limits: InstanceLimits, chosen: Mode) -> tuple[Count, ...]:
    """Every mode, the chosen one marked."""
    modes = [msgspec.structs.replace(chosen, ipv6=False, prefix=prefix, custom_networking=custom) for prefix in (False, True) for custom in (False, True)]
    modes.append(msgspec.structs.replace(chosen, ipv6=True, prefix=True, custom_networking=False))
    return tuple(msgspec.structs.replace(count(limits, mode), chosen=mode.name == chosen.name) for mode in modes)


def count(limits: InstanceLimits, mode: Mode) -> Count:
    """One mode. A type without prefixes gets what ipamd falls back to: single addresses, without a word to kubelet."""
    cap = max_pods.cap(limits.vcpus if mode.vcpus is None else mode.vcpus)
    if mode.ipv6:
        note = "one /80 on the primary ENI" if limits.prefixes else "IPv6 needs a Nitro type: ipamd exits"
        return Count(mode=mode.name, addresses=None, pods=None, cap=cap, max_pods=cap if limits.prefixes else 0, supported=limits.prefixes, note=note)
    prefix = mode.prefix and limits.prefixes
    options = {"prefix": prefix, "custom_networking": mode.custom_networking}
    addresses = max_pods.address_limit(limits, max_eni=mode.max_eni, **options)
    return Count(
        mode=mode.name, addresses=addresses, pods=addresses + HOST_NETWORK_PODS, cap=cap,
        max_pods=max_pods.max_pods(limits, max_eni=mode.max_eni, vcpus=mode.vcpus, **options),
        supported=limits.prefixes or not mode.prefix, note=_note(limits, mode, addresses),
    )


def _note(limits: InstanceLimits, mode: Mode, addresses: int) -> str:
    if mode.prefix and not limits.prefixes:
        return "not a Nitro type: ipamd falls back to single addresses"
    if mode.custom_networking and not addresses:
        return "the primary ENI is given up and there is no other: no pod gets an address"
    return "the primary ENI is given up" if mode.custom_networking else ""


def warm_targets(limits: InstanceLimits, mode: Mode, churn: Churn, *, in_use: Optional[int]) -> WarmTargets:
    """Targets that cover the busiest stretch seen. `in_use`: addresses assigned at the log's end, None where not seen."""
    spare = churn.burst + churn.resting
    steps = [
        f"burst: {churn.burst} pods asked within {churn.burst_s:g} s, the time to refill a pool",
        f"resting: {churn.resting} addresses were freed within {churn.rest_s:g} s, the cooldown; ipamd counts them as available, no pod can have them",
        f"spare: {churn.burst} + {churn.resting} = {spare}",
    ]
    if mode.prefix and limits.prefixes:
        prefixes = max(1, -(-spare // PREFIX_SIZE))
        steps.append(f"WARM_PREFIX_TARGET: {spare} spare addresses are {prefixes} prefix{'es' if prefixes > 1 else ''} of {PREFIX_SIZE}, at least 1")
        return WarmTargets({"WARM_PREFIX_TARGET": prefixes}, (*steps, *_sample(churn)))
    limit = max_pods.address_limit(limits, custom_networking=mode.custom_networking, max_eni=mode.max_eni)
    warm = min(max(spare, FLOOR), limit)
    steps.append(f"WARM_IP_TARGET: {spare} spare, at least {FLOOR}, at most the node's {limit} addresses: {warm}")
    usual = churn.above + (churn.granted - churn.freed if in_use is None else in_use)
    minimum = min(max(usual, FLOOR), limit)
    basis = "the log's own balance" if in_use is None else f"{in_use} now"
    steps.append(f"MINIMUM_IP_TARGET: {usual} addresses in use at the fullest ({basis}, {churn.above} more before), at least {FLOOR}, at most {limit}: {minimum}")
    if usual + warm > limit:
        way = "prefix mode brings 16 addresses in each place of one" if limits.prefixes else "a larger type has more"
        steps.append(f"at the fullest the node cannot keep so many warm: {usual} + {warm} is more than its {limit} addresses; {way}")
    return WarmTargets({"WARM_IP_TARGET": warm, "MINIMUM_IP_TARGET": minimum}, (*steps, *_sample(churn)))


def _sample(churn: Churn) -> tuple[str, ...]:
    """A word on the sample where it is short: a start fills a node once, and looks like a burst."""
    if churn.minutes >= SAMPLE_MIN:
        return ()
    return (f"the log covers {churn.minutes:.0f} minutes only: a day decides better (--since 24h), and the start of a node is no usual burst",)


def what_if(limits: InstanceLimits, mode: Mode, pods: int, types: Iterable[InstanceLimits]) -> WhatIf:
    """Whether `pods` fit, on how many such nodes, and which types hold them on one."""
    here = count(limits, mode).max_pods
    each = here - HOST_NETWORK_PODS
    nodes = None if each <= 0 else 1 if pods <= here else -(-(pods - HOST_NETWORK_PODS) // each)
    fits = sorted((fit for fit in (_fit(other, mode) for other in types) if fit is not None and fit.max_pods >= pods), key=lambda fit: (fit.vcpus, fit.max_pods, fit.type))
    family = limits.type.partition(".")[0]
    return WhatIf(
        pods=pods, spare=here - pods, nodes=nodes, family=next((fit for fit in fits if fit.type.partition(".")[0] == family), None), others=tuple(fits[:5]),
    )


def _fit(limits: InstanceLimits, mode: Mode) -> Optional[Fit]:
    """What a type holds in this mode; None where the mode is not for it. The vCPU override is of this node alone."""
    counted = count(limits, msgspec.structs.replace(mode, vcpus=None))
    if not counted.supported or limits.bare_metal:
        return None
    return Fit(type=limits.type, max_pods=counted.max_pods, vcpus=limits.vcpus)


def more_pods(*, address_limit: Optional[int], assigned: Optional[int], max_pods_set: Optional[int], running: Optional[int]) -> tuple[Optional[int], str]:
    """Pods that still fit, and what ends it; None where one of the two limits was not seen."""
    if address_limit is None or assigned is None or max_pods_set is None or running is None:
        return None, ""
    by_address, by_kubelet = max(address_limit - assigned, 0), max(max_pods_set - running, 0)
    return min(by_address, by_kubelet), "kubelet's maxPods" if by_kubelet <= by_address else "the type's addresses"


def present(facts: Facts) -> Present:
    """What the node has now, of what was seen."""
    sandboxes, pool, s = facts.value("sandboxes"), facts.pool, facts.settings
    running, origin = (sum(p.ready for p in sandboxes.pods), "container runtime") if sandboxes is not None else (None, "")
    if running is None and pool is not None:
        running, origin = pool.in_use + HOST_NETWORK_PODS, f"assigned + {HOST_NETWORK_PODS} on the host's network"
    assigned = pool.in_use if pool is not None else None
    more, held_by = more_pods(address_limit=facts.address_limit, assigned=assigned, max_pods_set=facts.max_pods, running=running)
    settings = {"WARM_IP_TARGET": s.warm_ip, "MINIMUM_IP_TARGET": s.minimum_ip, "WARM_ENI_TARGET": s.warm_eni, "WARM_PREFIX_TARGET": s.warm_prefix}
    return Present(
        configured_max_pods=facts.max_pods, running_pods=running, running_origin=origin, assigned=assigned, held=pool.usable if pool is not None else None,
        enis=len(facts.metadata.enis) if facts.metadata is not None else None, more=more, held_by=held_by, settings=settings,
    )
