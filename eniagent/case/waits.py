"""Waits: from a pod's first failure to its address or start, with p50 and p95 over all pods that waited.

Refuses to count a pod that got its address at the first try as a wait of zero, and a wait that goes on as one that is over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Optional

from eniagent.case.facts import Facts
from eniagent.case.impact import Hit
from eniagent.case.joins import Joins, addresses
from eniagent.model.pod_path import Wait
from eniagent.model.reading import Observed
from eniagent.model.timeline import Waits

SLACK = timedelta(seconds=1)
"""The address is given before kubelet has written the line of the failure before it."""


def waits(facts: Facts, joins: Joins) -> Waits:
    """All waits of a case, the longest first."""
    given = _given(facts, joins)
    found = [w for w in (wait(hit, given.get(hit.pod, ()), now=facts.at) for hit in facts.hits.pods) if w is not None]
    over = [w.seconds for w in found if w.ended_by in ("address", "start")]
    open_ = [w.seconds for w in found if not w.ended_by and w.pod in {h.pod for h in facts.hits.waiting}]
    return Waits(
        pods=tuple(sorted(found, key=lambda w: (-w.seconds, w.pod))), ended=len(over), p50_s=percentile(over, 0.5), p95_s=percentile(over, 0.95),
        waiting=len(open_), longest_s=max(open_, default=None), gone=sum(w.ended_by == "gone" for w in found),
        unknown=sum(not w.ended_by for w in found) - len(open_),
    )


def wait(hit: Hit, given: Sequence[datetime], *, now: datetime) -> Optional[Wait]:
    """One pod's wait; None where its failures carry no time. `given`: when it was given an address."""
    if hit.first_at is None or hit.last_at is None:
        return None
    ends = [(at, "address") for at in given] + ([(hit.up_at, "start")] if hit.up_at is not None else [])
    ends = [(at, by) for at, by in ends if at >= hit.last_at - SLACK]
    if not ends and hit.gone_at is not None and hit.gone_at >= hit.last_at:
        ends = [(hit.gone_at, "gone")]
    until, by = min(ends) if ends else (None, "")
    # A wait whose end nothing tells is as long as it was seen to last.
    seen = until or (now if hit.waits else hit.last_at)
    return Wait(pod=hit.pod, since=hit.first_at, until=until, seconds=round(max((seen - hit.first_at).total_seconds(), 0.0), 3), ended_by=by, failures=hit.failures)


def _given(facts: Facts, joins: Joins) -> dict[str, tuple[datetime, ...]]:
    """Pod -> when it was given an address: ipamd's own times, and the plugin's successes."""
    found: dict[str, list[datetime]] = {}
    for snapshot in (*facts.case.before, facts.now):
        for _, address in addresses(snapshot.ipam.value if isinstance(snapshot.ipam, Observed) else None):
            if address.pod and address.assigned and address.assigned_at is not None:
                found.setdefault(address.pod, []).append(address.assigned_at)
    for event in facts.events("plugin-ok", field="plugin_log"):
        pod = joins.pod(event)
        if pod and event.at is not None:
            found.setdefault(pod, []).append(event.at)
    return {pod: tuple(sorted(times)) for pod, times in found.items()}


def percentile(values: Sequence[float], share: float) -> Optional[float]:
    """Nearest rank: a value that was really seen. None of nothing."""
    if not values:
        return None
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
