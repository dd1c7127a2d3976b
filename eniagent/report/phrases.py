"""The sentences that all outputs share, made from the values that a diagnosis carries.

Refuses to hold a fact of its own: every figure printed here stands in the diagnosis.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional

from eniagent.model.finding import Command, Diagnosis, Evidence, Finding, Numbers, Outlook, Value
from eniagent.report.plain import plain, shorten

_ACTIONS = {
    "assign-address": ("assign addresses", "on"),
    "assign-prefix": ("assign a prefix", "on"),
    "create-eni": ("create and attach an ENI", "in"),
    "free-address": ("give addresses back", "from"),
    "free-eni": ("free an ENI:", ""),
}
"""Action -> its words, and what joins them to the target."""


def moment(at: Optional[datetime]) -> str:
    """A UTC time to the second, or `unknown`."""
    return "unknown" if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """A duration in its largest fitting unit: `43 s`, `12 min`, `3 h`, `5 d`."""
    for limit, unit_s, name in ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172800.0, 3600.0, "h")):
        if seconds < limit:
            return f"{int(seconds / unit_s)} {name}"
    return f"{int(seconds / 86400)} d"


def age(at: datetime, *, now: datetime) -> str:
    """How long ago `at` was; a time ahead of *now* is told as it is."""
    try:
        seconds = (now - at).total_seconds()
    except TypeError:  # one of the two carries no zone: the difference would be a guess
        return f"at {moment(at)}"
    return f"{span(seconds)} ago" if seconds >= 0 else f"at {moment(at)}"


def figure(value: Value) -> str:
    """An observed value as people write it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value != "" else "(empty)"


def evidence(fact: Evidence, *, now: datetime, limit: int = 1000) -> str:
    """`fact: observed (expected X) [source ref, age]`, at most `limit` characters; the place is kept before the value."""
    place = " ".join(part for part in (plain(fact.source, limit=60), plain(fact.ref, limit=120)) if part)
    if fact.at is not None:
        place += f", {age(fact.at, now=now)}"
    place = shorten(place, limit=limit // 2)
    expected = "" if fact.expected is None else f" (expected {plain(figure(fact.expected), limit=60)})"
    room = max(20, limit - len(place) - len(expected) - 3)
    return f"{plain(f'{fact.fact}: {figure(fact.observed)}', limit=room)}{expected} [{place}]"


def stood(finding: Finding) -> str:
    """Since when, and until when it is over."""
    if finding.since is None and finding.until is None:
        return ""
    until = "" if finding.until is None else f" until {moment(finding.until)}"
    return f"since {moment(finding.since)}{until}"


def title(finding: Finding) -> str:
    """`code (confidence, since ...) on subject`."""
    parts = [finding.confidence.value, *([stood(finding)] if stood(finding) else [])]
    subject = f" on {plain(finding.subject, limit=60)}" if finding.subject else ""
    return f"{plain(finding.code, limit=64)} ({', '.join(parts)}){subject}"


def impact(diagnosis: Diagnosis) -> str:
    """Who was hit, in one line."""
    hit = diagnosis.impact
    if hit.cut_off:
        lost = f"{len(hit.cut_off)} running pod{'' if len(hit.cut_off) == 1 else 's'} without network"
        return lost if not hit.pods else f"{lost}; {_failed(diagnosis)}"
    return _failed(diagnosis)


def _failed(diagnosis: Diagnosis) -> str:
    hit = diagnosis.impact
    if not hit.pods and not hit.failures:
        return "no pod is seen to fail for want of an address or network"
    times = "" if hit.first_at is None else f", first {moment(hit.first_at)}"
    if hit.last_at is not None:
        times += f", last {moment(hit.last_at)} ({age(hit.last_at, now=diagnosis.taken_at)})"
    pods = f"{hit.pods} pod{'' if hit.pods == 1 else 's'}"
    failures = f"{hit.failures} failed attempt{'' if hit.failures == 1 else 's'}"
    return f"{pods}, {failures}, {hit.waiting} waiting now{times}"


def numbers(told: Numbers) -> str:
    """The node in numbers; `?` stands for what was not seen."""

    def known(value: Optional[int]) -> str:
        return "?" if value is None else str(value)

    held = told.addresses
    return (
        f"ENIs {known(told.enis.attached)} of {known(told.enis.limit)}; addresses {known(held.total)} of {known(held.limit)}: "
        f"{known(held.assigned)} assigned, {known(held.cooling)} cooling, {known(held.assignable)} assignable; "
        f"maxPods {known(told.max_pods.configured)} (computed {known(told.max_pods.computed)})"
    )


def outlook_title(diagnosis: Diagnosis) -> str:
    """What the outlook is told under; "" where there is nothing to tell: at its target, nothing to do, and no pod waits."""
    told = diagnosis.outlook
    if told is None:
        return ""
    if diagnosis.impact.waiting or (told.short_by or 0) > 0 or (told.short_by is None and told.blocked_by):
        return "Why no address comes, and when it will"
    return "What ipamd will do next" if told.next_action != "nothing" or told.blocked_by else ""


def outlook(told: Outlook, *, now: datetime) -> str:
    """What ipamd will do next, what stops it, and when the next try is due."""
    if told.short_by is None:
        short = "whether ipamd is short is not known"
    elif told.short_by > 0:
        short = f"ipamd is short by {told.short_by}"
    else:
        short = "ipamd holds all it wants"
    parts = [f"{short}; {_next(told)}"]
    if told.blocked_by:
        parts.append(f"stopped by {plain(told.blocked_by, limit=80)}")
    if told.due_at is not None:
        parts.append(f"next try due {due(told.due_at, now=now)}")
    return "; ".join(parts) + (f" [{plain(told.basis, limit=80)}]" if told.basis else "")


def _next(told: Outlook) -> str:
    if told.next_action == "nothing":
        return "next it will do nothing"
    if told.next_action == "unknown":
        return "what it will do next is not known"
    words, joint = _ACTIONS.get(told.next_action, (plain(told.next_action, limit=60), ""))
    target = plain(told.target, limit=60)
    return "next it will try to " + (" ".join(filter(None, (words, joint, target))) if target else words.rstrip(":"))


def due(at: datetime, *, now: datetime) -> str:
    """A time to come: `in 43 s (...)`, or that it has passed."""
    try:
        seconds = (at - now).total_seconds()
    except TypeError:  # one of the two carries no zone
        return f"at {moment(at)}"
    return f"in {span(seconds)} ({moment(at)})" if seconds >= 0 else f"since {moment(at)}"


def warning(text: str, *, limit: int = 1000) -> str:
    """What not to do, marked as that once."""
    told = plain(text, limit=limit)
    return told if told.lower().startswith(("do not ", "never ")) else plain(f"do not: {told}", limit=limit)


def command_note(command: Command) -> str:
    """Where a command runs, what it does, which rights it needs."""
    rights = f", needs {plain(command.rights, limit=100)}" if command.rights else ""
    return f"{plain(command.where, limit=20)}: {plain(command.effect, limit=20)}{rights}"


def cause_word(diagnosis: Diagnosis) -> str:
    """The primary cause's code; `undetermined` where pods fail or too little was seen; else `none`."""
    if diagnosis.causes:
        return diagnosis.causes[0].code
    return "undetermined" if diagnosis.verdict.value == "inconclusive" else "none"
