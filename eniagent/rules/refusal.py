"""What the rules on EC2's refusals share: lines, counters, and whether a later success ended them."""

from __future__ import annotations

import re
from datetime import timedelta

from eniagent.case.facts import Facts
from eniagent.knowledge.ec2_errors import CAUSE_OF_CODE
from eniagent.model.finding import Evidence
from eniagent.model.reading import Why
from eniagent.rules.ec2_evidence import with_trail
from eniagent.rules.rule import Clear, Fires, Inconclusive, Outcome, fact, pool_numbers, waiting

IGNORANCE = (Why.NOT_COLLECTED, Why.TRUNCATED, Why.MALFORMED)
"""Reasons that say nothing of the node. A log that is not there, or may not be read, is a fact; then the counters may speak."""

_NO_ANSWER = re.compile(r"dial tcp|lookup \S+|Post \"|Get \"|context deadline|request send failed")

STALE_S = 900
"""ipamd asks again at the latest 120 s after a refusal: one that is older by far was followed by no need."""


def counter_evidence(facts: Facts, cause: str) -> tuple[Evidence, ...]:
    """The error counters whose code stands for the cause."""
    return tuple(
        fact(f"awscni_aws_api_error_count {c.code} {c.api}".strip(), c.value, "ipamd metrics", expected=0, ref="awscni_aws_api_error_count")
        for c in facts.counters
        if CAUSE_OF_CODE.get(c.code) == cause
    )


def check_refusal(facts: Facts, cause: str, *, subject: str = "") -> Outcome:
    """Fires while the newest refusal of `cause` is followed by no success; past where it is; clear where there is none."""
    return with_trail(_refusal(facts, cause, subject=subject), facts, cause, subject=subject)


def _refusal(facts: Facts, cause: str, *, subject: str) -> Outcome:
    found, counted = facts.refused.get(cause), counter_evidence(facts, cause)
    if found is None:
        return _without_line(facts, cause, counted, subject)
    times = f", {found.count} x" if found.count > 1 else ""
    told = fact(f"{found.operation or 'EC2'} {'refused' if found.code else 'got no answer'}{times}", brief(found.newest.text, found.code), "ipamd.log", ref=found.newest.ref, at=found.newest.at)
    proof = (told, *counted)
    until = found.over_at
    stale = found.newest.at is not None and facts.at - found.newest.at > timedelta(seconds=STALE_S)
    if until is None and stale and not facts.hits.waiting:
        until = found.newest.at
    context = () if until else (*pool_numbers(facts), *waiting(facts))
    return Fires(proof=proof, context=context, subject=subject, since=found.first.at, until=until)


def brief(text: str, code: str) -> str:
    """EC2's own words in a message: what stands after the SDK's and ipamd's wrappings."""
    at = text.rfind(code) if code else -1
    if at < 0:
        found = _NO_ANSWER.search(text)
        at = found.start() if found else 0
    return text[at:].split("\n", 1)[0]


def _without_line(facts: Facts, cause: str, counted: tuple[Evidence, ...], subject: str) -> Outcome:
    rising = [c for c in facts.counters if CAUSE_OF_CODE.get(c.code) == cause and (c.rise or 0) > 0]
    short = facts.pool is not None and facts.pool.assignable == 0 and bool(facts.hits.waiting)
    grown = facts.events("eni-attached", "addresses-allocated")
    absent = facts.unseen("ipamd_log")
    if counted and short and not grown and (rising or absent) and not (absent and absent.why in IGNORANCE):
        return Fires(proof=counted, context=(*pool_numbers(facts), *waiting(facts)), subject=subject, inferred=True)
    if facts.log is None or not facts.log.lines:
        return Inconclusive(("ipamd_log",))
    since = facts.log.since
    return Clear(
        "ipamd's log tells of no such refusal",
        (fact("refusals of this kind", 0, "ipamd.log", ref="logs/ipamd.log", at=since),),
    )

