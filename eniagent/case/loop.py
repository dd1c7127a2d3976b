"""ipamd's pool loop in time: when it looks next, what holds growth back until when, and which call is still unanswered.

Refuses a release's rules where ipamd.log itself tells: the line that starts the 120 s back-off is printed whenever it starts.
Source: amazon-vpc-cni-k8s v1.23.1, ipamd.go (ipamd reference, 4.1; section 0, items 2, 8, 11, 18).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple, Optional

from eniagent.case.facts import Facts
from eniagent.model.record import Event

LOOP_S = 5.0
"""The pool is looked at every 5 s: 2.5 s sleep, the look, 2.5 s sleep, reconcile."""
HALF_LOOP_S = 2.5
"""From the end of a reconcile, or of ipamd's start, to the next look."""
BACKOFF_S = 120.0
SHRINK_S = 30.0
"""Addresses are given back at most every 30 s."""
ENI_LIFE_S = 60.0
"""An ENI must have been that long in the store before it is freed."""

_LOOKS = (
    "pool-low", "backoff-120s", "eni-limit-hit", "non-schedulable", "address-try", "eni-create-try", "ec2-refused", "subnet-lacks",
    "eni-attached", "addresses-allocated", "pool-grown", "cidr-free-try", "eni-freed", "eniconfig-missing",
)
_TRIES = {"eni-create-try": "create-eni", "address-try": "assign-address"}
_ANSWERS = (
    "eni-attached", "addresses-allocated", "ec2-refused", "subnet-lacks", "pool-grown", "eniconfig-missing", "ipamd-start",
    "init-failed", "imds-unseen-eni",
)
_SHORTAGES = ("InsufficientFreeAddressesInSubnet", "InsufficientCidrBlocks")
_STATS = re.compile(r"IP pool stats|IP stats (?:for|-)|Current warm IP stats")
"""The pool manager's own statistics; each ADD and DEL prints some of its own, under the same signature."""
_LOW = re.compile(r"available \((\d+)\) < ENI target \((\d+)\) \* addrsPerENI \((\d+)\)")


class Called(NamedTuple):
    """A try that has no answer yet. `waits_for`: `ec2-call-in-flight`, or `imds-lag` once EC2 has attached the ENI."""

    action: str
    target: str
    since: datetime
    waits_for: str


def since_start(facts: Facts) -> tuple[Event, ...]:
    """ipamd's lines since its last start: what was before binds it no more."""
    log = facts.log
    events = tuple(e for e in log.events if e.at is not None) if log else ()
    starts = [i for i, e in enumerate(events) if e.signature == "ipamd-start"]
    return events[starts[-1] :] if starts else events


def newest(events: tuple[Event, ...], *signatures: str, stats: bool = False) -> Optional[Event]:
    """The last event with one of the signatures; with `stats`, the pool manager's statistics count too."""
    return next((e for e in reversed(events) if e.signature in signatures or (stats and _is_stats(e))), None)


def _is_stats(event: Event) -> bool:
    return event.signature == "pool-stats" and bool(_STATS.search(event.text))


def next_look(events: tuple[Event, ...], *, now: datetime, not_before: Optional[datetime] = None) -> datetime:
    """When the pool is looked at next: in step with the last look that the log shows, else within one turn of the loop."""
    earliest = max(now, not_before) if not_before else now
    first = _first_look(events)
    if first is None:
        return earliest + timedelta(seconds=LOOP_S if earliest == now else 0.0)
    turns = max(0, -(-(earliest - first).total_seconds() // LOOP_S))
    return first + timedelta(seconds=turns * LOOP_S)


def _first_look(events: tuple[Event, ...]) -> Optional[datetime]:
    """The look that follows what the log shows last of the loop."""
    looked, halved = newest(events, *_LOOKS, stats=True), newest(events, "reconciled", "ipamd-serving")
    at, half = (looked.at if looked else None), (halved.at if halved else None)
    if half is not None and (at is None or half >= at - timedelta(seconds=0.5)):
        return half + timedelta(seconds=HALF_LOOP_S)
    return at + timedelta(seconds=LOOP_S) if at is not None else None


def backoff_until(facts: Facts, events: tuple[Event, ...]) -> Optional[datetime]:
    """The end of the 120 s in which nothing is added, None where no back-off runs."""
    begun = [e.at for e in events if e.at and (e.signature == "subnet-lacks" or _starts_backoff(e, facts))]
    until = max(begun) + timedelta(seconds=BACKOFF_S) if begun else None
    return until if until is not None and until >= facts.at else None


def _starts_backoff(event: Event, facts: Facts) -> bool:
    """A refusal that starts it, where the log was cut or pasted without ipamd's own word for it."""
    if event.signature != "ec2-refused" or event.fields.get("code") not in _SHORTAGES:
        return False
    if event.fields.get("operation") == "CreateNetworkInterface":
        return True
    return facts.settings.subnet_discovery is False


def unanswered(events: tuple[Event, ...]) -> Optional[Called]:
    """The newest try, where nothing after it tells how it ended."""
    tried = newest(events, *_TRIES)
    if tried is None or tried.at is None:
        return None
    after = events[events.index(tried) + 1 :]
    attached = newest(after, "eni-attached", "imds-wait")
    if attached is not None and newest(after, "pool-grown", "imds-unseen-eni", "ec2-refused", "reconciled", stats=True) is None:
        return Called(_TRIES[tried.signature], attached.fields.get("eni", ""), tried.at, "imds-lag")
    if newest(after, *_ANSWERS, stats=True) is not None:
        return None
    return Called(_TRIES[tried.signature], tried.fields.get("eni", ""), tried.at, "ec2-call-in-flight")


def holds_back(events: tuple[Event, ...], *, now: datetime) -> bool:
    """Whether ipamd's last look ended with the node being cordoned."""
    told = newest(events, "non-schedulable")
    if told is None or told.at is None or now - told.at > timedelta(seconds=3 * LOOP_S):
        return False
    return newest(events[events.index(told) + 1 :], "address-try", "eni-create-try") is None


class Told(NamedTuple):
    """What ipamd's own last words on a low pool give away: the warm target in force, and addresses per ENI (or prefix)."""

    target: int
    per_unit: int


def told_low(events: tuple[Event, ...]) -> Optional[Told]:
    """`IP pool is too low: available (3) < ENI target (1) * addrsPerENI (9)`: printed only where no address target is set."""
    for event in reversed(events):
        found = _LOW.search(event.text) if event.signature == "pool-low" else None
        if found:
            return Told(int(found.group(2)), int(found.group(3)))
    return None
