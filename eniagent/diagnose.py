"""diagnose(case): runs the rules, computes confidence, links symptoms to causes, orders, and gives the verdict.

Pure. Refuses to repair a rule that raises: it is told as the agent's own fault, and the verdict can then not be healthy.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Optional

from eniagent import __version__
from eniagent.case import eventual
from eniagent.case import impact as impact_of
from eniagent.case.cut_off import cut_off
from eniagent.case.facts import Facts
from eniagent.case.ledger import ledger
from eniagent.case.outlook import outlook
from eniagent.case.pod_path import pod_path
from eniagent.knowledge.max_pods import HOST_NETWORK_PODS
from eniagent.model.finding import (
    AddressNumbers,
    Confidence,
    Diagnosis,
    EniNumbers,
    Finding,
    MaxPodsNumbers,
    NextLook,
    NotSeen,
    Numbers,
    RuledOut,
    Scope,
    Verdict,
    Window,
)
from eniagent.model.reading import Why
from eniagent.model.snapshot import ON_REQUEST, READINGS, Case
from eniagent.rules import registry
from eniagent.rules.essentials import missing_essentials, missing_looks, not_applicable
from eniagent.rules.looks import next_looks
from eniagent.rules.rule import INDEPENDENT, Clear, Fires, Inconclusive, Outcome, Rule

DOWN_S = 600
"""An ipamd that has not served for this long is critical even with no pod waiting (contract, Verdict)."""
_IGNORANCE = (Why.NOT_COLLECTED, Why.TRUNCATED, Why.MALFORMED)
_NETWORK_LOST = ("eni-lost", "pod-route-missing")
"""Causes by which running pods have lost their network: critical though nothing waits."""
_CONFIDENCE = {Confidence.CONFIRMED: 0, Confidence.PROBABLE: 1, Confidence.POSSIBLE: 2}
_SEVERITY = {"critical": 0, "warning": 1, "info": 2}
_SPECIFIC = {
    code: rank
    for rank, codes in enumerate((
        ("imds-unreachable", "apiserver-unreachable", "iam-denied", "subnet-fragmented", "subnet-exhausted", "ec2-throttled", "eni-attach-failed",
         "aws-api-unreachable", "eniconfig-invalid", "instance-limits-unknown", "cni-binary-broken", "host-local-exhausted", "ipv6-misconfigured",
         "network-policy-agent-down", "eni-lost", "warm-targets-misconfigured", "address-leaked"),
        ("branch-eni-unavailable", "pod-network-setup-failed", "pod-route-missing", "imds-out-of-sync", "eni-limit-reached", "cooldown-starved", "not-ip-related"),
        ("ipamd-crashing", "ipamd-not-ready", "max-pods-mismatch", "warm-pool-lag"),
        ("ipamd-unreachable", "cni-not-initialized"),
    ))
    for code in codes
}


def diagnose(case: Case, *, with_ledger: bool = False, pod: str = "") -> Diagnosis:
    """The diagnosis of a case. A function of the case alone; the ledger's rows and one pod's path are made only where asked for."""
    facts = Facts(case)
    outcomes, faults = _run(facts)
    findings = {r.code: _finding(r, o, facts) for r, o in outcomes if isinstance(o, Fires)}
    causes = _ordered(f for f in findings.values() if f.kind == "cause" and f.until is None)
    past = _ordered(f for f in findings.values() if f.kind == "cause" and f.until is not None)
    symptoms = _ordered(f for f in findings.values() if f.kind == "symptom")
    advice = _ordered(f for f in findings.values() if f.kind == "advice")
    unobserved = _unobserved(facts)
    if not_applicable(facts):  # What stands where no VPC CNI ever was is no fault of this node.
        causes, past, symptoms, advice = (), (), (), ()
    verdict = _verdict(facts, causes=causes, past=past, advice=advice, outcomes=outcomes, faults=faults)
    looks = next_looks(facts) if verdict is Verdict.INCONCLUSIVE else ()
    looks = looks or _own_looks(verdict, causes) or (missing_looks(facts) if verdict is Verdict.INCONCLUSIVE else ())
    return Diagnosis(
        agent={"version": __version__},
        taken_at=facts.at,
        window=Window(since=facts.now.since, until=facts.at),
        node=facts.node,
        verdict=verdict,
        headline=_headline(facts, verdict, causes, past, advice),
        causes=causes,
        past=past,
        symptoms=symptoms,
        advice=advice,
        ruled_out=_ruled_out(outcomes),
        unobserved=unobserved,
        impact=impact_of.impact(facts.hits, pod=pod, cut_off=cut_off(facts) if any(c.code in _NETWORK_LOST for c in causes) else ()),
        numbers=_numbers(facts),
        outlook=outlook(facts),
        ledger=ledger(case) if with_ledger else None,
        next_looks=(*looks, *_second_look(case)),
        faults=faults,
        pod=pod_path(facts, pod) if pod else None,
    )


def _run(facts: Facts) -> tuple[list[tuple[Rule, Outcome]], tuple[str, ...]]:
    outcomes: list[tuple[Rule, Outcome]] = []
    faults: list[str] = []
    for rule in sorted(registry(), key=lambda r: r.code):
        missing = tuple(n for n in rule.needs if facts.unseen(n) is not None)
        if missing:
            outcomes.append((rule, Inconclusive(missing)))
            continue
        try:
            outcomes.append((rule, rule.check(facts)))
        except Exception as error:  # noqa: BLE001 - a rule's bug must not cost the rest of the verdict
            faults.append(f"{rule.code}: {type(error).__name__}: {error}")
    return outcomes, tuple(faults)


def _finding(rule: Rule, fires: Fires, facts: Facts) -> Finding:
    return Finding(
        code=rule.code,
        kind=fires.kind or rule.kind,
        severity=fires.severity or rule.severity,
        confidence=confidence(fires),
        summary=rule.summary,
        subject=fires.subject,
        since=fires.since,
        until=fires.until,
        evidence=(*fires.proof, *fires.context),
        explains=rule.explains if fires.explains is None else fires.explains,
        remedy=rule.remedy(facts),
        scope=fires.scope or rule.scope or Scope.NODE,
        reference=rule.reference,
    )


def confidence(fires: Fires) -> Confidence:
    """confirmed: two independent views; probable: one; possible: inferred."""
    if fires.inferred or not fires.proof:
        return Confidence.POSSIBLE
    views = {INDEPENDENT.get(e.source, e.source) for e in fires.proof if e.source != "instance limits"}
    return Confidence.CONFIRMED if len(views) >= 2 else Confidence.PROBABLE


def _ordered(findings: object) -> tuple[Finding, ...]:
    """Explainers before what they explain; then firmer, more severe, more specific, older, by code."""
    found: list[Finding] = list(findings)  # type: ignore[call-overload]

    def rank(f: Finding) -> tuple[object, ...]:
        return (_CONFIDENCE[f.confidence] == 2, _SEVERITY.get(f.severity, 3), _SPECIFIC.get(f.code, 1), _CONFIDENCE[f.confidence], f.since.timestamp() if f.since else 0.0, f.code)

    ordered: list[Finding] = []
    rest = sorted(found, key=rank)
    while rest:
        free = [f for f in rest if not any(f.code in o.explains and o.code not in f.explains and _CONFIDENCE[o.confidence] < 2 for o in rest if o is not f)]
        ordered.append((free or rest)[0])
        rest.remove(ordered[-1])
    return tuple(ordered)


def _ruled_out(outcomes: list[tuple[Rule, Outcome]]) -> tuple[RuledOut, ...]:
    return tuple(RuledOut(r.code, o.because, o.evidence) for r, o in outcomes if isinstance(o, Clear) and r.kind == "cause")


def _unobserved(facts: Facts) -> tuple[NotSeen, ...]:
    found = []
    for field in (*READINGS, *ON_REQUEST):
        reading = facts.unseen(field)
        # What is looked at on request alone is missed only where it was asked for: then it says why it is not there.
        if reading is not None and (field in READINGS or reading.detail):
            found.append(NotSeen(reading.source, reading.why.value, reading.detail))
    if facts.ec2 is not None:
        found += [NotSeen(part.source, part.why.value, part.detail) for part in facts.ec2.unseen]
    return tuple(found)


def _verdict(
    facts: Facts, *, causes: tuple[Finding, ...], past: tuple[Finding, ...], advice: tuple[Finding, ...], outcomes: list[tuple[Rule, Outcome]], faults: tuple[str, ...]
) -> Verdict:
    if not_applicable(facts):
        return Verdict.NOT_APPLICABLE
    firm = [c for c in causes if c.confidence is not Confidence.POSSIBLE]
    waits = facts.hits.waiting
    if firm:
        lost = any(c.code in _NETWORK_LOST and c.severity == "critical" for c in firm)
        return Verdict.CRITICAL if waits or lost or _down(facts) or _pods_told_without_time(facts) else Verdict.WARNING
    if waits or causes or _down(facts):
        return Verdict.INCONCLUSIVE
    if past or any(a.severity == "warning" for a in advice) or facts.hits.for_address:
        return Verdict.WARNING
    if faults or missing_essentials(facts) or any(isinstance(o, Inconclusive) and _ignorant(facts, o) for r, o in outcomes if r.kind == "cause" or r.severity == "warning"):
        return Verdict.INCONCLUSIVE
    return Verdict.HEALTHY


def _ignorant(facts: Facts, outcome: Inconclusive) -> bool:
    """Whether a rule is undecided for want of a look, not because of a fact of the node."""
    unseen = [u for u in (facts.unseen(f) for f in outcome.missing) if u is not None]
    return not unseen or any(u.why in _IGNORANCE for u in unseen)


def _pods_told_without_time(facts: Facts) -> bool:
    return facts.now.timeless and bool(facts.hits.pods)


def _down(facts: Facts) -> bool:
    """ipamd has not served for more than ten minutes on a node that should have it."""
    life = facts.life
    if life.serves is not False or life.last_words is None:
        return False
    return life.last_words.at is not None and facts.at - life.last_words.at > timedelta(seconds=DOWN_S)


def _own_looks(verdict: Verdict, causes: tuple[Finding, ...]) -> tuple[NextLook, ...]:
    """What would decide the causes that are merely possible: their rules' own looks."""
    if verdict is not Verdict.INCONCLUSIVE:
        return ()
    rules = {r.code: r for r in registry()}
    return tuple(NextLook(look.command, (c.code,), look.where) for c in causes[:3] for look in rules[c.code].looks[:1])


