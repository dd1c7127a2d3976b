"""slow-pod-start (symptom): pods wait long before they run."""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact

SLOW_S = 30.0
"""Start to running without the image pull (kubelet's SLO duration) that is slow for any pod."""


def check(facts: Facts) -> Outcome:
    """Start durations that kubelet logged above the threshold, of pods that had failed before."""
    journal = facts.value("kubelet")
    if journal is None:
        return Inconclusive(("kubelet",))
    failed = {h.pod for h in facts.hits.for_address}
    slow = [s for s in journal.starts if s.pod in failed and (s.slo_s if s.slo_s is not None else s.e2e_s or 0.0) > SLOW_S]
    if not slow:
        return Clear(f"no pod took longer than {SLOW_S:.0f} s for its address", (fact("pods above the threshold", 0, "kubelet journal", ref="journal/kubelet.jsonl"),))
    worst = max(slow, key=lambda s: (s.slo_s or s.e2e_s or 0.0, s.pod))
    times = [s.at for s in slow if s.at]
    return Fires(proof=(fact(f"slowest start of {len(slow)}: {worst.pod}, seconds", round(worst.slo_s or worst.e2e_s or 0.0, 1), "kubelet journal", expected=f"at most {SLOW_S:.0f}", at=worst.at),), since=min(times, default=None), until=max(times, default=None))


def remedy(facts: Facts) -> Remedy:
    """See the cause."""
    return remedies.remedy(
        "Heal the cause that makes pods wait: `eniagent diagnose` names it, `eniagent timeline` shows each pod's wait.",
        remedies.node("eniagent timeline"),
        remedies.kubectl(f"kubectl get pods -A -o wide --field-selector spec.nodeName={remedies.node_name(facts)}"),
        do_not=("Do not count image pulls as waits for an address: kubelet's SLO duration leaves them out.",),
        recovers_by="when the cause is healed",
    )


RULE = Rule(
    code="slow-pod-start", kind="symptom", severity="warning",
    summary="Pods wait long for their address",
    meaning="Pods come up, but only after failed attempts. kubelet retries with growing back-off, so each failure costs ten seconds or more.",
    proof="Start durations in kubelet's journal.", refutation="All under the threshold.",
    check=check, remedy=remedy, reference=GUIDE,
    looks=(Look("journalctl -u kubelet --since -1h --no-pager | grep 'Observed pod startup duration'"),),
)
