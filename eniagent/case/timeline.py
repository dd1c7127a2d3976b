"""The timeline: lines of kubelet, containerd, plugin and ipamd, and changes between looks, merged in UTC.

Refuses to pretend completeness: journals keep each pod's first and newest failure, logs the first and newest lines of each kind;
what was counted and not kept is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Optional

import msgspec

from eniagent.case.changes import changes
from eniagent.case.facts import Facts
from eniagent.case.joins import Joins
from eniagent.case.waits import waits
from eniagent.knowledge.signature import Role
from eniagent.knowledge.signatures import BY_ID
from eniagent.model.finding import NotSeen, Window
from eniagent.model.pod_path import Entry
from eniagent.model.record import Journal, Log
from eniagent.model.timeline import Timeline

SOURCES = ("kubelet", "containerd", "plugin_log", "ipamd_log", "ipam", "metadata")
"""What a timeline is made from; one that was not seen is named."""

FOLD_S = 60.0
"""Effects that repeat within this are one entry with a count."""

AROUND_S = 120.0
"""What the node did so long before a pod's first failure belongs to its timeline: ipamd asks again after 120 s."""

_ORDER = {"state": 0, "ipamd": 1, "plugin": 2, "containerd": 3, "kubelet": 4}
"""Within one instant: ipamd answers the plugin, the plugin the runtime, the runtime kubelet."""

POOL = "pool-stats"
_POOL_NUMBERS = re.compile(r"(?i)total(?: IPs)?(?:/Prefixes)?\s?[:=]?\s?(\d+).*?(?:assigned|used)\s?(?:IPs)?(?:/CooldownIPs)?\s?[:=]?\s?(\d+)")
_CHANGING = re.compile(r"[0-9a-f]{12,}|\d+")


def timeline(facts: Facts, *, pod: str = "") -> Timeline:
    """The timeline of the window, or of one pod with what the node did around it."""
    joins = Joins(facts)
    every = folded(sorted(_within(entries(facts, joins), facts), key=_when))
    chosen = every if not pod else of_pod(every, pod)
    waited = waits(facts, joins)
    if pod:
        waited = msgspec.structs.replace(waited, pods=tuple(w for w in waited.pods if w.pod == pod))
    return Timeline(
        taken_at=facts.at, window=Window(since=facts.now.since, until=facts.at), node=facts.node, pod=pod, entries=chosen, waits=waited,
        capped=capped(facts, pod=pod), unobserved=_unobserved(facts),
    )


def entries(facts: Facts, joins: Joins) -> Iterator[Entry]:
    """Every entry, in no order."""
    yield from changes(facts)
    for field in ("plugin_log", "ipamd_log"):
        log = facts.value(field)
        for event in log.events if isinstance(log, Log) else ():
            yield Entry(event.at, event.program or log.program, event.signature, _line(event.text), pod=joins.pod(event), sandbox=event.fields.get("sandbox", ""), ref=event.ref)
    for field in ("kubelet", "containerd"):
        journal = facts.value(field)
        if isinstance(journal, Journal):
            yield from _of_journal(journal)


def _of_journal(journal: Journal) -> Iterator[Entry]:
    for event in journal.events:
        yield Entry(event.at, journal.program, event.signature, _line(event.text), ref=event.ref)
    for trouble in journal.pods:
        newest = trouble.newest
        if trouble.failures > 1 and trouble.first_at != trouble.last_at:
            kinds = ", ".join(f"{name} {count} x" for name, count in sorted(trouble.signatures.items()))
            yield Entry(trouble.first_at, journal.program, "first-failure", f"first of {trouble.failures} failed attempts ({kinds})", pod=trouble.pod)
        yield Entry(
            trouble.last_at, journal.program, newest.signature, _line(newest.text), pod=trouble.pod, sandbox=newest.fields.get("sandbox", ""), ref=newest.ref,
        )
        if trouble.recovered_at is not None:
            yield Entry(trouble.recovered_at, journal.program, "pod-recovered", "its containers started, or a later sandbox came up", pod=trouble.pod)
        if trouble.gone_at is not None:
            yield Entry(trouble.gone_at, journal.program, "pod-deleted", "deleted", pod=trouble.pod)
    for start in journal.starts:
        took = "" if start.e2e_s is None else f", {start.e2e_s:.1f} s after its creation"
        yield Entry(start.at, journal.program, "pod-started", f"running{took}", pod=start.pod)


def _line(text: str) -> str:
    return text.split("\n", 1)[0].strip()[:400]


