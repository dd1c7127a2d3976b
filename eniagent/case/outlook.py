"""What ipamd will do next with its pool, what stops it, and when the next try is due.

Refuses to predict where a setting that decides is unknown: the action is then `unknown`, and the basis says what lacks.
Source: amazon-vpc-cni-k8s v1.15.5 to v1.23.1, ipamd.go (ipamd reference, section 4; section 0, items 2, 3, 8, 11, 18, 21, 22).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, Optional

import msgspec

from eniagent.case import loop, target
from eniagent.case.facts import Facts
from eniagent.case.room import attachable, maximum_reached, newest_subnet, per_eni_of
from eniagent.case.settings import Effective
from eniagent.model.finding import Outlook
from eniagent.model.ipam import Pool, PoolEni
from eniagent.model.record import Event

NOTHING = "nothing"
UNKNOWN = "unknown"


class Step(NamedTuple):
    """One thing that ipamd would do on a card."""

    action: str
    target: str = ""
    blocked_by: str = ""
    due_at: Optional[datetime] = None


def outlook(facts: Facts) -> Optional[Outlook]:
    """The next step over all cards: the first card that has one leads, `short_by` is that card's. None: ipamd was not seen.

    `short_by` is in addresses; below zero, the pool is over its target by so many.
    """
    if facts.life.serves is False:
        return Outlook(None, NOTHING, blocked_by="ipamd-down", basis=facts.life.basis)
    if facts.ipam is None:
        return None
    if facts.settings.ipv6:
        return Outlook(0, NOTHING, basis="IPv6: one prefix for all pods, no pool manager")
    if facts.settings.prefix is None:
        return Outlook(None, UNKNOWN, basis="not known: ENABLE_PREFIX_DELEGATION")
    told = [_of_card(pool, facts) for pool in sorted(facts.ipam.pools, key=lambda p: p.card)]
    if not told:
        return None
    return next((o for o in told if o.next_action != NOTHING), None) or next((o for o in told if o.blocked_by), told[0])


def _of_card(pool: Pool, facts: Facts) -> Outlook:
    events = loop.since_start(facts)
    settings = _completed(facts.settings, events) if pool.card == 0 else facts.settings
    targets = target.targets_of(pool.card, settings, per_eni=per_eni_of(facts, events, card=pool.card))
    have = target.count(pool, prefix=targets.prefix)
    wanted = target.want(have, targets)
    card = f"card {pool.card}: " if pool.card or len(facts.ipam.pools if facts.ipam else ()) > 1 else ""
    use = facts.pool
    cooling = next((c.cooling for c in use.cards if c.card == pool.card), 0) if use else 0
    held = f"{card}{have.available} of {have.total} not assigned" + (f", {cooling} of them cooling" if cooling else "")
    if wanted.short is None:
        return Outlook(None, UNKNOWN, basis=f"{held}; not known: {wanted.lacks}")
    step = _step(pool, facts, events, targets=targets, have=have, wanted=wanted)
    basis = f"{held}; {wanted.told_by}" + (f" ({_origin(settings, wanted)})" if pool.card == 0 else "")
    return Outlook(wanted.short, step.action, target=step.target, blocked_by=step.blocked_by, due_at=step.due_at, basis=basis)


def _origin(settings: Effective, wanted: target.Want) -> str:
    name = "warm_ip" if "WARM_IP" in wanted.told_by else "warm_prefix" if "PREFIX" in wanted.told_by else "warm_eni"
    return settings.origin.get(name, "ipamd.log")


def _completed(settings: Effective, events: tuple[Event, ...]) -> Effective:
    """Settings that nothing told, from ipamd's own words on a low pool."""
    low = loop.told_low(events)
    if low is None or (settings.warm_ip is not None and settings.minimum_ip is not None):
        return settings
    field = "warm_prefix" if settings.prefix else "warm_eni"
    return msgspec.structs.replace(settings, **{"warm_ip": 0, "minimum_ip": 0, field: low.target})


