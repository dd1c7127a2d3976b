"""allocation-failures (symptom): kubelet could not get addresses for pods."""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.case.impact import in_time
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, failure


def check(facts: Facts) -> Outcome:
    """Sandboxes that failed for want of an address or its set-up."""
    if not facts.hits.seen:
        return Inconclusive(("kubelet",))
    hits = facts.hits.for_address
    if not hits:
        return Clear("no failure in the window", (fact("allocation failures", 0, "kubelet journal", ref="journal/kubelet.jsonl"),))
    first = min((h.first_at for h in hits if h.first_at), default=None)
    waits = tuple(h for h in hits if h.waits)
    until = None if waits else max((h.last_at for h in hits if h.last_at), default=None)
    worst = max(waits or hits, key=lambda h: (h.failures, *in_time(h), h.pod))
    count = fact("allocation failures", sum(h.failures for h in hits), worst.source, expected=0)
    return Fires(proof=(count, failure(f"pods: {len(hits)}, waiting now: {len(waits)}", worst)), since=first, until=until)


def remedy(facts: Facts) -> Remedy:
    """See the cause."""
    return remedies.remedy(
        "Heal the cause that explains it: `eniagent diagnose` names it.",
        remedies.node("eniagent diagnose"),
        remedies.kubectl(f"kubectl get events -A --field-selector reason=FailedCreatePodSandBox | grep {remedies.node_name(facts)}"),
        do_not=("Do not delete the waiting pods: kubelet tries again by itself, and their successors wait as well.",),
        recovers_by="when the cause is healed: kubelet tries each pod again within minutes",
    )


RULE = Rule(
    code="allocation-failures", kind="symptom", severity="critical",
    summary="kubelet cannot get addresses for pods",
    meaning="Pods stay in ContainerCreating because the CNI plugin returned no address. The words alone decide nothing: many causes print them.",
    proof="Failed sandboxes in the kubelet or containerd journal.", refutation="None in the window.",
    check=check, remedy=remedy, reference=GUIDE,
    looks=(Look("journalctl -u kubelet --since -1h --no-pager | grep -c 'failed to assign an IP address'"), Look("kubectl get events -A --field-selector reason=FailedCreatePodSandBox", "kubectl")),
)
