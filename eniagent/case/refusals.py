"""What EC2 refused ipamd, and what succeeded since: per root cause, from ipamd.log and the error counters.

A refusal stands until a call of the same kind succeeds. Counters alone prove little: they never fall while ipamd lives.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Optional

import msgspec

from eniagent.knowledge.ec2_errors import cause_of_code
from eniagent.model.reading import Observed
from eniagent.model.record import Event
from eniagent.model.snapshot import Case

GROWTH = ("eni-attached", "addresses-allocated")
"""Successes that end a refusal of growth."""
_ANY_SUCCESS = (*GROWTH, "eni-created", "reconciled", "eni-freed")
_CREATES = frozenset(("CreateNetworkInterface", "AttachNetworkInterface", "AssignPrivateIpAddresses", "AssignIpv6Addresses", ""))


class Refused(msgspec.Struct, frozen=True):
    """All refusals that stand for one cause. `count` is of attempts kept. `over_at`: a later success; None: it stands."""

    cause: str
    code: str
    operation: str
    count: int
    first: Event
    newest: Event
    over_at: Optional[datetime]


class Counter(msgspec.Struct, frozen=True):
    """`awscni_aws_api_error_count` of one code: now, and how much it rose since the snapshot before (None: no such snapshot)."""

    code: str
    api: str
    value: float
    rise: Optional[float]


def refused(case: Case) -> dict[str, Refused]:
    """Cause -> its refusals in ipamd.log."""
    if not isinstance(case.now.ipamd_log, Observed):
        return {}
    events = case.now.ipamd_log.value.events
    by_cause: dict[str, list[Event]] = {}
    for event in events:
        cause = cause_of(event)
        if cause:
            by_cause.setdefault(cause, []).append(event)
    return {cause: _refused(cause, told, events) for cause, told in by_cause.items()}


def cause_of(event: Event) -> str:
    """The root cause that one event of ipamd.log stands for by its EC2 code, "" where it has none."""
    if event.signature == "iam-event":
        return "iam-denied"
    code = event.fields.get("code", "")
    if code:
        return cause_of_code(code, event.fields.get("operation", ""), event.text)
    if event.fields.get("network") and not speaks_of_imds(event.text) and event.fields.get("inner", "") in ("", "ec2-refused") and event.signature in ("ec2-refused", "init-failed"):
        return "aws-api-unreachable"
    return ""


def speaks_of_imds(text: str) -> bool:
    """Whether a failed request went to instance metadata."""
    return "ec2imds" in text or "169.254.169.254" in text or "instance metadata" in text or "EC2Metadata" in text


def _refused(cause: str, told: list[Event], events: tuple[Event, ...]) -> Refused:
    newest = told[-1]
    operation = next((e.fields["operation"] for e in reversed(told) if e.fields.get("operation")), "")
    code = next((e.fields["code"] for e in reversed(told) if e.fields.get("code")), "")
    ends = GROWTH if operation in _CREATES else _ANY_SUCCESS
    over_at = None
    for event in events:
        if event.signature in ends and event.at and newest.at and event.at > newest.at:
            over_at = event.at
            break
    stretch = told
    if over_at is None:
        ended = [e.at for e in events if e.signature in ends and e.at and newest.at and e.at < newest.at]
        if ended:
            stretch = [e for e in told if e.at and e.at > ended[-1]] or told
    return Refused(cause=cause, code=code, operation=operation, count=_attempts(told), first=stretch[0], newest=newest, over_at=over_at)


def _attempts(told: list[Event]) -> int:
    """One refused call is told by several lines: within a second they are one attempt."""
    count, last = 0, None
    for event in told:
        if event.at is None or last is None or event.at - last > timedelta(seconds=1):
            count += 1
        last = event.at
    return max(count, 1)


def counters(case: Case) -> tuple[Counter, ...]:
    """EC2 error counters of ipamd, by code and call."""
    if not isinstance(case.now.metrics, Observed):
        return ()
    before: Optional[dict[tuple[str, str], float]] = None
    if case.before and isinstance(case.before[-1].metrics, Observed):
        before = {(s.labels.get("error", ""), s.labels.get("api", "")): s.value for s in case.before[-1].metrics.value.samples if s.name == "awscni_aws_api_error_count"}
    found = []
    for sample in case.now.metrics.value.samples:
        if sample.name == "awscni_aws_api_error_count" and sample.value > 0:
            key = (sample.labels.get("error", ""), sample.labels.get("api", ""))
            found.append(Counter(key[0], key[1], sample.value, None if before is None else sample.value - before.get(key, 0.0)))
    return tuple(sorted(found, key=lambda c: (c.code, c.api)))