def _step(pool: Pool, facts: Facts, events: tuple[Event, ...], *, targets: target.Targets, have: target.Count, wanted: target.Want) -> Step:
    called = loop.unanswered(events)
    if facts.settings.provisioning_disabled:
        return Step(NOTHING, blocked_by="provisioning-disabled" if wanted.low else "")
    if called is not None and pool.card == 0:
        action = "assign-prefix" if called.action == "assign-address" and targets.prefix else called.action
        return Step(action, called.target, f"{called.waits_for} since {called.since:%H:%M:%S}")
    full = maximum_reached(facts, events, total=have.total)
    if wanted.low and full is None:
        return Step(UNKNOWN)
    if wanted.low and full:
        return Step(NOTHING, blocked_by="max-pods")
    if wanted.low:
        return _growth(pool, facts, events, targets=targets)
    if wanted.frozen:
        return Step(NOTHING, blocked_by="minimum-target")
    return _shrinking(pool, facts, events, targets=targets, wanted=wanted)


def _growth(pool: Pool, facts: Facts, events: tuple[Event, ...], *, targets: target.Targets) -> Step:
    """Fill an existing ENI, else attach a new one; both wait for the back-off, and neither happens on a cordoned node."""
    step = _place(pool, facts, events, targets=targets)
    if step.action in (NOTHING, UNKNOWN):
        return step
    if loop.holds_back(events, now=facts.at) and facts.settings.manage_non_schedulable is not True:
        return Step(NOTHING, step.target, "non-schedulable")
    until = loop.backoff_until(facts, events)
    due_at = loop.next_look(events, now=facts.at, not_before=until)
    if until is not None:
        return step._replace(blocked_by=f"backoff-120s until {until:%H:%M:%S}", due_at=due_at)
    missing = loop.newest(events, "eniconfig-missing", "eni-create-try", "eni-attached")
    if step.action == "create-eni" and missing is not None and missing.signature == "eniconfig-missing":
        return step._replace(blocked_by="eniconfig-missing", due_at=due_at)
    return step._replace(due_at=due_at)


def _place(pool: Pool, facts: Facts, events: tuple[Event, ...], *, targets: target.Targets) -> Step:
    if targets.per_eni is None:
        return Step(UNKNOWN)
    slots = targets.per_eni // target.PREFIX if targets.prefix else targets.per_eni
    enis = target.with_room(pool, slots=slots, custom_networking=bool(facts.settings.custom_networking))
    if enis:
        named = ", ".join(e.id for e in sorted(enis, key=lambda e: e.device_number))
        return Step("assign-prefix" if targets.prefix else "assign-address", named)
    room = attachable(pool, facts)
    if room.left is None:
        return Step(UNKNOWN)
    if room.left <= 0:
        return Step(NOTHING, blocked_by=room.limited_by)
    return Step("create-eni", newest_subnet(facts, events))


def _shrinking(pool: Pool, facts: Facts, events: tuple[Event, ...], *, targets: target.Targets, wanted: target.Want) -> Step:
    """Addresses or prefixes are given back at most every 30 s; an ENI is freed when it is old enough and nothing cools."""
    steps = []
    spare = [e for e in pool.enis if any(not target.assigned_in(c) for c in e.cidrs)]
    if wanted.over_cidrs > 0 and spare:
        last = loop.newest(events, "cidr-free-try")
        wait = last.at + timedelta(seconds=loop.SHRINK_S) if last is not None and last.at is not None else None
        named = ", ".join(e.id for e in sorted(spare, key=lambda e: e.device_number))
        steps.append(Step("free-address", named, due_at=loop.next_look(events, now=facts.at, not_before=wait)))
    if wanted.enis_too:
        for eni in target.removable(pool, targets):
            due_at = loop.next_look(events, now=facts.at, not_before=_freed_after(eni, facts, events))
            steps.append(Step("free-eni", eni.id, due_at=due_at))
    step = min(steps, key=lambda s: (s.due_at or facts.at, s.action != "free-address", s.target), default=Step(NOTHING))
    if step.action == "free-eni" and loop.holds_back(events, now=facts.at):
        return Step(NOTHING, step.target, "non-schedulable")
    return step


def _freed_after(eni: PoolEni, facts: Facts, events: tuple[Event, ...]) -> Optional[datetime]:
    """The moment from which on the ENI's age and its cooling addresses allow its removal."""
    times = [
        a.unassigned_at + timedelta(seconds=facts.settings.cooldown_s)
        for c in eni.cidrs for a in c.addresses
        if not a.assigned and a.unassigned_at is not None
    ]
    born = [e.at for e in events if e.at and (e.signature == "ipamd-start" or (e.signature == "eni-attached" and e.fields.get("eni") == eni.id))]
    times += [b + timedelta(seconds=loop.ENI_LIFE_S) for b in born]
    return max(times, default=None)