def _when(entry: Entry) -> tuple[bool, float, int, str, str]:
    at = entry.at.timestamp() if entry.at is not None else 0.0
    return (entry.at is None, at, _ORDER.get(entry.program, 5), entry.pod, entry.text)


def _within(found: Iterable[Entry], facts: Facts) -> Iterator[Entry]:
    """Those of the window; ipamd's last words before it stay, for they may be what decides."""
    since = facts.now.since
    for entry in found:
        if entry.at is not None and entry.at > facts.at:
            continue
        if since is None or entry.at is None or entry.at >= since or (entry.program == "ipamd" and _role(entry) in (Role.CAUSE, Role.SUCCESS)):
            yield entry


def _role(entry: Entry) -> Optional[Role]:
    signature = BY_ID.get(entry.what)
    return signature.role if signature is not None else None


def folded(found: Iterable[Entry]) -> tuple[Entry, ...]:
    """States that are told again unchanged, and node-wide effects that repeat within `FOLD_S`, as one entry with a count."""
    kept: list[Entry] = []
    last: dict[tuple[str, str, str], tuple[int, str]] = {}
    for entry in found:
        key, mark = (entry.program, entry.what, _shape(entry)), _mark(entry)
        index, before = last.get(key, (-1, ""))
        if index >= 0 and before == mark and _repeats(kept[index], entry):
            kept[index] = msgspec.structs.replace(kept[index], count=kept[index].count + 1, until=entry.at)
            continue
        last[key] = (len(kept), mark)
        kept.append(entry)
    return tuple(kept)


def _shape(entry: Entry) -> str:
    """The line without what differs from one time to the next."""
    return "" if entry.what == POOL else _CHANGING.sub("#", entry.text)


def _mark(entry: Entry) -> str:
    """What a line of the pool's state says: told again with the same numbers it is no news."""
    found = _POOL_NUMBERS.search(entry.text) if entry.what == POOL else None
    return "/".join(filter(None, found.groups())) if found is not None else ""


def _repeats(before: Entry, entry: Entry) -> bool:
    role = _role(entry)
    # A pod's own attempts stand one by one, and so do causes and successes.
    if entry.pod or entry.at is None or before.at is None or role not in (Role.STATE, Role.EFFECT, Role.NOISE):
        return False
    return entry.what == POOL or (entry.at - (before.until or before.at)).total_seconds() <= FOLD_S


def of_pod(every: tuple[Entry, ...], pod: str) -> tuple[Entry, ...]:
    """The pod's entries, and what the node itself did from a while before the first of them to the last."""
    own = [entry for entry in every if entry.pod == pod]
    times = [entry.at for entry in own if entry.at is not None]
    if not times:
        return tuple(own)
    since, until = min(times) - timedelta(seconds=AROUND_S), max(times)
    return tuple(e for e in every if e.pod == pod or (not e.pod and e.at is not None and since <= e.at <= until and not _of_some_pod(e)))


def _of_some_pod(entry: Entry) -> bool:
    """A line about an attempt that could be joined to no pod is not the node's own."""
    return bool(entry.sandbox) or entry.what in ("add-ok", "add-failed", "plugin-add", "plugin-ok", "address-freed")


def capped(facts: Facts, *, pod: str = "") -> tuple[str, ...]:
    """What was counted and is not told line by line, one sentence each."""
    told: list[str] = []
    for field in ("ipamd_log", "plugin_log"):
        log = facts.value(field)
        if not isinstance(log, Log):
            continue
        kept: dict[str, int] = {}
        for event in log.events:
            kept[event.signature] = kept.get(event.signature, 0) + 1
        for name, count in sorted(log.counts.items()):
            if kept.get(name, 0) < count and name in BY_ID and BY_ID[name].role is not Role.NOISE:
                told.append(f"{log.program}.log: {count} lines of {name}, {kept.get(name, 0)} of them kept (the first and the newest)")
    for field in ("kubelet", "containerd"):
        journal = facts.value(field)
        if not isinstance(journal, Journal):
            continue
        more = [t for t in journal.pods if t.failures > 2 and (not pod or t.pod == pod)]
        if more:
            told.append(f"{journal.program}: of {sum(t.failures for t in more)} failed attempts of {len(more)} pod{'s' if len(more) > 1 else ''} the first time and the newest text of each are kept")
        if journal.cut:
            told.append(f"{journal.program}: the reading ended early: {journal.cut}")
    return tuple(told)


def _unobserved(facts: Facts) -> tuple[NotSeen, ...]:
    found = ((facts.unseen(field)) for field in SOURCES)
    return tuple(NotSeen(reading.source, reading.why.value, reading.detail) for reading in found if reading is not None)
