"""Room for growth: ENIs that may still be attached, addresses per ENI, and the max-pods ceiling.

Refuses IMDS's list as the count of managed ENIs where ipamd's own gauge tells: a foreign ENI takes a slot that ipamd does not know of.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from eniagent.case.facts import Facts
from eniagent.case.loop import newest, told_low
from eniagent.knowledge.max_pods import PREFIX_SIZE
from eniagent.model.cni import Release
from eniagent.model.ipam import Pool
from eniagent.model.record import Event

CEILING_SINCE = (1, 16, 3)
"""From here on the pool does not grow once it holds maxPods addresses. Source: ipamd.go, `isDatastorePoolTooLow`."""


class Room(NamedTuple):
    """ENIs that ipamd would still attach. None: the limit is not known. `limited_by`: `eni-limit` or `MAX_ENI`."""

    left: Optional[int]
    limited_by: str = ""


def attachable(pool: Pool, facts: Facts) -> Room:
    """Limit less unmanaged ENIs, less a slot kept for a trunk that is still to come, less what the card holds."""
    limit, limited_by = _limit(pool, facts)
    if limit is None:
        return Room(None)
    trunking = facts.limits is None or bool(facts.limits.trunking)
    awaited = pool.card == 0 and bool(facts.settings.pod_eni) and trunking and not any(e.is_trunk for e in pool.enis)
    # ipamd subtracts excluded ENIs on both sides, so each still takes its slot.
    return Room(limit - int(awaited) - len(pool.enis), limited_by)


def _limit(pool: Pool, facts: Facts) -> tuple[Optional[int], str]:
    if pool.card > 0:
        per_card = facts.limits.enis_per_card if facts.limits else ()
        return (per_card[pool.card], "eni-limit") if pool.card < len(per_card) else (None, "")
    most = facts.settings.max_eni
    by_type = facts.limits.enis if facts.limits else None
    limited_by = "MAX_ENI" if most and most > 0 and (by_type is None or most < by_type) else "eni-limit"
    metrics = facts.value("metrics")
    gauge = metrics.value("awscni_eni_max") if metrics else None
    if gauge and len(facts.ipam.pools if facts.ipam else ()) == 1:
        return int(gauge), limited_by
    if facts.eni_limit is None:
        return None, ""
    held = {e.id for e in pool.enis}
    listed = facts.metadata.enis if facts.metadata else ()
    return facts.eni_limit - sum(e.card == pool.card and e.id not in held for e in listed), limited_by


def per_eni_of(facts: Facts, events: tuple[Event, ...], *, card: int) -> Optional[int]:
    """Pod addresses on a full ENI in the present mode, from the type's limits, else from ipamd's own words."""
    prefix = bool(facts.settings.prefix) and card == 0
    if facts.limits is not None:
        return max(facts.limits.ipv4_per_eni - 1, 0) * (PREFIX_SIZE if prefix else 1)
    for event in reversed(events):
        if event.signature == "pool-stats" and event.fields.get("per_eni", "").isdigit():
            return int(event.fields["per_eni"])
    low = told_low(events)
    return low.per_unit if low and not prefix else None


def maximum_reached(facts: Facts, events: tuple[Event, ...], *, total: int) -> Optional[bool]:
    """Whether the pool holds maxPods addresses under a release that then stops. None: the release or maxPods decides, and is not known."""
    told = newest(events, "pool-manager")
    if told is not None and told.fields.get("max_pods", "").isdigit():
        return total >= int(told.fields["max_pods"])
    stops = at_least(facts.value("release"), CEILING_SINCE)
    if stops is False or facts.max_pods is None:
        # Without maxPods the common case is taken: pools rarely reach it, and ipamd's own ceiling is only a ceiling.
        return False if stops is False else (None if facts.max_pods is None and _may_be_full(facts, total=total) else False)
    return stops if total >= facts.max_pods else False


def _may_be_full(facts: Facts, *, total: int) -> bool:
    """Whether the pool is so large that some usual maxPods could stop it."""
    return facts.address_limit is None or total >= facts.address_limit


def at_least(release: Optional[Release], version: tuple[int, int, int]) -> Optional[bool]:
    """Whether the release is `version` or later. None: what is known of it does not decide."""
    if release is None:
        return None
    low, high = _parsed(release.version or release.low, open_as=0), _parsed(release.version or release.high, open_as=999)
    if low is not None and low >= version:
        return True
    return False if high is not None and high < version else None


def _parsed(text: str, *, open_as: int) -> Optional[tuple[int, int, int]]:
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+|x))?", text)
    if not found:
        return None
    patch = found.group(3)
    return int(found.group(1)), int(found.group(2)), int(patch) if patch and patch.isdigit() else open_as


def newest_subnet(facts: Facts, events: tuple[Event, ...]) -> str:
    """The subnet of the next ENI: the one last tried, else the node's own where nothing else can be chosen. "" where not known."""
    tried = newest(events, "eni-create-subnet")
    if tried is not None:
        return tried.fields.get("subnet", "")
    if facts.settings.custom_networking is not False or facts.metadata is None:
        return ""
    own = [e.subnet for e in facts.metadata.enis if e.mac.lower() == facts.metadata.identity.primary_mac.lower()]
    return own[0] if own and facts.settings.subnet_discovery is False else ""
