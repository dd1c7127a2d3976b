"""State changes: what differs between two looks at a node, and what ipamd's own times say of addresses between looks.

Refuses to date a change more finely than the looks allow: one without a time of its own stands at the later look.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Optional

from eniagent.case.facts import Facts
from eniagent.case.joins import addresses
from eniagent.case.kernel import FROM_POD, TO_POD
from eniagent.case.pool import pool_use
from eniagent.case.settings import effective
from eniagent.model.pod_path import Entry
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.model.snapshot import NodeSnapshot

_SOURCES = {"ipam": "ipamd /v1/enis", "metadata": "IMDS", "routing": "kernel", "links": "kernel"}


def changes(facts: Facts) -> tuple[Entry, ...]:
    """All changes of a case, in no order."""
    found: dict[tuple[Optional[datetime], str, str], Entry] = {}
    looks = (*facts.case.before, facts.now)
    for snapshot in looks:
        for entry in _dated(snapshot):
            found.setdefault((entry.at, entry.what, entry.text), entry)
    for earlier, later in zip(looks, looks[1:]):
        for entry in _between(earlier, later):
            found.setdefault((entry.at, entry.what, entry.text), entry)
    return tuple(entry for entry in found.values() if _within(entry, facts))


def _within(entry: Entry, facts: Facts) -> bool:
    since = facts.now.since
    return entry.at is None or ((since is None or entry.at >= since) and entry.at <= facts.at)


def _value(snapshot: NodeSnapshot, field: str) -> Any:
    reading = getattr(snapshot, field)
    return reading.value if isinstance(reading, Observed) else None


def _dated(snapshot: NodeSnapshot) -> Iterator[Entry]:
    """What a look dates itself: addresses given and freed, processes started."""
    for eni, address in addresses(_value(snapshot, "ipam")):
        if address.assigned_at is not None:
            yield Entry(address.assigned_at, "state", "address-assigned", f"{address.ip} on {eni.id} assigned", pod=address.pod or "", ref="/ENIs")
        if address.unassigned_at is not None and not address.assigned:
            yield Entry(address.unassigned_at, "state", "address-freed", f"{address.ip} on {eni.id} freed", pod=address.pod or "", ref="/ENIs")
    processes = _value(snapshot, "processes")
    for process in processes.running if processes is not None else ():
        if process.started_at is not None:
            yield Entry(process.started_at, "state", "process-started", f"{process.name} started, pid {process.pid}", ref="host/processes.json")


def _between(earlier: NodeSnapshot, later: NodeSnapshot) -> Iterator[Entry]:
    at = later.taken_at
    for field, kind in (("ipam", "ipamd"), ("metadata", "IMDS")):
        before, after = _enis(earlier, field), _enis(later, field)
        if before is not None and after is not None:
            yield from (Entry(at, "state", "eni-added", f"{kind} lists {eni}", ref=_SOURCES[field]) for eni in sorted(after - before))
            yield from (Entry(at, "state", "eni-gone", f"{kind} no longer lists {eni}", ref=_SOURCES[field]) for eni in sorted(before - after))
    yield from _numbers(earlier, later)
    for field in ("ipam", "metadata", "metrics"):
        yield from _seen(earlier, later, field)


def _enis(snapshot: NodeSnapshot, field: str) -> Optional[set[str]]:
    value = _value(snapshot, field)
    if value is None:
        return None
    return {str(e.id) for p in value.pools for e in p.enis} if field == "ipam" else {str(e.id) for e in value.enis}


def _numbers(earlier: NodeSnapshot, later: NodeSnapshot) -> Iterator[Entry]:
    was, now = _pool(earlier), _pool(later)
    if was is not None and now is not None and was != now:
        text = f"addresses held {was[0]} -> {now[0]}, assigned {was[1]} -> {now[1]}, cooling {was[2]} -> {now[2]}, assignable {was[3]} -> {now[3]}"
        yield Entry(later.taken_at, "state", "pool-changed", text, ref=_SOURCES["ipam"])
    before, after = _value(earlier, "routing"), _value(later, "routing")
    if before is not None and after is not None:
        for priority in (TO_POD, FROM_POD):
            counts = [sum(rule.priority == priority for rule in routing.rules) for routing in (before, after)]
            if counts[0] != counts[1]:
                yield Entry(later.taken_at, "state", "rules-changed", f"policy rules of priority {priority}: {counts[0]} -> {counts[1]}", ref=_SOURCES["routing"])


def _pool(snapshot: NodeSnapshot) -> Optional[tuple[int, int, int, int]]:
    ipam = _value(snapshot, "ipam")
    if ipam is None:
        return None
    use = pool_use(ipam, effective(snapshot), now=snapshot.taken_at)
    return use.usable, use.in_use, use.cooling, use.assignable


def _seen(earlier: NodeSnapshot, later: NodeSnapshot, field: str) -> Iterator[Entry]:
    """A source that began or ceased to answer. One at which nobody looked did neither."""
    was, now = getattr(earlier, field), getattr(later, field)
    if any(isinstance(r, Unobserved) and r.why is Why.NOT_COLLECTED for r in (was, now)):
        return
    if isinstance(was, Observed) and isinstance(now, Unobserved):
        yield Entry(later.taken_at, "state", "source-lost", f"{now.source} no longer answers: {now.why.value}", ref=now.source)
    if isinstance(was, Unobserved) and isinstance(now, Observed):
        yield Entry(later.taken_at, "state", "source-back", f"{now.source} answers again (before: {was.why.value})", ref=now.source)