def _second_look(case: Case) -> tuple[NextLook, ...]:
    """IMDS and ipamd disagree, and no read a minute earlier says for how long: never a cause, but a look that decides."""
    found = {key: side for key, side in eventual.disagreements_now(case.now).items() if key[0] == "IMDS"}
    if not found or eventual.confirmed(case, found) >= found.keys():
        return ()
    return (NextLook("eniagent diagnose --ledger --confirm", ("imds-out-of-sync", "eni-lost")),)


def _numbers(facts: Facts) -> Numbers:
    pool, limits = facts.pool, facts.limits
    attached = len(facts.metadata.enis) if facts.metadata else pool.enis if pool else None
    addresses = AddressNumbers(limit=facts.address_limit) if pool is None else AddressNumbers(pool.usable, pool.in_use, pool.cooling, pool.assignable, facts.address_limit)
    computed: Optional[int] = None if facts.address_limit is None else facts.address_limit + HOST_NETWORK_PODS
    return Numbers(EniNumbers(attached, limits.enis if limits else None), addresses, MaxPodsNumbers(facts.max_pods, computed))


def _headline(facts: Facts, verdict: Verdict, causes: tuple[Finding, ...], past: tuple[Finding, ...], advice: tuple[Finding, ...]) -> str:
    waits = len(facts.hits.waiting)
    pods = f"{waits} pod{'s' if waits != 1 else ''} wait{'s' if waits == 1 else ''}"
    if verdict is Verdict.NOT_APPLICABLE:
        return "This node does not use the AWS VPC CNI."
    if causes and verdict is not Verdict.INCONCLUSIVE:
        lead = causes[0]
        subject = f" ({lead.subject})" if lead.subject else ""
        tail = f"; {pods} for an address." if waits else "; no pod waits now." if lead.code not in _NETWORK_LOST else "; running pods have lost their network."
        return f"{lead.summary}{subject}{tail}"
    if verdict is Verdict.INCONCLUSIVE:
        if waits:
            return f"{pods} for an address, and nothing that was seen decides why."
        if causes:
            return f"Perhaps: {causes[0].summary}; what was seen does not decide it."
        return "Nothing wrong was seen, but not all that is needed to call the node healthy: " + (", ".join(missing_essentials(facts)) or "see the list of what was not seen") + "."
    if past:
        return f"Over since {past[0].until:%H:%M:%S} UTC: {past[0].summary}."
    if facts.hits.for_address:
        return "Pods failed for want of an address and have recovered; what stood is not known."
    if advice:
        return f"No pod is affected. {advice[0].summary}."
    return "Nothing stands: ipamd serves, the pool has addresses, and no pod waits for one."


__all__ = ["confidence", "diagnose", "missing_essentials"]
