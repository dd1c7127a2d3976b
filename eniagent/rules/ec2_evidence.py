"""EC2's own view as evidence (`--aws`): a second witness, a witness where ipamd keeps silent, and what speaks against.

Refuses to let it take a cause away or make one firmer by its absence (law L7): what contradicts is shown beside the proof, and it
rules a cause out only where nothing else decides.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Optional

from eniagent.case import ec2_view
from eniagent.case.facts import Facts
from eniagent.model.finding import Evidence
from eniagent.model.reading import Why
from eniagent.rules import remedies
from eniagent.rules.rule import Clear, Fires, Inconclusive, Outcome, fact, pool_numbers, waiting

EC2, TRAIL = "EC2 API", "CloudTrail"
IGNORANCE = (Why.NOT_COLLECTED, Why.TRUNCATED, Why.MALFORMED)
FRESH_S = 900
"""A refused call older than this was followed by others, or by no need. CloudTrail itself is up to 15 minutes late."""
_GROWTH = ("eni-attached", "addresses-allocated")


def with_trail(outcome: Outcome, facts: Facts, cause: str, *, subject: str = "") -> Outcome:
    """The outcome of a rule on EC2's refusals, with CloudTrail's record of this node's refused calls."""
    found = facts.trail.get(cause)
    if found is None:
        return outcome
    told = fact(f"{found.newest.operation} refused: {found.newest.code}, {found.count} x", found.newest.code, TRAIL, ref=found.newest.ref, at=found.newest.at)
    if isinstance(outcome, Fires):
        return outcome._replace(proof=(*outcome.proof, told))
    if found.over is not None or not facts.hits.waiting or not log_may_be_trusted(facts):
        return outcome
    grown = any(e.at and e.at > found.newest.at for e in facts.events(*_GROWTH))
    if grown or facts.at - found.newest.at > timedelta(seconds=FRESH_S):
        return outcome
    return Fires(proof=(told,), context=(*pool_numbers(facts), *waiting(facts)), subject=subject, since=found.first.at)


def log_may_be_trusted(facts: Facts) -> bool:
    """Whether ipamd.log was read, or is absent by a fact of the node: a log that was not looked at could hold the success."""
    unseen = facts.unseen("ipamd_log")
    return unseen is None or unseen.why not in IGNORANCE


def with_room(outcome: Outcome, facts: Facts) -> Outcome:
    """The outcome of subnet-exhausted, with the free addresses that EC2 counts."""
    found = room(facts)
    if found is None:
        return outcome
    told = tuple(
        fact(f"AvailableIpAddressCount of {s.id}", s.free, EC2, expected=f"at least {found.wanted}" if s.free < found.wanted else None, ref=str(s.id), at=_at(facts))
        for s in found.subnets[:8]
    )
    empty = all(s.free == 0 for s in found.subnets) and _short(facts)
    if isinstance(outcome, Fires):
        if not found.none or outcome.until is not None:
            return outcome._replace(context=(*outcome.context, *told))
        # What EC2's count proves by itself is no longer inferred.
        return outcome._replace(proof=(*outcome.proof, *told), inferred=outcome.inferred and not empty)
    if empty:
        return Fires(proof=told, context=(*pool_numbers(facts), *waiting(facts)), subject=str(found.subnets[0].id))
    if isinstance(outcome, Clear):
        return outcome._replace(evidence=(*outcome.evidence, *told))
    return Clear("EC2 counts free addresses in the node's subnet", told) if isinstance(outcome, Inconclusive) and found.ample else outcome


def room(facts: Facts) -> Optional[ec2_view.Room]:
    """Room in the subnets from which this node takes addresses; None where EC2 was not asked."""
    if facts.ec2 is None:
        return None
    per_eni = facts.limits.ipv4_per_eni if facts.limits else None
    return ec2_view.room(facts.ec2, remedies.subnets(facts), discovery=facts.settings.subnet_discovery, per_eni=per_eni)


def _short(facts: Facts) -> bool:
    """Pods wait on an empty pool that has not grown of late: then a subnet without a free address is why."""
    limit, pool = facts.address_limit, facts.pool
    if pool is None or pool.assignable or pool.cooling or not facts.hits.of("no-address", waiting=True) or not log_may_be_trusted(facts):
        return False
    return limit is not None and pool.usable < limit and not facts.events(*_GROWTH) and not facts.refused


def attached(facts: Facts) -> tuple[Evidence, ...]:
    """The ENIs that EC2 counts on the instance, and those among them that ipamd leaves alone."""
    enis = ec2_view.attached(facts.ec2)
    if enis is None:
        return ()
    expected = None if facts.eni_limit is None else f"at most {facts.eni_limit}"
    foreign = [str(e.id) for e in enis if not e.managed]
    told = fact("ENIs attached", len(enis), EC2, expected=expected, ref="attachment.instance-id", at=_at(facts))
    return (told, *([fact("ENIs that ipamd does not manage", ", ".join(foreign), EC2, expected="none", ref="node.k8s.amazonaws.com/no_manage")] if foreign else []))


def _at(facts: Facts) -> Optional[datetime]:
    return facts.now.ec2.at
